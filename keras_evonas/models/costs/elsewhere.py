"""Costs where Keras runs on JAX or torch: TensorFlow counts in a child.

Only a graph of TensorFlow has all numbers of a network without its weights.
Where Keras runs on another backend, a child process with the TensorFlow backend
builds the network again, so that the numbers are the same on all of them.
"""

import functools
import threading
from collections.abc import Callable
from typing import Any
from typing import TypeVar

import keras

from keras_evonas.keras_settings import KerasSettings
from keras_evonas.models.costs.inputs import layers_within

Result = TypeVar("Result")

# The child ends when it had nothing to do for so many seconds, and so does not
# outlive a search that was killed.
_IDLE_SECONDS = 300
_ENVIRONMENT = {
    "KERAS_BACKEND": "tensorflow",
    "CUDA_VISIBLE_DEVICES": "-1",
    "TF_CPP_MIN_LOG_LEVEL": "2",
    # A child takes little memory: networks are built without weights.
    "LOKY_MAX_MEMORY_LEAK_SIZE": "1e18",
}
_LOCK = threading.Lock()


class NotSendableError(ValueError):
    """Says that a network cannot be built in the child process."""


def needs_child() -> bool:
    """Returns whether Keras runs on another backend than TensorFlow."""
    return bool(keras.config.backend() != "tensorflow")


def in_tensorflow(task: Callable[[], Result]) -> Result:
    """Runs a task in the child process, whose Keras runs on TensorFlow.

    The child begins with the first task, which takes some seconds, and stays.
    It has the data formats and the dtype policy of this process.

    Args:
        task: Function to run, of which all can be sent to a process. What it
            builds must not depend on the backend: layers of one's own are
            written with `keras.ops`.

    Raises:
        NotSendableError: If the task cannot be sent.
    """
    # Slow to import, and only needed where Keras runs on another backend.
    import loky
    from loky.backend.reduction import dumps

    settings = KerasSettings.now()
    try:
        dumps((settings, task))
    except Exception as error:
        raise NotSendableError(
            "The network must be sendable to a process, where TensorFlow "
            f"counts its costs: Keras runs on {keras.config.backend()} here. "
            f"Received: {error!r}. Leave out of its layers what cannot be "
            "pickled, and give each a `get_config`."
        ) from error

    def ask() -> Result:
        result: Result = _child().submit(_run, settings, task).result()
        return result

    with _LOCK:
        try:
            return ask()
        except loky.process_executor.BrokenProcessPool:
            # A new child is begun, once: the network may be what ended it.
            _child.cache_clear()
            return ask()


def description_of(model: keras.Model) -> Callable[[], keras.Model]:
    """Returns a function that builds a model again, without its weights.

    Raises:
        NotSendableError: If a layer cannot tell its configuration.
    """
    try:
        config = keras.saving.serialize_keras_object(model)
    except Exception as error:
        raise NotSendableError(
            "The network must tell its configuration, from which TensorFlow "
            f"counts its costs: Keras runs on {keras.config.backend()} here. "
            f"Received: {error!r}. Give each of its layers a `get_config`."
        ) from error
    config.pop("compile_config", None)  # Costs do not depend on a loss.
    own = {type(one) for one in [model, *layers_within(model)]}
    known, text = keras.saving.get_custom_objects(), str(config)
    names = {name: known[name] for name in known if name in text}
    names |= {
        one.__name__: one
        for one in own
        if not one.__module__.startswith("keras.")
    }
    return functools.partial(_built, config, names)


@functools.cache
def _child() -> Any:  # noqa: ANN401 (an executor of loky, which has no types)
    import loky

    return loky.ProcessPoolExecutor(
        max_workers=1, timeout=_IDLE_SECONDS, env=_ENVIRONMENT
    )


# What follows runs in the child. This module has imported Keras there before
# a module of the user's is, which may choose another backend.


def _run(settings: KerasSettings, task: Callable[[], Result]) -> Result:
    settings.apply()
    return task()


def _built(config: dict[str, Any], names: dict[str, Any]) -> keras.Model:
    # A Lambda layer is the user's own code, and was sent as such.
    return keras.saving.deserialize_keras_object(
        config, custom_objects=names, safe_mode=False
    )
