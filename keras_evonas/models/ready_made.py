"""The parts that the ready-made hypermodels share."""

import copy
import functools
from collections.abc import Sequence
from typing import Any
from typing import ClassVar
from typing import TypeAlias
from typing import TypeVar

import keras
import keras_tuner

from keras_evonas.models import checks
from keras_evonas.models.heads import Head
from keras_evonas.models.optimizers import TunedOptimizer
from keras_evonas.models.scaling import Scale
from keras_evonas.models.scaling import ScaledNetwork
from keras_evonas.models.shared import Sharing

Tensor: TypeAlias = keras.KerasTensor
Self = TypeVar("Self", bound="ReadyMade")

NORMALIZATIONS = ("none", "batch", "layer")


class ReadyMade(keras_tuner.HyperModel):
    """A hypermodel of networks with a head, which `compound_scale` can grow.

    Args:
        input_shape: Tuple of integers, the shape of one example.
        rank: Integer, the rank that `input_shape` must have, or `None`.
        head: A `Head`.
        optimizer: Function from `hp` to a Keras optimizer.
        name: String, or `None`.
        tunable: Boolean; see `keras_tuner.HyperModel`.
    """

    # The last part of the names of hyperparameters that number layers, which
    # is that of an argument, too, and of those that are widths.
    DEPTH: ClassVar[str]
    WIDTHS: ClassVar[tuple[str, ...]]

    def __init__(
        self,
        input_shape: Sequence[int],
        rank: int | None,
        head: Head,
        optimizer: TunedOptimizer,
        name: str | None,
        tunable: bool,
    ) -> None:
        super().__init__(name=name, tunable=tunable)
        self.input_shape = checks.check_shape(input_shape, rank=rank)
        if not callable(head):
            raise TypeError(
                "`head` must be a `Head` of keras_evonas.models. Received: "
                f"head={head!r} of type {type(head).__name__}. Pass for "
                "example `Classification(classes=10)` or `Regression()`."
            )
        if not callable(optimizer):
            raise TypeError(
                "`optimizer` must be a function that takes hyperparameters and "
                "returns a Keras optimizer. Received: optimizer="
                f"{optimizer!r}. Pass for example `tuned_adam`, or "
                "`lambda hp: keras.optimizers.Adam()`."
            )
        self.head = head
        self.optimizer = optimizer

    def compiled(
        self, hp: keras_tuner.HyperParameters, inputs: Tensor, features: Tensor
    ) -> keras.Model:
        """Puts the head on features, and compiles the network."""
        model = keras.Model(inputs, self.head(features), name=self.name)
        optimizer = self.optimizer(hp)
        if isinstance(hp, Sharing):
            hp.hold_others(self.WIDTHS)
        return _compiled(model, optimizer, self.head)

    def scaled(self, values: dict[str, Any], scale: Scale) -> ScaledNetwork:
        """Returns a network of another size; see `compound_scale`."""
        grown = dict(values)
        low, high = getattr(self, self.DEPTH)
        for name, value in values.items():
            part = name.rpartition("/")[2]
            if part == self.DEPTH:
                grown[name] = scale.depth_of(value)
                low, high = min(low, grown[name]), max(high, grown[name])
            elif part in self.WIDTHS:
                grown[name] = scale.width_of(value)
        shape = self.input_shape
        if len(shape) == 3:
            sides = [scale.resolution_of(n) for n in shape[:2]]
            shape = (*sides, shape[2])
        changes = {self.DEPTH: (low, high), "input_shape": shape}
        hypermodel = self._with(**changes)
        if shape == self.input_shape:
            return ScaledNetwork(hypermodel, grown)
        build = functools.partial(_resized, hypermodel, self.input_shape)
        return ScaledNetwork(build, grown)

    def _with(self: Self, **changes: object) -> Self:
        """Returns the hypermodel with other attributes."""
        changed = copy.copy(self)
        # keras-tuner 1.4.8 binds `build` to the hypermodel that was copied.
        del changed.build
        changed.__dict__.update(changes)
        keras_tuner.HyperModel.__init__(changed, self.name, self.tunable)
        return changed


def _resized(
    hypermodel: ReadyMade,
    image_shape: tuple[int, ...],
    hp: keras_tuner.HyperParameters,
) -> keras.Model:
    """Builds a network whose images are resized for a hypermodel."""
    model = hypermodel.build(hp)
    height, width, _ = hypermodel.input_shape
    inputs = keras.Input(image_shape)
    outputs = model(keras.layers.Resizing(height, width)(inputs))
    resized = keras.Model(inputs, outputs, name=model.name)
    return _compiled(resized, model.optimizer, hypermodel.head)


def _compiled(
    model: keras.Model, optimizer: keras.Optimizer, head: Head
) -> keras.Model:
    model.compile(optimizer, loss=head.loss, metrics=head.metrics)
    return model


def normalized(tensor: Tensor, kind: str) -> Tensor:
    """Applies one of `NORMALIZATIONS`."""
    if kind == "batch":
        return keras.layers.BatchNormalization()(tensor)
    if kind == "layer":
        return keras.layers.LayerNormalization()(tensor)
    return tensor


def dropped_out(tensor: Tensor, rate: float) -> Tensor:
    """Applies dropout, or nothing at a rate of 0."""
    return keras.layers.Dropout(rate)(tensor) if rate else tensor


def dense_block(
    tensor: Tensor,
    units: int,
    activation: str,
    *,
    normalization: str = "none",
    dropout: float = 0.0,
) -> Tensor:
    """Applies a Dense layer, a normalization, an activation and dropout."""
    # A normalization subtracts the bias again, and has an offset of its own.
    tensor = keras.layers.Dense(units, use_bias=normalization == "none")(tensor)
    tensor = normalized(tensor, normalization)
    tensor = keras.layers.Activation(activation)(tensor)
    return dropped_out(tensor, dropout)
