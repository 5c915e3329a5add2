"""Strategies: the choice of the next genome, composed of operators.

A strategy is a frozen value. It folds the individuals that ended into a state
(for most strategies the population) and proposes a draft from it. Both are
pure: the same history gives the same state, and the same generator the same
proposal. Write your own by composing `Evolution`, or as a class with the five
methods of `Strategy`; `keras_evonas.testing.StrategyConformance` tests it.
"""

import abc
import dataclasses
from typing import Any
from typing import Protocol
from typing import TypeAlias

from keras_evonas.evolution import checks
from keras_evonas.evolution import labels
from keras_evonas.evolution import mutation
from keras_evonas.evolution import replacement
from keras_evonas.evolution.crossover import BlockCrossover
from keras_evonas.evolution.crossover import Crossover
from keras_evonas.evolution.history import Draft
from keras_evonas.evolution.history import History
from keras_evonas.evolution.history import Individual
from keras_evonas.evolution.history import checked_draft
from keras_evonas.evolution.randomness import Rng
from keras_evonas.evolution.selection import Selection
from keras_evonas.evolution.selection import Tournament
from keras_evonas.evolution.space import SearchSpace

# Each strategy has a state of its own, which only the strategy looks into.
State: TypeAlias = Any


class Strategy(Protocol):
    """Chooses what to try next, given what has been tried.

    A class that derives from it may leave out `configure` and `vary`.
    """

    def configure(self, max_trials: int | None) -> "Strategy":
        """Returns the strategy with its `"auto"` settings resolved.

        Args:
            max_trials: Number of trials that the search may spend, `None` if
                it is not known.
        """
        del max_trials
        return self

    @abc.abstractmethod
    def begin(self) -> State:
        """Returns the state before any individual has ended."""

    @abc.abstractmethod
    def absorb(self, state: State, individual: Individual) -> State:
        """Returns the state after an individual ended; leaves `state` as it is.

        Args:
            state: The state that `begin` or `absorb` returned last.
            individual: The individual that ended. It may have failed, and then
                is not `viable`.
        """

    @abc.abstractmethod
    def propose(
        self, state: State, space: SearchSpace, history: History, rng: Rng
    ) -> Draft:
        """Returns a draft of the next individual.

        Args:
            state: As in `absorb`.
            space: The space to search, which may have grown meanwhile.
            history: All individuals, the pending ones included.
            rng: The generator to draw from.
        """

    def vary(self, draft: Draft, space: SearchSpace, rng: Rng) -> Draft:
        """Returns another draft near one that was born before.

        Args:
            draft: The draft that was proposed, with all active genes.
            space: The space to search.
            rng: The generator to draw from.
        """
        return mutation.ResampleOne()(draft, space, rng)


_METHODS = ("configure", "begin", "absorb", "propose", "vary")


def check_strategy(name: str, strategy: object, *more: str) -> None:
    """Raises a `TypeError` unless it has the methods of a strategy.

    `more` are methods that it must have beside them.
    """
    methods = (*_METHODS, *more)
    is_strategy = all(hasattr(strategy, method) for method in methods)
    if isinstance(strategy, type) or not is_strategy:
        raise TypeError(
            f"`{name}` must be a strategy such as `genetic_algorithm()` of "
            f"keras_evonas.evolution. Received: {name}={strategy!r}. Call "
            "the function that makes it, or write a class with the methods "
            f"{methods}."
        )


def check_evolution(evolution: object) -> None:
    """Raises a `TypeError` unless it is one that breeds, as `Evolution`."""
    check_strategy("evolution", evolution, "breed")


