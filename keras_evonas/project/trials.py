"""One trial out of what the files say about it."""

import dataclasses
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from keras_evonas.evolution.space import SearchSpace
from keras_evonas.project import spaces as space_lib
from keras_evonas.project.curves import parse
from keras_evonas.project.numbers import finite
from keras_evonas.project.search import Curve
from keras_evonas.project.search import Objective
from keras_evonas.project.search import Trial

# Costs that stand among the metrics.
COSTS = (
    "params",
    "trainable_params",
    "flops",
    "multiply_adds",
    "weight_bytes",
    "training_bytes",
    "depth",
    "latency_ms",
)
_SECONDS = "train_seconds"


def make(
    number: int,
    trial_id: str,
    *,
    born: Mapping[str, Any] | None,
    end: Mapping[str, Any] | None,
    seconds: float | None,
    file: Mapping[str, Any] | None,
    curves: object,
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
        curves: Its `learning_curves.json`, if any.
        objectives: What the search optimizes.
        space: The search space, if known.

    Returns:
        The trial, without its parents.
    """
    born, file = born or {}, file or {}
    # A birth without an end is running, whatever an older file says.
    state = end or ({"status": "RUNNING"} if born else file)
    status = state.get("status") or "RUNNING"
    metrics, kept = _metrics(file, state.get("best_step"))
    points = _curves(curves) or kept
    seconds = _number(metrics.pop(_SECONDS, None), seconds)
    costs = {name: metrics[name] for name in COSTS if name in metrics}
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
        violation=_number(state.get("violation")),
        best_epoch=best_step + 1 if isinstance(best_step, int) else None,
        epochs=len({e for curve in points.values() for e, _ in curve}) or None,
        seconds=seconds,
        ended=_number(state.get("elapsed")),
        message=state.get("message"),
        birth=born.get("birth"),
        operator=born.get("operator"),
        curves=points,
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
    metrics: dict[str, float] = {}
    curves: dict[str, Curve] = {}
    for name, metric in raw_metrics(file).items():
        points = history(metric)
        if not points:
            continue
        at_best = [value for step, value in points if step == best_step]
        metrics[name] = (at_best or [points[-1][1]])[-1]
        if len(points) > 1:
            curves[name] = tuple((step + 1, value) for step, value in points)
    return metrics, curves


def _scores(
    state: Mapping[str, Any],
    metrics: Mapping[str, float],
    objectives: Sequence[Objective],
) -> tuple[float, ...] | None:
    """One finite score an objective, or `None`."""
    losses = state.get("losses")
    if isinstance(losses, list) and len(losses) == len(objectives):
        scores: list[Any] = [
            objective.loss(loss) if finite([loss]) else None
            for objective, loss in zip(objectives, losses, strict=True)
        ]
    elif len(objectives) == 1:
        scores = [state.get("score")]
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


def _curves(content: object) -> dict[str, Curve]:
    """The curves of `learning_curves.json`, averaged over executions."""
    found: dict[str, dict[int, list[float]]] = {}
    try:
        executions = parse(content)
    except ValueError:
        return {}
    for execution in executions:
        for name, curve in execution.items():
            for epoch, value in curve:
                if isinstance(value, int | float):
                    points = found.setdefault(name, {})
                    points.setdefault(epoch + 1, []).append(float(value))
    return {
        name: tuple((e, sum(v) / len(v)) for e, v in sorted(points.items()))
        for name, points in found.items()
    }


def _number(*candidates: Any) -> float | None:
    for value in candidates:
        if isinstance(value, int | float):
            return float(value)
    return None
