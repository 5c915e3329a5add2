"""Who was born, of whom, and how well they did."""

import copy
import dataclasses
import math
from collections.abc import Hashable
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence

import numpy as np

from keras_evonas.evolution import pareto
from keras_evonas.evolution.genes import Genome
from keras_evonas.evolution.genes import Value
from keras_evonas.evolution.space import SearchSpace


@dataclasses.dataclass(frozen=True, kw_only=True)
class Draft:
    """A proposal on its way to becoming an individual.

    Args:
        genome: Mapping of gene names to values, not yet expressed.
        parents: Births of the parents, none for a random draw.
        operator: What made it, for example `"block+step"`.
        traits: What it hands down beside its genes, such as its own
            mutation rate.
        rung: Integer, above 0 if it goes on with the training of its only
            parent, which stands on the rung below.
    """

    genome: Genome = dataclasses.field(default_factory=dict)
    parents: tuple[int, ...] = ()
    operator: str = "random"
    traits: Mapping[str, float] = dataclasses.field(default_factory=dict)
    rung: int = 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Individual:
    """A network with its origin and, once evaluated, its losses.

    Args:
        birth: Its number in the order of births, from 0.
        genome: Its active genes.
        parents: Births of its parents.
        operator: What made it.
        traits: What it hands down beside its genes.
        losses: One number an objective, lower is better. `None` while it is
            pending and when its evaluation failed.
        rung: Integer, how often its training was gone on with before it; see
            `keras_evonas.evolution.rungs`.
        violation: How far it is outside of what the evaluation must keep to,
            0 if it is not.
    """

    birth: int
    genome: Genome
    parents: tuple[int, ...] = ()
    operator: str = "random"
    traits: Mapping[str, float] = dataclasses.field(default_factory=dict)
    losses: tuple[float, ...] | None = None
    rung: int = 0

    violation: float = 0.0

    @property
    def continues(self) -> int | None:
        """Birth of the individual whose training it goes on with, if any."""
        return self.parents[0] if self.rung else None

    @property
    def viable(self) -> bool:
        """Whether it may be a parent: evaluated, and all losses finite."""
        return self.losses is not None and all(map(math.isfinite, self.losses))

    @property
    def feasible(self) -> bool:
        """Whether it may be the result: viable, and within all constraints."""
        return self.viable and self.violation == 0


def best_first(individuals: Sequence[Individual]) -> list[Individual]:
    """Sorts viable individuals, the earlier born first in a tie.

    Those that violate no constraint come first, the others by how much they
    violate (Deb, 2000). With one objective they are sorted by loss, with
    several by the crowded comparison of Deb et al. (2002).

    Args:
        individuals: Individuals that have ended; those that are not viable
            are left out.

    Returns:
        List of individuals.
    """
    viable = sorted(
        (one for one in individuals if one.viable), key=lambda one: one.birth
    )
    losses = [one.losses for one in viable if one.losses is not None]
    if not losses or len(losses[0]) == 1:
        return sorted(viable, key=lambda one: (one.violation, one.losses))
    violations = [one.violation for one in viable]
    return [viable[index] for index in pareto.order(losses, violations)]


def single_losses(individuals: Sequence[Individual]) -> np.ndarray:
    """The first loss of each, larger for those that are not feasible.

    What violates a constraint is worse than all that does not, by how much it
    violates (Deb, 2000), and what failed is as bad as the worst.

    Args:
        individuals: `n` individuals that have ended.

    Returns:
        `(n,)` array of finite numbers.
    """
    violations = np.array([one.violation for one in individuals])
    sound = np.array([one.viable for one in individuals], bool)
    sound &= np.isfinite(violations)
    losses = np.array(
        [one.losses[0] if one.losses else np.inf for one in individuals]
    )
    outside = sound & (violations > 0)
    if outside.any():
        kept = losses[sound & ~outside]
        worst = max(kept, default=0.0)
        span = worst - min(kept, default=0.0)
        losses[outside] = worst + violations[outside] * (span or 1.0)
    losses[~sound] = max(losses[sound], default=0.0)
    return losses


