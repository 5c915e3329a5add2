"""The genes of a search by name, with values that stand for their domains."""

import collections
import dataclasses
import functools
from collections.abc import Mapping
from collections.abc import Sequence

import numpy as np

from keras_evonas.evolution.genes import Categorical
from keras_evonas.evolution.genes import Domain
from keras_evonas.evolution.genes import Gene
from keras_evonas.evolution.genes import Interval
from keras_evonas.evolution.genes import Value
from keras_evonas.evolution.space import SearchSpace
from keras_evonas.project import spaces as space_lib

# A continuous gene is looked at in so many places.
_PLACES = 24
# Genomes drawn to learn which genes can be inactive.
_DRAWS = 500


@dataclasses.dataclass(frozen=True)
class Feature:
    """All genes of a name as one.

    Args:
        name: The name.
        domain: Its values.
        optional: Boolean, whether it is inactive in some networks.
    """

    name: str
    domain: Domain
    optional: bool = False

    @functools.cached_property
    def _shares(self) -> dict[Value, float]:
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
        return list(self._shares)

    @property
    def weights(self) -> np.ndarray:
        """`(places,)` array, the share of the domain that each covers."""
        return np.array(list(self._shares.values()))

    @property
    def options(self) -> list[Value | None]:
        """The places, and `None` for inactive if that can be."""
        return [*self.places, *([None] if self.optional else [])]


def features(
    space: SearchSpace, genomes: Sequence[Mapping[str, Value]]
) -> list[Feature]:
    """Returns the genes that can differ, those that only genomes have last."""
    domains = collections.defaultdict(list)
    for gene in covering(space, genomes).genes:
        domains[gene.name].append(gene.domain)
    rng = np.random.default_rng(0)
    known = {gene.name for gene in space.genes}
    conditional = any(gene.conditions for gene in space.genes)
    drawn = [space.sample(rng) for _ in range(_DRAWS if conditional else 1)]
    found = []
    for name, parts in domains.items():
        pool = drawn if name in known else genomes
        optional = any(name not in genome for genome in pool)
        found.append(Feature(name, _joined(parts), optional))
    return [one for one in found if len(one.options) > 1]


def covering(
    space: SearchSpace, genomes: Sequence[Mapping[str, Value]]
) -> SearchSpace:
    """Returns the space with genes added that only genomes have."""
    names = {gene.name for gene in space.genes}
    unknown: dict[str, list[Value]] = {}
    for genome in genomes:
        for name in genome.keys() - names:
            unknown.setdefault(name, []).append(genome[name])
    added = [Gene(n, space_lib.covering(unknown[n])) for n in sorted(unknown)]
    return SearchSpace([*space.genes, *added]) if added else space


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
    return space_lib.covering(
        value for domain in domains for value in Feature("", domain).places
    )
