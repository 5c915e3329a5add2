"""A search that was cut anywhere goes on as if it had not been."""

import os
import pathlib

import pytest

from keras_evonas.project.lock import LOCK_NAME
from keras_evonas.project.record import SearchRecord
from keras_evonas.project.record import Terms
from tests.marks import everyday
from tests.searches import STRATEGIES
from tests.searches import Search
from tests.searches import oracle_in

pytestmark = pytest.mark.keras

_TRIALS = 40
NAMES = [
    # Each proposal fits a Gaussian process.
    pytest.param(name, marks=[pytest.mark.slow] * name.startswith("screened"))
    for name in sorted(STRATEGIES)
]


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    # These tests cut no power.
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("every", [13, pytest.param(1, marks=pytest.mark.slow)])
def test_cut_after_any_run_proposes_the_same(
    name: str, every: int, tmp_path: pathlib.Path
) -> None:
    settings = {
        "strategy": STRATEGIES[name],
        "failing": True,
        "growing": True,
        "max_retries_per_trial": 1,
    }
    uncut = Search(tmp_path / "uncut", **settings)
    cuts = {}
    while uncut.step():
        after = len(uncut.runs)
        if after % every == 0:
            cuts[after] = uncut.cut(tmp_path / f"cut{after}")
    assert len(uncut.proposed) == _TRIALS
    assert {status for _, status in uncut.runs} == {
        "COMPLETED",
        "FAILED",
        "INVALID",
    }
    assert len(cuts) >= _TRIALS // every
    for after, cut in cuts.items():
        cut.finish()
        assert cut.proposed == uncut.proposed, f"cut after {after} runs"
        assert cut.runs == uncut.runs, f"cut after {after} runs"


@pytest.mark.parametrize(
    "name", everyday("genetic_algorithm", "screened_evolution", of=STRATEGIES)
)
def test_several_tuners_cut_every_time_propose_the_same(
    name: str, tmp_path: pathlib.Path
) -> None:
    settings = {
        "strategy": STRATEGIES[name],
        "failing": True,
        "growing": True,
        "max_retries_per_trial": 1,
        "tuners": 3,
    }
    uncut = Search(tmp_path / "uncut", **settings).finish()
    search = Search(tmp_path / "cut", **settings)
    while search.step():
        search = search.cut()
    assert search.proposed == uncut.proposed
    assert search.runs == uncut.runs
    assert len(uncut.proposed) == _TRIALS


def test_a_cut_while_a_trial_runs_gives_it_again(
    tmp_path: pathlib.Path,
) -> None:
    search = Search(tmp_path / "search")
    for _ in range(5):
        search.step()
    search.ask()
    (running,) = search.running.values()
    again = search.cut()
    again.ask()
    (trial,) = again.running.values()
    assert trial.trial_id == running.trial_id
    assert trial.hyperparameters.values == running.hyperparameters.values


def test_unfinished_trials_are_given_again_first_born_first(
    tmp_path: pathlib.Path,
) -> None:
    search = Search(tmp_path / "search", tuners=4)
    search.ask()
    again = search.cut()
    again.ask()
    assert list(again.running) == list(search.running)
    for tuner_id, trial in again.running.items():
        assert trial.trial_id == search.running[tuner_id].trial_id


def test_a_retried_trial_starts_clean(tmp_path: pathlib.Path) -> None:
    # The host averages the metrics of both runs, and keeps the old message.
    oracle = oracle_in(tmp_path / "search", max_retries_per_trial=1)
    trial = oracle.create_trial("tuner0")
    oracle.update_trial(trial.trial_id, {"score": 100.0})
    trial.status, trial.message = "INVALID", "out of memory"
    oracle.end_trial(trial)
    again = oracle.create_trial("tuner0")
    assert again.trial_id == trial.trial_id
    oracle.update_trial(again.trial_id, {"score": 1.0})
    again.status = "COMPLETED"
    oracle.end_trial(again)
    assert (again.score, again.message) == (1.0, None)


def test_trials_have_their_own_spaces_and_values_again(
    tmp_path: pathlib.Path,
) -> None:
    search = Search(tmp_path / "search", failing=True, growing=True).finish()
    again = search.cut().oracle
    again.reload()
    sizes = set()
    for trial_id, before in search.oracle.trials.items():
        trial = again.trials[trial_id]
        known, hp = before.hyperparameters, trial.hyperparameters
        assert trial.get_state() == before.get_state()
        assert list(map(repr, hp.space)) == list(map(repr, known.space))
        sizes.add(len(hp.space))
    assert len(sizes) > 1  # Some were born before the space grew.
    best, other = again.get_best_trials(2)
    best.hyperparameters.values["rate"] = None
    best.hyperparameters.Boolean("new")
    assert other.hyperparameters.values["rate"] is not None
    assert "new" not in other.hyperparameters.values


