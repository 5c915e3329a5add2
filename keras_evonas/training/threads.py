"""Threads: how many, and one with Keras's global state as good as new."""

import os
from collections.abc import Callable
from typing import TypeVar

from keras_evonas.fresh_thread import with_fresh_keras

Result = TypeVar("Result")


def num_workers() -> int:
    """Returns how many members are trained at the same time."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def as_if_first(
    task: Callable[[], Result],
    on_interrupt: Callable[[], object] = lambda: None,
) -> Result:
    """Runs a task in a fresh thread, and returns what it returns.

    Keras keeps the names that it has given to layers, and the generator for
    layers without a seed, per thread. So a model that is built in here has the
    names and the random numbers that it has in a fresh process. `on_interrupt`
    is called at the first Ctrl-C, to let the task end soon.
    """
    return with_fresh_keras(task, "member", on_interrupt)
