"""Objectives: the one place where scores turn into losses."""

import math
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import Protocol
from typing import TypeAlias

import keras_tuner

from keras_evonas.project.objectives import COSTS
from keras_evonas.project.objectives import MEASURED_COSTS
from keras_evonas.project.objectives import SIGN as SIGN

# What a user may pass as `objective`.
Goal: TypeAlias = (
    str | keras_tuner.Objective | Sequence[str | keras_tuner.Objective] | None
)


class Observation(Protocol):
    """The values of a metric at a step, one an execution."""

    step: int

    def mean(self) -> float:
        """Returns their mean."""


class Metrics(Protocol):
    """The metrics of a trial, as keras-tuner keeps them."""

    def exists(self, name: str) -> bool:
        """Returns whether there is such a metric."""

    def register(self, name: str, direction: str) -> None:
        """Adds a metric."""

    def update(self, name: str, value: float, step: int) -> None:
        """Adds a value."""

    def get_history(self, name: str) -> Sequence[Observation]:
        """Returns the values in the order of steps."""


class StrictObjective(keras_tuner.Objective):
    """An objective that is missed when absent, and never met by NaN.

    With keras-tuner 1.4.8 an objective that never appears fails one trial
    after another with a bare `KeyError`, a first epoch of NaN hides all that
    follow, and an infinite one beats them.

    Args:
        name: String, the name of the metric.
        direction: String, `"min"` or `"max"`.

    Raises:
        ValueError: If `direction` is neither.
    """

    def __init__(self, name: str, direction: str) -> None:
        if direction not in SIGN:
            raise ValueError(
                f"`objective` must have a direction of {sorted(SIGN)}. "
                f"Received: objective='{name}' with direction={direction!r}. "
                f"Pass `keras_tuner.Objective('{name}', direction='min')` or "
                "'max'."
            )
        super().__init__(name, direction)

    def get_value(self, logs: Mapping[str, float]) -> float:
        """Returns the objective's value.

        Raises:
            keras_tuner.errors.FatalValueError: If `logs` lack it, which ends
                the search.
        """
        check_reported([self.name], logs)
        return logs[self.name]

    def better_than(self, a: float, b: float) -> bool:
        """Whether `a` is better than `b`; no finite number is the worst."""
        if math.isfinite(a) and math.isfinite(b):
            return bool(super().better_than(a, b))
        return math.isfinite(a)


class SeveralObjectives(StrictObjective):
    """Objectives that are not added up, unlike keras-tuner's.

    For the host it is the *lead* objective, the first that training reports:
    its best epoch is the epoch that counts for all of them, and its value is
    the score that is printed. It comes first among the losses, too.

    Args:
        objectives: The objectives, two or more.

    Raises:
        ValueError: If two have the same name, or all are costs.
    """

    def __init__(self, objectives: Sequence[keras_tuner.Objective]) -> None:
        self.objectives = list(objectives)
        names = [one.name for one in self.objectives]
        if len(set(names)) < len(names):
            raise ValueError(
                "`objective` must name each objective once. Received: "
                f"objective={names}. Remove one of the equal ones."
            )
        lead = next((x for x in self.objectives if not _is_cost(x)), None)
        if lead is None:
            raise ValueError(_only_costs(names))
        self.objectives.remove(lead)
        self.objectives.insert(0, lead)
        super().__init__(lead.name, lead.direction)

    def get_value(self, logs: Mapping[str, float]) -> float:
        """Returns the value of the lead objective.

        Raises:
            keras_tuner.errors.FatalValueError: If `logs` lack an objective.
        """
        trained = [x.name for x in self.objectives if not _is_cost(x)]
        check_reported(trained, logs)
        return super().get_value(logs)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SeveralObjectives) and (
            describe(self) == describe(other)
        )

    def __str__(self) -> str:
        parts = ", ".join(map(str, self.objectives))
        return f"Objectives: [{parts}]"


def prepared(objective: Goal) -> Goal:
    """Returns what the host can make objectives of.

    It infers the direction of Keras's own metrics; those of costs are known
    here.

    Raises:
        ValueError: If it is an empty list.
    """
    if isinstance(objective, list | tuple):
        if not objective:
            raise ValueError(
                "`objective` must name at least one objective. Received: "
                f"objective={objective!r}."
            )
        several = [prepared(one) for one in objective]
        return several if len(several) > 1 else several[0]
    if isinstance(objective, str) and objective in COSTS:
        return keras_tuner.Objective(objective, "min")
    return objective


