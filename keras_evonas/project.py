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
from collections.abc import Mapping
from typing import Any

JOURNAL_NAME = "evolution.jsonl"

# The way out of an error about a folder that is already in use.
WAY_OUT = (
    "Nothing was changed. Pass `overwrite=True` to the tuner to begin anew, "
    "or another `project_name` to keep both."
)
# What each line of a journal begins with.
_OPENING = b'{"kind": "'


def write_json(
    path: str | os.PathLike[str], payload: Any, *, durable: bool = True
) -> None:
    """Writes a JSON file completely or not at all.

    Args:
        path: Where to write. The folder must exist.
        payload: What `json.dumps` takes.
        durable: Boolean, whether to wait until it is on the disk. Otherwise a
            power cut, though no kill, may leave an empty file. Defaults to
            `True`.
    """
    path = pathlib.Path(path)
    temporary = path.with_name(path.name + ".tmp")
    with open(temporary, "w", encoding="utf-8") as file:
        file.write(json.dumps(payload))
        if durable:
            file.flush()
            os.fsync(file.fileno())
    os.replace(temporary, path)


def read_json(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Reads a JSON object.

    Raises:
        ValueError: If the file is missing or holds something else.
    """
    try:
        with open(path, encoding="utf-8") as file:
            content = json.load(file)
    except (FileNotFoundError, ValueError) as error:
        raise ValueError(
            f"'{path}' must hold a JSON object. Received: {error!r}. The file "
            "is lost, damaged or of another program. Restore it. " + WAY_OUT
        ) from error
    if not isinstance(content, dict):
        raise ValueError(
            f"'{path}' must hold a JSON object. Received: "
            f"{str(content)[:80]!r}. It is a file of another program. "
            + WAY_OUT
        )
    return content


class Journal:
    """An append-only file of JSON objects with a `"kind"`, one a line.

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

    def append(
        self, kind: str, fields: Mapping[str, Any], *, durable: bool = True
    ) -> None:
        """Adds an entry.

        Args:
            kind: String, the kind of the entry.
            fields: Mapping, the rest of it.
            durable: Boolean, whether to wait until it and all entries before
                are on the disk, safe from a power cut. Defaults to `True`.
        """
        entry = {"kind": kind, **fields}
        descriptor = os.open(
            self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644
        )
        try:
            _write_all(descriptor, (json.dumps(entry) + "\n").encode())
            if durable:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def read(self) -> list[dict[str, Any]]:
        """Returns all entries in their order.

        Raises:
            ValueError: If a whole line is not an entry.
        """
        entries = []
        for number, line in enumerate(self._lines(), start=1):
            try:
                entry = json.loads(line)
            except ValueError:
                entry = None
            if not isinstance(entry, dict) or "kind" not in entry:
                raise ValueError(
                    f"Line {number} of '{self.path}' must be a JSON object "
                    f"with a kind. Received: {line[:80]!r}. The file is "
                    f"damaged or of another program. Restore it. {WAY_OUT}"
                )
            entries.append(entry)
        return entries

    def repair(self) -> None:
        """Cuts off what a kill left of an unfinished append.

        Raises:
            ValueError: If what would be cut off is something else.
        """
        if not self.path.exists():
            return
        with open(self.path, "rb+") as file:
            content = file.read()
            whole = content.rfind(b"\n") + 1
            rest = content[whole:]
            if not _may_be_unfinished(rest):
                raise ValueError(
                    f"'{self.path}' must end with a whole line or the "
                    f"beginning of one. Received: {rest[:80]!r}. The file is "
                    f"damaged or of another program. Restore it. {WAY_OUT}"
                )
            if rest:
                file.truncate(whole)

    def _lines(self) -> Iterator[str]:
        with open(self.path, encoding="utf-8", errors="replace") as file:
            for line in file:
                if line.endswith("\n"):
                    yield line


def _may_be_unfinished(rest: bytes) -> bool:
    # After a power cut, blocks that were not written yet read as zeros.
    rest = rest.rstrip(b"\0")
    return rest.startswith(_OPENING) or _OPENING.startswith(rest)


def _write_all(descriptor: int, content: bytes) -> None:
    while content:
        content = content[os.write(descriptor, content) :]
