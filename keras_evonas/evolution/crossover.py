"""Crossover: how two parents make one draft.

No operator knows about conditions. A draft may lack genes that it made active
or carry genes that it silenced; expressing it mends both.
"""

import dataclasses
from typing import Protocol

import numpy as np

from keras_evonas.evolution.checks import check_range
from keras_evonas.evolution.genes import Genome
from keras_evonas.evolution.genes import Value
from keras_evonas.evolution.history import Draft
from keras_evonas.evolution.history import Individual
from keras_evonas.evolution.space import SearchSpace


class Crossover(Protocol):
    """Makes a draft of two parents."""

    def __call__(
        self,
        first: Individual,
        second: Individual,
        space: SearchSpace,
        rng: np.random.Generator,
    ) -> Draft:
        """Makes a draft.

        Args:
            first: A parent; the draft takes over its traits.
            second: Another parent.
            space: The space both live in.
            rng: The generator to draw from.

        Returns:
            A draft whose every value comes from one of the parents.
        """


@dataclasses.dataclass(frozen=True, kw_only=True)
class UniformCrossover:
    """Each gene comes from either parent (Syswerda, 1989).

    Args:
        swap: Float in `[0, 1]`, the chance of a gene to come from the second
            parent. Defaults to 0.5.

    Raises:
        ValueError: If `swap` is out of range.
    """

    swap: float = 0.5

    def __post_init__(self) -> None:
        check_range("swap", self.swap, 0.0, 1.0)

    def __call__(
        self,
        first: Individual,
        second: Individual,
        space: SearchSpace,
        rng: np.random.Generator,
    ) -> Draft:
        """Chooses gene by gene; see `Crossover`."""
        names = _names(space)
        swapped = rng.random(len(names)) < self.swap
        return _mix(first, second, names, list(swapped), "uniform")


@dataclasses.dataclass(frozen=True, kw_only=True)
class PointCrossover:
    """Changes between the parents at points of the gene order (Holland, 1975).

    Args:
        points: Integer, 1 for one-point and 2 for two-point crossover; fewer
            where there are too few genes. Defaults to 1.

    Raises:
        ValueError: If `points` is neither 1 nor 2.
    """

    points: int = 1

    def __post_init__(self) -> None:
        if self.points not in (1, 2):
            raise ValueError(
                "`points` must be 1 or 2. Received: "
                f"points={self.points!r}. For more exchange use "
                "UniformCrossover."
            )

    def __call__(
        self,
        first: Individual,
        second: Individual,
        space: SearchSpace,
        rng: np.random.Generator,
    ) -> Draft:
        """Cuts the gene order; see `Crossover`."""
        names = _names(space)
        # Between two genes: a cut at an end would make a clone.
        places = max(0, len(names) - 1)
        count = min(self.points, places)
        cuts = 1 + np.sort(rng.permutation(places)[:count])
        passed = np.searchsorted(cuts, np.arange(len(names)), side="right")
        name = "one_point" if self.points == 1 else "two_point"
        return _mix(first, second, names, list(passed % 2 == 1), name)


@dataclasses.dataclass(frozen=True, kw_only=True)
class BlockCrossover:
    """Genes that hang together tend to come from the same parent.

    A gene without conditions comes from either parent, as in uniform
    crossover. A gene with conditions follows the gene it hangs on with
    probability `linkage` and is free otherwise, so that a layer moves with
    what it is made of. In a space without conditions this is uniform
    crossover.

    Args:
        swap: Float in `[0, 1]`, the chance of a free gene to come from the
            second parent. Defaults to 0.5.
        linkage: Float in `[0, 1]`, the chance of a conditional gene to follow
            its parent gene. Defaults to 0.7.

    Raises:
        ValueError: If `swap` or `linkage` is out of range.
    """

    swap: float = 0.5
    linkage: float = 0.7

    def __post_init__(self) -> None:
        check_range("swap", self.swap, 0.0, 1.0)
        check_range("linkage", self.linkage, 0.0, 1.0)

    def __call__(
        self,
        first: Individual,
        second: Individual,
        space: SearchSpace,
        rng: np.random.Generator,
    ) -> Draft:
        """Chooses block by block; see `Crossover`."""
        names = _names(space)
        free = rng.random(len(names)) < self.swap
        follows = rng.random(len(names)) < self.linkage
        parent_of = {gene.name: space.parent_of(gene) for gene in space.genes}
        swapped: dict[str, bool] = {}
        for index, name in enumerate(names):
            parent = parent_of[name]
            if parent is not None and follows[index] and parent in swapped:
                swapped[name] = swapped[parent]
            else:
                swapped[name] = bool(free[index])
        return _mix(first, second, names, list(swapped.values()), "block")


def _names(space: SearchSpace) -> list[str]:
    return list(dict.fromkeys(gene.name for gene in space.genes))


def _mix(
    first: Individual,
    second: Individual,
    names: list[str],
    swapped: list[bool],
    operator: str,
) -> Draft:
    """Takes each gene from the chosen parent, else from the one that has it."""
    genome: dict[str, Value] = {}
    for name, swap in zip(names, swapped, strict=True):
        preferred: Genome
        other: Genome
        preferred, other = first.genome, second.genome
        if swap:
            preferred, other = other, preferred
        if name in preferred:
            genome[name] = preferred[name]
        elif name in other:
            genome[name] = other[name]
    return Draft(
        genome=genome,
        parents=(first.birth, second.birth),
        operator=operator,
        traits=first.traits,
    )
