"""Messages for data that do not suit a network."""

import inspect
import re

import keras
import numpy as np

from keras_evonas.training.eligibility import is_made_of_layers
from keras_evonas.training.parts import Batch
from keras_evonas.training.parts import Part
from keras_evonas.training.values import Values
from keras_evonas.training.values import leaves_of
from keras_evonas.training.values import map_leaves

_OF_TWO_CLASSES = ("binary_crossentropy", "binary_focal_crossentropy")
# What Keras's messages have beside the message.
_NOISE = re.compile(
    r"\x1b\[[0-9;]*m"
    r"|\{\{.*?\}\}"
    r"|Exception encountered when calling \S+"
    r"|Arguments received by.*",
    re.DOTALL,
)


class Mismatch:
    """Says how the first batch of data and a compiled network do not fit."""

    def __init__(self, model: keras.Model, part: Part, batch: Batch) -> None:
        self._model = model
        self._part = part
        self._x, self._y, self._weight = batch
        # Some models take the shape of the first data that they meet.
        self._inputs = [*model.inputs] if is_made_of_layers(model) else []

    @property
    def has_weights(self) -> bool:
        """True if the examples have weights."""
        return self._weight is not None

    @property
    def may_lack_batches(self) -> bool:
        """True if the elements of a data set may be single examples."""
        return self._part.kind == "a tf.data.Dataset" and all(
            None not in leaf.shape[:1] for leaf in keras.tree.flatten(self._x)
        )

    def check_strings(self, *, of_labels: bool) -> None:
        """Raises a `ValueError` if strings meet inputs or losses for numbers.

        Shapes do not show it: a conversion to numbers fails when it is run.
        """
        takes_numbers = self._inputs and not _has_strings(self._inputs)
        if takes_numbers and _has_strings(self._x):
            raise ValueError(
                f"{self._name(0)} must hold numbers for the inputs of the "
                "networks. Received: strings. Encode them, or begin the "
                'networks with `keras.Input(shape, dtype="string")` and '
                "`keras.layers.StringLookup` or `TextVectorization`."
            )
        losses = keras.tree.flatten(self._model.loss)
        if of_labels and _has_strings(self._y) and all(map(_is_keras, losses)):
            raise ValueError(
                f"{self._name(1)} must hold numbers for the loss "
                f"{self._loss()}. Received: strings. Number the classes, for "
                "example with `numpy.unique(labels, return_inverse=True)`."
            )

    def check_labels(self, outputs: Values) -> None:
        """Raises a `ValueError` unless labels are in the range of the loss.

        Those in integers number the classes; those of two classes are from
        0 to 1.
        """
        _, y, _ = self._part.data
        loss = self._model.loss
        is_of_two = _name_of(loss) in _OF_TWO_CLASSES
        is_sparse = _name_of(loss) == "sparse_categorical_crossentropy"
        is_read = self._part.kind is None and self._part.steps is None
        is_array = isinstance(y, np.ndarray) and y.dtype.kind in "iuf"
        if not (is_read and is_array and (is_of_two or is_sparse)):
            return
        if not np.isfinite(y).all():
            return
        least, most = y.min(), y.max()
        if is_of_two and (least < 0 or most > 1):
            raise ValueError(
                f"{self._name(1)} must hold labels from 0 to 1 for the loss "
                f"{self._loss()}. Received: labels from {least} to {most}. "
                "Number two classes 0 and 1; for more, give the last layer a "
                "unit for each class and the activation 'softmax', and compile "
                'with the loss "sparse_categorical_crossentropy".'
            )
        classes = getattr(outputs, "shape", (None,))[-1]
        if getattr(loss, "ignore_class", None) is not None:
            return
        if is_sparse and classes and (least < 0 or most >= classes):
            raise ValueError(
                f"{self._name(1)} must hold labels from 0 to {classes - 1}, "
                f"since the outputs of the networks are {classes} classes. "
                f"Received: labels from {least} to {most}. Number the classes "
                "from 0, or give the last layer more units."
            )

    def of_batches(self) -> ValueError:
        """Returns the error for a data set of single examples."""
        return ValueError(
            f"`{self._part.name}` must be a data set of batches. Received: "
            "a tf.data.Dataset whose elements are single examples, with "
            f"inputs of shape {_shapes(self._x)}. Call `.batch(32)` on it."
        )

    def of_inputs(self, error: Exception) -> ValueError:
        """Returns the error for data that do not suit the inputs."""
        received, way_out = "None", "Pass the examples."
        if self._x is not None:
            received, way_out = _received(self._x), self._input_way_out()
        expected = ""
        if self._inputs:
            expected = f" Expected: {self._input_shapes()} for each example."
        return ValueError(
            f"{self._name(0)} must suit the inputs of the networks.{expected} "
            f"Received: {received}. {way_out} {_said(error)}"
        )

    def of_labels(self, error: Exception, outputs: Values) -> ValueError:
        """Returns the error for data that do not suit the loss."""
        if unknown := _of_unknown_name(error):
            return unknown
        if self._y is None:
            return self._of_missing_labels()
        special = self._of_classes(outputs)
        if special is not None:
            return special
        expected = ""
        if outputs is not None:
            expected = (
                f" Expected: targets for outputs of shape "
                f"{_shapes(outputs, 1)} for each example."
            )
        return ValueError(
            f"{self._name(1)} must suit the outputs and the loss "
            f"{self._loss()} of the networks.{expected} Received: "
            f"{_received(self._y)}. Reshape the targets, or change the "
            f"last layer or the loss. {_said(error)}"
        )

    def of_weights(self, error: Exception) -> ValueError:
        """Returns the error for weights that do not suit the losses."""
        return ValueError(
            f"{self._name(2)} must hold factors of the losses of the examples. "
            f"Received: {_received(self._weight)}. Pass one number for "
            f"each example, as an array of shape `(n,)`. {_said(error)}"
        )

    def of_metrics(self, error: Exception) -> ValueError:
        """Returns the error for data that do not suit the metrics."""
        if unknown := _of_unknown_name(error):
            return unknown
        return ValueError(
            f"{self._name(1)} must suit the metrics of the networks. Received: "
            f"{_received(self._y)}. Change the metrics that `compile` is "
            f"given. {_said(error)}"
        )

    def _of_missing_labels(self) -> ValueError:
        part, received = self._part, "none"
        expected = f"{self._name(1)} must be given"
        if part.kind is not None:
            received = f"{part.kind} that gives inputs alone"
        elif part.is_validation:
            expected = "`validation_data` must be a pair `(x_val, y_val)`"
            if len(part.given) == 1:
                received = f"one {type(part.data[0]).__name__}"
        return ValueError(
            f"{expected}, since the loss {self._loss()} compares outputs with "
            f"targets. Received: {received}. Pass targets, or compile the "
            "networks without `loss` if their layers call `add_loss`."
        )

    def _of_classes(self, outputs: Values) -> ValueError | None:
        """Returns the error for classes in the form of the other loss."""
        loss = _name_of(self._model.loss)
        if keras.tree.is_nested(self._y) or not hasattr(outputs, "shape"):
            return None
        labels, classes = self._y.shape, outputs.shape[-1]
        are_rows = len(labels) == len(outputs.shape) and labels[-1] != 1
        if loss.startswith("categorical") and not are_rows:
            return ValueError(
                f"{self._name(1)} must hold one-hot labels, rows of {classes} "
                f"numbers, for the loss {self._loss()}. Received: integer "
                f"labels, {_received(self._y)}. Compile with the loss "
                '"sparse_categorical_crossentropy", or with '
                '`Classification(..., labels="integer")`, or pass '
                f"`keras.utils.to_categorical(y, {classes})`."
            )
        if loss == "sparse_categorical_crossentropy" and are_rows:
            return ValueError(
                f"{self._name(1)} must hold integer labels for the loss "
                f"{self._loss()}. Received: one-hot labels, "
                f"{_received(self._y)}. Compile with the loss "
                '"categorical_crossentropy", or with `Classification(...)` '
                "without `labels`, or pass `y.argmax(axis=-1)`."
            )
        return None

    def _name(self, place: int) -> str:
        """Names `x`, `y` or `sample_weight` at the beginning of a sentence."""
        if self._part.kind is None:
            return f"`{self._part.names[place]}`"
        noun = ("inputs", "targets", "sample weights")[place]
        return f"The {noun} in `{self._part.name}`"

    def _loss(self) -> str:
        return f"{_name_of(self._model.loss)!r}"

    def _input_shapes(self) -> Values:
        """Returns the shapes of the inputs in a structure like the data's."""
        shapes = [tuple(one.shape)[1:] for one in self._inputs]
        if isinstance(self._x, dict):
            names = [one.name for one in self._inputs]
            return dict(zip(names, shapes, strict=True))
        return shapes[0] if len(shapes) == 1 else shapes

    def _input_way_out(self) -> str:
        if not self._inputs:
            return "Reshape the data, or change the first layer."
        names = [tensor.name for tensor in self._inputs]
        if isinstance(self._x, dict) and set(names) - set(self._x):
            return (
                f"Nothing is given for {sorted(set(names) - set(self._x))}: "
                "name the arrays as the `name` of each `keras.Input`."
            )
        if len(keras.tree.flatten(self._x)) == len(names):
            return "Reshape the data, or change the shape of `keras.Input`."
        if len(names) == 1:
            return "Join the arrays, or give the networks more inputs."
        return (
            f"Pass a list of {len(names)} arrays or a dictionary with the keys "
            f"{names}."
        )


