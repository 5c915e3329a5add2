"""When a search stops, what it survives, and what it refuses."""

import json
import math
import os
import pathlib
import time
import types
import warnings
from typing import Any

import keras_tuner
import pytest

from keras_evonas import EvoOracle
from keras_evonas import at_most
from keras_evonas.commands import resume
from keras_evonas.commands.status import status_of
from keras_evonas.evolution import genetic_algorithm
from keras_evonas.evolution import random_search
from keras_evonas.evolution import successive_halving
from keras_evonas.oracles import limits
from keras_evonas.project.curves import curves_of
from keras_evonas.project.curves import write_curves
from keras_evonas.project.lock import LOCK_NAME
from keras_evonas.project.reading import load
from tests.searches import STRATEGIES
from tests.searches import Search
from tests.searches import loss_of
from tests.searches import oracle_in
from tests.searches import space

pytestmark = pytest.mark.keras


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    # These tests cut no power.
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


def _run(oracle: EvoOracle, *scores: float, step: int = 0) -> Any:
    trial = oracle.create_trial("tuner0")
    if trial.status != "RUNNING":
        return trial
    for score in scores:
        oracle.update_trial(trial.trial_id, {"score": score}, step=step)
    trial.status = "COMPLETED"
    oracle.end_trial(trial)
    return trial


def _fail(oracle: EvoOracle, message: str, status: str = "INVALID") -> Any:
    trial = oracle.create_trial("tuner0")
    trial.status, trial.message = status, message
    oracle.end_trial(trial)
    return trial


# Stopping.


@pytest.mark.parametrize("executions", [1, 3])
def test_epochs_of_all_executions_count_while_trials_run(tmp_path, executions):
    oracle = oracle_in(
        tmp_path / "p",
        strategy=successive_halving(genetic_algorithm(), max_epochs=9),
        max_total_epochs=9,
    )
    oracle.executions_per_trial = executions
    statuses = [oracle.create_trial(f"tuner{i}").status for i in range(12)]
    # Each has one epoch, that of the first rung.
    assert statuses.count("RUNNING") == 9 // executions


@pytest.mark.parametrize("number", [-1, "a", 2.5])
def test_numbers_of_trials_are_checked(tmp_path, number):
    oracle = oracle_in(tmp_path)
    for ask in (oracle.get_best_trials, oracle.get_recommended_trials):
        with pytest.raises((TypeError, ValueError), match="`num_trials` must"):
            ask(number)
    _run(oracle, 1.0)
    for name in ("nope", "7"):
        with pytest.raises(KeyError):
            oracle.individual(name)


class _Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(time, "monotonic", lambda: self.now)


