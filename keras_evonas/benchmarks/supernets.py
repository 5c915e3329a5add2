"""Cells found with shared weights, judged by a table of trained cells.

A small supernet of the cells of NAS-Bench-201 (Dong & Yang, 2020) is trained on
few images of half the resolution, and searched for the best cell of at most
half the multiply-adds of the largest one. The table has the accuracy of every
cell, trained in a large network. Beside each way to train a supernet stands
what needs less of it: random search on the same scores, the largest cell that
is allowed, and random cells.

```sh
python -m keras_evonas.benchmarks supernets --seeds=5 \
    --table=nasbench201_cifar10_200epochs.npz --images=cifar10.npz
```
"""

import dataclasses
import os
import pathlib
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

import numpy as np
from absl import logging

from keras_evonas.benchmarks import command
from keras_evonas.benchmarks.datasets import Parts
from keras_evonas.benchmarks.datasets import images
from keras_evonas.benchmarks.methods import method
from keras_evonas.benchmarks.searchers import run_trials
from keras_evonas.benchmarks.summaries import row
from keras_evonas.benchmarks.tables import Table
from keras_evonas.benchmarks.tables import read_table
from keras_evonas.evolution.genes import Genome

# The operations of the table, as `CellNetwork` names them.
_OPERATIONS = {
    "none": "none",
    "skip_connect": "skip",
    "nor_conv_1x1": "conv_1x1",
    "nor_conv_3x3": "conv_3x3",
    "avg_pool_3x3": "average_pool_3x3",
}
_COST = "flops_millions"
_BATCH = 50
_SHORTLIST = 12
# Cells by which the order of scores is compared with that of the table.
_COMPARED = 100
_FLAGS = command.Flags()
FLAGS = _FLAGS.values
_TABLE = _FLAGS.string(
    "table", None, f"Table of NAS-Bench-201 as `.npz`, with {_COST}."
)
_IMAGES = _FLAGS.string(
    "images",
    None,
    "An `.npz` file with x_train, y_train, x_test and y_test, such as "
    "CIFAR-10. Defaults to Fashion-MNIST.",
)
_METHODS = _FLAGS.list(
    "methods", ["uniform", "fair"], "Samplers of `single_path`."
)
_SEEDS = _FLAGS.positive("seeds", 5, "Number of seeds, from 0 on.")
_EXAMPLES = _FLAGS.positive("examples", 4000, "Images to train on.")
_EPOCHS = _FLAGS.positive("epochs", 40, "Epochs of a supernet.")
_TRIALS = _FLAGS.positive("trials", 300, "Cells scored by each search.")
_STAGES = _FLAGS.positive("stages", 2, "Stages of the supernet.")
_FILTERS = _FLAGS.positive("filters", 8, "Its filters, a power of two.")
_MARKDOWN = _FLAGS.string(
    "markdown", None, "File to write the table to, beside printing it."
)
_HEADER = (
    "| supernet | cell | accuracy | rank, median | ranks | shortlist of "
    f"{_SHORTLIST}, mean | Spearman | CPU seconds |\n"
    "|---|---|---|---|---|---|---|---|\n"
)


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class _Judge:
    """Judges cells by a table, among those under a limit.

    Args:
        table: The table.
        allowed: `(n,)` booleans, the rows under the limit.
    """

    table: Table
    allowed: np.ndarray

    def allows(self, genome: Genome) -> bool:
        return bool(self.allowed[self._row(genome)])

    def accuracy(self, genome: Genome) -> float:
        return -float(self.table.true[self._row(genome)])

    def rank(self, genome: Genome) -> float:
        """Returns the share of allowed cells that are better."""
        losses = self.table.true[self.allowed]
        return float((losses < self.table.true[self._row(genome)]).mean())

    def largest(self) -> Genome:
        """Returns the most expensive cell that is allowed."""
        costs = np.where(self.allowed, self.table.costs[_COST], -np.inf)
        wanted = int(costs.argmax())
        return next(g for g in self._genomes() if self._row(g) == wanted)

    def random(self, seed: int, number: int) -> list[Genome]:
        """Draws cells that are allowed."""
        rng = np.random.default_rng([seed, 201])
        drawn: list[Genome] = []
        while len(drawn) < number:
            genome = self.table.space.sample(rng)
            if self.allows(genome):
                drawn.append(genome)
        return drawn

    def _genomes(self) -> list[Genome]:
        genes = self.table.space.genes
        return [
            {
                gene.name: gene.domain.values[place]  # type: ignore[union-attr]
                for gene, place in zip(genes, places, strict=True)
            }
            for places in self.table.rows
        ]

    def _row(self, genome: Genome) -> int:
        found = self.table.row(genome)
        if found is None:
            raise KeyError(f"the table lacks {dict(genome)}")
        return found


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Found:
    """The result of a search with one seed."""

    accuracy: float
    rank: float
    shortlist: float | None = None
    spearman: float | None = None
    seconds: float | None = None


