"""What networks may cost and must reach, before they are trained and after."""

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence

import keras_tuner

from keras_evonas import hyperparameters as hp_lib
from keras_evonas.evolution.genes import Genome
from keras_evonas.oracles import objectives
from keras_evonas.oracles.constraints import Constraint
from keras_evonas.oracles.constraints import at_most
from keras_evonas.oracles.feasibility import CostFunction
from keras_evonas.oracles.feasibility import Feasibility
from keras_evonas.oracles.feasibility import memory_for_training
from keras_evonas.project.objectives import STATIC_COSTS


class Limits:
    """Judges networks by their costs, and trials by what they report.

    Args:
        constraints: Constraints of the search.
        costs: Computes the costs of hyperparameters before training, or
            `None`.
        goals: Names of the objectives.
        space: Returns the hyperparameters of the search space.
    """

    def __init__(
        self,
        *,
        constraints: tuple[Constraint, ...],
        costs: CostFunction | None,
        goals: Sequence[str],
        space: Callable[[], keras_tuner.HyperParameters],
    ) -> None:
        self.constraints = constraints
        self._costs = costs
        self._goals = tuple(goals)
        self._space = space
        self._guard_bytes: float | None = None
        self._feasibility: Feasibility | None = None

    @property
    def costs(self) -> CostFunction | None:
        """Computes costs before training, or `None`."""
        return self._costs

    @costs.setter
    def costs(self, costs: CostFunction | None) -> None:
        self._costs, self._feasibility = costs, None

    @property
    def guard_bytes(self) -> float | None:
        """The memory that training may take by default, or `None`."""
        return self._guard_bytes

    @guard_bytes.setter
    def guard_bytes(self, guard_bytes: float | None) -> None:
        self._guard_bytes, self._feasibility = guard_bytes, None

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
        wanted = [
            *(one.name for one in self.constraints),
            *self._goals,
            *(["training_bytes"] if self._guard_bytes is not None else []),
        ]
        return [name for name in wanted if name in STATIC_COSTS]

    def check_costs(self) -> None:
        """Checks that the costs that the search needs can be computed.

        Raises:
            ValueError: If not.
        """
        needed = self.needed_costs
        if self.costs is None and needed:
            raise ValueError(
                "`costs` must tell the costs of a network before it is "
                f"trained. Received: costs=None, and the search needs "
                f"{needed}. Pass `costs=HypermodelCosts(build_model)` to "
                "EvoOracle, or search with EvoTuner."
            )

    @property
    def feasibility(self) -> Feasibility | None:
        """Judges candidates by their costs; `None` without `costs`."""
        if self._feasibility is None and self.costs is not None:
            guard = None
            if self._guard_bytes is not None:
                guard = at_most("training_bytes", self._guard_bytes)
            self._feasibility = Feasibility(
                self.costs, self.constraints, guard, self._hyperparameters_of
            )
            self._feasibility.disarm(hp_lib.to_space(self._space()).default)
        return self._feasibility

    def _hyperparameters_of(
        self, genome: Genome
    ) -> keras_tuner.HyperParameters:
        return hp_lib.with_values(self._space(), genome)

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
        for argument, names in (
            ("objective", self._goals),
            ("constraints", limited),
        ):
            trained = [name for name in names if name not in STATIC_COSTS]
            objectives.check_reported(trained, metrics, argument)

    def violation_after(
        self, metrics: objectives.Metrics, step: int | None
    ) -> float:
        """Returns how far a trial is beyond the limits on what it reports."""
        return sum(
            one.violation(objectives.value_at(metrics, one.name, step))
            for one in self.constraints
            if one.name not in STATIC_COSTS
        )
