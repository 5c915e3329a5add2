"""A search as values, read from its project folder."""

import dataclasses
import functools
import pathlib
import statistics
from collections.abc import Mapping
from typing import TYPE_CHECKING
from typing import Any

from keras_evonas.evolution.history import Individual
from keras_evonas.evolution.recommendation import recommended
from keras_evonas.evolution.space import SearchSpace
from keras_evonas.project import extras
from keras_evonas.project import html
from keras_evonas.project import wording
from keras_evonas.project.ablation import AblationResult
from keras_evonas.project.objectives import Objective as Objective
from keras_evonas.project.option_weights import OptionWeights
from keras_evonas.project.ranking import Ranking
from keras_evonas.project.ranking import Standing
from keras_evonas.project.trials import Trial as Trial

if TYPE_CHECKING:
    import pandas

# So many of the best trials are shown in a notebook.
_LISTED = 5
# Fields of a trial that are columns of a table.
_COLUMNS = (
    *("violation", "rung", "best_epoch", "epochs", "ended_early"),
    *("seconds", "ended"),
    *("birth", "operator", "parents", "trainings", "message"),
)


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

    @property
    def score(self) -> str:
        """The score on unseen data in words, such as `0.984 ± 0.002`."""
        mean = wording.number(self.mean)
        if self.spread is None:
            return mean
        return f"{mean} ± {wording.number(self.spread, 2)}"


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Search:
    """A search, as its project folder describes it.

    Args:
        folder: The project folder.
        objectives: Its objectives; empty if the folder does not name them.
        trials: All networks, in the order in which they began. A network whose
            training was continued is there once; see `project.networks`.
        space: The search space, `None` if it was not saved.
        seed: The seed of the search.
        strategy: How networks were proposed.
        max_trials: How many trials the search was begun with.
        constraints: What networks had to keep, in words.
        evolved: Whether parents and operators were recorded.
        finalists: The networks that were judged again, best first.
        ablation: What the genes of a network are worth, if it was measured.
        option_weights: The weights of options of a search by gradients, if
            the folder holds one.
        stopped: Why the search has ended, `None` if it has not, or if that is
            not known.
        notes: Remarks about data that is missing or damaged.
        recorded: All trials as they were recorded: a training that went on is
            another one. Defaults to `trials`.
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
    option_weights: OptionWeights | None = None
    stopped: str | None = None
    notes: tuple[str, ...] = ()
    recorded: tuple[Trial, ...] = ()

    def __post_init__(self) -> None:
        if not self.recorded:
            object.__setattr__(self, "recorded", self.trials)

    @property
    def name(self) -> str:
        """Name of the project."""
        return self.folder.name or str(self.folder)

    @property
    def completed(self) -> tuple[Trial, ...]:
        """The networks that have a score."""
        return tuple(trial for trial in self.trials if trial.completed)

    @property
    def failures(self) -> tuple[Trial, ...]:
        """The trials that failed."""
        return tuple(trial for trial in self.recorded if trial.failed)

    @property
    def last_failure(self) -> str | None:
        """A line with the message of the last trial that failed, if any."""
        if not self.failures:
            return None
        return f"Last failure: {wording.gist(self.failures[-1].message, 200)}"

    @property
    def unfinished(self) -> tuple[Trial, ...]:
        """The trials that are running, interrupted, or to be tried again."""
        ended = ("COMPLETED", "FAILED")
        return tuple(t for t in self.recorded if t.status not in ended)

    @property
    def elapsed(self) -> float | None:
        """Seconds that the search took up to the last recorded end."""
        ends = [t.ended for t in self.recorded if t.ended is not None]
        return max(ends, default=None)

    @property
    def epochs(self) -> int | None:
        """Epochs of all trainings together, one execution of each, if known."""
        known = [t.epochs for t in self.recorded if t.epochs is not None]
        return sum(known) if known else None

    @property
    def finished(self) -> str | None:
        """That the search has ended and why, `None` if it may go on."""
        weights = self.option_weights
        ended = weights is not None and weights.ended
        if self.stopped is not None:
            return f"Finished: {self.stopped}."
        if self.trials or weights is None:
            count = sum(t.completed or t.failed for t in self.recorded)
            ended = self.max_trials is not None and count >= self.max_trials
        return "Finished." if ended else None

    @functools.cached_property
    def _ranking(self) -> Ranking:
        standings = [
            Standing(
                trial_id=trial.trial_id,
                losses=self.losses(trial),
                ended=trial.number if trial.end is None else trial.end,
                violation=trial.violation or 0.0,
                rung=trial.rung,
                continues=trial.continues,
                ended_early=trial.ended_early,
            )
            for trial in self.completed
        ]
        return Ranking(sorted(standings, key=lambda one: one.ended))

    @functools.cached_property
    def ranking(self) -> tuple[Trial, ...]:
        """The completed networks, best first; see `project.ranking`."""
        return tuple(map(self.trial, self._ranking.best()))

    @property
    def best(self) -> Trial | None:
        """The best trial, or `None` if none has completed."""
        return self.ranking[0] if self.ranking else None

    @property
    def none_feasible(self) -> str | None:
        """Says so, if no network keeps the constraints: `best` is nearest."""
        if self.best is None or self.best.feasible:
            return None
        kept = " and ".join(self.constraints) or "the constraints"
        return f"No network keeps {kept}; the nearest is"

    @functools.cached_property
    def recommended(self) -> Trial | None:
        """The trial that is expected to be best if all were trained again.

        It may have a worse score than `best`, which may have been lucky; see
        `keras_evonas.evolution.recommended`. `None` with several objectives,
        and where the folder does not tell the space.
        """
        if self.space is None or len(self.objectives) != 1:
            return None
        leaders = [self.trial(x.trial_id) for x in self._ranking.leaders()]
        genomes = [self.space.complete(trial.values) for trial in leaders]
        individuals = [
            Individual(birth=place, genome=genome, losses=self.losses(trial))
            for place, (trial, genome) in enumerate(
                zip(leaders, genomes, strict=True)
            )
            if self.space.contains(genome)
        ]
        found = recommended(self.space, individuals)
        return leaders[found[0].birth] if found else None

    @property
    def better_than_best(self) -> Trial | None:
        """The recommended trial, if the score of the best one seems lucky."""
        best, other = self.best, self.recommended
        if best is None or other is None:
            return None
        return other if self.losses(other) > self.losses(best) else None

    @property
    def score_name(self) -> str:
        """The name of the score that networks are compared by first."""
        return self.objectives[0].name if self.objectives else "score"

    @property
    def chosen(self) -> Finalist | None:
        """The finalist that was chosen, if networks were trained again."""
        return next((one for one in self.finalists if one.chosen), None)

    @functools.cached_property
    def front(self) -> tuple[Trial, ...]:
        """The trials that no other beats, in the order of losses."""
        return tuple(map(self.trial, self._ranking.front()))

    def trial(self, trial_id: str) -> Trial:
        """Returns a network by the identifier of any of its trials.

        Raises:
            KeyError: If there is no such trial.
        """
        if trial_id not in self._by_id:
            raise KeyError(
                f"`trial_id` must be one of the search's {len(self.recorded)} "
                f"trials. Received: trial_id={trial_id!r}."
            )
        return self._by_id[trial_id]

    def find(self, trial_id: str | None) -> Trial | None:
        """Returns what `trial` does, or `None` if there is no such trial."""
        return self._by_id.get(trial_id or "")

    @functools.cached_property
    def _by_id(self) -> dict[str, Trial]:
        return {
            trial_id: trial
            for trial in self.trials
            for trial_id in (trial.trial_id, *trial.trainings)
        }

    def losses(self, trial: Trial) -> tuple[float, ...]:
        """A completed trial's losses, one an objective, lower is better."""
        pairs = zip(self.objectives, trial.scores or (), strict=False)
        return tuple(objective.loss(score) for objective, score in pairs)

    def parents(self, trial: Trial) -> tuple[Trial, ...]:
        """The parents of a trial that the folder knows."""
        known = self._by_id
        found = [known[name] for name in trial.parents if name in known]
        return tuple({one.trial_id: one for one in found}.values())

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

    def to_dataframe(self) -> "pandas.DataFrame":
        """Returns a `pandas.DataFrame` with one row a network.

        Columns: `trial_id`, `status`, `rank` (1 is the best, missing where
        `ranking` has no place for it), the score of each objective, then
        `birth`, `operator`, `parents` and so on, `trainings` (of a network
        whose training was continued, the trials), `gene.NAME` for each
        hyperparameter (missing where it was not active), `metric.NAME`,
        `cost.NAME`, and `curves`, a dictionary from metrics to lists of
        `(epoch, value)`.

        Raises:
            ImportError: If pandas is not installed.
        """
        pandas = extras.load("pandas", "pandas")
        ranks = {trial.trial_id: i for i, trial in enumerate(self.ranking, 1)}
        rows = [self._row(x, ranks.get(x.trial_id)) for x in self.trials]
        columns = list(dict.fromkeys(name for row in rows for name in row))
        groups = ("cost.", "metric.", "gene.")
        # The columns of a group stand together, after all others.
        columns.sort(key=lambda name: [name.startswith(x) for x in groups])
        table = pandas.DataFrame(rows, columns=columns)
        return table.astype({"rank": "Int64"}) if rows else table

    def _row(self, trial: Trial, rank: int | None) -> dict[str, Any]:
        scores = trial.scores or [None] * len(self.objectives)
        names = [objective.name for objective in self.objectives]
        curves = {name: list(curve) for name, curve in trial.curves.items()}
        return {
            "trial_id": trial.trial_id,
            "status": trial.status,
            "rank": rank,
            **dict(zip(names, scores, strict=True)),
            **{name: getattr(trial, name) for name in _COLUMNS},
            "parents": tuple(one.trial_id for one in self.parents(trial)),
            "curves": curves,
            **{f"gene.{name}": value for name, value in trial.values.items()},
            **{f"metric.{name}": x for name, x in trial.metrics.items()},
            **{f"cost.{name}": value for name, value in trial.costs.items()},
        }

    def summary(self) -> str:
        """Returns a few lines of text: how the search stands."""
        lines = [f"Search '{self.name}': {self.headline()}"]
        best = self.best
        if best is not None:
            lead = self.none_feasible or "Best:"
            said = self.describe(best)
            lines.append(f"{lead} trial {best.trial_id}, {said}")
            lines += [
                f"  {name} = {wording.gene_value(value)}"
                for name, value in best.values.items()
            ]
            if self.evolved:
                made = wording.plain_operator(best.operator)
                found = (one.trial_id for one in self.parents(best))
                parents = ", ".join(found) or "none"
                lines.append(f"  Made by: {made}; parents: {parents}")
        if self.chosen is not None:
            said = self.describe_finalist(self.chosen)
            lines.append(f"Chosen: {self.chosen.name}, {said}")
        other = self.better_than_best
        if other is not None:
            lines.append(
                f"Expected to be better if trained again: trial "
                f"{other.trial_id}, {self.describe(other)}"
            )
        if len(self.objectives) > 1:
            ids = ", ".join(trial.trial_id for trial in self.front[:20])
            lines.append(f"Pareto front ({len(self.front)}): {ids}")
        if self.last_failure is not None:
            lines.append(self.last_failure)
        if self.option_weights is not None:
            lines.append("Options that weigh most:")
            lines += [f"  {line}" for line in self.option_weights.lines()]
        lines += [f"Note: {note}" for note in self.notes]
        return "\n".join(lines)

    def headline(self) -> str:
        """Writes in one line how many trials there are and how they stand."""
        if self.option_weights is not None and not self.trials:
            return self.option_weights.headline()
        parts = [wording.plural(len(self.recorded), "trial")]
        if len(self.trials) < len(self.recorded):
            parts[0] += f" of {wording.plural(len(self.trials), 'network')}"
        parts.append(f"{len(self.completed)} completed")
        if early := sum(trial.ended_early for trial in self.trials):
            parts.append(f"{early} ended early")
        if self.failures:
            parts.append(f"{len(self.failures)} failed")
        if self.unfinished:
            parts.append(f"{len(self.unfinished)} running or interrupted")
        if self.epochs is not None:
            parts.append(wording.plural(self.epochs, "epoch"))
        if self.elapsed is not None:
            parts.append(wording.duration(self.elapsed))
        return ", ".join(parts) + "."

    def describe(self, trial: Trial) -> str:
        """Names a trial's scores, such as `val_accuracy 0.981`."""
        if trial.scores is None:
            return trial.status.lower()
        pairs = zip(self.objectives, trial.scores, strict=False)
        said = ", ".join(f"{x.name} {wording.number(y)}" for x, y in pairs)
        return f"{said} (ended early)" if trial.ended_early else said

    def describe_finalist(self, finalist: Finalist) -> str:
        """Writes a finalist's score on unseen data and in the search."""
        trainings = wording.plural(len(finalist.honest_scores), "training")
        said = (
            f"{self.score_name} {finalist.score} on unseen data, in {trainings}"
        )
        if finalist.search_score is not None:
            score = wording.number(finalist.search_score)
            said += f"; in the search it scored {score}"
        if self.best is not None and self.best.trial_id == finalist.trial_id:
            said += ", which was the best there, too"
        return said

    def __repr__(self) -> str:
        return f"Search('{self.folder}': {self.headline()})"

    def to_html(self) -> str:
        """Returns a heading and the best trials as HTML, without plots."""
        parts = [html.tag("b", self.name), html.text(f": {self.headline()}")]
        best = self.ranking[:_LISTED]
        if best:
            names = [objective.name for objective in self.objectives]
            rows = []
            for trial in best:
                scores = map(wording.number, trial.scores or ())
                genes = (
                    f"{name} {wording.gene_value(value)}"
                    for name, value in trial.values.items()
                )
                rows.append([trial.trial_id, *scores, ", ".join(genes)])
            parts.append(html.table(["Trial", *names, "Genes"], rows))
        parts += [html.tag("p", html.tag("i", note)) for note in self.notes]
        return html.tag("div", *parts)

    def _repr_html_(self) -> str:
        return self.to_html()
