"""Crossover: a draft that is made of two parents.

The operators ignore conditions. A draft may lack genes that the crossover made
active and hold genes that it made inactive; `SearchSpace.express` mends both.
"""

import dataclasses
from collections.abc import Iterable
from collections.abc import Mapping
from typing import Protocol
from typing import TypeAlias

import numpy as np

from keras_evonas.evolution import labels
from keras_evonas.evolution.checks import check_range
from keras_evonas.evolution.genes import Value
from keras_evonas.evolution.history import Draft
from keras_evonas.evolution.history import Individual
from keras_evonas.evolution.randomness import Rng
from keras_evonas.evolution.space import SearchSpace

_ONE_POINT = labels.define("one_point", "two parents crossed at one point")
_TWO_POINT = labels.define("two_point", "two parents crossed at two points")

# For the name of each gene that of the gene in its last condition, if any.
_Parents: TypeAlias = Mapping[str, str | None]


class Crossover(Protocol):
    """Makes a draft of two parents."""

    def __call__(
        self,
        first: Individual,
        second: Individual,
        space: SearchSpace,
        rng: Rng,
    ) -> Draft:
        """Makes a draft whose every value comes from one of the parents.

        Args:
            first: A parent; the draft takes over its traits.
            second: Another parent.
            space: The space of both.
            rng: The generator to draw from.
        """


class _GeneByGene:
    """A crossover that chooses a parent for each gene."""

    @property
    def label(self) -> str:
        """The label that it leaves on a draft."""
        raise NotImplementedError

    def __call__(
        self,
        first: Individual,
        second: Individual,
        space: SearchSpace,
        rng: Rng,
    ) -> Draft:
        """Takes each gene from the chosen parent, if that has it."""
        parent_of = {gene.name: space.parent_of(gene) for gene in space.genes}
        swapped = self._swapped(parent_of, rng)
        genome: dict[str, Value] = {}
        for name, swap in zip(parent_of, swapped, strict=True):
            own, other = first.genome, second.genome
            if name in own and not (swap and name in other):
                genome[name] = own[name]
            elif name in other:
                genome[name] = other[name]
        return Draft(
            genome=genome,
            parents=(first.birth, second.birth),
            operator=self.label,
            traits=first.traits,
        )

    def _swapped(self, parent_of: _Parents, rng: Rng) -> Iterable[bool]:
        """Returns for each gene whether the second parent is chosen."""
        raise NotImplementedError


@dataclasses.dataclass(frozen=True, kw_only=True)
class UniformCrossover(_GeneByGene):
    """Takes each gene from either parent (Syswerda, 1989).

    Args:
        swap: Float in `[0, 1]`, the chance of a gene to come from the second
            parent. Defaults to 0.5.

    Raises:
        ValueError: If `swap` is out of range.
    """

    swap: float = 0.5
    label = labels.define("uniform", "two parents crossed gene by gene")

    def __post_init__(self) -> None:
        check_range("swap", self.swap, 0.0, 1.0)

    def _swapped(self, parent_of: _Parents, rng: Rng) -> Iterable[bool]:
        return rng.random(len(parent_of)) < self.swap


@dataclasses.dataclass(frozen=True, kw_only=True)
class PointCrossover(_GeneByGene):
    """Switches between the parents at random genes (Holland, 1975).

    Args:
        points: Integer, 1 for one-point and 2 for two-point crossover; fewer
            points if there are too few genes. Defaults to 1.

    Raises:
        ValueError: If `points` is neither 1 nor 2.
    """

    points: int = 1

    def __post_init__(self) -> None:
        if self.points not in (1, 2):
            raise ValueError(
                f"`points` must be 1 or 2. Received: points={self.points!r}. "
                "Use UniformCrossover to mix the parents more."
            )

    @property
    def label(self) -> str:
        """The label that it leaves on a draft."""
        return _ONE_POINT if self.points == 1 else _TWO_POINT

    def _swapped(self, parent_of: _Parents, rng: Rng) -> Iterable[bool]:
        # Between two genes: a cut at an end would make a clone.
        places = max(0, len(parent_of) - 1)
        cuts = 1 + np.sort(rng.permutation(places)[: self.points])
        # Number of cuts before each gene: an odd one means the second parent.
        passed = np.searchsorted(cuts, np.arange(len(parent_of)), side="right")
        return list(passed % 2 == 1)


@dataclasses.dataclass(frozen=True, kw_only=True)
class BlockCrossover(_GeneByGene):
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
    label = labels.define("block", "two parents crossed block by block")

    def __post_init__(self) -> None:
        check_range("swap", self.swap, 0.0, 1.0)
        check_range("linkage", self.linkage, 0.0, 1.0)

    def _swapped(self, parent_of: _Parents, rng: Rng) -> Iterable[bool]:
        free = rng.random(len(parent_of)) < self.swap
        follows = rng.random(len(parent_of)) < self.linkage
        swapped: dict[str | None, bool] = {}
        for name, own, linked in zip(parent_of, free, follows, strict=True):
            swapped[name] = swapped.get(parent_of[name], own) if linked else own
        return swapped.values()
