"""Progressive search: simple networks first, and then more complex ones."""

import dataclasses
import functools
import math
from collections.abc import Iterator

import numpy as np

from keras_evonas.evolution import checks
from keras_evonas.evolution import labels
from keras_evonas.evolution.genes import Categorical
from keras_evonas.evolution.genes import Domain
from keras_evonas.evolution.genes import Gene
from keras_evonas.evolution.genes import Grid
from keras_evonas.evolution.genes import Interval
from keras_evonas.evolution.genes import Value
from keras_evonas.evolution.history import Draft
from keras_evonas.evolution.history import History
from keras_evonas.evolution.randomness import Rng
from keras_evonas.evolution.space import SearchSpace
from keras_evonas.evolution.strategies import Evolution
from keras_evonas.evolution.strategies import EvolutionState
from keras_evonas.evolution.strategies import GuidedEvolution
from keras_evonas.evolution.strategies import check_evolution
from keras_evonas.evolution.strategies import genetic_algorithm
from keras_evonas.evolution.surrogate import LEAST_DATA
from keras_evonas.evolution.surrogate import Surrogate
from keras_evonas.evolution.surrogate import surrogate_of

_PROGRESSIVE = labels.define("progressive+", "simple networks first")

# Numbers of candidates by their origin. Random draws are many, as a part of the
# space that has just been opened holds few individuals or none.
_ELITES = 4
_NEIGHBOURS = 32  # Of each elite, at most.
_CHILDREN = 16
_DRAWS = 64
# Draws from a small part of the space until the part counts as exhausted.
_REDRAWS = 50


