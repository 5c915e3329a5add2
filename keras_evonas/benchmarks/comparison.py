"""What searches show when they are put side by side: tables and a plot."""

import pathlib
from collections.abc import Iterable
from collections.abc import Sequence

import numpy as np

from keras_evonas.benchmarks.runs import Curve

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
        self._curves: dict[tuple[str, str], list[np.ndarray]] = {}
        for curve in curves:
            key = (curve.problem, curve.method)
            self._curves.setdefault(key, []).append(curve.regrets)
        self.problems = list(dict.fromkeys(key[0] for key in self._curves))
        self.methods = list(dict.fromkeys(key[1] for key in self._curves))

    def means(self, problem: str, method: str) -> np.ndarray:
        """`(trials,)` array, mean regret after each trial."""
        return np.mean(self._curves[problem, method], axis=0)

    def errors(self, problem: str, method: str) -> np.ndarray:
        """`(trials,)` array, standard errors of the means."""
        regrets = np.array(self._curves[problem, method])
        if len(regrets) == 1:
            return np.full(regrets.shape[1], np.nan)
        return regrets.std(axis=0, ddof=1) / np.sqrt(len(regrets))

    def geometric_means(self, method: str) -> np.ndarray:
        """`(trials,)` array, geometric mean over the problems.

        Means below `FLOOR` count as `FLOOR`.
        """
        means = [self.means(problem, method) for problem in self.problems]
        return np.exp(np.mean(np.log(np.maximum(means, FLOOR)), axis=0))

    def markdown(self, trials: Sequence[int]) -> str:
        """A Markdown table for each number of trials.

        The best method of a row is bold, and methods beyond two standard
        errors of the difference from it are marked as lost.

        Args:
            trials: Numbers of trials to show.

        Returns:
            The tables.
        """
        return "\n\n".join(self._table(number) for number in trials)

    def _table(self, trials: int) -> str:
        at = trials - 1
        lines = [
            f"Mean normalised regret after {trials} trials (± standard error; "
            "**best** of the row; lost: worse than it by more than two "
            "standard errors of the difference):",
            "",
            _row(["", *self.methods]),
            _row(["---"] * (len(self.methods) + 1)),
        ]
        for problem in self.problems:
            means = [self.means(problem, m)[at] for m in self.methods]
            errors = [self.errors(problem, m)[at] for m in self.methods]
            lines.append(_row([problem, *_cells(means, errors)]))
        geometric = [self.geometric_means(m)[at] for m in self.methods]
        cells = [_bold(f"{g:.4f}", g == min(geometric)) for g in geometric]
        lines.append(_row(["geometric mean", *cells]))
        best = max(min(geometric), FLOOR)
        cells = [f"{value / best:.2f}" for value in geometric]
        lines.append(_row(["times the best", *cells]))
        return "\n".join(lines)

    def plot(self, path: str | pathlib.Path) -> None:
        """Draws the mean regrets with their standard errors.

        Args:
            path: Path of the picture; its ending says which format.
        """
        import matplotlib
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        columns = min(3, len(self.problems))
        rows = -(-len(self.problems) // columns)
        size = (4.2 * columns, 3.2 * rows + 0.6)
        figure = Figure(figsize=size, dpi=120, layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots(rows, columns, squeeze=False).flat
        colours = matplotlib.colormaps["tab10"].colors
        for axis, problem in zip(axes, self.problems, strict=False):
            self._plot_problem(axis, problem, colours)
        for axis in list(figure.axes)[len(self.problems) :]:
            axis.set_visible(False)
        handles, labels = figure.axes[0].get_legend_handles_labels()
        figure.legend(
            handles,
            labels,
            loc="outside lower center",
            ncols=min(4, len(labels)),
            fontsize="small",
        )
        figure.savefig(path)

    def _plot_problem(
        self, axis: object, problem: str, colours: Sequence[object]
    ) -> None:
        for index, method in enumerate(self.methods):
            colour = colours[index % len(colours)]
            means = self.means(problem, method)
            errors = np.nan_to_num(self.errors(problem, method))
            trials = np.arange(1, len(means) + 1)
            axis.plot(trials, means, label=method, color=colour)
            low = np.maximum(means - errors, FLOOR)
            axis.fill_between(
                trials, low, means + errors, color=colour, alpha=0.15, lw=0
            )
        axis.set_title(problem, fontsize="small")
        axis.set_yscale("log")
        axis.set_xlabel("trials")
        axis.set_ylabel("mean normalised regret")


def _cells(means: Sequence[float], errors: Sequence[float]) -> list[str]:
    best = int(np.argmin(means))
    cells = []
    for mean, error in zip(means, errors, strict=True):
        noise = np.hypot(error, errors[best])
        lost = mean - means[best] > 2 * noise
        cell = f"{mean:.4f} ± {error:.4f}" + (" lost" if lost else "")
        cells.append(_bold(cell, mean == means[best]))
    return cells


def _bold(cell: str, is_best: bool) -> str:
    return f"**{cell}**" if is_best else cell


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
