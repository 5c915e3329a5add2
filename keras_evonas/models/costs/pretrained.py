"""Pretrained weights are left out where networks have no weights at all."""

import contextlib
import functools
import sys
import threading
from collections.abc import Callable
from collections.abc import Iterator
from typing import Any

import keras

_THREAD = threading.local()


@contextlib.contextmanager
def weights_left_out() -> Iterator[None]:
    """Lets models load no weights in this thread, and fetch none for it.

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
    function of a module, and load it by this method.
    """
    files = sys.modules[keras.utils.get_file.__module__]
    files.get_file = _unless_left_out(files.get_file)  # type: ignore[attr-defined]
    keras.Model.load_weights = _unless_left_out(keras.Model.load_weights)


def _unless_left_out(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def replaced(*args: object, **kwargs: object) -> object:
        return None if _is_left_out() else function(*args, **kwargs)

    return replaced