def test_max_seconds_survive_a_resume(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = _Clock(monkeypatch)
    settings = {"max_trials": None, "max_seconds": 100}
    for search in range(3):  # 3 trials of 10 s each, and a long pause
        oracle = oracle_in(tmp_path / "search", **settings)
        for _ in range(3):
            trial = oracle.create_trial("tuner0")
            clock.now += 10
            oracle.update_trial(trial.trial_id, {"score": 1.0})
            trial.status = "COMPLETED"
            oracle.end_trial(trial)
        oracle.reload()  # counts nothing twice
        clock.now += 10_000 * (search + 1)
    oracle = oracle_in(tmp_path / "search", **settings)
    trial = oracle.create_trial("tuner0")
    assert trial.status == "RUNNING"  # at 90 s
    clock.now += 10
    oracle.update_trial(trial.trial_id, {"score": 1.0})
    trial.status = "COMPLETED"
    oracle.end_trial(trial)
    assert oracle.create_trial("tuner0").status == "STOPPED"
    assert oracle.stop_reason == "max_seconds=100 have passed"


def _in_full(oracle: EvoOracle, epochs: int | None, score: float = 1.0) -> Any:
    """Runs a trial whose tuner writes its learning curves."""
    trial = oracle.create_trial("tuner0")
    if trial.status != "RUNNING":
        return trial
    oracle.update_trial(trial.trial_id, {"score": score})
    if epochs is not None:
        folder = pathlib.Path(oracle._project_dir) / f"trial_{trial.trial_id}"
        folder.mkdir(exist_ok=True)
        write_curves(folder, [curves_of({"score": [score] * epochs})] * 2)
    trial.status = "COMPLETED"
    oracle.end_trial(trial)
    return trial


def test_epochs_end_a_search_and_survive_a_resume(
    tmp_path: pathlib.Path,
) -> None:
    # Two executions each: 6 epochs, 2 of a training that stopped itself, 4 of
    # one whose loss was never finite, and 6.
    runs = [(3, 1.0), (1, 1.0), (2, math.nan), (3, 1.0)]
    settings = {"max_trials": None, "max_total_epochs": 13}
    for cut_every in (1, 2, 100):
        folder = tmp_path / f"search{cut_every}"
        for index, run in enumerate(runs):
            if index % cut_every == 0:
                oracle = oracle_in(folder, **settings)
            _in_full(oracle, *run)
        assert len(oracle.end_order) == 4
        assert oracle.create_trial("tuner0").status == "STOPPED"
        assert oracle.stop_reason == "max_total_epochs=13 are trained"
        more = oracle_in(folder, **settings | {"max_total_epochs": 20})
        assert more.create_trial("tuner0").status == "RUNNING"
        assert load(folder).epochs == 9  # of one execution


def test_a_limit_on_epochs_needs_somebody_who_counts_them(
    tmp_path: pathlib.Path,
) -> None:
    settings = {"max_trials": None, "max_total_epochs": 13}
    oracle = oracle_in(tmp_path / "search", **settings)
    _in_full(oracle, 3)
    _in_full(oracle, None)
    for again in (oracle, oracle_in(tmp_path / "search", **settings)):
        with pytest.raises(ValueError, match="none from trial '0001'"):
            again.create_trial("tuner0")


def test_patience_survives_a_resume(tmp_path: pathlib.Path) -> None:
    # Losses: better at trials 0, 1 and 3; patience ends after 4, 5, 6, 7.
    losses = [5, 3, 4, 2, 2, 3, 9, 2, 1]
    for cut_every in (1, 2, 3, 100):
        folder = tmp_path / f"search{cut_every}"
        for index, loss in enumerate(losses):
            if index % cut_every == 0:
                oracle = oracle_in(folder, max_trials=None, patience=4)
            trial = _run(oracle, loss)
            assert trial.status == ("STOPPED" if index == 8 else "COMPLETED")
        reason = "no better trial in the last patience=4"
        assert oracle.stop_reason == reason


def test_patience_counts_failures(tmp_path: pathlib.Path) -> None:
    oracle = oracle_in(tmp_path / "search", max_trials=None, patience=3)
    _run(oracle, 1.0)
    _run(oracle, math.nan)
    _fail(oracle, "no memory")
    _run(oracle, 2.0)
    assert oracle.create_trial("tuner0").status == "STOPPED"


def test_the_reason_is_the_last_one(tmp_path: pathlib.Path) -> None:
    oracle = oracle_in(tmp_path / "search", max_trials=4, patience=1)
    pending = oracle.create_trial("other")
    _run(oracle, 2.0)
    _run(oracle, 3.0)
    assert oracle.create_trial("tuner0").status == "STOPPED"
    assert "patience" in str(oracle.stop_reason)
    oracle.update_trial(pending.trial_id, {"score": 1.0})
    pending.status = "COMPLETED"
    oracle.end_trial(pending)
    _run(oracle, 0.5)
    assert oracle.create_trial("tuner0").status == "STOPPED"
    assert oracle.stop_reason == "max_trials=4 reached"


def test_the_reason_is_printed(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hp = keras_tuner.HyperParameters()
    hp.Boolean("x")
    oracle = oracle_in(tmp_path / "search", hyperparameters=hp)
    oracle.verbose = 1
    for score in (1.0, 2.0, 3.0):
        _run(oracle, score)
    assert "Search stopped: space exhausted: 2 of 2." in capsys.readouterr().out


# Failures.


@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("direction", ["min", "max"])
def test_scores_that_are_no_numbers_are_worst(
    score: float, direction: str, tmp_path: pathlib.Path
) -> None:
    oracle = oracle_in(
        tmp_path / "search",
        objective=keras_tuner.Objective("score", direction),
        strategy=genetic_algorithm(population_size=4),
    )
    odd = set()
    for index in range(40):
        trial = _run(oracle, score if index % 3 == 0 else 1.0 + index % 2)
        if index % 3 == 0:
            odd.add(int(trial.trial_id))
            assert trial.status == "FAILED"
            assert "'score' was never finite" in trial.message
    _never_parents(oracle, odd)
    assert len(oracle.get_best_trials(40)) == 40 - len(odd)


@pytest.mark.parametrize("name", sorted(STRATEGIES))
def test_failed_trials_are_never_parents(
    name: str, tmp_path: pathlib.Path
) -> None:
    search = Search(
        tmp_path / "search", strategy=STRATEGIES[name], failing=True
    ).finish()
    failed = {int(t) for t, status in search.runs if status != "COMPLETED"}
    assert failed
    _never_parents(search.oracle, failed)
    for birth in failed:
        trial = search.oracle.get_trial(f"{birth:02d}")
        assert trial.status == "FAILED"
        assert trial.message == "out of memory"


def _never_parents(oracle: EvoOracle, births: set[int]) -> None:
    for trial_id in oracle.start_order:
        assert not births & set(oracle.individual(trial_id).parents)


def test_consecutive_failures_stop_and_are_saved(
    tmp_path: pathlib.Path,
) -> None:
    settings = {"max_consecutive_failed_trials": 3}
    oracle = oracle_in(tmp_path / "search", **settings)
    _fail(oracle, "first")
    _run(oracle, 1.0)
    _fail(oracle, "second", status="FAILED")
    _run(oracle, math.nan)
    with pytest.raises(RuntimeError, match="=3 trials in a row") as caught:
        _fail(oracle, "ran out of memory")
    assert "ran out of memory" in str(caught.value)
    assert oracle.ongoing_trials == {}
    again = oracle_in(tmp_path / "search", **settings)
    assert _run(again, 1.0).trial_id == "05"
    messages = [again.trials[t].message for t in ("00", "02", "04")]
    assert messages == ["first", "second", "ran out of memory"]


def test_a_trial_is_tried_again_as_often_as_asked(
    tmp_path: pathlib.Path,
) -> None:
    oracle = oracle_in(tmp_path / "search", max_retries_per_trial=2)
    ids = [_fail(oracle, f"run {run}").trial_id for run in range(3)]
    assert ids == ["00", "00", "00"]
    trial = oracle.trials["00"]
    assert (trial.status, trial.message) == ("FAILED", "run 2")
    # A trial that the user calls failed is not tried again.
    assert _fail(oracle, "oversized", status="FAILED").trial_id == "01"
    assert _run(oracle, 1.0).trial_id == "02"


# Bad arguments.


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        ({"max_trials": None}, ["max_trials=None", "Pass one of them"]),
        ({"max_trials": 0}, ["`max_trials`", "at least 1", "max_trials=0"]),
        ({"max_trials": 2.5}, ["`max_trials`", "2.5"]),
        ({"max_trials": True}, ["`max_trials`", "True"]),
        ({"patience": 0}, ["`patience`", "patience=0"]),
        ({"max_total_epochs": 0}, ["`max_total_epochs`", "=0"]),
        ({"max_total_epochs": 1.5}, ["`max_total_epochs`", "1.5"]),
        ({"max_total_epochs": True}, ["`max_total_epochs`", "True"]),
        ({"max_seconds": 0}, ["`max_seconds`", "max_seconds=0"]),
        ({"max_seconds": "1h"}, ["`max_seconds`", "'1h'"]),
        ({"max_seconds": math.inf}, ["`max_seconds`", "inf"]),
        ({"max_seconds": math.nan}, ["`max_seconds`", "nan"]),
        ({"seed": -1}, ["`seed`", "seed=-1"]),
        ({"seed": 0.5}, ["`seed`", "seed=0.5"]),
        ({"seed": "0"}, ["`seed`", "seed='0'"]),
        ({"max_retries_per_trial": -1}, ["`max_retries_per_trial`", "=-1"]),
        (
            {"max_consecutive_failed_trials": 0},
            ["`max_consecutive_failed_trials`", "=0"],
        ),
        (
            {"objective": keras_tuner.Objective("loss", "minimum")},
            ["`objective`", "'minimum'", "direction='min'"],
        ),
    ],
)
def test_arguments_out_of_range(
    arguments: dict[str, Any], parts: list[str]
) -> None:
    with pytest.raises(ValueError, match="`") as caught:
        EvoOracle(**{"objective": "val_loss", "max_trials": 10, **arguments})
    assert all(part in str(caught.value) for part in parts)