class History:
    """The record of a search: what has ended, and what is pending.

    Attributes:
        ended: Individuals in the order in which their evaluations ended,
            failures included.
        pending: Individuals that are being evaluated, by birth.
        continued: Births of the individuals whose training somebody went on
            with, or is going on with now.
    """

    def __init__(self) -> None:
        self.ended: list[Individual] = []
        self.pending: dict[int, Individual] = {}
        self.continued: set[int] = set()
        self._everyone: list[Individual] = []  # by birth
        self._births_of: dict[Hashable, set[int]] = {}
        self._objectives = 0  # as many as the first losses

    @property
    def births(self) -> int:
        """Number of individuals born so far."""
        return len(self._everyone)

    @property
    def distinct(self) -> int:
        """Number of distinct genomes among them."""
        return len(self._births_of)

    def seen(self, key: Hashable, rung: int = 0) -> bool:
        """Whether a genome with this key was born, on this rung or above."""
        births = self._births_of.get(key, ())
        return any(self._everyone[birth].rung >= rung for birth in births)

    def on_rung(self, rung: int) -> "History":
        """A view for which nobody ended but the individuals of a rung."""
        view = copy.copy(self)
        view.ended = [one for one in self.ended if one.rung == rung]
        return view

    def individual(self, birth: int) -> Individual:
        """Returns the individual of a birth, ended or pending.

        Raises:
            KeyError: If nobody was born with this number.
        """
        if not 0 <= birth < self.births:
            raise KeyError(
                f"`birth` must be one of the {self.births} births so far, "
                f"counted from 0. Received: birth={birth}."
            )
        return self._everyone[birth]

    def begin(self, individual: Individual, space: SearchSpace) -> None:
        """Records a birth.

        Raises:
            ValueError: If it is not the next birth.
        """
        if individual.birth != self.births:
            raise ValueError(
                "`individual` must be the next birth: births are recorded "
                f"once each, in order. Received: birth={individual.birth}, "
                f"after {self.births} births."
            )
        if individual.continues is not None:
            self.continued.add(individual.continues)
        self._everyone.append(individual)
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
        """Records the end of an evaluation.

        Args:
            birth: Which one ended.
            losses: One number an objective, lower is better; `None` if it
                failed.
            space: The space it lives in.
            genome: Its genome if that changed meanwhile, because the space
                grew when its network was built.
            violation: How far it is outside of the constraints.

        Returns:
            The individual with its losses.

        Raises:
            KeyError: If no individual of this birth is pending.
            TypeError: If `losses` is a bare number.
            ValueError: If `losses` are more or fewer than those before.
        """
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
            born = dataclasses.replace(born, genome=dict(genome))
            self._note(born, space)
        individual = dataclasses.replace(
            born, losses=checked, violation=violation
        )
        self._everyone[birth] = individual
        self.ended.append(individual)
        return individual

    def grow(self, space: SearchSpace) -> None:
        """Goes on in a space with more genes: all had their defaults so far."""
        self._births_of.clear()
        for individual in self._everyone:
            self._note(individual, space)

    def _note(self, individual: Individual, space: SearchSpace) -> None:
        key = space.key(space.complete(individual.genome))
        self._births_of.setdefault(key, set()).add(individual.birth)

    def _checked(
        self, losses: Iterable[float] | None
    ) -> tuple[float, ...] | None:
        if losses is None:
            return None
        if not isinstance(losses, Iterable):
            raise TypeError(
                "`losses` must be a tuple, one number an objective. Received: "
                f"losses={losses!r}. For one objective pass `({losses!r},)`."
            )
        checked = tuple(float(loss) for loss in losses)
        self._objectives = self._objectives or len(checked)
        if not checked or len(checked) != self._objectives:
            raise ValueError(
                "`losses` must be as many as the objectives, at least one. "
                f"Received: losses={checked}, for {self._objectives} "
                "objectives so far."
            )
        return checked
