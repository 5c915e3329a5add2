"""Individuals with their parents and losses, and the history of a search."""

import bisect
import copy
import dataclasses
import functools
import math
import operator
from collections.abc import Hashable
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence

import numpy as np

from keras_evonas.evolution import labels
from keras_evonas.evolution import pareto
from keras_evonas.evolution.genes import Genome
from keras_evonas.evolution.genes import Value
from keras_evonas.evolution.space import Key
from keras_evonas.evolution.space import SearchSpace

# Two places are at least a resolution apart, up to rounding.
_APART = 1 - 1e-6


@dataclasses.dataclass(frozen=True, kw_only=True)
class Draft:
    """A proposal of a strategy, from which an individual is made.

    Args:
        genome: Mapping of gene names to values. It may lack active genes or
            hold inactive ones.
        parents: Birth numbers of the parents, none for a random draw.
        operator: Labels of the operators that made it, for example
            `"block+step"`; see `describe_operator`.
        traits: Numbers that children inherit beside the genes, such as a
            mutation rate.
        rung: Integer, above 0 if the individual continues the training of its
            only parent, which is on the rung below.
    """

    genome: Genome = dataclasses.field(default_factory=dict)
    parents: tuple[int, ...] = ()
    operator: str = labels.RANDOM
    traits: Mapping[str, float] = dataclasses.field(default_factory=dict)
    rung: int = 0


def checked_draft(draft: object, source: str) -> Draft:
    """Returns what a part of a strategy made, its numbers as files hold them.

    Raises:
        TypeError: If `source`, the name of the part, made something else.
    """
    if not isinstance(draft, Draft):
        forgotten = " Did it forget to return it?" if draft is None else ""
        raise TypeError(
            f"`{source}` must return a `Draft`. Received: {draft!r}.{forgotten}"
        )
    try:
        parents = tuple(map(operator.index, draft.parents))
        traits = {name: _plain(one) for name, one in draft.traits.items()}
    except (AttributeError, TypeError, ValueError) as error:
        raise TypeError(
            f"`{source}` must return a `Draft` whose `parents` are integers "
            "and whose `traits` have numbers as values. Received: "
            f"{draft}, which gives {error!r}."
        ) from error
    return dataclasses.replace(draft, parents=parents, traits=traits)


def _plain(number: float) -> float:
    return number if type(number) in (int, float) else float(number)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Individual:
    """A draft that was born and, once its trial has ended, has losses.

    What is not named here is as in `Draft`. The genome holds active genes only,
    and the rung is the number of individuals whose training it continues, one
    after another.

    Args:
        birth: Its number in the order of births, from 0.
        losses: One number for each objective, lower is better. `None` while it
            is pending, and if its trial failed.
        violation: How far its trial was outside of the constraints, 0 if it
            met all of them.
    """

    birth: int
    genome: Genome
    parents: tuple[int, ...] = ()
    operator: str = labels.RANDOM
    traits: Mapping[str, float] = dataclasses.field(default_factory=dict)
    losses: tuple[float, ...] | None = None
    rung: int = 0
    violation: float = 0.0

    @property
    def continues(self) -> int | None:
        """Birth of the individual whose training it continues, if any."""
        return self.parents[0] if self.rung else None

    @functools.cached_property
    def viable(self) -> bool:
        """True if it may be a parent: it has losses, and all are finite."""
        return self.losses is not None and all(map(math.isfinite, self.losses))

    @property
    def feasible(self) -> bool:
        """True if it may be the result: viable, and within all constraints."""
        return self.viable and self.violation == 0


def best_first(individuals: Sequence[Individual]) -> list[Individual]:
    """Sorts viable individuals, the earlier born first in a tie.

    Individuals that violate no constraint come first, the others by how much
    they violate (Deb, 2000). With one objective they are sorted by loss, with
    several by the crowded comparison of Deb et al. (2002). Those that are not
    viable are left out.
    """
    viable = [one for one in individuals if one.viable]
    if not viable or len(viable[0].losses or ()) == 1:
        return sorted(viable, key=_by_one_loss)
    viable.sort(key=_by_birth)
    losses = [one.losses for one in viable if one.losses is not None]
    violations = [one.violation for one in viable]
    return [viable[index] for index in pareto.order(losses, violations)]


def inserted(
    ranked: Sequence[Individual], individual: Individual
) -> list[Individual]:
    """Returns `best_first` of individuals sorted by it and of another one."""
    if individual.viable and len(individual.losses or ()) == 1:
        result = list(ranked)
        bisect.insort(result, individual, key=_by_one_loss)
        return result
    return best_first([*ranked, individual])


_by_birth = operator.attrgetter("birth")
_by_one_loss = operator.attrgetter("violation", "losses", "birth")


def single_losses(individuals: Sequence[Individual]) -> np.ndarray:
    """Returns one finite loss for each individual, failures included.

    It is the first loss of an individual that is feasible. An individual that
    violates a constraint is worse than all that violate none, and the worse
    the more it violates (Deb, 2000). One that failed is as bad as the worst.
    """
    violations = np.array([one.violation for one in individuals])
    sound = np.array([one.viable for one in individuals], bool)
    sound &= np.isfinite(violations)
    losses = np.array(
        [one.losses[0] if one.losses else np.inf for one in individuals]
    )
    outside = sound & (violations > 0)
    if outside.any():
        # Violations are measured in ranges of the feasible losses, so that
        # they neither vanish beside the losses nor flatten them.
        kept = losses[sound & ~outside]
        worst = max(kept, default=0.0)
        span = worst - min(kept, default=0.0)
        losses[outside] = worst + violations[outside] * (span or 1.0)
    losses[~sound] = max(losses[sound], default=0.0)
    return losses


