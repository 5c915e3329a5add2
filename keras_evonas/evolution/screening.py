"""Screened evolution: a surrogate chooses among many candidates.

Evolution alone spends a trial on every child that it makes. Here a Gaussian
process compares a few hundred candidates, and the one of the largest expected
improvement is born. Sun et al. (2020) and White et al. (2021) do so with neural
networks.
"""

import dataclasses
from collections.abc import Callable
from typing import Protocol
from typing import TypeAlias

import numpy as np

from keras_evonas.evolution import checks
from keras_evonas.evolution import labels
from keras_evonas.evolution.candidates import most_promising
from keras_evonas.evolution.encoding import Encoding
from keras_evonas.evolution.encoding import has_chosen_default
from keras_evonas.evolution.gaussian_process import squared_distances
from keras_evonas.evolution.genes import Genome
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
from keras_evonas.evolution.surrogate import encoding_of
from keras_evonas.evolution.surrogate import surrogate_of

# Random draws of which the one farthest from all individuals is taken. Of many
# draws it would be in a corner of the space, where losses are bad: the farthest
# of 64 did badly in docs/benchmarks.md.
_DRAWS = 8
# Draws for each of these, if only the most capable ones are kept.
_MORE_DRAWS = 5
# Every eighth child is unscreened while others are pending, the best of six
# rules in docs/benchmarks.md.
_TOGETHER = 8
# Below this rank correlation, no better than chance, every second child is
# unscreened.
_LEAST_TRUST = 0.0

_MIDDLE = labels.define("middle", "the middle of every range")
_IMMIGRANT = labels.define(
    "immigrant", "drawn at random, as nothing better was found for long"
)

# Draws an array of codes, so many rows.
Draw: TypeAlias = Callable[[Encoding, int, Rng], np.ndarray]