@dataclasses.dataclass(frozen=True, kw_only=True)
class ProgressiveSearch(GuidedEvolution):
    """Opens the space from simple to complex (PNAS, Liu et al., 2018).

    At first only simple networks are proposed, and level by level more complex
    ones. A surrogate learns from all of them. It chooses among the neighbours
    of the best individuals, which may be one step more complex, children of the
    evolution and random draws.

    The space defines which networks are simple. Ordered genes in conditions of
    others, such as a number of layers, are opened from their lowest value on.
    In a space without such genes, the genes are opened one after another in
    their order, and the others keep their defaults.

    Deviations from the paper: it expands the best networks of a level all at
    once and trains them together, while here each proposal is chosen on its
    own, so that no worker waits; and the surrogate is a Gaussian process with
    an expected improvement instead of a recurrent network that predicts the
    accuracy.

    Args:
        levels: Integer of at least 1, the number of steps in which the space is
            opened. Defaults to 3.
        opening: Integer, the number of births after which the whole space is
            open, or `"auto"`: half of the trials. Defaults to `"auto"`.
        initial_size: Integer, number of random individuals before the surrogate
            is used. Defaults to 6.
        evolution: The evolution that makes children. Defaults to
            `genetic_algorithm()`.

    Raises:
        ValueError: If a number is out of range.
    """

    levels: int = 3
    opening: checks.Size = "auto"
    initial_size: int = 6
    evolution: Evolution = dataclasses.field(default_factory=genetic_algorithm)

    def __post_init__(self) -> None:
        checks.check_positive_integer("levels", self.levels)
        checks.check_positive_integer("initial_size", self.initial_size)
        checks.check_size("opening", self.opening)
        check_evolution(self.evolution)

    def configure(self, max_trials: int | None) -> "ProgressiveSearch":
        """Resolves `"auto"`; see `Strategy`."""
        opening = self.opening
        if opening == "auto":
            opening = 50 if max_trials is None else max(1, max_trials // 2)
        evolution = self.evolution.configure(max_trials)
        return dataclasses.replace(self, evolution=evolution, opening=opening)

    def propose(
        self,
        state: EvolutionState,
        space: SearchSpace,
        history: History,
        rng: Rng,
    ) -> Draft:
        """Proposes the best candidate of the open space; see `Strategy`."""
        level = self.level(history.births)
        viable = sum(one.viable for one in history.ended)
        if history.births < self.initial_size or viable < LEAST_DATA:
            part = opened(space, level, self.levels)
            return Draft(genome=_unseen(part, space, history, rng))
        surrogate = surrogate_of(space, history)
        for wider in range(level, self.levels + 1):
            part = opened(space, wider, self.levels)
            new = [
                one
                for one in self._candidates(surrogate, state, part, rng)
                if space.contains(one.genome)
                and not history.seen(space.key(one.genome))
            ]
            if new:
                return _best(new, surrogate, rng)
        return Draft()

    def level(self, births: int) -> int:
        """Returns the level of the space after so many births, from 1 on."""
        opening = checks.resolved("opening", self.opening)
        return min(self.levels, 1 + births * self.levels // opening)

    def _candidates(
        self,
        surrogate: Surrogate,
        state: EvolutionState,
        part: SearchSpace,
        rng: Rng,
    ) -> Iterator[Draft]:
        for index in surrogate.elites(_ELITES):
            elite = surrogate.individuals[index]
            genome, parents = part.express(elite.genome, rng), (elite.birth,)
            near = list(part.neighbours(genome))
            for place in rng.permutation(len(near))[:_NEIGHBOURS]:
                genome = part.express(near[place], rng)
                yield Draft(
                    genome=genome, parents=parents, operator=labels.NEIGHBOUR
                )
        for _ in range(_CHILDREN):
            child = self.evolution.breed(state.population, part, rng)
            genome = part.express(child.genome, rng)
            yield dataclasses.replace(child, genome=genome)
        for _ in range(_DRAWS):
            yield Draft(genome=part.sample(rng))


def progressive_search(*, levels: int = 3) -> ProgressiveSearch:
    """Returns a search of simple networks first; see `ProgressiveSearch`."""
    return ProgressiveSearch(levels=levels)


def opened(space: SearchSpace, level: int, levels: int) -> SearchSpace:
    """Returns the part of a space that is open on one of so many levels."""
    return _opened(space.genes, level, levels)


@functools.lru_cache(maxsize=32)
def _opened(genes: tuple[Gene, ...], level: int, levels: int) -> SearchSpace:
    if level >= levels:
        return SearchSpace(genes)
    parents = {c.parent for gene in genes for c in gene.conditions}
    share = level / levels
    parts, count = list(genes), math.ceil(share * len(genes))
    switches = [
        index
        for index, gene in enumerate(genes)
        if gene.name in parents and _is_ordered_list(gene.domain)
    ]
    for index in switches:
        domain = _lowest(genes[index].domain, share)
        parts[index] = _narrowed(genes[index], domain)
    if not switches:
        parts[count:] = [
            _narrowed(gene, Categorical((gene.default,)))
            for gene in genes[count:]
            if gene.default is not None
        ]
    return SearchSpace(parts)


def _is_ordered_list(domain: Domain) -> bool:
    if isinstance(domain, Interval):
        return domain.integer
    return isinstance(domain, Grid)


def _lowest(domain: Domain, share: float) -> Domain:
    """Returns the lowest part of an ordered domain, at least one value."""
    count = max(1, math.ceil(share * domain.size))
    if isinstance(domain, Interval):
        high = int(domain.low) + count - 1
        return dataclasses.replace(domain, high=min(high, int(domain.high)))
    return Grid(tuple(domain)[:count])


def _narrowed(gene: Gene, domain: Domain) -> Gene:
    default = gene.default if domain.contains(gene.default) else None
    return dataclasses.replace(gene, domain=domain, default=default)


def _unseen(
    part: SearchSpace, space: SearchSpace, history: History, rng: Rng
) -> dict[str, Value]:
    """Draws a genome from a part of the space, if possible a new one."""
    # Instead of one that was born before the engine would propose one of the
    # whole space.
    genome = part.sample(rng)
    for _ in range(_REDRAWS):
        if not history.seen(space.key(genome)):
            break
        genome = part.sample(rng)
    return genome


def _best(drafts: list[Draft], surrogate: Surrogate, rng: Rng) -> Draft:
    encoding = surrogate.encoding
    coded = encoding.encode([draft.genome for draft in drafts])
    worth = surrogate.worth(encoding.filled(*coded, rng))
    best = drafts[int(np.argmax(worth))]
    operator = f"{_PROGRESSIVE}{best.operator}"
    return dataclasses.replace(best, operator=operator)
