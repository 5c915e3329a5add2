"""Hypervolume of the front that a search finds, beside those of peers.

No network is trained: each table holds networks that were trained beforehand,
with their costs. A search sees the loss of one training run and the cost. Its
front is that of all networks that it tried, by their true losses and costs.
The hypervolume is given as a share of that of the table's own front, up to two
reference points: the worst loss, and the loss of the median network, since a
network with a higher loss is of no use however cheap. Both have the highest
cost.

```sh
python -m keras_evonas.benchmarks pareto --tables=FOLDER --seeds=20
```
"""

import os
import pathlib
from collections.abc import Sequence

from absl import flags

from keras_evonas.benchmarks import fronts
from keras_evonas.benchmarks.command import publish
from keras_evonas.benchmarks.command import usage_errors
from keras_evonas.benchmarks.methods import method_names

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
    "cost", "flops", "The cost to minimize: the beginning of its key."
)
_METHODS = flags.DEFINE_list(
    "methods",
    ["default", "nsga2", "random", "optuna_nsga2", "optuna_tpe"],
    f"Methods to compare, among {', '.join(method_names(objectives=2))}.",
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


def main(argv: Sequence[str]) -> None:
    """Runs the benchmark and prints its tables."""
    del argv
    with usage_errors():
        text = _report()
    publish(text, _MARKDOWN.value)


def _report() -> str:
    folder = _FOLDER.value
    if not folder:
        raise ValueError(
            "`--tables` must name a folder of tables. Received: none, and "
            "KERAS_EVONAS_TABLES is not set."
        )
    paths = [str(pathlib.Path(folder, f"{name}.npz")) for name in _NAMES.value]
    methods, seeds = _METHODS.value, range(_SEEDS.value)
    trials, cost = _TRIALS.value, _COST.value
    found = fronts.run_all(paths, methods, seeds, trials, cost, _JOBS.value)
    shown = sorted({trials // 4, trials // 2, trials})
    parts = [
        f"{len(seeds)} seeds, {trials} trials each. Share of the hypervolume "
        "of the best front, mean and standard error."
    ]
    for path in paths:
        goals = fronts.open_goals(path, cost)
        runs = {
            method: [found[path, method, seed] for seed in seeds]
            for method in methods
        }
        parts += [
            fronts.markdown(goals, runs, shown, reference)
            for reference in fronts.REFERENCES
        ]
    return "\n\n".join(parts) + "\n"
