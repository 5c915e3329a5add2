"""The search that follows from the trials of a study."""

import dataclasses
import math
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial
from optuna.trial import TrialState

from keras_evonas.evolution import labels
from keras_evonas.evolution.engine import Engine
from keras_evonas.evolution.genes import Gene
from keras_evonas.evolution.genes import Value
from keras_evonas.evolution.history import History
from keras_evonas.evolution.history import Individual
from keras_evonas.evolution.randomness import Rng
from keras_evonas.evolution.randomness import rng_at
from keras_evonas.evolution.space import SearchSpace
from keras_evonas.evolution.strategies import Strategy
from keras_evonas.optuna.conditions import learned_space
from keras_evonas.optuna.parameters import Choice
from keras_evonas.optuna.parameters import Parameter
from keras_evonas.optuna.parameters import parameter_of

# A trial's values before they are tried, with their origin. Other processes
# read them, and a study that is resumed.
PROPOSAL = "keras_evonas:proposal"
FIXED = "fixed_params"  # Optuna 5's own, of a trial that was enqueued
# Most draws of values that are new beside the fixed ones.
_DRAWS = 50
# Trials that asked for all that they need.
_WHOLE = (TrialState.COMPLETE, TrialState.PRUNED)


@dataclasses.dataclass(frozen=True)
class Proposal:
    """The values that a trial is to try, and their origin.

    Args:
        values: The parameters by name.
        parents: Numbers of the trials that it descends from.
        operator: Labels of the operators that made it.
        traits: Numbers that its children inherit beside the genes.
        is_new: Boolean, whether the space had one left that was never tried.
    """

    values: Mapping[str, Choice]
    parents: tuple[int, ...] = ()
    operator: str = labels.RANDOM
    traits: Mapping[str, float] = dataclasses.field(default_factory=dict)
    is_new: bool = True

    def to_json(self) -> dict[str, Any]:
        """Returns what `PROPOSAL` holds."""
        return {
            "values": dict(self.values),
            "parents": list(self.parents),
            "operator": self.operator,
            "traits": dict(self.traits),
        }


