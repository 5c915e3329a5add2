"""Genomes as numbers, where a gene that is not active has a value of its own.

Ordered genes are placed in `[0, 1]` on their own scale, categories are
numbered, and `INACTIVE` stands below both.
"""

import collections
import dataclasses
import functools
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_evonas.evolution.genes import Categorical
from keras_evonas.evolution.genes import Domain
from keras_evonas.evolution.genes import Grid
from keras_evonas.evolution.genes import Interval
from keras_evonas.evolution.space import SearchSpace
from keras_evonas.project import spaces as space_lib

INACTIVE = -1.0

# A continuous gene is looked at in so many places.
_PLACES = 24
# Genomes drawn to learn how often a gene is active.
_DRAWS = 500


@dataclasses.dataclass(frozen=True)
class Feature:
    """A gene as a column of numbers.

    Args:
        name: The gene.
        domain: Its values.
        inactive: Float, how often it is not active in random networks.
    """

    name: str
    domain: Domain
    inactive: float = 0.0

    def encode(self, value: Any) -> float:
        """The number of a value; `None` is not active."""
        if value is None:
            return INACTIVE
        if isinstance(self.domain, Interval):
            clipped = min(max(float(value), self.domain.low), self.domain.high)
            return self.domain.position(clipped)
        if self.domain.contains(value):
            if isinstance(self.domain, Grid):
                return self.domain.position(value)
            return float(self.domain.index(value))
        return float(len(self.domain.values))  # of a space that has changed

    @functools.cached_property
    def _shares(self) -> dict[Any, float]:
        """Values that stand for the domain, and how much of it each does."""
        if isinstance(self.domain, Categorical):
            values = list(self.domain)
            step = max(1, len(values) // _PLACES) if self.domain.ordered else 1
            values = values[::step]
        else:
            size = self.domain.size
            # Several draws a value, so that whole numbers are weighed right.
            count = _PLACES * (int(size) if size <= _PLACES else 1)
            at = (np.arange(count) + 0.5) / count
            values = [self.domain.at(float(place)) for place in at]
        counts = collections.Counter(values)
        return {value: n / len(values) for value, n in counts.items()}

    @property
    def places(self) -> list[Any]:
        """Values that stand for the domain, in its order."""
        return list(self._shares)

    @property
    def support(self) -> tuple[list[Any], np.ndarray]:
        """The places, `None` included if it can be inactive, and weights."""
        weights = (1 - self.inactive) * np.array(list(self._shares.values()))
        if not self.inactive:
            return self.places, weights
        return [*self.places, None], np.append(weights, self.inactive)


def features(
    space: SearchSpace, genomes: Sequence[Mapping[str, Any]]
) -> list[Feature]:
    """The genes of a space that can differ, as features.

    Args:
        space: The search space.
        genomes: The networks that were tried. Genes that only they have are
            taken in too.

    Returns:
        A feature for each name; genes of one name share it.
    """
    domains: dict[str, list[Domain]] = {}
    for gene in space.genes:
        domains.setdefault(gene.name, []).append(gene.domain)
    unknown: dict[str, dict[Any, None]] = {}
    for genome in genomes:
        for name in genome.keys() - domains.keys():
            unknown.setdefault(name, {})[genome[name]] = None
    for name in sorted(unknown):
        domains[name] = [space_lib.covering(unknown[name])]
    inactive = _inactive(space, genomes)
    found = [
        Feature(name, _joined(parts), inactive(name))
        for name, parts in domains.items()
    ]
    return [one for one in found if len(one.support[0]) > 1]


def encode(
    columns: Sequence[Feature], genomes: Sequence[Mapping[str, Any]]
) -> np.ndarray:
    """Encodes genomes as a `(number of genomes, number of features)` array."""
    return np.array(
        [
            [one.encode(genome.get(one.name)) for one in columns]
            for genome in genomes
        ],
        dtype=np.float64,
    ).reshape(len(genomes), len(columns))


def _inactive(space: SearchSpace, genomes: Sequence[Mapping[str, Any]]) -> Any:
    """Returns a function from names to how often a gene is not active."""
    rng = np.random.default_rng(0)
    known = {gene.name for gene in space.genes}
    conditional = any(gene.conditions for gene in space.genes)
    drawn = [space.sample(rng) for _ in range(_DRAWS if conditional else 1)]

    def share(name: str) -> float:
        pool = drawn if name in known else genomes
        return 1 - sum(name in genome for genome in pool) / len(pool)

    return share


def _joined(domains: list[Domain]) -> Domain:
    """One domain for all genes of a name."""
    if all(domain == domains[0] for domain in domains):
        return domains[0]
    if all(isinstance(domain, Interval) for domain in domains):
        return Interval(
            min(domain.low for domain in domains),
            max(domain.high for domain in domains),
            scale=domains[0].scale,
            integer=all(domain.integer for domain in domains),
        )
    values = [
        value for domain in domains for value in Feature("", domain).places
    ]
    return space_lib.covering(values)