@pytest.mark.parametrize(
    "strategy", ["genetic_algorithm", genetic_algorithm, 3, object()]
)
def test_arguments_that_are_no_strategy(strategy: Any) -> None:
    with pytest.raises(TypeError, match="`strategy` must be a strategy"):
        EvoOracle("val_loss", 10, strategy=strategy)


@pytest.mark.parametrize(
    "arguments",
    [
        {"population_size": 0},
        {"population_size": 4, "tournament_size": 5},
        {"crossover_rate": 2.0},
    ],
)
def test_sizes_that_do_not_fit(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="Received: ") as caught:
        genetic_algorithm(**arguments)
    for name, value in arguments.items():
        assert f"{name}={value}" in str(caught.value)


def test_a_space_without_hyperparameters(tmp_path: pathlib.Path) -> None:
    empty = keras_tuner.HyperParameters()
    oracle = oracle_in(tmp_path / "search", hyperparameters=empty)
    _run(oracle, 1.0)  # it might have asked for some while it ran
    for _ in range(2):
        with pytest.raises(ValueError, match="must have hyperparameters"):
            oracle.create_trial("tuner0")


def test_a_space_that_can_never_have_hyperparameters(
    tmp_path: pathlib.Path,
) -> None:
    for name in ("allow_new_entries", "tune_new_entries"):
        oracle = oracle_in(
            tmp_path / name,
            hyperparameters=keras_tuner.HyperParameters(),
            **{name: False},
        )
        with pytest.raises(ValueError, match="must have hyperparameters"):
            oracle.create_trial("tuner0")
    files = [p.name for p in tmp_path.rglob("*") if p.is_file()]
    assert set(files) <= {LOCK_NAME}


