"""A trial, and how it is made of the files that describe it."""

import dataclasses
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from keras_evonas.evolution.space import SearchSpace
from keras_evonas.project import curves as curves_lib
from keras_evonas.project import spaces as space_lib
from keras_evonas.project.files import finite
from keras_evonas.project.objectives import COSTS
from keras_evonas.project.objectives import TRAIN_SECONDS
from keras_evonas.project.objectives import Objective

# The points of a learning curve: the epoch, counted from 1, and the value.
Curve = tuple[tuple[float, float], ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Trial:
    """One network that was tried. Values not recorded are `None` or empty.

    Args:
        trial_id: The trial's name in the folder.
        number: Its place in the order in which trials began, from 0.
        status: keras-tuner's status, such as `"COMPLETED"` or `"FAILED"`.
        values: The active hyperparameters, and how keras-tuner says that the
            trial is to be trained.
        scores: One number an objective, once it has completed.
        metrics: All metrics at the best epoch.
        costs: What the network costs, such as its parameters.
        violation: By how much it breaks the constraints, 0 if it keeps them.
        best_epoch: The epoch of the score, counted from 1.
        epochs: How many epochs one execution ran, those of all its trainings.
        seconds: How long its training took.
        ended: Seconds from the beginning of the search to its end.
        message: Why it failed.
        birth: Its number among births.
        end: Its place in the order in which trials ended, from 0.
        rung: How often the training of its network was gone on with before.
        continues: The trial whose training it goes on with, if any.
        parents: Identifiers of its parents.
        operator: What made it, such as `"block+step"`.
        curves: Metrics by epoch.
        ended_early: Whether its training was stopped as hopeless; its scores
            are the best that it had reached by then.
        trainings: The trials of which a network's training consists, the first
            one first, if it was continued.
    """

    trial_id: str
    number: int
    status: str
    values: Mapping[str, Any]
    scores: tuple[float, ...] | None = None
    metrics: Mapping[str, float] = dataclasses.field(default_factory=dict)
    costs: Mapping[str, float] = dataclasses.field(default_factory=dict)
    violation: float | None = None
    best_epoch: int | None = None
    epochs: int | None = None
    seconds: float | None = None
    ended: float | None = None
    message: str | None = None
    birth: int | None = None
    end: int | None = None
    rung: int = 0
    continues: str | None = None
    parents: tuple[str, ...] = ()
    operator: str | None = None
    curves: Mapping[str, Curve] = dataclasses.field(default_factory=dict)
    ended_early: bool = False
    trainings: tuple[str, ...] = ()

    @property
    def genes(self) -> dict[str, Any]:
        """The active hyperparameters alone."""
        return space_lib.without_training_values(self.values)

    @property
    def completed(self) -> bool:
        """True if it has a score for every objective."""
        return self.status == "COMPLETED" and self.scores is not None

    @property
    def failed(self) -> bool:
        """True if it failed for good."""
        return self.status == "FAILED"

    @property
    def feasible(self) -> bool:
        """True if it keeps the constraints, if there are any."""
        return not self.violation

    @property
    def score(self) -> float | None:
        """The score of the first objective."""
        return None if self.scores is None else self.scores[0]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recorded:
    """A trial's birth and last end in the record, and what follows of them."""

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
    file: Mapping[str, Any],
    curves: object,
    objectives: Sequence[Objective],
    space: SearchSpace | None,
) -> Trial:
    """Puts a trial together; the record has the last word.

    `number` is its place in the order of beginnings, `file` its `trial.json`,
    empty if there is none, and `curves` its `learning_curves.json`.
    """
    born = recorded.birth
    # A birth without an end is running, whatever an older file says.
    state = recorded.end or ({"status": "RUNNING"} if born else file)
    status, best_step = state.get("status") or "RUNNING", state.get("best_step")
    if status != "COMPLETED":
        best_step = None  # keras-tuner gives a failed trial 0.
    metrics, kept = _metrics(file, best_step)
    if recorded.end.get("metrics") and file.get("status") != status:
        metrics = dict(recorded.end["metrics"])  # It was cut before its file.
    found = _curves(curves) or kept
    found.pop(curves_lib.ENDED_EARLY, None)
    early = metrics.pop(curves_lib.ENDED_EARLY, None) is not None
    seconds = _number(metrics.pop(TRAIN_SECONDS, None), recorded.seconds)
    costs = {name: metrics[name] for name in COSTS if name in metrics}
    scores = _scores(state, metrics, objectives)
    rung = born.get("rung") or 0
    saved = (file.get("hyperparameters") or {}).get("values")
    values = state.get("values") or born.get("genome") or saved or {}
    return Trial(
        trial_id=trial_id,
        number=number,
        status=status,
        values=space_lib.active_values(space, values),
        scores=scores if status == "COMPLETED" else None,
        metrics={n: v for n, v in metrics.items() if n not in costs},
        costs=costs,
        violation=_number(state.get("violation")),
        best_epoch=best_step + 1 if isinstance(best_step, int) else None,
        epochs=len(curves_lib.epochs_of(found)) or recorded.end.get("epochs"),
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
        ended_early=early or bool(state.get("ended_early")),
    )


def raw_metrics(file: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    """Returns the metrics of a `trial.json`."""
    return (file.get("metrics") or {}).get("metrics") or {}


def history(metric: Mapping[str, Any]) -> list[tuple[int, float]]:
    """Returns steps and values of a metric; executions are averaged."""
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
    """Returns each metric at the best step, else its last, and its curve."""
    metrics: dict[str, float] = {}
    curves: dict[str, Curve] = {}
    for name, metric in raw_metrics(file).items():
        points = history(metric)
        if points:
            at_best = [value for step, value in points if step == best_step]
            metrics[name] = (at_best or [points[-1][1]])[0]
        if len(points) > 1:
            curves[name] = tuple((step + 1, value) for step, value in points)
    return metrics, curves


def _scores(
    state: Mapping[str, Any],
    metrics: Mapping[str, float],
    objectives: Sequence[Objective],
) -> tuple[float, ...] | None:
    """Returns one finite score an objective, or `None`."""
    losses = state.get("losses")
    scores: list[Any]
    if isinstance(losses, list) and len(losses) == len(objectives):
        pairs = zip(objectives, losses, strict=True)
        scores = [x.loss(loss) if finite([loss]) else None for x, loss in pairs]
    elif len(objectives) == 1:
        scores = [state.get("score")]
    else:
        scores = [metrics.get(objective.name) for objective in objectives]
    return tuple(map(float, scores)) if scores and finite(scores) else None


def _curves(content: object) -> dict[str, Curve]:
    """Returns the curves of a file, averaged over executions."""
    found: dict[str, dict[int, list[float]]] = {}
    try:
        executions = curves_lib.parse(content)
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
    numbers = (float(x) for x in candidates if isinstance(x, int | float))
    return next(numbers, None)