def main(argv: Sequence[str]) -> None:
    """Runs the benchmark and prints its table."""
    del argv
    with command.usage_errors():
        if _TABLE.value is None:
            raise ValueError("`--table` must name a table. Received: none.")
        judge = _judge(_TABLE.value)
        parts = images(_IMAGES.value, _EXAMPLES.value, halved=True)
    text = _HEADER
    for name in _METHODS.value:
        runs = [_run(judge, parts, name, s) for s in range(_SEEDS.value)]
        for kind in ("evolution", "random search"):
            text += _row(name, kind, [run[kind] for run in runs])
        logging.info("\n%s", text)
    text += _row("-", "largest allowed", [_judged(judge, judge.largest())])
    drawn = judge.random(0, 1000)
    text += _row("-", "random", [_judged(judge, g) for g in drawn], listed=0)
    data = pathlib.Path(_IMAGES.value or "Fashion-MNIST").stem
    text += (
        f"\n{int(judge.allowed.sum())} of {len(judge.table.true)} cells are "
        "reached by a path and have at most half the multiply-adds of the "
        "largest network; the rank is the share of them that is better. "
        "Supernets of "
        f"{_STAGES.value} stages and {_FILTERS.value} filters, "
        f"{_EPOCHS.value} epochs on {_EXAMPLES.value} images of {data} at half "
        f"the resolution; {_TRIALS.value} cells scored; Spearman's "
        f"correlation of scores with the table over {_COMPARED} random cells "
        f"under the limit. {_SEEDS.value} seeds, {platform.machine()}, "
        f"{os.cpu_count()} cores.\n"
    )
    command.publish(text, _MARKDOWN.value)


def _judge(path: str) -> _Judge:
    table = read_table(path)
    if _COST not in table.costs:
        raise ValueError(
            f"`--table` must have '{_COST}', the multiply-adds of every cell. "
            f"Received: '{path}', which has {sorted(table.costs)}."
        )
    costs = table.costs[_COST]
    allowed = costs <= costs.max() / 2
    domains = [
        gene.domain.values  # type: ignore[union-attr]
        for gene in table.space.genes
    ]
    for places, index in table.rows.items():
        values = [d[place] for d, place in zip(domains, places, strict=True)]
        names = [gene.name for gene in table.space.genes]
        if not _is_reached(dict(zip(names, values, strict=True))):
            allowed[index] = False
    return _Judge(table=table, allowed=allowed)


def _is_reached(genome: Genome) -> bool:
    """Returns whether a path leads through a cell.

    Where none does, `CellNetwork` has the identity and the table zeros.
    """
    reached = {0}
    for name, operation in sorted(genome.items()):  # By the end of the edge.
        _, end, start = name.split("_")
        if int(start) in reached and operation != "none":
            reached.add(int(end))
    return 3 in reached


def _judged(judge: _Judge, genome: Genome) -> _Found:
    return _Found(accuracy=judge.accuracy(genome), rank=judge.rank(genome))