class Fold:
    """The space, the engine and the individuals that follow from trials.

    Trials that end are added in the order of their ends. All is made anew when
    one of them shows that the space is another than was thought, so that what
    a process has cached is what another one would make of the same trials. The
    strategy has its `"auto"` settings resolved.
    """

    def __init__(
        self,
        strategy: Strategy,
        seed: int,
        directions: Sequence[StudyDirection],
    ) -> None:
        self._strategy, self._seed = strategy, seed
        self._signs = [
            -1.0 if direction == StudyDirection.MAXIMIZE else 1.0
            for direction in directions
        ]
        self._parameters: dict[str, Parameter] = {}
        self._whole: list[FrozenTrial] = []
        self._ended: dict[int, FrozenTrial] = {}  # by number, as they ended
        self._begin(SearchSpace([]))

    @property
    def distributions(self) -> dict[str, BaseDistribution]:
        """The distributions of all parameters that trials have asked for."""
        return {n: p.distribution for n, p in self._parameters.items()}

    def update(self, trials: Iterable[FrozenTrial]) -> None:
        """Adds births and ends: all trials but the one to be proposed."""
        trials = sorted(trials, key=lambda trial: trial.number)
        new = [
            trial
            for trial in trials
            if trial.state.is_finished() and trial.number not in self._ended
        ]
        new.sort(key=lambda trial: (trial.datetime_complete, trial.number))
        changed = any([self._learns(trial) for trial in new])
        if changed or any(map(self._has_moved, trials)):
            self._begin(self._space)
            new = list(self._ended.values())
        for trial in trials:
            self._record(trial)
        for trial in new:
            self._tell(trial)

    def propose(
        self, number: int, fixed: Mapping[str, Choice] | None = None
    ) -> Proposal:
        """Returns what the trial of a number is to try.

        `fixed` are the values that it takes instead of those of the proposal,
        as one that was enqueued does.
        """
        proposal = self._proposal(number)
        fixed, rng = fixed or {}, rng_at(self._seed, number, 1)
        for _ in range(_DRAWS if fixed and proposal.is_new else 0):
            if not self.knows({**proposal.values, **fixed}):
                break
            # It was new in nothing but what is fixed.
            genome = self._space.sample(rng)
            proposal = Proposal({**self._decoded(genome), **fixed})
        return proposal

    def _proposal(self, number: int) -> Proposal:
        individual = self._engine.propose(number)
        if individual is None:  # Nothing is left that was never tried.
            genome = self._space.sample(rng_at(self._seed, number, 0))
            return Proposal(self._decoded(genome), is_new=False)
        return Proposal(
            self._decoded(individual.genome),
            tuple(self._numbers[birth] for birth in individual.parents),
            individual.operator,
            individual.traits,
        )

    def first(self, parameter: Parameter, rng: Rng) -> Choice:
        """Returns the value with which the strategy begins a parameter."""
        name = parameter.name
        space = SearchSpace(
            [Gene(name, parameter.domain, default=parameter.default)]
        )
        state = self._strategy.begin()
        draft = self._strategy.propose(state, space, History(), rng)
        return parameter.decode(space.express(draft.genome, rng)[name])

    def knows(self, values: Mapping[str, Choice]) -> bool:
        """Returns whether a trial has the same values."""
        key = self._space.key(self._genome(values))
        return self._engine.history.seen(key)

    def _begin(self, space: SearchSpace) -> None:
        self._space = space
        self._engine = Engine(space, self._strategy, seed=self._seed)
        self._births: dict[int, int] = {}
        self._numbers: list[int] = []  # by birth
        self._best = math.inf

    def _learns(self, trial: FrozenTrial) -> bool:
        """Takes an ended trial, and returns whether the space has changed."""
        self._ended[trial.number] = trial
        changed = False
        for name, distribution in trial.distributions.items():
            known = self._parameters.get(name)
            if distribution.single():
                continue
            if known is None or known.distribution != distribution:
                self._parameters[name] = parameter_of(name, distribution)
                changed = True
        if trial.state in _WHOLE:
            self._whole.append(trial)
            asked = self._parameters.keys() & trial.params.keys()
            changed = changed or self._genome(trial.params).keys() != asked
        if not changed:
            return False
        before, self._space = self._space, learned_space(
            self._parameters, [self._encoded(t.params) for t in self._whole]
        )  # fmt: skip
        return before != self._space

    def _has_moved(self, trial: FrozenTrial) -> bool:
        """Returns whether a running trial has taken other values.

        Its process does so when another one has proposed the same.
        """
        pending = self._engine.history.pending.get(
            self._births.get(trial.number, -1)
        )
        return (
            pending is not None
            and not trial.state.is_finished()
            and pending.genome != self._genome(_values_of(trial))
        )

    def _record(self, trial: FrozenTrial) -> None:
        """Records the birth of a trial whose values are known."""
        if trial.number in self._births:
            return
        proposal = trial.system_attrs.get(PROPOSAL, {})
        values = _values_of(trial)
        if not values:
            return
        birth = self._engine.history.births
        parents = map(self._births.get, proposal.get("parents", ()))
        self._engine.record(
            Individual(
                birth=birth,
                genome=self._genome(values),
                parents=tuple(b for b in parents if b is not None),
                operator=proposal.get("operator", labels.RANDOM),
                traits=proposal.get("traits", {}),
            )
        )
        self._births[trial.number] = birth
        self._numbers.append(trial.number)

    def _tell(self, trial: FrozenTrial) -> None:
        birth = self._births.get(trial.number)
        if birth is None:
            return
        violation = sum(max(0.0, c) for c in trial.constraints.values())
        losses = self._losses(trial)
        self._engine.tell(
            birth,
            losses,
            genome=self._genome(_values_of(trial)),
            violation=violation,
        )
        if losses is not None and violation == 0:
            self._best = min(self._best, losses[0])

    def _losses(self, trial: FrozenTrial) -> tuple[float, ...] | None:
        if trial.state == TrialState.COMPLETE:
            pairs = zip(self._signs, trial.values, strict=True)
            return tuple(sign * value for sign, value in pairs)
        reported = trial.intermediate_values
        if trial.state == TrialState.PRUNED and len(self._signs) == 1:
            value = reported[max(reported)] if reported else math.nan
            if math.isfinite(value):
                return (max(self._signs[0] * value, self._best),)
        return None

    def _encoded(self, values: Mapping[str, Choice]) -> dict[str, Value]:
        return {
            name: self._parameters[name].encode(value)
            for name, value in values.items()
            if name in self._parameters
        }

    def _decoded(self, genome: Mapping[str, Value]) -> dict[str, Choice]:
        return {
            name: self._parameters[name].decode(value)
            for name, value in genome.items()
        }

    def _genome(self, values: Mapping[str, Choice]) -> dict[str, Value]:
        return self._space.complete(self._encoded(values))


def _values_of(trial: FrozenTrial) -> dict[str, Choice]:
    """Returns the values that a trial has, or will have if it has just begun.

    A trial that failed may have had no time to ask for all of them.
    """
    if trial.state in _WHOLE:
        return dict(trial.params)
    proposed = trial.system_attrs.get(PROPOSAL, {}).get("values", {})
    return {**proposed, **trial.system_attrs.get(FIXED, {}), **trial.params}
