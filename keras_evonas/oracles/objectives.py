"""Objectives of keras-tuner, and the losses of trials."""

import difflib
import math
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import TypeAlias

import keras_tuner
from keras_tuner.engine import metrics_tracking

from keras_evonas.project.objectives import COSTS
from keras_evonas.project.objectives import MEASURED_COSTS
from keras_evonas.project.objectives import SIGN as SIGN

# Last words of names of losses and errors.
_LOWER_IS_BETTER = (
    *("ce", "crossentropy", "divergence", "error", "hinge", "loss"),
    *("mae", "mape", "mse", "msle"),
)

# What a user may pass as `objective`.
Goal: TypeAlias = (
    str | keras_tuner.Objective | Sequence[str | keras_tuner.Objective] | None
)


# The metrics of a trial; keras-tuner's `MetricsTracker` is not public.
Metrics: TypeAlias = Any


class StrictObjective(keras_tuner.Objective):
    """An objective that is missed when absent, and never met by NaN.

    With keras-tuner 1.4.8 an objective that never appears fails one trial
    after another with a bare `KeyError`, a first epoch of NaN hides all that
    follow, and an infinite one beats them.

    Raises:
        ValueError: If `direction` is not `"min"` or `"max"`.
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
        """Returns the objective's value; `logs` without it end the search."""
        check_reported([self.name], logs)
        return logs[self.name]

    def better_than(self, a: float, b: float) -> bool:
        """Returns whether `a` is better than `b`; NaN and inf are worst."""
        if math.isfinite(a) and math.isfinite(b):
            return bool(super().better_than(a, b))
        return math.isfinite(a)


class SeveralObjectives(StrictObjective):
    """Objectives that are not added up, unlike keras-tuner's.

    For the host it is the *lead* objective, the first that training reports:
    its best epoch is the epoch that counts for all of them, and its value is
    the score that is printed. It comes first among the losses, too.

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
        """Returns the lead's value; `logs` without another end the search."""
        check_reported(trained_in(self), logs)
        return super().get_value(logs)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SeveralObjectives) and (
            describe(self) == describe(other)
        )

    def __str__(self) -> str:
        parts = ", ".join(map(str, self.objectives))
        return f"Objectives: [{parts}]"


def prepared(objective: Goal) -> Goal:
    """Returns an objective that the host understands.

    It infers the direction of Keras's own metrics. Those of costs are known
    here, and those of metrics of a named output, such as `"val_price_mae"`.
    """
    if isinstance(objective, list | tuple):
        if not objective:
            raise ValueError(
                "`objective` must name at least one objective. Received: "
                f"objective={objective!r}."
            )
        several = [prepared(one) for one in objective]
        return several if len(several) > 1 else several[0]
    if isinstance(objective, str):
        direction = "min" if objective in COSTS else _direction_of(objective)
        if direction is not None:
            return keras_tuner.Objective(objective, direction)
        try:
            metrics_tracking.infer_metric_direction(objective)
        except TypeError:  # As below; the host would raise it, too.
            raise ValueError(
                "`objective` must have a known direction. Received: "
                f"objective={objective!r}, a metric that needs arguments. Pass "
                f"`keras_tuner.Objective({objective!r}, direction='max')` or "
                "'min'."
            ) from None
    return objective


def _direction_of(name: str) -> str | None:
    """Returns the direction of an output's metric, `None` if it is unknown.

    The host infers that of a metric's own name, and says `"min"` of what it
    does not know, which is believed of losses and errors alone.
    """
    words = name.removeprefix("val_").split("_")
    for first in range(1, len(words)):
        try:
            direction: str | None = metrics_tracking.infer_metric_direction(
                "_".join(words[first:])
            )
        except TypeError:  # It makes the metric, which may need arguments.
            continue
        if direction == "max" or (direction and words[-1] in _LOWER_IS_BETTER):
            return direction
    return None


def are_several(objective: Goal) -> bool:
    """Returns whether the user asked for more than one objective."""
    return isinstance(objective, list | tuple) and len(objective) > 1


def strict(objective: keras_tuner.Objective) -> keras_tuner.Objective:
    """Returns the host's as a `StrictObjective` or `SeveralObjectives`."""
    if hasattr(objective, "objectives"):
        return SeveralObjectives([strict(x) for x in objective.objectives])
    if type(objective) is keras_tuner.Objective:
        return StrictObjective(objective.name, objective.direction)
    return objective


def check_lead(objective: keras_tuner.Objective) -> None:
    """Raises a `ValueError` if the objective, being a cost, is not trained."""
    if _is_cost(objective):
        raise ValueError(_only_costs([objective.name]))


def parts_of(objective: keras_tuner.Objective) -> list[keras_tuner.Objective]:
    """Returns the objectives, one or several."""
    return getattr(objective, "objectives", [objective])


def trained_in(objective: keras_tuner.Objective) -> list[str]:
    """Returns the names of the objectives that training reports."""
    return [x.name for x in parts_of(objective) if not _is_cost(x)]


def describe(objective: keras_tuner.Objective) -> list[list[str]]:
    """Returns names and directions, as JSON can hold them."""
    return [[part.name, part.direction] for part in parts_of(objective)]