@dataclasses.dataclass(frozen=True)
class EvolutionState:
    """The viable individuals, in the order in which they ended."""

    population: replacement.Population = ()
    brood: replacement.Population = ()  # Ended since the last replacement.


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evolution:
    """Evolves a population: selects, crosses, mutates and replaces.

    The first `population_size` individuals are drawn at random. Afterwards
    each proposal is a child of selected parents. A proposal never waits for
    pending individuals. Whenever `brood_size` viable children have ended, the
    replacement makes the next population of the old one and these children.
    Failed individuals never join a population and never become parents.

    Args:
        population_size: Integer, or `"auto"`: a fifth of the number of
            trials, between 8 and 20, and up to 50 for long searches. With a
            population as large as the number of trials this is random search.
            Defaults to `"auto"`.
        select: The `Selection` of parents. Defaults to `Tournament()`.
        crossover: The `Crossover` of two parents, `None` for mutation alone.
            Defaults to `BlockCrossover()`.
        crossover_rate: Float in `[0, 1]`, share of the children that have two
            parents. Defaults to 0.5.
        mutate: The `Mutation` of each child. Defaults to `Step()`.
        replace: The `Replacement` of a population. Defaults to `WorstDies()`.
        brood_size: Integer, number of children between two replacements: 1 is
            steady state. `None` for as many as the population, which makes
            generations. Defaults to 1.

    Raises:
        TypeError: If an operator is no function.
        ValueError: If a size or rate is out of range, a tournament larger
            than the population, or all of the population elites.
    """

    population_size: checks.Size = "auto"
    select: Selection = dataclasses.field(default_factory=Tournament)
    crossover: Crossover | None = dataclasses.field(
        default_factory=BlockCrossover
    )
    crossover_rate: float = 0.5
    mutate: mutation.Mutation = dataclasses.field(default_factory=mutation.Step)
    replace: replacement.Replacement = dataclasses.field(
        default_factory=replacement.WorstDies
    )
    brood_size: int | None = 1

    def __post_init__(self) -> None:
        checks.check_size("population_size", self.population_size)
        checks.check_range("crossover_rate", self.crossover_rate, 0.0, 1.0)
        if self.brood_size is not None:
            checks.check_positive_integer("brood_size", self.brood_size)
        for name in ("select", "mutate", "replace"):
            checks.check_function(name, getattr(self, name))
        if self.crossover is not None:
            checks.check_function("crossover", self.crossover)
        size, tournament = self.population_size, self._tournament_size
        if size != "auto" and tournament > size:
            raise ValueError(
                "`tournament_size` must not exceed `population_size`. Received:"
                f" tournament_size={tournament}, population_size={size}. Lower "
                "the tournament or grow the population."
            )
        if size != "auto" and self._elites >= size:
            raise ValueError(
                "`elites` must be fewer than `population_size`, or no child "
                f"ever joins the population. Received: elites={self._elites}, "
                f"population_size={size}. Keep fewer elites or make the "
                "population larger."
            )

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
        size = max(self._tournament_size, self._elites + 1)
        size = max(size, auto_population_size(max_trials))
        return dataclasses.replace(self, population_size=size)

    def begin(self) -> EvolutionState:
        """Returns an empty population; see `Strategy`."""
        return EvolutionState()

    def absorb(
        self, state: EvolutionState, individual: Individual
    ) -> EvolutionState:
        """Lets an individual join the population; see `Strategy`."""
        if not individual.viable:
            return state
        size = checks.resolved("population_size", self.population_size)
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
        rng: Rng,
    ) -> Draft:
        """Proposes a child; see `Strategy`."""
        size = checks.resolved("population_size", self.population_size)
        if history.births < size or not state.population:
            return Draft()
        return self.breed(state.population, space, rng)

    def breed(
        self, population: replacement.Population, space: SearchSpace, rng: Rng
    ) -> Draft:
        """Makes one child: selects parents, crosses them and mutates."""
        parents = tuple(self.select(population, 2, rng))
        if len(parents) != 2:
            raise ValueError(
                "`select` must return as many individuals as it is asked for. "
                f"Received: {len(parents)} instead of 2."
            )
        first, second = parents
        crossed = rng.random() < self.crossover_rate
        if self.crossover is not None and crossed and first is not second:
            made = self.crossover(first, second, space, rng)
            draft = checked_draft(made, "crossover")
        else:
            draft = Draft(
                genome=first.genome,
                parents=(first.birth,),
                operator=labels.CLONE,
                traits=first.traits,
            )
        genome = space.express(draft.genome, rng)
        return self.vary(dataclasses.replace(draft, genome=genome), space, rng)

    def vary(self, draft: Draft, space: SearchSpace, rng: Rng) -> Draft:
        """Mutates a draft; see `Strategy`."""
        return checked_draft(self.mutate(draft, space, rng), "mutate")


class GuidedEvolution:
    """The part of a strategy that leaves its population to an `Evolution`."""

    evolution: Evolution

    def begin(self) -> EvolutionState:
        """Returns the evolution's empty population; see `Strategy`."""
        return self.evolution.begin()

    def absorb(
        self, state: EvolutionState, individual: Individual
    ) -> EvolutionState:
        """Lets an individual join the population; see `Strategy`."""
        return self.evolution.absorb(state, individual)

    def vary(self, draft: Draft, space: SearchSpace, rng: Rng) -> Draft:
        """Mutates a draft as the evolution does; see `Strategy`."""
        return self.evolution.vary(draft, space, rng)


