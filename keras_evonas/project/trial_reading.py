"""Makes a trial out of the files that describe it."""

import dataclasses
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from keras_evonas.evolution.space import SearchSpace
from keras_evonas.project import spaces as space_lib
from keras_evonas.project.curves import parse
from keras_evonas.project.numbers import finite
from keras_evonas.project.objectives import COSTS
from keras_evonas.project.objectives import TRAIN_SECONDS
from keras_evonas.project.objectives import Objective
from keras_evonas.project.trials import Curve
from keras_evonas.project.trials import Trial

# Each cost but the time of training, which is a field of its own.
_COSTS = tuple(name for name in COSTS if name != TRAIN_SECONDS)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recorded:
    """The entries of a record about one trial.

    Args:
        birth: Its birth, empty if there is none.
        end: Its last end, empty if there is none.
        end_number: The place of that end among those of all trials.
        parents: Identifiers of its parents.
        seconds: How long it took, if known.
    """

    birth: Mapping[str, Any]
    end: Mapping[str, Any]
    end_number: int | None
    parents: tuple[str, ...]
    seconds: float | None


def make(
    number: int,
    trial_id: str,
    *,
    recorded: Recorded,
    file: Mapping[str, Any] | None,
    curves: object,
    objectives: Sequence[Objective],
    space: SearchSpace | None,
) -> Trial:
    """Puts a trial together; the record has the last word.

    Args:
        number: Its place in the order of beginnings.
        trial_id: Its identifier.
        recorded: Its entries in the record.
        file: Its `trial.json`, if any.
        curves: Its `learning_curves.json`, if any.
        objectives: What the search optimizes.
        space: The search space, if known.

    Returns:
        The trial.
    """
    born, file = recorded.birth, file or {}
    # A birth without an end is running, whatever an older file says.
    state = recorded.end or ({"status": "RUNNING"} if born else file)
    status = state.get("status") or "RUNNING"
    metrics, kept = _metrics(file, state.get("best_step"))
    found = _curves(curves) or kept
    seconds = _number(metrics.pop(TRAIN_SECONDS, None), recorded.seconds)
    costs = {name: metrics[name] for name in _COSTS if name in metrics}
    scores = _scores(state, metrics | costs, objectives)
    best_step = state.get("best_step")
    rung = born.get("rung") or 0
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
        epochs=len({e for curve in found.values() for e, _ in curve}) or None,
        seconds=seconds,
        ended=_number(state.get("elapsed")),
        message=state.get("message"),
        birth=born.get("birth"),
        end=recorded.end_number,
        rung=rung,
        continues=recorded.parents[0] if rung and recorded.parents else None,
        parents=recorded.parents,
        operator=born.get("operator"),
        curves=found,
    )


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
        metrics[name] = _at(points, best_step)
        if len(points) > 1:
            curves[name] = tuple((step + 1, value) for step, value in points)
    return metrics, curves


def _at(points: list[tuple[int, float]], step: int | None) -> float:
    """Returns the value at a step, the last one if there is none."""
    return next((v for s, v in points if s == step), points[-1][1])


def _scores(
    state: Mapping[str, Any],
    metrics: Mapping[str, float],
    objectives: Sequence[Objective],
) -> tuple[float, ...] | None:
    """One finite score an objective, or `None`."""
    losses = state.get("losses")
    scores: list[Any]
    if isinstance(losses, list) and len(losses) == len(objectives):
        scores = [
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


def _number(*candidates: object) -> float | None:
    for value in candidates:
        if isinstance(value, int | float):
            return float(value)
    return None
