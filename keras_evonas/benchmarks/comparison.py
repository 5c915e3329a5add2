"""Tables and a picture of the regrets of several methods."""

import pathlib
from collections.abc import Iterable
from collections.abc import Sequence

import numpy as np

from keras_evonas.benchmarks.runs import Curve
from keras_evonas.benchmarks.summaries import bold
from keras_evonas.benchmarks.summaries import compared
from keras_evonas.benchmarks.summaries import row
from keras_evonas.benchmarks.summaries import summary

# A method that always finds the optimum would make the geometric mean zero.
FLOOR = 1e-4


class Comparison:
    """Searches of several methods on several problems.

    Args:
        curves: The searches, every method on every problem.

    Attributes:
        problems: Names of the problems, in the order of the curves.
        methods: Names of the methods, in the order of the curves.
    """

    def __init__(self, curves: Iterable[Curve]) -> None:
        regrets: dict[tuple[str, str], list[np.ndarray]] = {}
        for curve in curves:
            key = (curve.problem, curve.method)
            regrets.setdefault(key, []).append(curve.regrets)
        self._summaries = {
            key: summary(found) for key, found in regrets.items()
        }
        self.problems = list(dict.fromkeys(key[0] for key in regrets))
        self.methods = list(dict.fromkeys(key[1] for key in regrets))

    def means(self, problem: str, method: str) -> np.ndarray:
        """Returns the `(trials,)` array of the mean regrets."""
        return self._summaries[problem, method][0]

    def errors(self, problem: str, method: str) -> np.ndarray:
        """Returns the `(trials,)` array of the means' standard errors."""
        return self._summaries[problem, method][1]

    def geometric_means(self, method: str) -> np.ndarray:
        """Returns the `(trials,)` array of geometric means over the problems.

        Means below `FLOOR` count as `FLOOR`.
        """
        means = [self.means(problem, method) for problem in self.problems]
        logs: np.ndarray = np.log(np.maximum(means, FLOOR))
        return np.asarray(np.exp(logs.mean(axis=0)))

    def markdown(self, trials: Sequence[int]) -> str:
        """Returns a Markdown table for each number of trials.

        The best method of a row is bold, and methods that are worse than it
        by more than two standard errors of the difference are marked as lost.

        Args:
            trials: Numbers of trials to show.
        """
        return "\n\n".join(self._table(number) for number in trials)

    def _table(self, trials: int) -> str:
        at = trials - 1
        lines = [
            f"Mean normalised regret after {trials} trials (± standard error; "
            "**best** of the row; lost: worse than it by more than two "
            "standard errors of the difference):",
            "",
            row(["", *self.methods]),
            row(["---"] * (len(self.methods) + 1)),
        ]
        for problem in self.problems:
            found = [self._summaries[problem, m] for m in self.methods]
            pairs = [(means[at], errors[at]) for means, errors in found]
            lines.append(row([problem, *compared(pairs, digits=4, best="min")]))
        geometric = [self.geometric_means(m)[at] for m in self.methods]
        cells = [bold(f"{g:.4f}", g == min(geometric)) for g in geometric]
        lines.append(row(["geometric mean", *cells]))
        best = max(min(geometric), FLOOR)
        cells = [f"{value / best:.2f}" for value in geometric]
        lines.append(row(["times the best", *cells]))
        return "\n".join(lines)

    def plot(self, path: str | pathlib.Path) -> None:
        """Draws the mean regrets with their standard errors.

        Args:
            path: Path of the picture. Its suffix decides on the format.
        """
        from keras_evonas.benchmarks import pictures

        panels = []
        for problem in self.problems:
            curves = {m: self._summaries[problem, m] for m in self.methods}
            trials = len(self.means(problem, self.methods[0]))
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
