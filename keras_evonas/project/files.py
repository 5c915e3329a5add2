"""Writes files of the project folder so that a kill cannot halve them.

Whatever this package writes there goes through this module. All content is
JSON: opening a project runs no code.
"""

import contextlib
import errno
import json
import math
import os
import pathlib
import shutil
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from typing import IO
from typing import Any

# The state of keras-tuner's oracle, and of each of its trials.
STATE_NAME = "oracle.json"
TRIAL_NAME = "trial.json"
_TRIAL_FOLDER = "trial_"

# Brackets within brackets, a thousand deep, give the last one.
_UNREADABLE = (FileNotFoundError, IsADirectoryError, ValueError, RecursionError)

# The way out of an error about a folder that is already in use.
WAY_OUT = (
    "Nothing was changed. Pass `overwrite=True` to the tuner to begin anew, "
    "or another `project_name` to keep both."
)


def trial_folder(folder: str | os.PathLike[str], trial_id: str) -> pathlib.Path:
    """Returns the folder of a trial inside of the project folder."""
    return pathlib.Path(folder, f"{_TRIAL_FOLDER}{trial_id}")


def trial_files(
    folder: str | os.PathLike[str],
) -> Iterator[tuple[str, pathlib.Path]]:
    """Yields the identifier and the file of each trial that has a file."""
    pattern = f"{_TRIAL_FOLDER}*/{TRIAL_NAME}"
    for path in sorted(pathlib.Path(folder).glob(pattern)):
        yield path.parent.name.removeprefix(_TRIAL_FOLDER), path


class WriteError(OSError):
    """A write to the project folder failed: the disk is full or broken."""

    @classmethod
    def of(cls, path: str | os.PathLike[str], error: OSError) -> "WriteError":
        """Makes it from the error of a write to `path`."""
        reason = error.strerror or str(error)
        way_out = (
            "every trial that had ended is safe. Make room or mend the disk, "
            "and run the program again: it goes on from there"
        )
        if error.errno == errno.ENOENT:
            way_out = (
                "its folder was removed or moved. Put it back and run the "
                "program again, which then goes on from there, or begin anew"
            )
        return cls(
            error.errno,
            f"{reason}. The search stops; {way_out}. What could not be written",
            os.fspath(path),
        )


@contextlib.contextmanager
def writing(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turns errors of the disk into a `WriteError` about `path`."""
    try:
        yield
    except OSError as error:
        raise WriteError.of(path, error) from error


def write_json(
    path: str | os.PathLike[str], payload: object, *, durable: bool = True
) -> None:
    """Writes a JSON file completely or not at all.

    Args:
        path: Where to write. Its folder is made if there is none.
        payload: What `json.dumps` takes.
        durable: Boolean, whether to wait until it is on the disk. Otherwise a
            power cut, though no kill, may leave an empty file.

    Raises:
        WriteError: If the disk is full or broken. The file is as before.
    """
    write_bytes(path, json.dumps(payload).encode(), durable=durable)


def write_bytes(
    path: str | os.PathLike[str], content: bytes, *, durable: bool = True
) -> None:
    """Writes a file completely or not at all; see `write_json`."""
    write_file(path, lambda file: file.write(content), durable=durable)


def write_file(
    path: str | os.PathLike[str],
    write: Callable[[IO[bytes]], object],
    *,
    durable: bool = True,
) -> None:
    """Lets a function write a file completely or not at all; see `write_json`.

    `write` is called with the open file.
    """
    path = pathlib.Path(path)
    # Workers that share a folder may write one file at the same time.
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    with writing(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with open(temporary, "wb") as file:
                write(file)
                if durable:
                    file.flush()
                    os.fsync(file.fileno())
            os.replace(temporary, path)
            if durable:
                sync_folder(path)
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(temporary)  # It takes room on a disk that is full.
            raise


def check_local(folder: str | os.PathLike[str] | None) -> None:
    """Checks that a project folder is on a file system of this machine.

    Raises:
        ValueError: If it is a place that TensorFlow reaches by a scheme, such
            as `gs://`.
    """
    place = os.fspath(folder or "")
    scheme, separator, _ = str(place).partition("://")
    if separator and scheme.isalnum():
        raise ValueError(
            "`directory` must be a local folder: a search locks its folder and "
            "replaces files as a whole, which object stores cannot do. "
            f"Received: directory={place!r}. Search in a local folder, and "
            "copy it when the search has ended, or mount the bucket."
        )


def check_room(path: str | os.PathLike[str], size: int) -> None:
    """Checks that a file of `size` bytes can be written in its folder.

    HDF5 (1.14 and 2.0) crashes the process when the disk is full.

    Raises:
        WriteError: If there is no room.
    """
    trial = f"{os.fspath(path)}.{os.getpid()}.room.tmp"
    with writing(path):
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


def read_json(
    path: str | os.PathLike[str],
    *,
    parse: Callable[[str], object] = json.loads,
) -> dict[str, Any]:
    """Reads a JSON object; `parse` makes it of the text of the file.

    Raises:
        ValueError: If the file is missing or holds something else.
    """
    try:
        with open(path, encoding="utf-8") as file:
            content = parse(file.read())
    except _UNREADABLE as error:
        raise ValueError(
            f"'{path}' must hold a JSON object. Received: {error!r}. The file "
            "is lost, damaged or of another program. Restore it. " + WAY_OUT
        ) from error
    if not isinstance(content, dict):
        raise ValueError(
            f"'{path}' must hold a JSON object. Received: "
            f"{str(content)[:80]!r}. It is a file of another program. {WAY_OUT}"
        )
    return content


def set_aside(path: str | os.PathLike[str]) -> pathlib.Path:
    """Gives a file that cannot be used the name `NAME.damaged-NUMBER`."""
    path = pathlib.Path(path)
    number = 1
    while (other := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    with writing(path):
        os.rename(path, other)
    return other


def parsed(text: str | bytes) -> object:
    """Returns what JSON says, `None` if it is damaged or something else."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def objects_in(content: object) -> list[dict[str, Any]]:
    """Returns the JSON objects of a list, none if it is something else."""
    content = content if isinstance(content, list) else ()
    return [entry for entry in content if isinstance(entry, dict)]


def finite(values: Iterable[object]) -> bool:
    """Returns whether all values, which a file may hold, are finite numbers."""
    return all(
        isinstance(value, int | float) and math.isfinite(value)
        for value in values
    )


def write_all(descriptor: int, content: bytes) -> None:
    """Writes everything, however little the system takes at a time."""
    while content:
        content = content[os.write(descriptor, content) :]


def sync_folder(path: pathlib.Path) -> None:
    """Waits until the name of a new file is on the disk."""
    if os.name == "nt":
        return  # A folder cannot be opened there.
    descriptor = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
