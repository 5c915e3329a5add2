"""Ask and tell: the search without any training.

What `ask` proposes depends on the seed, on the number of the birth and on the
individuals recorded so far, and on no hidden state. `tell` folds the losses
into the strategy's state. To resume a search is to record the same births and
to tell the same losses again.
"""

import dataclasses
import itertools
import math
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from typing import TypeAlias

from keras_evonas.evolution import labels
from keras_evonas.evolution.genes import Genome
from keras_evonas.evolution.genes import Value
from keras_evonas.evolution.history import Draft
from keras_evonas.evolution.history import History
from keras_evonas.evolution.history import Individual
from keras_evonas.evolution.history import checked_draft
from keras_evonas.evolution.mutation import Step
from keras_evonas.evolution.randomness import Rng
from keras_evonas.evolution.randomness import check_seed
from keras_evonas.evolution.randomness import rng_at
from keras_evonas.evolution.space import SearchSpace
from keras_evonas.evolution.strategies import State
from keras_evonas.evolution.strategies import Strategy

# Attempts to find a new genome near one that was born before: so many times it
# is mutated again, and then so many genomes are drawn at random. Only then the
# genomes of the space are enumerated. If a tenth of the space is left, 50 draws
# miss it with a chance of 0.9**50, once in 200 births.
_MUTATIONS = 20
_RANDOM_DRAWS = 50
# Infeasible children until the least infeasible one is repaired, steps of the
# repair, and at least so many for each gene, and genomes enumerated after it.
# To check a genome may take a build of its network, so these numbers bound the
# time of a proposal. A repair is given up after so many steps to networks as
# far outside as others before them, and at least so many for each gene: a gene
# is changed once in as many steps as there are genes, so that one change for
# the better among five is missed with a chance of e**-8.
_INFEASIBLE = 10
_REPAIRS = 500
_REPAIRS_EACH = 10
_IN_VAIN = 100
_IN_VAIN_EACH = 40
_ENUMERATED = 500

_INITIAL = labels.define("initial", "given at the start")
_ENUMERATION = labels.define("enumerated", "the next one never tried")
CROWDED = labels.define(
    "crowded", "drawn far from others, as all that differ visibly were tried"
)

Violation: TypeAlias = Callable[[Genome], float]