def test_elapsed_runs_and_results_survive(tmp_path: pathlib.Path) -> None:
    search = Search(tmp_path / "search", failing=True, growing=True).finish()
    again = search.cut().oracle
    again.reload()
    before = search.oracle
    assert list(again.trials) == list(before.trials)
    assert again.start_order == before.start_order
    assert again.end_order == before.end_order
    for trial_id, trial in before.trials.items():
        other = again.trials[trial_id]
        assert other.get_state() == trial.get_state()
        assert again.individual(trial_id) == before.individual(trial_id)
        assert again.lineage(trial_id) == before.lineage(trial_id)
    assert again.engine.state == before.engine.state
    best = [trial.trial_id for trial in before.get_best_trials(40)]
    assert [t.trial_id for t in again.get_best_trials(40)] == best


def test_initial_population_meets_a_grown_space_alike(
    tmp_path: pathlib.Path,
) -> None:
    # Genes that appear after the search began get their defaults, too.
    initial = [{"units": units} for units in (64, 8, 16, 24, 32)]
    settings = {"growing": True, "initial_population": initial}
    uncut = Search(tmp_path / "uncut", **settings)
    cuts = []
    while len(uncut.runs) < 8:
        uncut.step()
        cuts.append(uncut.cut(tmp_path / f"cut{len(cuts)}"))
    assert uncut.proposed["01"]["activation"] == "relu"
    for cut in cuts:
        while len(cut.runs) < 8:
            cut.step()
        assert cut.proposed == uncut.proposed


def test_the_state_is_saved_before_the_record_begins(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A record without a state cannot be taken up again.
    there = []
    begin = SearchRecord.begin

    def watched(self: SearchRecord, terms: Terms) -> None:
        there.append((tmp_path / "search" / "oracle.json").exists())
        begin(self, terms)

    monkeypatch.setattr(SearchRecord, "begin", watched)
    Search(tmp_path / "search", max_trials=1).finish()
    assert there == [True]


def test_new_genes_are_saved_before_the_first_trial_that_has_them(
    tmp_path: pathlib.Path,
) -> None:
    uncut = Search(tmp_path / "search", growing=True)
    space = uncut.oracle.hyperparameters.space
    known = len(space)
    while len(space) == known:
        assert uncut.step()
        space = uncut.oracle.hyperparameters.space
    again = uncut.cut().oracle  # killed before the tuner could save it
    again.reload()
    names = [entry.name for entry in again.hyperparameters.space]
    assert names == [entry.name for entry in space]


def test_reloading_reads_and_writes_nothing(tmp_path: pathlib.Path) -> None:
    # A report may look at a search that another process goes on with.
    search = Search(tmp_path / "search", tuners=2)
    for _ in range(6):
        search.step()
    search.ask()
    journal = tmp_path / "search" / "evolution.jsonl"
    with open(journal, "ab") as file:
        file.write(b'{"kind": "en')
    before = _contents(tmp_path)
    oracle_in(tmp_path / "search").reload()
    assert SearchRecord(tmp_path / "search").exists()
    assert _contents(tmp_path) == before


@pytest.mark.parametrize(("first", "then"), [(8, 14), (99, 105), (5, 40)])
def test_fact_6_a_longer_search_goes_on(
    first: int, then: int, tmp_path: pathlib.Path
) -> None:
    # The width of trial ids changes at powers of ten: "8", then "09".
    short = Search(tmp_path / "search", max_trials=first).finish()
    assert len(short.proposed) == first
    assert short.oracle.stop_reason == f"max_trials={first} reached"
    short.arguments["max_trials"] = then
    longer = short.cut().finish()
    assert [int(trial_id) for trial_id in longer.proposed] == list(range(then))
    values = [sorted(v.items()) for v in longer.proposed.values()]
    assert all(values.count(one) == 1 for one in values)
    again = longer.cut()
    again.oracle.reload()
    assert again.oracle.start_order == longer.oracle.start_order
    assert again.oracle.end_order == longer.oracle.end_order
    assert again.finish().proposed == longer.proposed


def test_a_longer_search_keeps_its_automatic_settings(
    tmp_path: pathlib.Path,
) -> None:
    search = Search(tmp_path / "search", max_trials=40)
    for _ in range(10):
        search.step()
    search.arguments["max_trials"] = 200
    longer = search.cut()
    longer.step()
    kept = longer.oracle.engine.strategy
    assert kept == search.oracle.engine.strategy


def test_a_shorter_search_stops(tmp_path: pathlib.Path) -> None:
    search = Search(tmp_path / "search", max_trials=12).finish()
    search.arguments["max_trials"] = 5
    shorter = search.cut().finish()
    assert shorter.proposed == search.proposed
    assert shorter.oracle.stop_reason == "max_trials=5 reached"


def _contents(folder: pathlib.Path) -> dict[str, bytes]:
    return {
        str(path): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != LOCK_NAME
    }
