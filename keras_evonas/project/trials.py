"""A trial, as its project folder describes it."""

import dataclasses
from collections.abc import Mapping
from typing import Any

# The points of a learning curve: the epoch, counted from 1, and the value.
Curve = tuple[tuple[float, float], ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Trial:
    """One network that was tried. Values not recorded are `None` or empty.

    Args:
        trial_id: The trial's name in the folder.
        number: Its place in the order in which trials began, from 0.
        status: keras-tuner's status, such as `"COMPLETED"` or `"FAILED"`.
        values: The active hyperparameters.
        scores: One number an objective, once it has completed.
        metrics: All metrics at the best epoch.
        costs: What the network costs, such as its parameters.
        violation: By how much it breaks the constraints, 0 if it keeps them.
        best_epoch: The epoch of the score, counted from 1.
        epochs: How many epochs were run.
        seconds: How long its training took.
        ended: Seconds from the beginning of the search to its end.
        message: Why it failed.
        birth: Its number among births.
        end: Its place in the order in which trials ended, from 0.
        rung: How often the training of its network was gone on with before.
        continues: The trial whose training it goes on with, if any.
        parents: Identifiers of its parents.
        operator: What made it, such as `"block+step"`.
        curves: Metrics by epoch.
    """

    trial_id: str
    number: int
    status: str
    values: Mapping[str, Any]
    scores: tuple[float, ...] | None = None
    metrics: Mapping[str, float] = dataclasses.field(default_factory=dict)
    costs: Mapping[str, float] = dataclasses.field(default_factory=dict)
    violation: float | None = None
    best_epoch: int | None = None
    epochs: int | None = None
    seconds: float | None = None
    ended: float | None = None
    message: str | None = None
    birth: int | None = None
    end: int | None = None
    rung: int = 0
    continues: str | None = None
    parents: tuple[str, ...] = ()
    operator: str | None = None
    curves: Mapping[str, Curve] = dataclasses.field(default_factory=dict)

    @property
    def completed(self) -> bool:
        """True if it has a score for every objective."""
        return self.status == "COMPLETED" and self.scores is not None

    @property
    def failed(self) -> bool:
        """True if it failed for good."""
        return self.status == "FAILED"

    @property
    def feasible(self) -> bool:
        """True if it keeps the constraints, if there are any."""
        return not self.violation

    @property
    def score(self) -> float | None:
        """The score of the first objective."""
        return None if self.scores is None else self.scores[0]
