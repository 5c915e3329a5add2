"""The seam of executors: slots, and a worker in each.

Nothing here depends on what is trained. A worker is an object with `begin()`,
called once where it is going to work, and `run(job)`.
`keras_evonas.testing.ExecutorConformance` tests executors and their crews.
"""

import abc
import dataclasses
import importlib
import types
from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Mapping
from typing import Generic
from typing import Protocol
from typing import TypeVar

JobT = TypeVar("JobT")
ResultT = TypeVar("ResultT")
_JobIn = TypeVar("_JobIn", contravariant=True)
_ResultOut = TypeVar("_ResultOut", covariant=True)


class Worker(Protocol[_JobIn, _ResultOut]):
    """The object that does the jobs, in this process or as copies in others."""

    def begin(self) -> None:
        """Gets ready, in the process in which it is going to work."""

    def run(self, job: _JobIn, /) -> _ResultOut:
        """Does a job and returns its result."""

    def parts(self) -> Mapping[str, object]:
        """Returns what other processes are sent, by the user's names."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ended(Generic[ResultT]):
    """The end of a job.

    Args:
        slot: Integer, the slot that is free again.
        result: What the worker returned. `None` if it died.
        death: String, how the worker died, or `None` if it did not. A new
            worker takes its place when the slot is used again.
    """

    slot: int
    result: ResultT | None = None
    death: str | None = None


class Crew(abc.ABC, Generic[JobT, ResultT]):
    """Workers at work. Use it in a `with` statement.

    Attributes:
        slots: Integer, how many jobs can be begun before one has to end.
    """

    slots: int

    @abc.abstractmethod
    def start(self, slot: int, job: JobT) -> None:
        """Begins a job on a slot that is free, and returns at once."""

    @abc.abstractmethod
    def wait(self) -> Ended[ResultT]:
        """Waits for the next job to end.

        Raises:
            Exception: The error that the worker raised.
        """

    @abc.abstractmethod
    def close(self) -> None:
        """Ends all workers, those with a job too."""

    def __enter__(self) -> "Crew[JobT, ResultT]":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class Executor(abc.ABC):
    """The place where the networks of a search are trained.

    Attributes:
        is_remote: True if workers may lack the files of this machine.
        is_elsewhere: True if workers are other processes.
    """

    is_remote = False
    is_elsewhere = True

    @abc.abstractmethod
    def crew(self, worker: Worker[JobT, ResultT]) -> Crew[JobT, ResultT]:
        """Makes the crew of a search.

        Args:
            worker: Does the jobs, or copies of it do.

        Raises:
            TypeError: If a part of the worker cannot be sent to the processes
                in which copies work.
        """


@dataclasses.dataclass(frozen=True)
class InProcess(Executor):
    """Trains in this process, one cohort after another."""

    is_elsewhere = False

    def crew(self, worker: Worker[JobT, ResultT]) -> Crew[JobT, ResultT]:
        """Makes the crew of a search; see `Executor`."""
        worker.begin()
        return _InProcessCrew(worker)


class _InProcessCrew(Crew[JobT, ResultT]):
    slots = 1

    def __init__(self, worker: Worker[JobT, ResultT]) -> None:
        self._worker = worker
        self._jobs: list[JobT] = []

    def start(self, slot: int, job: JobT) -> None:
        del slot
        self._jobs.append(job)

    def wait(self) -> Ended[ResultT]:
        return Ended(slot=0, result=self._worker.run(self._jobs.pop()))

    def close(self) -> None:
        self._jobs.clear()


def check_number(
    name: str, value: object, *, least: float, whole: bool = False
) -> None:
    """Checks an argument, raising a `ValueError`."""
    fits = (
        isinstance(value, int if whole else (int, float))
        and not isinstance(value, bool)
        and value >= least
    )
    if not fits:
        raise ValueError(
            f"`{name}` must be {'an integer' if whole else 'a number'} of at "
            f"least {least}. Received: {name}={value!r}."
        )


def check_crew(crew: Crew[JobT, ResultT]) -> None:
    """Checks that a crew can do anything, raising a `ValueError`."""
    slots: object = crew.slots
    if type(slots) is not int or slots < 1:
        raise ValueError(
            "`executor` must have a crew with at least one slot, an integer. "
            f"Received: {crew!r} with slots={slots!r}. Are its workers there?"
        )


def check_ended(ended: object, slots: Collection[int]) -> None:
    """Checks what `Crew.wait` returned, raising a `TypeError`.

    Args:
        ended: What it returned.
        slots: The slots with a job.
    """
    if not isinstance(ended, Ended) or ended.slot not in slots:
        raise TypeError(
            "`Crew.wait` must return an `Ended` for a slot with a job, one of "
            f"{sorted(slots)}. Received: {ended!r}."
        )
    if ended.result is None and ended.death is None:
        raise TypeError(
            "`Crew.wait` must return the result of a job, or say in `death` "
            f"how its worker died. Received: {ended!r}."
        )


def imported(name: str, executor: str) -> types.ModuleType:
    """Imports the package that an executor needs, or says how to get it."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ImportError(
            f"`{executor}` needs the package {name}. Received: an environment "
            f"without it. Install it with `pip install {name}`."
        ) from error


def check_sendable(
    parts: Mapping[str, object], dumps: Callable[[object], object]
) -> None:
    """Checks that all parts of a worker can be sent to other processes."""
    for name, value in parts.items():
        try:
            dumps(value)
        except Exception as error:
            raise TypeError(
                f"`{name}` must be such that it can be pickled: it is sent to "
                f"the workers. Received: {value!r} of type "
                f"{type(value).__name__}, which cannot be: {error}. "
                f"{_way_out(name)}"
            ) from error


def _way_out(name: str) -> str:
    if name in ("x", "y", "validation_data", "sample_weight"):
        return (
            "Pass arrays, a `keras.utils.PyDataset`, or a function without "
            "arguments that makes the data: each worker calls it once."
        )
    return (
        "Define it at the top level of a module that the workers can import, "
        "and open files, locks and connections inside of its methods (for a "
        "hypermodel, in `build`), not beside them."
    )
