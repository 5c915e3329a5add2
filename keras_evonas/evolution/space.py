"""Search spaces with conditions, and the one place that resolves them.

A genome holds the *active* genes only. Operators work on *drafts*: mappings
that may lack active genes or hold inactive ones. `SearchSpace.express` makes a
genome of a draft. Random draws, repair after a crossover, genes that a change
makes active and a space that grows during a search all use this one function.
"""

import collections
import functools
import itertools
import math
import operator
from collections.abc import Callable
from collections.abc import Hashable
from collections.abc import Iterator
from collections.abc import Mapping
from typing import NamedTuple

from keras_evonas.evolution.genes import RESOLUTION
from keras_evonas.evolution.genes import Domain
from keras_evonas.evolution.genes import Gene
from keras_evonas.evolution.genes import Genome
from keras_evonas.evolution.genes import Interval
from keras_evonas.evolution.genes import Value
from keras_evonas.evolution.randomness import Rng

# Combinations of parent genes up to which the size of a space is counted. They
# bound time and memory; a larger space is as good as infinite.
_MAX_COUNTED_STATES = 20_000


class Key(NamedTuple):
    """Tells genomes apart; equal for equal genomes in any order.

    Genomes with the same choices are one at the resolution of the space if
    their places differ by less than 1 in every continuous gene.

    Args:
        choices: Names and values of the active genes; `None` stands for the
            value of a continuous one.
        places: Positions of the values of continuous genes, measured in
            resolutions; see `keras_evonas.evolution.genes`.
    """

    choices: tuple[tuple[str, Value | None], ...]
    places: tuple[float, ...] = ()


