"""From the outcomes of executions to what keras-tuner records of a trial.

Networks that train in cohorts and those that train alone are reported here.
"""

import math
import statistics
import warnings
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Sequence

import keras_tuner
from keras_tuner.engine import trial as trial_lib

from keras_evonas.oracles import objectives
from keras_evonas.oracles.host import INFEASIBLE
from keras_evonas.project import wording
from keras_evonas.project.curves import Curves
from keras_evonas.project.curves import write_curves
from keras_evonas.training import Notices
from keras_evonas.training import Outcome
from keras_evonas.training.curves import best_of
from keras_evonas.training.curves import why_unscored
from keras_evonas.tuners.hooks import CheckedHook
from keras_evonas.tuners.progress import Progress
from keras_evonas.tuners.recipe import pairs_of
from keras_evonas.tuners.trial_files import TrialFiles

Status = trial_lib.TrialStatus


class Reporter:
    """Reports what trials gave: to the oracle, the disk and the user.

    Args:
        oracle: The oracle, or keras-tuner's client of one.
        files: The checkpoints of the project folder.
        progress: Prints a line for each trial.
        hook: The user's `on_trial_end`.
        end_trial: The tuner's `on_trial_end`, which ends a trial.
    """

    def __init__(
        self,
        oracle: keras_tuner.Oracle,
        files: TrialFiles,
        *,
        progress: Progress,
        hook: CheckedHook,
        end_trial: Callable[[trial_lib.Trial], None],
    ) -> None:
        self._oracle = oracle
        self._files = files
        self._progress = progress
        self._hook = hook
        self._end_trial = end_trial
        self._notices = Notices()

    def report(
        self,
        trials: Sequence[trial_lib.Trial],
        outcomes: Sequence[Outcome],
    ) -> None:
        """Reports all trials of a cohort.

        Args:
            trials: The trials.
            outcomes: All their outcomes.

        Raises:
            RuntimeError: If too many trials have failed.
            Exception: What the user's hook raised first.
        """
        self._notices.give(outcomes)
        stop: RuntimeError | None = None
        for trial in trials:
            own = [o for o in outcomes if o.trial_id == trial.trial_id]
            try:
                self._report(trial, own)
            except RuntimeError as error:
                # Too many failures; but the others have been trained too.
                stop = stop or error
            self._show(trial, own)
        self._files.prune(self._oracle)
        if stop is not None:
            raise stop
        self._hook.raise_error()

    def _report(
        self, trial: trial_lib.Trial, outcomes: Sequence[Outcome]
    ) -> None:
        asked_for = outcomes[0].hyperparameters
        if asked_for is not None:
            trial.hyperparameters = asked_for
        bad = next((o for o in outcomes if o.status != "completed"), None)
        message = None if bad is None else bad.message
        if bad is None:
            message = self._report_metrics(trial, outcomes)
        if message is None:
            trial.status = Status.COMPLETED
        else:
            is_infeasible = bad is not None and bad.status == "infeasible"
            trial.status = Status.FAILED if is_infeasible else Status.INVALID
            trial.message = INFEASIBLE * is_infeasible + message
        self._files.discard(trial.trial_id, [o.number for o in outcomes])
        self._end_trial(trial)

    def _report_metrics(
        self, trial: trial_lib.Trial, outcomes: Sequence[Outcome]
    ) -> str | None:
        """Reports metrics, or returns why there are none."""
        if not any(o.curves or o.metrics for o in outcomes):
            return None  # The tuner's own `run_trial` has reported them.
        curves = [o.curves for o in outcomes if o.curves]
        if curves:
            write_curves(self._files.folder_of(trial.trial_id), curves)
        objective = self._oracle.objective
        message = never_finite(curves, objective)
        if message is not None:
            return message
        metrics, step = metrics_of(outcomes, objective)
        if any(o.fold is not None for o in outcomes):
            metrics |= spreads_of(curves, objective)
        metrics["train_seconds"] = sum(o.seconds for o in outcomes)
        for name, cost in outcomes[0].results.items():
            if not trial.metrics.exists(name):
                metrics[name] = cost
        self._keep_best(trial, outcomes)
        self._oracle.update_trial(trial.trial_id, metrics, step=step)
        return None

    def _keep_best(
        self, trial: trial_lib.Trial, outcomes: Sequence[Outcome]
    ) -> None:
        """Keeps the weights of the best execution as those of the trial."""
        pairs = pairs_of(self._oracle.objective)
        written = [o for o in outcomes if o.has_checkpoint]
        if written:
            best = min(written, key=lambda o: (_best_loss(pairs, o), o.number))
            self._files.keep(trial.trial_id, best.number, best.build_config)

    def _show(
        self, trial: trial_lib.Trial, outcomes: Sequence[Outcome]
    ) -> None:
        trial = self._oracle.get_trial(trial.trial_id)
        if trial.status == Status.INVALID:
            return  # It is to be tried again.
        message = None
        if trial.status != Status.COMPLETED:
            message = trial.message or "no message"
        self._progress.ended(
            trial.score if message is None else None,
            params=outcomes[0].params,
            seconds=sum(outcome.seconds for outcome in outcomes),
            message=message,
        )
        self._hook(trial)


