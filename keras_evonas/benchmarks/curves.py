"""Epochs that a search needs, on tables with learning curves.

Prints the regret of each method against the epochs that it spent, in units of
whole trainings. No network is trained: the tables hold the score of every
network after every epoch; see `keras_evonas.benchmarks.curve_tables`.

```sh
python -m keras_evonas.benchmarks curves --tables=FOLDER --seeds=20 \
    --methods=freeze_thaw,halving,asha,hyperband,optuna_tpe_hyperband
```
"""

import contextlib
import functools
import itertools
import os
import pathlib
from collections.abc import Iterable
from collections.abc import Sequence

from absl import flags

from keras_evonas.benchmarks.command import publish
from keras_evonas.benchmarks.command import usage_errors
from keras_evonas.benchmarks.comparison import Comparison
from keras_evonas.benchmarks.curve_methods import curve_method
from keras_evonas.benchmarks.curve_methods import curve_method_names
from keras_evonas.benchmarks.curve_tables import BudgetSpentError
from keras_evonas.benchmarks.curve_tables import CurveTable
from keras_evonas.benchmarks.curve_tables import Trainer
from keras_evonas.benchmarks.curve_tables import read_curve_table
from keras_evonas.benchmarks.runs import Curve
from keras_evonas.benchmarks.runs import Task
from keras_evonas.benchmarks.runs import run_tasks
from keras_evonas.oracles.blas import one_blas_thread

# `regrets` has flags of some of these names. Only one of the two is run.
FLAGS = flags.FlagValues()  # type: ignore[no-untyped-call]  # absl has no type.
_TABLES = flags.DEFINE_list(
    "tables",
    [],
    "Tables with curves to search: `.npz` files, or folders of them.",
    flag_values=FLAGS,
)
_METHODS = flags.DEFINE_list(
    "methods",
    ["freeze_thaw", "halving", "asha", "hyperband", "default", "random"],
    f"Methods to compare, among {', '.join(curve_method_names())}.",
    flag_values=FLAGS,
)
_SEEDS = flags.DEFINE_integer(
    "seeds",
    20,
    "Number of seeds, from 0 on.",
    lower_bound=1,
    flag_values=FLAGS,
)
_TRAININGS = flags.DEFINE_integer(
    "trainings",
    40,
    "Epochs of each search, in whole trainings.",
    lower_bound=1,
    flag_values=FLAGS,
)
_JOBS = flags.DEFINE_integer(
    "jobs",
    1,
    "Number of processes, 0 for one a core.",
    lower_bound=0,
    flag_values=FLAGS,
)
_AT = flags.DEFINE_list(
    "at",
    ["3", "5", "10", "20", "40"],
    "Numbers of whole trainings to show.",
    flag_values=FLAGS,
)
_MARKDOWN = flags.DEFINE_string(
    "markdown",
    None,
    "File to write the tables to, beside printing them.",
    flag_values=FLAGS,
)


def main(argv: Sequence[str]) -> None:
    """Runs the benchmark and prints its tables."""
    del argv
    trainings = _TRAININGS.value
    with usage_errors():
        shown = sorted({int(at) for at in _AT.value if int(at) <= trainings})
        curves = run_curves(
            _sources(),
            _METHODS.value,
            range(_SEEDS.value),
            trainings=trainings,
            jobs=_JOBS.value or os.cpu_count() or 1,
        )
    comparison = Comparison(curves, unit="whole trainings")
    settings = (
        f"{_SEEDS.value} seeds, the epochs of {trainings} whole trainings "
        "each. The incumbent is the network with the best score at any epoch."
    )
    publish(f"{settings}\n\n{comparison.markdown(shown)}\n", _MARKDOWN.value)


def run_curves(
    sources: Sequence[str],
    methods: Sequence[str],
    seeds: Iterable[int],
    *,
    trainings: int,
    jobs: int = 1,
) -> list[Curve]:
    """Runs every method on every table with every seed.

    Args:
        sources: Paths of tables with curves.
        methods: Names of methods.
        seeds: The seeds.
        trainings: Integer, the epochs of each search in whole trainings.
        jobs: Integer, number of processes. Defaults to 1.

    Returns:
        The regrets after each whole training, in the order of tables, methods
        and seeds.

    Raises:
        ValueError: If there is no method of a name, or a table must be mended.
        ImportError: If the package of a peer is not installed.
    """
    for name in methods:
        curve_method(name)
    for source in sources:
        _opened(source)
    run = functools.partial(_run_task, trainings=trainings)
    return run_tasks(run, itertools.product(sources, methods, seeds), jobs)


@functools.cache
def _opened(source: str) -> CurveTable:
    return read_curve_table(source)


def _run_task(task: Task, *, trainings: int) -> Curve:
    source, name, seed = task
    problem = _opened(source)
    epochs, space = problem.epochs, problem.table.space
    trainer = Trainer(problem, epochs * trainings)
    with one_blas_thread(), contextlib.suppress(BudgetSpentError):
        curve_method(name)(space, epochs, trainings, seed, trainer)
    regrets = trainer.regrets[epochs - 1 :: epochs]
    return Curve(problem.table.name, name, seed, regrets)


def _sources() -> list[str]:
    sources: list[str] = []
    for given in map(pathlib.Path, _TABLES.value):
        paths = sorted(given.glob("*.npz")) if given.is_dir() else [given]
        if not paths:
            raise ValueError(
                "`--tables` must name `.npz` files or folders that hold some. "
                f"Received: '{given}', which holds none."
            )
        sources += map(str, paths)
    if not sources:
        raise ValueError(
            "`--tables` must name tables with curves. Received: none."
        )
    return sources
