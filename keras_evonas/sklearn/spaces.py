"""Search spaces for an estimator's data."""

import contextlib
import json
from collections.abc import Callable
from typing import Any
from typing import TypeAlias

import keras
import keras_tuner
import numpy as np

from keras_evonas.models.checks import check_built
from keras_evonas.models.checks import check_hypermodel
from keras_evonas.models.conv import ConvNetwork
from keras_evonas.models.costs.isolation import isolated
from keras_evonas.models.dense import DenseNetwork
from keras_evonas.models.evolvable import evolvable
from keras_evonas.models.heads import Classification
from keras_evonas.models.heads import Regression
from keras_evonas.oracles.checks import Initial

SearchedSpace: TypeAlias = (
    keras_tuner.HyperModel
    | Callable[[keras_tuner.HyperParameters], keras.Model]
)
# Examples by whose outputs probabilities are told from logits, and how far
# above 1 a probability may be rounded.
LOOKED_AT = 256
_ROUNDING = 1e-3
# Networks of this size are trained in seconds, and more than most tables need.
_UNITS, _DEPTH = (16, 256), (1, 3)


class TableNetwork(DenseNetwork):
    """Fully connected networks, and the linear one.

    `kind` is "deep" for the networks of `DenseNetwork`, or "linear" for one
    without hidden layers, which a few examples or much noise call for.
    """

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        """Builds and compiles a network; see `keras_tuner.HyperModel`."""
        kind = hp.Choice("kind", ["deep", "linear"])
        if kind == "deep":
            with hp.conditional_scope("kind", ["deep"]):
                return super().build(hp)
        with hp.conditional_scope("kind", ["linear"]), hp.name_scope("linear"):
            inputs = keras.Input(self.input_shape)
            return self.compiled(hp, inputs, inputs)


def space_for(
    space: object, inputs: np.ndarray, head: Classification | Regression
) -> SearchedSpace:
    """Returns the space to search: the user's, or one that follows the data.

    Raises:
        TypeError: If `space` is none of these.
        ValueError: If there is no space for inputs of such a shape.
    """
    if isinstance(space, keras.Model):
        return _around(space, inputs, head)
    if space is not None:
        check_hypermodel("space", space)
        return space
    shape = inputs.shape[1:]
    if len(shape) == 1:
        return TableNetwork(
            shape, head, units=_UNITS, depth=_DEPTH, optimizer=_tuned_adamw
        )
    if len(shape) == 3:
        return ConvNetwork(shape, head)
    raise ValueError(
        "`X` must have two dimensions (a table) or four (images, channels "
        f"last), or else `space` must be given. Received: X of shape "
        f"{inputs.shape} and space=None."
    )


def first_trials(space: SearchedSpace) -> list[Initial]:
    """Returns the networks to begin a search with."""
    if isinstance(space, TableNetwork):
        return ["default", {"kind": "linear"}]
    return ["default"]


def identity_of(space: SearchedSpace) -> str:
    """Returns what tells spaces apart: hyperparameters and default network.

    Functions of one name may make networks that differ in what they close over.
    """

    def task() -> str:
        hp = keras_tuner.HyperParameters()
        model = getattr(space, "build", space)(hp)
        try:
            network = keras.saving.serialize_keras_object(model)
        except Exception:  # Whatever a part of the user's own raises.
            weights = [(w.path, w.shape) for w in model.weights]
            network = {"name": model.name, "weights": weights}
        return json.dumps(
            [hp.get_config(), network],
            # Nothing that changes from run to run, such as an address.
            default=lambda value: type(value).__qualname__,
            sort_keys=True,
        )

    return isolated(task)


def targets_for(
    space: SearchedSpace,
    head: Classification | Regression,
    targets: np.ndarray,
) -> np.ndarray:
    """Returns targets as the networks of a space of the user's take them.

    Integer labels become one-hot ones for categorical cross-entropy.

    Raises:
        ValueError: If the networks have another number of outputs.
    """
    build = getattr(space, "build", space)
    model = build(keras_tuner.HyperParameters())
    check_built("space", model)
    few: tuple[int, ...] = ()
    if isinstance(head, Classification):
        # One sigmoid does for two classes.
        wanted, few = head.classes, (1,) * (head.classes == 2)
    else:
        wanted = head.outputs
    # Some networks are built when they see data.
    shape = model.output_shape if model.built else (None, wanted)
    if not isinstance(shape, tuple) or shape[-1] not in (wanted, *few):
        raise ValueError(
            f"The networks of `space` must have one output of {wanted} units, "
            "one for each class or target of `y`. Received: networks with "
            f"outputs of shape {shape}."
        )
    loss = getattr(model, "loss", None)
    name = getattr(loss, "name", None) or getattr(loss, "__name__", loss)
    plain = str(name).lower().replace("_", "")
    if isinstance(loss, _ONE_HOT) or plain == "categoricalcrossentropy":
        return np.asarray(keras.utils.to_categorical(targets, wanted))
    return targets


# Losses that take one-hot labels, whatever their names.
_ONE_HOT = (
    keras.losses.CategoricalCrossentropy,
    keras.losses.CategoricalFocalCrossentropy,
    keras.losses.CategoricalHinge,
)


def is_trained_by_fit(space: object) -> bool:
    """Returns whether a network of a space is its values and `Model.fit`.

    Those around a Keras model go on from its weights, and a hypermodel may
    have a `fit` of its own.
    """
    if isinstance(space, keras_tuner.HyperModel):
        return type(space).fit is keras_tuner.HyperModel.fit
    return not isinstance(space, keras.Model)


def _around(
    model: keras.Model, inputs: np.ndarray, head: Classification | Regression
) -> SearchedSpace:
    if model.compiled:
        return evolvable(model)
    outputs = None
    if isinstance(head, Classification) and model.built:
        # What does not fit the inputs is told by the search.
        with contextlib.suppress(ValueError):
            outputs = model.predict(inputs[:LOOKED_AT], verbose=0)

    def compile_model(
        child: keras.Model, hp: keras_tuner.HyperParameters
    ) -> None:
        loss, metrics = head.loss, head.metrics
        if isinstance(outputs, np.ndarray):
            loss, metrics = _judging(outputs)
        child.compile(_tuned_adamw(hp), loss, metrics=metrics)

    return evolvable(model, compile_model=compile_model)


def are_logits(outputs: np.ndarray) -> bool:
    """Returns whether outputs for classes are no probabilities."""
    return bool(outputs.min() < 0 or outputs.max() > 1 + _ROUNDING)


def _judging(outputs: np.ndarray) -> tuple[keras.losses.Loss, list[Any]]:
    """Makes the loss and metrics for such outputs and integer labels."""
    from_logits = are_logits(outputs)
    if outputs.shape[-1] > 1:
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits)
        return loss, ["accuracy"]
    threshold = 0.0 if from_logits else 0.5
    accuracy = keras.metrics.BinaryAccuracy("accuracy", threshold=threshold)
    return keras.losses.BinaryCrossentropy(from_logits), [accuracy]


def _tuned_adamw(hp: keras_tuner.HyperParameters) -> keras.Optimizer:
    """Returns Adam with weight decay (Loshchilov & Hutter, 2019)."""
    rate = hp.Float(
        "adamw/learning_rate", 1e-4, 1e-2, sampling="log", default=1e-3
    )
    decay = hp.Float(
        "adamw/weight_decay", 1e-3, 1.0, sampling="log", default=1e-2
    )
    return keras.optimizers.AdamW(rate, weight_decay=decay)
