"""Reasons for which a model is trained by its own `fit`, not in a cohort.

A cohort calls the steps of its members, not their `fit`. A model that changes
what `fit` does beside its steps would be trained otherwise than its author
wrote it.
"""

import contextlib
import inspect
import random
import types
from collections.abc import Iterable
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_evonas.training.callbacks import needs_steps
from keras_evonas.training.callbacks import profiles
from keras_evonas.training.structure import structure_of

# What a cohort calls as `fit` does, asks as `fit` does, or what `fit` does not
# call at all, of all that Keras's trainers (3.15) define. A model may override
# these; overriding another, also one of a later Keras, is a reason.
_HARMLESS = {
    # Called by a cohort, too.
    *("train_step", "test_step", "compute_loss", "compute_metrics"),
    *("metrics", "jit_compile", "run_eagerly"),
    # Called before the training.
    *("__init__", "compile", "compile_from_config", "get_compile_config"),
    # Not called by `fit`.
    *("predict", "predict_step", "predict_on_batch", "train_on_batch"),
    *("test_on_batch", "make_predict_function", "metrics_names"),
    *("stateless_compute_loss", "compiled_loss", "compiled_metrics"),
    *("loss", "distribute_reduction_method"),
    # What both call, by way of the above.
    *("_compute_loss", "_aggregate_additional_loss", "_get_own_metrics"),
    *("_resolve_auto_jit_compile", "_compiled_metrics_update_state"),
    *("_flatten_metrics_in_order", "_warn_if_trainable_state_changed"),
}


class NotInCohortError(Exception):
    """A member turns out to need its own `fit` while a cohort trains it."""


def why_no_cohorts() -> str | None:
    """Returns why this process cannot train cohorts, or `None`.

    The end of a sentence that begins with "because"; it holds for all models.
    """
    if tf.config.functions_run_eagerly():
        return "`tf.config.run_functions_eagerly(True)` is set"
    if tf.distribute.has_strategy():
        return "the scope of a distribution strategy is open"
    for limit in ("max_epochs", "max_steps_per_epoch"):
        # Keras has them since 3.12.
        if getattr(keras.config, limit, lambda: None)():
            return f"`keras.config.set_{limit}` limits `fit`"
    return None


def why_not_in_cohort(
    model: keras.Model, callbacks: Iterable[keras.callbacks.Callback] = ()
) -> str | None:
    """Returns why a model must be trained by its own `fit`, or `None`.

    The end of a sentence that begins with "because". The model is as it was
    built; the callbacks are those that it is trained with.
    """
    for name in _trainer_names():
        if name not in _HARMLESS and _is_own(model, name):
            return f"the model has its own `{name}`"
    for name in ("train_function", "test_function"):
        if getattr(model, name, None) is not None:
            return f"the model's `{name}` was made before its training"
    if model.run_eagerly:
        return "the model runs eagerly"
    if _is_distributed(model):
        return "the model was built in the scope of a distribution strategy"
    if profiles(callbacks):
        return "a `TensorBoard` profiles it, and a process has one profiler"
    if needs_steps(callbacks) and getattr(model, "steps_per_execution", 1) != 1:
        return "the callbacks listen to batches, and several batches are one"
    return why_no_cohorts()


def has_own(model: keras.Model, *names: str) -> bool:
    """Returns whether a method or property of a model is not that of Keras."""
    return any(_is_own(model, name) for name in names)


def is_made_of_layers(model: keras.Model) -> bool:
    """Returns whether a model has known inputs and Keras's own `call`."""
    return bool(getattr(model, "inputs", None)) and not has_own(model, "call")


def _trainer_names() -> Iterator[str]:
    """Yields all that the trainers of Keras define, private names included."""
    for owner in keras.Model.__mro__:
        if owner.__name__.endswith("Trainer"):
            for name, value in vars(owner).items():
                if isinstance(value, property) or callable(value):
                    yield name


def _is_own(model: keras.Model, name: str) -> bool:
    try:
        value = inspect.getattr_static(model, name)
    except AttributeError:
        return False
    if isinstance(value, staticmethod | classmethod):
        value = value.__func__
    parts = [value]
    if isinstance(value, property):
        parts = [value.fget, value.fset]
    return any(part is not None and not _is_keras(part) for part in parts)


def _is_keras(function: object) -> bool:
    if isinstance(function, types.MethodType):
        function = function.__func__
    module = str(getattr(function, "__globals__", {}).get("__name__", ""))
    return module.partition(".")[0] == "keras"


def _is_distributed(model: keras.Model) -> bool:
    default = tf.distribute.get_strategy()
    if model.distribute_strategy is not default:
        return True
    optimizer = getattr(model, "optimizer", None)  # None before `compile`.
    variables = [*model.variables, *(optimizer.variables if optimizer else ())]
    return any(
        isinstance(
            getattr(variable, "value", variable),
            tf.distribute.DistributedValues,
        )
        for variable in variables
    )


@contextlib.contextmanager
def refusing_draws(model: keras.Model) -> Iterator[None]:
    """Refuses a model that draws from Python's or NumPy's generator if traced.

    Such draws become constants of what is traced, and `fit` traces a step as
    often as it likes. Of Keras's own layers (3.15) `AugMix` draws so. Others
    may, where code of the user's own is part of the model; there it is taken
    for the model's, too, if another thread draws meanwhile.

    Raises:
        NotInCohortError: If it has drawn.
    """
    layers = model._flatten_layers()  # noqa: SLF001 (no public way)
    if structure_of(model) is not None and not any(
        type(layer).__name__ == "AugMix" for layer in layers
    ):
        yield
        return
    before = _states()
    yield
    if before != _states():
        raise NotInCohortError(
            "it draws from Python's or NumPy's generator while it is traced"
        )


def _states() -> tuple[object, ...]:
    state: Any = np.random.get_state()  # noqa: NPY002 (the global one)
    name, keys, *rest = state
    return (random.getstate(), name, keys.tobytes(), *rest)
