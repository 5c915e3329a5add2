"""Trials that are lent to workers, and handed out again if a worker dies.

keras-tuner 1.4.8 waits for ever for a worker that was killed. Under its chief
a worker of `EvoTuner` gives signs of life: reports without metrics. The first
one begins a lease; when no other comes for `lease_seconds()`, the trial goes
to the next worker that asks. Workers that give no signs keep their trials, as
before.
"""

import math
import os
import re
import threading
import time
import weakref
from collections.abc import Collection
from typing import Protocol

_VARIABLE = "KERAS_EVONAS_LEASE_SECONDS"
_DEFAULT_SECONDS = 60.0
_LANE = re.compile(r"(-worker\d+)?-lane\d+$")


def lease_seconds() -> float:
    """Returns for how long a worker may be silent.

    It is the same for chief and workers.

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


class Lessor(Protocol):
    """An oracle that takes trials back when their leases are over."""

    def end_leases(self) -> None:
        """Ends the leases that were not renewed in time."""


class Leases:
    """The leases of an oracle's trials. It has no lock: its owner has one."""

    def __init__(self) -> None:
        # When the lease of a trial ends, and when a tuner last gave a sign.
        self._ends: dict[str, float] = {}
        self._heard: dict[str, float] = {}
        self._handed_again: set[str] = set()
        self._watch: threading.Thread | None = None

    def __len__(self) -> int:
        return len(self._ends)

    def hear(self, tuner_id: str) -> None:
        """Notes that a tuner gave a sign of life."""
        self._heard[tuner_id] = time.monotonic()

    def renew(self, trial_id: str, tuner_id: str) -> None:
        """Lends a trial on, after a sign of life of the worker that has it."""
        now = time.monotonic()
        self._ends[trial_id] = now + lease_seconds()
        worker = _LANE.sub("", tuner_id)
        for lane in self._heard:
            if _LANE.sub("", lane) == worker:
                self._heard[lane] = now

    def end(self, trial_id: str) -> None:
        """Ends the lease of a trial that is over."""
        self._ends.pop(trial_id, None)

    def overdue(self, now: float) -> list[str]:
        """Ends the leases that were not renewed, and returns their trials."""
        over = [trial_id for trial_id, end in self._ends.items() if end < now]
        for trial_id in over:
            del self._ends[trial_id]
        return over

    def lost(self, now: float, busy: Collection[str]) -> list[str]:
        """Returns idle tuners that were silent for too long; forgets them.

        The chief would wait for them to ask once more.

        Args:
            now: Number, the time of `time.monotonic`.
            busy: The tuners that have trials.
        """
        silent = [
            tuner_id
            for tuner_id, heard in self._heard.items()
            if tuner_id not in busy and heard + lease_seconds() < now
        ]
        for tuner_id in silent:
            del self._heard[tuner_id]
        return silent

    def hand_again(self, trial_id: str) -> None:
        """Notes that a trial may have two workers from now on."""
        self._handed_again.add(trial_id)

    def was_handed_again(self, trial_id: str) -> bool:
        """Returns whether a trial may have had two workers."""
        return trial_id in self._handed_again

    def watch_for(self, lessor: Lessor) -> None:
        """Looks after the leases in a thread, while the oracle is in use."""
        if self._watch is None:
            self._watch = threading.Thread(
                target=_watch, args=(weakref.ref(lessor),), daemon=True
            )
            self._watch.start()


def _watch(reference: "weakref.ref[Lessor]") -> None:
    while True:
        time.sleep(lease_seconds() / 4)
        lessor = reference()
        if lessor is None:
            return
        lessor.end_leases()
        del lessor
