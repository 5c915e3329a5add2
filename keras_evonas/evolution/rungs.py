"""Several fidelities: many networks trained briefly, the best of them longer.

A rung is a number of epochs. Everybody is born on the lowest one. Whoever is
among the best of a rung is promoted: born once more, with the same genome, to
go on with the training on the next rung. Anything that proposes, evolution
above all, can work inside; it breeds from the highest rung that has enough
members, since a ranking after few epochs is not the one after many.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any
from typing import TypeAlias

import numpy as np

from keras_evonas.evolution.checks import check_integer
from keras_evonas.evolution.checks import check_positive_integer
from keras_evonas.evolution.history import Draft
from keras_evonas.evolution.history import History
from keras_evonas.evolution.history import Individual
from keras_evonas.evolution.history import best_first
from keras_evonas.evolution.replacement import Population
from keras_evonas.evolution.space import SearchSpace
from keras_evonas.evolution.strategies import Size
from keras_evonas.evolution.strategies import Strategy
from keras_evonas.evolution.strategies import genetic_algorithm

PROMOTED = "promoted"
# Members of a rung that make it fit to breed from, where the inner strategy
# has no population to tell.
_FEW = 4


@dataclasses.dataclass(frozen=True)
class Rung:
    """Who has ended well on a rung, and what the inner strategy makes of it.

    Args:
        members: Viable individuals, best first.
        inner: The inner strategy's state, as if the others had never ended.
    """

    members: Population
    inner: Any


Ladder: TypeAlias = tuple[Rung, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class SuccessiveHalving:
    """Asynchronous successive halving, ASHA, around another strategy.

    Follows Li et al. (2020), algorithm 2: whenever one of the best
    `1 / factor` of a rung was not promoted yet, the best such on the highest
    rung is; otherwise somebody new is born on the lowest rung. It never
    waits, whatever is pending: a promotion counts from its birth on. Failed
    individuals are no members of a rung and are never promoted.

    Deviations from the paper: those on the lowest rung are not drawn at random
    but proposed by `strategy`, which is shown one rung alone, the highest that
    has `parents` members (DEHB, Awad et al., 2021, takes parents from one
    fidelity at a time, too); there is one bracket, not several; the number on
    the highest rung is not bounded.

    A search with more promising networks than epochs left does not train
    them all to the end, so that it is the rung that counts first when
    individuals are compared, and the loss second.

    Args:
        strategy: Proposes new individuals. Defaults to `genetic_algorithm()`.
        epochs: Increasing integers: after how many epochs of training in all
            the individuals of each rung are compared.
        factor: Integer of at least 2: one of so many is promoted. Defaults to
            3.
        parents: Integer, how many members make a rung fit to breed from, or
            `"auto"`: half the population of `strategy`. Defaults to `"auto"`.

    Raises:
        ValueError: If `epochs` are not positive integers that increase, or
            `factor` or `parents` is out of range.
    """

    epochs: tuple[int, ...]
    strategy: Strategy = dataclasses.field(default_factory=genetic_algorithm)
    factor: int = 3
    parents: Size = "auto"

    def __post_init__(self) -> None:
        object.__setattr__(self, "epochs", _checked_epochs(self.epochs))
        check_integer("factor", self.factor, lowest=2)
        if self.parents != "auto":
            check_positive_integer("parents", self.parents)
        if isinstance(self.strategy, SuccessiveHalving):
            raise ValueError(
                "`strategy` must know nothing of rungs. Received: "
                f"strategy={self.strategy!r}. Pass the strategy inside of it."
            )

    def configure(self, max_trials: int | None) -> "SuccessiveHalving":
        """Resolves `"auto"`; see `Strategy`."""
        strategy = self.strategy.configure(max_trials)
        parents = self.parents
        if parents == "auto":
            size = getattr(strategy, "population_size", 2 * _FEW)
            parents = max(1, math.ceil(size / 2))
        return dataclasses.replace(self, strategy=strategy, parents=parents)

    def begin(self) -> Ladder:
        """Returns empty rungs; see `Strategy`."""
        return tuple(Rung((), self.strategy.begin()) for _ in self.epochs)

    def absorb(self, state: Ladder, individual: Individual) -> Ladder:
        """Puts an individual on its rung; see `Strategy`."""
        rung = state[individual.rung]
        changed = Rung(
            tuple(best_first([*rung.members, individual])),
            self.strategy.absorb(rung.inner, individual),
        )
        below, above = state[: individual.rung], state[individual.rung + 1 :]
        return (*below, changed, *above)

    def propose(
        self,
        state: Ladder,
        space: SearchSpace,
        history: History,
        rng: np.random.Generator,
    ) -> Draft:
        """Promotes somebody, or has somebody new proposed; see `Strategy`."""
        promotion = self._promotion(state, space, history)
        if promotion is not None:
            return promotion
        rung = self._rung_to_breed_from(state)
        return self.strategy.propose(
            state[rung].inner, space, history.on_rung(rung), rng
        )

    def vary(
        self, draft: Draft, space: SearchSpace, rng: np.random.Generator
    ) -> Draft:
        """Varies as the inner strategy does; see `Strategy`."""
        if draft.rung:
            # Its genome became another's when the space grew.
            draft = dataclasses.replace(draft, operator="clone", rung=0)
        return self.strategy.vary(draft, space, rng)

    def _promotion(
        self, state: Ladder, space: SearchSpace, history: History
    ) -> Draft | None:
        for rung in range(len(state) - 2, -1, -1):
            members = state[rung].members
            for one in members[: len(members) // self.factor]:
                if one.birth in history.continued:
                    continue
                # What it lacks has appeared since, and had no part in it.
                genome = space.complete(one.genome)
                if not history.seen(space.key(genome), rung + 1):
                    return Draft(
                        genome=genome,
                        parents=(one.birth,),
                        operator=PROMOTED,
                        traits=one.traits,
                        rung=rung + 1,
                    )
        return None

    def _rung_to_breed_from(self, state: Ladder) -> int:
        if self.parents == "auto":
            raise RuntimeError(
                "`parents='auto'` is not resolved yet. Call "
                "`strategy.configure(max_trials)` first and use what it "
                "returns."
            )
        enough = [
            rung
            for rung, content in enumerate(state)
            if len(content.members) >= self.parents
        ]
        return max(enough, default=0)


def successive_halving(
    strategy: Strategy | None = None,
    *,
    max_epochs: int,
    min_epochs: int = 1,
    factor: int = 3,
) -> SuccessiveHalving:
    """Trains many networks for a few epochs, and the best of them for more.

    Asynchronous successive halving (ASHA; Li et al., 2020) around evolution.
    The numbers of epochs are those of keras-tuner's `Hyperband`: `max_epochs`
    divided by `factor` again and again, rounded up. Every run on a rung counts
    as a trial.

    Args:
        strategy: Proposes new networks. Defaults to `genetic_algorithm()`.
        max_epochs: Integer, the epochs of the highest rung.
        min_epochs: Integer, the fewest epochs after which networks are
            compared. Too few mislead. Defaults to 1.
        factor: Integer of at least 2: the epochs of a rung are so many times
            those of the rung below, and one of so many networks is promoted.
            Defaults to 3.

    Returns:
        The strategy.

    Raises:
        ValueError: If a number is out of range, or `min_epochs` larger than
            `max_epochs`.

    Example:

    ```python
    oracle = EvoOracle(
        "val_accuracy",
        max_trials=100,
        strategy=successive_halving(max_epochs=27, min_epochs=3),
    )
    tuner = MultiFidelityTuner(oracle=oracle, hypermodel=build_model)
    ```
    """
    check_positive_integer("max_epochs", max_epochs)
    check_positive_integer("min_epochs", min_epochs)
    check_integer("factor", factor, lowest=2)
    if min_epochs > max_epochs:
        raise ValueError(
            "`min_epochs` must not exceed `max_epochs`. Received: "
            f"min_epochs={min_epochs}, max_epochs={max_epochs}."
        )
    rungs = [max_epochs]
    while max_epochs >= min_epochs * factor ** len(rungs):
        rungs.append(-(-max_epochs // factor ** len(rungs)))
    return SuccessiveHalving(
        epochs=tuple(sorted(set(rungs))),
        strategy=genetic_algorithm() if strategy is None else strategy,
        factor=factor,
    )


def _checked_epochs(epochs: Sequence[int]) -> tuple[int, ...]:
    if isinstance(epochs, str) or not isinstance(epochs, Sequence):
        raise ValueError(_EPOCHS_ERROR.format(epochs))
    for number in epochs:
        check_positive_integer("epochs", number)
    numbers = tuple(map(int, epochs))
    if not numbers or numbers != tuple(sorted(set(numbers))):
        raise ValueError(_EPOCHS_ERROR.format(epochs))
    return numbers


_EPOCHS_ERROR = (
    "`epochs` must be integers that increase, one a rung. Received: "
    "epochs={!r}. Pass for example `epochs=(3, 9, 27)`."
)
