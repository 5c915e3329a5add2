"""keras-tuner's chief and its workers, one of which is killed."""

import os
import pathlib
import socket
import subprocess
import sys
import time
from concurrent import futures

import grpc
import keras_tuner
import pytest
from keras_tuner.src import protos
from keras_tuner.src.distribute import oracle_client

from keras_evonas import EvoOracle
from keras_evonas.project.record import End
from keras_evonas.project.record import SearchRecord
from keras_evonas.tuners.lanes import PatientStub
from keras_evonas.tuners.lanes import warn_of_open_port
from tests.execution import networks

pytestmark = pytest.mark.keras
_ROOT = pathlib.Path(__file__).parents[2]
# A network of the first cohort of "doomed" kills its process in its first
# epoch, one of "doomed_early" before that, and all of "failing" raise.
_PROGRAM = """
import os, pathlib, signal, sys
from tests.execution import networks

name = os.environ["KERASTUNER_TUNER_ID"]

def die(trial=None):
    os.kill(os.getpid(), signal.SIGKILL)

def build(hp):
    if name == "doomed" and is_searching:
        die()
    if name == "failing" and is_searching:
        raise ValueError("a bad network")
    return networks.build(hp)

is_searching = False
trials = {"max_trials": int(os.environ["TRIALS"])}
tuner = networks.tuner_in(pathlib.Path(sys.argv[1]), build, oracle=trials)
is_searching = True
if name == "doomed_early":
    tuner.on_trial_begin = die
tuner.search(networks.X, networks.Y, **networks.FIT)
"""


def _start(
    name: str, port: int, folder: pathlib.Path, trials: int = 6
) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, str(folder)],
        cwd=_ROOT,
        env={
            **os.environ,
            "KERASTUNER_ORACLE_IP": "127.0.0.1",
            "KERASTUNER_ORACLE_PORT": str(port),
            "KERASTUNER_TUNER_ID": name,
            "TRIALS": str(trials),
            "KERAS_EVONAS_LEASE_SECONDS": "20",
        },
    )


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def _ends_in(folder: pathlib.Path) -> list[End]:
    events = SearchRecord(folder).read().events
    return [event for event in events if isinstance(event, End)]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["doomed", "doomed_early"])
def test_a_killed_worker_loses_nothing(
    tmp_path: pathlib.Path, name: str
) -> None:
    port, folder = _free_port(), tmp_path / "p"
    chief = _start("chief", port, folder)
    doomed = _start(name, port, folder)
    assert doomed.wait(timeout=300) < 0
    worker = _start("worker", port, folder)
    assert [p.wait(timeout=300) for p in (worker, chief)] == [0, 0]
    ends = _ends_in(folder)
    assert sorted(end.trial_id for end in ends) == list("012345")
    assert {end.status for end in ends} == {"COMPLETED"}
    assert {end.worker.partition("-")[0] for end in ends} == {"worker"}


@pytest.mark.slow
def test_workers_go_on_with_a_new_chief(tmp_path: pathlib.Path) -> None:
    port, folder = _free_port(), tmp_path / "p"
    # So many that both workers find the new chief, of which gRPC takes notice
    # within some seconds, before it has ended.
    trials = 40
    chief = _start("chief", port, folder, trials)
    workers = [_start(f"worker{i}", port, folder, trials) for i in range(2)]
    deadline = time.monotonic() + 300
    while not (folder / "trial_01" / "trial.json").exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    chief.kill()
    chief.wait()
    chief = _start("chief", port, folder, trials)
    assert [p.wait(timeout=300) for p in (*workers, chief)] == [0, 0, 0]
    ends = _ends_in(folder)
    assert sorted(int(end.trial_id) for end in ends) == list(range(trials))
    assert {end.status for end in ends} == {"COMPLETED"}


class _Away(protos.get_service_grpc().OracleServicer):
    """A chief that is away for some calls, and broken for others."""

    def __init__(self, *codes: grpc.StatusCode) -> None:
        self.codes = list(codes)

    def answer(self, request: object, context: grpc.ServicerContext) -> object:
        del request
        if self.codes:
            context.abort(self.codes.pop(0), "as told")
        hp = keras_tuner.HyperParameters().to_proto()
        return protos.get_service().GetSpaceResponse(hyperparameters=hp)

    GetSpace = answer


def test_a_worker_asks_a_chief_again_that_went_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    port, code = _free_port(), grpc.StatusCode
    away = _Away(code.UNAVAILABLE, code.UNAVAILABLE, code.INTERNAL)
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=1))
    protos.get_service_grpc().add_OracleServicer_to_server(away, server)
    server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    monkeypatch.setenv("KERASTUNER_ORACLE_IP", "127.0.0.1")
    monkeypatch.setenv("KERASTUNER_ORACLE_PORT", str(port))
    monkeypatch.setenv("KERASTUNER_TUNER_ID", "worker")
    client = oracle_client.OracleClient(EvoOracle("val_loss", max_trials=2))
    client.stub = PatientStub(client.stub)
    try:
        with pytest.raises(grpc.RpcError, match="INTERNAL"):
            client.get_space()
        assert away.codes == []
        assert client.get_space().space == []
    finally:
        server.stop(grace=None)


def test_a_chief_refuses_what_its_workers_would(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tuner = networks.tuner_in(tmp_path / "p", networks.build)
    monkeypatch.setenv("KERASTUNER_TUNER_ID", "chief")
    monkeypatch.setenv("KERASTUNER_ORACLE_IP", "127.0.0.1")
    monkeypatch.setenv("KERASTUNER_ORACLE_PORT", str(_free_port()))
    with pytest.raises(TypeError, match="epoch"):
        tuner.search(networks.X, networks.Y, epoch=1)


@pytest.mark.slow
def test_a_chief_ends_with_the_error_of_a_search_that_fails(
    tmp_path: pathlib.Path,
) -> None:
    port, folder = _free_port(), tmp_path / "p"
    chief = _start("chief", port, folder)
    worker = _start("failing", port, folder)
    assert worker.wait(timeout=300) == 0
    assert chief.wait(timeout=300) == 1
    ends = _ends_in(folder)
    assert len(ends) >= 3
    assert {end.status for end in ends} == {"FAILED"}
    assert all("a bad network" in end.message for end in ends)


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
