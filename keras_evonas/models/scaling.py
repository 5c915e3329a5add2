"""Compound scaling: a found network grown in depth, width and resolution."""

import math
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import Protocol
from typing import runtime_checkable

import keras
import keras_tuner

from keras_evonas.hyperparameters import to_space
from keras_evonas.models import asking
from keras_evonas.models import checks
from keras_evonas.models.costs.hypermodel import Hypermodel
from keras_evonas.models.costs.hypermodel import builder_of
from keras_evonas.models.explanation import explored

_DIVISOR = 8


@runtime_checkable
class Scalable(Protocol):
    """A hypermodel that declares how its networks are scaled.

    Those of this package are; yours is with a method `scaled`.

    Example:

    ```python
    class Plain(keras_tuner.HyperModel):
        def build(self, hp):
            model = keras.Sequential()
            for _ in range(hp.Int("layers", 1, 3)):
                model.add(keras.layers.Dense(hp.Int("size", 8, 64)))
            ...

        def scaled(self, values, *, depth, width, resolution):
            grown = {
                "layers": scaled_depth(values["layers"], depth),
                "size": scaled_width(values["size"], width),
            }
            return ScaledNetwork(self, values | grown)
    ```
    """

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        """Builds a network; see `keras_tuner.HyperModel`."""

    def scaled(
        self,
        values: dict[str, Any],
        *,
        depth: float,
        width: float,
        resolution: float,
    ) -> "ScaledNetwork":
        """Returns a network of another size.

        Args:
            values: Dictionary of all active hyperparameters of the network.
            depth: Float, by which numbers of layers are multiplied.
            width: Float, by which units and filters are multiplied.
            resolution: Float, by which the sides of images are multiplied.
        """


class ScaledNetwork(keras_tuner.HyperModel):
    """A network of another size; made by `compound_scale`.

    Args:
        hypermodel: The hypermodel that builds it.
        values: Dictionary of the hyperparameters to build it with. They may
            lie outside of the ranges of `hypermodel`.

    Attributes:
        values: The hyperparameters that it is built with.
    """

    def __init__(
        self, hypermodel: Hypermodel, values: Mapping[str, Any]
    ) -> None:
        super().__init__()
        self.values = dict(values)
        self._build_network = builder_of(hypermodel)

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        """Builds the network, the same one whatever `hp` is."""
        del hp
        return self.model()

    def model(self) -> keras.Model:
        """Builds the network."""
        hp = keras_tuner.HyperParameters()
        hp.values = dict(self.values)
        return self._build_network(hp)


def compound_scale(
    hypermodel: Scalable,
    values: Mapping[str, Any],
    phi: float,
    alpha: float = 1.2,
    beta: float = 1.1,
    gamma: float = 1.15,
) -> ScaledNetwork:
    """Grows a found network by one number, as EfficientNet is grown.

    Follows Tan & Le (2019): the depth is multiplied by `alpha ** phi`, the
    width by `beta ** phi` and the resolution by `gamma ** phi`. With the
    defaults, those of the paper, each step of `phi` about doubles the FLOPs.
    Depths are rounded up, and widths to multiples of 8 where they were some.

    The hypermodel declares what that means for its networks; see `Scalable`.
    Those of this package scale the number of blocks, cells or layers, units
    and filters, as far as they are searched: a range of one value stays. A
    layer that is added has the values of the last one before. Images are
    resized inside of the network.

    Args:
        hypermodel: A hypermodel of this package, one made by `evolvable`, or
            one of your own with a method `scaled`.
        values: Mapping from names to values, of the network that was found,
            such as `trial.hyperparameters.values`.
        phi: Number of steps to grow; 0 is the network itself, and a negative
            number shrinks it.
        alpha: Float, the growth of the depth. Defaults to 1.2.
        beta: Float, the growth of the width. Defaults to 1.1.
        gamma: Float, the growth of the resolution. Defaults to 1.15.

    Returns:
        A hypermodel of this one network, with its `values`.

    Raises:
        TypeError: If the hypermodel does not declare how it is scaled.
        ValueError: If a factor is below 1.

    Example:

    ```python
    best = tuner.get_best_hyperparameters()[0].values
    model = compound_scale(hypermodel, best, phi=2).model()
    ```
    """
    for name, factor in (("alpha", alpha), ("beta", beta), ("gamma", gamma)):
        if not factor >= 1:
            raise ValueError(
                f"`{name}` must be at least 1. Received: {name}={factor!r}. "
                "Shrink with a negative `phi`."
            )
    if not isinstance(hypermodel, Scalable):
        raise TypeError(
            "`hypermodel` must declare which of its hyperparameters are depth, "
            f"width and resolution. Received: {hypermodel!r}. Make it a "
            "`keras_tuner.HyperModel` with a method `scaled(self, values, *, "
            "depth, width, resolution)` that returns `ScaledNetwork(self, "
            "{**values, ...})`; `scaled_depth` and `scaled_width` round as "
            "those of this package do."
        )
    return hypermodel.scaled(
        _completed(hypermodel, values),
        depth=alpha**phi,
        width=beta**phi,
        resolution=gamma**phi,
    )


