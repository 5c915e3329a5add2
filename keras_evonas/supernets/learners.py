"""Samplers that learn from scores while a supernet is trained.

After each epoch the paths that a learner names are scored on the validation
data, and from these results it draws the paths of the next one. A learner is a
value, too: the results are all that it learns from, and are saved with the
supernet.
"""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple
from typing import Protocol
from typing import runtime_checkable

import numpy as np
from scipy import special

from keras_evonas.evolution.checks import check_positive_integer
from keras_evonas.evolution.checks import check_range
from keras_evonas.evolution.genes import Categorical
from keras_evonas.evolution.genes import Gene
from keras_evonas.evolution.history import Individual
from keras_evonas.evolution.policy_gradient import PolicyGradient
from keras_evonas.evolution.space import SearchSpace
from keras_evonas.supernets.samplers import Paths


class Result(NamedTuple):
    """A path, and its validation loss: `None` if it is not finite."""

    path: tuple[int, ...]
    loss: float | None


@runtime_checkable
class Learner(Protocol):
    """Draws the paths of an epoch, given the results of those before."""

    def paths(
        self,
        sizes: Sequence[int],
        steps: int,
        address: Sequence[int],
        results: Sequence[Result] = (),
    ) -> Paths:
        """Draws the paths of an epoch; see `Sampler`."""

    def proposals(
        self,
        sizes: Sequence[int],
        address: Sequence[int],
        results: Sequence[Result],
    ) -> list[tuple[int, ...]]:
        """Returns the paths to score when the epoch has ended."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class PolicyPaths:
    """Draws paths from a policy that is trained by their validation losses.

    ENAS (Pham et al., 2018): steps on the shared weights, and steps on the
    policy with the weights as they are, take turns. Deviations: the policy is
    `keras_evonas.evolution.policy_gradient.PolicyGradient`, a table of
    preferences for each gene instead of a recurrent network; it takes one
    step for each of `evaluations` paths that are drawn at once.

    Args:
        evaluations: Integer, the paths scored after each epoch. Defaults to
            20.
        learning_rate: Float, as for `PolicyGradient`. Defaults to 0.1.
        decay: Float, as for `PolicyGradient`. Defaults to 0.9.
    """

    evaluations: int = 20
    learning_rate: float = 0.1
    decay: float = 0.9

    def __post_init__(self) -> None:
        check_positive_integer("evaluations", self.evaluations)
        self._policy()

    def paths(
        self,
        sizes: Sequence[int],
        steps: int,
        address: Sequence[int],
        results: Sequence[Result] = (),
    ) -> Paths:
        """Draws the paths of an epoch; see `Sampler`."""
        rng = np.random.default_rng([*address, 0])
        drawn = self._drawn(rng, sizes, steps, results)
        return drawn[:, None].astype(np.int32)

    def proposals(
        self,
        sizes: Sequence[int],
        address: Sequence[int],
        results: Sequence[Result],
    ) -> list[tuple[int, ...]]:
        """Draws the paths to score when the epoch has ended."""
        rng = np.random.default_rng([*address, 1])
        drawn = self._drawn(rng, sizes, self.evaluations, results)
        return [tuple(path) for path in drawn.tolist()]

    def chances(
        self, sizes: Sequence[int], results: Sequence[Result]
    ) -> list[np.ndarray]:
        """Returns the probabilities of the values of each gene."""
        genes = [
            Gene(f"{number}", Categorical(tuple(range(size))))
            for number, size in enumerate(sizes)
        ]
        scored = tuple(
            Individual(
                birth=birth,
                genome={f"{n}": value for n, value in enumerate(one.path)},
                losses=None if one.loss is None else (one.loss,),
            )
            for birth, one in enumerate(results)
        )
        preferences = self._policy().preferences(scored, SearchSpace(genes))
        return [special.softmax(preferences[gene]) for gene in genes]

    def _drawn(
        self,
        rng: np.random.Generator,
        sizes: Sequence[int],
        number: int,
        results: Sequence[Result],
    ) -> np.ndarray:
        columns = [
            rng.choice(len(chances), number, p=chances)
            for chances in self.chances(sizes, results)
        ]
        return np.stack(columns, axis=1)

    def _policy(self) -> PolicyGradient:
        return PolicyGradient(
            learning_rate=self.learning_rate, decay=self.decay
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class TournamentPaths:
    """Trains the paths of tournaments, whose losers become like the winners.

    PathNet (Fernando et al., 2017): in each epoch pairs of paths from a
    population are trained in turn. The one with the larger validation loss is
    replaced by a copy of the other, in which genes have other values with a
    certain probability. Deviations: a path has one option of each choice
    instead of several modules of each layer; it is judged by the validation
    loss instead of that of its training.

    Args:
        population_size: Integer, the paths of the population. Defaults to 16.
        tournaments: Integer, the pairs of an epoch. Defaults to 4.
        mutation_rate: Float in `[0, 1]`, the probability that a gene of the
            copy is drawn anew. Defaults to 0.1.
    """

    population_size: int = 16
    tournaments: int = 4
    mutation_rate: float = 0.1

    def __post_init__(self) -> None:
        check_positive_integer("tournaments", self.tournaments)
        check_positive_integer("population_size", self.population_size)
        check_range("mutation_rate", self.mutation_rate, 0.0, 1.0)
        if self.population_size < 2 * self.tournaments:
            raise ValueError(
                "`population_size` must have two paths for each of "
                f"`tournaments`. Received: population_size="
                f"{self.population_size}, tournaments={self.tournaments}. "
                "Enlarge the population, or hold fewer tournaments."
            )

    def paths(
        self,
        sizes: Sequence[int],
        steps: int,
        address: Sequence[int],
        results: Sequence[Result] = (),
    ) -> Paths:
        """Returns the paths of the tournaments in turn; see `Sampler`."""
        paths = np.array(self.proposals(sizes, address, results), np.int32)
        return np.resize(paths, (steps, 1, len(sizes)))

    def proposals(
        self,
        sizes: Sequence[int],
        address: Sequence[int],
        results: Sequence[Result],
    ) -> list[tuple[int, ...]]:
        """Returns the paths of the tournaments, the pairs one by one."""
        population = self.population(sizes, address, results)
        epoch = len(results) // (2 * self.tournaments)
        places = self._places(address, epoch)
        return [tuple(population[place].tolist()) for place in places]

    def population(
        self,
        sizes: Sequence[int],
        address: Sequence[int],
        results: Sequence[Result],
    ) -> np.ndarray:
        """Returns the paths after all tournaments.

        Args:
            sizes: As for `paths`.
            address: As for `paths`; the last integer is that of the epoch,
                and does not count.
            results: As for `paths`.
        """
        rng = np.random.default_rng([*address[:-1], 0])
        shape = (self.population_size, len(sizes))
        population = rng.integers(0, list(sizes), shape)
        width = 2 * self.tournaments
        for epoch in range(len(results) // width):
            held = results[epoch * width : (epoch + 1) * width]
            losses = [np.inf if one.loss is None else one.loss for one in held]
            places = self._places(address, epoch)
            rng = np.random.default_rng([*address[:-1], 2, epoch])
            for pair in range(0, width, 2):
                winner = pair + (losses[pair] > losses[pair + 1])
                loser = 2 * pair + 1 - winner
                anew = rng.random(len(sizes)) < self.mutation_rate
                copy = np.where(
                    anew, rng.integers(0, list(sizes)), held[winner].path
                )
                population[places[loser]] = copy
        return population

    def _places(self, address: Sequence[int], epoch: int) -> list[int]:
        """Returns the members of the population that meet in an epoch."""
        rng = np.random.default_rng([*address[:-1], 1, epoch])
        order = rng.permutation(self.population_size)
        places: list[int] = order[: 2 * self.tournaments].tolist()
        return places