class SearchSpace:
    """An ordered collection of genes, parents before children.

    Several genes may have the same name if their conditions differ; the first
    active one owns the name. Conditions see the owners that stand before.

    Args:
        genes: The genes. A gene's conditions may name only genes before it.

    Raises:
        ValueError: If a condition names a gene that does not stand before.
    """

    def __init__(self, genes: tuple[Gene, ...] | list[Gene]) -> None:
        self.genes = tuple(genes)
        names: set[str] = set()
        for gene in self.genes:
            for condition in gene.conditions:
                if condition.parent not in names:
                    raise ValueError(
                        "`genes` must hold parents before their children. "
                        f"Received: gene '{gene.name}' with {condition}, and "
                        f"no gene '{condition.parent}' before it."
                    )
            names.add(gene.name)

    def __repr__(self) -> str:
        return f"SearchSpace({list(self.genes)})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SearchSpace) and self.genes == other.genes

    __hash__ = None  # type: ignore[assignment]

    def express(self, draft: Genome, rng: Rng) -> dict[str, Value]:
        """Makes a genome of a draft: a value for every active gene, in order.

        A genome is returned unchanged.

        Args:
            draft: Mapping from gene names to values. Values that are legal
                and active are kept, as the Python type that their domain
                holds; the others are dropped.
            rng: Generator for the active genes that the draft lacks.
        """
        return self._express(draft, lambda gene: gene.domain.sample(rng))

    def complete(self, draft: Genome) -> dict[str, Value]:
        """Makes a genome of a draft, with defaults for the genes it lacks."""
        return self._express(draft, _default_of)

    def _express(
        self, draft: Genome, fill: Callable[[Gene], Value]
    ) -> dict[str, Value]:
        genome: dict[str, Value] = {}
        for gene in self._active(genome):
            name = gene.name
            if name in draft and gene.domain.contains(draft[name]):
                genome[name] = gene.domain.own(draft[name])
            else:
                genome[name] = fill(gene)
        return genome

    def adopt(self, values: Genome, argument: str) -> dict[str, Value]:
        """Makes a genome of values that a user has given.

        Args:
            values: Mapping from names to values. Missing genes get their
                defaults; values of inactive genes are dropped.
            argument: String, the user's name for `values`, for the error.

        Raises:
            ValueError: If a name is not in the space, or the value of an
                active gene not in its domain.
        """
        names = {gene.name for gene in self.genes}
        unknown = sorted(set(values) - names)
        if unknown:
            raise ValueError(
                f"`{argument}` names {unknown}, which the search space does "
                f"not have. It has {sorted(names)}."
            )
        genome = self.complete(values)
        for gene in self.active(genome):
            if values.get(gene.name, genome[gene.name]) != genome[gene.name]:
                raise ValueError(
                    f"`{argument}` must lie in the search space: "
                    f"'{gene.name}' may be {_brief(gene.domain)}. Received: "
                    f"{gene.name}={values[gene.name]!r}."
                )
        return genome

    def sample(self, rng: Rng) -> dict[str, Value]:
        """Draws a genome: every active gene from its own domain."""
        return self.express({}, rng)

    @property
    def default(self) -> dict[str, Value]:
        """The genome in which all genes have their defaults."""
        return self.complete({})

    def active(self, genome: Genome) -> tuple[Gene, ...]:
        """Returns the active genes of `genome`, in the order of the space."""
        return tuple(self._active(genome))

    def _active(self, genome: Genome) -> Iterator[Gene]:
        """Yields active genes; `genome` may get their values meanwhile."""
        names: set[str] = set()
        for genes in self._blocks:
            # A gene after the block may own the name of a parent.
            known = all(one.parent in names for one in genes[0].conditions)
            if known and genes[0].is_active(genome):
                for gene in genes:
                    if gene.name not in names:
                        names.add(gene.name)
                        yield gene

    @functools.cached_property
    def _blocks(self) -> list[tuple[Gene, ...]]:
        """The genes, those with equal conditions in a row together.

        All of a block are active or none: if their conditions hold, all that
        these name has its value, and if not, the block adds no value.
        """
        conditions_of = operator.attrgetter("conditions")
        blocks = itertools.groupby(self.genes, conditions_of)
        return [tuple(genes) for _, genes in blocks]

    def mutable(self, genome: Genome) -> tuple[Gene, ...]:
        """Returns the active genes that have more than one value."""
        return tuple(g for g in self.active(genome) if g.domain.size > 1)

    def contains(self, genome: Genome) -> bool:
        """Returns whether `genome` holds all active genes and nothing else."""
        return self.complete(genome) == dict(genome)

    def neighbours(self, genome: Genome) -> Iterator[dict[str, Value]]:
        """Yields drafts that differ from `genome` in one gene by one step.

        A draft lacks the genes that its change makes active; `express` adds
        them.
        """
        for gene in self.active(genome):
            for value in gene.domain.neighbours(genome[gene.name]):
                yield {**genome, gene.name: value}

    def key(self, genome: Genome) -> Key:
        """Returns what tells a genome apart from others."""
        items = sorted(genome.items(), key=operator.itemgetter(0))
        if not self._continuous:
            return Key(tuple(items))
        choices: list[tuple[str, Value | None]] = []
        places: list[float] = []
        for name, value in items:
            domain = self._continuous_domain(name, genome)
            if domain is None:
                choices.append((name, value))
            else:
                choices.append((name, None))
                places.append(domain.position(value) / RESOLUTION)
        return Key(tuple(choices), tuple(places))

    @property
    def is_continuous(self) -> bool:
        """True if some gene is continuous."""
        return bool(self._continuous)

    @functools.cached_property
    def _continuous(self) -> frozenset[str]:
        """Names of the genes that may be continuous."""
        return frozenset(
            gene.name
            for gene in self.genes
            if isinstance(gene.domain, Interval) and gene.domain.is_continuous
        )

    def _continuous_domain(self, name: str, genome: Genome) -> Interval | None:
        """Returns the domain of an active gene if it is continuous."""
        if name not in self._continuous:
            return None
        genes = self._genes_of[name]
        domain = next((x.domain for x in genes if x.is_active(genome)), None)
        if isinstance(domain, Interval) and domain.is_continuous:
            return domain
        return None

    @functools.cached_property
    def _genes_of(self) -> dict[str, list[Gene]]:
        genes_of: dict[str, list[Gene]] = {}
        for gene in self.genes:
            genes_of.setdefault(gene.name, []).append(gene)
        return genes_of

    def parent_of(self, gene: Gene) -> str | None:
        """Returns the name of the gene in the last condition, if any."""
        return gene.conditions[-1].parent if gene.conditions else None

    def enumerate(self) -> Iterator[dict[str, Value]]:
        """Yields all genomes, each once; without end for a continuous space."""
        genome: dict[str, Value] = {}
        # Depth first, with a stack, because Python limits recursions to about
        # a thousand calls, and so the number of genes.
        open_choices: list[tuple[int, Iterator[Value]]] = []
        index = 0
        while True:
            for place in range(index, len(self.genes)):
                gene = self.genes[place]
                if gene.name not in genome and gene.is_active(genome):
                    values = iter(gene.domain)
                    genome[gene.name] = next(values)
                    open_choices.append((place, values))
            yield dict(genome)
            value = None
            while value is None:
                if not open_choices:
                    return
                index, values = open_choices[-1]
                del genome[self.genes[index].name]
                value = next(values, None)
                if value is None:
                    open_choices.pop()
            genome[self.genes[index].name] = value
            index += 1

    @functools.cached_property
    def size(self) -> float:
        """Number of distinct genomes.

        Infinite for a continuous space, and for one with so many combinations
        of parent genes that counting them would take too long.
        """
        return _count(self.genes)


