"""Locks a project folder; a dead process does not hold the lock.

The lock is the operating system's, on a file that stays in the folder and says
who searches there, or who did last. What the file says is for people; whether
a process holds the lock is what counts.
"""

import dataclasses
import json
import os
import pathlib
import platform
import shlex
import sys
import time
import weakref
from typing import TypeVar

from keras_evonas.project.files import parsed
from keras_evonas.project.files import write_all
from keras_evonas.project.files import writing

LOCK_NAME = "search.lock"

_Kind = TypeVar("_Kind")

# Looking whether a lock is held takes it for an instant.
_TRIES, _PAUSE = 20, 0.05
# Far behind the content: on Windows a locked byte cannot be read.
_LOCKED_BYTE = 1 << 30
# Programs in which a user types what a search needs.
_HANDS = ("ipykernel", "ipython", "jupyter", "colab_kernel")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Holder:
    """The process that searches in a folder, or did last, as far as known."""

    is_running: bool  # True if the search is going on.
    pid: int | None = None
    host: str | None = None  # The name of its machine.
    since: float | None = None  # When it began, in seconds since 1970.
    # The command line as it was given, the interpreter first, for people to
    # read: nothing here runs it.
    command: tuple[str, ...] = ()
    directory: str | None = None  # It was started there.

    def __str__(self) -> str:
        if self.pid is None:
            return "another process"
        return f"process {self.pid} on {self.host}"


class FolderLock:
    """The right to search in a project folder.

    Within a process the last to ask has it: a cell of a notebook that is run
    again makes a second tuner on the folder of the first.

    Args:
        folder: The project folder. It must exist when the lock is taken.
        name: The name of the file.
    """

    def __init__(
        self, folder: str | os.PathLike[str], name: str = LOCK_NAME
    ) -> None:
        self._path = os.path.join(os.path.realpath(folder), name)
        self._is_mine = False

    def take(self) -> bool:
        """Takes the lock, and returns whether it was not held before.

        Raises:
            RuntimeError: If another search has the folder, or if the folder
                was replaced by another one.
            WriteError: If the file cannot be written.
        """
        held, folder = _held_here(self._path), os.path.dirname(self._path)
        if self._is_mine:
            if held is None or held.owner() is not self:
                self._is_mine = False
                raise RuntimeError(
                    f"'{folder}' must belong to one search. Received: a second "
                    "tuner of this process, which has gone on with the search. "
                    "Go on with that one, or make a new tuner."
                )
            if not _is_same_file(self._path, held.descriptor):
                self.release()
                raise RuntimeError(
                    f"'{folder}' was removed or replaced while a search ran in "
                    "it. The search stops. Was another one started with "
                    "`overwrite=True`?"
                )
            return False
        if held is not None:
            held.close()
        with writing(self._path):
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
        if not _locked(descriptor):
            os.close(descriptor)
            raise RuntimeError(_in_use(self._path))
        held = _Held(weakref.ref(self), descriptor, os.getpid())
        _HELD[self._path] = held
        # Who lets go of the search lets go of the folder.
        weakref.finalize(self, _forget, self._path, held).atexit = False
        self._is_mine = True
        _write_holder(self._path, descriptor)
        return True

    def release(self) -> None:
        """Lets others search in the folder."""
        held = _held_here(self._path)
        if held is not None and held.owner() is self:
            _forget(self._path, held)
        self._is_mine = False


def how_to_resume(folder: str | os.PathLike[str]) -> str:
    """Returns what a user types for the search of a folder to go on."""
    holder = holder_of(folder)
    if holder is None or not holder.command:
        return (
            "Run the program that made the tuner again: the search goes on "
            "from there."
        )
    words = [os.path.basename(word) for word in holder.command[1:4]]
    if not words or "-c" in words or any(w.startswith(_HANDS) for w in words):
        return (
            "It was begun in a notebook or by hand: make the tuner again, and "
            "call its `search`."
        )
    line = " ".join(shlex.quote(_printable(word)) for word in holder.command)
    if holder.directory is not None:
        line = f"cd {shlex.quote(_printable(holder.directory))} && {line}"
    return f"To go on, run:\n    {line}"


