"""Cells found with shared weights, judged by a table of trained cells.

A small supernet of the cells of NAS-Bench-201 (Dong & Yang, 2020) is trained on
few images of half the resolution, and searched for the best cell of at most
half the multiply-adds of the largest one. The table has the accuracy of every
cell, trained in a large network. Beside each way to train a supernet stands the
best of its shortlist after a training from scratch, the same search among cells
near the limit alone, and what needs less of a supernet: random search on the
same scores, a search that trains small cells one by one for as long, the
largest cell that is allowed, and random cells.

```sh
python -m keras_evonas.benchmarks supernets --seeds=5 \
    --table=nasbench201_cifar10_200epochs.npz --images=cifar10.npz
```
"""

import dataclasses
import statistics
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING
from typing import Any

from absl import logging
from scipy import stats

from keras_evonas.benchmarks import command
from keras_evonas.benchmarks import gradient_cells
from keras_evonas.benchmarks import stand_alone
from keras_evonas.benchmarks.cell_judge import COST
from keras_evonas.benchmarks.cell_judge import NEAR
from keras_evonas.benchmarks.cell_judge import CellJudge
from keras_evonas.benchmarks.cell_judge import cell_judge
from keras_evonas.benchmarks.cell_judge import genome_of
from keras_evonas.benchmarks.cell_judge import values_of
from keras_evonas.benchmarks.datasets import Parts
from keras_evonas.benchmarks.datasets import images
from keras_evonas.benchmarks.datasets import name_of
from keras_evonas.benchmarks.shared_scores import train_supernet
from keras_evonas.benchmarks.summaries import table
from keras_evonas.evolution.genes import Genome

if TYPE_CHECKING:
    from keras_evonas.models import CellNetwork

