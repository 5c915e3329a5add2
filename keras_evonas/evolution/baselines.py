"""Random search and local search, the baselines of other strategies."""

import dataclasses

from keras_evonas.evolution import labels
from keras_evonas.evolution.checks import check_positive_integer
from keras_evonas.evolution.history import Draft
from keras_evonas.evolution.history import History
from keras_evonas.evolution.history import Individual
from keras_evonas.evolution.history import best_first
from keras_evonas.evolution.randomness import Rng
from keras_evonas.evolution.replacement import Population
from keras_evonas.evolution.space import SearchSpace
from keras_evonas.evolution.strategies import Strategy


@dataclasses.dataclass(frozen=True, kw_only=True)
class RandomSearch(Strategy):
    """Draws every individual at random (Bergstra & Bengio, 2012)."""

    def begin(self) -> None:
        """Keeps no state; see `Strategy`."""

    def absorb(self, state: None, individual: Individual) -> None:
        """Ignores the individual; see `Strategy`."""

    def propose(
        self, state: None, space: SearchSpace, history: History, rng: Rng
    ) -> Draft:
        """Proposes an empty draft, to be drawn at random; see `Strategy`."""
        del state, space, history, rng
        return Draft()

    def vary(self, draft: Draft, space: SearchSpace, rng: Rng) -> Draft:
        """Proposes another empty draft; see `Strategy`."""
        del draft, space, rng
        return Draft()


@dataclasses.dataclass(frozen=True, kw_only=True)
class LocalSearch(Strategy):
    """Tries all neighbours of the best individual (White et al., 2021).

    The first few individuals are drawn at random. After them come, in random
    order, the neighbours of the best individual that has untried ones.
    Deviations from the paper: the search moves to a better neighbour at once
    instead of after the whole neighbourhood, and from a local optimum to the
    next best individual instead of a new random one. The values of genes that
    a change makes active are drawn, so that such a change makes many
    neighbours instead of one.

    Args:
        initial_size: Integer, number of random individuals at the start.
            Defaults to 10.
        memory: Integer, number of best individuals whose neighbours are tried.
            Defaults to 20.

    Raises:
        ValueError: If a number is not a positive integer.
    """

    initial_size: int = 10
    memory: int = 20

    def __post_init__(self) -> None:
        check_positive_integer("initial_size", self.initial_size)
        check_positive_integer("memory", self.memory)

    def begin(self) -> Population:
        """Returns an empty memory; see `Strategy`."""
        return ()

    def absorb(self, state: Population, individual: Individual) -> Population:
        """Keeps the best individuals, best first; see `Strategy`."""
        return tuple(best_first([*state, individual])[: self.memory])

    def propose(
        self, state: Population, space: SearchSpace, history: History, rng: Rng
    ) -> Draft:
        """Proposes an untried neighbour of the best; see `Strategy`."""
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
                        operator=labels.NEIGHBOUR,
                    )
        return Draft()


def random_search() -> RandomSearch:
    """Returns random search without duplicates."""
    return RandomSearch()


def local_search(*, initial_size: int = 10) -> LocalSearch:
    """Returns hill climbing over one-gene neighbours; see `LocalSearch`."""
    return LocalSearch(initial_size=initial_size)
