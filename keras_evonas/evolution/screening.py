"""Screened evolution: evolution makes many children, a surrogate chooses.

Evolution alone evaluates every child that it makes. Here a Gaussian process
that has learnt from all that were evaluated looks at a few hundred children
first, and the one that promises the largest improvement is born (compare Sun
et al., 2020, and White et al., 2021, where neural networks choose).
"""

import dataclasses
from typing import Literal
from typing import Protocol

import numpy as np

from keras_evonas.evolution.candidates import most_promising
from keras_evonas.evolution.checks import check_integer
from keras_evonas.evolution.checks import check_positive_integer
from keras_evonas.evolution.gaussian_process import squared_distances
from keras_evonas.evolution.genes import Genome
from keras_evonas.evolution.genes import Grid
from keras_evonas.evolution.genes import Interval
from keras_evonas.evolution.genes import Value
from keras_evonas.evolution.history import Draft
from keras_evonas.evolution.history import History
from keras_evonas.evolution.history import Individual
from keras_evonas.evolution.space import SearchSpace
from keras_evonas.evolution.strategies import Evolution
from keras_evonas.evolution.strategies import EvolutionState
from keras_evonas.evolution.strategies import genetic_algorithm
from keras_evonas.evolution.surrogate import Surrogate
from keras_evonas.evolution.surrogate import encoding_of
from keras_evonas.evolution.surrogate import surrogate_of

# Random draws of which the one farthest from all individuals is taken. Of many
# it would be a corner of the space, where networks are bad and chance rules.
_DRAWS = 8
# So many times as many are drawn to keep the most capable.
_MORE_DRAWS = 5
# Evaluated individuals without which a surrogate knows nothing.
_LEAST_DATA = 3
# The last of so many goes unscreened while others are being evaluated.
_TOGETHER = 8
# Below this rank correlation every second child goes unscreened.
_LEAST_TRUST = 0.0


