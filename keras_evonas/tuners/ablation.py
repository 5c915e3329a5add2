"""Ablation: each gene of a network is put back to its default, retrained."""

import dataclasses
import json
import pathlib
from collections.abc import Iterable
from collections.abc import Mapping
from typing import Any
from typing import TypeAlias

from keras_tuner.engine import trial as trial_lib

from keras_evonas import reports
from keras_evonas.evolution import SearchSpace
from keras_evonas.project import retrained
from keras_evonas.project import wording
from keras_evonas.project.ablation import ABLATION_NAME
from keras_evonas.project.ablation import AblationResult
from keras_evonas.project.ablation import ablation_of
from keras_evonas.project.curves import read_curves
from keras_evonas.project.html import table
from keras_evonas.project.html import tag
from keras_evonas.project.retrained import Network
from keras_evonas.tuners.retraining import EndedSearch
from keras_evonas.tuners.retraining import Retraining
from keras_evonas.tuners.retraining import epochs_of

_FOLDER = "ablation"
Genome: TypeAlias = Mapping[str, Any]


@dataclasses.dataclass(frozen=True, kw_only=True)
class AblationPlan:
    """The trainings of an ablation, and about how long they take.

    Args:
        network: The network, as it stands, and its name.
        variants: The network with one gene put back, for each of `genes`.
        changed: All genes of the network that are not at their default.
        repeats: How often each is trained.
        seconds: About how long it takes, from what the trial took; `None` if
            that is not known.
        default_is_better: Whether a network with all genes at their defaults
            came out better: this is the best one of the others.
        infeasible: Genes that are not put back, because the network with
            their default breaks a constraint of the search.
    """

    network: Network
    variants: tuple[Network, ...]
    changed: tuple[str, ...]
    repeats: int
    seconds: float | None
    default_is_better: bool = False
    infeasible: tuple[str, ...] = ()

    @property
    def genes(self) -> tuple[str, ...]:
        """The genes that are put back, one at a time."""
        return tuple(one.notes["gene"] for one in self.variants)

    @property
    def num_trainings(self) -> int:
        """Number of trainings."""
        return (1 + len(self.variants)) * self.repeats

    def __str__(self) -> str:
        before = after = ""
        if self.default_is_better:
            before = (
                "The network with all genes at their defaults is the best one, "
                "and has nothing to put back. The next best is explained. "
            )
        if self.infeasible:
            after = (
                " Not put back, since the default breaks a constraint: "
                f"{', '.join(self.infeasible)}."
            )
        seconds = "for an unknown time."
        if self.seconds is not None:
            seconds = f"about {wording.duration(self.seconds)}."
        return (
            f"{before}Ablation of {self.network.name}: "
            f"{wording.plural(len(self.variants), 'gene')} of "
            f"{len(self.changed)} that are not at their default, and the whole "
            f"network, {self.repeats} times each: "
            f"{wording.plural(self.num_trainings, 'training')}, {seconds}"
            f"{after}"
        )


@dataclasses.dataclass(frozen=True, kw_only=True, repr=False)
class Ablation(AblationResult):
    """The worth of each gene of a network, as text and as HTML."""

    def __repr__(self) -> str:
        rows = [_HEADER, *self._rows()]
        return "\n".join([self._title(), *wording.columns(rows)])

    def _repr_html_(self) -> str:
        return tag("div", tag("b", self._title()), table(_HEADER, self._rows()))

    def _title(self) -> str:
        return (
            f"What the genes of {self.network} are worth, in {self.objective}:"
        )

    def _rows(self) -> list[tuple[str, ...]]:
        return [
            (
                one.gene,
                wording.gene_value(one.value),
                wording.gene_value(one.default),
                wording.MISSING
                if one.mean is None
                else wording.signed(one.mean),
                wording.number(one.spread, 3),
                str(len(one.gains)) + ", then failed" * bool(one.message),
            )
            for one in self.effects
        ]


_HEADER = ("gene", "value", "default", "worth", "spread", "runs")


def plan(
    search: EndedSearch,
    *,
    trial_id: str | None,
    genes: Iterable[str] | None,
    repeats: int,
    max_trainings: int | None,
    epochs: int | None,
) -> AblationPlan:
    """Plans an ablation; see `EvoTuner.plan_ablation`."""
    space = search.space
    trial, default_is_better = _explained(search, space, trial_id)
    genome, defaults = _genes_of(space, trial)
    changed = _changed(genome, defaults)
    without = {
        gene: space.complete({**genome, gene: defaults[gene]})
        for gene in changed
    }
    asked = _wanted(changed, genes)
    wanted = [gene for gene in asked if search.may_be_trained(without[gene])]
    if not wanted:
        raise ValueError(
            "`genes` must have a default that keeps the constraints of the "
            f"search. Received: {asked}, none of which may be put back in "
            f"trial {trial.trial_id}."
        )
    infeasible = tuple(gene for gene in asked if gene not in wanted)
    if max_trainings is not None:
        wanted = _affordable(search.folder, wanted, repeats, max_trainings)
    name, own_epochs = f"trial {trial.trial_id}", epochs_of(trial)
    objective = search.oracle.objective
    whole = Network(
        name=name,
        values=genome,
        epochs=own_epochs,
        notes={
            "trial_id": trial.trial_id,
            "gene": None,
            "changed": changed,
            "objective": objective.name,
            "direction": objective.direction,
        },
    )
    variants = tuple(
        Network(
            name=f"{gene}={defaults[gene]}",
            values=without[gene],
            epochs=own_epochs,
            notes={
                "of": name,
                "gene": gene,
                "value": genome[gene],
                "default": defaults[gene],
            },
        )
        for gene in wanted
    )
    each = _seconds(search.folder, trial, epochs or own_epochs)
    return AblationPlan(
        network=whole,
        variants=variants,
        changed=tuple(changed),
        repeats=repeats,
        seconds=None if each is None else (1 + len(variants)) * repeats * each,
        default_is_better=default_is_better,
        infeasible=infeasible,
    )


