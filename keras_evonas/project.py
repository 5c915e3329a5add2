"""The project folder: writes that a kill cannot halve, and the journal.

keras-tuner keeps a folder for each search. Whatever this package adds to it or
writes in the host's place goes through this module, so that a kill at any
instruction leaves a folder that loads. JSON only: opening somebody's project
runs no code.
"""

import contextlib
import errno
import json
import os
import pathlib
import shutil
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


class WriteError(OSError):
    """A write to the project folder failed: the disk is full or broken."""

    @classmethod
    def of(cls, path: str | os.PathLike[str], error: OSError) -> "WriteError":
        """Makes it from the error of a write to `path`."""
        reason = error.strerror or str(error)
        return cls(
            error.errno,
            f"{reason}. The search stops; every trial that had ended is safe. "
            "Make room or mend the disk, and run the program again: it goes "
            "on from there. What could not be written",
            os.fspath(path),
        )


def write_json(
    path: str | os.PathLike[str], payload: Any, *, durable: bool = True
) -> None:
    """Writes a JSON file completely or not at all.

    Args:
        path: Where to write. Its folder is made if there is none.
        payload: What `json.dumps` takes.
        durable: Boolean, whether to wait until it is on the disk. Otherwise a
            power cut, though no kill, may leave an empty file. Defaults to
            `True`.

    Raises:
        WriteError: If the disk is full or broken. The file is as before.
    """
    write_bytes(path, json.dumps(payload).encode(), durable=durable)


def write_bytes(
    path: str | os.PathLike[str], content: bytes, *, durable: bool = True
) -> None:
    """Writes a file completely or not at all; see `write_json`."""
    path = pathlib.Path(path)
    temporary = path.with_name(path.name + ".tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "wb") as file:
            file.write(content)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        os.replace(temporary, path)
        if durable:
            _sync_folder(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            os.unlink(temporary)  # It takes room on a disk that is full.
        raise WriteError.of(path, error) from error


def check_room(path: str | os.PathLike[str], size: int) -> None:
    """Checks that a file can be written, before a library tries to.

    HDF5 (1.14 and 2.0) crashes the process when the disk is full.

    Args:
        path: The file. Its folder must exist.
        size: Integer, how many bytes it takes.

    Raises:
        WriteError: If there is no room.
    """
    trial = f"{os.fspath(path)}.{os.getpid()}.room.tmp"
    try:
        if not hasattr(os, "posix_fallocate"):
            if shutil.disk_usage(os.path.dirname(trial) or ".").free < size:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return
        try:
            with open(trial, "wb") as file:
                os.posix_fallocate(file.fileno(), 0, size)
        finally:
            with contextlib.suppress(OSError):
                os.unlink(trial)
    except OSError as error:
        raise WriteError.of(path, error) from error


def read_json(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Reads a JSON object.

    Raises:
        ValueError: If the file is missing or holds something else.
    """
    try:
        with open(path, encoding="utf-8") as file:
            content = json.load(file)
    except (
        FileNotFoundError,
        IsADirectoryError,
        ValueError,
        RecursionError,  # Brackets within brackets, a thousand deep.
    ) as error:
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


def set_aside(path: str | os.PathLike[str]) -> pathlib.Path:
    """Gives a file that cannot be used another name, and keeps it.

    Args:
        path: The file.

    Returns:
        Its new path, `NAME.damaged-NUMBER`.
    """
    path = pathlib.Path(path)
    number = 1
    while (other := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    try:
        os.rename(path, other)
    except OSError as error:
        raise WriteError.of(path, error) from error
    return other


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
            except (ValueError, RecursionError):
                entry = None
            if isinstance(entry, dict):
                entries.append(entry)
            else:
                damaged += 1
        return entries, damaged

    def signature(self) -> tuple[int, ...] | None:
        """Which file it is and how long; `None` if there is none."""
        if not self.path.exists():
            return None
        status = self.path.stat()
        return status.st_dev, status.st_ino, status.st_size

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

        Raises:
            WriteError: If the disk is full or broken.
        """
        content = (json.dumps({"kind": kind, **fields}) + "\n").encode()
        try:
            self._append(content, durable)
        except OSError as error:
            raise WriteError.of(self.path, error) from error

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
                        _sync_folder(self.path)
            except OSError:
                # As if it had not begun. Should this fail, too, then `repair`
                # does it when the search is taken up again.
                with contextlib.suppress(OSError):
                    os.ftruncate(descriptor, before)
                raise
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
            except (ValueError, RecursionError):
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
            WriteError: If the disk is broken.
        """
        if not self.path.exists():
            return
        content = self.path.read_bytes()
        whole = content.rfind(b"\n") + 1
        rest = content[whole:]
        if not _may_be_unfinished(rest):
            raise ValueError(
                f"'{self.path}' must end with a whole line or the "
                f"beginning of one. Received: {rest[:80]!r}. The file is "
                f"damaged or of another program. Restore it. {WAY_OUT}"
            )
        if rest:
            try:
                os.truncate(self.path, whole)
            except OSError as error:
                raise WriteError.of(self.path, error) from error

    def _lines(self) -> Iterator[str]:
        with open(self.path, encoding="utf-8", errors="replace") as file:
            for line in file:
                if line.endswith("\n"):
                    yield line


def _may_be_unfinished(rest: bytes) -> bool:
    # After a power cut, blocks that were not written yet read as zeros.
    rest = rest.rstrip(b"\0")
    return rest.startswith(_OPENING) or _OPENING.startswith(rest)


def write_all(descriptor: int, content: bytes) -> None:
    """Writes everything, however little the system takes at a time."""
    while content:
        content = content[os.write(descriptor, content) :]


def _sync_folder(path: pathlib.Path) -> None:
    """Waits until the name of a new file is on the disk."""
    if os.name == "nt":
        return  # A folder cannot be opened there.
    descriptor = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
