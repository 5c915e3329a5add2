"""Runs search methods on problems, seeds in parallel."""

import dataclasses
import functools
import itertools
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
from keras_evonas.blas import one_blas_thread
from keras_evonas.evolution.genes import Genome
from keras_evonas.evolution.history import Individual
from keras_evonas.evolution.history import best_first
from keras_evonas.evolution.recommendation import recommended

# Where to search, the method's name, and the seed.
Task = tuple[str, str, int]
Problem = Table | Toy
_Result = TypeVar("_Result")
# At the end of a method's name: its incumbent is the genome that
# `keras_evonas.evolution.recommended` names after its trials.
RECOMMENDED = "+recommended"


@dataclasses.dataclass(frozen=True, eq=False)
class Curve:
    """One search.

    `regrets` is a `(trials,)` array: the normalised regret of the incumbent
    after each trial. That is the genome with the best observed loss so far, or
    of a method whose name ends in `RECOMMENDED`, the one that is recommended.
    """

    problem: str
    method: str
    seed: int
    regrets: np.ndarray


@functools.cache
def open_problem(source: str) -> Problem:
    """Opens a table by its path, or makes a toy by its name."""
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
    """Runs every method on every problem with every seed, in this order.

    Args:
        sources: Paths of tables and names of toys.
        methods: Names of methods.
        seeds: The seeds.
        trials: Integer, evaluations of each search.
        batch: Integer, number of genomes that are asked for before the search
            gets their losses.
        jobs: Integer, number of processes.

    Raises:
        ValueError: If there is no problem or method of a name, or a table
            must be mended.
        ImportError: If the package of a peer is not installed.
    """
    for name in methods:
        method(name.removesuffix(RECOMMENDED))
    for source in sources:
        open_problem(source)
    run = functools.partial(_run_task, trials=trials, batch=batch)
    return run_tasks(run, itertools.product(sources, methods, seeds), jobs)


def run_tasks(
    run: Callable[[Task], _Result], tasks: Iterable[Task], jobs: int
) -> list[_Result]:
    """Returns the results of searches, which run in one process or several."""
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
        begin = method(name.removesuffix(RECOMMENDED))
        searcher = begin(problem.space, trials, seed)
        found = run_trials(searcher, evaluate, trials=trials, batch=batch)
        individuals = [
            Individual(birth=number, genome=genome, losses=losses)
            for number, (genome, losses) in enumerate(found)
        ]
        ranked = best_first
        if name.endswith(RECOMMENDED):
            ranked = functools.partial(recommended, problem.space)
        regrets = np.full(trials, np.nan)
        for number in range(len(individuals)):
            for best in ranked(individuals[: number + 1])[:1]:
                # Of a space that is exhausted, the later trials have it, too.
                regrets[number:] = problem.regret(best.genome)
    return Curve(problem.name, name, seed, regrets)
