"""Limits on costs before training, and on what training reports.

A candidate's costs are a function of its genome alone: they are computed once
and remembered, and need not be stored to resume a search.
"""

import dataclasses
import math
import numbers
import time
import warnings
from collections.abc import Callable
from collections.abc import Hashable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import TypeAlias

import keras_tuner

from keras_evonas import hyperparameters as hp_lib
from keras_evonas.evolution.genes import Genome
from keras_evonas.evolution.randomness import rng_at
from keras_evonas.evolution.space import SearchSpace
from keras_evonas.oracles import objectives
from keras_evonas.oracles.constraints import Constraint
from keras_evonas.oracles.constraints import at_most
from keras_evonas.project.objectives import COSTS
from keras_evonas.project.objectives import STATIC_COSTS

# Computes the costs of a network: a mapping of names to numbers, or
# `keras_evonas.models.costs.Costs`.
CostFunction: TypeAlias = Callable[[keras_tuner.HyperParameters], Any]

# Seconds without a feasible network after which the user is told.
_LONG = 15
# Networks that are asked for their costs if the default network has none.
_SAMPLES = 8


class Limits:
    """Judges networks by their costs, and trials by what they report."""

    def __init__(
        self,
        *,
        constraints: tuple[Constraint, ...],
        costs: CostFunction | None,
        goals: Sequence[str],
        space: Callable[[], keras_tuner.HyperParameters],
    ) -> None:
        self.constraints = constraints
        # Computes costs before training, or `None`.
        self.costs = costs
        # The memory that training may take by default, or `None`.
        self.guard_bytes: float | None = None
        self._goals = tuple(goals)
        self._space = space
        self._feasibility: Feasibility | None = None
        self._made_of: tuple[CostFunction, float | None] | None = None

    def default_guard_bytes(self) -> float | None:
        """Returns the guard of a new search on this machine, if any."""
        names = [one.name for one in self.constraints]
        if self.costs is None or "training_bytes" in names:
            return None
        return memory_for_training()

    # Before training.

    @property
    def needed_costs(self) -> list[str]:
        """The costs before training that the search cannot do without."""
        wanted = [*(one.name for one in self.constraints), *self._goals]
        wanted += ["training_bytes"] * (self.guard_bytes is not None)
        return [name for name in dict.fromkeys(wanted) if name in STATIC_COSTS]

    def check_costs(self) -> None:
        """Raises a `ValueError` unless all needed costs can be computed."""
        needed = self.needed_costs
        if self.costs is None and needed:
            raise ValueError(
                "`costs` must tell the costs of a network before it is "
                f"trained. Received: costs=None, and the search needs "
                f"{needed}. Pass `costs=HypermodelCosts(build_model)`, of "
                "`keras_evonas`, to EvoOracle, or search with EvoTuner."
            )

    @property
    def feasibility(self) -> "Feasibility | None":
        """Judges candidates by their costs; `None` without `costs`."""
        if self.costs is None:
            return None
        bound = self.guard_bytes
        made_of = (self.costs, bound)
        if self._made_of != made_of:
            space = hp_lib.to_space(self._space())
            judge = Feasibility(
                self.costs,
                self.constraints,
                None if bound is None else at_most("training_bytes", bound),
                self._goals,
                lambda genome: hp_lib.with_values(self._space(), genome),
            )
            judge.learn_names(space)
            judge.disarm(space.default)
            # Only now: one of these may have raised.
            self._feasibility, self._made_of = judge, made_of
        return self._feasibility

    def is_told_before(self, name: str) -> bool:
        """Returns whether a metric is a cost that is known before training."""
        judge = self.feasibility
        return name in ((judge and judge.told) or STATIC_COSTS)

    def violation_before(self, genome: Genome) -> float:
        """Returns how far a network is beyond the limits on its costs."""
        judge = self.feasibility
        return 0.0 if judge is None else judge.violation_of(genome)

    def report_costs(self, genome: Genome, metrics: objectives.Metrics) -> None:
        """Adds the costs of a network to the metrics of its trial."""
        if self.feasibility is None:
            return
        for name, cost in self.feasibility.costs_of(genome).items():
            if not metrics.exists(name):
                metrics.register(name, "min")
                metrics.update(name, cost, step=0)

    # After it.

    def check_reported(self, metrics: Mapping[str, float]) -> None:
        """Checks that training reports what the search is about.

        Raises:
            keras_tuner.errors.FatalValueError: If not, which ends the search.
        """
        limited = [one.name for one in self.constraints]
        wanted = {"objective": self._goals, "constraints": limited}
        judge = self.feasibility
        for argument, names in wanted.items():
            trained = [x for x in names if not self.is_told_before(x)]
            try:
                objectives.check_reported(trained, metrics, argument)
            except keras_tuner.errors.FatalValueError as error:
                reason = None if judge is None else judge.default_error
                if reason is None:
                    raise
                raise keras_tuner.errors.FatalValueError(
                    f"{error} Or is it a cost? `costs` could not tell the "
                    f"costs of the default network: {reason!r}."
                ) from error

    def violation_after(
        self, metrics: objectives.Metrics, step: int | None
    ) -> float:
        """Returns how far a trial is beyond the limits on what it reports."""
        return sum(
            one.violation(objectives.value_at(metrics, one.name, step))
            for one in self.constraints
            if not self.is_told_before(one.name)
        )


