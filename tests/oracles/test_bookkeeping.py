"""Errors in bookkeeping name the trial, leave no lock, and lose nothing."""

import errno
import functools
import os
import pathlib
import threading
from typing import Any

import keras_tuner
import numpy as np
import pytest

from keras_evonas import EvoOracle
from keras_evonas.evolution import random_search
from keras_evonas.project.files import WriteError
from keras_evonas.project.record import End
from keras_evonas.project.record import SearchRecord
from tests.searches import oracle_in
from tests.searches import space

pytestmark = pytest.mark.keras

_RANDOM: Any = type(random_search())


class _Forgetful(_RANDOM):
    """A strategy that fails at its second end."""

    ends = 0

    def absorb(self, state: Any, ended: Any) -> Any:
        type(self).ends += 1
        if type(self).ends == 2:
            raise LookupError("no such niche")
        return super().absorb(state, ended)


class _Scoring(EvoOracle):
    """An oracle whose user scores trials, the second one wrongly."""

    wrong: Any = None

    def score_trial(self, trial: Any) -> None:
        super().score_trial(trial)
        if trial.trial_id == "01":
            if isinstance(self.wrong, Exception):
                raise self.wrong
            trial.score = self.wrong


def _end(oracle: EvoOracle, trial: Any, score: Any = 1.0) -> None:
    oracle.update_trial(trial.trial_id, {"score": score})
    trial.status = "COMPLETED"
    oracle.end_trial(trial)


def _one_done(oracle: EvoOracle) -> Any:
    """Ends one trial, and returns the next."""
    _end(oracle, oracle.create_trial("tuner0"))
    return oracle.create_trial("tuner0")


def _ended(folder: pathlib.Path) -> list[str]:
    events = SearchRecord(folder).read().events
    return [event.trial_id for event in events if isinstance(event, End)]


def _goes_on(oracle: EvoOracle, trial_id: str) -> None:
    """Checks that any thread can end a trial and ask for the next."""

    def work() -> None:
        trial = oracle.create_trial("tuner0")
        assert trial.trial_id == trial_id
        _end(oracle, trial)
        done.append(oracle.create_trial("tuner0").trial_id)

    done: list[str] = []
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(timeout=30)
    assert done == [f"{int(trial_id) + 1:02d}"]


def test_a_chief_whose_disk_is_full_tells_its_workers_to_stop(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setenv("KERASTUNER_ORACLE_IP", "127.0.0.1")
    monkeypatch.setenv("KERASTUNER_TUNER_ID", "chief")
    oracle = oracle_in(tmp_path / "search")
    trial = oracle.create_trial("worker-lane0")
    monkeypatch.setattr(os, "write", full)
    monkeypatch.setattr(os, "replace", full)
    _end(oracle, trial)  # A worker in which it raised would not ask again.
    assert oracle.create_trial("worker-lane0").status == "STOPPED"
    assert isinstance(oracle.ended_by, WriteError)


@pytest.mark.parametrize("event", ["birth", "end"])
def test_a_full_disk_names_the_trial_that_was_not_saved(
    event: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    oracle = oracle_in(tmp_path / "search")
    trial = oracle.create_trial("tuner0")
    act = functools.partial(_end, oracle, trial)
    if event == "birth":
        act()
        act = functools.partial(oracle.create_trial, "tuner0")
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        with pytest.raises(WriteError) as raised:
            act()
    number = "01" if event == "birth" else "00"
    assert f"The {event} of trial '{number}' was not saved" in str(raised.value)
    assert "run the program again" in str(raised.value)
    assert raised.value.errno == errno.ENOSPC
    assert raised.value.filename.endswith("evolution.jsonl")
    _goes_on(oracle, number)
    assert len(_ended(tmp_path / "search")) == int(number) + 1


@pytest.mark.parametrize("score", ["high", None, [], 1j, np.array(["high"])])
def test_a_score_that_is_no_number_fails_its_trial(
    score: Any, tmp_path: pathlib.Path
) -> None:
    oracle = oracle_in(tmp_path / "search")
    trial = _one_done(oracle)
    with pytest.raises(
        ValueError, match=r"'score' of trial '01' must be a num"
    ):
        _end(oracle, trial, score)
    trial.status, trial.message = "FAILED", "as the tuner says"
    oracle.end_trial(trial)
    assert _ended(tmp_path / "search") == ["00", "01"]
    _goes_on(oracle, "02")


@pytest.mark.parametrize("score", [np.float32(0.5), np.array(0.5)])
def test_numbers_of_numpy_are_scores(
    score: Any, tmp_path: pathlib.Path
) -> None:
    oracle = oracle_in(tmp_path / "search")
    trial = oracle.create_trial("tuner0")
    oracle.update_trial(trial.trial_id, {"other": np.int64(3), "score": score})
    trial.status = "COMPLETED"
    oracle.end_trial(trial)
    again = oracle_in(tmp_path / "search")
    again.reload()
    assert again.get_best_trials()[0].score == 0.5


@pytest.mark.parametrize("wrong", [ArithmeticError("no log of 0"), None, "x"])
def test_what_a_users_score_trial_gets_wrong_names_the_trial(
    wrong: Any, tmp_path: pathlib.Path
) -> None:
    folder = tmp_path / "search"
    oracle = _Scoring(
        keras_tuner.Objective("score", "min"),
        max_trials=40,
        hyperparameters=space(),
        seed=0,
    )
    oracle._set_project_dir(str(tmp_path), "search")
    oracle.wrong = wrong
    trial = _one_done(oracle)
    with pytest.raises(RuntimeError, match="Trial '01' was not scored"):
        _end(oracle, trial)
    assert _ended(folder) == ["00"]
    oracle.wrong = 2.0
    _goes_on(oracle, "01")
    assert oracle.trials["01"].score == 2.0


def test_a_strategy_that_raises_names_the_end_and_keeps_it(
    tmp_path: pathlib.Path,
) -> None:
    _Forgetful.ends = 0
    strategy = _Forgetful()
    oracle = oracle_in(tmp_path / "search", strategy=strategy)
    trial = _one_done(oracle)
    with pytest.raises(
        RuntimeError, match="take the end of trial '01': Lookup"
    ):
        _end(oracle, trial)
    assert _ended(tmp_path / "search") == ["00", "01"]
    _Forgetful.ends = 0  # It is as wrong when the search is taken up again.
    with pytest.raises(ValueError, match="the end of trial '01', which does"):
        oracle.create_trial("tuner0")
    _Forgetful.ends = 2  # Now it is mended.
    _goes_on(oracle, "02")


def test_what_json_cannot_hold_names_the_trial(tmp_path: pathlib.Path) -> None:
    oracle = oracle_in(tmp_path / "search")
    trial = _one_done(oracle)
    trial.hyperparameters.values["kind"] = object()
    with pytest.raises(RuntimeError, match="The end of trial '01' was not sav"):
        _end(oracle, trial)
    assert _ended(tmp_path / "search") == ["00"]
    _goes_on(oracle, "01")
