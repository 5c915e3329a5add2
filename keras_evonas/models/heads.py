"""Heads: the output of a network, with its loss and metrics.

A head is a value. The same body of a network serves every kind of target with
another head.
"""

import dataclasses
from typing import Any
from typing import ClassVar
from typing import Protocol

import keras

from keras_evonas.models.checks import check_count

_LABELS = ("one_hot", "integer")


class Head(Protocol):
    """The output of a network, and the loss and metrics to compile with."""

    @property
    def loss(self) -> keras.losses.Loss | str:
        """The loss to compile with."""

    @property
    def metrics(self) -> list[Any]:
        """The metrics to compile with."""

    def __call__(self, features: keras.KerasTensor) -> keras.KerasTensor:
        """Returns the output tensor for features of shape `(batch, n)`."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Classification:
    """One of several classes: softmax and categorical cross-entropy.

    Args:
        classes: Integer, the number of classes, at least 2.
        labels: `"one_hot"` for targets of shape `(batch, classes)`, or
            `"integer"` for targets of shape `(batch,)`. Defaults to
            `"one_hot"`.

    Raises:
        ValueError: If `classes` is below 2 or `labels` is neither.
    """

    classes: int
    labels: str = "one_hot"

    def __post_init__(self) -> None:
        check_count("classes", self.classes, 2, "Use Binary() for one output.")
        if self.labels not in _LABELS:
            raise ValueError(
                f"`labels` must be one of {_LABELS}. Received: "
                f"labels={self.labels!r}."
            )

    @property
    def loss(self) -> keras.losses.Loss | str:
        """The loss to compile with."""
        if self.labels == "integer":
            return keras.losses.SparseCategoricalCrossentropy()
        return keras.losses.CategoricalCrossentropy()

    @property
    def metrics(self) -> list[Any]:
        """The metrics to compile with: `accuracy`."""
        return ["accuracy"]

    def __call__(self, features: keras.KerasTensor) -> keras.KerasTensor:
        """Returns the probabilities of the classes."""
        return _dense(self.classes, "softmax")(features)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Binary:
    """Yes or no: one sigmoid and binary cross-entropy."""

    loss: ClassVar[str] = "binary_crossentropy"

    @property
    def metrics(self) -> list[Any]:
        """The metrics to compile with: `accuracy`."""
        return ["accuracy"]

    def __call__(self, features: keras.KerasTensor) -> keras.KerasTensor:
        """Returns the probability of yes."""
        return _dense(1, "sigmoid")(features)


@dataclasses.dataclass(frozen=True, kw_only=True)
class MultiLabel:
    """Any number of several labels: a sigmoid for each.

    Args:
        labels: Integer, the number of labels, at least 1.

    Raises:
        ValueError: If `labels` is below 1.
    """

    labels: int
    loss: ClassVar[str] = "binary_crossentropy"

    def __post_init__(self) -> None:
        check_count("labels", self.labels, 1)

    @property
    def metrics(self) -> list[Any]:
        """The metrics to compile with: `accuracy`, the mean over labels."""
        return [keras.metrics.BinaryAccuracy(name="accuracy")]

    def __call__(self, features: keras.KerasTensor) -> keras.KerasTensor:
        """Returns the probabilities of the labels."""
        return _dense(self.labels, "sigmoid")(features)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Regression:
    """Numbers: a linear output and the mean squared error.

    Args:
        outputs: Integer, the number of outputs. Defaults to 1.
        loss: String or `keras.losses.Loss`. Defaults to
            `"mean_squared_error"`.

    Raises:
        ValueError: If `outputs` is less than 1.
    """

    outputs: int = 1
    loss: keras.losses.Loss | str = "mean_squared_error"

    def __post_init__(self) -> None:
        check_count("outputs", self.outputs, 1)

    @property
    def metrics(self) -> list[Any]:
        """The metrics to compile with: `mean_absolute_error`."""
        return [keras.metrics.MeanAbsoluteError()]

    def __call__(self, features: keras.KerasTensor) -> keras.KerasTensor:
        """Returns the numbers."""
        return _dense(self.outputs, None)(features)


def _dense(units: int, activation: str | None) -> keras.layers.Dense:
    # In full precision under every policy: a loss in half precision underflows.
    return keras.layers.Dense(
        units, activation=activation, dtype="float32", name="head"
    )