class Capability(Protocol):
    """Says which networks can learn more, for example by their parameters.

    Make it a frozen dataclass: its representation is part of what a project
    folder remembers of a strategy.
    """

    def __call__(self, genome: Genome) -> float:
        """Returns a number that is larger for a more capable network."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ScreenedEvolution:
    """Evolution whose children are chosen by a surrogate.

    The first individual is made of the defaults of the space, if somebody
    chose some, and else of the middle of every ordered gene: ranges are drawn
    around what is believed in. A few draws far from each other follow. Then
    each proposal is the best of a pool by its expected improvement: children
    of the evolution, all that differ in one gene from the individuals that are
    expected to be best, and random ones, and from the most promising of them a
    hill is climbed gene by gene. Individuals that are being evaluated count as
    what is expected of them, so that several proposals at once differ.
    Failures count as the worst loss, and what violates a constraint as worse
    than all that does not.

    Every `unscreened`-th child is born as evolution made it, whatever the
    surrogate thinks, and so is every eighth while others are being evaluated,
    when the surrogate knows less, and every second one while it predicts no
    better than chance. Where runs are hardly noisy and nothing better was
    found in 20 evaluations, every second individual is drawn at random, and the
    surrogate learns of what it has not seen. A search can therefore not get
    stuck where the surrogate errs.

    Of several losses only the first is screened for.

    Args:
        evolution: The evolution that makes children. Defaults to
            `genetic_algorithm()`.
        initial_size: Integer, individuals before the surrogate is asked, or
            `"auto"`: 8, and a quarter of the trials if there are fewer than
            32. Defaults to `"auto"`.
        unscreened: Integer of at least 2, or 0 to screen all. Defaults to 20.
        default_first: Boolean, whether the defaults of the space come first,
            if any of them is more than the first value of its gene. Defaults
            to `True`.
        capability: Prefers capable networks in every second of the initial
            draws; see `Capability`. Sensible where cost is no objective.
            Defaults to `None`: no preference.

    Raises:
        ValueError: If a number is out of range.
    """

    evolution: Evolution = dataclasses.field(default_factory=genetic_algorithm)
    initial_size: int | Literal["auto"] = "auto"
    unscreened: int = 20
    default_first: bool = True
    capability: Capability | None = None

    def __post_init__(self) -> None:
        if self.initial_size != "auto":
            check_positive_integer("initial_size", self.initial_size)
        check_integer("unscreened", self.unscreened, lowest=0)
        if self.unscreened == 1:
            raise ValueError(
                "`unscreened` must be 0 or at least 2. Received: unscreened=1, "
                "which screens none. Use the evolution alone for that."
            )

    def configure(self, max_trials: int | None) -> "ScreenedEvolution":
        """Resolves `"auto"`; see `Strategy`."""
        size = self.initial_size
        if size == "auto":
            size = 8 if max_trials is None else min(8, max(1, max_trials // 4))
        evolution = self.evolution.configure(max_trials)
        return dataclasses.replace(self, evolution=evolution, initial_size=size)

    def begin(self) -> EvolutionState:
        """Returns the evolution's empty population; see `Strategy`."""
        return self.evolution.begin()

    def absorb(
        self, state: EvolutionState, individual: Individual
    ) -> EvolutionState:
        """Lets an individual join the evolution; see `Strategy`."""
        return self.evolution.absorb(state, individual)

    def propose(
        self,
        state: EvolutionState,
        space: SearchSpace,
        history: History,
        rng: np.random.Generator,
    ) -> Draft:
        """Proposes the best of many children; see `Strategy`."""
        if self.initial_size == "auto":
            raise RuntimeError(
                "`initial_size='auto'` is not resolved yet. Call "
                "`strategy.configure(max_trials)` first and use what it "
                "returns."
            )
        births, population = history.births, state.population

        def breed() -> Draft:
            return self.evolution.breed(population, space, rng)

        if births < self.initial_size or len(population) < _LEAST_DATA:
            return self._initial(space, history, rng)
        if self._is_unscreened(history):
            return breed()
        surrogate = self.learn(space, history)
        if births % 2 and surrogate.trust < _LEAST_TRUST:
            return breed()
        if births % 2 == 0 and surrogate.is_stuck(len(history.ended)):
            return Draft(genome=space.sample(rng), operator="immigrant")
        return most_promising(surrogate, breed, space, history, rng)

    def _is_unscreened(self, history: History) -> bool:
        births = history.births
        if not self.unscreened:
            return False
        together = history.pending and births % _TOGETHER == _TOGETHER - 1
        return bool(together) or births % self.unscreened == 0

    def learn(self, space: SearchSpace, history: History) -> Surrogate:
        """Makes the surrogate that screens, from a history."""
        return surrogate_of(space, history)

    def vary(
        self, draft: Draft, space: SearchSpace, rng: np.random.Generator
    ) -> Draft:
        """Mutates as the evolution does; see `Strategy`."""
        return self.evolution.vary(draft, space, rng)

    def recommend(self, space: SearchSpace, history: History) -> Individual:
        """Names the individual that is expected to be best.

        Where runs are noisy the one with the best loss may have been lucky.
        This one would be expected to win if all were run again.

        Args:
            space: The space.
            history: The history.

        Returns:
            A viable individual.

        Raises:
            ValueError: If no evaluation ended well.
        """
        if not any(one.viable for one in history.ended):
            raise ValueError(
                "`history` must hold an evaluation that ended well. Received: "
                f"{len(history.ended)} that ended, all of them failed."
            )
        surrogate = surrogate_of(space, history)
        return surrogate.individuals[surrogate.elites(1)[0]]

    def _initial(
        self, space: SearchSpace, history: History, rng: np.random.Generator
    ) -> Draft:
        """The defaults or the middle, then draws far from all others."""
        births = history.births
        if not births and self.default_first and _says_defaults(space):
            return Draft(genome=space.default, operator="default")
        if not births:
            return Draft(genome=_middle(space), operator="middle")
        encoding = encoding_of(space.genes)
        if self.capability is not None and births % 2:
            codes = encoding.sample(_MORE_DRAWS * _DRAWS, rng)
            genomes = [encoding.decode(row) for row in codes]
            capable = np.argsort([-self.capability(g) for g in genomes])
            codes = codes[capable[:_DRAWS]]
        else:
            codes = encoding.sample(_DRAWS, rng)
        features = encoding.features(codes, encoding.activity(codes))
        everyone = [*history.ended, *history.pending.values()]
        taken = encoding.features(
            *encoding.encode([one.genome for one in everyone])
        )
        nearest = squared_distances(features, taken).min(axis=1)
        genome = encoding.decode(codes[int(nearest.argmax())])
        return Draft(genome=genome, operator="space_filling")


def _middle(space: SearchSpace) -> dict[str, Value]:
    """A draft in the middle of all ordered genes; the others are drawn."""
    return {
        gene.name: gene.domain.at(0.5)
        for gene in space.genes
        if isinstance(gene.domain, Grid | Interval)
    }


def _says_defaults(space: SearchSpace) -> bool:
    """Whether some default is more than the first value of its domain.

    keras-tuner gives every hyperparameter a default, the first or least value
    unless the user names one. A network of nothing but those is a corner of
    the space, not a suggestion.
    """
    return any(gene.default != next(iter(gene.domain)) for gene in space.genes)


def screened_evolution(
    *,
    evolution: Evolution | None = None,
    initial_size: int | Literal["auto"] = "auto",
    unscreened: int = 20,
    default_first: bool = True,
    capability: Capability | None = None,
) -> ScreenedEvolution:
    """Evolution whose children are chosen by a Gaussian process.

    Best for searches in which every trial counts, up to some hundreds.

    Args:
        evolution: The evolution that makes children, or `None` for
            `genetic_algorithm()`.
        initial_size: Integer or `"auto"`; see `ScreenedEvolution`.
        unscreened: Integer, every how many children one is born unscreened.
            Defaults to 20.
        default_first: Boolean, whether the defaults of the space come first.
            Defaults to `True`.
        capability: Prefers capable networks at the beginning; see
            `Capability`. Defaults to `None`.

    Returns:
        The strategy.

    Raises:
        ValueError: If a number is out of range.
    """
    return ScreenedEvolution(
        evolution=genetic_algorithm() if evolution is None else evolution,
        initial_size=initial_size,
        unscreened=unscreened,
        default_first=default_first,
        capability=capability,
    )
