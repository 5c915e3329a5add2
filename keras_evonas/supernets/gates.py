"""Shares of the options of a choice, made of weights that are trained.

The options of a gene have architecture weights, one number each. A gate makes
shares of them, which add up to one: all options are called and added up by
their shares, or one or two are drawn by them.
"""

import dataclasses
import math
from typing import Protocol

import tensorflow as tf

from keras_evonas.evolution.checks import check_range


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Draw:
    """The random part of one gene's shares, in one step.

    Args:
        noise: `(options,)` tensor, drawn from the standard Gumbel
            distribution.
        pair: `(2,)` tensor of integers, the places of the option that is
            drawn and of one to compare with; twice the same to train weights.
        temperature: Scalar tensor.
    """

    noise: tf.Tensor
    pair: tf.Tensor
    temperature: tf.Tensor


class Gates(Protocol):
    """Makes shares of architecture weights."""

    @property
    def draws_paths(self) -> bool:
        """True if one option or two are called, false if all are."""

    def temperature(self, progress: float) -> float:
        """Returns the temperature, 1.0 by default.

        Args:
            progress: Float, from 0 in the first epoch to 1 in the last.
        """
        del progress
        return 1.0

    def shares(self, alphas: tf.Tensor, draw: Draw) -> tf.Tensor:
        """Returns the shares of a gene's options.

        Args:
            alphas: `(options,)` tensor, the architecture weights.
            draw: What was drawn.

        Returns:
            `(options,)` tensor. Its gradient trains the architecture weights.
        """


@dataclasses.dataclass(frozen=True)
class SoftmaxGates(Gates):
    """Adds up all options by the softmax of their weights: DARTS.

    Liu et al. (2019), arXiv:1806.09055, equation 2. Beware: DARTS falls for
    options without weights, skips above all. They help the mixture early,
    while the others are not trained yet. See `max_skips` of `differentiable`.
    """

    draws_paths = False

    def shares(self, alphas: tf.Tensor, draw: Draw) -> tf.Tensor:
        """Returns the softmax; see `Gates`."""
        del draw
        return tf.nn.softmax(alphas)


@dataclasses.dataclass(frozen=True, kw_only=True)
class GumbelGates(Gates):
    """Adds up all options by shares that are drawn: SNAS.

    Xie et al. (2019), arXiv:1812.09926, equation 5: the concrete distribution.
    As the temperature falls, the shares go to one for the option that is drawn
    and to zero for all others. Deviation: SNAS trains both kinds of weights on
    the same batches; here each kind has its own half of the data.

    Args:
        first: Float, the temperature in the first epoch. Defaults to 1.
        last: Float, the temperature in the last epoch, to which it falls
            exponentially. Defaults to 0.03.

    Raises:
        ValueError: If a temperature is not above zero.
    """

    first: float = 1.0
    last: float = 0.03

    def __post_init__(self) -> None:
        check_range("first", self.first, 0, math.inf, high_open=True)
        check_range("last", self.last, 0, math.inf, high_open=True)
        if not 0 < self.last <= self.first:
            raise ValueError(
                "`last` must be above 0 and at most `first`. Received: first="
                f"{self.first!r}, last={self.last!r}. The temperature falls, "
                "for instance from 1 to 0.03."
            )

    draws_paths = False

    def temperature(self, progress: float) -> float:
        """Returns the temperature; see `Gates`."""
        return float(self.first * (self.last / self.first) ** progress)

    def shares(self, alphas: tf.Tensor, draw: Draw) -> tf.Tensor:
        """Returns a sample of the concrete distribution; see `Gates`."""
        return tf.nn.softmax((alphas + draw.noise) / draw.temperature)


@dataclasses.dataclass(frozen=True)
class BinaryGates(Gates):
    """Calls one option, drawn by the softmax of the weights: ProxylessNAS.

    Cai et al. (2019), arXiv:1812.00332, section 3.2. To train the architecture
    weights, two options are drawn, then one of the two. It alone is the
    output, and the gradient is that of the two gates, as if there were no
    other options. So no step needs memory for more than two options.

    Args:
        gradient: `"pair"` as above, or `"reinforce"` (section 3.3.2): one
            option is drawn, and the log of its probability rises with how far
            the loss is below its moving average. Noisier; it calls one option
            alone. Deviation: one network is drawn for a step; mean costs are
            differentiated as for pairs, which has no noise. Defaults to
            `"pair"`.

    Raises:
        ValueError: If `gradient` is another one.
    """

    gradient: str = "pair"

    def __post_init__(self) -> None:
        if self.gradient not in ("pair", "reinforce"):
            raise ValueError(
                '`gradient` must be "pair" or "reinforce". Received: gradient='
                f"{self.gradient!r}."
            )

    draws_paths = True

    def shares(self, alphas: tf.Tensor, draw: Draw) -> tf.Tensor:
        """Returns one and zeros, with the gradient of the pair."""
        size = alphas.shape[0]
        drawn = tf.reduce_any(tf.one_hot(draw.pair, size) > 0, axis=0)
        lowest = tf.constant(alphas.dtype.min, alphas.dtype)
        soft = tf.nn.softmax(tf.where(drawn, alphas, lowest))
        hard = tf.one_hot(draw.pair[0], size, dtype=alphas.dtype)
        # One or zero as a value, the softmax of the pair as a gradient.
        return hard + soft - tf.stop_gradient(soft)
