"""Populations to test with, and laws that all suites share."""

import contextlib
import copy
import dataclasses
import random
import re
from collections.abc import Iterator

import numpy as np

from keras_evonas.evolution.history import Individual
from keras_evonas.evolution.randomness import rng_at
from keras_evonas.evolution.space import SearchSpace


def make_population(
    space: SearchSpace, size: int, seed: int = 0, *, first_birth: int = 0
) -> list[Individual]:
    """Makes individuals with random genomes and losses, some of them tied."""
    rng = rng_at(seed, size, first_birth)
    return [
        Individual(
            birth=first_birth + place,
            genome=space.sample(rng),
            losses=(float(rng.integers(2 * size)),),
        )
        for place in range(size)
    ]


@contextlib.contextmanager
def global_generators_untouched() -> Iterator[None]:
    """Fails if the block draws from Python's or NumPy's global generator."""
    before = _global_states()
    yield
    assert _global_states() == before, (
        "A global random generator was used. Draw from `rng` only."
    )


def check_is_value(piece: object) -> None:
    """Fails unless `piece` is a frozen dataclass with a complete repr.

    A search is resumed only if the representation of its strategy is the same
    as before, so a representation must hold all settings and no address.
    """
    assert dataclasses.is_dataclass(piece), f"{piece} must be a dataclass"
    for field in dataclasses.fields(piece):
        value = getattr(piece, field.name)
        try:
            setattr(piece, field.name, value)
        except dataclasses.FrozenInstanceError:
            continue
        raise AssertionError(f"{piece} must be frozen: {field.name} changed")
    twin = copy.deepcopy(piece)
    assert twin == piece
    assert repr(twin) == repr(piece)
    assert not re.search(r"\bat 0x", repr(piece)), repr(piece)


def _global_states() -> tuple[object, ...]:
    _, words, *rest = np.random.get_state()  # noqa: NPY002
    return random.getstate(), bytes(np.asarray(words)), *rest