def lead_of(objective: keras_tuner.Objective) -> list[list[str]]:
    """Returns name and direction of what decides which epoch is best.

    keras-tuner's own list of objectives is a sum, so that all of them do.
    """
    if isinstance(objective, SeveralObjectives):
        return [[objective.name, objective.direction]]
    return describe(objective)


def losses_of(
    objective: keras_tuner.Objective, score: float | None
) -> tuple[float, ...] | None:
    """Turns a score into losses, lower is better.

    Returns `None` if it is not finite, or if it is not all that counts.
    """
    is_all = not isinstance(objective, SeveralObjectives)
    if score is None or not math.isfinite(score) or not is_all:
        return None
    return (SIGN[objective.direction] * float(score),)


def check_reported(
    names: Sequence[str], logs: Mapping[str, Any], argument: str = "objective"
) -> None:
    """Checks that training reports the metrics that an argument names.

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
    # What lacks the validation alone is spelt right.
    wanted = missing[0].lower()
    alike = {
        name.lower(): name
        for name in logs
        if name.startswith("val_") == wanted.startswith("val_")
    }
    if near := difflib.get_close_matches(wanted, alike, n=1):
        way_out = f"Did you mean {alike[near[0]]!r}? {way_out}"
    # keras-tuner's name for the objective of a search without one.
    given = None if missing[0] == "default_objective" else missing[0]
    raise keras_tuner.errors.FatalValueError(
        f"`{argument}` must name a metric that training reports. Received: "
        f"{argument}={given!r}, and training reported {sorted(logs)}. "
        f"{way_out}"
    )


def numbers_in(metrics: Mapping[str, Any], trial_id: str) -> dict[str, float]:
    """Returns the metrics of a trial as numbers.

    Raises:
        ValueError: If one is none, which fails the trial. The host would raise
            as well, with its lock held.
    """
    found = {}
    for name, value in metrics.items():
        try:
            found[name] = float(value)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"The metric '{name}' of trial '{trial_id}' must be a number. "
                f"Received: {value!r} of {type(value)}. Return a float for it."
            ) from error
    return found


def history_of(metrics: Metrics, name: str) -> list[Any]:
    """Returns the observations of a metric by step, none if it has no such."""
    return metrics.get_history(name) if metrics.exists(name) else []


def value_at(metrics: Metrics, name: str, step: int | None) -> float:
    """Returns a metric at a step, the last one if there is none at that step.

    It is NaN if there is none at all.
    """
    history = history_of(metrics, name)
    if not history:
        return math.nan
    here = [entry for entry in history if entry.step == step]
    return float((here or history)[-1].mean())


def values_at(metrics: Metrics, step: int | None) -> dict[str, float]:
    """Returns all metrics as `value_at` does, but for those not finite."""
    values = {name: value_at(metrics, name, step) for name in metrics.metrics}
    return {n: value for n, value in values.items() if math.isfinite(value)}


def restore_values(
    objective: keras_tuner.Objective,
    metrics: Metrics,
    values: Mapping[str, float],
    step: int | None,
) -> None:
    """Adds what `values_at` returned to metrics without observations."""
    register(objective, metrics, values)
    for name, value in values.items():
        metrics.update(name, value, step=step or 0)


def register(
    objective: keras_tuner.Objective, metrics: Metrics, names: Iterable[str]
) -> None:
    """Makes room for metrics that were not reported before.

    The host infers their directions. It makes the metric for that, which may
    need arguments; then its direction is `"min"`, as of all that is unknown.
    """
    directions = {part.name: part.direction for part in parts_of(objective)}
    for name in names:
        if metrics.exists(name):
            continue
        try:
            metrics.register(name, directions.get(name))
        except TypeError:
            metrics.register(name, "min")


def losses_at(
    objective: keras_tuner.Objective, metrics: Metrics, step: int | None
) -> tuple[float, ...] | None:
    """Turns the metrics at a step into losses, lower is better.

    Returns `None` if one of them is not finite: half a result is none.
    """
    losses = tuple(
        SIGN[part.direction] * value_at(metrics, part.name, step)
        for part in parts_of(objective)
    )
    return losses if all(map(math.isfinite, losses)) else None


def corner_of(
    parts: Sequence[keras_tuner.Objective],
    losses: Sequence[tuple[float, ...]],
    reference: Mapping[str, float] | None,
) -> list[float]:
    """Returns the corner up to which a front's volume is measured.

    It is at `reference`, or at the worst losses.

    Raises:
        ValueError: If `reference` lacks an objective.
    """
    if reference is None:
        return [max(column) for column in zip(*losses, strict=True)]
    missing = [part.name for part in parts if part.name not in reference]
    if missing:
        raise ValueError(
            "`reference` must hold a value for each objective. Received: "
            f"reference={dict(reference)}, without {missing}."
        )
    return [SIGN[part.direction] * reference[part.name] for part in parts]


def _is_cost(objective: keras_tuner.Objective) -> bool:
    return objective.name in COSTS


def _only_costs(names: list[str]) -> str:
    return (
        "`objective` must name something that training reports. Received: "
        f"objective={names}, which are costs. Add for example 'val_accuracy', "
        "or limit the costs with `constraints`."
    )
