"""Searches that are killed or whose disk fails, in forked processes.

Run as `python -m tests.faults.under_fire kills FOLDER COUNT` or `... writes
FOLDER`. Keras is imported once; each search runs in a child of its own.
"""

import collections
import errno
import os
import pathlib
import random
import select
import shutil
import signal
import sys
import traceback
from collections.abc import Callable
from typing import Any

from keras_evonas.project.files import WriteError
from keras_evonas.project.record import End
from keras_evonas.project.record import SearchRecord
from tests.searches import Search

_SETTINGS: dict[str, Any] = {
    "failing": True,
    "growing": True,
    "max_retries_per_trial": 1,
}
DONE, FAILED_WRITE = 0, 28
# The witness's disk never fails.
_OPEN, _WRITE = os.open, os.write


class Witnessed(Search):
    """A search that notes beside the folder what it was told has ended."""

    def end_one(self) -> None:
        super().end_one()
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        descriptor = _OPEN(witness_of(self.folder), flags)
        _WRITE(descriptor, (" ".join(self.runs[-1]) + "\n").encode())
        os.close(descriptor)


def witness_of(folder: pathlib.Path) -> pathlib.Path:
    return folder.with_name(folder.name + ".witness")


def search_on(folder: pathlib.Path, **settings: Any) -> None:
    """Searches to the end, whatever the folder holds."""
    search = Witnessed(folder, **{**_SETTINGS, **settings})
    record = SearchRecord(folder)
    events = record.read().events if record.exists() else []
    # Whether a run is the first one decides whether it fails.
    search.runs = [
        (event.trial_id, event.status)
        for event in events
        if isinstance(event, End)
    ]
    search.finish()


def outcome_of(folder: pathlib.Path) -> list[Any]:
    """All of the record that does not depend on the clock."""
    events = SearchRecord(folder).read().events
    return [
        (event.trial_id, event.status, event.score, dict(event.values))
        if isinstance(event, End)
        else event
        for event in events
    ]


def check(folder: pathlib.Path, expected: list[Any]) -> None:
    """Compares a search that has come to its end with the uncut one."""
    outcome = outcome_of(folder)
    births = [x for x in outcome if len(x) == 2]
    ends = [x for x in outcome if len(x) == 4]
    if births != [x for x in expected if len(x) == 2]:
        sys.exit(f"{folder}: other births than in the uncut search")
    if ends != [x for x in expected if len(x) == 4]:
        sys.exit(f"{folder}: other ends than in the uncut search")
    seen = collections.Counter(witness_of(folder).read_text().splitlines())
    known = collections.Counter(f"{x[0]} {x[1]}" for x in ends)
    if seen - known:
        sys.exit(f"{folder}: lost or repeated: {seen - known}")


def in_child(
    task: Callable[[], None], seconds: float | None = None
) -> int | None:
    """Runs a task in a child; `None` if it had to be killed."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        code = 1
        try:
            task()
            code = DONE
        except WriteError:
            code = FAILED_WRITE
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)
    os.close(writing)  # The child holds the other end until it is gone.
    is_over = bool(select.select([reading], [], [], seconds)[0])
    if not is_over:
        os.kill(child, signal.SIGKILL)
    status = os.waitpid(child, 0)[1]
    os.close(reading)
    return os.waitstatus_to_exitcode(status) if is_over else None


def kills(folder: pathlib.Path, count: int) -> None:
    """Kills searches at random moments until all of them are done."""
    dice, killed, searches = random.Random(0), 0, 0
    settings = {"tuners": 2}
    search_on(folder / "uncut", **settings)
    expected = outcome_of(folder / "uncut")
    while killed < count:
        one, longest = folder / f"search{searches}", 0.3
        while True:
            code = in_child(
                lambda one=one: search_on(one, **settings),
                dice.uniform(0.005, longest),
            )
            if code is None:
                killed += 1
                longest *= 1.05  # It may take that long to read the folder.
            elif code == DONE:
                break
            else:
                sys.exit(f"{one}: the search failed")
        check(one, expected)
        shutil.rmtree(one)
        searches += 1
    print(f"kills: {killed}, searches: {searches}")


class FailingCalls:
    """Lets one of all calls that write fail, or counts them.

    Args:
        at: Integer, the number of the call that fails; `None` for none.
        number: Integer, the number of the error.
        short: Boolean, whether a failing write writes a part before.
    """

    NAMES = ("write", "fsync", "replace", "ftruncate", "open", "mkdir")

    def __init__(self, at: int | None, number: int, *, short: bool) -> None:
        self.calls = 0
        self._at, self._number, self._short = at, number, short
        for name in self.NAMES:
            setattr(os, name, self._wrapped(name, getattr(os, name)))
        sys.addaudithook(self._audit)

    def _wrapped(self, name: str, call: Any) -> Any:
        def wrapper(*arguments: Any, **options: Any) -> Any:
            if name == "mkdir" and os.path.isdir(arguments[0]):
                # `os.makedirs` tries, and does not mind.
                return call(*arguments, **options)
            try:
                self._count()
            except OSError:
                if name == "write" and self._short:
                    call(arguments[0], arguments[1][: len(arguments[1]) // 2])
                raise
            return call(*arguments, **options)

        return wrapper

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        # `open(path, "w")` does not go through `os.open`.
        mode = arguments[1] if event == "open" else None
        if isinstance(mode, str) and set(mode) & set("wxa+"):
            self._count()

    def _count(self) -> None:
        self.calls += 1
        if self.calls - 1 == self._at:
            raise OSError(self._number, os.strerror(self._number))


def writes(folder: pathlib.Path) -> None:
    """Lets the disk fail at every call of a search."""
    settings = {"max_trials": 9}
    search_on(folder / "uncut", **settings)
    expected = outcome_of(folder / "uncut")

    def count() -> None:
        calls = FailingCalls(None, 0, short=False)
        search_on(folder / "counted", **settings)
        (folder / "count").write_text(str(calls.calls))

    in_child(count)
    calls = int((folder / "count").read_text())
    for number in (errno.ENOSPC, errno.EIO):
        for at in range(calls):
            one = folder / f"{errno.errorcode[number]}{at}"

            def failing(one=one, at=at, number=number) -> None:
                FailingCalls(at, number, short=at % 2 == 0)
                search_on(one, **settings)

            code = in_child(failing)
            if code != FAILED_WRITE:
                sys.exit(f"{one}: ended with {code} and without a clear error")
            if in_child(lambda one=one: search_on(one, **settings)) != DONE:
                sys.exit(f"{one}: cannot be taken up again")
            check(one, expected)
            shutil.rmtree(one)
    print(f"failed writes: {2 * calls}")


def main(command: str, folder: str, *arguments: str) -> None:
    """Runs one of the two."""
    if command == "kills":
        kills(pathlib.Path(folder), int(arguments[0]))
    else:
        writes(pathlib.Path(folder))


if __name__ == "__main__":
    main(*sys.argv[1:])
