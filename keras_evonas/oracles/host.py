"""keras-tuner's Oracle, mended.

keras-tuner 1.4.8 lacks: `seed=0`, files that a kill cannot halve, a state file
whose cost does not grow with every trial, failures that are saved before they
stop the search and that name their trial, and trials that can be taken back.
"""

import datetime
import itertools
import numbers
import os
import threading
from collections.abc import Mapping
from collections.abc import Sequence
from typing import TYPE_CHECKING
from typing import TypeAlias
from typing import TypedDict

import keras_tuner
from keras_tuner.engine import trial as trial_lib

from keras_evonas import devices
from keras_evonas.evolution.randomness import check_seed
from keras_evonas.hyperparameters import SharedHyperParameters
from keras_evonas.oracles import objectives
from keras_evonas.project import files
from keras_evonas.project.record import End

if TYPE_CHECKING:
    from typing_extensions import Unpack

Status: TypeAlias = trial_lib.TrialStatus
Trial: TypeAlias = trial_lib.Trial

# Begins the message of a trial that was not worth or not able to be trained.
# Such trials do not count as failures that could end the search.
INFEASIBLE = "Infeasible: "

# The host's state file is written again when the search has grown by this
# factor, so that its cost for a trial stays the same in a long search.
_SNAPSHOT_GROWTH = 1.25


class BookkeepingError(RuntimeError):
    """The oracle could not score or record a trial, which it names."""


class HostArguments(TypedDict):
    """Arguments of `keras_tuner.Oracle`."""

    objective: objectives.Goal
    max_trials: int | None
    hyperparameters: keras_tuner.HyperParameters | None
    allow_new_entries: bool
    tune_new_entries: bool
    seed: int | None
    max_retries_per_trial: int
    max_consecutive_failed_trials: int


