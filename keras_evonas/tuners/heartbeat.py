"""Signs of life of a worker under keras-tuner's chief."""

import threading
import types
from collections.abc import Iterable

import grpc
import keras_tuner
from keras_tuner.engine import trial as trial_lib

from keras_evonas.oracles.leases import lease_seconds

# So many signs may be lost before a lease ends.
_BEATS = 4


class Heartbeat:
    """Renews the leases of running trials while they are trained.

    Use it in a `with` statement.

    Args:
        oracle: keras-tuner's client of an oracle.
        is_needed: Boolean, whether that oracle gives leases: whether this is
            a worker of a chief with an `EvoOracle`. Otherwise nothing is
            done.
    """

    def __init__(self, oracle: keras_tuner.Oracle, *, is_needed: bool) -> None:
        self._oracle = oracle
        self._is_needed = is_needed
        self._lock = threading.Lock()
        self._running: set[str] = set()
        self._is_over = threading.Event()
        self._thread = threading.Thread(
            target=self._beat, name="heartbeat", daemon=True
        )

    def __enter__(self) -> "Heartbeat":
        if self._is_needed:
            self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: types.TracebackType | None,
    ) -> None:
        self._is_over.set()
        if self._thread.is_alive():
            self._thread.join(timeout=lease_seconds())

    def add(self, trials: Iterable[trial_lib.Trial]) -> None:
        """Begins to renew the leases of trials."""
        trial_ids = {trial.trial_id for trial in trials}
        with self._lock:
            self._running |= trial_ids
        if self._is_needed:
            self._renew(trial_ids)

    def remove(self, trials: Iterable[trial_lib.Trial]) -> None:
        """Stops renewing the leases of trials that have ended."""
        with self._lock:
            self._running -= {trial.trial_id for trial in trials}

    def _beat(self) -> None:
        while not self._is_over.wait(lease_seconds() / _BEATS):
            with self._lock:
                running = sorted(self._running)
            self._renew(running)

    def _renew(self, trial_ids: Iterable[str]) -> None:
        for trial_id in trial_ids:
            try:
                # A report without metrics says that the trial still runs.
                self._oracle.update_trial(trial_id, {})
            except grpc.RpcError:
                # The chief is away, or has begun anew and handed the trial to
                # another worker. The report of the trial's end tells.
                continue
