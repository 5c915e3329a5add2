"""Strategies: what to try next, as compositions that fit on one screen.

A strategy is a value. It folds finished evaluations into a state (for most,
the population) and proposes a draft from it. Both are pure: the same history
gives the same state, and the same generator the same proposal. Write your own
by composing `Evolution`, or with a class that has the five methods of
`Strategy`; `keras_evonas.testing.StrategyConformance` tests it.
"""

import dataclasses
from typing import Any
from typing import Literal
from typing import Protocol

import numpy as np

from keras_evonas.evolution.checks import check_positive_integer
from keras_evonas.evolution.checks import check_range
from keras_evonas.evolution.crossover import BlockCrossover
from keras_evonas.evolution.crossover import Crossover
from keras_evonas.evolution.history import Draft
from keras_evonas.evolution.history import History
from keras_evonas.evolution.history import Individual
from keras_evonas.evolution.mutation import Mutation
from keras_evonas.evolution.mutation import Resample
from keras_evonas.evolution.mutation import ResampleOne
from keras_evonas.evolution.mutation import SelfAdaptive
from keras_evonas.evolution.mutation import Step
from keras_evonas.evolution.replacement import Generational
from keras_evonas.evolution.replacement import OldestDies
from keras_evonas.evolution.replacement import Population
from keras_evonas.evolution.replacement import Replacement
from keras_evonas.evolution.replacement import WorstDies
from keras_evonas.evolution.selection import Selection
from keras_evonas.evolution.selection import Tournament
from keras_evonas.evolution.space import SearchSpace

Size = int | Literal["auto"]


class Strategy(Protocol):
    """What to try next, given what has been tried."""

    def configure(self, max_trials: int | None) -> "Strategy":
        """Returns the strategy with its `"auto"` settings resolved.

        Args:
            max_trials: Number of evaluations the search may spend, `None` if
                it is not known.
        """

    def begin(self) -> Any:
        """Returns the state before any evaluation has ended."""

    def absorb(self, state: Any, individual: Individual) -> Any:
        """Returns the state after an evaluation; `state` is not touched.

        Args:
            state: What `begin` or `absorb` returned last.
            individual: Who ended, failures (not `viable`) included.
        """

    def propose(
        self,
        state: Any,
        space: SearchSpace,
        history: History,
        rng: np.random.Generator,
    ) -> Draft:
        """Returns a draft of the next individual.

        Args:
            state: What `absorb` returned last.
            space: The space to search, which may have grown meanwhile.
            history: All evaluations, the pending ones included.
            rng: The generator to draw from.
        """

    def vary(
        self, draft: Draft, space: SearchSpace, rng: np.random.Generator
    ) -> Draft:
        """Returns another draft near one that was seen before.

        Args:
            draft: What was proposed; its genome is expressed.
            space: The space to search.
            rng: The generator to draw from.
        """


@dataclasses.dataclass(frozen=True)
class EvolutionState:
    """A population, and the children that have not joined it yet."""

    population: Population = ()
    brood: Population = ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evolution:
    """The evolutionary loop: select, cross, mutate, replace.

    The first `population_size` individuals are drawn at random. Afterwards
    each proposal is a child of selected parents; it never waits, whatever is
    pending. Whenever `brood_size` children have ended well, the replacement
    makes the next population of the old one and the brood. Failed individuals
    never become parents and join no brood.

    Args:
        population_size: Integer, or `"auto"`: a fifth of the number of
            trials, between 8 and 20, and up to 50 for long searches. A
            population as large as the search is random search. Defaults to
            `"auto"`.
        select: Chooses parents. Defaults to `Tournament()`.
        crossover: Crosses two parents, `None` for mutation alone.
        crossover_rate: Float in `[0, 1]`, share of the children that have two
            parents. Defaults to 0.5.
        mutate: Changes each child. Defaults to `Step()`.
        replace: Chooses survivors. Defaults to `WorstDies()`.
        brood_size: Integer, children between two replacements: 1 is steady
            state. `None` for as many as the population, which makes
            generations. Defaults to 1.

    Raises:
        ValueError: If a size or rate is out of range, a tournament larger
            than the population, or all of the population elites.
    """

    population_size: Size = "auto"
    select: Selection = dataclasses.field(default_factory=Tournament)
    crossover: Crossover | None = dataclasses.field(
        default_factory=BlockCrossover
    )
    crossover_rate: float = 0.5
    mutate: Mutation = dataclasses.field(default_factory=Step)
    replace: Replacement = dataclasses.field(default_factory=WorstDies)
    brood_size: int | None = 1

    def __post_init__(self) -> None:
        _check_size("population_size", self.population_size)
        check_range("crossover_rate", self.crossover_rate, 0.0, 1.0)
        if self.brood_size is not None:
            check_positive_integer("brood_size", self.brood_size)
        if self.population_size != "auto":
            _check_tournament(self._tournament_size, self.population_size)
            _check_elites(self._elites, self.population_size)

    @property
    def _tournament_size(self) -> int:
        return getattr(self.select, "size", None) or 0

    @property
    def _elites(self) -> int:
        return getattr(self.replace, "elites", 0)

    def configure(self, max_trials: int | None) -> "Evolution":
        """Resolves `"auto"`; see `Strategy`."""
        if self.population_size != "auto":
            return self
        size = max(
            auto_population_size(max_trials),
            self._tournament_size,
            self._elites + 1,
        )
        return dataclasses.replace(self, population_size=size)

    def begin(self) -> EvolutionState:
        """Returns an empty population; see `Strategy`."""
        return EvolutionState()

    def absorb(
        self, state: EvolutionState, individual: Individual
    ) -> EvolutionState:
        """Lets an individual join; see `Strategy`."""
        if not individual.viable:
            return state
        size = _resolved(self.population_size)
        if len(state.population) < size:
            return EvolutionState((*state.population, individual), ())
        brood = (*state.brood, individual)
        if len(brood) < (self.brood_size or size):
            return EvolutionState(state.population, brood)
        return EvolutionState(self.replace(state.population, brood, size), ())

    def propose(
        self,
        state: EvolutionState,
        space: SearchSpace,
        history: History,
        rng: np.random.Generator,
    ) -> Draft:
        """Proposes a child; see `Strategy`."""
        size = _resolved(self.population_size)
        if history.births < size or not state.population:
            return Draft()
        return self.breed(state.population, space, rng)

    def breed(
        self,
        population: Population,
        space: SearchSpace,
        rng: np.random.Generator,
    ) -> Draft:
        """Makes one child of a population: select, cross, mutate."""
        first, second = self.select(population, 2, rng)
        crossed = rng.random() < self.crossover_rate
        if self.crossover is not None and crossed and first is not second:
            draft = self.crossover(first, second, space, rng)
        else:
            draft = Draft(
                genome=first.genome,
                parents=(first.birth,),
                operator="clone",
                traits=first.traits,
            )
        genome = space.express(draft.genome, rng)
        return self.vary(dataclasses.replace(draft, genome=genome), space, rng)

    def vary(
        self, draft: Draft, space: SearchSpace, rng: np.random.Generator
    ) -> Draft:
        """Mutates; see `Strategy`."""
        return self.mutate(draft, space, rng)


