"""Custom gradients, which TensorFlow would keep for ever."""

import contextlib
from collections.abc import Iterator

from tensorflow.python.framework import ops

_PREFIX = "CustomGradient-"


@contextlib.contextmanager
def forgotten_custom_gradients() -> Iterator[None]:
    """Lets go of the custom gradients that functions traced inside have.

    TensorFlow (2.19 to 2.21) registers each under a new name and never
    removes it, and each holds the graph that it was traced in. The optimizers
    of Keras have one (to sum gradients over replicas), so that every traced
    train step stays in memory, some megabytes a network. A function that has
    been traced no longer needs them. There is no public way to remove them.
    """
    registry = ops.gradient_registry._registry  # noqa: SLF001
    before = set(registry)
    try:
        yield
    finally:
        for name in set(registry) - before:
            if name.startswith(_PREFIX):
                del registry[name]
