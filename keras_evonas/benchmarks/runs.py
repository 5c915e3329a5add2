"""Runs search methods on problems, seeds in parallel."""

import dataclasses
import functools
import itertools
import math
import multiprocessing
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Sequence
from concurrent import futures
from typing import TypeVar

import numpy as np

from keras_evonas.benchmarks.methods import method
from keras_evonas.benchmarks.searchers import Losses
from keras_evonas.benchmarks.searchers import run_trials
from keras_evonas.benchmarks.tables import Table
from keras_evonas.benchmarks.tables import read_table
from keras_evonas.benchmarks.toys import TOYS
from keras_evonas.benchmarks.toys import Toy
from keras_evonas.evolution.genes import Genome
from keras_evonas.oracles.blas import one_blas_thread

# Where to search, the method's name, and the seed.
Task = tuple[str, str, int]
Problem = Table | Toy
_Result = TypeVar("_Result")


@dataclasses.dataclass(frozen=True, eq=False)
class Curve:
    """One search.

    Args:
        problem: Name of the problem.
        method: Name of the method.
        seed: The seed.
        regrets: `(trials,)` array, the normalised regret of the genome with
            the best observed loss so far, after each trial.
    """

    problem: str
    method: str
    seed: int
    regrets: np.ndarray


@functools.cache
def open_problem(source: str) -> Problem:
    """Opens a table or makes a toy.

    Args:
        source: Path of a table, or name of a toy.

    Returns:
        The problem.

    Raises:
        ValueError: If there is no such toy, or the table must be mended.
        FileNotFoundError: If there is no such table.
    """
    if source.endswith(".npz"):
        return read_table(source)
    if source in TOYS:
        return TOYS[source]()
    raise ValueError(
        f"A problem must be a `.npz` table or a toy among {list(TOYS)}. "
        f"Received: {source!r}."
    )


def run_all(
    sources: Sequence[str],
    methods: Sequence[str],
    seeds: Iterable[int],
    *,
    trials: int,
    batch: int = 1,
    jobs: int = 1,
) -> list[Curve]:
    """Runs every method on every problem with every seed.

    Args:
        sources: Paths of tables and names of toys.
        methods: Names of methods.
        seeds: The seeds.
        trials: Integer, evaluations of each search.
        batch: Integer, number of genomes that are asked for before their
            search gets their losses. Defaults to 1.
        jobs: Integer, number of processes. Defaults to 1.

    Returns:
        The curves, in the order of problems, methods and seeds.

    Raises:
        ValueError: If there is no problem or method of a name, or a table
            must be mended.
        ImportError: If the package of a peer is not installed.
    """
    for name in methods:
        method(name)
    for source in sources:
        open_problem(source)
    run = functools.partial(_run_task, trials=trials, batch=batch)
    return run_tasks(run, itertools.product(sources, methods, seeds), jobs)


def run_tasks(
    run: Callable[[Task], _Result], tasks: Iterable[Task], jobs: int
) -> list[_Result]:
    """Runs searches in one process or several.

    Args:
        run: Function of a task; several processes need it to be pickled.
        tasks: The tasks.
        jobs: Integer, number of processes.

    Returns:
        The results, in the order of the tasks.
    """
    if jobs == 1:
        return list(map(run, tasks))
    # Forked processes would share the state of libraries that have threads.
    context = multiprocessing.get_context("spawn")
    with futures.ProcessPoolExecutor(jobs, mp_context=context) as pool:
        return list(pool.map(run, tasks))


def _run_task(task: Task, *, trials: int, batch: int) -> Curve:
    source, name, seed = task
    problem = open_problem(source)
    return run_one(problem, name, seed, trials=trials, batch=batch)


def run_one(
    problem: Problem, name: str, seed: int, *, trials: int, batch: int = 1
) -> Curve:
    """Runs one search; see `run_all`."""

    def evaluate(genome: Genome, at: int) -> Losses | None:
        loss = problem.evaluate(genome, seed, at)
        return None if loss is None else (loss,)

    with one_blas_thread():
        searcher = method(name)(problem.space, trials, seed)
        found = run_trials(searcher, evaluate, trials=trials, batch=batch)
    regrets = np.full(trials, np.nan)
    best: Losses = (math.inf,)
    for number, (genome, loss) in enumerate(found):
        if loss is not None and loss < best:
            # The later trials have it, too, until one of them is better.
            best, regrets[number:] = loss, problem.regret(genome)
    return Curve(problem.name, name, seed, regrets)
