"""Crossover: a draft that is made of two parents.

The operators ignore conditions. A draft may lack genes that the crossover made
active and hold genes that it made inactive; `SearchSpace.express` mends both.
"""

import dataclasses
from typing import ClassVar
from typing import Protocol

import numpy as np

from keras_evonas.evolution import labels
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
            space: The space of both.
            rng: The generator to draw from.

        Returns:
            A draft whose every value comes from one of the parents.
        """


@dataclasses.dataclass(frozen=True, kw_only=True)
class UniformCrossover:
    """Takes each gene from either parent (Syswerda, 1989).

    Args:
        swap: Float in `[0, 1]`, the chance of a gene to come from the second
            parent. Defaults to 0.5.

    Raises:
        ValueError: If `swap` is out of range.
    """

    swap: float = 0.5
    label: ClassVar[str] = labels.define(
        "uniform", "two parents crossed gene by gene"
    )

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
        return _mix(first, second, names, list(swapped), self.label)


@dataclasses.dataclass(frozen=True, kw_only=True)
class PointCrossover:
    """Switches between the parents at random genes (Holland, 1975).

    Args:
        points: Integer, 1 for one-point and 2 for two-point crossover; fewer
            points if there are too few genes. Defaults to 1.

    Raises:
        ValueError: If `points` is neither 1 nor 2.
    """

    points: int = 1
    one_point: ClassVar[str] = labels.define(
        "one_point", "two parents crossed at one point"
    )
    two_point: ClassVar[str] = labels.define(
        "two_point", "two parents crossed at two points"
    )

    def __post_init__(self) -> None:
        if self.points not in (1, 2):
            raise ValueError(
                "`points` must be 1 or 2. Received: "
                f"points={self.points!r}. Use UniformCrossover to mix the "
                "parents more."
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
        # Number of cuts before each gene: an odd one means the second parent.
        passed = np.searchsorted(cuts, np.arange(len(names)), side="right")
        label = self.one_point if self.points == 1 else self.two_point
        return _mix(first, second, names, list(passed % 2 == 1), label)


@dataclasses.dataclass(frozen=True, kw_only=True)
class BlockCrossover:
    """Takes genes that depend on each other mostly from the same parent.

    A gene without conditions comes from either parent, as in uniform
    crossover. A gene with conditions comes from the parent that the gene of
    its last condition came from with probability `linkage`, and from either
    one otherwise, so that a layer mostly keeps its own settings. In a space
    without conditions this is uniform crossover.

    Args:
        swap: Float in `[0, 1]`, the chance that a gene which follows no other
            comes from the second parent. Defaults to 0.5.
        linkage: Float in `[0, 1]`, the chance that a gene with conditions
            follows the gene of its last condition. Defaults to 0.7.

    Raises:
        ValueError: If `swap` or `linkage` is out of range.
    """

    swap: float = 0.5
    linkage: float = 0.7
    label: ClassVar[str] = labels.define(
        "block", "two parents crossed block by block"
    )

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
        return _mix(first, second, names, list(swapped.values()), self.label)


def _names(space: SearchSpace) -> list[str]:
    return list(dict.fromkeys(gene.name for gene in space.genes))


def _mix(
    first: Individual,
    second: Individual,
    names: list[str],
    swapped: list[bool],
    label: str,
) -> Draft:
    """Takes each gene from the chosen parent, or from the one that has it."""
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
        operator=label,
        traits=first.traits,
    )
