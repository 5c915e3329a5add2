"""Ask and tell: the search without any training.

Asking is pure: what is proposed depends on the seed, on the number of the
birth and on what has been recorded, never on a hidden state. Telling folds
the result into the strategy's state. To resume a search is to record the
same births and ends again.
"""

from collections.abc import Iterable
from typing import Any

from keras_evonas.evolution.genes import Genome
from keras_evonas.evolution.genes import Value
from keras_evonas.evolution.history import Draft
from keras_evonas.evolution.history import History
from keras_evonas.evolution.history import Individual
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
        seed: Non-negative integer.
        initial_population: Genomes or drafts to be born first. Missing genes
            are filled with their defaults; duplicates are dropped.

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
        seed: int,
        initial_population: Iterable[Genome] = (),
    ) -> None:
        self.space = space
        self.strategy = strategy
        self.seed = seed
        self.history = History()
        self.state: Any = strategy.begin()
        initial = {
            space.key(genome): genome
            for genome in map(space.complete, initial_population)
        }
        self._initial = list(initial.values())

    def ask(self) -> Individual | None:
        """Makes the next individual, and records it as pending.

        Returns:
            An individual with a genome that was never born before, or `None`
            if the whole space has been.
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
        """
        ended = self.history.end(birth, losses, self.space, genome)
        self.state = self.strategy.absorb(self.state, ended)
        return ended

    def record(self, individual: Individual) -> None:
        """Records a birth that `ask` made, now or before a resume."""
        self.history.begin(individual, self.space)

    def grow(self, space: SearchSpace) -> None:
        """Goes on in a space that has more genes than before."""
        self.space = space

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
            draft = _with_genome(draft, genome)
            if not self._seen(genome):
                return draft
        for genome in self.space.enumerate():
            if not self._seen(genome):
                return Draft(genome=genome, operator="enumerated")
        return None

    def _propose(self, birth: int, rng: Any) -> Draft:
        if birth < len(self._initial):
            # The space may have grown since the search began.
            genome = self.space.complete(self._initial[birth])
            return Draft(genome=genome, operator="initial")
        return self.strategy.propose(self.state, self.space, self.history, rng)

    def _seen(self, genome: dict[str, Value]) -> bool:
        return self.history.seen(self.space.key(genome))


def _with_genome(draft: Draft, genome: Genome) -> Draft:
    return Draft(
        genome=genome,
        parents=draft.parents,
        operator=draft.operator,
        traits=draft.traits,
    )