def test_entries_that_are_not_tuned_keep_their_defaults(
    tmp_path: pathlib.Path,
) -> None:
    search = Search(
        tmp_path / "search", tune_new_entries=False, growing=True
    ).finish()
    assert search.cut().finish().proposed == search.proposed
    for trial in search.oracle.trials.values():
        assert trial.hyperparameters.values.get("dropout", 0.0) == 0.0
    assert len(search.oracle.hyperparameters.space) == len(space().space)


# Folders that hold another search.


def _other_space() -> keras_tuner.HyperParameters:
    hp = keras_tuner.HyperParameters()
    for entry in space().space:
        if entry.name == "units":
            hp.Int("units", 8, 128, step=8)
        else:
            hp.merge([entry])
    return hp


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        ({"seed": 1}, ["`seed` was 0 and is now 1"]),
        (
            {"objective": keras_tuner.Objective("score", "max")},
            ["`objective` was", "'min'", "'max'"],
        ),
        ({"strategy": random_search()}, ["`strategy` was", "RandomSearch()"]),
        ({"initial_population": ["default"]}, ["`initial_population`"]),
        (
            {"hyperparameters": _other_space()},
            ["'units' was", "max_value: 64", "max_value: 128"],
        ),
    ],
)
@pytest.mark.parametrize("way", ["reload", "create_trial"])
def test_fact_7_a_changed_search_is_refused(
    change: dict[str, Any], parts: list[str], way: str, tmp_path: pathlib.Path
) -> None:
    search = Search(tmp_path / "search", max_trials=6).finish()
    before = _contents(tmp_path)
    oracle = oracle_in(tmp_path / "search", **{"max_trials": 9, **change})
    with pytest.raises(ValueError, match="differs from this one") as caught:
        oracle.reload() if way == "reload" else oracle.create_trial("tuner0")
    parts = [*parts, "overwrite=True", "project_name", str(tmp_path)]
    assert all(part in str(caught.value) for part in parts)
    assert _contents(tmp_path) == before
    search.arguments["max_trials"] = 9
    assert len(search.cut().finish().proposed) == 9


