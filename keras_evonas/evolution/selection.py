"""Selection: who becomes a parent.

Every operator takes the viable population and returns parents, drawn with
replacement. Individuals compare by their losses, the earlier born first in a
tie, so selection depends on ranks only and not on the scale of the losses.
"""

import dataclasses
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from keras_evonas.evolution.checks import check_positive_integer
from keras_evonas.evolution.checks import check_range
from keras_evonas.evolution.history import Individual
from keras_evonas.evolution.history import best_first


class Selection(Protocol):
    """Chooses parents from a population."""

    def __call__(
        self,
        population: Sequence[Individual],
        count: int,
        rng: np.random.Generator,
    ) -> list[Individual]:
        """Chooses parents.

        Args:
            population: Viable individuals, at least one.
            count: How many parents to return.
            rng: The generator to draw from.

        Returns:
            List of `count` individuals of the population.
        """


@dataclasses.dataclass(frozen=True, kw_only=True)
class RandomSelection:
    """Every individual has the same chance."""

    def __call__(
        self,
        population: Sequence[Individual],
        count: int,
        rng: np.random.Generator,
    ) -> list[Individual]:
        """Chooses parents uniformly; see `Selection`."""
        return [
            population[i] for i in rng.integers(len(population), size=count)
        ]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tournament:
    """The best of a few drawn without replacement (Goldberg & Deb, 1991).

    Args:
        size: Integer, how many compete. A population that is still smaller
            competes as a whole. Defaults to `None`: two fifths of the
            population, at least 2.

    Raises:
        ValueError: If `size` is not a positive integer.
    """

    size: int | None = None

    def __post_init__(self) -> None:
        if self.size is not None:
            check_positive_integer("size", self.size)

    def __call__(
        self,
        population: Sequence[Individual],
        count: int,
        rng: np.random.Generator,
    ) -> list[Individual]:
        """Holds one tournament a parent; see `Selection`."""
        ranked = best_first(population)
        size = self.size or max(2, round(0.4 * len(ranked)))
        size = min(size, len(ranked))
        return [
            ranked[rng.choice(len(ranked), size=size, replace=False).min()]
            for _ in range(count)
        ]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Truncation:
    """Every individual of the best share has the same chance.

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
        self,
        population: Sequence[Individual],
        count: int,
        rng: np.random.Generator,
    ) -> list[Individual]:
        """Chooses uniformly among the best; see `Selection`."""
        ranked = best_first(population)
        kept = max(1, round(self.fraction * len(ranked)))
        return [ranked[i] for i in rng.integers(kept, size=count)]


@dataclasses.dataclass(frozen=True, kw_only=True)
class RankRoulette:
    """Chances fall linearly with the rank (Baker, 1985).

    Args:
        pressure: Float in `[1, 2]`, how many times the mean chance the best
            individual has; the worst has `2 - pressure` times. Defaults to
            1.8.

    Raises:
        ValueError: If `pressure` is out of range.
    """

    pressure: float = 1.8

    def __post_init__(self) -> None:
        check_range("pressure", self.pressure, 1.0, 2.0)

    def __call__(
        self,
        population: Sequence[Individual],
        count: int,
        rng: np.random.Generator,
    ) -> list[Individual]:
        """Spins a wheel whose slots follow the ranks; see `Selection`."""
        ranked = best_first(population)
        number = len(ranked)
        chances = np.linspace(self.pressure, 2 - self.pressure, number)
        chosen = rng.choice(number, size=count, p=chances / chances.sum())
        return [ranked[i] for i in chosen]