class Feasibility:
    """Judges candidates by what they would cost.

    Args:
        costs: Computes the costs for hyperparameters; should it raise an
            error, the network cannot be built and is not feasible.
        constraints: The constraints that the user asked for.
        guard: The constraint that holds beside them, or `None`.
        goals: Names of the objectives.
        hyperparameters_of: Makes hyperparameters of a genome.

    Attributes:
        told: Names of the costs that `costs` has returned so far.
        default_error: What `costs` raised for the default network, or `None`.
    """

    def __init__(
        self,
        costs: CostFunction,
        constraints: tuple[Constraint, ...],
        guard: Constraint | None,
        goals: Sequence[str],
        hyperparameters_of: Callable[[Genome], keras_tuner.HyperParameters],
    ) -> None:
        self._costs = costs
        # What raises an error is a function of the user's, not the hypermodel.
        self._are_own = not hasattr(costs, "hypermodel")
        self.told: frozenset[str] = frozenset()
        self.default_error: Exception | None = None
        self._all_constraints = constraints
        self._guard = guard
        self._goals = goals
        self._hyperparameters_of = hyperparameters_of
        self._known: dict[Hashable, dict[str, float]] = {}
        self._seconds_in_vain = 0.0
        self._errors: dict[Hashable, Exception] = {}

    def learn_names(self, space: SearchSpace) -> None:
        """Learns the names of costs that are the user's own.

        They are those of the default network, or of another one if that has
        none, such as one that is too large for the device.

        Raises a `keras_tuner.errors.FatalValueError` if an objective is one:
        they have no place among the metrics of an epoch.
        """
        limited = [one.name for one in self._all_constraints]
        self.costs_of(space.default)
        self.default_error = self._errors.get(_key(space.default))
        rng, are_known = rng_at(0), set(COSTS).issuperset(limited)
        for _ in range(_SAMPLES):
            if self.told or are_known:
                break
            self.costs_of(space.sample(rng))
        own = [x for x in self._goals if x in self.told.difference(COSTS)]
        if own:
            raise keras_tuner.errors.FatalValueError(
                "`objective` may name what training reports, or costs among "
                f"{', '.join(STATIC_COSTS)}. Received: {own[0]!r}, which "
                "`costs` returns. Let it return one of these names, or limit "
                "it by `constraints`."
            )

    @property
    def _constraints(self) -> list[Constraint]:
        known = self.told.union(STATIC_COSTS)
        return [x for x in self._all_constraints if x.name in known]

    def disarm(self, default: Genome) -> None:
        """Gives the guard up if it cannot judge this hypermodel at all.

        The guard is no wish of the user. A hypermodel that cannot be built
        without memory, because it computes with its weights, still can be
        searched. `default` is the genome that the tuner has built.
        """
        if self._constraints or self._guard is None:
            return
        self.costs_of(default)
        error = self._errors.get(_key(default))
        if error is not None:
            reason, way_out = (
                ("`costs` failed for the default network", "Mend `costs`")
                if self._are_own
                else (
                    "The hypermodel cannot be built without memory",
                    "Pass `costs` to EvoOracle",
                )
            )
            warnings.warn(
                f"{reason}, so that networks are not checked for their size "
                f"before they are trained: {error!r}. {way_out} to check them.",
                stacklevel=2,
            )
            self._guard = None
            self._errors.clear()

    @property
    def _limits(self) -> list[Constraint]:
        guard = [] if self._guard is None else [self._guard]
        return self._constraints + guard

    def costs_of(self, genome: Genome) -> dict[str, float]:
        """Returns the costs by name, none if the network cannot be built."""
        key = _key(genome)
        if key not in self._known:
            self._known[key] = self._computed(genome)
        return self._known[key]

    def _computed(self, genome: Genome) -> dict[str, float]:
        try:
            costs = self._costs(self._hyperparameters_of(genome))
        except keras_tuner.errors.FatalError:
            raise
        except Exception as error:
            # `explain` reports it if no network can be built.
            self._errors[_key(genome)] = error
            return {}
        found = _numbers(costs)
        self.told |= found.keys()
        if self._guard is not None and self._guard.name not in found:
            self._guard = None  # the user's own costs lack memory
        # What training may report instead is not named at all.
        named = set(_items(costs)).intersection(self._goals)
        wanted = named.union(one.name for one in self._constraints)
        if missing := wanted.difference(found):
            raise keras_tuner.errors.FatalValueError(
                "`costs` must return a number for what `constraints` and "
                f"`objective` name. Received: {str(costs)[:200]}, without one "
                f"for {sorted(missing)}."
            )
        return found

    def violation_of(self, genome: Genome) -> float:
        """Returns how far a candidate is outside, 0 if it may be trained."""
        if not self._limits:
            return 0.0
        begun = time.perf_counter()
        costs = self.costs_of(genome)
        seconds = time.perf_counter() - begun
        violation = math.inf
        if _key(genome) not in self._errors:
            violation = sum(
                x.violation(costs.get(x.name, math.nan)) for x in self._limits
            )
        self._seconds_in_vain += seconds
        if violation == 0:
            self._seconds_in_vain = 0.0
        elif self._seconds_in_vain > _LONG:
            self._seconds_in_vain = -math.inf  # It is said once.
            warnings.warn(
                f"For {_LONG} seconds no network was found that keeps to "
                f"{', '.join(map(self._told, self._limits))}. Some hundred "
                "more are built before the search is given up.",
                stacklevel=2,
            )
        return violation

    def nothing_to_search(self, closest: Genome) -> ValueError:
        """Returns the error that no network of a space may be trained."""
        way_out = (
            "Loosen the constraint, or let the hypermodel build such networks."
        )
        if _key(closest) in self._errors:
            culprit = "`costs`" if self._are_own else "the hypermodel"
            way_out = f"Mend {culprit} as the error says."
        return ValueError(
            "`constraints` leave nothing to search: no candidate is feasible; "
            f"{self.explain(closest)}. {way_out}"
        )

    def explain(self, genome: Genome) -> str:
        """Describes the limit that a candidate breaks."""
        error = self._errors.get(_key(genome))
        if error is not None and self._are_own:
            return f"`costs` failed for {dict(genome)}: {error!r}"
        if error is not None:
            return f"{dict(genome)} cannot be built: {error!r}"
        costs = self.costs_of(genome)
        worst = max(
            self._limits, key=lambda x: x.violation(costs.get(x.name, math.nan))
        )
        return (
            f"the tightest constraint is {self._told(worst)}, and the closest "
            f"candidate {dict(genome)} has {worst.name}="
            f"{costs.get(worst.name, math.nan):g}"
        )

    def _told(self, limit: Constraint) -> str:
        if limit is not self._guard:
            return str(limit)
        return (
            f"{limit}, a share of this device's memory (pass "
            "`constraints=[at_most('training_bytes', n)]` to set another limit)"
        )


def memory_for_training() -> float | None:
    """Returns the bytes that one training may take on this device, if known."""
    # TensorFlow is loaded for it, but only once there is something to guard.
    from keras_evonas.models.costs.device import memory_for_training

    return memory_for_training()


def _key(genome: Genome) -> Hashable:
    return tuple(sorted(genome.items()))


def _items(costs: object) -> Mapping[str, object]:
    if dataclasses.is_dataclass(costs) and not isinstance(costs, type):
        return dataclasses.asdict(costs)
    if not isinstance(costs, Mapping):
        raise keras_tuner.errors.FatalTypeError(
            "`costs` must return a mapping of names to numbers. Received: "
            f"{costs!r}."
        )
    return costs


def _numbers(costs: object) -> dict[str, float]:
    return {
        name: value if isinstance(value, int | float) else float(value)
        for name, value in _items(costs).items()
        if isinstance(value, numbers.Real) and not isinstance(value, bool)
    }
