"""Compound scaling: a found network grown in depth, width and resolution."""

import dataclasses
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
from keras_evonas.models.costs.estimates import Hypermodel
from keras_evonas.models.costs.estimates import builder_of
from keras_evonas.models.explanation import explored

_DIVISOR = 8


@dataclasses.dataclass(frozen=True, kw_only=True)
class Scale:
    """The factors by which a network grows.

    Attributes:
        depth: Float, for numbers of layers.
        width: Float, for units and filters.
        resolution: Float, for the sides of images.
    """

    depth: float
    width: float
    resolution: float

    def depth_of(self, number: int) -> int:
        """Multiplies a number of layers, rounded up; none stay none."""
        wanted = math.ceil(number * self.depth - 1e-9)
        return max(1, wanted) if number > 0 else number

    def width_of(self, width: int) -> int:
        """Multiplies a width, rounded as EfficientNet rounds its filters."""
        wanted = width * self.width
        if self.width == 1.0:
            return width
        if width % _DIVISOR:
            return max(1, round(wanted))
        eights = max(1, int(wanted + _DIVISOR / 2) // _DIVISOR)
        # Not less than nine tenths of the exact width.
        return _DIVISOR * (eights + (_DIVISOR * eights < 0.9 * wanted))

    def resolution_of(self, side: int) -> int:
        """Multiplies the side of an image, rounded to a pixel."""
        return max(1, round(side * self.resolution))


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

        def scaled(self, values, scale):
            values["layers"] = scale.depth_of(values["layers"])
            values["size"] = scale.width_of(values["size"])
            return ScaledNetwork(self, values)
    ```
    """

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        """Builds a network; see `keras_tuner.HyperModel`."""

    def scaled(self, values: dict[str, Any], scale: Scale) -> "ScaledNetwork":
        """Returns a network of another size.

        Args:
            values: Dictionary of all active hyperparameters of the network,
                which may be changed.
            scale: The factors.
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
            "`keras_tuner.HyperModel` with a method `scaled(self, values, "
            "scale)` that returns a `ScaledNetwork(self, values)` with values "
            "such as `scale.depth_of(values['layers'])`."
        )
    return hypermodel.scaled(
        _completed(hypermodel, values),
        Scale(depth=alpha**phi, width=beta**phi, resolution=gamma**phi),
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
    """Networks of several sizes by `phi`; made by `compound_space`."""

    def __init__(self, networks: Mapping[float, ScaledNetwork]) -> None:
        super().__init__()
        self.networks = dict(networks)

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        """Builds the network of the size that `hp` says."""
        phi = asking.choice(hp, "phi", sorted(self.networks))
        return self.networks[phi].model()


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
