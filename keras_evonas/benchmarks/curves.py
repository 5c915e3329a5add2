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
from collections.abc import Iterable
from collections.abc import Sequence

import numpy as np

from keras_evonas.benchmarks import command
from keras_evonas.benchmarks import curve_tables
from keras_evonas.benchmarks import regrets
from keras_evonas.benchmarks import summaries
from keras_evonas.benchmarks.curve_methods import curve_method
from keras_evonas.benchmarks.curve_methods import curve_method_names
from keras_evonas.benchmarks.runs import Curve
from keras_evonas.benchmarks.runs import Task
from keras_evonas.benchmarks.runs import run_tasks
from keras_evonas.benchmarks.tables import table_paths
from keras_evonas.blas import one_blas_thread

FLAGS = command.Flags()
_TABLES = FLAGS.list(
    "tables",
    [],
    "Tables with curves to search: `.npz` files, or folders of them.",
)
_METHODS = FLAGS.list(
    "methods",
    ["freeze_thaw", "halving", "asha", "hyperband", "default", "random"],
    f"Methods to compare, among {', '.join(curve_method_names())}.",
)
_SEEDS = FLAGS.seeds(20)
_TRAININGS = FLAGS.positive(
    "trainings", 40, "Epochs of each search, in whole trainings."
)
_JOBS = FLAGS.jobs()
_AT = FLAGS.list(
    "at", ["3", "5", "10", "20", "40"], "Numbers of whole trainings to show."
)
_MARKDOWN = FLAGS.markdown()


def main() -> None:
    """Runs the benchmark and prints its tables."""
    trainings = _TRAININGS.value
    with command.usage_errors():
        shown = sorted({int(at) for at in _AT.value if int(at) <= trainings})
        curves = run_curves(
            _sources(),
            _METHODS.value,
            range(_SEEDS.value),
            trainings=trainings,
            jobs=_JOBS.value,
        )
    settings = (
        f"{_SEEDS.value} seeds, the epochs of {trainings} whole trainings "
        "each. The incumbent is the network with the best score at any epoch. "
        "Mean normalised regret ± standard error; **best** of the column; "
        "lost: worse than it by more than two standard errors of the "
        "difference."
    )
    command.publish(
        f"{settings}\n\n{tabulated(curves, shown)}\n", _MARKDOWN.value
    )


def tabulated(curves: Iterable[Curve], shown: Sequence[int]) -> str:
    """Returns Markdown with a table for each problem and one for them all.

    Their columns are the numbers of whole trainings that are shown.
    """
    comparison = regrets.Comparison(curves)
    methods = comparison.methods
    columns_of = {
        problem: [comparison.cells(problem, n, digits=3) for n in shown]
        for problem in comparison.problems
    }
    means = np.array([comparison.geometric_means(one) for one in methods])
    columns_of["geometric mean"] = [
        [summaries.bold(f"{mean:.3f}", mean == column.min()) for mean in column]
        for column in means[:, np.array(shown) - 1].T
    ]
    tables = []
    for name, columns in columns_of.items():
        rows = zip(methods, *columns, strict=True)
        tables.append(summaries.table([name, *map(str, shown)], rows))
    return "\n\n".join(tables)


def run_curves(
    sources: Sequence[str],
    methods: Sequence[str],
    seeds: Iterable[int],
    *,
    trainings: int,
    jobs: int = 1,
) -> list[Curve]:
    """Runs every method on every table with curves, as `runs.run_all` does.

    A search has the epochs of so many whole trainings; the regrets are those
    after each of them.
    """
    for name in methods:
        curve_method(name)
    for source in sources:
        _opened(source)
    run = functools.partial(_run_task, trainings=trainings)
    return run_tasks(run, itertools.product(sources, methods, seeds), jobs)


_opened = functools.cache(curve_tables.read_curve_table)


def _run_task(task: Task, *, trainings: int) -> Curve:
    source, name, seed = task
    problem = _opened(source)
    epochs = problem.epochs
    trainer = curve_tables.Trainer(problem, epochs * trainings)
    with (
        one_blas_thread(),
        contextlib.suppress(curve_tables.BudgetSpentError),
    ):
        curve_method(name)(trainer, seed)
    after_each = trainer.regrets[epochs - 1 :: epochs]
    return Curve(problem.table.name, name, seed, after_each)


def _sources() -> list[str]:
    sources = table_paths(_TABLES.value)
    if not sources:
        raise ValueError(
            "`--tables` must name tables with curves. Received: none."
        )
    return sources
