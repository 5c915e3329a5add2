"""Rungs: many networks are trained briefly, and the best of them for longer.

A rung is a number of epochs. All genomes are first born on the lowest rung. The
best individuals of a rung are promoted: born once more with the same genome, to
continue the training up to the next rung. Any other strategy can work inside.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import TypeAlias

from keras_evonas.evolution import checks
from keras_evonas.evolution import labels
from keras_evonas.evolution.genes import Genome
from keras_evonas.evolution.history import Draft
from keras_evonas.evolution.history import History
from keras_evonas.evolution.history import Individual
from keras_evonas.evolution.history import inserted
from keras_evonas.evolution.randomness import Rng
from keras_evonas.evolution.replacement import Population
from keras_evonas.evolution.space import SearchSpace
from keras_evonas.evolution.strategies import State
from keras_evonas.evolution.strategies import Strategy
from keras_evonas.evolution.strategies import check_strategy
from keras_evonas.evolution.strategies import genetic_algorithm

_PROMOTED = labels.define("promoted", "its parent, trained for longer")
# Individuals from which on parents are chosen on a rung, if the inner strategy
# has no population: half of the least automatic size of a population.
FEW = 4


@dataclasses.dataclass(frozen=True)
class Rung:
    """The individuals of a rung, and the inner strategy's state there."""

    individuals: Population  # Viable ones, the best first.
    inner: State  # As if only individuals of this rung had ended.


