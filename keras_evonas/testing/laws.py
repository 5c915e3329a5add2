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
    space: SearchSpace,
    size: int,
    seed: int = 0,
    *,
    first_birth: int = 0,
    violations: bool = False,
) -> list[Individual]:
    """Makes individuals with random genomes and losses, some of them tied.

    With `violations` every second one violates a constraint, and has a lower
    loss than all that do not.
    """
    rng = rng_at(seed, size, first_birth)
    population = []
    for place in range(size):
        genome, loss = space.sample(rng), float(rng.integers(2 * size))
        violation = float(place % 2) if violations else 0.0
        population.append(
            Individual(
                birth=first_birth + place,
                genome=genome,
                losses=(loss - 2 * size * violation,),
                violation=violation,
            )
        )
    return population


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
        assert field.repr, f"{piece} must show {field.name} in its repr"
        assert field.compare, f"{piece} must differ by {field.name}"
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