def _default_of(gene: Gene) -> Value:
    if gene.default is None:  # Never: for the type checker, as Gene sets it.
        raise TypeError(f"gene '{gene.name}' has no default")
    return gene.default


def _brief(domain: Domain) -> str:
    text = repr(domain)
    return text if len(text) <= 200 else f"{text[:120]} ... {text[-60:]}"


def _count(genes: tuple[Gene, ...]) -> float:
    """Counts genomes gene by gene, by dynamic programming.

    Two partial genomes that agree in every value that a later condition asks
    for have the same number of completions, so they are counted as one state.
    """
    asked: list[dict[str, set[Value]]] = [{}]
    for gene in reversed(genes):
        later = {name: set(values) for name, values in asked[-1].items()}
        for condition in gene.conditions:
            later.setdefault(condition.parent, set()).update(condition.values)
        asked.append(later)
    asked = asked[::-1]  # asked[i]: what genes[i:] ask of earlier genes
    same_name = collections.Counter(gene.name for gene in genes)

    states: dict[Hashable, tuple[dict[str, Value], float]] = {}
    states[()] = ({}, 1)
    for index, gene in enumerate(genes):
        following: dict[Hashable, tuple[dict[str, Value], float]] = {}
        wanted = asked[index + 1]
        for known, number in states.values():
            for value, ways in _branches(gene, known, wanted):
                partial = dict(known)
                if value is not None:
                    partial[gene.name] = value
                kept = {
                    name: entry
                    for name, entry in partial.items()
                    if name in wanted or same_name[name] > 1
                }
                key = tuple(kept.items())
                total = following[key][1] if key in following else 0
                following[key] = (kept, total + number * ways)
        if len(following) > _MAX_COUNTED_STATES:
            return math.inf
        states = following
    return sum(number for _, number in states.values())


def _branches(
    gene: Gene, known: Mapping[str, Value], wanted: Mapping[str, set[Value]]
) -> Iterator[tuple[Value | None, float]]:
    """Yields the values that later conditions tell apart, and their numbers.

    `None` stands for an inactive gene.
    """
    if gene.name in known or not gene.is_active(known):
        yield None, 1
        return
    asked = sorted(wanted.get(gene.name, ()), key=repr)
    special = [value for value in asked if gene.domain.contains(value)]
    yield from ((value, 1) for value in special)
    rest = gene.domain.size - len(special)
    if rest:
        yield _OTHER, rest


# Stands for every value that no condition asks for.
_OTHER = "\0other"
