"""Files that were cut off or replaced: it loads, or says what is wrong."""

import json
import os
import pathlib
import shutil

import pytest

from tests.faults.damage import TRIALS
from tests.faults.damage import is_kept
from tests.faults.damage import open_and_ask
from tests.searches import Search
from tests.searches import oracle_in

pytestmark = pytest.mark.keras

_STATE = ("oracle.json", "evolution.jsonl", "tuner0.json", "search.lock")
_OTHERS = (
    b"",
    b"{}",
    b"[]",
    b"null",
    b'"text"',
    b'{"a": 1}',
    b"[" * 3000,
    b'{"kind": "search", "version": 99}\n',
    b'{"space": [], "values": {}, "version": 99}',
    b"\xff\xfe\x00",
    b"not JSON\n",
)


@pytest.fixture(scope="module")
def uncut(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A folder in which six of eight trials have ended and one runs."""
    folder = tmp_path_factory.mktemp("damage") / "uncut"
    search = Search(folder, max_trials=TRIALS, failing=True, growing=True)
    for _ in range(6):
        search.step()
    search.ask()
    search.oracle.release_folder()
    (folder / "tuner0.json").write_text("{}")
    return folder


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


def _files(folder: pathlib.Path) -> list[pathlib.Path]:
    trials = sorted(folder.glob("trial_*/trial.json"))
    return [folder / name for name in _STATE] + trials


def _check(
    uncut: pathlib.Path, folder: pathlib.Path, name: str, content: bytes
) -> Exception | None:
    shutil.copytree(uncut, folder)
    path = folder / name
    path.write_bytes(content)
    error = open_and_ask(folder)
    where = f"{name} with {content[:60]!r}: {error!r}"
    # A lock says who searched last, the running trial's file is rewritten when
    # it ends, and the state of a search that goes on is, too.
    changes = ["search.lock", "trial_6/trial.json"]
    if name not in changes + ["oracle.json"] * (error is None):
        assert is_kept(content, path), where
    if error is not None:
        assert str(path) in str(error), where
    shutil.rmtree(folder)
    return error


def test_the_folder_itself_loads(
    uncut: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    content = (uncut / "oracle.json").read_bytes()
    assert _check(uncut, tmp_path / "p", "oracle.json", content) is None


@pytest.mark.slow
def test_every_file_cut_at_every_50th_byte(
    uncut: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    loaded = refused = 0
    for path in _files(uncut):
        name, content = str(path.relative_to(uncut)), path.read_bytes()
        for length in range(0, len(content), 50):
            error = _check(uncut, tmp_path / "p", name, content[:length])
            loaded, refused = loaded + (not error), refused + bool(error)
            # Without its space or its terms a search cannot go on; without
            # anything else it can.
            begun = b"\n" in content[:length] or name != "evolution.jsonl"
            expected = name == "oracle.json" or not begun
            assert bool(error) == expected, (name, length, error)
    assert loaded > 100
    assert refused > 20


@pytest.mark.parametrize("content", _OTHERS)
def test_every_file_replaced(
    content: bytes, uncut: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    for path in _files(uncut):
        _check(uncut, tmp_path / "p", str(path.relative_to(uncut)), content)


def test_files_of_other_trials(
    uncut: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    content = (uncut / "trial_1" / "trial.json").read_bytes()
    for number in range(6):
        name = f"trial_{number}/trial.json"
        assert _check(uncut, tmp_path / "p", name, content) is None


def test_what_lies_beyond_the_record_is_set_aside(
    uncut: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    folder = tmp_path / "p"
    shutil.copytree(uncut, folder)
    journal = folder / "evolution.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[:5]))
    before = {p: p.read_bytes() for p in folder.glob("trial_*/trial.json")}
    assert open_and_ask(folder) is None
    ended = [json.loads(line) for line in lines[:5]]
    known = {line["trial_id"] for line in ended if line["kind"] == "end"}
    for path, content in before.items():
        trial_id = path.parent.name.removeprefix("trial_")
        was_over = json.loads(content)["status"] in ("COMPLETED", "FAILED")
        aside = path.with_name("trial.json.damaged-1")
        assert aside.exists() == (was_over and trial_id not in known)
        assert is_kept(content, path) or not was_over


def test_a_newer_version_is_refused(
    uncut: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    folder = tmp_path / "p"
    shutil.copytree(uncut, folder)
    journal = folder / "evolution.jsonl"
    content = journal.read_bytes().replace(b'"version": 1', b'"version": 2', 1)
    journal.write_bytes(content)
    for act in (
        lambda oracle: oracle.reload(),
        lambda oracle: oracle.create_trial("tuner0"),
    ):
        with pytest.raises(ValueError, match="Update keras_evonas"):
            act(oracle_in(folder, max_trials=TRIALS))
    assert journal.read_bytes() == content