def genetic_algorithm(
    *,
    population_size: checks.Size = "auto",
    tournament_size: int | None = None,
    crossover_rate: float = 0.5,
    self_adaptive: bool = False,
) -> Evolution:
    """Returns a steady-state genetic algorithm.

    Each viable child replaces the worst individual, unless it is worse itself.

    Args:
        population_size: Integer or `"auto"`; see `Evolution`, also for errors.
        tournament_size: Integer, or `None` for two fifths of the population.
        crossover_rate: Float; see `Evolution`. Defaults to 0.5.
        self_adaptive: Boolean, whether every individual has a mutation rate of
            its own; see `SelfAdaptive`. Defaults to `False`.
    """
    checks.check_boolean("self_adaptive", self_adaptive)
    return Evolution(
        population_size=population_size,
        select=_tournament("tournament_size", tournament_size),
        crossover=BlockCrossover(),
        crossover_rate=crossover_rate,
        mutate=mutation.SelfAdaptive() if self_adaptive else mutation.Step(),
        replace=replacement.WorstDies(),
    )


def _tournament(name: str, size: int | None) -> Tournament:
    if size is not None:
        checks.check_positive_integer(name, size)
    return Tournament(size=size)


def generational_genetic_algorithm(
    *,
    population_size: checks.Size = "auto",
    tournament_size: int = 3,
    crossover_rate: float = 0.5,
    elites: int = 1,
) -> Evolution:
    """Returns a genetic algorithm with generations.

    Workers never wait for the end of a generation: the individuals that they
    ask for meanwhile are children of the generation before.

    Args:
        population_size: Integer or `"auto"`; see `Evolution`, also for errors.
        tournament_size: Integer. Defaults to 3.
        crossover_rate: Float; see `Evolution`. Defaults to 0.5.
        elites: Integer, how many of the best individuals survive a
            generation. Defaults to 1.
    """
    return Evolution(
        population_size=population_size,
        select=_tournament("tournament_size", tournament_size),
        crossover=BlockCrossover(),
        crossover_rate=crossover_rate,
        mutate=mutation.Resample(),
        replace=replacement.Generational(elites=elites),
        brood_size=None,
    )


def regularized_evolution(
    *, population_size: checks.Size = "auto", sample_size: int | None = None
) -> Evolution:
    """Returns regularized, or ageing, evolution (Real et al., 2019).

    The best individual of a sample is copied with one gene changed, and the
    child replaces the oldest individual. Deviations from the paper: no identity
    mutation, since no network is trained twice, and smaller default sizes,
    since with its population of 100 the first 100 trials are random search.

    Args:
        population_size: Integer or `"auto"`; see `Evolution`, also for errors.
        sample_size: Integer, how many individuals compete to be the parent, or
            `None` for two fifths of the population.
    """
    return Evolution(
        population_size=population_size,
        select=_tournament("sample_size", sample_size),
        crossover=None,
        mutate=mutation.ResampleOne(),
        replace=replacement.OldestDies(),
    )


def nsga2(
    *, population_size: checks.Size = "auto", crossover_rate: float = 0.9
) -> Evolution:
    """Returns NSGA-II (Deb et al., 2002) in its steady-state form.

    Every strategy can be used with several objectives, since individuals are
    sorted by the crowded comparison (see `best_first`); this one is made for
    it. Parents win binary tournaments by their rank, in a tie by their crowding
    distance. Of the population and a child the most crowded individual of the
    worst front is removed. Individuals that violate a constraint are worse than
    all others, and the worse the more they violate it. Deviations from the
    paper: children are born one at a time, so that no worker waits (Durillo et
    al., 2009); of equal individuals the earlier born wins instead of a random
    one; and crossover and mutation are those for genes of every type.

    Args:
        population_size: Integer or `"auto"`; see `Evolution`, also for errors.
        crossover_rate: Float; see `Evolution`. Defaults to 0.9.
    """
    return Evolution(
        population_size=population_size,
        select=Tournament(size=2),
        crossover=BlockCrossover(),
        crossover_rate=crossover_rate,
        mutate=mutation.Step(),
        replace=replacement.WorstDies(),
    )


def auto_population_size(max_trials: int | None) -> int:
    """Returns the size of population that suits a number of trials.

    It is a fifth of the trials, between 8 and 20, and beyond 300 trials a
    fifteenth of them, up to 50. It is 20 if the number is not known.
    """
    if max_trials is None:
        return 20
    return max(8, min(20, round(max_trials / 5)), min(50, max_trials // 15))