def test_fact_7_a_range_that_changes_in_the_model_is_refused(
    tmp_path: pathlib.Path,
) -> None:
    empty = keras_tuner.HyperParameters()
    settings = {"max_trials": 9, "hyperparameters": empty}
    oracle = oracle_in(tmp_path / "search", **settings)
    first = oracle.create_trial("tuner0")
    first.hyperparameters.Int("units", 0, 1000)
    oracle.update_trial(first.trial_id, {"score": 1.0})
    first.status = "COMPLETED"
    oracle.end_trial(first)
    oracle.create_trial("tuner0")
    again = oracle_in(tmp_path / "search", **settings)
    again.reload()
    for _ in range(2):  # the trial that was cut, and a new one
        trial = again.create_trial("tuner0")
        with pytest.raises(keras_tuner.errors.FatalError, match="'units' was"):
            trial.hyperparameters.Int("units", 0, 5)
        trial.status = "FAILED"
        again.end_trial(trial)


def test_the_seed_of_the_folder_goes_on_when_none_is_given(
    tmp_path: pathlib.Path,
) -> None:
    uncut = Search(tmp_path / "uncut", seed=7).finish()
    search = Search(tmp_path / "search", seed=7)
    for _ in range(10):
        search.step()
    search.arguments["seed"] = None
    assert search.cut().finish().proposed == uncut.proposed


def test_a_strategy_without_a_representation_can_resume(
    tmp_path: pathlib.Path,
) -> None:
    class Mine(type(random_search())):
        __repr__ = object.__repr__

    search = Search(tmp_path / "search", strategy=Mine(), max_trials=5)
    search.step()
    search.arguments["strategy"] = Mine()
    assert len(search.cut().finish().proposed) == 5


def test_a_folder_of_another_oracle_is_refused(tmp_path: pathlib.Path) -> None:
    host = keras_tuner.oracles.RandomSearchOracle(
        keras_tuner.Objective("score", "min"),
        max_trials=5,
        hyperparameters=space(),
        seed=1,
    )
    host.verbose = 0
    host._set_project_dir(tmp_path, "search")
    trial = host.create_trial("tuner0")
    host.update_trial(trial.trial_id, {"score": 1.0})
    trial.status = "COMPLETED"
    host.end_trial(trial)
    before = _contents(tmp_path)
    oracle = oracle_in(tmp_path / "search")
    for method in (oracle.reload, lambda: oracle.create_trial("tuner0")):
        with pytest.raises(ValueError, match="of another oracle"):
            method()
    assert _contents(tmp_path) == before


@pytest.mark.parametrize("content", ["", "[1]", '{"a": 1}', '{"start_ord'])
def test_a_foreign_state_file_is_refused(
    content: str, tmp_path: pathlib.Path
) -> None:
    (tmp_path / "search").mkdir()
    (tmp_path / "search" / "oracle.json").write_text(content)
    before = _contents(tmp_path)
    oracle = oracle_in(tmp_path / "search")
    for method in (oracle.reload, lambda: oracle.create_trial("tuner0")):
        with pytest.raises(ValueError, match="Pass `overwrite=True`"):
            method()
    assert _contents(tmp_path) == before


def test_a_tuner_that_was_saved_before_its_first_trial_begins(
    tmp_path: pathlib.Path,
) -> None:
    # A chief saves itself first; its worker may have shown it the space.
    oracle_in(tmp_path / "search").save()
    empty = keras_tuner.HyperParameters()
    oracle = oracle_in(tmp_path / "search", hyperparameters=empty)
    oracle.reload()
    assert _run(oracle, 1.0).hyperparameters.values.keys() >= {"kind", "units"}