class MendedOracle(keras_tuner.Oracle):
    """An Oracle to derive from; arguments as for `keras_tuner.Oracle`.

    Subclasses override `populate_space`, and the hooks `_on_birth` and
    `_on_end` to keep a record of their own. The host leaves its lock held when
    an exception passes through one of its own methods, and every other thread
    would wait for ever: what may fail belongs before `super().create_trial`
    and `super().end_trial`.
    """

    hyperparameters: SharedHyperParameters
    objective: keras_tuner.Objective
    trials: dict[str, Trial]
    ongoing_trials: dict[str, Trial]
    start_order: list[str]
    end_order: list[str]
    tuner_ids: set[str]
    _retry_queue: list[str]

    def __init__(self, **host_arguments: "Unpack[HostArguments]") -> None:
        seed = check_seed(host_arguments["seed"])
        host_arguments["objective"] = objectives.prepared(
            host_arguments["objective"]
        )
        # Any seed but 0 keeps the host off Python's global generator; it would
        # replace `seed=0` by a random one.
        host_arguments["seed"] = 1
        super().__init__(**host_arguments)
        self.seed = self._seed_state = seed
        self.hyperparameters = SharedHyperParameters(self.hyperparameters)
        self.objective = objectives.strict(self.objective)
        objectives.check_lead(self.objective)
        self._lock = threading.RLock()
        self._watch = devices.Watch()
        # Raised once the host has let go of its lock.
        self._failure: Exception | None = None
        # What ended the search of a chief, which raises it when all workers
        # have been told to stop.
        self.ended_by: Exception | None = None
        self._births_saved = 0
        self._snapshot_due = 0
        self._snapshot_of: tuple[int, int] | None = None

    # Hooks.

    def _on_birth(self, trial: Trial) -> None:
        """Called before a new trial is written."""

    def _on_end(self, trial: Trial) -> None:
        """Called before the end of a trial's run is written."""

    # What keras-tuner calls.

    def create_trial(self, tuner_id: str) -> Trial:
        """Creates a trial; see `keras_tuner.Oracle`."""
        with self._lock:
            self._watch.look()
            is_new = tuner_id not in self.ongoing_trials
            is_retry = is_new and bool(self._retry_queue)
            trial = super().create_trial(tuner_id)
            self._raise_failure()
            if is_retry:
                _forget_run(trial)
            if trial.status == Status.STOPPED:
                if self.ended_by is None:  # The disk may be full.
                    self._snapshot()
                self._watch = devices.Watch()
            return trial

    def update_trial(
        self, trial_id: str, metrics: Mapping[str, float], step: int = 0
    ) -> Trial:
        """Records metrics of a running trial; see `keras_tuner.Oracle`.

        Raises:
            ValueError: If the trial is not running, if the objective is not
                among the metrics, or if one of them is no number.
        """
        with self._lock:
            trial = self.trials.get(trial_id)
            if trial is None or trial.status != Status.RUNNING:
                raise _not_running("update_trial", trial_id)
            self._check_objective_found(metrics)
            found = objectives.numbers_in(metrics, trial_id)
            objectives.register(self.objective, trial.metrics, found)
            return super().update_trial(trial_id, found, step)

    def end_trial(self, trial: Trial) -> None:
        """Records the end of a trial; see `keras_tuner.Oracle`.

        Raises:
            ValueError: If the trial is not running.
            RuntimeError: If `max_consecutive_failed_trials` have failed, if
                the trial asked for a new hyperparameter in spite of
                `allow_new_entries=False`, or if it cannot be scored or
                recorded.
            WriteError: If the disk is full or broken.
        """
        with self._lock:
            if self.holder_of(trial.trial_id) is None:
                raise _not_running("end_trial", trial.trial_id)
            self.update_space(trial.hyperparameters)
            self._try_to_score(trial)
            super().end_trial(trial)
            self._raise_failure()

    def _try_to_score(self, trial: Trial) -> None:
        """Finds a user's errors in scoring before the host has its lock."""
        is_ours = type(self).score_trial is MendedOracle.score_trial
        if trial.status != Status.COMPLETED or is_ours:
            return
        known = self.trials[trial.trial_id]
        known.status, known.message = trial.status, trial.message
        known.hyperparameters = trial.hyperparameters
        try:
            self.score_trial(known)
            if not isinstance(known.score, numbers.Real):
                raise TypeError(f"the score {known.score!r} is no number")
        except Exception as error:
            what = f"Trial '{known.trial_id}' was not scored by `score_trial`"
            self._give_up(what, error)
            self._raise_failure()

    def _raise_failure(self) -> None:
        failure, self._failure = self._failure, None
        if failure is None:
            return
        if not is_chief():
            raise failure
        # A worker that it was raised in would not ask again, and the chief
        # would wait for that. What waits is handed out by the next chief.
        self.ended_by = self.ended_by or failure
        self._retry_queue.clear()

    def score_trial(self, trial: Trial) -> None:
        """Scores a completed trial by its best step.

        That is the step with the best finite value of the objective, of the
        lead one if there are several, at which no other is NaN or infinite. A
        trial without such a step gets the score NaN, which the host then
        treats as a failed run.
        """
        name = self.objective.name
        history = objectives.history_of(trial.metrics, name)
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
        values = {}
        for part in objectives.parts_of(self.objective):
            found = objectives.history_of(trial.metrics, part.name)
            values[part.name] = [float(entry.mean()) for entry in found]
        trial.message = (
            f"The objective '{name}' was never finite: {values[name]}."
            if len(values) == 1
            else f"The objectives were never finite at one step: {values}."
        )

    def _check_consecutive_failures(self) -> None:
        # The host raises here, before it has saved the failed trial.
        limit = self.max_consecutive_failed_trials
        ended = (self.trials[x] for x in reversed(self.end_order))
        feasible = (
            trial
            for trial in ended
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

    # Trials that are handed out, taken back and restored.

    def holder_of(self, trial_id: str) -> str | None:
        """Returns the tuner that runs a trial, if any."""
        ongoing = self.ongoing_trials.items()
        return next((x for x, one in ongoing if one.trial_id == trial_id), None)

    def hold(self, trial_id: str, tuner_id: str) -> None:
        """Notes that a tuner runs a trial which waits to be handed out."""
        self._retry_queue.remove(trial_id)
        self.trials[trial_id].status = Status.RUNNING
        self.ongoing_trials[tuner_id] = self.trials[trial_id]
        # The display of this process has not seen it begin.
        display, now = self._display, datetime.datetime.now()
        display.search_start = display.search_start or now
        display.trial_start.setdefault(trial_id, now)
        number = 1 + self.start_order.index(trial_id)
        display.trial_number.setdefault(trial_id, number)

    def waits(self, trial_id: str) -> bool:
        """Returns whether a trial waits to be handed out again."""
        return trial_id in self._retry_queue

    def take_back(self, trial_id: str) -> str | None:
        """Takes a trial from its tuner, if one runs it, and returns the tuner.

        It is to be handed out again.
        """
        holder = self.holder_of(trial_id)
        if holder is not None:
            del self.ongoing_trials[holder]
            self.tuner_ids.discard(holder)
            self._retry_queue.append(trial_id)
        return holder

    def _forget_trials(self) -> None:
        """Forgets all trials, before they are restored."""
        self.trials, self.ongoing_trials = {}, {}
        self.start_order, self.end_order = [], []
        self._run_times.clear()
        self._tried_so_far.clear()
        self._id_to_hash.clear()

    def _restore_end(self, end: End) -> None:
        """Restores the end of a trial's run."""
        trial = self.trials[end.trial_id]
        trial.status, trial.score = end.status, end.score
        trial.best_step, trial.message = end.best_step, end.message
        trial.hyperparameters.values = dict(end.values)
        self._run_times[end.trial_id] += 1
        if end.status != Status.INVALID:
            self.end_order.append(end.trial_id)

    def _queue(self, unfinished: Sequence[str]) -> None:
        """Lets unfinished trials be handed out first, in their order."""
        self._births_saved = len(self.start_order)
        # The host takes them from the end.
        self._retry_queue = list(unfinished)[::-1]
        for trial in self.trials.values():
            self._record_values(trial)

    # Files.

    # The host calls these with its lock held, and must not be interrupted by
    # an exception. What it has changed by then is read from the disk again
    # when a tuner asks for the next trial.

    def _save_trial(self, trial: Trial) -> None:
        event = "birth" if trial.status == Status.RUNNING else "end"
        try:
            self._write_trial(trial)
        except Exception as error:
            what = f"The {event} of trial '{trial.trial_id}' was not saved"
            self._give_up(what, error)

    def save(self) -> None:
        """Writes the host's state file, if the search has grown enough."""
        if self._failure is None and len(self.end_order) >= self._snapshot_due:
            try:
                self._snapshot()
            except Exception as error:
                self._give_up("The state of the search was not saved", error)

    def _give_up(self, what: str, error: Exception) -> None:
        """Gives up what is in memory, since the disk does not hold it."""
        self._failure = _failure_of(what, error)

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
        folder = files.trial_folder(self._project_dir, trial.trial_id)
        path = folder / files.TRIAL_NAME
        files.write_json(path, trial.get_state(), durable=False)

    def _snapshot(self) -> None:
        """Writes the host's state file unless it is up to date."""
        ended = len(self.end_order)
        content = (ended, len(self.hyperparameters.space))
        if content != self._snapshot_of:
            files.write_json(self._get_oracle_fname(), self.get_state())
            self._snapshot_of = content
            self._snapshot_due = max(ended + 16, int(ended * _SNAPSHOT_GROWTH))


def is_chief() -> bool:
    """Returns whether this process is the chief of a distributed search."""
    return "KERASTUNER_ORACLE_IP" in os.environ and "chief" in os.environ.get(
        "KERASTUNER_TUNER_ID", ""
    )


def _forget_run(trial: Trial) -> None:
    # The host would average the metrics of the new run with those of the
    # failed one, and leave its message on a trial that has completed.
    trial.metrics = type(trial.metrics)()
    trial.score, trial.best_step, trial.message = None, 0, None


def _failure_of(what: str, error: Exception) -> Exception:
    """Returns the error about bookkeeping that failed, which says of what."""
    if isinstance(error, OSError):
        reason = f"{what}: {error.strerror or error}"
        return files.WriteError(error.errno, reason, error.filename)
    if isinstance(error, keras_tuner.errors.FatalError | BookkeepingError):
        return error
    return BookkeepingError(
        f"{what}: {error!r}. The search stops; every trial that had ended is "
        "safe. Mend the cause, and run the program again: the trial begins "
        "again, unless the record has its end."
    )


def _not_running(method: str, trial_id: str) -> ValueError:
    return ValueError(
        f"`{method}` takes a trial that is running. Received: trial "
        f"'{trial_id}'. Ask for one with `create_trial`, and end it once."
    )