class Capability(Protocol):
    """Measures how much a network can learn, for example by its parameters.

    Make it a frozen dataclass, since its representation is part of the record
    in a project folder.
    """

    def __call__(self, genome: Genome) -> float:
        """Returns a number, larger for a genome of a more capable network."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ScreenedEvolution(GuidedEvolution):
    """Evolution in which a surrogate chooses the children.

    The first individual has the defaults of the space, if the user chose any,
    and else the middle of every ordered gene, since users tend to choose ranges
    around values that they expect to work. A few draws far from each other
    follow, which avoid the ends of ordered genes of four or more values, and
    are the more likely the nearer to the middle or to a default that the user
    chose. Then each proposal is the candidate of the largest expected
    improvement. Candidates are children of the evolution, genomes that differ
    in one gene from the individuals that are expected to be best, random
    genomes, and the genomes on the way uphill from the best of these. Pending
    individuals count with their predicted loss, so that several proposals at
    once differ. Failures count as the worst loss, and individuals that violate
    a constraint as worse than all others.

    A search cannot get stuck where the surrogate is wrong, since some children
    are born as the evolution made them, unscreened: every `unscreened`-th
    child, every eighth while others are pending, and every second one while
    the surrogate predicts no better than chance. And if there was no
    improvement in 20 evaluations although little of the variance of losses is
    noise, every second individual is drawn at random.

    Of several losses only the first is predicted.

    Args:
        evolution: The evolution that makes children. Defaults to
            `genetic_algorithm()`.
        initial_size: Integer, number of individuals before the surrogate is
            used, or `"auto"`: 8, or a quarter of the trials if there are fewer
            than 32. Defaults to `"auto"`.
        unscreened: Integer of at least 2, or 0 to screen all children. Defaults
            to 20.
        default_first: Boolean, whether the first individual has the defaults of
            the space, if any of them is not the first value of its gene.
            Defaults to `True`.
        capability: The `Capability` of networks. Every second initial draw
            prefers the more capable ones. Sensible if cost is no objective.
            Defaults to `None`: no preference.

    Raises:
        TypeError: If an argument is of another type.
        ValueError: If a number is out of range.
    """

    evolution: Evolution = dataclasses.field(default_factory=genetic_algorithm)
    initial_size: checks.Size = "auto"
    unscreened: int = 20
    default_first: bool = True
    capability: Capability | None = None

    def __post_init__(self) -> None:
        check_evolution(self.evolution)
        checks.check_boolean("default_first", self.default_first)
        if self.capability is not None:
            checks.check_function("capability", self.capability)
        checks.check_size("initial_size", self.initial_size)
        checks.check_integer("unscreened", self.unscreened, lowest=0)
        if self.unscreened == 1:
            raise ValueError(
                "`unscreened` must be 0 or at least 2. Received: unscreened=1, "
                "which screens no child. Use the evolution alone instead."
            )

    def configure(self, max_trials: int | None) -> "ScreenedEvolution":
        """Resolves `"auto"`; see `Strategy`."""
        size = self.initial_size
        if size == "auto":
            size = 8 if max_trials is None else min(8, max(1, max_trials // 4))
        evolution = self.evolution.configure(max_trials)
        return dataclasses.replace(self, evolution=evolution, initial_size=size)

    def propose(
        self,
        state: EvolutionState,
        space: SearchSpace,
        history: History,
        rng: Rng,
    ) -> Draft:
        """Proposes the best of many candidates; see `Strategy`."""
        initial_size = checks.resolved("initial_size", self.initial_size)
        births, population = history.births, state.population
        viable = sum(one.viable for one in history.ended)

        def breed() -> Draft:
            return self.evolution.breed(population, space, rng)

        # A small population forgets most of them.
        if births < initial_size or viable < LEAST_DATA or not population:
            return self.initial(space, history, rng)
        if self._is_unscreened(history):
            return breed()
        surrogate = self.learn(space, history)
        if births % 2 and surrogate.trust < _LEAST_TRUST:
            return breed()
        if births % 2 == 0 and surrogate.is_stuck(len(history.ended)):
            return Draft(genome=space.sample(rng), operator=_IMMIGRANT)
        return most_promising(surrogate, breed, space, history, rng)

    def _is_unscreened(self, history: History) -> bool:
        births = history.births
        if not self.unscreened:
            return False
        together = history.pending and births % _TOGETHER == _TOGETHER - 1
        return bool(together) or births % self.unscreened == 0

    def learn(self, space: SearchSpace, history: History) -> Surrogate:
        """Makes the surrogate of a history."""
        return surrogate_of(space, history)

    def initial(
        self,
        space: SearchSpace,
        history: History,
        rng: Rng,
        draw: Draw = Encoding.sample_inner,
    ) -> Draft:
        """Proposes the defaults or the middle, then draws far from others.

        The arguments are those of `propose`, and `draw`, which draws the
        genomes among which it chooses.
        """
        births = history.births
        has_chosen = any(map(has_chosen_default, space.genes))
        if not births and self.default_first and has_chosen:
            return Draft(genome=space.default, operator=labels.DEFAULT)
        if not births:
            return Draft(genome=_middle(space), operator=_MIDDLE)
        encoding, capability = encoding_of(space.genes), self.capability
        if capability is not None and births % 2:
            codes = draw(encoding, _MORE_DRAWS * _DRAWS, rng)
            found = [-capability(encoding.decode(row)) for row in codes]
            codes = codes[np.argsort(found)[:_DRAWS]]
        else:
            codes = draw(encoding, _DRAWS, rng)
        features = encoding.features(codes, encoding.activity(codes))
        others = [*history.ended, *history.pending.values()]
        rows = encoding.encode([one.genome for one in others])
        taken = encoding.features(*rows)
        nearest = squared_distances(features, taken).min(axis=1)
        genome = encoding.decode(codes[int(nearest.argmax())])
        return Draft(genome=genome, operator=labels.SPACE_FILLING)


def _middle(space: SearchSpace) -> dict[str, Value]:
    """Returns a draft with the middle of all ordered genes, and no others."""
    return {
        gene.name: gene.domain.at(0.5)
        for gene in space.genes
        if isinstance(gene.domain, Grid | Interval)
    }


def screened_evolution(
    *,
    evolution: Evolution | None = None,
    initial_size: checks.Size = "auto",
    unscreened: int = 20,
    default_first: bool = True,
    capability: Capability | None = None,
) -> ScreenedEvolution:
    """Returns evolution whose children are chosen by Gaussian processes.

    Suits searches of up to some hundred trials, in which each trial is costly.
    The arguments are those of `ScreenedEvolution`, with the same defaults.
    """
    return ScreenedEvolution(
        evolution=genetic_algorithm() if evolution is None else evolution,
        initial_size=initial_size,
        unscreened=unscreened,
        default_first=default_first,
        capability=capability,
    )
