"""Python's collections of garbage, put off while they would find nothing.

All that TensorFlow and Keras consist of takes Python about half a second to
look through.
"""

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def old_objects_spared() -> Iterator[None]:
    """Lets collections look at those objects only that are made from now on.

    keras-tuner collects garbage before it builds a network.
    """
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


@contextlib.contextmanager
def collected_at_the_end() -> Iterator[None]:
    """Collects garbage once at the end, and only what is new.

    Tracing makes so many objects that Python would look through all of them
    again and again, and models hold on to themselves in circles.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    gc.freeze()
    try:
        yield
    finally:
        gc.collect()
        gc.unfreeze()
        if was_enabled:
            gc.enable()
