"""Costs of candidates before they are trained, and whether they may be.

A candidate's costs are a function of its genome alone: they are computed once
and remembered, and need not be stored to resume a search.
"""

import dataclasses
import math
import warnings
from collections.abc import Callable
from collections.abc import Hashable
from collections.abc import Mapping
from typing import Any
from typing import TypeAlias

import keras_tuner

from keras_evonas.evolution.genes import Genome
from keras_evonas.oracles.constraints import Constraint
from keras_evonas.project.objectives import STATIC_COSTS

# What computes the costs of a network: a mapping of names to numbers, or
# `keras_evonas.models.costs.Costs`.
CostFunction: TypeAlias = Callable[[keras_tuner.HyperParameters], Any]


class Feasibility:
    """Judges candidates by what they would cost.

    Args:
        costs: Computes the costs for hyperparameters; should it raise an
            error, the network cannot be built and is not feasible.
        constraints: The constraints that the user asked for.
        guard: The constraint that holds beside them, or `None`.
        hyperparameters_of: Makes hyperparameters of a genome.
    """

    def __init__(
        self,
        costs: CostFunction,
        constraints: tuple[Constraint, ...],
        guard: Constraint | None,
        hyperparameters_of: Callable[[Genome], keras_tuner.HyperParameters],
    ) -> None:
        self._costs = costs
        self._constraints = tuple(
            one for one in constraints if one.name in STATIC_COSTS
        )
        self._guard = guard
        self._hyperparameters_of = hyperparameters_of
        self._known: dict[Hashable, dict[str, float]] = {}
        self._errors: dict[Hashable, Exception] = {}

    def disarm(self, default: Genome) -> None:
        """Gives the guard up if it cannot judge this hypermodel at all.

        Nobody asked for the guard. A hypermodel that cannot be built without
        memory, because it computes with its weights, still can be searched.

        Args:
            default: The genome of the defaults, which the tuner has built.
        """
        if self._constraints or self._guard is None:
            return
        self.costs_of(default)
        error = self._errors.get(_key(default))
        if error is not None:
            warnings.warn(
                "The hypermodel cannot be built without memory, so that "
                "networks are not checked for their size before they are "
                f"trained: {error!r}. Pass `costs` to EvoOracle to check "
                "them.",
                stacklevel=2,
            )
            self._guard = None
            self._errors.clear()

    @property
    def is_active(self) -> bool:
        """Whether there is anything to judge by."""
        return bool(self._constraints) or self._guard is not None

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
            # Not swallowed: `explain` tells it if nothing can be built.
            self._errors[_key(genome)] = error
            return {}
        numbers = _numbers(costs)
        self._check_names(numbers)
        return numbers

    def violation_of(self, genome: Genome) -> float:
        """Returns how far a candidate is outside, 0 if it may be trained."""
        if not self.is_active:
            return 0.0
        costs = self.costs_of(genome)
        if _key(genome) in self._errors:
            return math.inf
        return sum(one.violation(costs[one.name]) for one in self._limits())

    def explain(self, genome: Genome) -> str:
        """Says what stands in the way of a candidate."""
        error = self._errors.get(_key(genome))
        if error is not None:
            return f"{dict(genome)} cannot be built: {error!r}"
        costs = self.costs_of(genome)
        worst = max(
            self._limits(), key=lambda one: one.violation(costs[one.name])
        )
        return (
            f"the tightest constraint is {worst}, and the closest candidate "
            f"{dict(genome)} has {worst.name}={costs[worst.name]:g}"
        )

    def _limits(self) -> tuple[Constraint, ...]:
        guard = () if self._guard is None else (self._guard,)
        return (*self._constraints, *guard)

    def _check_names(self, costs: Mapping[str, float]) -> None:
        wanted = {one.name for one in self._constraints}
        if self._guard is not None and self._guard.name not in costs:
            self._guard = None  # the user's own costs do not know of memory
        missing = sorted(wanted - set(costs))
        if missing:
            raise keras_tuner.errors.FatalValueError(
                f"`costs` must return what `constraints` name. Received: "
                f"{sorted(costs)}, without {missing}."
            )


def memory_for_training() -> float | None:
    """Returns the bytes that one training may take on this device, if known."""
    # TensorFlow is loaded for it, but only once there is something to guard.
    from keras_evonas.models.costs.device import memory_for_training

    return memory_for_training()


def _key(genome: Genome) -> Hashable:
    return tuple(sorted(genome.items()))


def _numbers(costs: object) -> dict[str, float]:
    if dataclasses.is_dataclass(costs) and not isinstance(costs, type):
        costs = dataclasses.asdict(costs)
    if not isinstance(costs, Mapping):
        raise keras_tuner.errors.FatalTypeError(
            "`costs` must return a mapping of names to numbers. Received: "
            f"{costs!r}."
        )
    return {
        name: value
        for name, value in costs.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }
