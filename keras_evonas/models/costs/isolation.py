"""Tasks with Keras models that leave no trace, or take no memory."""

import random
from collections.abc import Callable
from typing import TypeVar

import numpy as np
import tensorflow as tf

from keras_evonas.fresh_thread import with_fresh_keras
from keras_evonas.models.costs.weightless import weights_left_out

Result = TypeVar("Result")


def without_allocation(
    task: Callable[[], Result], graph: tf.Graph | None = None
) -> Result:
    """Runs a task in a graph of its own, in which weights have no values.

    It leaves no trace; see `isolated`. The task may build and compile models,
    but not run them, and what it returns must not hold tensors or layers,
    unless only later tasks in the same `graph` use them.
    Models load no weights there; see `weights_left_out`.
    """

    def run() -> Result:
        # In a scope of its own a layer's name may begin with an underscore, as
        # Keras names those of a class that does.
        with (
            (graph or tf.Graph()).as_default(),
            tf.name_scope("network"),
            weights_left_out(),
        ):
            return task()

    return isolated(run)


def isolated(task: Callable[[], Result]) -> Result:
    """Runs a task that leaves no trace in the global state of Keras.

    The task runs in a thread of its own, with layer names and seeds of its
    own; see `with_fresh_keras`. The global random generators, from which
    Keras draws seeds, are put back.
    """
    states = random.getstate(), np.random.get_state()  # noqa: NPY002
    try:
        return with_fresh_keras(task)
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])  # noqa: NPY002
