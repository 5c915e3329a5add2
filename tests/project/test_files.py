"""Files that a kill cannot halve, and the journal."""

import json
import os
import pathlib

import pytest

from keras_evonas.project.files import read_json
from keras_evonas.project.files import write_json
from keras_evonas.project.journal import JOURNAL_NAME
from keras_evonas.project.journal import Journal


def _journal(folder: pathlib.Path, entries: int = 3) -> Journal:
    journal = Journal(folder / JOURNAL_NAME)
    for number in range(entries):
        journal.append("entry", {"number": number, "text": "ü\n\0"})
    return journal


def test_json_is_written_as_a_whole(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "state.json"
    write_json(path, {"a": 1})

    def kill(*arguments: object) -> None:
        raise KeyboardInterrupt

    for cut in ("fsync", "replace"):
        monkeypatch.setattr(os, cut, kill)
        with pytest.raises(KeyboardInterrupt):
            write_json(path, {"a": 2})
        assert read_json(path) == {"a": 1}
        monkeypatch.undo()
    write_json(path, {"a": 2}, durable=False)
    assert read_json(path) == {"a": 2}


def test_what_json_cannot_hold_leaves_the_file(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "state.json"
    write_json(path, {"a": 1})
    with pytest.raises(TypeError):
        write_json(path, {"a": object()})
    assert read_json(path) == {"a": 1}


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"1", b"\xff\xfe{}"])
def test_foreign_json_is_refused(
    content: bytes, tmp_path: pathlib.Path
) -> None:
    path = tmp_path / "state.json"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="must hold a JSON object") as caught:
        read_json(path)
    assert str(path) in str(caught.value)
    assert path.read_bytes() == content


def test_a_missing_file_is_named(tmp_path: pathlib.Path) -> None:
    with pytest.raises(ValueError, match=r"state\.json' must hold"):
        read_json(tmp_path / "state.json")


def test_journal_gives_back_what_it_was_given(tmp_path: pathlib.Path) -> None:
    journal = Journal(tmp_path / JOURNAL_NAME)
    assert not journal.exists()
    assert _journal(tmp_path).exists()
    assert journal.entries() == [
        {"kind": "entry", "number": number, "text": "ü\n\0"}
        for number in range(3)
    ]


def test_journal_cut_at_every_byte(tmp_path: pathlib.Path) -> None:
    journal = _journal(tmp_path)
    entries, content = journal.entries(), journal.path.read_bytes()
    for length in range(len(content) + 1):
        journal.path.write_bytes(content[:length])
        whole = content[:length].count(b"\n")
        assert journal.exists() == (whole > 0)
        assert journal.entries() == entries[:whole]
        assert journal.path.read_bytes() == content[:length]
        journal.repair()
        journal.append("entry", {"number": 9})
        assert [one["number"] for one in journal.entries()] == [
            *range(whole),
            9,
        ]


def test_zeros_of_a_power_cut_are_removed(tmp_path: pathlib.Path) -> None:
    journal = _journal(tmp_path)
    before = journal.path.read_bytes()
    for rest in (b"\0\0\0", b'{"kind": "ent\0\0'):
        journal.path.write_bytes(before + rest)
        journal.repair()
        assert journal.path.read_bytes() == before


@pytest.mark.parametrize("content", [b'{"a": 1}', b"hello", b"1\n2"])
def test_a_foreign_file_without_an_end_is_kept(
    content: bytes, tmp_path: pathlib.Path
) -> None:
    path = tmp_path / JOURNAL_NAME
    path.write_bytes(content)
    with pytest.raises(ValueError, match="Nothing was changed"):
        Journal(path).repair()
    assert path.read_bytes() == content


@pytest.mark.parametrize("line", ["hello", "[1]", '{"a": 1}', "", '{"kind": '])
def test_a_foreign_line_is_named(line: str, tmp_path: pathlib.Path) -> None:
    journal = _journal(tmp_path)
    with open(journal.path, "a", encoding="utf-8") as file:
        file.write(line + "\n")
    before = journal.path.read_bytes()
    with pytest.raises(ValueError, match="Line 4 of") as caught:
        journal.entries()
    assert repr(line + "\n") in str(caught.value)
    assert journal.path.read_bytes() == before


def test_a_write_in_pieces_is_finished(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A call may write less than it was given.
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, text: write(fd, text[:5]))
    assert len(_journal(tmp_path).entries()) == 3


def test_only_durable_entries_wait_for_the_disk(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[int] = []
    monkeypatch.setattr(os, "fsync", waited.append)
    journal = _journal(tmp_path, entries=2)
    assert len(waited) == 3  # The file's name is to be there, too.
    journal.append("entry", {}, durable=False)
    write_json(tmp_path / "x.json", {}, durable=False)
    assert len(waited) == 3
    assert json.loads((tmp_path / "x.json").read_text()) == {}
