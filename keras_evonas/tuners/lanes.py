"""Several trials at a time from any keras-tuner oracle, also under a chief."""

import ipaddress
import os
import threading
import time
import warnings
from collections.abc import Callable
from collections.abc import Iterable

import grpc
import keras_tuner
from keras_tuner.engine import trial as trial_lib

from keras_evonas.oracles.leases import lease_seconds

# So many signs of life may be lost before a lease ends.
_BEATS = 4
# Seconds.
_FIRST_WAIT = 0.05
_LONGEST_WAIT = 2.0
_SECONDS_TO_RETURN = 300


class Lanes:
    """Asks an oracle under several names, one a lane.

    To keras-tuner 1.4.8 each lane is a tuner of its own. A chief exits only
    when every name that asked was told to stop, so all lanes are asked until
    they were.
    """

    def __init__(
        self, oracle: keras_tuner.Oracle, tuner_id: str, number: int
    ) -> None:
        self._oracle = oracle
        self._open = [f"{tuner_id}-lane{lane}" for lane in range(number)]

    def ask(
        self, before: Callable[[], None], *, wait: bool
    ) -> list[trial_lib.Trial]:
        """Asks for a trial for each lane, and may wait until there is one.

        Args:
            before: Called before each question.
            wait: Boolean, whether to wait.

        Returns:
            New running trials; none when the search is over, or when there
            are none now and `wait` is `False`.
        """
        seconds = _FIRST_WAIT
        while self._open:
            trials = []
            for lane in list(self._open):
                before()
                trial = self._oracle.create_trial(lane)
                if trial.status == trial_lib.TrialStatus.STOPPED:
                    self._open.remove(lane)
                elif trial.status == trial_lib.TrialStatus.RUNNING:
                    trials.append(trial)
                if self._are_cut_cohort(trials):
                    break
            if trials or not wait:
                return trials
            if self._open:
                # keras-tuner asks 190 000 times a second instead.
                time.sleep(seconds)
                seconds = min(2 * seconds, _LONGEST_WAIT)
        return []

    def _are_cut_cohort(self, trials: list[trial_lib.Trial]) -> bool:
        """Returns whether trials are what is left of a cohort that was cut.

        They end before others are asked for, as they would have uncut.
        """
        cut: frozenset[str] = getattr(self._oracle, "cut_cohort", frozenset())
        return bool(cut) and cut <= {trial.trial_id for trial in trials}


class Heartbeat:
    """Renews the leases of running trials while they are trained.

    Use it in a `with` statement. It does nothing unless `is_needed`: unless
    this is a worker of a chief with an `EvoOracle`, which gives leases.
    """

    def __init__(self, oracle: keras_tuner.Oracle, *, is_needed: bool) -> None:
        self._oracle = oracle
        self._is_needed = is_needed
        # Never changed in place: the thread reads it at any time.
        self._running: frozenset[str] = frozenset()
        self._is_over = threading.Event()
        self._thread = threading.Thread(
            target=self._beat, name="heartbeat", daemon=True
        )

    def __enter__(self) -> "Heartbeat":
        if self._is_needed:
            self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._is_over.set()
        if self._thread.is_alive():
            self._thread.join(timeout=lease_seconds())

    def add(self, trials: Iterable[trial_lib.Trial]) -> None:
        """Begins to renew the leases of trials."""
        trial_ids = {trial.trial_id for trial in trials}
        self._running |= trial_ids
        if self._is_needed:
            self._renew(trial_ids)

    def remove(self, trials: Iterable[trial_lib.Trial]) -> None:
        """Stops renewing the leases of trials that have ended."""
        self._running -= {trial.trial_id for trial in trials}

    def _beat(self) -> None:
        while not self._is_over.wait(lease_seconds() / _BEATS):
            self._renew(self._running)

    def _renew(self, trial_ids: Iterable[str]) -> None:
        for trial_id in trial_ids:
            try:
                # A report without metrics says that the trial still runs.
                self._oracle.update_trial(trial_id, {})
            except grpc.RpcError:
                # The chief is away, or has begun anew and handed the trial to
                # another worker. The report of the trial's end tells.
                continue


class PatientStub:
    """Asks a chief again that went away before it had answered.

    The client of keras-tuner 1.4.8 waits for a chief before it asks, and fails
    if the chief is killed in between. What was asked may have been done: a
    chief that is begun anew says so of what has been reported to it. It has
    five minutes to begin; the search may also have ended without this worker.

    Args:
        stub: The client's stub of gRPC.
    """

    def __init__(self, stub: object) -> None:
        self._stub = stub

    def __getattr__(self, name: str) -> Callable[..., object]:
        """Returns the method of the stub, made patient."""
        method = getattr(self._stub, name)

        def ask(*args: object, **options: object) -> object:
            while True:
                try:
                    return method(*args, **options)
                except grpc.RpcError as error:
                    if error.code() is not grpc.StatusCode.UNAVAILABLE:
                        raise
                options["timeout"] = _SECONDS_TO_RETURN
                time.sleep(_FIRST_WAIT)

        return ask


def warn_of_open_port() -> None:
    """Warns if the chief can be reached from other machines.

    The port of keras-tuner 1.4.8 has no authentication.
    """
    host = os.environ["KERASTUNER_ORACLE_IP"]
    try:
        is_loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_loopback = host == "localhost"
    if not is_loopback:
        warnings.warn(
            f"The chief listens on {host}, and its port has no "
            "authentication: all that can reach it can read and change the "
            "search. Set KERASTUNER_ORACLE_IP=127.0.0.1 unless workers are on "
            "other machines, and keep the network private if they are.",
            stacklevel=3,
        )
