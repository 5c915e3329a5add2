"""Trainings that end early as hopeless, on tables with learning curves.

Searches with the default strategy and a number of trials, with `stop_hopeless`
and without: the epochs that they take, how often the network that would have
been the best was stopped, and their regret.

```sh
python -m keras_evonas.benchmarks hopeless --tables=FOLDER --seeds=20 \
    --chances=0,0.003,0.01
```
"""

import dataclasses
import functools
import itertools
from collections.abc import Iterable
from collections.abc import Sequence

import numpy as np

from keras_evonas.benchmarks import command
from keras_evonas.benchmarks import summaries
from keras_evonas.benchmarks.curve_tables import CurveTable
from keras_evonas.benchmarks.curve_tables import read_curve_table
from keras_evonas.benchmarks.runs import Task
from keras_evonas.benchmarks.runs import run_tasks
from keras_evonas.benchmarks.tables import table_paths
from keras_evonas.blas import one_blas_thread
from keras_evonas.evolution.checks import check_range
from keras_evonas.evolution.defaults import default_strategy
from keras_evonas.evolution.engine import Engine
from keras_evonas.evolution.hopeless import Outlook
from keras_evonas.evolution.hopeless import Training

FLAGS = command.Flags()
_TABLES = FLAGS.list(
    "tables", [], "Tables with curves: `.npz` files, or folders of them."
)
_CHANCES = FLAGS.list(
    "chances",
    ["0", "0.003", "0.01"],
    "Values of `stop_hopeless`; 0 stops no training.",
)
_SEEDS = FLAGS.seeds(20)
_TRIALS = FLAGS.positive("trials", 40, "Trials of each search.")
_JOBS = FLAGS.jobs()
_MARKDOWN = FLAGS.markdown()


@dataclasses.dataclass(frozen=True)
class Run:
    """One search.

    Args:
        problem: The name of the table.
        chance: Value of `stop_hopeless`, 0 without it.
        epochs: Epochs of the search, as a share of those of whole trainings.
        winner_stopped: Whether the training of the network that would have
            become the best was stopped before it had become that.
        regret: The normalised regret of the network with the best loss.
    """

    problem: str
    chance: float
    epochs: float
    winner_stopped: bool
    regret: float


def main() -> None:
    """Runs the benchmark and prints its table."""
    with command.usage_errors():
        runs = run_searches(
            table_paths(_TABLES.value),
            [float(chance) for chance in _CHANCES.value],
            range(_SEEDS.value),
            trials=_TRIALS.value,
            jobs=_JOBS.value,
        )
    settings = (
        f"{_SEEDS.value} seeds, {_TRIALS.value} trials each. Means ± standard "
        "errors; regrets are normalised."
    )
    command.publish(f"{settings}\n\n{tabulated(runs)}\n", _MARKDOWN.value)


def tabulated(runs: Sequence[Run]) -> str:
    """Returns a Markdown table with a row for each table and chance."""
    groups = {
        name: [run for run in runs if run.problem == name]
        for name in dict.fromkeys(run.problem for run in runs)
    }
    if len(groups) > 1:
        groups["all"] = list(runs)
    rows = []
    for name, group in groups.items():
        for chance in dict.fromkeys(run.chance for run in group):
            same = [run for run in group if run.chance == chance]
            rows.append(
                [
                    name,
                    f"{chance:g}",
                    f"{np.mean([run.epochs for run in same]):.2f}",
                    f"{np.mean([run.winner_stopped for run in same]):.3f}",
                    summaries.mean_cell([run.regret for run in same]),
                ]
            )
    header = ("table", "stop_hopeless", "epochs", "winner stopped", "regret")
    return summaries.table(header, rows)


def run_searches(
    sources: Sequence[str],
    chances: Sequence[float],
    seeds: Iterable[int],
    *,
    trials: int,
    jobs: int = 1,
) -> list[Run]:
    """Searches every table with every chance and seed.

    Raises:
        ValueError: If there is no table, a table must be mended, or a chance
            is out of range.
    """
    if not sources:
        raise ValueError(
            "`--tables` must name tables with curves. Received: none."
        )
    for chance in chances:
        check_range("chances", chance, 0, 0.5)
    for source in sources:
        _opened(source)
    names = [str(chance) for chance in chances]
    run = functools.partial(_run_task, trials=trials)
    return run_tasks(run, itertools.product(sources, names, seeds), jobs)


_opened = functools.cache(read_curve_table)


def _run_task(task: Task, *, trials: int) -> Run:
    source, chance, seed = task
    with one_blas_thread():
        return run_one(_opened(source), float(chance), seed, trials=trials)


def run_one(
    problem: CurveTable, chance: float, seed: int, *, trials: int
) -> Run:
    """Runs one search; see `run_searches`."""
    table, epochs = problem.table, problem.epochs
    strategy = default_strategy().configure(trials)
    engine = Engine(table.space, strategy, seed=seed)
    known: list[Training] = []
    possible: list[float] = []  # What each network would have reached.
    while len(known) < trials and (one := engine.ask()) is not None:
        losses = tuple(map(float, problem.losses[table.row_of(one.genome)]))
        until = epochs
        if chance:
            outlook = Outlook(
                space=table.space,
                genome=one.genome,
                known=tuple(known),
                chance=chance,
            )
            passed = range(1, epochs)
            hopeless = (
                n for n in passed if outlook.is_hopeless(losses[:n], epochs)
            )
            until = next(hopeless, epochs)
        reached = losses[:until]
        known.append(
            Training(genome=one.genome, losses=reached, whole=until == epochs)
        )
        possible.append(min(losses))
        engine.tell(one.birth, (min(reached),))
    found = [min(one.losses) for one in known]
    best = known[int(np.argmin(found))]
    return Run(
        problem=table.name,
        chance=chance,
        epochs=sum(len(one.losses) for one in known) / (epochs * len(known)),
        winner_stopped=min(found) > min(possible),
        regret=table.regret(best.genome),
    )
