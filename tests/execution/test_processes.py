"""Searches in worker processes: the same search, whoever is killed."""

import functools
import os
import pathlib
import threading

import pytest

from keras_evonas.execution import InProcess
from keras_evonas.execution import Processes
from keras_evonas.project.record import End
from keras_evonas.project.record import SearchRecord
from tests.execution import networks
from tests.execution.networks import record_of
from tests.execution.networks import search
from tests.execution.networks import tuner_in

pytestmark = pytest.mark.keras
pytest.importorskip("loky", reason="needs loky: the extra [processes]")


def test_one_worker_makes_the_same_search_killed_or_not(
    tmp_path: pathlib.Path,
) -> None:
    killer = networks.Killer(tmp_path / "mark")
    made = {
        "data": (networks.make_dataset,),
        "fit": {"validation_data": networks.make_validation, "shuffle": False},
        "oracle": {"max_trials": 3},
    }
    there = search(
        tmp_path / "there", killer, executor=Processes(workers=1), **made
    )
    assert (tmp_path / "mark").exists()
    # The very same batches, in this process and not by a function.
    given = {
        "data": (networks.make_dataset(),),
        "fit": {"shuffle": False},
        "oracle": {"max_trials": 3},
    }
    here = search(tmp_path / "here", executor=InProcess(), **given)
    assert record_of(tmp_path / "here") == record_of(tmp_path / "there")
    best, same = here.get_best_models()[0], there.get_best_models()[0]
    for weight, other in zip(best.weights, same.weights, strict=True):
        assert (weight.numpy() == other.numpy()).all()
    assert here.learning_curves("0") == there.learning_curves("0")


@pytest.mark.slow
def test_two_workers_and_a_kill(tmp_path: pathlib.Path) -> None:
    killer = networks.Killer(tmp_path / "mark")
    tuner = search(tmp_path / "p", killer, executor=Processes(workers=2))
    assert (tmp_path / "mark").exists()
    ends = [
        event
        for event in SearchRecord(tmp_path / "p").read().events
        if isinstance(event, End)
    ]
    assert [end.status for end in ends] == ["COMPLETED"] * 6
    workers = {end.worker.rpartition("-")[0] for end in ends}
    assert workers == {"tuner0-worker0", "tuner0-worker1"}
    again = tuner_in(tmp_path / "p", executor=Processes(workers=2))
    known, read = tuner.oracle.engine, again.oracle.engine
    assert read.history.ended == known.history.ended
    assert read.ask() == known.ask()


def test_functions_make_data_in_this_process_too(
    tmp_path: pathlib.Path,
) -> None:
    options = {"oracle": {"max_trials": 2}, "executor": InProcess()}
    made = {
        "data": (networks.make_dataset,),
        "fit": {"validation_data": networks.make_validation, "shuffle": False},
    }
    given = {"data": (networks.make_dataset(),), "fit": {"shuffle": False}}
    search(tmp_path / "made", **made, **options)
    search(tmp_path / "given", **given, **options)
    assert record_of(tmp_path / "made") == record_of(tmp_path / "given")


@pytest.mark.slow
def test_a_network_that_kills_fails_alone(tmp_path: pathlib.Path) -> None:
    killer = networks.Killer(tmp_path / "mark", always=True)
    search(
        tmp_path / "p",
        killer,
        executor=Processes(workers=1),
        oracle={"initial_population": [{"units": 35}]},
    )
    ends = [e for e in record_of(tmp_path / "p") if len(e) == 5]
    assert len(ends) == 6
    statuses = {end[3]["units"] > 30: end[1] for end in ends}
    assert statuses == {True: "FAILED", False: "COMPLETED"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"workers": 0}, "`workers` must be an integer of at least 1"),
        ({"workers": True}, "`workers` must be an integer"),
        ({"gpus": 99}, "`gpus` must not exceed the GPUs of this machine"),
        ({"gpus": -1}, "`gpus` must be an integer of at least 0"),
        ({"gpus": []}, "`gpus` must name at least one"),
        ({"threads": 0}, "`threads` must be an integer of at least 1"),
        ({"threads": "2"}, "`threads` must be an integer"),
        ({"max_growth_megabytes": 0}, "`max_growth_megabytes` must be"),
    ],
)
def test_bad_arguments(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Processes(**arguments)


def test_workers_have_gpus_of_their_own() -> None:
    executor = Processes(workers=3, gpus=["4", "7"])
    seen = [executor.environment(slot) for slot in range(3)]
    assert [one["CUDA_VISIBLE_DEVICES"] for one in seen] == ["4", "7", "4"]
    assert Processes(gpus=0).environment(0)["CUDA_VISIBLE_DEVICES"] == "-1"
    assert "CUDA_VISIBLE_DEVICES" not in Processes().environment(0)


def _with_one_thread(home: int, hp: object) -> object:
    if os.getpid() != home:
        assert os.environ["TF_NUM_INTRAOP_THREADS"] == "1"
    return networks.build(hp)


def test_workers_limit_the_threads_of_tensorflow(
    tmp_path: pathlib.Path,
) -> None:
    assert "TF_NUM_INTRAOP_THREADS" not in Processes(3).environment(0)
    tuner = search(
        tmp_path / "p",
        functools.partial(_with_one_thread, os.getpid()),
        executor=Processes(workers=1, threads=1),
        oracle={"max_trials": 1},
    )
    statuses = {one.status for one in tuner.oracle.trials.values()}
    assert statuses == {"COMPLETED"}


def test_what_cannot_be_pickled_is_named(tmp_path: pathlib.Path) -> None:
    lock = threading.Lock()
    hypermodel = functools.partial(_locked, lock)
    with pytest.raises(TypeError, match="`hypermodel` must be") as caught:
        search(tmp_path / "p", hypermodel, executor=Processes())
    assert "lock" in str(caught.value)
    assert "top level of a module" in str(caught.value)
    data = networks.make_dataset()
    with pytest.raises(TypeError, match="`x` must be such") as caught:
        search(tmp_path / "q", data=(data,), executor=Processes())
    assert "a function without arguments" in str(caught.value)


def _locked(lock: threading.Lock, hp: object) -> object:
    with lock:
        return networks.build(hp)


def test_other_executors_are_refused(tmp_path: pathlib.Path) -> None:
    with pytest.raises(TypeError, match=r"Pass for example `Processes\("):
        tuner_in(tmp_path / "p", executor="processes")
