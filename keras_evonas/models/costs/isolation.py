"""Runs a task with Keras models that leaves no trace, or takes no memory."""

import random
from collections.abc import Callable
from typing import TypeVar

import keras
import numpy as np
import tensorflow as tf

from keras_evonas.fresh_thread import in_fresh_thread

Result = TypeVar("Result")


def without_allocation(task: Callable[[], Result]) -> Result:
    """Runs a task in a graph of its own: its weights have no values.

    It leaves no trace; see `isolated`.

    Args:
        task: What to run. It may build and compile models, but not run them.

    Returns:
        What `task` returns. It must not hold tensors or layers.
    """

    def run() -> Result:
        with tf.Graph().as_default():
            return task()

    return isolated(run)


def isolated(task: Callable[[], Result]) -> Result:
    """Runs a task that leaves no trace in what Keras keeps.

    Keras keeps layer names and its seed generator per thread, so the task
    runs in a fresh one and leaves no trace in the caller's. The global
    random generators, from which Keras draws seeds, are put back.

    Args:
        task: What to run.

    Returns:
        What `task` returns.
    """
    policy = keras.config.dtype_policy()

    def run() -> Result:
        keras.config.set_dtype_policy(policy)
        return task()

    states = random.getstate(), np.random.get_state()  # noqa: NPY002
    try:
        return in_fresh_thread(run, "isolated")
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])  # noqa: NPY002
