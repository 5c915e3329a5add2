"""Distillation: paths of a supernet learn from the largest one."""

from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_evonas.models.costs.inputs import Structure
from keras_evonas.supernets.samplers import ORDERED
from keras_evonas.supernets.sharing import SharedGene

# What compares outputs, for each loss of a network.
_LOSSES: dict[str, type[keras.losses.Loss]] = {
    "categorical_crossentropy": keras.losses.CategoricalCrossentropy,
    "sparse_categorical_crossentropy": keras.losses.CategoricalCrossentropy,
    "binary_crossentropy": keras.losses.BinaryCrossentropy,
    "mean_squared_error": keras.losses.MeanSquaredError,
    "mse": keras.losses.MeanSquaredError,
    "mean_absolute_error": keras.losses.MeanAbsoluteError,
    "mae": keras.losses.MeanAbsoluteError,
}


class Distillation:
    """Compares a path with the largest one that has the same options.

    The largest path is called on the same batch, as in training: it learns at
    the same time (Yu and Huang, 2019, inplace distillation). Its statistics of
    batch normalization, and seeds, stay as they are.

    Args:
        network: The network of the supernet, compiled.
        genes: Its genes.
        take: Takes a path.
        share: Float in `(0, 1]`, the share of the loss.

    Raises:
        ValueError: If there is no such loss for the network.
    """

    def __init__(
        self,
        network: keras.Model,
        genes: Sequence[SharedGene],
        take: Callable[[tf.Tensor], None],
        share: float,
    ) -> None:
        self._network = network
        self._take = take
        self._share = share
        self._compare = _comparison(network)
        self._has_order = np.array([gene.kind in ORDERED for gene in genes])
        self._last = np.array([len(gene.values) - 1 for gene in genes], "int32")

    def targets(self, x: Structure, path: tf.Tensor) -> tf.Tensor:
        """Returns the output of the largest path, and takes it.

        Args:
            x: The inputs of a batch.
            path: The path that learns from it.
        """
        states = self._network.non_trainable_variables
        kept = [tf.identity(state.value) for state in states]
        self._take(self._largest(path))
        outputs = self._network(x, training=True)
        for state, value in zip(states, kept, strict=True):
            state.assign(value)
        return tf.stop_gradient(outputs)

    def mixed(
        self,
        loss: tf.Tensor,
        path: tf.Tensor,
        targets: tf.Tensor,
        outputs: tf.Tensor,
        weight: Structure,
    ) -> tf.Tensor:
        """Returns the loss of a path.

        Args:
            loss: That against the targets of the data, with the penalties of
                regularizers.
            path: The path. The largest one learns from the data alone.
            targets: The output of the largest path.
            outputs: The output of the path.
            weight: The weights of examples, or `None`.
        """
        differs = tf.reduce_any(tf.not_equal(path, self._largest(path)))
        share = self._share * tf.cast(differs, loss.dtype)
        soft = tf.cast(self._compare(targets, outputs, weight), loss.dtype)
        # Regularizers of weights count in full.
        penalty = tf.add_n([tf.zeros_like(loss), *self._network.losses])
        return loss + share * (soft - (loss - penalty))

    def _largest(self, path: tf.Tensor) -> tf.Tensor:
        return tf.where(self._has_order, self._last, path)


def _comparison(
    network: keras.Model,
) -> Callable[[tf.Tensor, tf.Tensor, Structure], tf.Tensor]:
    """Returns the loss of outputs against those of the largest path."""
    loss: Any = network.loss
    name = str(getattr(loss, "__name__", getattr(loss, "name", loss)))
    config = loss.get_config() if isinstance(loss, keras.losses.Loss) else {}
    if name not in _LOSSES or len(network.outputs) != 1:
        raise ValueError(
            "`distillation` compares outputs by cross-entropy or by the mean "
            "squared or absolute error. Received: a network with "
            f"{len(network.outputs)} output(s) and the loss {loss!r}. Compile "
            f"it with one of {tuple(_LOSSES)}, or pass `distillation=0`."
        )
    from_logits = config.get("from_logits", False)
    made = _LOSSES[name](**({"from_logits": True} if from_logits else {}))
    is_binary = name == "binary_crossentropy"

    def compare(
        targets: tf.Tensor, outputs: tf.Tensor, weight: Structure
    ) -> tf.Tensor:
        if from_logits:
            targets = (tf.sigmoid if is_binary else tf.nn.softmax)(targets)
        return made(targets, outputs, sample_weight=weight)

    return compare
