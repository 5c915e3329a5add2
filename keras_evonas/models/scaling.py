"""Compound scaling: a found network grown in depth, width and resolution."""

import copy
import math
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import keras
import keras_tuner

from keras_evonas.hyperparameters import to_space
from keras_evonas.models import genes
from keras_evonas.models.explanation import explored

# The last parts of the names of hyperparameters that are scaled.
DEPTHS = ("depth", "blocks", "cells", "repeats")
WIDTHS = ("units", "filters", "stem", "output_dim")
RESOLUTIONS = ("resolution", "image_size")
# Bounds of the hypermodels of this package that a depth may outgrow.
_BOUNDS = ("depth", "blocks", "cells")
_DIVISOR = 8


def compound_scale(
    hypermodel: Any,
    values: Mapping[str, Any],
    phi: float,
    alpha: float = 1.2,
    beta: float = 1.1,
    gamma: float = 1.15,
) -> "ScaledNetwork":
    """Grows a found network by one number, as EfficientNet is grown.

    Follows Tan & Le (2019): the depth is multiplied by `alpha ** phi`, the
    width by `beta ** phi` and the resolution by `gamma ** phi`. With the
    defaults, those of the paper, each step of `phi` about doubles the FLOPs.
    Depths are rounded up, and widths to multiples of 8 where they were some.

    What is a depth or a width is told by the last part of its name: `depth`,
    `blocks`, `cells` and `repeats`; `units`, `filters`, `stem` and
    `output_dim`. A layer that is added has the values of the last one before.
    A depth that other hyperparameters hang on grows beyond its range only in
    the hypermodels of this package. The resolution is grown where the
    hypermodel has an `input_shape` of an image and a `head`, as those of this
    package have, by resizing the images inside of the network; elsewhere by
    hyperparameters named `resolution` or `image_size`.

    Args:
        hypermodel: A `keras_tuner.HyperModel`, or a function that takes
            hyperparameters and returns a model.
        values: Mapping from names to values, of the network that was found,
            such as `trial.hyperparameters.values`.
        phi: Number, how far to grow; 0 is the network itself, and a negative
            one shrinks it.
        alpha: Float, the growth of the depth. Defaults to 1.2.
        beta: Float, the growth of the width. Defaults to 1.1.
        gamma: Float, the growth of the resolution. Defaults to 1.15.

    Returns:
        A hypermodel of this one network; its `values` tell what it is.

    Raises:
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
    hp = explored(hypermodel)
    grown = copy.copy(hypermodel)
    scaled = _scaled(grown, hp, values, (alpha**phi, beta**phi, gamma**phi))
    side = None
    shape = getattr(hypermodel, "input_shape", None)
    if shape is not None and len(shape) == 3 and hasattr(hypermodel, "head"):
        height, width, channels = shape
        side = (
            max(1, round(height * gamma**phi)),
            max(1, round(width * gamma**phi)),
        )
        if side == (height, width):
            side = None
        else:
            grown.input_shape = (*side, channels)
    return ScaledNetwork(grown, scaled, shape if side else None)


class ScaledNetwork(keras_tuner.HyperModel):
    """A network of another size; made by `compound_scale`.

    Args:
        hypermodel: What builds it.
        values: Dictionary of the values to build it with.
        image_shape: Shape of the images that are resized to what `hypermodel`
            takes, or `None` if they are not.

    Attributes:
        values: The values that it is built with.
    """

    def __init__(
        self,
        hypermodel: Any,
        values: dict[str, Any],
        image_shape: tuple[int, ...] | None,
    ) -> None:
        super().__init__()
        self.values = values
        self._hypermodel = hypermodel
        self._image_shape = image_shape

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        """Builds the network, the same one whatever `hp` is."""
        del hp
        return self.model()

    def model(self) -> keras.Model:
        """Builds the network."""
        own = keras_tuner.HyperParameters()
        own.values = dict(self.values)
        if isinstance(self._hypermodel, keras_tuner.HyperModel):
            # keras-tuner 1.4.8 binds `build` to an object when it is made, so
            # that a copy's is that of the original.
            model = type(self._hypermodel).build(self._hypermodel, own)
        else:
            model = self._hypermodel(own)
        if self._image_shape is None:
            return model
        head = self._hypermodel.head
        inputs = keras.Input(self._image_shape)
        size = self._hypermodel.input_shape[:2]
        outputs = model(keras.layers.Resizing(*size)(inputs))
        resized = keras.Model(inputs, outputs, name=model.name)
        resized.compile(
            optimizer=model.optimizer, loss=head.loss, metrics=head.metrics
        )
        return resized


def compound_space(
    hypermodel: Any,
    values: Mapping[str, Any],
    *,
    phis: Sequence[float] = (0, 1, 2, 3),
    alpha: float = 1.2,
    beta: float = 1.1,
    gamma: float = 1.15,
) -> "CompoundSpace":
    """Makes a space with one gene, `phi`: how far a network is grown.

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
        ValueError: If `phis` are no distinct numbers, or a factor is below 1.
    """
    return CompoundSpace(
        {
            phi: compound_scale(hypermodel, values, phi, alpha, beta, gamma)
            for phi in genes.check_choices("phis", phis)
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
        return self.networks[
            genes.choice(hp, "phi", sorted(self.networks))
        ].model()


def _scaled(
    grown: Any,
    hp: keras_tuner.HyperParameters,
    values: Mapping[str, Any],
    factors: tuple[float, float, float],
) -> dict[str, Any]:
    """Values of the grown network; bounds of `grown` follow."""
    depth, width, resolution = factors
    given = {n: v for n, v in values.items() if not n.startswith("tuner/")}
    names = {gene.name for gene in hp.space}
    genome = to_space(hp).complete(given)
    scaled = genome | {
        name: value
        for name, value in given.items()
        if name in genome or name not in names
    }
    parents = {one.name for gene in hp.space for one in gene.conditions}
    ranges = {gene.name: gene for gene in hp.space}
    kinds = {name: _kind(name) for name in scaled}
    for name, kind in kinds.items():
        value = scaled[name]
        if not isinstance(value, bool) and isinstance(value, int):
            if kind in WIDTHS:
                scaled[name] = _rounded(value, width)
            elif kind in RESOLUTIONS:
                scaled[name] = max(1, round(value * resolution))
    # Layers that are added copy what is scaled.
    for name, kind in kinds.items():
        value = scaled[name]
        if kind in DEPTHS and type(value) is int and value > 0:
            number = max(1, math.ceil(value * depth - 1e-9))
            if kind in _BOUNDS and isinstance(getattr(grown, kind, 0), tuple):
                low, high = getattr(grown, kind)
                setattr(grown, kind, (min(low, number), max(high, number)))
            elif name in parents:
                number = min(number, max(_numbers(ranges[name])))
            scaled[name] = number
            _add_layers(scaled, name, value, number)
    return scaled


def _kind(name: str) -> str:
    return name.rpartition("/")[2].rstrip("_0123456789")


def _numbers(gene: Any) -> Sequence[int]:
    values = getattr(gene, "values", None)
    return list(values) if values else [gene.max_value]


def _add_layers(
    scaled: dict[str, Any], name: str, count: int, number: int
) -> None:
    """Gives added layers the values of the last one before.

    What belongs to layer `i` has `i`, or a word that ends with `_i`, as a part
    of its name, beside the name of the number of layers or below it.
    """
    group = name.rpartition("/")[0]
    first = group.count("/") + 1 if group else 0
    last = str(count - 1)
    for old in [n for n in scaled if n.startswith(group) and n != name]:
        parts = old.split("/")
        for place in range(first, len(parts)):
            stem = parts[place].removesuffix(last)
            if stem == parts[place] or (stem and not stem.endswith("_")):
                continue
            for index in range(count, number):
                added = [*parts]
                added[place] = f"{stem}{index}"
                scaled["/".join(added)] = scaled[old]


def _rounded(width: int, factor: float) -> int:
    """A width times a factor, as EfficientNet rounds it."""
    wanted = width * factor
    if factor == 1.0:
        return width
    if width % _DIVISOR:
        return max(1, round(wanted))
    rounded = max(_DIVISOR, int(wanted + _DIVISOR / 2) // _DIVISOR * _DIVISOR)
    # Not less than nine tenths of what was asked for.
    return rounded + _DIVISOR if rounded < 0.9 * wanted else rounded
