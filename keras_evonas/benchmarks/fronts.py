"""Searches of tables for a Pareto front of low loss and low cost."""

import dataclasses
import functools
import itertools
from collections.abc import Mapping
from collections.abc import Sequence

import numpy as np

from keras_evonas.benchmarks.methods import method
from keras_evonas.benchmarks.runs import Task
from keras_evonas.benchmarks.runs import run_tasks
from keras_evonas.benchmarks.searchers import Losses
from keras_evonas.benchmarks.searchers import run_trials
from keras_evonas.benchmarks.summaries import mean_cell
from keras_evonas.benchmarks.summaries import row
from keras_evonas.benchmarks.tables import Table
from keras_evonas.benchmarks.tables import read_table
from keras_evonas.evolution import pareto
from keras_evonas.evolution.genes import Genome
from keras_evonas.oracles.blas import one_blas_thread

# The loss of the hypervolume's reference point.
REFERENCES = ("worst", "median")
_CORNER = (1.0, 1.0)


@dataclasses.dataclass(frozen=True, eq=False)
class Goals:
    """A table with two objectives, a low loss and a low cost.

    Args:
        table: The table.
        cost: `(n,)` array, the cost of each row.
    """

    table: Table
    cost: np.ndarray

    def row(self, genome: Genome) -> int:
        """Returns the row of a genome.

        Raises:
            ValueError: If the table lacks the genome.
        """
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
        """Returns shares of the largest possible hypervolume.

        Args:
            rows: The rows that a search tried, in order.
            numbers: Numbers of trials after which to measure.
            reference: One of `REFERENCES`.
        """
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
    """Runs every method on every table with every seed.

    Args:
        paths: Paths of tables.
        methods: Names of methods.
        seeds: The seeds.
        trials: Integer, evaluations of each search.
        cost: Beginning of the cost's key.
        jobs: Integer, number of processes. Defaults to 1.

    Returns:
        Mapping of path, method and seed to the rows of the table that were
        tried, in order.

    Raises:
        ValueError: If there is no method of a name, a table lacks the cost or
            must be mended, or the trials exceed a space.
        ImportError: If the package of a peer is not installed.
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
    """Opens a table to search for low losses and low costs.

    Args:
        path: Path of the table.
        cost: Beginning of the cost's key.

    Returns:
        The table with its objectives.

    Raises:
        ValueError: If the table lacks the cost or must be mended.
    """
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
    """Returns a Markdown table of the methods' hypervolumes.

    Args:
        goals: The table that was searched.
        runs: Mapping of methods to the rows that each of their searches tried.
        numbers: Numbers of trials after which the fronts are shown.
        reference: One of `REFERENCES`.
    """
    lines = [
        f"**{goals.table.name}**, up to the {reference} loss\n",
        row(["method", *map(str, numbers)]),
        "|---" * (1 + len(numbers)) + "|",
    ]
    for name, searches in runs.items():
        shares = [goals.shares(rows, numbers, reference) for rows in searches]
        columns = zip(*shares, strict=True)
        lines.append(row([name, *map(mean_cell, columns)]))
    return "\n".join(lines)
