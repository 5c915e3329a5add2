"""From the outcomes of executions to what keras-tuner records of a trial.

Networks that train in cohorts and those that train alone are reported here.
"""

import dataclasses
import math
import statistics
import warnings
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence

import keras_tuner
from keras_tuner.engine import trial as trial_lib

from keras_evonas.oracles import fidelity
from keras_evonas.oracles import objectives
from keras_evonas.oracles.fidelity import CONTINUES
from keras_evonas.oracles.fidelity import EPOCHS
from keras_evonas.oracles.fidelity import MESSAGE
from keras_evonas.oracles.host import INFEASIBLE
from keras_evonas.project import conditions
from keras_evonas.project import wording
from keras_evonas.project.curves import ENDED_EARLY
from keras_evonas.project.curves import ended_early
from keras_evonas.project.curves import write_curves
from keras_evonas.training import Notices
from keras_evonas.training import Outcome
from keras_evonas.training.curves import Best
from keras_evonas.training.curves import best_of
from keras_evonas.training.curves import why_unscored
from keras_evonas.tuners.hooks import TrialHook
from keras_evonas.tuners.progress import Progress
from keras_evonas.tuners.trial_files import TrialFiles
from keras_evonas.tuners.trial_files import completed

Status = trial_lib.TrialStatus


@dataclasses.dataclass(kw_only=True, eq=False)
class Reporter:
    """Reports what trials gave: to the oracle, the disk and the user.

    Args:
        oracle: The oracle, or keras-tuner's client of one.
        files: The checkpoints of the project folder.
        progress: Prints a line for each trial.
        hook: The user's `on_trial_end`.
        end_trial: The tuner's `on_trial_end`, which ends a trial.
        training: What is kept in the project folder of how networks train.
        sends_messages: Whether this is a worker, whose chief gets the message
            of a trial among its values.
    """

    oracle: keras_tuner.Oracle
    files: TrialFiles
    progress: Progress
    hook: TrialHook | None
    end_trial: Callable[[trial_lib.Trial], None]
    training: Mapping[str, object]
    sends_messages: bool = False

    def __post_init__(self) -> None:
        self._notices = Notices()
        self._error: Exception | None = None

    def report(
        self, trials: Sequence[trial_lib.Trial], outcomes: Sequence[Outcome]
    ) -> None:
        """Reports all trials of a cohort, whatever one of them raises.

        Raises:
            RuntimeError: If too many trials have failed.
            Exception: What the user's hook raised first.
        """
        self._notices.give(outcomes)
        ended = len(getattr(self.oracle, "end_order", ()))
        conditions.keep(self.files.folder, self.training, ended)
        stop: RuntimeError | None = None
        for trial in trials:
            own = [o for o in outcomes if o.trial_id == trial.trial_id]
            try:
                self._report(trial, own)
            except RuntimeError as error:
                # Too many failures; but the others have been trained too.
                stop = stop or error
            self._show(trial, own)
        self.files.prune(self.oracle)
        if stop is not None:
            raise stop
        if self._error is not None:
            raise self._error

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
            if self.sends_messages:
                trial.hyperparameters.values[MESSAGE] = trial.message
        self.files.discard(trial.trial_id, [o.number for o in outcomes])
        self.end_trial(trial)
        continued = trial.hyperparameters.values.get(CONTINUES)
        if continued and trial.status == Status.COMPLETED:
            self.files.discard_states(continued)

    def _report_metrics(
        self, trial: trial_lib.Trial, outcomes: Sequence[Outcome]
    ) -> str | None:
        """Reports what keras-tuner 1.4.8 makes of the executions of a trial.

        Those are the metrics of their best epochs, averaged.

        Returns:
            Why there are no metrics, or `None`.
        """
        objective = self.oracle.objective
        curves = [o.curves for o in outcomes if o.curves]
        if curves:
            write_curves(self.files.folder_of(trial.trial_id), curves)
            fidelity.check_trained(trial.hyperparameters.values, curves)
        elif not any(o.metrics for o in outcomes):
            known = self.oracle.get_trial(trial.trial_id).metrics
            if known.exists(objective.name):
                return None  # The tuner's own `run_trial` has reported them.
            return why_unscored(objectives.lead_of(objective), {})
        bests: list[Best] = []
        for outcome in outcomes:
            best = _best_of(outcome, objective)
            if best is None:
                lead = objectives.lead_of(objective)
                return why_unscored(lead, outcome.curves)
            bests.append(best)
        metrics = _averaged(outcomes, bests, objective)
        for name, cost in outcomes[0].results.items():
            if not trial.metrics.exists(name):
                metrics[name] = cost
        written = [
            (best.loss, outcome.number, outcome)
            for best, outcome in zip(bests, outcomes, strict=True)
            if outcome.has_checkpoint
        ]
        if written:
            _, number, kept = min(written, key=lambda one: one[:2])
            self.files.keep(trial.trial_id, number, kept.build_config)
        step = int(statistics.mean(one.epoch for one in bests))
        self.oracle.update_trial(trial.trial_id, metrics, step=step)
        return None

    def _show(
        self, trial: trial_lib.Trial, outcomes: Sequence[Outcome]
    ) -> None:
        trial = self.oracle.get_trial(trial.trial_id)
        if trial.status == Status.INVALID:
            return  # It is to be tried again.
        message = None
        if trial.status != Status.COMPLETED:
            own = next((o.message for o in outcomes if o.message), None)
            message = trial.message or own or "no message"
        best = completed(self.oracle.get_best_trials(1))
        self.progress.ended(
            trial.score if message is None else None,
            epochs=trial.hyperparameters.values.get(EPOCHS),
            best=best[0].score if best else None,
            params=outcomes[0].params,
            seconds=sum(outcome.seconds for outcome in outcomes),
            message=message,
            others=_others(trial, self.oracle.objective),
        )
        try:
            if self.hook is not None:
                self.hook(trial)
        except Exception as error:
            # It waits until everything is recorded.
            self._error = self._error or error