def compound_space(
    hypermodel: Scalable,
    values: Mapping[str, Any],
    *,
    phis: Sequence[float] = (0, 1, 2, 3),
    alpha: float = 1.2,
    beta: float = 1.1,
    gamma: float = 1.15,
) -> "CompoundSpace":
    """Makes a space with one hyperparameter, `phi`: the steps to grow.

    Args:
        hypermodel: As in `compound_scale`.
        values: As in `compound_scale`.
        phis: Numbers to choose from. Defaults to `(0, 1, 2, 3)`.
        alpha: As in `compound_scale`, and so are `beta` and `gamma`.
        beta: Float. Defaults to 1.1.
        gamma: Float. Defaults to 1.15.

    Returns:
        A `keras_tuner.HyperModel`.

    Raises:
        TypeError: If the hypermodel does not declare how it is scaled.
        ValueError: If `phis` are no distinct numbers, or a factor is below 1.
    """
    return CompoundSpace(
        {
            phi: compound_scale(hypermodel, values, phi, alpha, beta, gamma)
            for phi in checks.check_choices("phis", phis)
        }
    )


class CompoundSpace(keras_tuner.HyperModel):
    """A network in several sizes; made by `compound_space`.

    Args:
        networks: Dictionary from values of `phi` to networks.
    """

    def __init__(self, networks: Mapping[float, ScaledNetwork]) -> None:
        super().__init__()
        self.networks = dict(networks)

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        """Builds the network of the size that `hp` says."""
        phi = asking.choice(hp, "phi", sorted(self.networks))
        return self.networks[phi].model()


def scaled_depth(number: int, factor: float) -> int:
    """Multiplies a number of layers, rounded up; none stay none."""
    return max(1, math.ceil(number * factor - 1e-9)) if number > 0 else number


def scaled_width(width: int, factor: float) -> int:
    """Multiplies a width, rounded as EfficientNet rounds its filters."""
    wanted = width * factor
    if factor == 1.0:
        return width
    if width % _DIVISOR:
        return max(1, round(wanted))
    rounded = max(_DIVISOR, int(wanted + _DIVISOR / 2) // _DIVISOR * _DIVISOR)
    # Not less than nine tenths of the exact width.
    return rounded + _DIVISOR if rounded < 0.9 * wanted else rounded


def scaled_resolution(side: int, factor: float) -> int:
    """Multiplies the side of an image, rounded to a pixel."""
    return max(1, round(side * factor))


def _completed(
    hypermodel: Scalable, values: Mapping[str, Any]
) -> dict[str, Any]:
    """Returns the values of a network, with defaults for what they lack."""
    hp = explored(hypermodel.build)
    given = {n: v for n, v in values.items() if not n.startswith("tuner/")}
    names = {gene.name for gene in hp.space}
    genome = to_space(hp).complete(given)
    known = {n: v for n, v in given.items() if n in genome or n not in names}
    return genome | known
