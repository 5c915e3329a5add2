"""Garbage of TensorFlow that is kept for ever."""

import contextlib
from collections.abc import Iterator
from typing import Any
from typing import TypeAlias

from tensorflow.python.framework import ops

# A function of TensorFlow that has been traced, which has no public type.
Function: TypeAlias = Any
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


def without_graph(function: Function) -> Function:
    """Returns the same function without the graph that it was made of.

    TensorFlow (2.19 to 2.21) runs a copy of its own, and keeps some megabytes
    of Python objects beside it for as long as the function lives.
    """
    return type(function)(
        function.name,
        ops.context.context(),
        function.function_type,
        children=[without_graph(child) for child in function.children],
        call_options=function.call_options,
    )
