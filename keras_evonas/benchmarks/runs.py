"""Runs search methods on problems, seeds in parallel."""

import dataclasses
import itertools
import math
from collections.abc import Iterable
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from keras_evonas.benchmarks.methods import Searcher
from keras_evonas.benchmarks.methods import method
from keras_evonas.evolution.genes import Genome
from keras_evonas.evolution.space import SearchSpace


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


def run_all(
    problems: Sequence[Problem],
    methods: Iterable[str],
    seeds: Iterable[int],
    *,
    trials: int,
    batch: int = 1,
    jobs: int = 1,
) -> list[Curve]:
    """Runs every method on every problem with every seed.

    Args:
        problems: Tables or toys.
        methods: Names of methods.
        seeds: The seeds.
        trials: Integer, evaluations of each search.
        batch: Integer, how many configurations are asked for before their
            results are told. Defaults to 1.
        jobs: Integer, number of processes. Defaults to 1.

    Returns:
        The curves, in the order of problems, methods and seeds.

    Raises:
        ValueError: If there is no method of a name.
        ImportError: If the package of a peer is not installed.
    """
    import joblib

    names = list(methods)
    for name in names:
        method(name)
    tasks = itertools.product(problems, names, seeds)
    run = joblib.delayed(run_one)
    return joblib.Parallel(n_jobs=jobs)(
        run(problem, name, seed, trials=trials, batch=batch)
        for problem, name, seed in tasks
    )


def run_one(
    problem: Problem, name: str, seed: int, *, trials: int, batch: int = 1
) -> Curve:
    """Runs one search; see `run_all`."""
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
