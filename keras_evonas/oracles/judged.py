"""An oracle that knows what networks cost, and what they may cost."""

from collections.abc import Mapping
from typing import Any

import keras_tuner

from keras_evonas import hyperparameters as hp_lib
from keras_evonas.evolution.genes import Genome
from keras_evonas.oracles import objectives
from keras_evonas.oracles.constraints import Constraint
from keras_evonas.oracles.constraints import at_most
from keras_evonas.oracles.feasibility import CostFunction
from keras_evonas.oracles.feasibility import Feasibility
from keras_evonas.oracles.feasibility import memory_for_training
from keras_evonas.oracles.host import Trial
from keras_evonas.oracles.leases import LeasedOracle
from keras_evonas.project.objectives import STATIC_COSTS


class JudgedOracle(LeasedOracle):
    """An Oracle to derive from, which judges networks before and after.

    Args:
        constraints: Constraints of the search.
        costs: Computes the costs of hyperparameters before training, or
            `None`.
        **host_arguments: As for `LeasedOracle`.
    """

    def __init__(
        self,
        *,
        constraints: tuple[Constraint, ...],
        costs: CostFunction | None,
        **host_arguments: Any,
    ) -> None:
        super().__init__(**host_arguments)
        self.constraints = constraints
        self.costs = costs
        # The memory that training may take by default.
        self._guard_bytes: float | None = None
        self._judge: Feasibility | None = None

    def judge_by(self, costs: CostFunction) -> None:
        """Judges networks by other costs from now on."""
        self.costs, self._judge = costs, None

    # Before training.

    @property
    def feasibility(self) -> Feasibility | None:
        """What judges candidates by their costs, `None` without `costs`."""
        if self._judge is None and self.costs is not None:
            guard = None
            if self._guard_bytes is not None:
                guard = at_most("training_bytes", self._guard_bytes)
            self._judge = Feasibility(
                self.costs, self.constraints, guard, self._hyperparameters_of
            )
            default = hp_lib.to_space(self.hyperparameters).default
            self._judge.disarm(default)
        return self._judge

    def violation_before(self, genome: Genome) -> float:
        """How far a network is outside of what is known before training."""
        judge = self.feasibility
        return 0.0 if judge is None else judge.violation_of(genome)

    def _default_guard_bytes(self) -> float | None:
        names = [one.name for one in self.constraints]
        if self.costs is None or "training_bytes" in names:
            return None
        return memory_for_training()

    @property
    def needed_costs(self) -> list[str]:
        """The costs before training without which there is no search."""
        wanted = [
            *(one.name for one in self.constraints),
            *(part.name for part in objectives.parts_of(self.objective)),
            *(["training_bytes"] if self._guard_bytes is not None else []),
        ]
        return [name for name in wanted if name in STATIC_COSTS]

    def _check_costs(self) -> None:
        static = self.needed_costs
        if self.costs is None and static:
            raise ValueError(
                f"`costs` must tell the costs of a network before it is "
                f"trained. Received: costs=None, and the search needs "
                f"{static}. Pass `costs=HypermodelCosts(build_model)` to "
                "EvoOracle, or search with EvoTuner."
            )

    def _report_costs(self, trial: Trial, genome: Genome) -> None:
        """Adds the costs of a trial to its metrics."""
        if self.feasibility is None:
            return
        for name, cost in self.feasibility.costs_of(genome).items():
            if not trial.metrics.exists(name):
                trial.metrics.register(name, "min")
                trial.metrics.update(name, cost, step=0)

    # After it.

    @property
    def _reported(self) -> tuple[list[str], list[str]]:
        """What training must report, for objectives and for constraints."""
        named = [part.name for part in objectives.parts_of(self.objective)]
        limited = [one.name for one in self.constraints]
        return (
            [name for name in named if name not in STATIC_COSTS],
            [name for name in limited if name not in STATIC_COSTS],
        )

    def _check_objective_found(self, metrics: Mapping[str, float]) -> None:
        super()._check_objective_found(metrics)
        named, limited = self._reported
        objectives.check_reported(named, metrics)
        objectives.check_reported(limited, metrics, "constraints")

    def violation_after(self, trial: Trial) -> float:
        """How far a trial is outside of what only training tells."""
        return sum(
            one.violation(
                objectives.value_at(trial.metrics, one.name, trial.best_step)
            )
            for one in self.constraints
            if one.name not in STATIC_COSTS
        )

    def _hyperparameters_of(self, values: Any) -> keras_tuner.HyperParameters:
        hp = self.hyperparameters.copy()
        hp.values = dict(values)
        return hp