def _averaged(
    outcomes: Sequence[Outcome],
    bests: Sequence[Best],
    objective: keras_tuner.Objective,
) -> dict[str, float]:
    """Returns the metrics of a trial from the best epochs of its executions."""
    logs = [one.logs for one in bests]
    metrics = {
        name: statistics.fmean(one[name] for one in logs)
        for name in logs[0]
        if all(name in one for one in logs)
    }
    if any(o.fold is not None for o in outcomes):
        for part in objectives.parts_of(objective):
            if part.name in metrics:
                spread = statistics.stdev(one[part.name] for one in logs)
                metrics[f"{part.name}_std"] = spread
    metrics.pop(ENDED_EARLY, None)
    if any(ended_early(o.curves) for o in outcomes):
        metrics[ENDED_EARLY] = 1.0
    metrics["train_seconds"] = sum(o.seconds for o in outcomes)
    return metrics


def _others(
    trial: trial_lib.Trial, objective: keras_tuner.Objective
) -> dict[str, float]:
    """Returns the other objectives of a trial, but for what a line has anyway.

    keras-tuner's own list of objectives is one sum.
    """
    if not isinstance(objective, objectives.SeveralObjectives):
        return {}
    names = [part.name for part in objective.objectives[1:]]
    return {
        name: trial.metrics.get_best_value(name)
        for name in names
        if name != "params" and trial.metrics.exists(name)
    }


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


def _best_of(outcome: Outcome, objective: keras_tuner.Objective) -> Best | None:
    """Returns the best epoch of an execution, `None` if none has a finite loss.

    An objective that training does not report ends the search.
    """
    if outcome.metrics or not outcome.curves:
        return Best(0, math.inf, outcome.metrics)
    lead = objectives.lead_of(objective)
    objectives.check_reported([name for name, _ in lead], outcome.curves)
    best = best_of(lead, outcome.curves)
    if best is not None and len(lead) > 1:
        total = float(objective.get_value(best.logs))
        logs = {**best.logs, objective.name: total}
        best = dataclasses.replace(best, logs=logs)
    return best


def wants_latency(oracle: keras_tuner.Oracle) -> bool:
    """Returns whether a search looks at how fast its networks predict."""
    wanted = [part.name for part in objectives.parts_of(oracle.objective)]
    wanted += [one.name for one in getattr(oracle, "constraints", ())]
    return "latency_ms" in wanted
