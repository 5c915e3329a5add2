"""Leases of an oracle under a chief: workers that die, and that come back."""

import time

import pytest

from keras_evonas.project.record import End
from keras_evonas.project.record import SearchRecord
from tests.searches import oracle_in

pytestmark = pytest.mark.keras
_LONG = 1e9


@pytest.fixture
def oracle(tmp_path, monkeypatch):
    # Nobody looks after the leases meanwhile: the tests do.
    monkeypatch.setenv("KERAS_EVONAS_LEASE_SECONDS", "3600")
    return oracle_in(tmp_path / "p", max_trials=3)


def _end(oracle, trial, score=1.0):
    oracle.update_trial(trial.trial_id, {"score": score})
    trial.status = "COMPLETED"
    oracle.end_trial(trial)


def _later(oracle):
    oracle.end_leases(time.monotonic() + _LONG)


def test_a_silent_worker_loses_its_trial(oracle, capsys):
    lost = oracle.create_trial("dead-lane0")
    oracle.update_trial(lost.trial_id, {})
    oracle.end_leases()
    assert oracle.create_trial("alive-lane0").trial_id == "1"
    _later(oracle)
    assert "Nothing was heard of dead-lane0" in capsys.readouterr().out
    again = oracle.create_trial("other-lane0")
    assert again.trial_id == lost.trial_id
    assert again.hyperparameters.values == lost.hyperparameters.values


def test_a_lease_ends_though_nobody_asks(oracle, monkeypatch):
    monkeypatch.setenv("KERAS_EVONAS_LEASE_SECONDS", "0.05")
    lost = oracle.create_trial("dead-lane0")
    oracle.update_trial(lost.trial_id, {})
    deadline = time.monotonic() + 30
    while "dead-lane0" in oracle.ongoing_trials:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert oracle.create_trial("other-lane0").trial_id == lost.trial_id


def test_a_worker_without_signs_keeps_its_trial(oracle):
    kept = oracle.create_trial("plain")
    oracle.update_trial(oracle.create_trial("evo-lane0").trial_id, {})
    _later(oracle)
    assert oracle.ongoing_trials["plain"] is kept


def test_others_wait_for_what_may_be_left(oracle):
    for name in ("dead-lane0", "alive-lane0", "alive-lane1"):
        trial = oracle.create_trial(name)
        oracle.update_trial(trial.trial_id, {})
        if name != "dead-lane0":
            _end(oracle, trial)
    assert oracle.create_trial("alive-lane0").status == "IDLE"
    _later(oracle)
    trial = oracle.create_trial("alive-lane0")
    assert trial.trial_id == "0"
    _end(oracle, trial)
    for lane in range(2):
        assert oracle.create_trial(f"alive-lane{lane}").status == "STOPPED"
    # What the chief looks at before it ends.
    assert not oracle.ongoing_trials
    assert not oracle.tuner_ids


def test_a_worker_that_died_idle_keeps_nobody_waiting(oracle):
    for name in ("idle-lane0", "busy-lane0"):
        trial = oracle.create_trial(name)
        oracle.update_trial(trial.trial_id, {})
        _end(oracle, trial)
    last = oracle.create_trial("busy-lane0")
    oracle.update_trial(last.trial_id, {})
    _end(oracle, last)
    assert oracle.create_trial("busy-lane0").status == "STOPPED"
    assert oracle.tuner_ids == {"idle-lane0"}
    _later(oracle)
    assert not oracle.tuner_ids


def test_the_first_of_two_results_counts(oracle, tmp_path):
    slow = oracle.create_trial("slow-lane0")
    oracle.update_trial(slow.trial_id, {})
    _later(oracle)
    second = oracle.create_trial("second-lane0")
    assert second.trial_id == slow.trial_id
    _end(oracle, slow, score=2.0)
    _end(oracle, second, score=1.0)
    assert oracle.get_trial(slow.trial_id).score == 2.0
    ends = [
        event
        for event in SearchRecord(tmp_path / "p").read().events
        if isinstance(event, End)
    ]
    assert [(end.trial_id, end.score) for end in ends] == [("0", 2.0)]


def test_a_worker_that_outlived_its_chief_goes_on(oracle, tmp_path):
    trial = oracle.create_trial("worker-lane0")
    oracle.update_trial(trial.trial_id, {})
    chief = oracle_in(tmp_path / "p", max_trials=3)
    chief.reload()
    chief.update_trial(trial.trial_id, {})
    assert chief.create_trial("other-lane0").trial_id == "1"
    _end(chief, trial)
    assert chief.end_order == ["0"]
    assert list(chief.ongoing_trials) == ["other-lane0"]


@pytest.fixture
def new_chief(oracle, tmp_path, monkeypatch):
    """Returns a function that begins a chief anew, as keras-tuner does."""
    monkeypatch.setenv("KERASTUNER_TUNER_ID", "chief")
    monkeypatch.setenv("KERASTUNER_ORACLE_IP", "127.0.0.1")
    monkeypatch.setenv("KERASTUNER_ORACLE_PORT", "17099")

    def begin():
        oracle.release_folder()
        chief = oracle_in(tmp_path / "p", max_trials=3)
        chief.verbose = 1
        chief.reload()
        return chief

    return begin


@pytest.mark.parametrize("beats", [True, False])
def test_a_result_for_a_new_chief(oracle, new_chief, beats, capsys):
    trial = oracle.create_trial("worker-lane0")
    chief = new_chief()
    if beats:
        chief.update_trial(trial.trial_id, {})
    _end(chief, trial)
    assert chief.end_order == ["0"]
    assert not chief.ongoing_trials
    assert "Trial 1 Complete" in capsys.readouterr().out


def test_a_worker_that_dies_after_its_chief(oracle, new_chief):
    trial = oracle.create_trial("worker-lane0")
    chief = new_chief()
    chief.update_trial(trial.trial_id, {"score": 1.0})
    assert chief.create_trial("other-lane0").trial_id == "1"
    _later(chief)
    names = ("third-lane0", "fourth-lane0")
    again = [chief.create_trial(name).trial_id for name in names]
    assert sorted(again) == ["0", "1"]


@pytest.mark.parametrize("beats", [True, False])
@pytest.mark.parametrize("first", [0, 1])
def test_two_results_for_a_new_chief(oracle, new_chief, first, beats):
    trials = [oracle.create_trial("old-lane0")]
    chief = new_chief()
    trials.append(chief.create_trial("new-lane0"))
    assert trials[0].trial_id == trials[1].trial_id
    if beats:
        chief.update_trial(trials[0].trial_id, {})
    _end(chief, trials[first], score=2.0)
    _end(chief, trials[1 - first], score=1.0)
    assert chief.end_order == ["0"]
    assert chief.get_trial("0").score == 2.0
    assert chief.create_trial("new-lane0").trial_id == "1"
    assert chief.create_trial("old-lane0").trial_id == "2"


@pytest.mark.parametrize("text", ["0", "-1", "soon", "nan", "inf"])
def test_a_lease_that_is_none(oracle, text, monkeypatch):
    monkeypatch.setenv("KERAS_EVONAS_LEASE_SECONDS", text)
    trial = oracle.create_trial("worker-lane0")
    with pytest.raises(ValueError, match="KERAS_EVONAS_LEASE_SECONDS must be"):
        oracle.update_trial(trial.trial_id, {})
