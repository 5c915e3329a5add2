"""Executions to be trained, and their outcomes: plain values.

They can be written as JSON and sent to another process.
"""

import dataclasses
import warnings
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import Literal
from typing import TypeVar

from keras_evonas.project.curves import Curves
from keras_evonas.project.curves import Value
from keras_evonas.project.curves import history_of

Item = TypeVar("Item")
Status = Literal["completed", "failed", "infeasible"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Execution:
    """One training of a network.

    Args:
        name: String, unique among the executions, such as `"07/execution0"`
            for a trial. Callbacks that write files write into a folder of
            this name.
        hyperparameters: The `keras_tuner.HyperParameters` of the network.
        parent_hyperparameters: Those of the network that it inherits weights
            from, or `None`.
        seed: Integer. The training is the one that follows
            `keras.utils.set_random_seed(seed)`.
        fit: Mapping of arguments of `fit` that are this execution's own, such
            as `epochs`, `initial_epoch` and `batch_size`.
        checkpoint: Path to write the weights of the best epoch to, or `None`.
        state: Path to write the state after the last epoch to, from which
            another execution goes on, or `None`.
        fold: Integer, which of the folds of the data it is trained on, or
            `None` for the data as they are.
        bar: Float. The checkpoint is only written if the best epoch's loss is
            below: the objective, its sign turned if it is maximised. `None`
            writes it always.
        judge: Says after an epoch whether the training is hopeless; see
            `training.hopeless.Judge`. `None` trains in full.
    """

    name: str
    seed: int
    hyperparameters: Any = None
    parent_hyperparameters: Any = None
    fit: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    checkpoint: str | None = None
    state: str | None = None
    fold: int | None = None
    bar: float | None = None
    judge: Callable[[Sequence[float], int], bool] | None = None

    @property
    def number(self) -> int:
        """The place of the execution among those of its trial, from 0."""
        return _number_of(self.name)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Outcome:
    """The result of an execution.

    Args:
        name: String, that of the execution.
        status: `"completed"`, `"failed"`, or `"infeasible"` for a network
            that does not fit into the memory even alone.
        message: What went wrong, or `None`.
        curves: Mapping from the names of logs to pairs of epoch and value,
            the epoch counted from 0 as `fit` counts them.
        metrics: Mapping, what it reported at its end. It counts instead of
            the curves if it is not empty.
        params: Number of parameters, or `None` if there was no model.
        seconds: Time of the training: its own, or a share of the cohort's.
        cohort_limit: Integer, the size of the cohorts that did fit, if some
            executions ran out of memory, or `None`.
        has_checkpoint: Boolean, true if the weights were written.
        build_config: What `model.build_from_config` takes, or `None`.
        results: What `Task.after_training` returned.
        hyperparameters: Those of the execution, with what the model asked for
            when it was built.
        fold: The fold of the execution, or `None`.
        alone_because: String, why the network was trained by its own `fit`:
            the end of a sentence that begins with "because". `None` for a
            member of a cohort.
        notes: Sentences for the user about what was left out of the outcome.
    """

    name: str
    status: Status
    message: str | None = None
    curves: Curves = dataclasses.field(default_factory=dict)
    metrics: Mapping[str, float] = dataclasses.field(default_factory=dict)
    params: int | None = None
    seconds: float = 0.0
    cohort_limit: int | None = None
    has_checkpoint: bool = False
    build_config: Mapping[str, Any] | None = None
    results: Mapping[str, float] = dataclasses.field(default_factory=dict)
    hyperparameters: Any = None
    fold: int | None = None
    alone_because: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def trial_id(self) -> str:
        """The trial that the execution belongs to."""
        return self.name.partition("/")[0]

    @property
    def number(self) -> int:
        """The place of the execution among those of its trial, from 0."""
        return _number_of(self.name)

    @property
    def history(self) -> dict[str, list[Value]]:
        """The curves as `keras.callbacks.History` has them."""
        return history_of(self.curves)


def _number_of(name: str) -> int:
    return int(name.partition("/execution")[2] or 0)


def cohorts_of(
    items: Sequence[Item],
    bytes_of: Callable[[Item], int | None] | None,
    memory: int | None,
    size: int,
) -> tuple[list[list[Item]], list[tuple[Item, int]]]:
    """Divides items into cohorts of a size that fit into the memory.

    `bytes_of` returns the bytes that an item takes, or `None` if they are
    unknown.

    Returns:
        Pair of the cohorts, which keep the order, and of the items that do not
        fit even alone with what they take.
    """
    cohorts: list[list[Item]] = []
    oversized: list[tuple[Item, int]] = []
    taken = 0
    for item in items:
        needed = (bytes_of and memory is not None and bytes_of(item)) or 0
        if memory is not None and needed > memory:
            oversized.append((item, needed))
            continue
        is_full = not cohorts or len(cohorts[-1]) == size
        if is_full or (memory is not None and taken + needed > memory):
            cohorts.append([])
            taken = 0
        cohorts[-1].append(item)
        taken += needed
    return cohorts, oversized


class Notices:
    """Warns of what outcomes have to say, of each thing once."""

    def __init__(self) -> None:
        self._given: set[str] = set()

    def give(self, outcomes: Iterable[Outcome]) -> None:
        """Warns of what is new in some outcomes."""
        for outcome in outcomes:
            notes = list(outcome.notes)
            if outcome.alone_because is not None:
                notes.append(
                    "A network is trained alone, by its own `fit`, because "
                    f"{outcome.alone_because}. Cohorts would train faster."
                )
            for note in notes:
                if note not in self._given:
                    self._given.add(note)
                    warnings.warn(note, stacklevel=3)
