"""Searches for fronts in tables, ours and peers', and what they found."""

import dataclasses
import functools
import itertools
import multiprocessing
import statistics
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from concurrent import futures
from typing import Any

import numpy as np

from keras_evonas.benchmarks import peers
from keras_evonas.benchmarks.tables import Table
from keras_evonas.benchmarks.tables import read_table
from keras_evonas.evolution import multiobjective
from keras_evonas.evolution import pareto
from keras_evonas.evolution import pareto_screening
from keras_evonas.evolution.baselines import random_search
from keras_evonas.evolution.defaults import default_pareto_strategy
from keras_evonas.evolution.engine import Engine
from keras_evonas.evolution.genes import Genome
from keras_evonas.evolution.space import SearchSpace
from keras_evonas.evolution.strategies import Strategy
from keras_evonas.oracles.blas import one_blas_thread

_STRATEGIES: dict[str, Callable[[], Strategy]] = {
    "default": default_pareto_strategy,
    "nsga2": multiobjective.nsga2,
    "screened_nsga2": pareto_screening.screened_nsga2,
    "random": random_search,
}
_PEERS = ("optuna_nsga2", "optuna_tpe")
METHODS = (*_STRATEGIES, *_PEERS)
# Up to which true loss a front counts.
REFERENCES = ("worst", "median")
_CORNER = (1.0, 1.0)


@dataclasses.dataclass(frozen=True, eq=False)
class Goals:
    """A table with two goals, a low loss and a low cost.

    Args:
        table: The table.
        cost: `(n,)` array, the cost of each configuration.
    """

    table: Table
    cost: np.ndarray

    def observe(self, row: int, genome: Genome, seed: int, at: int) -> Any:
        """Returns what a search is told of a configuration."""
        loss = self.table.evaluate(genome, seed, at)
        return [float(loss or 0.0), float(self.cost[row])]

    def scaled(self, reference: str) -> np.ndarray:
        """`(n, 2)` array of what counts, from 0 to 1 at the reference."""
        losses = np.column_stack([self.table.true, self.cost])
        low, corner = losses.min(axis=0), losses.max(axis=0)
        if reference == "median":
            corner[0] = np.median(self.table.true)
        return (losses - low) / (corner - low)

    def shares(
        self, rows: Sequence[int], numbers: Sequence[int], reference: str
    ) -> list[float]:
        """Shares of the best hypervolume after some numbers of trials."""
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
) -> dict[tuple[str, str, int], list[int]]:
    """Runs every method on every table with every seed.

    Args:
        paths: Paths of tables.
        methods: Names of methods.
        seeds: The seeds.
        trials: Integer, evaluations of each search.
        cost: How the key of the cost begins.
        jobs: Integer, number of processes. Defaults to 1.

    Returns:
        Mapping of path, method and seed to the rows of the table that were
        tried, in order.

    Raises:
        ValueError: If there is no method of a name, or a table lacks the
            cost or must be mended.
        ImportError: If the package of a peer is not installed.
    """
    for name in methods:
        _check(name)
    for path in paths:
        open_goals(path, cost)
    tasks = list(itertools.product(paths, methods, seeds))
    run = functools.partial(_run_task, trials=trials, cost=cost)
    if jobs == 1:
        return dict(zip(tasks, map(run, tasks), strict=True))
    context = multiprocessing.get_context("spawn")
    with futures.ProcessPoolExecutor(jobs, mp_context=context) as pool:
        return dict(zip(tasks, pool.map(run, tasks), strict=True))


def _check(name: str) -> None:
    if name in _PEERS:
        peers.check_installed(name)
    elif name not in _STRATEGIES:
        raise ValueError(
            f"`methods` must be among {list(METHODS)}. Received: {name!r}."
        )


@functools.cache
def open_goals(path: str, cost: str) -> Goals:
    """Opens a table to search for low losses and low costs.

    Args:
        path: Path of the table.
        cost: How the key of the cost begins.

    Returns:
        The table with its goals.

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


def _run_task(
    task: tuple[str, str, int], *, trials: int, cost: str
) -> list[int]:
    path, method, seed = task
    goals = open_goals(path, cost)
    searcher = _searcher(method, goals.table.space, trials, seed)
    rows: list[int] = []
    with one_blas_thread():
        for at in range(trials):
            token, genome = searcher.ask()
            row = goals.table.row(genome)
            if row is None:
                raise ValueError(f"The table '{path}' lacks {dict(genome)}.")
            searcher.tell(token, goals.observe(row, genome, seed, at))
            rows.append(row)
    return rows


def _searcher(name: str, space: SearchSpace, trials: int, seed: int) -> Any:
    if name in _PEERS:
        return peers.PEERS[name](space, trials, seed, objectives=2)
    strategy = _STRATEGIES[name]().configure(trials)
    return _Ours(Engine(space, strategy, seed=seed))


@dataclasses.dataclass
class _Ours:
    engine: Engine

    def ask(self) -> tuple[int, Genome]:
        individual = self.engine.ask()
        if individual is None:
            raise ValueError("`--trials` must not exceed the space's size.")
        return individual.birth, individual.genome

    def tell(self, token: int, losses: list[float]) -> None:
        self.engine.tell(token, tuple(losses))


def markdown(
    goals: Goals,
    runs: Mapping[str, Sequence[Sequence[int]]],
    numbers: Sequence[int],
    reference: str,
) -> str:
    """Makes a table of what methods found.

    Args:
        goals: What was searched.
        runs: Mapping of methods to the rows that each of their searches tried.
        numbers: After how many trials the fronts are shown.
        reference: One of `REFERENCES`.

    Returns:
        A Markdown table, one line a method.
    """
    lines = [
        f"**{goals.table.name}**, up to the {reference} loss\n",
        f"| method | {' | '.join(map(str, numbers))} |",
        "|---" * (1 + len(numbers)) + "|",
    ]
    for method, searches in runs.items():
        shares = [goals.shares(rows, numbers, reference) for rows in searches]
        cells = [_cell(column) for column in zip(*shares, strict=True)]
        lines.append(f"| {method} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(values: Sequence[float]) -> str:
    mean = statistics.mean(values)
    if len(values) < 2:
        return f"{mean:.4f}"
    return f"{mean:.4f} ± {statistics.stdev(values) / len(values) ** 0.5:.4f}"
