"""Genes as columns of numbers, where not being active is a number, too.

Ordered genes are placed in `[0, 1]` on their own scale, categories are
numbered, and `INACTIVE` stands below both.
"""

import collections
import dataclasses
import functools
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence

import numpy as np

from keras_evonas.evolution.genes import Categorical
from keras_evonas.evolution.genes import Domain
from keras_evonas.evolution.genes import Grid
from keras_evonas.evolution.genes import Interval
from keras_evonas.evolution.genes import Value
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
        inactive: Float, the share of random networks where it is not active.
    """

    name: str
    domain: Domain
    inactive: float = 0.0

    def encode(self, value: Value | None) -> float:
        """Returns the number of a value; `None` is not active."""
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
    def shares(self) -> dict[Value, float]:
        """Values that stand for the domain, with the share that each covers."""
        if isinstance(self.domain, Categorical):
            values = list(self.domain.values)
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
    def places(self) -> list[Value]:
        """Values that stand for the domain, in its order."""
        return list(self.shares)

    @property
    def support(self) -> tuple[list[Value | None], np.ndarray]:
        """The places, `None` included if it can be inactive, and weights."""
        weights = (1 - self.inactive) * np.array(list(self.shares.values()))
        if not self.inactive:
            return list(self.places), weights
        return [*self.places, None], np.append(weights, self.inactive)


def features(
    space: SearchSpace, genomes: Sequence[Mapping[str, Value]]
) -> list[Feature]:
    """Returns the genes of a space that can differ, as features.

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
    unknown: dict[str, dict[Value, None]] = {}
    for genome in genomes:
        for name in genome.keys() - domains.keys():
            unknown.setdefault(name, {})[genome[name]] = None
    for name in sorted(unknown):
        domains[name] = [space_lib.covering(unknown[name])]
    inactive = _inactive(space, genomes, domains)
    found = [
        Feature(name, _joined(parts), inactive[name])
        for name, parts in domains.items()
    ]
    return [one for one in found if len(one.support[0]) > 1]


def _inactive(
    space: SearchSpace,
    genomes: Sequence[Mapping[str, Value]],
    names: Iterable[str],
) -> dict[str, float]:
    """Returns the share of networks where a gene is not active, by name."""
    rng = np.random.default_rng(0)
    known = {gene.name for gene in space.genes}
    conditional = any(gene.conditions for gene in space.genes)
    drawn = [space.sample(rng) for _ in range(_DRAWS if conditional else 1)]

    found = {}
    for name in names:
        pool = drawn if name in known else genomes
        found[name] = 1 - sum(name in genome for genome in pool) / len(pool)
    return found


def _joined(domains: list[Domain]) -> Domain:
    """Returns one domain for all genes of a name."""
    if all(domain == domains[0] for domain in domains):
        return domains[0]
    wide = [domain for domain in domains if isinstance(domain, Interval)]
    if len(wide) == len(domains):
        return Interval(
            min(domain.low for domain in wide),
            max(domain.high for domain in wide),
            scale=wide[0].scale,
            integer=all(domain.integer for domain in wide),
        )
    values = [
        value for domain in domains for value in Feature("", domain).places
    ]
    return space_lib.covering(values)