def _printable(text: str) -> str:
    """Replaces what could steer a terminal."""
    return "".join(c if c.isprintable() else "?" for c in text)


def holder_of(folder: str | os.PathLike[str]) -> Holder | None:
    """Returns the last process that searched in a folder, `None` if none did.

    Whatever the file says is taken as text.
    """
    path = os.path.join(os.path.realpath(folder), LOCK_NAME)
    if not os.path.exists(path):
        return None
    is_running = _held_here(path) is not None
    if not is_running:
        # Another user's folder may be read, but not written.
        descriptor = os.open(path, os.O_RDONLY)
        try:
            is_running = not _try_lock(descriptor, shared=True)
        finally:
            os.close(descriptor)  # It lets go of the lock, too.
    return _read_holder(path, is_running)


def check_free(folder: str | os.PathLike[str]) -> None:
    """Raises a `RuntimeError` if another process searches in a folder."""
    path = os.path.join(os.path.realpath(folder), LOCK_NAME)
    holder = holder_of(folder) if _held_here(path) is None else None
    if holder is not None and holder.is_running:
        raise RuntimeError(_in_use(path))


@dataclasses.dataclass(frozen=True, eq=False)
class _Held:
    owner: "weakref.ref[FolderLock]"
    descriptor: int
    pid: int

    def close(self) -> None:
        os.close(self.descriptor)


# The locks of this process by path. POSIX forgets a lock as soon as the
# process closes any descriptor of the file, so it is opened once only.
_HELD: dict[str, _Held] = {}


def _held_here(path: str) -> _Held | None:
    held = _HELD.get(path)
    # A forked child inherits the table, but not the locks.
    return held if held is not None and held.pid == os.getpid() else None


def _forget(path: str, held: _Held) -> None:
    if _held_here(path) is held:
        held.close()
        del _HELD[path]


def _locked(descriptor: int) -> bool:
    for _ in range(_TRIES):
        if _try_lock(descriptor):
            return True
        time.sleep(_PAUSE)
    return False


if sys.platform == "win32":
    import msvcrt

    def _try_lock(descriptor: int, *, shared: bool = False) -> bool:
        del shared  # There is one kind only.
        os.lseek(descriptor, _LOCKED_BYTE, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except PermissionError:
            return False
        return True

else:
    import fcntl

    def _try_lock(descriptor: int, *, shared: bool = False) -> bool:
        # Not `flock`: children that were forked for a data pipeline would
        # hold it on when this process is killed.
        try:
            kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
            fcntl.lockf(descriptor, kind | fcntl.LOCK_NB, 1, _LOCKED_BYTE)
        except (BlockingIOError, PermissionError):
            return False
        return True


def _is_same_file(path: str, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _in_use(path: str) -> str:
    holder = _read_holder(path, True)
    return (
        f"'{os.path.dirname(path)}' must belong to one search. Received: a "
        f"second one, while {holder} searches there. Wait until it ends, or "
        "pass another `project_name`. (Several processes can share a search: "
        "see `executor`, or keras-tuner's chief and workers.)"
    )


def _write_holder(path: str, descriptor: int) -> None:
    content = {
        "pid": os.getpid(),
        "host": platform.node(),
        "since": time.time(),
        "command": sys.orig_argv,
        "directory": os.getcwd(),
    }
    with writing(path):
        os.lseek(descriptor, 0, os.SEEK_SET)
        os.ftruncate(descriptor, 0)
        write_all(descriptor, json.dumps(content).encode())


def _read_holder(path: str, is_running: bool) -> Holder:
    try:
        text = pathlib.Path(path).read_text(encoding="utf-8", errors="replace")
        found = parsed(text)
    except OSError:
        found = None
    content = found if isinstance(found, dict) else {}
    command = _typed(content.get("command"), list) or []
    return Holder(
        is_running=is_running,
        pid=_typed(content.get("pid"), int),
        host=_typed(content.get("host"), str),
        since=_typed(content.get("since"), float),
        command=tuple(x for x in command if isinstance(x, str)),
        directory=_typed(content.get("directory"), str),
    )


def _typed(value: object, kind: type[_Kind]) -> _Kind | None:
    return value if isinstance(value, kind) else None
