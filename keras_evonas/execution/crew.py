"""What an executor is: slots, and a worker in each.

Nothing here knows what is trained. A worker is an object with `begin()`,
called once where it is going to work, and `run(job)`.
"""

import abc
import dataclasses
import types
from collections.abc import Mapping
from typing import Any
from typing import Protocol


class Worker(Protocol):
    """What does the work."""

    def begin(self) -> None:
        """Gets ready, in the process in which it is going to work."""

    def run(self, job: Any) -> Any:
        """Does a job."""

    def parts(self) -> Mapping[str, Any]:
        """What is handed over to another process, by the user's names."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ended:
    """The end of a job.

    Args:
        slot: Integer, the slot that is free again.
        result: What the worker returned.
        death: How the worker died, if it did, or `None`. A new one takes its
            place.
    """

    slot: int
    result: Any = None
    death: str | None = None


class Crew(abc.ABC):
    """Workers at work. Use it in a `with` statement.

    Attributes:
        slots: Integer, how many jobs can be done at a time.
    """

    slots: int

    @abc.abstractmethod
    def start(self, slot: int, job: Any) -> None:
        """Begins a job on a slot that is free, and returns at once."""

    @abc.abstractmethod
    def wait(self) -> Ended:
        """Waits for the next job to end.

        Raises:
            Exception: What the worker raised.
        """

    @abc.abstractmethod
    def close(self) -> None:
        """Ends all workers, whatever they do."""

    def __enter__(self) -> "Crew":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: types.TracebackType | None,
    ) -> None:
        self.close()


class Executor(abc.ABC):
    """Where the networks of a search are trained.

    Attributes:
        is_remote: Whether workers may lack the files of this machine.
        is_elsewhere: Whether workers are other processes.
    """

    is_remote = False
    is_elsewhere = True

    @abc.abstractmethod
    def crew(self, worker: Worker) -> Crew:
        """Begins to work.

        Args:
            worker: Does the work, or its copies do.

        Raises:
            TypeError: If the worker cannot be handed over.
        """


def check_number(name: str, value: Any, *, least: float, whole: bool) -> None:
    """Checks an argument, raising a `ValueError`."""
    kinds = int if whole else (int, float)
    if (
        isinstance(value, bool)
        or not isinstance(value, kinds)
        or not value >= least
    ):
        noun = "an integer" if whole else "a number"
        raise ValueError(
            f"`{name}` must be {noun} of at least {least}. Received: "
            f"{name}={value!r}."
        )


def cannot_be_sent(name: str, value: Any, error: BaseException) -> TypeError:
    """The error for something that other processes cannot be given."""
    return TypeError(
        f"`{name}` must be such that it can be pickled: it is sent to the "
        f"workers. Received: {value!r} of type {type(value).__name__}, which "
        f"cannot be: {error}. {_way_out(name)}"
    )


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
