"""A random generator from an address instead of from a state.

A generator that lasts for a whole search has a state that must be saved and
restored. Here each birth makes a generator of its own from the seed and from
its number. The same seed gives the same search after any interruption, and
nothing but the seed is stored.
"""

import secrets
from numbers import Integral
from typing import TypeAlias

import numpy as np

Rng: TypeAlias = np.random.Generator


def rng_at(seed: int, *address: int) -> Rng:
    """Makes the generator that belongs to an address.

    Args:
        seed: Non-negative integer, the seed of the search. `0` is a seed.
        *address: Non-negative integers, for example `(birth, attempt)`.

    Returns:
        A new generator. Equal arguments give equal streams, different
        addresses of the same length independent ones.

    Example:

    ```python
    rng_at(0, 17, 2).random() == rng_at(0, 17, 2).random()  # always
    ```
    """
    # NumPy's SeedSequence hashes the list, so that neighbouring addresses are
    # as independent as distant ones. The class is named, because what
    # `default_rng` chooses may change with NumPy and the search with it.
    return np.random.Generator(np.random.PCG64([seed, *address]))


def check_seed(seed: int | None) -> int:
    """Returns `seed`, or for `None` one from the operating system.

    Python's and NumPy's global generators are not touched. A seed that is no
    non-negative integer raises a `ValueError`.
    """
    if seed is None:
        return secrets.randbelow(2**31)
    is_integer = isinstance(seed, Integral) and not isinstance(seed, bool)
    if not is_integer or seed < 0:
        raise ValueError(
            "`seed` must be a non-negative integer or None. "
            f"Received: seed={seed!r}. Pass for example `seed=0`."
        )
    return int(seed)
