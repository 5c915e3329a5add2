"""keras-tuner's chief and its workers, one of which is killed."""

import os
import pathlib
import socket
import subprocess
import sys

import pytest

from keras_evonas.project.record import End
from keras_evonas.project.record import SearchRecord
from keras_evonas.tuners.lanes import warn_of_open_port

pytestmark = pytest.mark.keras
_ROOT = pathlib.Path(__file__).parents[2]
# A network of the first cohort of "doomed" kills its process in its first
# epoch, when the trial is lent out.
_PROGRAM = """
import os, pathlib, signal, sys
from tests.execution import networks

def build(hp):
    if os.environ["KERASTUNER_TUNER_ID"] == "doomed" and is_searching:
        os.kill(os.getpid(), signal.SIGKILL)
    return networks.build(hp)

is_searching = False
tuner = networks.tuner_in(pathlib.Path(sys.argv[1]), build)
is_searching = True
tuner.search(networks.X, networks.Y, **networks.FIT)
"""


def _start(name: str, port: int, folder: pathlib.Path) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, str(folder)],
        cwd=_ROOT,
        env={
            **os.environ,
            "KERASTUNER_ORACLE_IP": "127.0.0.1",
            "KERASTUNER_ORACLE_PORT": str(port),
            "KERASTUNER_TUNER_ID": name,
            "KERAS_EVONAS_LEASE_SECONDS": "20",
        },
    )


@pytest.mark.slow
def test_a_killed_worker_loses_nothing(tmp_path: pathlib.Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder = tmp_path / "p"
    chief = _start("chief", port, folder)
    doomed = _start("doomed", port, folder)
    assert doomed.wait(timeout=300) < 0
    worker = _start("worker", port, folder)
    assert [p.wait(timeout=300) for p in (worker, chief)] == [0, 0]
    ends = [
        event
        for event in SearchRecord(folder).read().events
        if isinstance(event, End)
    ]
    assert sorted(end.trial_id for end in ends) == list("012345")
    assert {end.status for end in ends} == {"COMPLETED"}
    assert {end.worker.partition("-")[0] for end in ends} == {"worker"}


@pytest.mark.parametrize("host", ["0.0.0.0", "10.1.2.3", "chief.example"])
def test_an_open_port_is_warned_of(
    host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERASTUNER_ORACLE_IP", host)
    with pytest.warns(UserWarning, match="no authentication"):
        warn_of_open_port()


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_the_loopback_is_closed(
    host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERASTUNER_ORACLE_IP", host)
    warn_of_open_port()