def warn_if_all_failed(trials: Iterable[trial_lib.Trial]) -> None:
    """Warns if a search has ended without a single network."""
    trials = list(trials)
    statuses = {trial.status for trial in trials}
    if statuses == {trial_lib.TrialStatus.FAILED}:
        message = wording.gist(trials[-1].message)
        warnings.warn(
            f"None of {len(trials)} trials has completed, so that there is no "
            f"model to get. The last one failed with: {message}",
            stacklevel=2,
        )


def metrics_of(
    outcomes: Sequence[Outcome], objective: keras_tuner.Objective
) -> tuple[dict[str, float], int]:
    """Computes what keras-tuner 1.4.8 makes of the executions of a trial.

    Args:
        outcomes: The outcomes of the executions.
        objective: The oracle's objective.

    Returns:
        The metrics of the best epochs, averaged over the executions, and the
        mean of the best epochs as an integer.

    Raises:
        keras_tuner.errors.FatalValueError: If training does not report the
            objective, which ends the search.
    """
    pairs = pairs_of(objective)
    logs: list[dict[str, float]] = []
    epochs: list[int] = []
    for outcome in outcomes:
        epoch = 0
        best = dict(outcome.metrics)
        found = best_of(pairs, outcome.curves)
        if found is not None:
            epoch, best = found.epoch, dict(found.logs)
            if len(pairs) > 1:
                best[objective.name] = float(objective.get_value(best))
        logs.append(best)
        epochs.append(epoch)
    metrics = {
        name: statistics.fmean(one[name] for one in logs)
        for name in logs[0]
        if all(name in one for one in logs)
    }
    return metrics, int(statistics.mean(epochs))


def spreads_of(
    executions: Sequence[Curves], objective: keras_tuner.Objective
) -> dict[str, float]:
    """Computes the standard deviations of the objectives over folds.

    Args:
        executions: The learning curves of each fold.
        objective: The oracle's objective.

    Returns:
        For each objective that training reports, under its name with `_std`
        appended, the spread of the values at the best epochs.
    """
    pairs = pairs_of(objective)
    found = [best_of(pairs, curves) for curves in executions]
    best = [one.logs for one in found if one is not None]
    return {
        f"{part.name}_std": statistics.stdev(logs[part.name] for logs in best)
        for part in objectives.parts_of(objective)
        if all(part.name in logs for logs in best)
    }


def never_finite(
    executions: Sequence[Curves], objective: keras_tuner.Objective
) -> str | None:
    """Returns a message if an execution has no finite lead objective.

    Raises:
        keras_tuner.errors.FatalValueError: If training does not report the
            objective, which ends the search.
    """
    pairs = pairs_of(objective)
    for curves in executions:
        objectives.check_reported([name for name, _ in pairs], curves)
        if best_of(pairs, curves) is None:
            return why_unscored(pairs, curves)
    return None


def _best_loss(pairs: Sequence[tuple[str, str]], outcome: Outcome) -> float:
    best = best_of(pairs, outcome.curves)
    return math.inf if best is None else best.loss


def wants_latency(oracle: keras_tuner.Oracle) -> bool:
    """Returns whether a search looks at how fast its networks predict."""
    wanted = [part.name for part in objectives.parts_of(oracle.objective)]
    wanted += [one.name for one in getattr(oracle, "constraints", ())]
    return "latency_ms" in wanted


def check_objective(objective: keras_tuner.Objective) -> None:
    """Checks that the objective names a log of `fit`.

    Raises:
        ValueError: If it does not.
    """
    if objective.name == "default_objective":
        raise ValueError(
            "`objective` must name a metric that `fit` reports. Received: "
            "objective=None. Pass a name such as 'val_loss' to the oracle."
        )
