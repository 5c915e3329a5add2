"""Keeps linear algebra to one thread while the matrices are small."""

import contextlib
import functools
from collections.abc import Iterator

import threadpoolctl


@contextlib.contextmanager
def one_blas_thread() -> Iterator[None]:
    """Lets NumPy and SciPy use one thread of the linear algebra library.

    A surrogate's matrices have at most a few hundred rows, for which threads
    bring nothing, and on a busy machine they wait for each other: proposals
    took ten times as long beside other processes. TensorFlow has threads of
    its own and is not concerned.
    """
    with _controller().limit(limits=1, user_api="blas"):
        yield


@functools.cache
def _controller() -> threadpoolctl.ThreadpoolController:
    return threadpoolctl.ThreadpoolController()