def run(
    search: EndedSearch,
    training: Retraining,
    planned: AblationPlan,
    *,
    overwrite: bool,
) -> Ablation:
    """Trains what a plan says and is missing."""
    path = search.folder / ABLATION_NAME
    board = retrained.Scoreboard(
        path,
        training.settings,
        [planned.network, *planned.variants],
        overwrite=overwrite,
    )
    seeds = search.seeds(planned.repeats)
    missing = board.missing(seeds, _FOLDER, by_seed=True)
    total = planned.num_trainings
    progress = training.progress(total, total - len(missing))
    progress.say(str(planned))
    training.run(
        missing,
        on_score=lambda repeat, score: board.add(repeat.network.name, score),
        progress=progress,
    )
    board.write()
    result = ablation_of(json.loads(path.read_text(encoding="utf-8")))
    if result is None or not result.scores:
        message = board.scores(planned.network)[0].message
        raise RuntimeError(
            f"The network of {planned.network.name} could not be trained "
            f"again. It failed with:\n{message}"
        )
    ablation = Ablation(**vars(result))
    progress.conclude(ablation)
    return ablation


def _genes_of(
    space: SearchSpace, trial: trial_lib.Trial
) -> tuple[Genome, Genome]:
    """Returns the genome of a trial, and the defaults of its active genes."""
    genome = space.complete(trial.hyperparameters.values)
    return genome, {gene.name: gene.default for gene in space.active(genome)}


def _changed(genome: Genome, defaults: Genome) -> list[str]:
    return [name for name in genome if genome[name] != defaults[name]]


def _explained(
    search: EndedSearch, space: SearchSpace, trial_id: str | None
) -> tuple[trial_lib.Trial, bool]:
    """Returns the trial to explain, and whether all defaults did better.

    It is the trial that is asked for; else the first with a gene to put back
    among those that `finalize` has judged, the chosen one first, and then
    among all, the best first.
    """
    trials = {trial.trial_id: trial for trial in search.completed}
    if not trials:
        raise ValueError(
            "There must be a completed trial to explain. Received: a search "
            "without one. Call `tuner.search` first."
        )
    if trial_id is None:
        order = list(dict.fromkeys([*_judged(search.folder), *trials]))
    elif trial_id in trials:
        order = [trial_id]
    else:
        raise ValueError(
            "`trial_id` must be that of a completed trial. Received: "
            f"trial_id={trial_id!r}, and the search has {list(trials)}."
        )
    for place, name in enumerate(order):
        # The default may have been no trial.
        if name in trials and _changed(*_genes_of(space, trials[name])):
            return trials[name], place > 0
    raise ValueError(
        "`trial_id` must be that of a completed trial whose genes are not all "
        f"at their defaults. Received: trial_id={trial_id!r}, where nothing "
        "can be put back."
    )


def _judged(folder: pathlib.Path) -> list[str | None]:
    """Returns the trials that `finalize` has judged, the chosen one first."""
    if not (folder / retrained.FINALISTS_NAME).exists():
        return []
    return [one.trial_id for one in reports.load(folder).finalists]


def _wanted(changed: list[str], genes: Iterable[str] | None) -> list[str]:
    if genes is None:
        return changed
    asked = [genes] if isinstance(genes, str) else list(genes)
    if not asked or not set(asked) <= set(changed):
        raise ValueError(
            "`genes` must be genes of the network that are not at their "
            f"default. Received: genes={asked}; there are {changed}."
        )
    return asked


def _affordable(
    folder: pathlib.Path, genes: list[str], repeats: int, max_trainings: int
) -> list[str]:
    number = max_trainings // repeats - 1
    if number < 1:
        raise ValueError(
            "`max_trainings` must be enough for the network itself and one "
            f"gene. Received: max_trainings={max_trainings} with "
            f"repeats={repeats}, which needs {2 * repeats}. Raise it, or "
            "lower `repeats`."
        )
    if number >= len(genes):
        return genes
    kept = _by_importance(folder, genes)[:number]
    return [name for name in genes if name in kept]


def _by_importance(folder: pathlib.Path, genes: list[str]) -> list[str]:
    """Sorts genes, the most important first; keeps their order if unknown."""
    importance = reports.gene_importance(reports.load(folder))
    if importance is None or not importance.reliable:
        return genes
    total: Mapping[str, float] = importance.total
    return sorted(genes, key=lambda name: -total.get(name, 0.0))


def _seconds(
    folder: pathlib.Path, trial: trial_lib.Trial, epochs: int | None
) -> float | None:
    """Estimates how long a training takes from what the trial took."""
    metrics = trial.metrics
    curves = read_curves(folder / f"trial_{trial.trial_id}")
    trained = sum(len(next(iter(one.values()), ())) for one in curves)
    if not (epochs and trained and metrics.exists("train_seconds")):
        return None
    taken = metrics.get_best_value("train_seconds")
    return float(taken) / trained * epochs