@pytest.mark.parametrize("content", [b"", b'{"trial_id": "3", ', b"[1]"])
def test_a_damaged_trial_file_is_restored_and_kept(
    content: bytes, tmp_path: pathlib.Path
) -> None:
    # A power cut may leave an empty one; a kill never does.
    search = Search(tmp_path / "search", max_trials=6).finish()
    path = tmp_path / "search" / "trial_3" / "trial.json"
    path.write_bytes(content)
    oracle = search.cut().oracle
    with pytest.warns(UserWarning, match=r"trial\.json' must hold"):
        oracle.reload()
    restored, before = oracle.trials["3"], search.oracle.trials["3"]
    assert restored.score == before.score
    assert restored.metrics.get_config() == before.metrics.get_config()
    assert restored.hyperparameters.values == before.hyperparameters.values
    assert path.read_bytes() == content  # Somebody else may be searching.
    with pytest.warns(UserWarning, match=r"kept as 'trial\.json\.damaged-1'"):
        assert oracle.create_trial("tuner0").status == "STOPPED"
    assert not path.exists()
    assert path.with_name("trial.json.damaged-1").read_bytes() == content


@pytest.mark.parametrize("status", ["RUNNING", "INVALID"])
def test_a_trial_cut_between_its_record_and_its_file_keeps_its_metrics(
    status: str, tmp_path: pathlib.Path
) -> None:
    search = Search(tmp_path / "search", max_trials=6).finish()
    before = search.oracle.trials["3"].metrics.get_config()
    metrics = load(tmp_path / "search").trial("3").metrics
    path = tmp_path / "search" / "trial_3" / "trial.json"
    state = json.loads(path.read_text())
    # It is written after the line of the record; that of a run that was sent
    # to be tried again has the metrics of another network.
    state.update(status=status, score=None)
    state["metrics"]["metrics"]["loss"] = {
        "direction": "min",
        "observations": [{"value": [9.0], "step": 0}],
    }
    path.write_text(json.dumps(state))
    oracle = search.cut().oracle
    oracle.reload()
    assert oracle.trials["3"].metrics.get_config() == before
    found = load(tmp_path / "search").trial("3").metrics
    assert found == metrics


@pytest.mark.parametrize(
    ("limit", "reason"),
    [
        ({"max_trials": 5}, "max_trials=5 reached"),
        (
            {"max_trials": 50, "patience": 3},
            "no better trial in the last patience=3",
        ),
    ],
)
def test_status_says_why_a_search_has_ended(
    limit: dict[str, int],
    reason: str,
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = tmp_path / "search"
    search = Search(folder, **limit)
    search.step()
    assert "Finished" not in status_of(str(folder))
    resume.main(str(folder))
    assert "Finished" not in capsys.readouterr().out
    search.finish()
    assert status_of(str(folder)).startswith(f"Finished: {reason}.")
    resume.main(str(folder))
    said = capsys.readouterr().out.splitlines()
    assert said[:2] == [
        f"Finished: {reason}.",
        "It goes on if its limits are raised.",
    ]
    # A longer search goes on, and has not ended.
    more = Search(folder, max_trials=60)
    more.oracle.reload()
    more.step()
    more.oracle.release_folder()
    assert load(folder).stopped is None


def test_the_record_is_plain_json(tmp_path: pathlib.Path) -> None:
    Search(tmp_path / "search", failing=True, growing=True).finish()
    lines = (tmp_path / "search" / "evolution.jsonl").read_text().splitlines()
    kinds = [json.loads(line)["kind"] for line in lines]
    assert kinds == ["search"] + ["birth", "end"] * 40


def test_scores_are_those_reported(tmp_path: pathlib.Path) -> None:
    search = Search(tmp_path / "search").finish()
    for trial in search.oracle.trials.values():
        assert trial.score == loss_of(trial.hyperparameters.values)


def _contents(folder: pathlib.Path) -> dict[str, bytes]:
    return {
        str(path): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != LOCK_NAME
    }


def test_only_the_time_of_costs_is_spent_in_vain(monkeypatch):
    clock = 0.0

    def costs(genome):
        nonlocal clock
        clock += 6.0
        return {"params": genome["units"]}

    timer = types.SimpleNamespace(perf_counter=lambda: clock)
    monkeypatch.setattr(limits, "time", timer)
    few = at_most("params", 0)
    judge = limits.Feasibility(costs, (few,), None, (), lambda genome: genome)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for units in (1, 1, 2):
            judge.violation_of({"units": units})
            clock += 1000.0  # A training.
    with pytest.warns(UserWarning, match="For 15 seconds no network"):
        judge.violation_of({"units": 3})
