"""Selection: the choice of parents from a population.

Each operator takes the viable individuals of a population and returns parents,
drawn with replacement. Individuals are compared by their losses, in a tie the
earlier born is better, so selection depends on ranks only and not on the scale
of the losses.
"""

import dataclasses
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from keras_evonas.evolution.checks import check_positive_integer
from keras_evonas.evolution.checks import check_range
from keras_evonas.evolution.history import Individual
from keras_evonas.evolution.history import best_first
from keras_evonas.evolution.randomness import Rng


class Selection(Protocol):
    """Chooses parents from a population."""

    def __call__(
        self, population: Sequence[Individual], count: int, rng: Rng
    ) -> list[Individual]:
        """Returns `count` individuals of the population.

        Args:
            population: Viable individuals, at least one.
            count: Number of parents.
            rng: The generator to draw from.
        """


@dataclasses.dataclass(frozen=True, kw_only=True)
class RandomSelection:
    """Gives every individual the same chance."""

    def __call__(
        self, population: Sequence[Individual], count: int, rng: Rng
    ) -> list[Individual]:
        """Chooses parents uniformly; see `Selection`."""
        drawn = rng.integers(len(population), size=count)
        return [population[i] for i in drawn]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tournament:
    """Takes the best of a few individuals (Goldberg & Deb, 1991).

    The few are drawn without replacement, the winners of several tournaments
    may be the same.

    Args:
        size: Integer, the number of individuals that compete. A population
            that is still smaller competes as a whole. Defaults to `None`: two
            fifths of the population, at least 2.

    Raises:
        ValueError: If `size` is not a positive integer.
    """

    size: int | None = None

    def __post_init__(self) -> None:
        if self.size is not None:
            check_positive_integer("size", self.size)

    def __call__(
        self, population: Sequence[Individual], count: int, rng: Rng
    ) -> list[Individual]:
        """Holds one tournament for each parent; see `Selection`."""
        ranked = best_first(population)
        size = self.size or max(2, round(0.4 * len(ranked)))
        size = min(size, len(ranked))
        # The best comes first, so the least index drawn is the winner.
        return [
            ranked[rng.choice(len(ranked), size=size, replace=False).min()]
            for _ in range(count)
        ]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Truncation:
    """Gives every individual of the best share the same chance.

    Args:
        fraction: Float in `(0, 1]`, the share of the population that may
            become parents, rounded, at least one individual. Defaults to
            0.25.

    Raises:
        ValueError: If `fraction` is out of range.
    """

    fraction: float = 0.25

    def __post_init__(self) -> None:
        check_range("fraction", self.fraction, 0.0, 1.0, low_open=True)

    def __call__(
        self, population: Sequence[Individual], count: int, rng: Rng
    ) -> list[Individual]:
        """Chooses uniformly among the best; see `Selection`."""
        ranked = best_first(population)
        kept = max(1, round(self.fraction * len(ranked)))
        return [ranked[i] for i in rng.integers(kept, size=count)]


@dataclasses.dataclass(frozen=True, kw_only=True)
class RankRoulette:
    """Gives chances that fall linearly with the rank (Baker, 1985).

    Args:
        pressure: Float in `[1, 2]`, the chance of the best individual as a
            multiple of the mean chance; that of the worst is `2 - pressure`.
            Defaults to 1.8.

    Raises:
        ValueError: If `pressure` is out of range.
    """

    pressure: float = 1.8

    def __post_init__(self) -> None:
        check_range("pressure", self.pressure, 1.0, 2.0)

    def __call__(
        self, population: Sequence[Individual], count: int, rng: Rng
    ) -> list[Individual]:
        """Draws with chances by rank; see `Selection`."""
        ranked = best_first(population)
        number = len(ranked)
        chances = np.linspace(self.pressure, 2 - self.pressure, number)
        chosen = rng.choice(number, size=count, p=chances / chances.sum())
        return [ranked[i] for i in chosen]
