"""Hypervolume of the front that a search finds, beside those of peers.

No network is trained: each table holds networks that were trained beforehand,
with their costs. A search sees the loss of one training run and the cost. Its
front is that of all networks that it tried, by their true losses and costs.
The hypervolume is given as a share of that of the table's own front, up to two
reference points: the worst loss, and the loss of the median network, since a
network with a higher loss is of no use however cheap. Both have the highest
cost.

```sh
python -m keras_evonas.benchmarks pareto --tables=FOLDER --seeds=20
```
"""

import dataclasses
import functools
import itertools
import os
import pathlib
from collections.abc import Mapping
from collections.abc import Sequence

import numpy as np

from keras_evonas.benchmarks import command
from keras_evonas.benchmarks.methods import method
from keras_evonas.benchmarks.methods import method_names
from keras_evonas.benchmarks.runs import Task
from keras_evonas.benchmarks.runs import run_tasks
from keras_evonas.benchmarks.searchers import Losses
from keras_evonas.benchmarks.searchers import run_trials
from keras_evonas.benchmarks.summaries import mean_cell
from keras_evonas.benchmarks.summaries import table
from keras_evonas.benchmarks.tables import Table
from keras_evonas.benchmarks.tables import read_table
from keras_evonas.blas import one_blas_thread
from keras_evonas.evolution import pareto
from keras_evonas.evolution.genes import Genome

# The loss of the hypervolume's reference point.
REFERENCES = ("worst", "median")
_CORNER = (1.0, 1.0)
FLAGS = command.Flags()
_FOLDER = FLAGS.string(
    "tables",
    os.environ.get("KERAS_EVONAS_TABLES"),
    "Folder of `.npz` tables, by default that of the environment variable "
    "KERAS_EVONAS_TABLES.",
)
_NAMES = FLAGS.list(
    "names",
    ["nasbench201_cifar10_12epochs", "nasbench_macro_cifar10"],
    "Names of the tables to search, without the ending.",
)
_COST = FLAGS.string(
    "cost", "flops", "The cost to minimize: the beginning of its key."
)
_METHODS = FLAGS.list(
    "methods",
    ["default", "nsga2", "random", "optuna_nsga2", "optuna_tpe"],
    f"Methods to compare, among {', '.join(method_names(2))}.",
)
_SEEDS = FLAGS.seeds(20)
_TRIALS = FLAGS.positive(
    "trials", 100, "Evaluations of each search.", lower_bound=4
)
_JOBS = FLAGS.jobs()
_MARKDOWN = FLAGS.markdown()


@dataclasses.dataclass(frozen=True, eq=False)
class Goals:
    """A table with a loss and a `(n,)` array of costs, both to be low."""

    table: Table
    cost: np.ndarray

    def row(self, genome: Genome) -> int:
        """Returns the row of a genome."""
        found = self.table.row(genome)
        if found is None:
            raise ValueError(
                f"The table '{self.table.name}' lacks {dict(genome)}."
            )
        return found

    def observe(self, genome: Genome, seed: int, at: int) -> Losses:
        """Returns the loss of one run and the cost."""
        cost = float(self.cost[self.row(genome)])
        return self.table.evaluate(genome, seed, at) or 0.0, cost

    def scaled(self, reference: str) -> np.ndarray:
        """Returns the `(n, 2)` array of true losses and costs.

        They are scaled to be 0 at the best and 1 at the reference point.
        """
        losses = np.column_stack([self.table.true, self.cost])
        low, corner = losses.min(axis=0), losses.max(axis=0)
        if reference == "median":
            corner[0] = np.median(self.table.true)
        return np.asarray((losses - low) / (corner - low))

    def shares(
        self, rows: Sequence[int], numbers: Sequence[int], reference: str
    ) -> list[float]:
        """Returns shares of the largest hypervolume after numbers of trials."""
        scaled = self.scaled(reference)
        best = pareto.hypervolume(scaled, _CORNER)
        return [
            pareto.hypervolume(scaled[list(rows[:number])], _CORNER) / best
            for number in numbers
        ]


def run_all(
    paths: Sequence[str],
    methods: Sequence[str],
    seeds: Sequence[int],
    trials: int,
    cost: str,
    jobs: int = 1,
) -> dict[Task, list[int]]:
    """Returns the rows that each method tried on each table, seed by seed.

    `cost` is the beginning of the cost's key. Raises `ValueError` if there is
    no method of a name, a table lacks the cost or must be mended, or the
    trials exceed a space, and `ImportError` if a peer is not installed.
    """
    for name in methods:
        method(name, objectives=2)
    for path in paths:
        open_goals(path, cost)
    tasks = list(itertools.product(paths, methods, seeds))
    run = functools.partial(_run_task, trials=trials, cost=cost)
    return dict(zip(tasks, run_tasks(run, tasks, jobs), strict=True))


@functools.cache
def open_goals(path: str, cost: str) -> Goals:
    """Opens a table; `cost` is the beginning of its cost's key."""
    table = read_table(path)
    found = [key for key in table.costs if key.startswith(cost)]
    if len(found) != 1:
        raise ValueError(
            f"`cost` must begin the name of one cost of '{path}'. Received: "
            f"cost={cost!r}. It has {sorted(table.costs)}."
        )
    return Goals(table, table.costs[found[0]])


def _run_task(task: Task, *, trials: int, cost: str) -> list[int]:
    path, name, seed = task
    goals = open_goals(path, cost)
    with one_blas_thread():
        found = run_trials(
            method(name, objectives=2)(goals.table.space, trials, seed),
            lambda genome, at: goals.observe(genome, seed, at),
            trials=trials,
        )
    if len(found) < trials:
        raise ValueError("`--trials` must not exceed the space's size.")
    return [goals.row(genome) for genome, _ in found]


def markdown(
    goals: Goals,
    runs: Mapping[str, Sequence[Sequence[int]]],
    numbers: Sequence[int],
    reference: str,
) -> str:
    """Returns a Markdown table of the hypervolumes after numbers of trials.

    `runs` maps methods to the rows that each of their searches tried.
    """
    lines = []
    for name, searches in runs.items():
        shares = [goals.shares(rows, numbers, reference) for rows in searches]
        columns = zip(*shares, strict=True)
        lines.append([name, *map(mean_cell, columns)])
    title = f"**{goals.table.name}**, up to the {reference} loss"
    return f"{title}\n\n{table(['method', *map(str, numbers)], lines)}"


def main() -> None:
    """Runs the benchmark and prints its tables."""
    with command.usage_errors():
        text = _report()
    command.publish(text, _MARKDOWN.value)


def _report() -> str:
    folder = _FOLDER.value
    if not folder:
        raise ValueError(
            "`--tables` must name a folder of tables. Received: none, and "
            "KERAS_EVONAS_TABLES is not set."
        )
    paths = [str(pathlib.Path(folder, f"{name}.npz")) for name in _NAMES.value]
    methods, seeds = _METHODS.value, range(_SEEDS.value)
    trials, cost = _TRIALS.value, _COST.value
    found = run_all(paths, methods, seeds, trials, cost, _JOBS.value)
    shown = sorted({trials // 4, trials // 2, trials})
    parts = [
        f"{len(seeds)} seeds, {trials} trials each. Share of the hypervolume "
        "of the best front, mean and standard error."
    ]
    for path in paths:
        goals = open_goals(path, cost)
        runs = {
            method: [found[path, method, seed] for seed in seeds]
            for method in methods
        }
        parts += [
            markdown(goals, runs, shown, reference) for reference in REFERENCES
        ]
    return "\n\n".join(parts) + "\n"
