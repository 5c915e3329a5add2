"""keras-tuner's Oracle, mended.

What an oracle of this package needs from keras-tuner 1.4.8 and does not get:
`seed=0` honoured, files that a kill cannot halve, a state file whose cost does
not grow with every trial, failures that are saved before they stop the
search, and best trials that are completed ones. Nothing here knows about
evolution.
"""

import bisect
import itertools
import operator
import pathlib
import threading
from collections.abc import Mapping
from typing import Any

import keras_tuner
from keras_tuner.engine import trial as trial_lib

from keras_evonas.evolution import pareto
from keras_evonas.evolution.randomness import check_seed
from keras_evonas.hyperparameters import SharedHyperParameters
from keras_evonas.oracles import objectives
from keras_evonas.project.files import write_json

Status = trial_lib.TrialStatus
Trial = trial_lib.Trial

# Begins the message of a trial that was not worth or not able to be trained.
# Such trials do not count as failures that could end the search.
INFEASIBLE = "Infeasible: "

# The host's state file is written again when the search has grown by this
# factor, so that its cost for a trial stays the same in a long search.
_SNAPSHOT_GROWTH = 1.25


class MendedOracle(keras_tuner.Oracle):
    """An Oracle to derive from; arguments as for `keras_tuner.Oracle`.

    Subclasses override `populate_space` and, if they keep a record of their
    own, the hooks `_prepare`, `_on_birth`, `_on_run` and `_on_end`.
    """

    def __init__(
        self,
        *,
        objective: Any,
        max_trials: int | None,
        hyperparameters: keras_tuner.HyperParameters | None,
        allow_new_entries: bool,
        tune_new_entries: bool,
        seed: int | None,
        max_retries_per_trial: int,
        max_consecutive_failed_trials: int,
    ) -> None:
        checked_seed = check_seed(seed)
        super().__init__(
            objective=objectives.prepared(objective),
            max_trials=max_trials,
            hyperparameters=hyperparameters,
            allow_new_entries=allow_new_entries,
            tune_new_entries=tune_new_entries,
            # Any seed but 0 keeps the host off Python's global generator; it
            # would replace `seed=0` by a random one.
            seed=1,
            max_retries_per_trial=max_retries_per_trial,
            max_consecutive_failed_trials=max_consecutive_failed_trials,
        )
        self.seed = self._seed_state = checked_seed
        self.hyperparameters = SharedHyperParameters(self.hyperparameters)
        self.objective = objectives.strict(self.objective)
        objectives.check_lead(self.objective)
        self._lock = threading.RLock()
        # Violation; the rung, negative; losses; number of the end; id.
        self._ranking: list[tuple[float, int, tuple[float, ...], int, str]] = []
        # Raised once the host has let go of its lock.
        self._failure: Exception | None = None
        self._births_saved = 0
        self._snapshot_due = 0
        self._snapshot_of: tuple[int, int] | None = None

    # Hooks.

    def _prepare(self) -> None:
        """Called before anything is recorded; the place to raise errors.

        The host leaves its lock held when an exception passes through one of
        its own methods, and every other thread would wait for ever.
        """

    def _on_birth(self, trial: Trial) -> None:
        """Called before a new trial is written."""

    def _on_run(self, trial: Trial) -> None:
        """Called before a tuner runs a trial, for the first time or again."""

    def _on_end(self, trial: Trial) -> None:
        """Called before the end of a trial's run is written."""

    # What keras-tuner calls.

    def create_trial(self, tuner_id: str) -> Trial:
        """Creates a trial; see `keras_tuner.Oracle`."""
        with self._lock:
            self._prepare()
            is_new = tuner_id not in self.ongoing_trials
            is_retry = is_new and bool(self._retry_queue)
            trial = super().create_trial(tuner_id)
            self._raise_failure()
            if is_retry:
                _forget_run(trial)
            if trial.status == Status.RUNNING:
                self._on_run(trial)
            if trial.status == Status.STOPPED:
                self._snapshot()
            self._raise_failure()
            return trial

    def update_trial(
        self, trial_id: str, metrics: Mapping[str, float], step: int = 0
    ) -> Trial:
        """Records metrics of a running trial; see `keras_tuner.Oracle`.

        Raises:
            ValueError: If the trial is not running, or if the objective is
                not among the metrics.
        """
        with self._lock:
            trial = self.trials.get(trial_id)
            if trial is None or trial.status != Status.RUNNING:
                raise _not_running("update_trial", trial_id)
            self._check_objective_found(metrics)
            return super().update_trial(trial_id, metrics, step)

    def end_trial(self, trial: Trial) -> None:
        """Records the end of a trial; see `keras_tuner.Oracle`.

        Raises:
            ValueError: If the trial is not running.
            RuntimeError: If `max_consecutive_failed_trials` have failed, or
                if the trial asked for a new hyperparameter in spite of
                `allow_new_entries=False`.
        """
        with self._lock:
            self._prepare()
            self._check_running(trial.trial_id)
            self.update_space(trial.hyperparameters)
            super().end_trial(trial)
            self._raise_failure()

    def _check_running(self, trial_id: str) -> None:
        ongoing = self.ongoing_trials.values()
        if any(trial.trial_id == trial_id for trial in ongoing):
            return
        if trial_id not in self._retry_queue:
            raise _not_running("end_trial", trial_id)
        # A worker outlived its chief, and has finished what the new chief was
        # about to hand out again.
        self._retry_queue.remove(trial_id)

    def _raise_failure(self) -> None:
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    def score_trial(self, trial: Trial) -> None:
        """Scores a completed trial by its best step.

        That is the step with the best finite value of the objective, of the
        lead one if there are several, at which no other is NaN or infinite. A
        trial without such a step gets the score NaN, which the host then
        treats as a failed run.
        """
        name = self.objective.name
        was_reported = trial.metrics.exists(name)
        history = trial.metrics.get_history(name) if was_reported else []
        sign = objectives.SIGN[self.objective.direction]
        finite = [
            (sign * float(entry.mean()), entry.step)
            for entry in history
            if objectives.losses_at(self.objective, trial.metrics, entry.step)
        ]
        if finite:
            loss, trial.best_step = min(finite)
            trial.score = sign * loss
            return
        trial.score = float("nan")
        values = {
            part.name: objectives.values_of(trial.metrics, part.name)
            for part in objectives.parts_of(self.objective)
        }
        trial.message = (
            f"The objective '{name}' was never finite: {values[name]}."
            if len(values) == 1
            else f"The objectives were never finite at one step: {values}."
        )

    def get_best_trials(self, num_trials: int = 1) -> list[Trial]:
        """Returns the best completed trials.

        With several objectives those of the first front come first, then
        those of the next, each front in the order of the lead objective.
        Trials that violate a constraint come after all others.

        Args:
            num_trials: Integer, how many at most. Defaults to 1.

        Returns:
            List of trials, best first; shorter than `num_trials` if fewer
            have completed. (keras-tuner pads it with failed ones.)
        """
        entries = self._ranking
        if num_trials > 1 and len(objectives.parts_of(self.objective)) > 1:
            # The first of the ranking is on the first front in any case.
            fronts = zip(self._fronts(), entries, strict=True)
            order = sorted(fronts, key=lambda pair: (pair[1][0] > 0, pair[0]))
            entries = [entry for _, entry in order]
        return [self.trials[entry[-1]] for entry in entries[:num_trials]]

    def _fronts(self) -> list[int]:
        """Which front each entry of the ranking is on, higher rungs first."""
        fronts = [0] * len(self._ranking)
        first = 0
        for rung in sorted({entry[1] for entry in self._ranking}):
            there = [i for i, e in enumerate(self._ranking) if e[1] == rung]
            violations, _, losses, *_ = zip(
                *(self._ranking[i] for i in there), strict=True
            )
            ranks = pareto.ranks(losses, violations).tolist()
            for index, rank in zip(there, ranks, strict=True):
                fronts[index] = first + rank
            first += max(ranks) + 1
        return fronts

    def _rank(
        self,
        trial: Trial,
        losses: tuple[float, ...],
        violation: float = 0.0,
        rung: int = 0,
    ) -> bool:
        """Ranks a trial, and tells whether none was as good before."""
        entry = (violation, -rung, losses, len(self.end_order), trial.trial_id)
        is_better = not any(
            other[:2] < entry[:2]
            or (
                other[:2] == entry[:2]
                and all(map(operator.le, other[2], losses))
            )
            for other in self._ranking
        )
        bisect.insort(self._ranking, entry)
        return is_better

    def _unrank(self, trial_id: str) -> None:
        self._ranking = [e for e in self._ranking if e[-1] != trial_id]

    def _check_consecutive_failures(self) -> None:
        # The host raises here, before it has saved the failed trial.
        limit = self.max_consecutive_failed_trials
        feasible = (
            trial
            for trial in map(self.trials.get, reversed(self.end_order))
            if not (trial.message or "").startswith(INFEASIBLE)
        )
        last = list(itertools.islice(feasible, limit))[::-1]
        if len(last) == limit and all(t.status == Status.FAILED for t in last):
            self._failure = RuntimeError(
                f"`max_consecutive_failed_trials`={limit} trials in a row have "
                "failed; the search stops. Every trial is saved, and running "
                "the program again goes on after them. The last one failed "
                f"with:\n{last[-1].message or 'no message'}"
            )

    def _record_values(self, trial: Trial) -> None:
        if not isinstance(trial.hyperparameters, SharedHyperParameters):
            # They came over gRPC or from a file.
            trial.hyperparameters = SharedHyperParameters(trial.hyperparameters)
        super()._record_values(trial)

    # Files.

    def _save_trial(self, trial: Trial) -> None:
        try:
            self._write_trial(trial)
        except OSError as error:
            self._stop_writing(error)

    def _stop_writing(self, error: OSError) -> None:
        """Gives up what is in memory, since the disk does not hold it.

        The host calls this with its lock held, and must not be interrupted by
        an exception. What it has changed by then is read from the disk again
        when somebody asks for a trial.
        """
        self._failure = error

    def _write_trial(self, trial: Trial) -> None:
        if trial.status != Status.RUNNING:
            self._on_end(trial)
        elif len(self.start_order) > self._births_saved:
            self._on_birth(trial)
            self._births_saved = len(self.start_order)
        else:
            # A running trial that is cut begins again, whatever it reported.
            return
        # A subclass's record holds what is worth waiting for the disk.
        path = self._trial_file(trial.trial_id)
        write_json(path, trial.get_state(), durable=False)

    def _trial_file(self, trial_id: str) -> pathlib.Path:
        return pathlib.Path(
            self._project_dir, f"trial_{trial_id}", "trial.json"
        )

    def save(self) -> None:
        """Writes the host's state file, if the search has grown enough."""
        if self._failure is None and len(self.end_order) >= self._snapshot_due:
            try:
                self._snapshot()
            except OSError as error:
                self._stop_writing(error)

    def _snapshot(self) -> None:
        """Writes the host's state file unless it is up to date."""
        ended = len(self.end_order)
        content = (ended, len(self.hyperparameters.space))
        if content != self._snapshot_of:
            write_json(self._get_oracle_fname(), self.get_state())
            self._snapshot_of = content
            self._snapshot_due = max(ended + 16, int(ended * _SNAPSHOT_GROWTH))


def _forget_run(trial: Trial) -> None:
    # The host would average the metrics of the new run with those of the
    # failed one, and leave its message on a trial that has completed.
    trial.metrics = type(trial.metrics)()
    trial.score, trial.best_step, trial.message = None, 0, None


def _not_running(method: str, trial_id: str) -> ValueError:
    return ValueError(
        f"`{method}` takes a trial that is running. Received: trial "
        f"'{trial_id}'. Ask for one with `create_trial`, and end it once."
    )
