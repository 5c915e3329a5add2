"""What a project folder says about a search, as values."""

import dataclasses
import functools
import pathlib
import statistics
from collections.abc import Mapping
from typing import Any

from keras_evonas.evolution.space import SearchSpace
from keras_evonas.project import wording
from keras_evonas.project.ablation import AblationResult

_SIGN = {"min": 1.0, "max": -1.0}

# A point of a learning curve: the epoch, counted from 1, and the value.
Curve = tuple[tuple[float, float], ...]


@dataclasses.dataclass(frozen=True)
class Objective:
    """What the search optimizes.

    Args:
        name: The metric.
        direction: `"min"` or `"max"`.
    """

    name: str
    direction: str

    def loss(self, score: float) -> float:
        """Turns a score into a loss, lower is better, or one back again."""
        return _SIGN[self.direction] * score


@dataclasses.dataclass(frozen=True, kw_only=True)
class Trial:
    """One network that was tried. What was not recorded is `None` or empty.

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
    parents: tuple[str, ...] = ()
    operator: str | None = None
    curves: Mapping[str, Curve] = dataclasses.field(default_factory=dict)

    @property
    def completed(self) -> bool:
        """Whether it has a score for every objective."""
        return self.status == "COMPLETED" and self.scores is not None

    @property
    def failed(self) -> bool:
        """Whether it failed for good."""
        return self.status == "FAILED"

    @property
    def feasible(self) -> bool:
        """Whether it keeps the constraints, if there are any."""
        return not self.violation

    @property
    def score(self) -> float | None:
        """The score of the first objective."""
        return None if self.scores is None else self.scores[0]


@dataclasses.dataclass(frozen=True)
class Finalist:
    """A network that was trained again to see how good it really is.

    Args:
        name: How it is called, mostly by its trial.
        search_score: What the search believed.
        honest_scores: What it reached on data that the search never saw, one
            number a repeat.
        trial_id: Its trial, if it was one of the search's.
        values: Its hyperparameters.
        params: Number of its parameters, if known.
        chosen: Whether it was chosen.
        message: Why a repeat failed, or `None` if none did.
    """

    name: str
    search_score: float | None
    honest_scores: tuple[float, ...]
    trial_id: str | None = None
    values: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    params: int | None = None
    chosen: bool = False
    message: str | None = None

    @property
    def mean(self) -> float:
        """Mean of the scores on unseen data."""
        return sum(self.honest_scores) / len(self.honest_scores)

    @property
    def spread(self) -> float | None:
        """Standard deviation of those scores, `None` of a single one."""
        if len(self.honest_scores) < 2:
            return None
        return statistics.stdev(self.honest_scores)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Search:
    """A search, as its project folder tells it.

    Args:
        folder: The project folder.
        objectives: What it optimizes; empty if the folder does not tell.
        trials: All trials, in the order in which they began.
        space: The search space, `None` if it was not saved.
        seed: The seed of the search.
        strategy: How networks were proposed.
        max_trials: How many trials the search was begun with.
        constraints: What networks had to keep, in words.
        evolved: Whether parents and operators were recorded.
        finalists: The networks that were judged again, best first.
        ablation: What the genes of a network are worth, if it was measured.
        notes: What a reader should know about the data.
    """

    folder: pathlib.Path
    objectives: tuple[Objective, ...]
    trials: tuple[Trial, ...]
    space: SearchSpace | None = None
    seed: int | None = None
    strategy: str | None = None
    max_trials: int | None = None
    constraints: tuple[str, ...] = ()
    evolved: bool = False
    finalists: tuple[Finalist, ...] = ()
    ablation: AblationResult | None = None
    notes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Name of the project."""
        return self.folder.name or str(self.folder)

    @property
    def completed(self) -> tuple[Trial, ...]:
        """The trials that have a score."""
        return tuple(trial for trial in self.trials if trial.completed)

    @property
    def failures(self) -> tuple[Trial, ...]:
        """The trials that failed."""
        return tuple(trial for trial in self.trials if trial.failed)

    @property
    def unfinished(self) -> tuple[Trial, ...]:
        """The trials that are running, interrupted, or to be tried again."""
        ended = ("COMPLETED", "FAILED")
        return tuple(t for t in self.trials if t.status not in ended)

    @property
    def elapsed(self) -> float | None:
        """Seconds that the search took up to the last recorded end."""
        ends = [t.ended for t in self.trials if t.ended is not None]
        return max(ends, default=None)

    @functools.cached_property
    def ranking(self) -> tuple[Trial, ...]:
        """The completed trials, best first.

        Those that keep the constraints come first. With several objectives
        those on the first Pareto front do, in the order of the first
        objective.
        """
        front = {trial.trial_id for trial in self.front}
        return tuple(
            sorted(
                self.completed,
                key=lambda trial: (
                    trial.violation or 0.0,
                    trial.trial_id not in front,
                    self.losses(trial),
                    trial.number,
                ),
            )
        )

    @property
    def best(self) -> Trial | None:
        """The best trial, or `None` if none has completed."""
        return self.ranking[0] if self.ranking else None

    @functools.cached_property
    def front(self) -> tuple[Trial, ...]:
        """The trials that no other one beats, in the order of objective one."""
        keeping = [trial for trial in self.completed if trial.feasible]
        found: list[Trial] = []
        # In this order nothing that comes later dominates what came before.
        for trial in sorted(keeping, key=lambda t: (self.losses(t), t.number)):
            losses = self.losses(trial)
            if not any(_covers(self.losses(one), losses) for one in found):
                found.append(trial)
        return tuple(found)

    def trial(self, trial_id: str) -> Trial:
        """Returns a trial by its identifier.

        Raises:
            KeyError: If there is no such trial.
        """
        if trial_id not in self._by_id:
            raise KeyError(
                f"`trial_id` must be one of the search's {len(self.trials)} "
                f"trials. Received: trial_id={trial_id!r}."
            )
        return self._by_id[trial_id]

    @functools.cached_property
    def _by_id(self) -> dict[str, Trial]:
        return {trial.trial_id: trial for trial in self.trials}

    def losses(self, trial: Trial) -> tuple[float, ...]:
        """A completed trial's losses, one an objective, lower is better."""
        return tuple(
            objective.loss(score)
            for objective, score in zip(
                self.objectives, trial.scores or (), strict=False
            )
        )

    def parents(self, trial: Trial) -> tuple[Trial, ...]:
        """The parents of a trial that the folder knows."""
        return tuple(
            self._by_id[name] for name in trial.parents if name in self._by_id
        )

    def lineage(self, trial_id: str) -> tuple[Trial, ...]:
        """Returns a trial and all its ancestors, the oldest first.

        Raises:
            KeyError: If there is no such trial.
        """
        found: dict[str, Trial] = {}
        waiting = [self.trial(trial_id)]
        while waiting:
            trial = waiting.pop()
            if trial.trial_id not in found:
                found[trial.trial_id] = trial
                waiting.extend(self.parents(trial))
        return tuple(sorted(found.values(), key=lambda one: one.number))

    def to_dataframe(self) -> Any:
        """Returns a `pandas.DataFrame` with one row a trial.

        Columns: `trial_id`, `status`, the score of each objective, then
        `birth`, `operator`, `parents` and so on, `gene.NAME` for each
        hyperparameter (missing where it was not active), `metric.NAME`,
        `cost.NAME`, and `curves`, a dictionary from metrics to lists of
        `(epoch, value)`.

        Raises:
            ImportError: If pandas is not installed.
        """
        from keras_evonas.project.table import to_dataframe

        return to_dataframe(self)

    def summary(self) -> str:
        """Returns a few lines of text: how the search stands."""
        lines = [f"Search '{self.name}': {self.headline()}"]
        best = self.best
        if best is not None:
            lines.append(f"Best: trial {best.trial_id}, {self.describe(best)}")
            lines += [
                f"  {name} = {wording.gene_value(value)}"
                for name, value in best.values.items()
            ]
            if self.evolved:
                made = wording.plain_operator(best.operator)
                parents = ", ".join(best.parents) or "none"
                lines.append(f"  Made by: {made}; parents: {parents}")
        if len(self.objectives) > 1:
            ids = ", ".join(trial.trial_id for trial in self.front[:20])
            lines.append(f"Pareto front ({len(self.front)}): {ids}")
        if self.failures:
            message = _last_line(self.failures[-1].message)
            lines.append(f"Last failure: {wording.shorten(message, 200)}")
        lines += [f"Note: {note}" for note in self.notes]
        return "\n".join(lines)

    def headline(self) -> str:
        """Says in one line how many trials there are and how they stand."""
        parts = [wording.plural(len(self.trials), "trial")]
        parts.append(f"{len(self.completed)} completed")
        if self.failures:
            parts.append(f"{len(self.failures)} failed")
        if self.unfinished:
            parts.append(f"{len(self.unfinished)} running or interrupted")
        if self.elapsed is not None:
            parts.append(wording.duration(self.elapsed))
        return ", ".join(parts) + "."

    def describe(self, trial: Trial) -> str:
        """Names a trial's scores, such as `val_accuracy 0.981`."""
        if trial.scores is None:
            return trial.status.lower()
        return ", ".join(
            f"{objective.name} {wording.number(score)}"
            for objective, score in zip(
                self.objectives, trial.scores, strict=False
            )
        )

    def __repr__(self) -> str:
        return f"Search('{self.folder}': {self.headline()})"

    def _repr_html_(self) -> str:
        from keras_evonas.project.notebook import search_html

        return search_html(self)


def _covers(first: tuple[float, ...], second: tuple[float, ...]) -> bool:
    """Whether `first` is nowhere worse than `second` and not equal to it."""
    pairs = list(zip(first, second, strict=True))
    return all(a <= b for a, b in pairs) and first != second


def _last_line(message: str | None) -> str:
    lines = [line for line in (message or "").splitlines() if line.strip()]
    return lines[-1].strip() if lines else "no message"
