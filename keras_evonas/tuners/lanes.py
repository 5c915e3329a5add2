"""Several trials at a time from any keras-tuner oracle."""

import ipaddress
import os
import time
import warnings
from collections.abc import Callable

import keras_tuner
from keras_tuner.engine import trial as trial_lib

_FIRST_WAIT = 0.05
_LONGEST_WAIT = 2.0


class Lanes:
    """Asks an oracle under several names, one a lane.

    To keras-tuner 1.4.8 each lane is a tuner of its own. A chief exits only
    when every name that asked was told to stop, so all lanes are asked until
    they were.

    Args:
        oracle: The oracle, or keras-tuner's client of one.
        tuner_id: String, the name of the tuner.
        number: Integer, how many lanes.
    """

    def __init__(
        self, oracle: keras_tuner.Oracle, tuner_id: str, number: int
    ) -> None:
        self._oracle = oracle
        self._open = [f"{tuner_id}-lane{lane}" for lane in range(number)]

    def ask(
        self,
        before: Callable[[], None] = lambda: None,
        *,
        wait: bool = True,
    ) -> list[trial_lib.Trial]:
        """Asks for a trial for each lane, and waits until there is one.

        Args:
            before: Called before each question.
            wait: Boolean, whether to wait. Defaults to `True`.

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
            if trials or not wait:
                return trials
            if self._open:
                # keras-tuner asks 190 000 times a second instead.
                time.sleep(seconds)
                seconds = min(2 * seconds, _LONGEST_WAIT)
        return []


def is_chief() -> bool:
    """Returns whether this process is the chief of a distributed search."""
    return "KERASTUNER_ORACLE_IP" in os.environ and "chief" in os.environ.get(
        "KERASTUNER_TUNER_ID", ""
    )


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
