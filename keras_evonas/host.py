"""keras-tuner's Oracle, mended.

What an oracle of this package needs from keras-tuner 1.4.8 and does not get:
`seed=0` honoured, files that a kill cannot halve, a state file whose cost does
not grow with every trial, failures that are saved before they stop the
search, and best trials that are completed ones. Nothing here knows about
evolution.
"""

import bisect
import itertools
import json
import math
import os
import threading
from collections.abc import Mapping
from typing import Any

import keras_tuner
from keras_tuner.engine import trial as trial_lib

from keras_evonas import objectives
from keras_evonas import project
from keras_evonas.evolution.randomness import check_seed
from keras_evonas.hyperparameters import SharedHyperParameters

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
    own, the hooks `_prepare`, `_on_birth` and `_on_end`.
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
            objective=objective,
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
        self._lock = threading.RLock()
        self._ranking: list[tuple[tuple[float, ...], int, str]] = []
        self._failure: str | None = None
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

    def _on_end(self, trial: Trial) -> None:
        """Called before the end of a trial's run is written."""

    # What keras-tuner calls.

    def create_trial(self, tuner_id: str) -> Trial:
        """Creates a trial; see `keras_tuner.Oracle`."""
        with self._lock:
            self._prepare()
            is_new = tuner_id not in self.ongoing_trials
            retried = self._retry_queue[-1:] if is_new else []
            trial = super().create_trial(tuner_id)
            if retried:
                # The host would average the new run with the failed one.
                trial.metrics = type(trial.metrics)()
            if trial.status == Status.STOPPED:
                self._snapshot()
            return trial

    def update_trial(
        self, trial_id: str, metrics: Mapping[str, float], step: int = 0
    ) -> Trial:
        """Records metrics of a running trial; see `keras_tuner.Oracle`."""
        with self._lock:
            return super().update_trial(trial_id, metrics, step)

    def end_trial(self, trial: Trial) -> None:
        """Records the end of a trial; see `keras_tuner.Oracle`.

        Raises:
            RuntimeError: If `max_consecutive_failed_trials` have failed.
        """
        with self._lock:
            self._prepare()
            super().end_trial(trial)
            failure, self._failure = self._failure, None
            if failure is not None:
                raise RuntimeError(failure)

    def score_trial(self, trial: Trial) -> None:
        """Scores a completed trial by its best finite value.

        A trial without one gets the score NaN, which the host then treats as
        a failed run.
        """
        sign = objectives.SIGN[self.objective.direction]
        history = trial.metrics.get_history(self.objective.name)
        finite = [
            (sign * float(entry.mean()), entry.step)
            for entry in history
            if math.isfinite(entry.mean())
        ]
        if finite:
            loss, trial.best_step = min(finite)
            trial.score = sign * loss
            return
        trial.score = float("nan")
        trial.message = (
            f"The objective '{self.objective.name}' was never finite: "
            f"{[float(entry.mean()) for entry in history]}."
        )

    def get_best_trials(self, num_trials: int = 1) -> list[Trial]:
        """Returns the best completed trials.

        Args:
            num_trials: Integer, how many at most. Defaults to 1.

        Returns:
            List of trials, best first; shorter than `num_trials` if fewer
            have completed. (keras-tuner pads it with failed ones.)
        """
        return [self.trials[entry[-1]] for entry in self._ranking[:num_trials]]

    def _rank(self, trial: Trial, losses: tuple[float, ...]) -> None:
        entry = (losses, len(self.end_order), trial.trial_id)
        bisect.insort(self._ranking, entry)

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
            self._failure = (
                f"`max_consecutive_failed_trials`={limit} trials in a row have "
                "failed; the search stops. Every trial is saved, and running "
                "the program again goes on after them. The last one failed "
                f"with:\n{last[-1].message or 'no message'}"
            )

    def _record_values(self, trial: Trial) -> None:
        # The host fills a missing active value with an unseeded sample.
        hp = trial.hyperparameters
        for entry in hp.space:
            if hp.is_active(entry) and entry.name not in hp.values:
                hp.values[entry.name] = entry.default
        super()._record_values(trial)

    # Files.

    def _save_trial(self, trial: Trial) -> None:
        if trial.status != Status.RUNNING:
            self._on_end(trial)
        elif len(self.start_order) > self._births_saved:
            self._on_birth(trial)
            self._births_saved = len(self.start_order)
        project.write_json(self._trial_file(trial.trial_id), trial.get_state())

    def _trial_file(self, trial_id: str) -> str:
        return os.path.join(self._get_trial_dir(trial_id), "trial.json")

    def _load_trial(self, trial_id: str) -> Trial | None:
        # `Trial.load` draws from Python's global generator.
        path = self._trial_file(trial_id)
        if not os.path.exists(path):
            return None
        with open(path, encoding="utf-8") as file:
            state = json.load(file)
        trial = Trial(hyperparameters=None, trial_id=trial_id)
        trial.set_state(state)
        return trial

    def save(self) -> None:
        """Writes the host's state file, if the search has grown enough."""
        if len(self.end_order) >= self._snapshot_due:
            self._snapshot()

    def _snapshot(self) -> None:
        """Writes the host's state file unless it is up to date."""
        ended = len(self.end_order)
        content = (ended, len(self.hyperparameters.space))
        if content != self._snapshot_of:
            project.write_json(self._get_oracle_fname(), self.get_state())
            self._snapshot_of = content
            self._snapshot_due = max(ended + 16, int(ended * _SNAPSHOT_GROWTH))
