"""Ask and tell: the search without any training.

Asking is pure: what is proposed depends on the seed, on the number of the
birth and on what has been recorded, never on a hidden state. Telling folds
the result into the strategy's state. To resume a search is to record the
same births and ends again.
"""

import dataclasses
from collections.abc import Iterable
from collections.abc import Iterator
from typing import Any

import numpy as np

from keras_evonas.evolution.genes import Genome
from keras_evonas.evolution.genes import Value
from keras_evonas.evolution.history import Draft
from keras_evonas.evolution.history import History
from keras_evonas.evolution.history import Individual
from keras_evonas.evolution.randomness import check_seed
from keras_evonas.evolution.randomness import rng_at
from keras_evonas.evolution.space import SearchSpace
from keras_evonas.evolution.strategies import Strategy

# How often a child that was seen before is mutated again, and after that how
# often one is drawn at random, before unseen genomes are enumerated.
_MUTATIONS = 20
_RANDOM_DRAWS = 50


class Engine:
    """Runs a strategy on a space.

    Args:
        space: The space to search.
        strategy: The strategy, its `"auto"` settings resolved.
        seed: Non-negative integer, `0` included, or `None` for a random one.
        initial_population: Genomes to be born first. Missing genes are filled
            with their defaults; duplicates are dropped.

    Raises:
        ValueError: If `seed` is negative or no integer, or if
            `initial_population` lies outside the space.

    Example:

    ```python
    engine = Engine(space, genetic_algorithm().configure(100), seed=0)
    for _ in range(100):
        individual = engine.ask()
        engine.tell(individual.birth, (loss(individual.genome),))
    ```
    """

    def __init__(
        self,
        space: SearchSpace,
        strategy: Strategy,
        *,
        seed: int | None,
        initial_population: Iterable[Genome] = (),
    ) -> None:
        self.space = space
        self.strategy = strategy
        self.seed = check_seed(seed)
        self.history = History()
        self.state: Any = strategy.begin()
        adopted = [
            space.adopt(genome, "initial_population")
            for genome in initial_population
        ]
        self._initial = list({space.key(one): one for one in adopted}.values())
        self._unseen: Iterator[dict[str, Value]] | None = None

    def ask(self) -> Individual | None:
        """Makes the next individual, and records it as pending.

        Returns:
            An individual with a genome that was never born before, or one
            that goes on with the training of another, or `None` if the whole
            space has been born and nobody is to go on.

        Raises:
            RuntimeError: If the strategy has an `"auto"` setting left.
        """
        birth = self.history.births
        draft = self._draft_unseen(birth)
        if draft is None:
            return None
        individual = Individual(
            birth=birth,
            genome=draft.genome,
            parents=draft.parents,
            operator=draft.operator,
            traits=draft.traits,
            rung=draft.rung,
        )
        self.record(individual)
        return individual

    def tell(
        self,
        birth: int,
        losses: tuple[float, ...] | None,
        *,
        genome: Genome | None = None,
    ) -> Individual:
        """Records how a pending individual did.

        Args:
            birth: Its number.
            losses: One number an objective, lower is better; `None` if its
                evaluation failed.
            genome: Its genome, if the space grew when its network was built.

        Returns:
            The individual with its losses.

        Raises:
            KeyError: If no individual of this birth is pending.
            TypeError: If `losses` is a bare number.
            ValueError: If `losses` are more or fewer than those before.
        """
        born = self.history.pending.get(birth)
        ended = self.history.end(birth, losses, self.space, genome)
        if born is None or ended.genome != born.genome:
            self._unseen = None  # what it was before is unseen again
        self.state = self.strategy.absorb(self.state, ended)
        return ended

    def record(self, individual: Individual) -> None:
        """Records a birth that `ask` made, now or before a resume.

        Raises:
            ValueError: If it is not the next birth.
        """
        self.history.begin(individual, self.space)

    def grow(self, space: SearchSpace) -> None:
        """Goes on in a space that has more genes than before."""
        self.space = space
        self._initial = [space.complete(genome) for genome in self._initial]
        self._unseen = None

    def _draft_unseen(self, birth: int) -> Draft | None:
        """Proposes; if seen: mutates again, draws at random, enumerates."""
        draft = Draft()
        for attempt in range(_MUTATIONS + _RANDOM_DRAWS):
            rng = rng_at(self.seed, birth, attempt)
            if attempt == 0:
                draft = self._propose(birth, rng)
            elif attempt < _MUTATIONS:
                draft = self.strategy.vary(draft, self.space, rng)
            else:
                draft = Draft()
            genome = self.space.express(draft.genome, rng)
            draft = dataclasses.replace(draft, genome=genome)
            if not self._seen(genome, draft.rung):
                return draft
        return self._enumerate_unseen()

    def _enumerate_unseen(self) -> Draft | None:
        """The first unseen genome of the space, if there is any.

        The enumeration goes on where it stood, since what was seen stays
        seen: a long search of a small space would else walk the space again
        at every birth.
        """
        if self._unseen is None:
            self._unseen = self.space.enumerate()
        for genome in self._unseen:
            if not self._seen(genome):
                return Draft(genome=genome, operator="enumerated")
        return None

    def _propose(self, birth: int, rng: np.random.Generator) -> Draft:
        if birth < len(self._initial):
            # The space may have grown since the search began.
            genome = self.space.complete(self._initial[birth])
            return Draft(genome=genome, operator="initial")
        return self.strategy.propose(self.state, self.space, self.history, rng)

    def _seen(self, genome: dict[str, Value], rung: int = 0) -> bool:
        return self.history.seen(self.space.key(genome), rung)
