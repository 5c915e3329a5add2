"""Replacement: the choice of individuals that stay in the population."""

import dataclasses
from collections.abc import Sequence
from typing import Protocol
from typing import TypeAlias

from keras_evonas.evolution.checks import check_integer
from keras_evonas.evolution.history import Individual
from keras_evonas.evolution.history import best_first

Population: TypeAlias = tuple[Individual, ...]
_Members: TypeAlias = Sequence[Individual]


class Replacement(Protocol):
    """Makes the next population of the old one and its offspring."""

    def __call__(
        self, population: _Members, offspring: _Members, size: int
    ) -> Population:
        """Returns `size` survivors, in the order in which they ended.

        Args:
            population: Viable individuals, in the order in which they ended.
            offspring: Viable individuals that ended later, in order.
            size: Number of survivors.
        """


@dataclasses.dataclass(frozen=True, kw_only=True)
class WorstDies:
    """Keeps the best of parents and offspring."""

    def __call__(
        self, population: _Members, offspring: _Members, size: int
    ) -> Population:
        """Keeps the best; see `Replacement`."""
        members = [*population, *offspring]
        return _in_order(members, best_first(members)[:size])


@dataclasses.dataclass(frozen=True, kw_only=True)
class OldestDies:
    """Keeps the youngest, however good the older are (Real et al., 2019)."""

    def __call__(
        self, population: _Members, offspring: _Members, size: int
    ) -> Population:
        """Keeps the youngest; see `Replacement`."""
        return (*population, *offspring)[-size:]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Generational:
    """Replaces the parents by their offspring, except for a few elites.

    Args:
        elites: Integer, how many of the best parents survive; fewer than the
            population, or no child would ever join it. Defaults to 1.

    Raises:
        ValueError: If `elites` is not an integer of at least 0.
    """

    elites: int = 1

    def __post_init__(self) -> None:
        check_integer("elites", self.elites, lowest=0)

    def __call__(
        self, population: _Members, offspring: _Members, size: int
    ) -> Population:
        """Keeps elites and the best offspring; see `Replacement`."""
        parents = best_first(population)
        elites = min(self.elites, size, len(parents))
        children = best_first(offspring)[: size - elites]
        # If there are too few children, more parents survive.
        survivors = [*children, *parents[: size - len(children)]]
        return _in_order([*population, *offspring], survivors)


def _in_order(members: _Members, survivors: _Members) -> Population:
    births = {one.birth for one in survivors}
    return tuple(one for one in members if one.birth in births)