class History:
    """All individuals of a search, those that ended and those that are pending.

    Attributes:
        ended: Individuals in the order in which they ended, failures included.
        pending: Dictionary from births to individuals that have not ended.
        continued: Births of the individuals whose training another individual
            continues, pending ones included.
    """

    def __init__(self) -> None:
        self.ended: list[Individual] = []
        self.pending: dict[int, Individual] = {}
        self.continued: set[int] = set()
        self._individuals: list[Individual] = []  # by birth
        self._births_of: dict[Key, set[int]] = {}
        # The places of the genomes with the same choices, and arrays of them
        # that are kept only to save time.
        self._places_of: dict[Hashable, set[tuple[float, ...]]] = {}
        self._arrays: dict[Hashable, np.ndarray] = {}
        self._objectives = 0  # as many as the first losses

    @property
    def births(self) -> int:
        """Number of individuals born so far."""
        return len(self._individuals)

    @property
    def distinct(self) -> int:
        """Number of distinct genomes among them."""
        return len(self._births_of)

    def born(self, key: Key, rung: int = 0) -> bool:
        """Returns whether the genome of a key was born on a rung or above."""
        births = self._births_of.get(key, ())
        return any(self._individuals[birth].rung >= rung for birth in births)

    def seen(self, key: Key, rung: int = 0) -> bool:
        """Returns whether a genome counts as born on a rung or above.

        On the lowest rung it does if one was born that it cannot be told from
        at the resolution of the space; above only if itself was.
        """
        if rung:
            return self.born(key, rung)
        return self.distance(key) < _APART

    def distance(self, key: Key) -> float:
        """Returns how far the nearest genome with the same choices is.

        Args:
            key: The key of a genome.

        Returns:
            The largest difference of a place from the nearest genome that was
            born, in resolutions: 0 if the genome itself was born, below 1 if
            the two count as one, and infinite if there is none.
        """
        known = self._places_of.get(key.choices)
        if not known:
            return math.inf
        if not key.places or key.places in known:
            return 0.0
        array = self._arrays.get(key.choices)
        if array is None or len(array) != len(known):
            array = self._arrays[key.choices] = np.array(list(known))
        # Chebyshev's distance.
        return float(abs(array - key.places).max(axis=1).min())

    def on_rung(self, rung: int) -> "History":
        """Returns a view in which only individuals of one rung have ended."""
        view = copy.copy(self)
        view.ended = [one for one in self.ended if one.rung == rung]
        return view

    def individual(self, birth: int) -> Individual:
        """Returns an individual, ended or pending, or raises a `KeyError`."""
        if not 0 <= birth < self.births:
            raise KeyError(
                f"`birth` must be one of the {self.births} births so far, "
                f"counted from 0. Received: birth={birth}."
            )
        return self._individuals[birth]

    def begin(self, individual: Individual, space: SearchSpace) -> None:
        """Records a birth; see `Engine.record`."""
        if individual.birth != self.births:
            raise ValueError(
                "`individual` must be the next birth: births are recorded "
                f"once each, in order. Received: birth={individual.birth}, "
                f"after {self.births} births."
            )
        if individual.continues is not None:
            self.continued.add(individual.continues)
        self._individuals.append(individual)
        self.pending[individual.birth] = individual
        self._note(individual, space)

    def end(
        self,
        birth: int,
        losses: tuple[float, ...] | None,
        space: SearchSpace,
        genome: Mapping[str, Value] | None = None,
        violation: float = 0.0,
    ) -> Individual:
        """Records the end of an individual's trial; see `Engine.tell`."""
        if birth not in self.pending:
            raise KeyError(
                "`birth` must be pending, and each can end once. Received: "
                f"birth={birth}, while {sorted(self.pending)} are pending."
            )
        checked = self._checked(losses)
        born = self.pending.pop(birth)
        if genome is not None and genome != born.genome:
            old = space.key(space.complete(born.genome))
            self._births_of[old].discard(birth)
            if not self._births_of[old]:
                del self._births_of[old]
                self._places_of[old.choices].discard(old.places)
                self._arrays.clear()
            born = dataclasses.replace(born, genome=dict(genome))
            self._note(born, space)
        if math.isnan(violation):  # What is not known is not kept to.
            violation = math.inf
        ended = dataclasses.replace(born, losses=checked, violation=violation)
        self._individuals[birth] = ended
        self.ended.append(ended)
        return ended

    def grow(self, space: SearchSpace) -> None:
        """Counts all as born in a larger space, with defaults for new genes."""
        self._births_of.clear()
        self._places_of.clear()
        self._arrays.clear()
        for individual in self._individuals:
            self._note(individual, space)

    def _note(self, individual: Individual, space: SearchSpace) -> None:
        key = space.key(space.complete(individual.genome))
        self._births_of.setdefault(key, set()).add(individual.birth)
        self._places_of.setdefault(key.choices, set()).add(key.places)

    def _checked(
        self, losses: Iterable[float] | None
    ) -> tuple[float, ...] | None:
        if losses is None:
            return None
        if not isinstance(losses, Iterable):
            raise TypeError(
                "`losses` must be a tuple with one number for each objective. "
                f"Received: losses={losses!r}. For one objective pass "
                f"`({losses!r},)`."
            )
        checked = tuple(float(loss) for loss in losses)
        self._objectives = self._objectives or len(checked)
        if not checked or len(checked) != self._objectives:
            raise ValueError(
                "`losses` must hold one number for each objective, at least "
                f"one. Received: losses={checked}, for {self._objectives} "
                "objectives so far."
            )
        return checked
