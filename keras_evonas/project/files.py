"""Writes files of the project folder so that a kill cannot halve them.

keras-tuner keeps a folder for each search. Whatever this package adds to it or
writes in the host's place goes through this module, so that a kill at any
instruction leaves a folder that loads. All content is JSON: opening a project
runs no code.
"""

import contextlib
import errno
import json
import os
import pathlib
import shutil
from collections.abc import Iterator
from typing import Any

# The state of keras-tuner's oracle, and of each of its trials.
STATE_NAME = "oracle.json"
TRIAL_NAME = "trial.json"
_TRIAL_FOLDER = "trial_"

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
        return cls(
            error.errno,
            f"{reason}. The search stops; every trial that had ended is safe. "
            "Make room or mend the disk, and run the program again: it goes "
            "on from there. What could not be written",
            os.fspath(path),
        )


def write_json(
    path: str | os.PathLike[str], payload: object, *, durable: bool = True
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
            sync_folder(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            os.unlink(temporary)  # It takes room on a disk that is full.
        raise WriteError.of(path, error) from error


def check_local(folder: str | os.PathLike[str] | None) -> None:
    """Checks that a project folder is on a file system of this machine.

    Raises:
        ValueError: If it is a place that TensorFlow reaches by a scheme, such
            as `gs://`. Nothing can be locked there, and no write is whole or
            not at all.
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
