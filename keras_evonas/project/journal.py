"""An append-only file of JSON lines that survives a kill in mid-write."""

import contextlib
import json
import os
import pathlib
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any

from keras_evonas.project.files import WAY_OUT
from keras_evonas.project.files import parsed
from keras_evonas.project.files import sync_folder
from keras_evonas.project.files import write_all
from keras_evonas.project.files import writing

JOURNAL_NAME = "evolution.jsonl"

# Every line of a journal begins with these bytes.
_OPENING = b'{"kind": "'
_DAMAGED = f"The file is damaged or of another program. Restore it. {WAY_OUT}"


class Journal:
    """An append-only file of JSON objects with a `"kind"`, one a line.

    A kill in the middle of an append leaves a last line without its end; it
    is dropped when the journal is read, as if the append had not begun. The
    file need not exist.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = pathlib.Path(path)

    def salvage(self) -> tuple[list[dict[str, Any]], int]:
        """Reads what can be read for a report, and changes nothing.

        Returns the entries in their order, and how many lines are none.
        """
        found = [entry for _, entry in self._lines()]
        entries = [entry for entry in found if entry is not None]
        return entries, len(found) - len(entries)

    def signature(self) -> tuple[int, ...] | None:
        """Returns what changes when it grows or is replaced, if it exists."""
        if not self.path.exists():
            return None
        status = self.path.stat()
        return status.st_dev, status.st_ino, status.st_size

    def exists(self) -> bool:
        """Returns whether anything was ever appended."""
        return self.path.exists() and bool(next(self._lines(), None))

    def append(
        self, kind: str, fields: Mapping[str, Any], *, durable: bool = True
    ) -> None:
        """Adds an entry of a kind, with the rest of its fields.

        If it is `durable`, it and all entries before are on the disk then, safe
        from a power cut.

        Raises:
            WriteError: If the disk is full or broken.
        """
        content = (json.dumps({"kind": kind, **fields}) + "\n").encode()
        with writing(self.path):
            self._append(content, durable)

    def _append(self, content: bytes, durable: bool) -> None:
        descriptor = os.open(
            self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644
        )
        try:
            before = os.fstat(descriptor).st_size
            try:
                write_all(descriptor, content)
                if durable:
                    os.fsync(descriptor)
                    if not before:
                        sync_folder(self.path)
            except OSError:
                # As if it had not begun. Should this fail, too, then `repair`
                # does it when the search is taken up again.
                with contextlib.suppress(OSError):
                    os.ftruncate(descriptor, before)
                raise
        finally:
            os.close(descriptor)

    def entries(self) -> list[dict[str, Any]]:
        """Returns all entries in their order.

        Raises:
            ValueError: If a whole line is not an entry.
        """
        entries = []
        for number, (line, entry) in enumerate(self._lines(), start=1):
            if entry is None or "kind" not in entry:
                raise ValueError(
                    f"Line {number} of '{self.path}' must be a JSON object "
                    f"with a kind. Received: {line[:80]!r}. {_DAMAGED}"
                )
            entries.append(entry)
        return entries

    def repair(self) -> None:
        """Cuts off what a kill left of an unfinished append.

        Raises:
            ValueError: If what would be cut off is something else.
            WriteError: If the disk is broken.
        """
        if not self.path.exists():
            return
        content = self.path.read_bytes()
        whole = content.rfind(b"\n") + 1
        rest = content[whole:]
        if not _may_be_unfinished(rest):
            raise ValueError(
                f"'{self.path}' must end with a whole line or the beginning of "
                f"one. Received: {rest[:80]!r}. {_DAMAGED}"
            )
        if rest:
            with writing(self.path):
                os.truncate(self.path, whole)

    def _lines(self) -> Iterator[tuple[str, dict[str, Any] | None]]:
        """Yields whole lines, each with its object, `None` if it is none."""
        with open(self.path, encoding="utf-8", errors="replace") as file:
            for line in file:
                if line.endswith("\n"):
                    entry = parsed(line)
                    yield line, entry if isinstance(entry, dict) else None


def _may_be_unfinished(rest: bytes) -> bool:
    # After a power cut, blocks that were not written yet read as zeros.
    rest = rest.rstrip(b"\0")
    return rest.startswith(_OPENING) or _OPENING.startswith(rest)
