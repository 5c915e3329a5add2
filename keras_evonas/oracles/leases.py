"""Trials that are lent to workers, and handed out again if a worker dies.

keras-tuner 1.4.8 waits for ever for a worker that was killed. Under its chief
a worker of `EvoTuner` gives signs of life: reports without metrics. Its trial
is lent to it; when no sign comes for `lease_seconds()`, the trial goes
to the next worker that asks. Workers that give no signs keep their trials.
"""

import math
import os
import re
import threading
import time
import weakref
from collections.abc import Callable
from collections.abc import Iterable

from keras_evonas.oracles.host import MendedOracle
from keras_evonas.oracles.host import is_chief

_VARIABLE = "KERAS_EVONAS_LEASE_SECONDS"
_DEFAULT_SECONDS = 60.0
_LANE = re.compile(r"(-worker\d+)?-lane\d+$")


def lease_seconds() -> float:
    """Returns for how long a worker may be silent, by chief and workers.

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


class Leases:
    """The leases of an oracle's trials.

    Its methods are called with the oracle's lock held.

    Args:
        oracle: The oracle.
        collect: A method of the oracle that calls `collect`. From the first
            lease on a thread calls it, for as long as the oracle is in use.
    """

    def __init__(
        self, oracle: MendedOracle, collect: Callable[[], None]
    ) -> None:
        self._oracle = weakref.proxy(oracle)
        self._collect = weakref.WeakMethod(collect)
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

    def begin(self, trial_id: str, tuner_id: str) -> None:
        """Lends a trial to a worker of a chief that will give signs."""
        if is_chief() and _LANE.search(tuner_id):
            self.renew(trial_id)

    def resume(self, unfinished: Iterable[str]) -> None:
        """Notes the trials that the workers of a former chief may still run.

        They are handed out again all the same; the first result counts.
        """
        if is_chief():
            self._handed_again.update(unfinished)

    def keep(self, trial_id: str) -> None:
        """Keeps a trial for its worker, which outlived its chief."""
        if self._oracle.waits(trial_id):
            holder = f"outlived-{trial_id}"
            self._oracle.hold(trial_id, holder)
            self._handed_again.add(trial_id)
            self._lend(trial_id, holder)

    def renew(self, trial_id: str) -> bool:
        """Lends a trial on after a sign of life, if it is running."""
        self.keep(trial_id)
        holder = self._oracle.holder_of(trial_id)
        if holder is None:
            return False
        self._lend(trial_id, holder)
        return True

    def _lend(self, trial_id: str, holder: str) -> None:
        now = time.monotonic()
        self._ends[trial_id] = now + lease_seconds()
        worker = _LANE.sub("", holder)
        for lane in self._heard:
            if _LANE.sub("", lane) == worker:
                self._heard[lane] = now
        if self._watch is None:
            self._watch = threading.Thread(
                target=_watch, args=(self._collect,), daemon=True
            )
            self._watch.start()

    def end(self, trial_id: str) -> None:
        """Ends the lease of a trial that is over."""
        self._ends.pop(trial_id, None)

    def has_result(self, trial_id: str) -> bool:
        """Returns whether another worker has ended a trial."""
        again = trial_id in self._handed_again
        return again and trial_id in self._oracle.end_order

    def collect(self, now: float) -> None:
        """Takes trials back from workers that were silent for too long."""
        for trial_id, end in list(self._ends.items()):
            if end < now:
                del self._ends[trial_id]
                self._take_back(trial_id)
        for tuner_id, heard in list(self._heard.items()):
            is_idle = tuner_id not in self._oracle.ongoing_trials
            if is_idle and heard + lease_seconds() < now:
                # The chief would wait for it to ask once more.
                self._oracle.tuner_ids.discard(tuner_id)
                del self._heard[tuner_id]

    def _take_back(self, trial_id: str) -> None:
        holder = self._oracle.take_back(trial_id)
        if holder is None:
            return
        self._handed_again.add(trial_id)
        print(
            f"Nothing was heard of {holder} for {lease_seconds():g} seconds; "
            f"its trial {trial_id} is handed out again.",
            flush=True,
        )


def _watch(reference: "weakref.WeakMethod[Callable[[], None]]") -> None:
    while True:
        time.sleep(lease_seconds() / 4)
        collect = reference()
        if collect is None:
            return
        collect()
        del collect
