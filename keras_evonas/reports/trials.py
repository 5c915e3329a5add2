"""One trial out of what the files say about it."""

import dataclasses
import math
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from keras_evonas.evolution.space import SearchSpace
from keras_evonas.reports import space as space_lib
from keras_evonas.reports.search import Curve
from keras_evonas.reports.search import Objective
from keras_evonas.reports.search import Trial
from keras_evonas.reports.search import finite

# What `keras_evonas.models.costs` measures, where it stands among metrics.
COSTS = (
    "params",
    "trainable_params",
    "flops",
    "multiply_adds",
    "weight_bytes",
    "training_bytes",
    "depth",
    "latency",
)


def make(
    number: int,
    trial_id: str,
    *,
    born: Mapping[str, Any] | None,
    end: Mapping[str, Any] | None,
    seconds: float | None,
    file: Mapping[str, Any] | None,
    objectives: Sequence[Objective],
    space: SearchSpace | None,
) -> Trial:
    """Puts a trial together; the record has the last word.

    Args:
        number: Its place in the order of beginnings.
        trial_id: Its identifier.
        born: Its birth in the record, if any.
        end: Its last end in the record, if any.
        seconds: How long it took, if known.
        file: Its `trial.json`, if any.
        objectives: What the search optimizes.
        space: The search space, if known.

    Returns:
        The trial, without its parents.
    """
    born, file = born or {}, file or {}
    # A birth without an end is running, whatever an older file says.
    state = end or ({"status": "RUNNING"} if born else file)
    status = state.get("status") or "RUNNING"
    metrics, curves = _metrics(file, state.get("best_step"))
    costs = {name: metrics[name] for name in COSTS if name in metrics}
    costs |= _numbers(state.get("costs")) | _numbers(born.get("costs"))
    scores = _scores(state, metrics | costs, objectives)
    best_step = state.get("best_step")
    return Trial(
        trial_id=trial_id,
        number=number,
        status=status,
        values=space_lib.active_values(space, _values(state, born, file)),
        scores=scores if status == "COMPLETED" else None,
        metrics={n: v for n, v in metrics.items() if n not in costs},
        costs=costs,
        violation=_violation(state),
        best_epoch=best_step + 1 if isinstance(best_step, int) else None,
        epochs=_epochs(state, curves),
        seconds=_number(state.get("seconds"), seconds),
        ended=_number(state.get("elapsed")),
        message=state.get("message"),
        birth=born.get("birth"),
        operator=born.get("operator"),
        curves=curves,
    )


def with_parents(trial: Trial, parents: tuple[str, ...]) -> Trial:
    """Returns the trial with its parents."""
    return dataclasses.replace(trial, parents=parents)


def raw_metrics(file: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    """The metrics of a `trial.json`."""
    return (file.get("metrics") or {}).get("metrics") or {}


def history(metric: Mapping[str, Any]) -> list[tuple[int, float]]:
    """Steps and values of a saved metric; several runs are averaged."""
    points = []
    for observation in metric.get("observations") or ():
        values = observation.get("value")
        values = values if isinstance(values, list) else [values]
        if values and all(isinstance(v, int | float) for v in values):
            step = observation.get("step") or 0
            points.append((step, sum(values) / len(values)))
    return sorted(points)


def _metrics(
    file: Mapping[str, Any], best_step: int | None
) -> tuple[dict[str, float], dict[str, Curve]]:
    """Each metric at the best step, and the curves that have been kept."""
    metrics, curves = {}, {}
    for name, metric in raw_metrics(file).items():
        points = history(metric)
        if not points:
            continue
        metrics[name] = dict(points).get(best_step, points[-1][1])
        if len(points) > 1:
            curves[name] = tuple((step + 1, value) for step, value in points)
    return metrics, curves


def _scores(
    state: Mapping[str, Any],
    metrics: Mapping[str, float],
    objectives: Sequence[Objective],
) -> tuple[float, ...] | None:
    """One finite score an objective, or `None`."""
    recorded = state.get("scores")
    score = state.get("score")
    if isinstance(recorded, Mapping):
        scores = [recorded.get(objective.name) for objective in objectives]
    elif isinstance(recorded, Sequence) and len(recorded) == len(objectives):
        scores = list(recorded)
    elif isinstance(score, list):
        scores = score
    elif len(objectives) == 1:
        scores = [score]
    else:
        scores = [metrics.get(objective.name) for objective in objectives]
    if len(scores) != len(objectives) or not scores or not finite(scores):
        return None
    return tuple(float(value) for value in scores)


def _values(
    state: Mapping[str, Any], born: Mapping[str, Any], file: Mapping[str, Any]
) -> Mapping[str, Any]:
    saved = (file.get("hyperparameters") or {}).get("values")
    return state.get("values") or born.get("genome") or saved or {}


def _violation(state: Mapping[str, Any]) -> float | None:
    """The sum of what the constraints are broken by, however it is kept."""
    value = state.get("violation", state.get("violations"))
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list):
        value = sum(max(0.0, v) for v in value) if finite(value) else None
    return _number(value)


def _epochs(
    state: Mapping[str, Any], curves: Mapping[str, Curve]
) -> int | None:
    recorded = state.get("epochs")
    if isinstance(recorded, int):
        return recorded
    return max((len(points) for points in curves.values()), default=None)


def _numbers(values: Any) -> dict[str, float]:
    if not isinstance(values, Mapping):
        return {}
    return {
        name: value
        for name, value in values.items()
        if isinstance(value, int | float) and math.isfinite(value)
    }


def _number(*candidates: Any) -> float | None:
    for value in candidates:
        if isinstance(value, int | float):
            return float(value)
    return None
