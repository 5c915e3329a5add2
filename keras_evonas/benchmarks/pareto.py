"""How good a front a search finds: our strategies and peers, side by side.

Nothing is trained: each table holds networks that were trained beforehand,
with what they cost. The front of a search is what nobody beats in the observed
loss and the cost; it is valued by the true losses. Its hypervolume is given as
a share of that of the table's own front. The reference point is the true loss
of the median network and the cost of the dearest.

```sh
python -m keras_evonas.benchmarks pareto --tables=FOLDER --seeds=20
```
"""

import dataclasses
import functools
import itertools
import multiprocessing
import os
import pathlib
import statistics
from collections.abc import Callable
from collections.abc import Sequence
from concurrent import futures
from typing import Any

import numpy as np
from absl import app
from absl import flags

from keras_evonas.benchmarks import peers
from keras_evonas.benchmarks.tables import Table
from keras_evonas.benchmarks.tables import read_table
from keras_evonas.evolution import multiobjective
from keras_evonas.evolution import pareto
from keras_evonas.evolution import pareto_screening
from keras_evonas.evolution.defaults import default_pareto_strategy
from keras_evonas.evolution.engine import Engine
from keras_evonas.evolution.genes import Genome
from keras_evonas.evolution.space import SearchSpace
from keras_evonas.evolution.strategies import Strategy
from keras_evonas.evolution.strategies import random_search

_STRATEGIES: dict[str, Callable[[], Strategy]] = {
    "default": default_pareto_strategy,
    "nsga2": multiobjective.nsga2,
    "screened_nsga2": pareto_screening.screened_nsga2,
    "random": random_search,
}
_PEERS = ("optuna_nsga2", "optuna_tpe")
_DEFAULT_METHODS = ["default", "nsga2", "random", *_PEERS]

_FOLDER = flags.DEFINE_string(
    "tables",
    os.environ.get("KERAS_EVONAS_TABLES"),
    "Folder of `.npz` tables, by default that of the environment variable "
    "KERAS_EVONAS_TABLES.",
)
_NAMES = flags.DEFINE_list(
    "names",
    ["nasbench201_cifar10_12epochs", "nasbench_macro_cifar10"],
    "Names of the tables to search, without the ending.",
)
_COST = flags.DEFINE_string(
    "cost", "flops", "The cost to keep low: how its key in a table begins."
)
_METHODS = flags.DEFINE_list(
    "methods",
    _DEFAULT_METHODS,
    f"Methods to compare, among {', '.join([*_STRATEGIES, *_PEERS])}.",
)
_SEEDS = flags.DEFINE_integer(
    "seeds", 20, "Number of seeds, from 0 on.", lower_bound=1
)
_TRIALS = flags.DEFINE_integer(
    "trials", 100, "Evaluations of each search.", lower_bound=4
)
_JOBS = flags.DEFINE_integer("jobs", 1, "Number of processes.", lower_bound=1)
_MARKDOWN = flags.DEFINE_string(
    "markdown", None, "File to write the tables to, beside printing them."
)


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

    @functools.cached_property
    def truth(self) -> np.ndarray:
        """`(n, 2)` array of what counts, scaled to 1 at the reference."""
        losses = np.column_stack([self.table.true, self.cost])
        low = losses.min(axis=0)
        corner = np.array([np.median(self.table.true), self.cost.max()])
        return (losses - low) / (corner - low)

    @functools.cached_property
    def best(self) -> float:
        """Hypervolume of the table's own front."""
        # Only networks better than the median count.
        return pareto.hypervolume(self.truth, [1.0, 1.0])

    def share(self, rows: list[int], observed: list[list[float]]) -> float:
        """Share of the best hypervolume that the observed front has."""
        front = pareto.ranks(observed) == 0
        chosen = self.truth[np.array(rows)[front]]
        return pareto.hypervolume(chosen, [1.0, 1.0]) / self.best


def main(argv: Sequence[str]) -> None:
    """Runs the benchmark and prints its tables."""
    del argv
    try:
        text = _report()
    except (ImportError, OSError, ValueError) as error:
        raise app.UsageError(str(error)) from error
    print(text)
    if _MARKDOWN.value:
        pathlib.Path(_MARKDOWN.value).write_text(text, encoding="utf-8")


def _report() -> str:
    folder = _FOLDER.value
    if not folder:
        raise ValueError(
            "`--tables` must name a folder of tables. Received: none, and "
            "KERAS_EVONAS_TABLES is not set."
        )
    paths = [str(pathlib.Path(folder, f"{name}.npz")) for name in _NAMES.value]
    seeds, trials = range(_SEEDS.value), _TRIALS.value
    shares = run_all(
        paths, _METHODS.value, seeds, trials, _COST.value, _JOBS.value
    )
    parts = [
        f"{len(seeds)} seeds, {trials} trials each. Share of the hypervolume "
        "of the best front, mean and standard error."
    ]
    for path in paths:
        parts.append(_markdown(path, _METHODS.value, seeds, trials, shares))
    return "\n\n".join(parts) + "\n"


def _markdown(
    path: str,
    methods: list[str],
    seeds: Sequence[int],
    trials: int,
    shares: dict[tuple[str, str, int], list[float]],
) -> str:
    shown = sorted({trials // 4, trials // 2, trials})
    lines = [
        f"**{pathlib.Path(path).stem}**\n",
        f"| method | {' | '.join(map(str, shown))} |",
        "|---" * (1 + len(shown)) + "|",
    ]
    for method in methods:
        runs = [shares[path, method, seed] for seed in seeds]
        cells = [_cell([run[at - 1] for run in runs]) for at in shown]
        lines.append(f"| {method} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(values: list[float]) -> str:
    mean = statistics.mean(values)
    if len(values) < 2:
        return f"{mean:.4f}"
    return f"{mean:.4f} ± {statistics.stdev(values) / len(values) ** 0.5:.4f}"


def run_all(
    paths: Sequence[str],
    methods: Sequence[str],
    seeds: Sequence[int],
    trials: int,
    cost: str,
    jobs: int = 1,
) -> dict[tuple[str, str, int], list[float]]:
    """Runs every method on every table with every seed.

    Args:
        paths: Paths of tables.
        methods: Names of methods.
        seeds: The seeds.
        trials: Integer, evaluations of each search.
        cost: How the key of the cost begins.
        jobs: Integer, number of processes. Defaults to 1.

    Returns:
        Mapping of path, method and seed to the share of the best hypervolume
        after each trial.

    Raises:
        ValueError: If there is no method of a name, or a table lacks the
            cost or must be mended.
        ImportError: If the package of a peer is not installed.
    """
    for name in methods:
        _check(name)
    for path in paths:
        _goals(path, cost)
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
            f"`methods` must be among {[*_STRATEGIES, *_PEERS]}. Received: "
            f"{name!r}."
        )


@functools.cache
def _goals(path: str, cost: str) -> Goals:
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
) -> list[float]:
    path, method, seed = task
    goals = _goals(path, cost)
    searcher = _searcher(method, goals.table.space, trials, seed)
    rows: list[int] = []
    observed: list[list[float]] = []
    shares: list[float] = []
    for at in range(trials):
        token, genome = searcher.ask()
        row = goals.table.row(genome)
        losses = goals.observe(row, genome, seed, at)
        searcher.tell(token, losses)
        rows.append(row)
        observed.append(losses)
        shares.append(goals.share(rows, observed))
    return shares


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
