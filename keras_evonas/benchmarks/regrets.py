"""Trials that a search needs: this package's strategies beside peers.

No network is trained: the problems are tables of networks that were trained
beforehand, and toy functions.

```sh
python -m keras_evonas.benchmarks search --tables=FOLDER --seeds=20 \
    --methods=default,genetic_algorithm,optuna_tpe,random --jobs=4
```
"""

import os
import pathlib
from collections.abc import Iterable
from collections.abc import Sequence

import numpy as np
from scipy import stats

from keras_evonas.benchmarks import command
from keras_evonas.benchmarks import summaries
from keras_evonas.benchmarks.methods import method_names
from keras_evonas.benchmarks.runs import RECOMMENDED
from keras_evonas.benchmarks.runs import Curve
from keras_evonas.benchmarks.runs import run_all
from keras_evonas.benchmarks.tables import table_paths
from keras_evonas.benchmarks.toys import TOYS

FLAGS = command.Flags()
_TABLES = FLAGS.list(
    "tables", [], "Tables to search: `.npz` files, or folders of them."
)
_TOYS = FLAGS.list(
    "toys", [], f"Toy functions to search, among {', '.join(TOYS)}."
)
_METHODS = FLAGS.list(
    "methods",
    ["default", "genetic_algorithm", "random"],
    f"Methods to compare, among {', '.join(method_names())}. With "
    f"{RECOMMENDED} after its name a method's incumbent is the configuration "
    "that is expected to be best, not the one with the best score.",
)
_SEEDS = FLAGS.seeds(20)
_TRIALS = FLAGS.positive("trials", 100, "Evaluations of each search.")
_BATCH = FLAGS.positive(
    "batch",
    1,
    "Number of configurations that are asked for before the search gets their "
    "results.",
)
_JOBS = FLAGS.integer(
    "jobs", 1, "Number of processes, 0 for one a core.", lower_bound=0
)
_AT = FLAGS.list("at", ["25", "50", "100", "200"], "Numbers of trials to show.")
_MARKDOWN = FLAGS.markdown()
_PLOT = FLAGS.string("plot", None, "Picture to draw, .png or .svg.")
# A method that always finds the optimum would make the geometric mean zero.
FLOOR = 1e-4


class Comparison:
    """Regrets of several methods on several problems.

    Attributes:
        summaries: Mapping from problems and methods to the mean regrets and
            their standard errors, two `(trials,)` arrays.
        problems: Their names.
        methods: Their names.
    """

    def __init__(self, curves: Iterable[Curve]) -> None:
        regrets: dict[tuple[str, str], list[np.ndarray]] = {}
        for curve in curves:
            key = (curve.problem, curve.method)
            regrets.setdefault(key, []).append(curve.regrets)
        self.summaries = {
            key: summaries.summary(found) for key, found in regrets.items()
        }
        self.problems = list(dict.fromkeys(key[0] for key in regrets))
        self.methods = list(dict.fromkeys(key[1] for key in regrets))

    def cells(self, problem: str, trials: int, digits: int) -> list[str]:
        """Returns the compared regrets of all methods after some trials."""
        found = [self.summaries[problem, name] for name in self.methods]
        shown: np.ndarray = np.array(found)[:, :, trials - 1]
        return summaries.compared(shown, digits=digits, best="min")

    def geometric_means(self, method: str) -> np.ndarray:
        """Returns the `(trials,)` array of geometric means over the problems.

        Means below `FLOOR` count as `FLOOR`.
        """
        means = [self.summaries[one, method][0] for one in self.problems]
        return np.asarray(stats.gmean(np.maximum(means, FLOOR), axis=0))

    def markdown(self, trials: Sequence[int]) -> str:
        """Returns a Markdown table for each number of trials.

        The best method of a row is bold, and methods that are worse than it
        by more than two standard errors of the difference are marked as lost.
        """
        return "\n\n".join(self._table(number) for number in trials)

    def _table(self, trials: int) -> str:
        rows = [[p, *self.cells(p, trials, digits=4)] for p in self.problems]
        geometric = [self.geometric_means(m)[trials - 1] for m in self.methods]
        best = min(geometric)
        cells = [summaries.bold(f"{g:.4f}", g == best) for g in geometric]
        rows.append(["geometric mean", *cells])
        cells = [f"{value / best:.2f}" for value in geometric]
        rows.append(["times the best", *cells])
        return (
            f"Mean normalised regret after {trials} trials (± standard error; "
            "**best** of the row; lost: worse than it by more than two "
            "standard errors of the difference):\n\n"
            f"{summaries.table(['', *self.methods], rows)}"
        )

    def plot(self, path: str | pathlib.Path) -> None:
        """Draws the means with their errors into a `.png` or `.svg` file."""
        from keras_evonas.benchmarks import pictures

        panels = []
        for problem in self.problems:
            curves = {m: self.summaries[problem, m] for m in self.methods}
            trials = len(curves[self.methods[0]][0])
            properties = {
                "title": problem,
                "xlabel": "trials",
                "ylabel": "mean normalised regret",
                "yscale": "log",
            }
            readings = np.arange(1, trials + 1)
            panels.append(pictures.Panel(readings, curves, properties))
        columns = min(3, len(panels))
        pictures.draw(panels, path, columns=columns, floor=FLOOR)


def main() -> None:
    """Runs the benchmark and prints its tables."""
    with command.usage_errors():
        curves = run_all(
            _sources(),
            _METHODS.value,
            range(_SEEDS.value),
            trials=_TRIALS.value,
            batch=_BATCH.value,
            jobs=_JOBS.value or os.cpu_count() or 1,
        )
    comparison = Comparison(curves)
    shown = {_TRIALS.value, *map(int, _AT.value)}
    tables = comparison.markdown(sorted(n for n in shown if n <= _TRIALS.value))
    text = f"{_settings()}\n\n{tables}\n"
    command.publish(text, _MARKDOWN.value)
    if _PLOT.value:
        comparison.plot(_PLOT.value)


def _sources() -> list[str]:
    sources = table_paths(_TABLES.value) + _TOYS.value
    if not sources:
        raise ValueError(
            "`--tables` or `--toys` must name something to search. Received: "
            "neither."
        )
    return sources


def _settings() -> str:
    together = f", asked {_BATCH.value} at a time" if _BATCH.value > 1 else ""
    return (
        f"{_SEEDS.value} seeds, {_TRIALS.value} trials each{together}. The "
        "incumbent is the configuration with the best observed score."
    )
