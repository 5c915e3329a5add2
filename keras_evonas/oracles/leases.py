"""Trials that are lent to workers, and handed out again if one dies.

keras-tuner 1.4.8 waits for ever for a worker that was killed. Under its chief
a worker of `EvoTuner` gives signs of life: reports without metrics. The first
one begins a lease; when no other comes for `lease_seconds()`, the trial goes
to whoever asks next. Workers that give no signs keep their trials, as before.
"""

import math
import os
import re
import threading
import time
import weakref
from collections.abc import Mapping
from typing import Any

from keras_evonas.oracles.folder import FolderOracle
from keras_evonas.oracles.host import Status
from keras_evonas.oracles.host import Trial

_VARIABLE = "KERAS_EVONAS_LEASE_SECONDS"
_DEFAULT_SECONDS = 60.0
_LANE = re.compile(r"(-worker\d+)?-lane\d+$")


def lease_seconds() -> float:
    """How long a worker may be silent, the same for chief and workers.

    Raises:
        ValueError: If the environment variable is not a positive number.
    """
    text = os.environ.get(_VARIABLE, str(_DEFAULT_SECONDS))
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise ValueError(
            f"The environment variable {_VARIABLE} must be a positive number "
            f"of seconds. Received: {text!r}. Unset it for "
            f"{_DEFAULT_SECONDS:g} seconds."
        )
    return seconds


class LeasedOracle(FolderOracle):
    """An Oracle to derive from; arguments as for `MendedOracle`."""

    def __init__(self, **host_arguments: Any) -> None:
        super().__init__(**host_arguments)
        # When the lease of a trial ends, and when a tuner was last heard of.
        self._leases: dict[str, float] = {}
        self._heard: dict[str, float] = {}
        self._handed_again: set[str] = set()
        self._watch: threading.Thread | None = None

    def create_trial(self, tuner_id: str) -> Trial:
        """Creates a trial; see `keras_tuner.Oracle`."""
        with self._lock:
            self._heard[tuner_id] = time.monotonic()
            trial = super().create_trial(tuner_id)
            if trial.status == Status.STOPPED and self._leases:
                # Somebody may die, and his trial be left.
                trial.status = Status.IDLE
                self.tuner_ids.add(tuner_id)
            return trial

    def update_trial(
        self, trial_id: str, metrics: Mapping[str, float], step: int = 0
    ) -> Trial:
        """Records metrics of a running trial, or that it is running.

        Args:
            trial_id: String, the trial.
            metrics: Mapping of names to values. Without any it is a sign of
                life, and the trial is lent on.
            step: As in `keras_tuner.Oracle`.
        """
        with self._lock:
            if self._is_second(trial_id):
                return self.trials[trial_id]
            if not metrics and self._renew(trial_id):
                return self.trials[trial_id]
            return super().update_trial(trial_id, metrics, step)

    def end_trial(self, trial: Trial) -> None:
        """Records the end of a trial; see `keras_tuner.Oracle`.

        A trial that was handed out again ends with the first of its workers;
        what the others say is left out.
        """
        with self._lock:
            if self._is_second(trial.trial_id):
                return
            super().end_trial(trial)
            self._leases.pop(trial.trial_id, None)

    def _is_second(self, trial_id: str) -> bool:
        return trial_id in self._handed_again and trial_id in self.end_order

    def _renew(self, trial_id: str) -> bool:
        """Lends a trial on, and tells whether it is running."""
        holder = self._holder_of(trial_id)
        if holder is None and trial_id in self._retry_queue:
            # A worker outlived its chief, and is still at it.
            self._retry_queue.remove(trial_id)
            self._handed_again.add(trial_id)
            holder = f"outlived-{trial_id}"
            self.trials[trial_id].status = Status.RUNNING
            self.ongoing_trials[holder] = self.trials[trial_id]
        if holder is None:
            return False
        now = time.monotonic()
        self._leases[trial_id] = now + lease_seconds()
        worker = _LANE.sub("", holder)
        for tuner_id in self._heard:
            if _LANE.sub("", tuner_id) == worker:
                self._heard[tuner_id] = now
        if self._watch is None:
            self._watch = threading.Thread(
                target=_watch, args=(weakref.ref(self),), daemon=True
            )
            self._watch.start()
        return True

    def _holder_of(self, trial_id: str) -> str | None:
        for tuner_id, trial in self.ongoing_trials.items():
            if trial.trial_id == trial_id:
                return tuner_id
        return None

    def end_leases(self, now: float | None = None) -> None:
        """Takes trials back from those who have been silent for too long.

        Args:
            now: Number, the time of `time.monotonic`. Defaults to now.
        """
        now = time.monotonic() if now is None else now
        with self._lock:
            for trial_id, end in list(self._leases.items()):
                if end < now:
                    self._take_back(trial_id)
            busy = set(self.ongoing_trials)
            for tuner_id, heard in list(self._heard.items()):
                if tuner_id not in busy and heard + lease_seconds() < now:
                    # The chief would wait for it to ask once more.
                    self.tuner_ids.discard(tuner_id)
                    del self._heard[tuner_id]

    def _take_back(self, trial_id: str) -> None:
        del self._leases[trial_id]
        holder = self._holder_of(trial_id)
        if holder is None:
            return
        del self.ongoing_trials[holder]
        self.tuner_ids.discard(holder)
        self._retry_queue.append(trial_id)
        self._handed_again.add(trial_id)
        print(
            f"Nothing was heard of {holder} for {lease_seconds():g} seconds; "
            f"its trial {trial_id} is handed out again.",
            flush=True,
        )


def _watch(reference: "weakref.ref[LeasedOracle]") -> None:
    """Looks after the leases of an oracle as long as there is one."""
    while True:
        time.sleep(lease_seconds() / 4)
        oracle = reference()
        if oracle is None:
            return
        oracle.end_leases()
        del oracle