Ladder: TypeAlias = tuple[Rung, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class SuccessiveHalving:
    """Asynchronous successive halving, ASHA, around another strategy.

    Follows Li et al. (2020), algorithm 2: the rungs are visited from the
    highest on, and the first individual among the best `1 / factor` of its
    rung that was not promoted yet is promoted. If there is none, a new genome
    is born on the lowest rung. A proposal never waits for pending individuals:
    a promotion counts from its birth on. Failed individuals are not counted on
    a rung and are never promoted.

    Deviations from the paper: genomes on the lowest rung are not drawn at
    random but proposed by `strategy`, to which only the highest rung with
    `parents` individuals is shown, since a ranking after few epochs is not the
    same as after many (DEHB, Awad et al., 2021, takes parents from one fidelity
    at a time, too); there is one bracket, not several; the number
    of individuals on the highest rung is not bounded.

    When the search ends, not all promising networks were trained up to the
    highest rung. Individuals are therefore compared by their rung first, and
    by their loss second.

    Args:
        strategy: The strategy that proposes new genomes. Defaults to
            `genetic_algorithm()`.
        epochs: Increasing integers, the epochs of training, counted from the
            start, after which the individuals of each rung are compared.
        factor: Integer of at least 2: one of so many individuals is promoted.
            Defaults to 3.
        parents: Integer, the number of individuals from which on parents are
            chosen on a rung, or `"auto"`: half the population of `strategy`.
            Defaults to `"auto"`.

    Raises:
        ValueError: If `epochs` are not positive integers that increase, or
            `factor` or `parents` is out of range.
    """

    epochs: tuple[int, ...]
    strategy: Strategy = dataclasses.field(default_factory=genetic_algorithm)
    factor: int = 3
    parents: checks.Size = "auto"

    def __post_init__(self) -> None:
        object.__setattr__(self, "epochs", _checked_epochs(self.epochs))
        check_strategy("strategy", self.strategy)
        checks.check_integer("factor", self.factor, lowest=2)
        checks.check_size("parents", self.parents)
        if getattr(self.strategy, "epochs", ()):
            raise ValueError(
                "`strategy` must be a strategy without rungs. Received: "
                f"strategy={self.strategy!r}. Pass the strategy inside of it."
            )

    def configure(self, max_trials: int | None) -> "SuccessiveHalving":
        """Resolves `"auto"`; see `Strategy`."""
        strategy = self.strategy.configure(max_trials)
        parents = self.parents
        if parents == "auto":
            size = getattr(strategy, "population_size", 2 * FEW)
            parents = max(1, math.ceil(size / 2))
        return dataclasses.replace(self, strategy=strategy, parents=parents)

    def begin(self) -> Ladder:
        """Returns empty rungs; see `Strategy`."""
        return tuple(Rung((), self.strategy.begin()) for _ in self.epochs)

    def absorb(self, state: Ladder, individual: Individual) -> Ladder:
        """Puts an individual on its rung; see `Strategy`."""
        rung = state[individual.rung]
        changed = Rung(
            tuple(inserted(rung.individuals, individual)),
            self.strategy.absorb(rung.inner, individual),
        )
        below, above = state[: individual.rung], state[individual.rung + 1 :]
        return (*below, changed, *above)

    def propose(
        self, state: Ladder, space: SearchSpace, history: History, rng: Rng
    ) -> Draft:
        """Promotes an individual or proposes a new genome; see `Strategy`."""
        promotion = self._promotion(state, space, history)
        if promotion is not None:
            return promotion
        top = top_rung(state, checks.resolved("parents", self.parents))
        view = history.on_rung(top)
        return self.strategy.propose(state[top].inner, space, view, rng)

    def vary(self, draft: Draft, space: SearchSpace, rng: Rng) -> Draft:
        """Varies a draft as the inner strategy does; see `Strategy`."""
        if draft.rung:
            # The space grew, and with the new genes' defaults the genome equals
            # that of another individual on the next rung. So it is no longer a
            # promotion.
            draft = dataclasses.replace(draft, operator=labels.CLONE, rung=0)
        return self.strategy.vary(draft, space, rng)

    def _promotion(
        self, state: Ladder, space: SearchSpace, history: History
    ) -> Draft | None:
        for rung in range(len(state) - 2, -1, -1):
            individuals = state[rung].individuals
            for one in individuals[: len(individuals) // self.factor]:
                if one.birth in history.continued:
                    continue
                # Genes that joined the space since then had their defaults.
                genome = space.complete(one.genome)
                if not history.seen(space.key(genome), rung + 1):
                    return going_on(one, genome, _PROMOTED)
        return None


def top_rung(state: Ladder, parents: int) -> int:
    """Returns the highest rung with so many individuals, else the lowest."""
    counts = [len(rung.individuals) for rung in state]
    return max((i for i, n in enumerate(counts) if n >= parents), default=0)


def going_on(one: Individual, genome: Genome, operator: str) -> Draft:
    """Returns the draft with which the training of an individual goes on."""
    return Draft(
        genome=genome,
        parents=(one.birth,),
        operator=operator,
        traits=one.traits,
        rung=one.rung + 1,
    )


def successive_halving(
    strategy: Strategy | None = None,
    *,
    max_epochs: int,
    min_epochs: int = 1,
    factor: int = 3,
) -> SuccessiveHalving:
    """Returns asynchronous successive halving around another strategy.

    Many networks are trained for a few epochs, and the best of them for more
    (ASHA; Li et al., 2020). The numbers of epochs are those of keras-tuner's
    `Hyperband`: `max_epochs` divided by `factor` again and again, rounded up.
    Each training on a rung counts as a trial.

    With `EvoTuner` a network that goes on is trained as in one `fit`: weights,
    optimizer and dropout go on from the last epoch. Only callbacks that count
    epochs, such as `EarlyStopping`, and data that change as they are read begin
    anew. With `MultiFidelityTuner` weights and optimizer go on from the best
    epoch so far; in keras-tuner's `Hyperband` the weights alone do.

    Args:
        strategy: The strategy that proposes new genomes, or `None` for
            `genetic_algorithm()`.
        max_epochs: Integer, the epochs of the highest rung.
        min_epochs: Integer, the fewest epochs after which networks are
            compared. After too few, the ranking is misleading. Defaults to 1.
        factor: As of `SuccessiveHalving`; the epochs of a rung are so many
            times those of the rung below. Defaults to 3.

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
    checks.check_positive_integer("max_epochs", max_epochs)
    checks.check_positive_integer("min_epochs", min_epochs)
    checks.check_integer("factor", factor, lowest=2)
    if min_epochs > max_epochs:
        raise ValueError(
            "`min_epochs` must not exceed `max_epochs`. Received: "
            f"min_epochs={min_epochs}, max_epochs={max_epochs}."
        )
    # The quotient of negative numbers, rounded down, rounds up without floats.
    rungs = [max_epochs]
    while max_epochs >= min_epochs * factor ** len(rungs):
        rungs.append(-(-max_epochs // factor ** len(rungs)))
    return SuccessiveHalving(
        epochs=tuple(sorted(set(rungs))),
        strategy=genetic_algorithm() if strategy is None else strategy,
        factor=factor,
    )


def _checked_epochs(epochs: Sequence[int]) -> tuple[int, ...]:
    numbers = () if isinstance(epochs, str) else epochs
    numbers = tuple(numbers) if isinstance(numbers, Sequence) else ()
    for number in numbers:
        checks.check_positive_integer("epochs", number)
    if not numbers or list(numbers) != sorted(set(numbers)):
        raise ValueError(
            "`epochs` must be integers that increase, one for each rung. "
            f"Received: epochs={epochs!r}. Pass for example `(3, 9, 27)`."
        )
    return tuple(map(int, numbers))