def _run(
    judge: _Judge, parts: Parts, name: str, seed: int
) -> dict[str, _Found]:
    """Trains a supernet, and searches it by evolution and at random."""
    begun = time.process_time()
    score = _trained(parts, name, seed)
    trained = time.process_time() - begun
    known: dict[tuple[Any, ...], float] = {}

    def evaluate(genome: Genome, number: int) -> tuple[float] | None:
        del number
        if not judge.allows(genome):
            return None
        key = tuple(genome.values())
        if key not in known:
            known[key] = -score(genome)
        return (known[key],)

    drawn = judge.random(1000 + seed, _COMPARED)
    losses = [evaluate(genome, 0) for genome in drawn]
    accuracies = [judge.accuracy(genome) for genome in drawn]
    spearman = _spearman([-loss[0] for loss in losses if loss], accuracies)
    found = {}
    for kind, strategy in {
        "evolution": "genetic_algorithm",
        "random search": "random",
    }.items():
        begun = time.process_time()
        # Cells over the limit cost no evaluation.
        searcher = method(strategy)(judge.table.space, _TRIALS.value, seed)
        trials: list[tuple[Genome, tuple[float, ...]]] = []
        while len(trials) < _TRIALS.value:
            ended = run_trials(searcher, evaluate, trials=1)
            if not ended:
                break
            trials += [(g, loss) for g, loss in ended if loss is not None]
        trials.sort(key=lambda trial: trial[1])
        best = [judge.accuracy(genome) for genome, _ in trials[:_SHORTLIST]]
        seconds = trained + time.process_time() - begun
        found[kind] = dataclasses.replace(
            _judged(judge, trials[0][0]),
            shortlist=statistics.mean(best),
            spearman=spearman,
            seconds=seconds,
        )
        logging.info("%s, seed %d, %s: %s", name, seed, kind, found[kind])
    return found


def _trained(parts: Parts, name: str, seed: int) -> Callable[[Genome], float]:
    """Trains a supernet; returns what scores a cell with its weights."""
    import keras

    from keras_evonas.models import CellNetwork
    from keras_evonas.models import Classification
    from keras_evonas.supernets import Scorer
    from keras_evonas.supernets import Supernet
    from keras_evonas.supernets import single_path
    from keras_evonas.supernets.data import scoring_data
    from keras_evonas.supernets.single_path import train
    from keras_evonas.training.arguments import FitArguments

    x, y = parts.training
    epochs = _EPOCHS.value
    steps = epochs * -(-len(x) // _BATCH)

    def optimizer(hp: object) -> keras.Optimizer:
        del hp
        rate = keras.optimizers.schedules.CosineDecay(0.05, steps)
        return keras.optimizers.SGD(rate, momentum=0.9, nesterov=True)

    hypermodel = CellNetwork(
        x.shape[1:],
        Classification(classes=10, labels="integer"),
        stages=_STAGES.value,
        cells=(1, 1),
        filters=(_FILTERS.value, _FILTERS.value),
        optimizer=optimizer,
    )
    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)
    supernet = Supernet(hypermodel)
    sharing = single_path(epochs, sampler=name)
    arguments = FitArguments(
        x=x, y=y, batch_size=_BATCH, validation_data=parts.validation
    )
    with tempfile.TemporaryDirectory() as folder:
        train(
            supernet,
            sharing,
            arguments,
            seed=seed,
            folder=pathlib.Path(folder),
            say=logging.info,
        )
    scorer = Scorer(supernet, *scoring_data(arguments, sharing.calibration))

    def score(genome: Genome) -> float:
        values = {_edge(n): _OPERATIONS[str(v)] for n, v in genome.items()}
        return scorer.score(supernet.path_of(values))["accuracy"]

    return score


def _edge(name: str) -> str:
    """Returns our name of an edge: the table names its end first."""
    _, end, start = name.split("_")
    return f"cell/edge_{start}_{end}"


def _spearman(a: Sequence[float], b: Sequence[float]) -> float:
    from scipy import stats

    return float(stats.spearmanr(a, b).statistic)


def _row(
    name: str, cell: str, found: Sequence[_Found], listed: int = 10
) -> str:
    def mean(values: Sequence[float | None], digits: int) -> str:
        known = [value for value in values if value is not None]
        return f"{statistics.mean(known):.{digits}f}" if known else "-"

    ranks = [one.rank for one in found]
    return (
        row(
            [
                name,
                cell,
                mean([one.accuracy for one in found], 2),
                f"{statistics.median(ranks):.1%}",
                " ".join(f"{rank:.1%}" for rank in ranks[:listed]) or "-",
                mean([one.shortlist for one in found], 2),
                mean([one.spearman for one in found], 2),
                mean([one.seconds for one in found], 0),
            ]
        )
        + "\n"
    )