def genetic_algorithm(
    *,
    population_size: Size = "auto",
    tournament_size: int | None = None,
    crossover_rate: float = 0.5,
    self_adaptive: bool = False,
) -> Evolution:
    """A steady-state genetic algorithm: each child may replace the worst.

    Args:
        population_size: Integer or `"auto"`; see `Evolution`.
        tournament_size: Integer, or `None` for two fifths of the population.
        crossover_rate: Float in `[0, 1]`, share of the children that have two
            parents. Defaults to 0.5.
        self_adaptive: Boolean, whether every individual carries a mutation
            rate of its own. Defaults to `False`.

    Returns:
        The strategy.

    Raises:
        ValueError: If a size or rate is out of range, or the tournament larger
            than the population.
    """
    return Evolution(
        population_size=population_size,
        select=Tournament(size=tournament_size),
        crossover=BlockCrossover(),
        crossover_rate=crossover_rate,
        mutate=SelfAdaptive() if self_adaptive else Step(),
        replace=WorstDies(),
    )


def generational_genetic_algorithm(
    *,
    population_size: Size = "auto",
    tournament_size: int = 3,
    crossover_rate: float = 0.5,
    elites: int = 1,
) -> Evolution:
    """The textbook loop: initialise, evaluate, select, mutate, replace.

    Workers never wait for a generation to end: what they ask for meanwhile is
    bred from the generation before.

    Args:
        population_size: Integer or `"auto"`; see `Evolution`.
        tournament_size: Integer. Defaults to 3.
        crossover_rate: Float in `[0, 1]`, share of the children that have two
            parents. Defaults to 0.5.
        elites: Integer, how many of the best survive a generation. Defaults
            to 1.

    Returns:
        The strategy.

    Raises:
        ValueError: If a size or rate is out of range, the tournament larger
            than the population, or all of the population elites.
    """
    return Evolution(
        population_size=population_size,
        select=Tournament(size=tournament_size),
        crossover=BlockCrossover(),
        crossover_rate=crossover_rate,
        mutate=Resample(),
        replace=Generational(elites=elites),
        brood_size=None,
    )


def regularized_evolution(
    *, population_size: Size = "auto", sample_size: int | None = None
) -> Evolution:
    """Regularized, or ageing, evolution (Real et al., 2019).

    The best of a sample is copied with one gene changed, and the oldest dies.
    Deviations from the paper: no identity mutation, since no network is
    trained twice, and smaller default sizes, since its population of 100
    makes the first 100 trials random search.

    Args:
        population_size: Integer or `"auto"`; see `Evolution`.
        sample_size: Integer, how many compete to be the parent, or `None`
            for two fifths of the population.

    Returns:
        The strategy.

    Raises:
        ValueError: If a size or rate is out of range, or the sample larger than
            the population.
    """
    return Evolution(
        population_size=population_size,
        select=Tournament(size=sample_size),
        crossover=None,
        mutate=ResampleOne(),
        replace=OldestDies(),
    )


def auto_population_size(max_trials: int | None) -> int:
    """The population that suits a number of trials.

    A fifth of the trials between 8 and 20; beyond 300 trials a fifteenth, up
    to 50. 20 when the number is not known.
    """
    if max_trials is None:
        return 20
    return max(8, min(20, round(max_trials / 5)), min(50, max_trials // 15))


def _check_size(name: str, size: Size) -> None:
    if size != "auto":
        check_positive_integer(name, size)


def _check_tournament(tournament_size: int, population_size: int) -> None:
    if tournament_size > population_size:
        raise ValueError(
            "`tournament_size` must not exceed `population_size`. Received: "
            f"tournament_size={tournament_size}, "
            f"population_size={population_size}. Lower the tournament or grow "
            "the population."
        )


def _check_elites(elites: int, population_size: int) -> None:
    if elites >= population_size:
        raise ValueError(
            "`elites` must be fewer than `population_size`, or no child ever "
            f"joins the population. Received: elites={elites}, "
            f"population_size={population_size}. Keep fewer elites or grow the "
            "population."
        )


def _resolved(size: Size) -> int:
    if size == "auto":
        raise RuntimeError(
            "`population_size='auto'` is not resolved yet. Call "
            "`strategy.configure(max_trials)` first and use what it returns."
        )
    return size
