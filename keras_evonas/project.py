"""The project folder: writes that a kill cannot halve, and the journal.

keras-tuner keeps a folder for each search. Whatever this package adds to it or
writes in the host's place goes through this module, so that a kill at any
instruction leaves a folder that loads. JSON only: opening somebody's project
runs no code.
"""

import json
import os
import pathlib
from collections.abc import Iterator
from typing import Any

JOURNAL_NAME = "evolution.jsonl"


def write_json(path: str | os.PathLike[str], payload: Any) -> None:
    """Writes a JSON file completely or not at all, and durably.

    Args:
        path: Where to write. The folder must exist.
        payload: What `json.dumps` takes.
    """
    path = pathlib.Path(path)
    temporary = path.with_name(path.name + ".tmp")
    with open(temporary, "w", encoding="utf-8") as file:
        file.write(json.dumps(payload))
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


class Journal:
    """An append-only file of JSON objects, one a line.

    A kill in the middle of an append leaves a last line without its end; it
    is dropped when the journal is read, as if the append had not begun.

    Args:
        path: The file. It need not exist.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = pathlib.Path(path)

    def salvage(self) -> tuple[list[dict[str, Any]], int]:
        """Reads what can be read, whatever the rest is, and changes nothing.

        Returns:
            The entries in their order, and the number of lines that are none.
        """
        entries, damaged = [], 0
        for line in self._lines():
            try:
                entry = json.loads(line)
            except ValueError:
                entry = None
            if isinstance(entry, dict):
                entries.append(entry)
            else:
                damaged += 1
        return entries, damaged

    def exists(self) -> bool:
        """Whether anything was ever appended."""
        return self.path.exists() and bool(next(self._lines(), None))

    def append(self, entry: dict[str, Any]) -> None:
        """Adds an entry and waits until it is on the disk."""
        descriptor = os.open(
            self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644
        )
        try:
            _write_all(descriptor, (json.dumps(entry) + "\n").encode())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def read(self) -> list[dict[str, Any]]:
        """Returns all entries in their order.

        Raises:
            ValueError: If a whole line is not a JSON object.
        """
        entries = []
        for number, line in enumerate(self._lines(), start=1):
            try:
                entry = json.loads(line)
            except ValueError:
                entry = None
            if not isinstance(entry, dict):
                raise ValueError(
                    f"Line {number} of '{self.path}' must be a JSON object. "
                    f"Received: {line[:80]!r}. The file is damaged or belongs "
                    "to another program; nothing was changed. Restore it, or "
                    "search under another `project_name`."
                )
            entries.append(entry)
        return entries

    def repair(self) -> None:
        """Cuts off what a kill left of an unfinished append."""
        if not self.path.exists():
            return
        with open(self.path, "rb+") as file:
            content = file.read()
            whole = content.rfind(b"\n") + 1
            if whole < len(content):
                file.truncate(whole)

    def _lines(self) -> Iterator[str]:
        with open(self.path, encoding="utf-8", errors="replace") as file:
            for line in file:
                if line.endswith("\n"):
                    yield line


def _write_all(descriptor: int, content: bytes) -> None:
    while content:
        content = content[os.write(descriptor, content) :]
