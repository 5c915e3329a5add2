"""Searches that are interrupted, or whose disk is full."""

import os
import pathlib
import signal
import threading
from collections.abc import Iterator
from typing import Any

import keras
import pytest

from keras_evonas.execution import InProcess
from keras_evonas.execution import Processes
from keras_evonas.project import lock as project_lock
from keras_evonas.project.files import WriteError
from tests.execution import networks
from tests.execution.networks import record_of
from tests.execution.networks import search

pytestmark = pytest.mark.keras


@pytest.fixture(autouse=True)
def _ctrl_c_is_heard() -> Iterator[None]:
    # A shell lets its background processes ignore it.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="module")
def uncut(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """The record of a search that nothing stops."""
    folder = tmp_path_factory.mktemp("uncut")
    search(folder)
    return record_of(folder)


class Interrupting:
    """Presses Ctrl-C while the third cohort is asked for."""

    def __init__(self) -> None:
        self.trials = 0

    def __call__(self, trial: Any) -> None:
        self.trials += 1
        if self.trials == 5:
            signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize(
    "executor",
    [
        InProcess(),
        pytest.param(Processes(workers=1), marks=pytest.mark.slow),
    ],
)
def test_an_interrupted_search_goes_on(
    executor: Any,
    uncut: list[Any],
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture,
) -> None:
    if isinstance(executor, Processes):
        pytest.importorskip("loky", reason="needs loky: [processes]")
    folder = tmp_path / "cut"
    tuner = networks.tuner_in(folder, executor=executor)
    tuner.on_trial_begin = Interrupting()
    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        tuner.search(networks.X, networks.Y, **networks.FIT)
    assert threading.active_count() <= before + 1
    printed = capsys.readouterr().out
    assert f"Interrupted. 4 trials are saved in '{folder}'" in printed
    # A worker of pytest's was begun by no script that could be run again.
    assert "To go on, run:\n" in printed or "make the tuner again" in printed
    assert not project_lock.holder_of(folder).is_running
    search(folder, executor=executor)
    assert record_of(folder) == uncut


@pytest.mark.slow
def test_the_same_tuner_goes_on_after_an_interrupt(
    uncut: list[Any], tmp_path: pathlib.Path
) -> None:
    folder = tmp_path / "cut"
    tuner = networks.tuner_in(folder)
    tuner.on_trial_begin = Interrupting()
    with pytest.raises(KeyboardInterrupt):
        tuner.search(networks.X, networks.Y, **networks.FIT)
    tuner.search(networks.X, networks.Y, **networks.FIT)
    assert record_of(folder) == uncut


class Large(keras.callbacks.Callback):
    """Lets no file of this process grow beyond a few kilobytes."""

    def on_train_begin(self, logs: Any = None) -> None:
        import resource

        most = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        resource.setrlimit(resource.RLIMIT_FSIZE, (6000, most))


@pytest.mark.skipif(os.name == "nt", reason="needs RLIMIT_FSIZE")
def test_weights_that_do_not_fit_on_the_disk(
    uncut: list[Any], tmp_path: pathlib.Path
) -> None:
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    folder = tmp_path / "cut"
    try:
        with pytest.raises(WriteError, match="Make room") as caught:
            search(folder, fit={"callbacks": [Large()]})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "weights.h5" in str(caught.value)
    assert not list(folder.rglob("*.tmp*"))
    search(folder)
    assert record_of(folder) == uncut