def _has_strings(spec: Values) -> bool:
    return any(leaf.dtype == "string" for leaf in leaves_of(spec))


def _received(spec: Values) -> str:
    """Describes data by the shapes of their first batch."""
    return f"a first batch of shape {_shapes(spec)}"


def _shapes(spec: Values, axis: int = 0) -> Values:
    """Returns the structure of shapes, from an axis on."""
    return map_leaves(lambda leaf: tuple(leaf.shape)[axis:], spec)


def _is_keras(loss: Values) -> bool:
    """Returns whether a loss is one of Keras's own, or none."""
    if loss is None or isinstance(loss, str):
        return True
    owner = loss if hasattr(loss, "__name__") else type(loss)
    return str(owner.__module__).startswith("keras.")


def _name_of(loss: Values) -> str:
    """Returns the name of a loss as `compile` takes it."""
    if isinstance(loss, str):
        try:
            loss = keras.losses.get(loss)
        except ValueError:
            return str(loss)
    if inspect.isfunction(loss):
        return loss.__name__
    if isinstance(loss, keras.losses.Loss):
        words = re.findall("[A-Z][^A-Z]*", type(loss).__name__)
        return "_".join(words).lower()
    return str(loss)


def _of_unknown_name(error: Exception) -> ValueError | None:
    """Returns the error for a loss or a metric that Keras does not know."""
    if "Could not interpret" not in str(error):
        return None
    return ValueError(
        "`compile` must be given losses and metrics that Keras knows, such as "
        '"categorical_crossentropy" and "accuracy", in the network that '
        f"`hypermodel` returns. {_said(error)}"
    )


def _said(error: Exception) -> str:
    """Quotes the message of an error of Keras without what surrounds it."""
    message = " ".join(_NOISE.sub("", str(error)).split())
    return f"Keras says: {message[:300]}"