_BATCH = 50
_SHORTLIST = 12
_RETRAINED = f"best of {_SHORTLIST}, trained alone"
# Images that cells are scored on.
_HELD_OUT = 2000
# Cells by which the order of scores is compared with that of the table.
_COMPARED = 100
FLAGS = command.Flags()
_TABLE = FLAGS.string(
    "table", None, f"Table of NAS-Bench-201 as `.npz`, with {COST}."
)
_IMAGES = FLAGS.images()
_METHODS = FLAGS.list(
    "methods",
    ["uniform", "fair"],
    "Samplers of `single_path`, among them policy, and feasible for cells near "
    "the limit alone, or methods by gradients: "
    f"{', '.join(gradient_cells.METHODS)}.",
)
_SEEDS = FLAGS.seeds(5)
_EXAMPLES = FLAGS.positive("examples", 8000, "Images to train on.")
_EPOCHS = FLAGS.positive("epochs", 40, "Epochs of a supernet.")
_TRIALS = FLAGS.positive("trials", 300, "Cells scored by each search.")
_ALONE = FLAGS.positive("epochs_alone", 5, "Epochs of a cell by itself.")
_FINAL = FLAGS.positive("epochs_final", 10, "Epochs of a cell on a shortlist.")
_STAGES = FLAGS.positive("stages", 2, "Stages of the supernet.")
_FILTERS = FLAGS.positive("filters", 8, "Its filters, a power of two.")
_MARKDOWN = FLAGS.markdown()
_HEADER = (
    *("supernet", "cell", "accuracy", "rank, median", "ranks"),
    *(f"shortlist of {_SHORTLIST}, mean", "Spearman", "CPU seconds"),
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Found:
    """The result of a search with one seed."""

    accuracy: float
    rank: float
    shortlist: float | None = None
    spearman: float | None = None
    seconds: float | None = None


def main() -> None:
    """Runs the benchmark and prints its table."""
    with command.usage_errors():
        if _TABLE.value is None:
            raise ValueError("`--table` must name a table. Received: none.")
        judge = cell_judge(_TABLE.value)
        parts = images(
            _IMAGES.value,
            _EXAMPLES.value,
            validation=_HELD_OUT,
            halved=True,
        )
    rows = []
    seeds = range(_SEEDS.value)
    seconds: dict[str, list[float]] = {}
    for name in _METHODS.value:
        run = _by_gradients if name in gradient_cells.METHODS else _by_scores
        runs = [run(judge, parts, name, seed) for seed in seeds]
        for kind in runs[0]:
            rows.append(_row(name, kind, [one[kind] for one in runs]))
        seconds[name] = [
            max(found.seconds or 0 for found in one.values()) for one in runs
        ]
        logging.info("\n%s", table(_HEADER, rows))
    alone = [
        _alone(judge, parts, seed, max(one[seed] for one in seconds.values()))
        for seed in seeds
    ]
    for name, limits in seconds.items():
        cells = [
            stand_alone.best_within(trained, limit)
            for trained, limit in zip(alone, limits, strict=True)
        ]
        found = [_judged(judge, cell) for cell in cells]
        rows.append(_row(f"alone, as long as {name}", "best trained", found))
    largest = _judged(judge, judge.largest())
    rows.append(_row("-", "largest allowed", [largest]))
    drawn = [_judged(judge, genome) for genome in judge.random(0, 1000)]
    rows.append(_row("-", "random", drawn, listed=0))
    text = (
        f"{table(_HEADER, rows)}\n\n"
        f"{int(judge.allowed.sum())} of {len(judge.table.true)} cells are "
        "reached by a path and have at most half the multiply-adds of the "
        "largest network; the rank is the share of them that is better. "
        f"Supernets of {_STAGES.value} stages and {_FILTERS.value} filters, "
        f"{_EPOCHS.value} epochs on {_EXAMPLES.value} images of "
        f"{name_of(_IMAGES.value)} at half the resolution; "
        f"{_TRIALS.value} cells scored; near the limit is what costs "
        f"{NEAR:.0%} of the largest allowed or more; Spearman's "
        f"correlation of scores with the table over {_COMPARED} random cells "
        f"under the limit; alone, a cell trains for {_ALONE.value} epochs, on "
        f"a shortlist for {_FINAL.value}. "
        f"{_SEEDS.value} seeds, {command.machine()}.\n"
    )
    command.publish(text, _MARKDOWN.value)


def _judged(judge: CellJudge, genome: Genome) -> _Found:
    return _Found(accuracy=judge.accuracy(genome), rank=judge.rank(genome))


def _by_gradients(
    judge: CellJudge, parts: Parts, name: str, seed: int
) -> dict[str, _Found]:
    """Trains a supernet with its architecture, and takes the likeliest cell."""
    begun = time.process_time()
    values = gradient_cells.cell_by_gradients(
        name,
        parts,
        seed,
        hypermodel_of=lambda steps: _hypermodel(parts, steps),
        epochs=_EPOCHS.value,
        batch_size=_BATCH,
        costs=judge.shares(),
        allows=lambda values: judge.allows(genome_of(judge, values)),
    )
    found = _judged(judge, genome_of(judge, values))
    seconds = time.process_time() - begun
    return {"likeliest": dataclasses.replace(found, seconds=seconds)}


def _by_scores(
    judge: CellJudge, parts: Parts, name: str, seed: int
) -> dict[str, _Found]:
    """Trains a supernet, and searches it by evolution and at random."""
    begun = time.process_time()

    def is_near(genome: Genome) -> bool:
        return judge.allows(genome) and judge.is_near_limit(genome)

    scored = train_supernet(
        _hypermodel(parts, parts.steps(_EPOCHS.value, _BATCH)),
        parts,
        sampler=name,
        allows=lambda values: is_near(genome_of(judge, values)),
        epochs=_EPOCHS.value,
        batch_size=_BATCH,
        seed=seed,
    )
    trained = time.process_time() - begun
    known: dict[tuple[Any, ...], float] = {}

    def score(genome: Genome) -> float:
        key = tuple(genome.values())
        if key not in known:
            known[key] = scored(values_of(genome))
        return known[key]

    def evaluate(genome: Genome) -> float | None:
        return -score(genome) if judge.allows(genome) else None

    def evaluate_near(genome: Genome) -> float | None:
        return -score(genome) if is_near(genome) else None

    drawn = judge.random(1000 + seed, _COMPARED)
    scores = [score(genome) for genome in drawn]
    accuracies = [judge.accuracy(genome) for genome in drawn]
    spearman = float(stats.spearmanr(scores, accuracies).statistic)
    results = {}
    shortlist: list[Genome] = []
    for kind, strategy, limited in (
        ("evolution", "genetic_algorithm", evaluate),
        ("evolution near the limit", "genetic_algorithm", evaluate_near),
        ("random search", "random", evaluate),
    ):
        begun = time.process_time()
        trials = stand_alone.search_alone(
            judge.table.space,
            limited,
            seed=seed,
            trials=_TRIALS.value,
            strategy=strategy,
        )
        trials.sort(key=lambda one: one.loss)
        best = [judge.accuracy(one.genome) for one in trials[:_SHORTLIST]]
        seconds = trained + time.process_time() - begun
        results[kind] = dataclasses.replace(
            _judged(judge, trials[0].genome),
            shortlist=statistics.mean(best),
            spearman=spearman,
            seconds=seconds,
        )
        logging.info("%s, seed %d, %s: %s", name, seed, kind, results[kind])
        if kind == "evolution":
            shortlist = [one.genome for one in trials[:_SHORTLIST]]
    found = _best_retrained(judge, parts, seed, shortlist)
    searched = results["evolution"].seconds or 0
    seconds = searched + (found.seconds or 0)
    results[_RETRAINED] = dataclasses.replace(found, seconds=seconds)
    logging.info("%s, seed %d, %s: %s", name, seed, _RETRAINED, found)
    return results


def _best_retrained(
    judge: CellJudge, parts: Parts, seed: int, shortlist: Sequence[Genome]
) -> _Found:
    """Trains cells from scratch, as `finalize` does, and takes the best."""
    begun = time.process_time()
    accuracies = [
        _trained_alone(parts, seed, genome, _FINAL.value)
        for genome in shortlist
    ]
    best = shortlist[accuracies.index(max(accuracies))]
    seconds = time.process_time() - begun
    return dataclasses.replace(_judged(judge, best), seconds=seconds)


def _alone(
    judge: CellJudge, parts: Parts, seed: int, seconds: float
) -> list[stand_alone.Trained]:
    """Trains cells one by one, until the seconds are over."""

    def evaluate(genome: Genome) -> float | None:
        if not judge.allows(genome):
            return None
        return -_trained_alone(parts, seed, genome, _ALONE.value)

    space, trials = judge.table.space, _TRIALS.value
    return stand_alone.search_alone(
        space, evaluate, seconds=seconds, seed=seed, trials=trials
    )


def _trained_alone(
    parts: Parts, seed: int, genome: Genome, epochs: int
) -> float:
    """Returns the validation accuracy of a cell trained from scratch."""
    return stand_alone.train_alone(
        _hypermodel(parts, parts.steps(epochs, _BATCH)).build,
        values_of(genome),
        parts,
        epochs=epochs,
        batch_size=_BATCH,
        seed=seed,
    )


def _hypermodel(parts: Parts, steps: int) -> "CellNetwork":
    """Makes the space; its networks are trained for so many steps."""
    from keras_evonas.benchmarks.networks import cell_network

    return cell_network(
        parts.input_shape,
        steps=steps,
        stages=_STAGES.value,
        filters=_FILTERS.value,
    )


def _row(
    name: str, cell: str, found: Sequence[_Found], listed: int = 10
) -> list[str]:
    def mean(values: Sequence[float | None], digits: int) -> str:
        known = [value for value in values if value is not None]
        return f"{statistics.mean(known):.{digits}f}" if known else "-"

    ranks = [one.rank for one in found]
    return [
        name,
        cell,
        mean([one.accuracy for one in found], 2),
        f"{statistics.median(ranks):.1%}",
        " ".join(f"{rank:.1%}" for rank in ranks[:listed]) or "-",
        mean([one.shortlist for one in found], 2),
        mean([one.spearman for one in found], 2),
        mean([one.seconds for one in found], 0),
    ]
