"""From learning curves to what keras-tuner records of a trial."""

import math
import statistics
import warnings
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import keras
import keras_tuner
from keras_tuner.engine import trial as trial_lib

from keras_evonas.oracles import objectives
from keras_evonas.training.checkpoints import best_epoch_of
from keras_evonas.training.checkpoints import loss_of

Curves = Mapping[str, Sequence[float]]


def warn_if_all_failed(trials: Iterable[trial_lib.Trial]) -> None:
    """Says so if a search has ended without a single network."""
    trials = list(trials)
    statuses = {trial.status for trial in trials}
    if statuses == {trial_lib.TrialStatus.FAILED}:
        message = (trials[-1].message or "no message").strip().splitlines()[-1]
        warnings.warn(
            f"None of {len(trials)} trials has completed, so that there is no "
            f"model to get. The last one failed with: {message}",
            stacklevel=2,
        )


def metrics_of(
    executions: Sequence[Curves], objective: keras_tuner.Objective
) -> tuple[dict[str, float], int]:
    """What keras-tuner 1.4.8 makes of the executions of a trial.

    Args:
        executions: The learning curves of each execution.
        objective: The oracle's objective.

    Returns:
        The metrics of the best epochs, averaged over the executions, and the
        mean of the best epochs as an integer.

    Raises:
        keras_tuner.errors.FatalValueError: If training does not report the
            objective, which ends the search.
    """
    pairs = objectives.lead_of(objective)
    for name, _ in pairs:
        for curves in executions:
            if name not in curves:
                raise keras_tuner.errors.FatalValueError(
                    "`objective` must name a metric that training reports. "
                    f"Received: objective='{name}', and training reported "
                    f"{sorted(curves)}. Name one of these, compile the model "
                    "with the metric, or pass `validation_data` to `search` "
                    "for those that begin with 'val_'."
                )
    epochs = [best_epoch_of(pairs, curves) for curves in executions]
    best = [
        {name: float(values[epoch]) for name, values in curves.items()}
        for epoch, curves in zip(epochs, executions, strict=True)
    ]
    if len(pairs) > 1:
        for logs in best:
            logs[objective.name] = float(objective.get_value(logs))
    metrics = {
        name: statistics.fmean(logs[name] for logs in best) for name in best[0]
    }
    return metrics, int(statistics.mean(epochs))


def spreads_of(
    executions: Sequence[Curves], objective: keras_tuner.Objective
) -> dict[str, float]:
    """The standard deviations of the objectives over folds.

    Args:
        executions: The learning curves of each fold.
        objective: The oracle's objective.

    Returns:
        For each objective that training reports, under its name with `_std`
        appended, the spread of the values at the best epochs.
    """
    pairs = objectives.lead_of(objective)
    epochs = [best_epoch_of(pairs, curves) for curves in executions]
    return {
        f"{part.name}_std": statistics.stdev(
            float(curves[part.name][epoch])
            for epoch, curves in zip(epochs, executions, strict=True)
        )
        for part in objectives.parts_of(objective)
        if part.name in executions[0]
    }


def never_finite(
    executions: Sequence[Curves], objective: keras_tuner.Objective
) -> str | None:
    """Says so if an execution never reached a finite lead objective."""
    pairs = objectives.lead_of(objective)
    for curves in executions:
        if not math.isfinite(best_loss_of(pairs, curves)):
            values = {name: list(curves[name]) for name, _ in pairs}
            return f"The objective was never finite: {values}."
    return None


def best_loss_of(pairs: Sequence[Sequence[str]], curves: Curves) -> float:
    """The loss of the best epoch, or infinity if none is finite."""
    epoch = best_epoch_of(pairs, curves)
    logs = {name: values[epoch] for name, values in curves.items()}
    loss = loss_of(pairs, logs)
    return math.inf if loss is None or math.isnan(loss) else loss


def wants_latency(oracle: keras_tuner.Oracle) -> bool:
    """Whether a search looks at how long its networks take to answer."""
    wanted = [part.name for part in objectives.parts_of(oracle.objective)]
    wanted += [one.name for one in getattr(oracle, "constraints", ())]
    return "latency_ms" in wanted


def check_objective(objective: keras_tuner.Objective) -> None:
    """Checks that there is something to look for in the logs of `fit`.

    Raises:
        ValueError: If there is not.
    """
    if objective.name == "default_objective":
        raise ValueError(
            "`objective` must name a metric that `fit` reports. Received: "
            "objective=None. Pass a name such as 'val_loss' to the oracle."
        )


class TunerHooks(keras.callbacks.Callback):
    """Calls the hooks that a subclass of `keras_tuner.Tuner` overrides.

    Args:
        tuner: The tuner.
        trial: The trial whose model is trained.
    """

    HOOKS = (
        "on_epoch_begin",
        "on_epoch_end",
        "on_batch_begin",
        "on_batch_end",
    )

    def __init__(
        self, tuner: keras_tuner.Tuner, trial: trial_lib.Trial
    ) -> None:
        super().__init__()
        for name in self.HOOKS:
            if getattr(type(tuner), name) is not getattr(
                keras_tuner.Tuner, name
            ):
                setattr(self, name, self._hook(getattr(tuner, name), trial))

    def _hook(self, hook: Any, trial: trial_lib.Trial) -> Any:
        def call(number: int, logs: Any = None) -> None:
            hook(trial, self.model, number, logs)

        return call
