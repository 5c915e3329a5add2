"""Runs search methods on problems, seeds in parallel."""

import dataclasses
import functools
import itertools
import math
import multiprocessing
from collections.abc import Iterable
from collections.abc import Sequence
from concurrent import futures
from typing import Protocol

import numpy as np

from keras_evonas.benchmarks.methods import Searcher
from keras_evonas.benchmarks.methods import method
from keras_evonas.benchmarks.tables import read_table
from keras_evonas.benchmarks.toys import TOYS
from keras_evonas.evolution.genes import Genome
from keras_evonas.evolution.space import SearchSpace
from keras_evonas.oracles.blas import one_blas_thread


class Problem(Protocol):
    """What is searched: a `Table` or a `Toy`."""

    name: str
    space: SearchSpace

    def evaluate(
        self, genome: Genome, seed: int, evaluation: int
    ) -> float | None:
        """Returns the loss of one run, `None` if it failed."""

    def regret(self, genome: Genome) -> float:
        """Returns the normalised regret."""


@dataclasses.dataclass(frozen=True, eq=False)
class Curve:
    """One search.

    Args:
        problem: Name of the problem.
        method: Name of the method.
        seed: The seed.
        regrets: `(trials,)` array, the normalised regret of the configuration
            with the best observed loss so far, after each trial.
    """

    problem: str
    method: str
    seed: int
    regrets: np.ndarray


def open_problem(source: str) -> Problem:
    """Opens what is to be searched.

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
        batch: Integer, how many configurations are asked for before their
            results are told. Defaults to 1.
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
    tasks = list(itertools.product(sources, methods, seeds))
    if jobs == 1:
        return list(map(run, tasks))
    # Forked processes would share the state of libraries that have threads.
    context = multiprocessing.get_context("spawn")
    with futures.ProcessPoolExecutor(jobs, mp_context=context) as pool:
        return list(pool.map(run, tasks))


_opened = functools.lru_cache(maxsize=None)(open_problem)


def _run_task(task: tuple[str, str, int], *, trials: int, batch: int) -> Curve:
    source, name, seed = task
    return run_one(_opened(source), name, seed, trials=trials, batch=batch)


def run_one(
    problem: Problem, name: str, seed: int, *, trials: int, batch: int = 1
) -> Curve:
    """Runs one search; see `run_all`."""
    with one_blas_thread():
        searcher = method(name)(problem.space, trials, seed)
        regrets = _search(problem, searcher, seed, trials, batch)
    return Curve(problem.name, name, seed, regrets)


def _search(
    problem: Problem, searcher: Searcher, seed: int, trials: int, batch: int
) -> np.ndarray:
    regrets = np.full(trials, np.nan)
    best, regret = math.inf, math.nan
    done = 0
    while done < trials:
        asked = [searcher.ask() for _ in range(min(batch, trials - done))]
        told = [one for one in asked if one is not None]
        for token, genome in told:
            loss = problem.evaluate(genome, seed, done)
            searcher.tell(token, loss)
            if loss is not None and loss < best:
                best, regret = loss, problem.regret(genome)
            regrets[done] = regret
            done += 1
        if len(told) < len(asked):  # the space is exhausted
            break
    regrets[done:] = regret
    return regrets