def are_several(objective: Goal) -> bool:
    """Whether the user asked for more than one objective."""
    return isinstance(objective, list | tuple) and len(objective) > 1


def strict(objective: keras_tuner.Objective) -> keras_tuner.Objective:
    """Returns the host's objective as one of this module.

    Raises:
        ValueError: If a direction is none, if two objectives have the same
            name, or if all are costs.
    """
    if hasattr(objective, "objectives"):
        return SeveralObjectives([strict(x) for x in objective.objectives])
    if type(objective) is keras_tuner.Objective:
        return StrictObjective(objective.name, objective.direction)
    return objective


def check_lead(objective: keras_tuner.Objective) -> None:
    """Checks that training has something to do with the objective.

    Raises:
        ValueError: If it is a cost.
    """
    if _is_cost(objective):
        raise ValueError(_only_costs([objective.name]))


def parts_of(objective: keras_tuner.Objective) -> list[keras_tuner.Objective]:
    """Returns the objectives, one or several."""
    return getattr(objective, "objectives", [objective])


def describe(objective: keras_tuner.Objective) -> list[list[str]]:
    """Returns names and directions, as JSON can hold them."""
    return [[part.name, part.direction] for part in parts_of(objective)]


def lead_of(objective: keras_tuner.Objective) -> list[list[str]]:
    """Returns name and direction of what decides which epoch is the best.

    keras-tuner's own list of objectives is a sum, so that all of them do.
    """
    if isinstance(objective, SeveralObjectives):
        return [[objective.name, objective.direction]]
    return describe(objective)


def losses_of(
    objective: keras_tuner.Objective, score: float | None
) -> tuple[float, ...] | None:
    """Turns a score into losses, lower is better.

    Args:
        objective: The objective that the score belongs to.
        score: What the trial reached, or `None`.

    Returns:
        Tuple of losses, or `None` if there is no finite score, or if the
        score is not all that counts.
    """
    is_all = not isinstance(objective, SeveralObjectives)
    if score is None or not math.isfinite(score) or not is_all:
        return None
    return (SIGN[objective.direction] * float(score),)


def check_reported(
    names: Sequence[str], logs: Mapping[str, Any], argument: str = "objective"
) -> None:
    """Checks that training reports what an argument names.

    Args:
        names: Names of metrics.
        logs: What training reports.
        argument: Name of the argument, for the message.

    Raises:
        keras_tuner.errors.FatalValueError: If not, which ends the search.
    """
    missing = [name for name in names if name not in logs]
    if not missing:
        return
    way_out = (
        "Search with EvoTuner, which measures it, or report it."
        if missing[0] in MEASURED_COSTS
        else "Name one of these, compile the model with the metric, or pass "
        "`validation_data` to `search` for those that begin with 'val_'."
    )
    raise keras_tuner.errors.FatalValueError(
        f"`{argument}` must name a metric that training reports. Received: "
        f"{argument}='{missing[0]}', and training reported {sorted(logs)}. "
        f"{way_out}"
    )


def values_of(metrics: Metrics, name: str) -> list[float]:
    """Returns all values of a trial's metric, none if it has no such."""
    history = metrics.get_history(name) if metrics.exists(name) else []
    return [float(entry.mean()) for entry in history]


def value_at(metrics: Metrics, name: str, step: int | None) -> float:
    """Returns a metric of a trial.

    Args:
        metrics: The trial's metrics.
        name: String, the metric.
        step: The step to look at.

    Returns:
        The value at that step, the last one if there is none at that step,
        NaN if there is none at all.
    """
    history = metrics.get_history(name) if metrics.exists(name) else []
    if not history:
        return math.nan
    here = [entry for entry in history if entry.step == step]
    return float((here or history)[-1].mean())


def losses_at(
    objective: keras_tuner.Objective, metrics: Metrics, step: int | None
) -> tuple[float, ...] | None:
    """Turns the metrics of a trial into losses, lower is better.

    Args:
        objective: The objective, or several.
        metrics: The trial's metrics.
        step: The step that counts.

    Returns:
        Tuple of losses, or `None` if one of them is not finite: half a result
        is none.
    """
    losses = tuple(
        SIGN[part.direction] * value_at(metrics, part.name, step)
        for part in parts_of(objective)
    )
    return losses if all(map(math.isfinite, losses)) else None


def _is_cost(objective: keras_tuner.Objective) -> bool:
    return objective.name in COSTS


def _only_costs(names: list[str]) -> str:
    return (
        "`objective` must name something that training reports. Received: "
        f"objective={names}, which are costs. Add for example 'val_accuracy', "
        "or limit the costs with `constraints`."
    )
