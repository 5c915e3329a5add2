"""Seeds of networks that are built while others train."""

import random
import threading

import keras
import numpy as np
import tensorflow as tf

_SEEDINGS = 64


class _Watched(int):
    """A seed of TensorFlow that notes whether anything draws from it.

    TensorFlow takes each seed modulo 2**31 before it draws.
    """

    is_drawn = False

    def __mod__(self, other: int) -> int:
        self.is_drawn = True
        return int(self) % other


class Seeds:
    """Sets seeds as `keras.utils.set_random_seed`, and keeps compiled programs.

    `tf.random.set_seed` makes TensorFlow forget every function that it has
    compiled, so that those of all networks in training are compiled again, in
    about the time of ten epochs of a small network. To set the seed that is
    set already changes nothing but random numbers of TensorFlow's own, such as
    `tf.random.normal`; the layers and initializers of Keras draw none of them.
    So it is left out until anything draws one, and then never again: a
    function that has random numbers inside may be called at any time.

    One exception: functions that were traced before the first seed was set
    go on with their random numbers from one network to the next.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._set: _Watched | None = None
        self._is_drawn = False
        self._left_out = 0

    def set(self, seed: int) -> None:
        """Sets the seeds of Python, NumPy and TensorFlow."""
        with self._lock:
            if self._is_needless(seed):
                random.seed(seed)
                np.random.seed(seed)  # noqa: NPY002
                self._left_out += 1
                return
            self._left_out = 0
            self._set = _Watched(seed)
            keras.utils.set_random_seed(self._set)

    def _is_needless(self, seed: int) -> bool:
        """Returns whether TensorFlow would draw as after `set_seed(seed)`."""
        now = self._set
        if now is None:
            return False
        self._is_drawn |= now.is_drawn
        # What TensorFlow has compiled takes memory: it forgets now and then.
        if self._is_drawn or now != seed or self._left_out == _SEEDINGS:
            return False
        tf.compat.v1.random.get_seed(0)
        is_in_place, now.is_drawn = now.is_drawn, False
        return is_in_place


SEEDS = Seeds()
