"""Networks are built without the values of their weights.

Where only shapes count, pretrained weights are neither fetched nor loaded, and
variables get no first values, whose operations are half of the time that it
takes to build a network in a graph.
"""

import contextlib
import functools
import sys
import threading
from collections.abc import Callable
from collections.abc import Iterator
from typing import Any

import keras
from tensorflow.python.ops import resource_variable_ops

_THREAD = threading.local()


@contextlib.contextmanager
def weights_left_out() -> Iterator[None]:
    """Lets weights have no values in this thread, which builds in a graph.

    So a hypermodel with `weights="imagenet"` is built as with `weights=None`.
    What a hypermodel fetches itself, by `keras.utils.get_file` or from another
    library, it still fetches.
    """
    _replace()
    before = _is_left_out()
    _THREAD.leaves_out = True
    try:
        yield
    finally:
        _THREAD.leaves_out = before


def _is_left_out() -> bool:
    return getattr(_THREAD, "leaves_out", False)


@functools.cache
def _replace() -> None:
    """Replaces, for good, what does nothing in such a thread.

    All of `keras.applications` (Keras 3.10 to 3.15) fetch a file by this
    function of a module, and load it by this method. Variables on TensorFlow
    get their first values from this one.
    """
    files = sys.modules[keras.utils.get_file.__module__]
    files.get_file = _unless_left_out(files.get_file)  # type: ignore[attr-defined]
    keras.Model.load_weights = _unless_left_out(keras.Model.load_weights)
    name = "_initialize_with_initializer"
    if keras.backend.backend() == "tensorflow" and hasattr(
        keras.Variable, name
    ):
        initialize = getattr(keras.Variable, name)
        setattr(
            keras.Variable, name, _unless_left_out(initialize, _give_no_value)
        )


def _unless_left_out(
    function: Callable[..., Any],
    otherwise: Callable[..., Any] | None = None,
) -> Callable[..., Any]:
    @functools.wraps(function)
    def replaced(*args: object, **kwargs: object) -> object:
        chosen = otherwise if _is_left_out() else function
        return None if chosen is None else chosen(*args, **kwargs)

    return replaced


def _give_no_value(variable: keras.Variable, initializer: object) -> None:
    del initializer
    # TensorFlow (2.19 to 2.21) has no public name for what its own functions
    # hold until a variable is initialized.
    variable._initialize(  # noqa: SLF001
        resource_variable_ops.UninitializedVariable(
            trainable=variable.trainable,
            name=variable.name,
            shape=variable.shape,
            dtype=variable.dtype,
        )
    )