class Engine:
    """Runs a strategy on a space.

    Args:
        space: The space to search.
        strategy: The strategy, its `"auto"` settings resolved.
        seed: Non-negative integer, `0` included, or `None` for a random one.
        initial_population: Genomes of the first births. Missing genes get
            their defaults; duplicates are dropped.
        violation_of: Function that returns how far a genome is outside of the
            constraints that are known before its trial: 0 if it may be born,
            and larger the further outside it is. Must always return the same.
            Defaults to `None`, no constraints.

    Attributes:
        closest: The violation and the genome of the least infeasible
            candidate that the last `ask` considered, `None` if all were
            feasible.

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
        violation_of: Violation | None = None,
    ) -> None:
        self.space = space
        self.strategy = strategy
        self.seed = check_seed(seed)
        self.history = History()
        self.state: State = strategy.begin()
        self.closest: tuple[float, Genome] | None = None
        self._violation_of = violation_of
        adopted = [
            space.adopt(genome, "initial_population")
            for genome in initial_population
        ]
        self._initial = list({space.key(one): one for one in adopted}.values())
        self._unseen: Iterator[dict[str, Value]] | None = None
        self._last_unseen: tuple[dict[str, Value], ...] = ()

    def ask(self) -> Individual | None:
        """Makes the next individual, and records it as pending.

        If the proposed genome was born before, or one that it cannot be told
        from (see `keras_evonas.evolution.genes`), it is mutated again, then
        drawn at random, and then the genomes of the space are enumerated, or in
        a continuous space the one farthest from all others is taken. Instead of
        an infeasible genome another one is proposed; after a few of them, the
        least infeasible is repaired by small mutations that never make it
        worse.

        Returns:
            An individual with a genome that was never born before, or one
            that continues the training of another. If its operator is
            `CROWDED`, no genome was left that differs from all others by the
            resolution of a gene. `None` if the whole space
            has been born, or if no feasible genome was found that has not
            been, and no training is to be continued.

        Raises:
            RuntimeError: If the strategy has an `"auto"` setting left.
        """
        individual = self.propose(self.history.births)
        if individual is not None:
            self.record(individual)
        return individual

    def propose(self, address: int) -> Individual | None:
        """Makes the next individual as `ask` does, but does not record it.

        Args:
            address: Non-negative integer, the address of the randomness. `ask`
                takes the number of the birth. The same history and address
                give the same proposal.
        """
        draft = self._draft_unseen(address)
        if draft is None:
            return None
        return Individual(birth=self.history.births, **vars(draft))

    def tell(
        self,
        birth: int,
        losses: tuple[float, ...] | None,
        *,
        genome: Genome | None = None,
        violation: float = 0.0,
    ) -> Individual:
        """Records and returns an individual with its losses, after its trial.

        Args:
            birth: The birth of the individual.
            losses: One number for each objective, lower is better; `None` if
                its trial failed.
            genome: Its genome, if the space grew when its network was built.
            violation: How far its trial was outside of the constraints that
                are known only after it, 0 if it met all. Feasible individuals
                are better than all others, whatever their losses.

        Raises:
            KeyError: If no individual of this birth is pending.
            TypeError: If `losses` is a bare number.
            ValueError: If `losses` holds more or fewer numbers than before.
        """
        born = self.history.pending.get(birth)
        ended = self.history.end(birth, losses, self.space, genome, violation)
        if born is None or ended.genome != born.genome:
            self._unseen = None  # The old genome counts as unborn again.
        self.state = self.strategy.absorb(self.state, ended)
        return ended

    def record(self, individual: Individual) -> None:
        """Records an individual that `ask` made, now or before a resume.

        Raises:
            ValueError: If the individual is not the next birth.
        """
        self.history.begin(individual, self.space)

    def grow(self, space: SearchSpace) -> None:
        """Continues the search in a space that has more genes."""
        self.space = space
        self.history.grow(space)
        self._initial = [space.complete(genome) for genome in self._initial]
        self._unseen = None

    def _draft_unseen(self, address: int) -> Draft | None:
        """Makes a draft whose genome is new and feasible, if one is found."""
        draft, violation, infeasible = Draft(), 0.0, 0
        least = (float("inf"), draft)
        self.closest = None
        for attempt in range(_MUTATIONS + _RANDOM_DRAWS):
            rng = rng_at(self.seed, address, attempt)
            if attempt == 0 or violation > 0:
                draft = checked_draft(self._propose(rng), "strategy.propose")
            elif attempt < _MUTATIONS:
                varied = self.strategy.vary(draft, self.space, rng)
                draft = checked_draft(varied, "strategy.vary")
            else:
                draft = Draft()
            genome = self.space.express(draft.genome, rng)
            draft = dataclasses.replace(draft, genome=genome)
            if self._seen(draft):
                violation = 0.0
                continue
            violation = self._violation(genome)
            if violation == 0:
                return draft
            infeasible += 1
            if infeasible == 1 or violation < least[0]:
                least = violation, draft
            if infeasible == _INFEASIBLE:
                break
        if infeasible:
            repaired = self._repair(*least, address)
            if repaired is not None:
                return repaired
        if self.space.is_continuous:
            return self._farthest(address)
        return self._enumerate_unseen()

    def _repair(
        self, violation: float, draft: Draft, address: int
    ) -> Draft | None:
        """Mutates an infeasible draft step by step until it is feasible."""
        step, crowded, in_vain = Step(), None, 0
        met = {violation}
        start = _MUTATIONS + _RANDOM_DRAWS
        for attempt in range(start, start + self._repairs):
            rng = rng_at(self.seed, address, attempt)
            changed = step(draft, self.space, rng)
            genome = self.space.express(changed.genome, rng)
            found = self._violation(genome)
            # Of networks that cannot be built, nothing is known.
            is_known = 0 < found < math.inf and found in met
            in_vain = in_vain + 1 if is_known else 0
            if in_vain == self._in_vain:
                break
            met.add(found)
            if found > violation:
                continue
            violation = found
            draft = dataclasses.replace(changed, genome=genome)
            if violation == 0 and not self._seen(draft):
                return draft
            if violation == 0 and not self.history.born(self.space.key(genome)):
                crowded = dataclasses.replace(draft, operator=CROWDED)
        return crowded

    @property
    def _repairs(self) -> int:
        return max(_REPAIRS, _REPAIRS_EACH * len(self.space.genes))

    @property
    def _in_vain(self) -> int:
        return max(_IN_VAIN, _IN_VAIN_EACH * len(self.space.genes))

    def _farthest(self, address: int) -> Draft | None:
        """Draws genomes and takes the feasible one farthest from all others."""
        attempts = _MUTATIONS + _RANDOM_DRAWS + self._repairs
        rng = rng_at(self.seed, address, attempts)
        drawn = [self.space.sample(rng) for _ in range(_ENUMERATED)]
        far = [self.history.distance(self.space.key(one)) for one in drawn]
        in_vain, met = 0, set()
        for index in sorted(range(_ENUMERATED), key=lambda index: -far[index]):
            if far[index] == 0:
                break
            found = self._violation(drawn[index])
            if found == 0:
                return Draft(genome=drawn[index], operator=CROWDED)
            is_known = found < math.inf and found in met
            in_vain = in_vain + 1 if is_known else 0
            if in_vain == self._in_vain:
                break
            met.add(found)
        return None

    def _enumerate_unseen(self) -> Draft | None:
        """Finds the first genome of the space that was never born, if any.

        The enumeration continues where it stopped, since genomes before that
        were born: else a long search of a small space would enumerate all of
        it at each birth. With constraints it starts again each time and
        considers a few genomes only, so that it finds the same after a resume.
        """
        if self._unseen is None or self._violation_of is not None:
            self._unseen, self._last_unseen = self.space.enumerate(), ()
        unseen = (
            genome
            # The last one that was found may not have been born.
            for genome in itertools.chain(self._last_unseen, self._unseen)
            if not self.history.seen(self.space.key(genome))
        )
        for genome in itertools.islice(unseen, _ENUMERATED):
            if self._violation(genome) == 0:
                self._last_unseen = (genome,)
                return Draft(genome=genome, operator=_ENUMERATION)
        return None

    def _violation(self, genome: Genome) -> float:
        if self._violation_of is None:
            return 0.0
        violation = self._violation_of(genome)
        if violation > 0 and (
            self.closest is None or violation < self.closest[0]
        ):
            self.closest = violation, genome
        return violation

    def _propose(self, rng: Rng) -> Draft:
        birth = self.history.births
        if birth < len(self._initial):
            return Draft(genome=self._initial[birth], operator=_INITIAL)
        return self.strategy.propose(self.state, self.space, self.history, rng)

    def _seen(self, draft: Draft) -> bool:
        """Returns whether a genome was born; at the resolution unless given."""
        key = self.space.key(draft.genome)
        if draft.operator == _INITIAL:
            return self.history.born(key)
        return self.history.seen(key, draft.rung)
