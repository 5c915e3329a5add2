"""Random search and local search: what every other strategy must beat."""

import dataclasses

import numpy as np

from keras_evonas.evolution.checks import check_positive_integer
from keras_evonas.evolution.history import Draft
from keras_evonas.evolution.history import History
from keras_evonas.evolution.history import Individual
from keras_evonas.evolution.history import best_first
from keras_evonas.evolution.mutation import ResampleOne
from keras_evonas.evolution.replacement import Population
from keras_evonas.evolution.space import SearchSpace


@dataclasses.dataclass(frozen=True, kw_only=True)
class RandomSearch:
    """Draws every individual at random (Bergstra & Bengio, 2012)."""

    def configure(self, max_trials: int | None) -> "RandomSearch":
        """Has nothing to resolve; see `Strategy`."""
        del max_trials
        return self

    def begin(self) -> None:
        """Keeps no state; see `Strategy`."""

    def absorb(self, state: None, individual: Individual) -> None:
        """Learns nothing; see `Strategy`."""

    def propose(
        self,
        state: None,
        space: SearchSpace,
        history: History,
        rng: np.random.Generator,
    ) -> Draft:
        """Leaves every gene to chance; see `Strategy`."""
        del state, space, history, rng
        return Draft()

    def vary(
        self, draft: Draft, space: SearchSpace, rng: np.random.Generator
    ) -> Draft:
        """Draws again; see `Strategy`."""
        del draft, space, rng
        return Draft()


@dataclasses.dataclass(frozen=True, kw_only=True)
class LocalSearch:
    """Tries all neighbours of the best (White et al., 2021).

    Starts from a few random individuals. Then it tries, in random order, the
    neighbours of the best individual that has any left. Deviations from the
    paper: a better neighbour is taken up at once instead of after the whole
    neighbourhood, and from a local optimum it goes on at the next best
    individual instead of at a new random one. A change that switches genes on
    draws their values, so that it makes many neighbours, not one.

    Args:
        initial_size: Integer, random individuals to start from. Defaults to
            10.
        memory: Integer, how many of the best are remembered. Defaults to 20.

    Raises:
        ValueError: If a size or rate is out of range.
    """

    initial_size: int = 10
    memory: int = 20

    def __post_init__(self) -> None:
        check_positive_integer("initial_size", self.initial_size)
        check_positive_integer("memory", self.memory)

    def configure(self, max_trials: int | None) -> "LocalSearch":
        """Has nothing to resolve; see `Strategy`."""
        del max_trials
        return self

    def begin(self) -> Population:
        """Remembers nobody; see `Strategy`."""
        return ()

    def absorb(self, state: Population, individual: Individual) -> Population:
        """Remembers the best, best first; see `Strategy`."""
        return tuple(best_first([*state, individual])[: self.memory])

    def propose(
        self,
        state: Population,
        space: SearchSpace,
        history: History,
        rng: np.random.Generator,
    ) -> Draft:
        """Proposes a new neighbour of the best; see `Strategy`."""
        if history.births < self.initial_size:
            return Draft()
        for individual in state:
            genome = space.express(individual.genome, rng)
            neighbours = list(space.neighbours(genome))
            for index in rng.permutation(len(neighbours)):
                draft = space.express(neighbours[index], rng)
                if not history.seen(space.key(draft)):
                    return Draft(
                        genome=draft,
                        parents=(individual.birth,),
                        operator="neighbour",
                    )
        return Draft()

    def vary(
        self, draft: Draft, space: SearchSpace, rng: np.random.Generator
    ) -> Draft:
        """Changes one gene more; see `Strategy`."""
        return ResampleOne()(draft, space, rng)


def random_search() -> RandomSearch:
    """Random search without duplicates, the baseline of every comparison."""
    return RandomSearch()


def local_search(*, initial_size: int = 10) -> LocalSearch:
    """Hill climbing over one-gene neighbours; see `LocalSearch`.

    Raises:
        ValueError: If `initial_size` is not a positive integer.
    """
    return LocalSearch(initial_size=initial_size)
