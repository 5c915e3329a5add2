"""The record of a search, and what a kill may leave of it."""

import json
import math
import os
import pathlib
from typing import Any

import pytest

from keras_evonas.evolution import Individual
from keras_evonas.project.journal import JOURNAL_NAME
from keras_evonas.project.record import End
from keras_evonas.project.record import SearchRecord
from keras_evonas.project.record import Terms


def _terms(**changes: Any) -> Terms:
    settings = {
        "seed": 0,
        "objective": [["score", "min"]],
        "strategy": "RandomSearch()",
        "initial_population": [{"x": 0.1 + 0.2}],
        "max_trials": None,
    }
    return Terms(**{**settings, **changes})


def _individual(birth: int) -> Individual:
    return Individual(
        birth=birth,
        genome={"a": True, "b": 1, "c": 0.1 / 3, "d": "ü"},
        parents=(0, 1)[:birth],
        operator="block+step",
        traits={"mutation_rate": 1 / 3},
        rung=birth,
    )


def _end(trial_id: str, status: str = "COMPLETED", **changes: Any) -> End:
    settings = {
        "score": 0.1,
        "best_step": 3,
        "message": None,
        "values": {"a": True, "b": 1, "c": 0.1 / 3, "d": "ü"},
        "elapsed": 1.5,
    }
    return End(trial_id=trial_id, status=status, **{**settings, **changes})


def _written(folder: pathlib.Path) -> SearchRecord:
    record = SearchRecord(folder)
    record.begin(_terms())
    record.birth("0", _individual(0))
    record.end(_end("0", "INVALID", message="line\nbreak"))
    record.birth("1", _individual(1))
    record.end(_end("0"))
    record.end(_end("1", "FAILED", score=math.inf))
    return record


def test_a_run_trial_may_keep_what_it_likes(tmp_path: pathlib.Path) -> None:
    record = SearchRecord(tmp_path)
    record.begin(_terms())
    record.birth("0", _individual(0))
    end = _end("0", values={"a": True, "note": [1, {"b": None}]})
    record.end(end)
    assert record.read().events[-1] == end
    assert record.salvage()[1] == 0


def test_round_trip(tmp_path: pathlib.Path) -> None:
    entries = _written(tmp_path).read()
    assert entries.terms == _terms()
    assert entries.events == [
        ("0", _individual(0)),
        _end("0", "INVALID", message="line\nbreak"),
        ("1", _individual(1)),
        _end("0"),
        _end("1", "FAILED", score=math.inf),
    ]
    for _, individual in (entries.events[0], entries.events[2]):
        types = [type(value) for value in individual.genome.values()]
        assert types == [bool, int, float, str]


def test_cut_at_every_byte(tmp_path: pathlib.Path) -> None:
    record = _written(tmp_path)
    path, events = tmp_path / JOURNAL_NAME, record.read().events
    content = path.read_bytes()
    for length in range(content.index(b"\n") + 1, len(content) + 1):
        path.write_bytes(content[:length])
        whole = content[:length].count(b"\n") - 1
        assert record.read().events == events[:whole]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ({"kind": "other", "version": 1}, "not a record of a search"),
        ({"kind": "search"}, "not a record of a search"),
        ({"kind": "search", "version": "1"}, "not a record of a search"),
        ({"kind": "search", "version": 2}, "Update keras_evonas"),
        ({"kind": "search", "version": 1}, "Line 1 of"),
        ({"kind": "search", "version": 1, "seed": 0, "x": 1}, "Line 1 of"),
    ],
)
def test_a_foreign_first_line(
    line: dict[str, Any], message: str, tmp_path: pathlib.Path
) -> None:
    path = tmp_path / JOURNAL_NAME
    path.write_text(json.dumps(line) + "\n")
    before = path.read_bytes()
    with pytest.raises(ValueError, match=message) as caught:
        SearchRecord(tmp_path).read()
    assert "Nothing was changed" in str(caught.value)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "line",
    [
        {"kind": "death"},
        {"kind": "birth"},
        {"kind": "birth", "trial_id": "2", "parents": [], "colour": "red"},
        {"kind": "birth", "trial_id": "2", "parents": None},
        {"kind": "end", "trial_id": "1"},
    ],
)
def test_a_foreign_line(line: dict[str, Any], tmp_path: pathlib.Path) -> None:
    record = _written(tmp_path)
    with open(tmp_path / JOURNAL_NAME, "a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
    with pytest.raises(ValueError, match="Line 7 of"):
        record.read()


@pytest.mark.parametrize("mistake", ["twice", "skipped", "ended", "unborn"])
def test_lines_of_two_programs(mistake: str, tmp_path: pathlib.Path) -> None:
    record = _written(tmp_path)
    if mistake == "twice":
        record.birth("1", _individual(1))
    elif mistake == "skipped":
        record.birth("3", _individual(3))
    else:
        record.end(_end("1" if mistake == "ended" else "2"))
    with pytest.raises(ValueError, match="Two programs may have searched"):
        record.read()


def test_differences_of_terms() -> None:
    terms = _terms()
    assert terms.differences(_terms(max_trials=9), seed_given=True) == []
    other = _terms(seed=1, strategy="Other()")
    assert terms.differences(other, seed_given=False) == [
        "`strategy` was RandomSearch() and is now Other()"
    ]
    assert terms.differences(other, seed_given=True)[1:] == [
        "`seed` was 0 and is now 1"
    ]


@pytest.mark.keras
def test_the_record_names_the_worker(tmp_path: pathlib.Path) -> None:
    from tests.searches import Search

    Search(tmp_path, tuners=2, max_trials=4).finish()
    ends = [e for e in SearchRecord(tmp_path).read().events if type(e) is End]
    assert {end.worker for end in ends} == {"tuner0", "tuner1"}


@pytest.mark.slow
@pytest.mark.keras
def test_search_cut_at_every_byte_of_the_last_lines(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.searches import Search

    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    uncut = Search(tmp_path / "uncut", max_trials=9).finish()
    search = Search(tmp_path / "search", max_trials=9)
    for _ in range(7):
        search.step()
    path = tmp_path / "search" / JOURNAL_NAME
    content = path.read_bytes()
    lines = content.splitlines(keepends=True)
    last_end = len(content) - len(lines[-1])
    last_birth = last_end - len(lines[-2])
    # It is written after the record.
    (tmp_path / "search" / "trial_6" / "trial.json").unlink()
    for length in range(last_birth, len(content)):
        path.write_bytes(content[:length])
        oracle = search.cut().oracle
        oracle.reload()
        assert oracle.end_order == list("012345")
        born = "0123456" if length >= last_end else "012345"
        assert oracle.start_order == list(born)
        trial = oracle.create_trial("tuner0")
        assert trial.trial_id == "6"
        assert trial.hyperparameters.values == uncut.proposed["6"]
