"""What live searches show side by side: tables and a picture."""

import itertools
import pathlib
from collections.abc import Iterable
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_evonas.benchmarks.live_problems import DATASETS
from keras_evonas.benchmarks.live_runs import Clock
from keras_evonas.benchmarks.live_runs import LiveRun

TITLES = {
    "evolutionary_search": "EvolutionarySearch",
    "evo_oracle": "EvoOracle in keras-tuner's Tuner",
    "keras_tuner_random": "keras-tuner RandomSearch",
    "keras_tuner_bayesian": "keras-tuner BayesianOptimization",
    "keras_tuner_hyperband": "keras-tuner Hyperband",
    "optuna_tpe": "Optuna TPE",
}


class LiveComparison:
    """Searches of several methods on several data sets, seed by seed.

    Args:
        runs: The searches.

    Attributes:
        datasets: Names, in the order of the runs.
        methods: Names, in the order of the runs.
    """

    def __init__(self, runs: Iterable[LiveRun]) -> None:
        self._runs: dict[tuple[str, str], list[LiveRun]] = {}
        for run in runs:
            self._runs.setdefault((run.dataset, run.method), []).append(run)
        self.datasets = list(dict.fromkeys(key[0] for key in self._runs))
        self.methods = list(dict.fromkeys(key[1] for key in self._runs))

    def means(
        self, dataset: str, method: str, clock: Clock, readings: Sequence[float]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Mean held-out accuracies of the best by validation, in per cent.

        Args:
            dataset: Name.
            method: Name.
            clock: `"trials"` or `"seconds"`.
            readings: `(n,)`, when to look.

        Returns:
            Two `(n,)` arrays, the means and their standard errors; means are
            NaN where a seed had nothing yet, errors also for a single seed.
        """
        tested = 100 * np.array(
            [
                run.tested_at(clock, readings)
                for run in self._runs[dataset, method]
            ]
        )
        if len(tested) == 1:
            return tested[0], np.full(len(readings), np.nan)
        errors = tested.std(axis=0, ddof=1) / np.sqrt(len(tested))
        return tested.mean(axis=0), errors

    def seconds_for(self, dataset: str, method: str, trials: float) -> float:
        """Mean seconds until so many whole trainings were done, or NaN."""
        found = []
        for run in self._runs[dataset, method]:
            index = np.searchsorted(run.clock("trials"), trials)
            found.append([*run.clock("seconds"), np.nan][index])
        return float(np.mean(found))

    def trials_in(self, dataset: str, method: str, seconds: float) -> float:
        """Mean number of whole trainings done after so many seconds."""
        found = []
        for run in self._runs[dataset, method]:
            ended = np.searchsorted(run.clock("seconds"), seconds, side="right")
            found.append([0.0, *run.clock("trials")][ended])
        return float(np.mean(found))

    def markdown(
        self, trials: Sequence[int], seconds: Sequence[float]
    ) -> dict[str, str]:
        """A Markdown table for each data set.

        The best of a column is bold; what is behind it by more than two
        standard errors of the difference is marked as lost.

        Args:
            trials: Numbers of trials to look after.
            seconds: When to look.

        Returns:
            Dictionary from names of data sets to tables.
        """
        return {
            dataset: self._table(dataset, trials, seconds)
            for dataset in self.datasets
        }

    def _table(
        self, dataset: str, trials: Sequence[int], seconds: Sequence[float]
    ) -> str:
        clocks: list[tuple[Clock, Sequence[float]]] = [
            ("trials", trials),
            ("seconds", seconds),
        ]
        columns: list[list[str]] = [
            ["", *(TITLES.get(name, name) for name in self.methods)]
        ]
        for clock, readings in clocks:
            found = [
                self.means(dataset, m, clock, readings) for m in self.methods
            ]
            for index, reading in enumerate(readings):
                means = [mean[index] for mean, _ in found]
                errors = [error[index] for _, error in found]
                title = f"{reading:g} {'s' if clock == 'seconds' else clock}"
                columns.append([title, *_cells(means, errors)])
        last_trials, last_seconds = trials[-1], seconds[-1]
        columns.append(
            [f"seconds for {last_trials} trials"]
            + [
                _number(self.seconds_for(dataset, m, last_trials))
                for m in self.methods
            ]
        )
        columns.append(
            [f"trials in {last_seconds:g} s"]
            + [
                f"{self.trials_in(dataset, m, last_seconds):.1f}"
                for m in self.methods
            ]
        )
        rows = [list(row) for row in zip(*columns, strict=True)]
        rows.insert(1, ["---"] * len(columns))
        return "\n".join(f"| {' | '.join(row)} |" for row in rows)

    def plot(
        self, path: str | pathlib.Path, *, trials: int, seconds: float
    ) -> None:
        """Draws the means with their standard errors.

        Args:
            path: Path of the picture; its ending says which format.
            trials: Integer, where the axis of trials ends.
            seconds: Float, where the axis of time ends.
        """
        import matplotlib
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        rows = len(self.datasets)
        figure = Figure(
            figsize=(9, 3.2 * rows + 0.7), dpi=100, layout="constrained"
        )
        FigureCanvasAgg(figure)
        axes = figure.subplots(rows, 2, squeeze=False, sharey="row")
        colours = matplotlib.colormaps["tab10"].colors
        clocks: list[tuple[Clock, np.ndarray]] = [
            ("trials", np.arange(1, trials + 1)),
            ("seconds", np.linspace(0, seconds, 241)),
        ]
        for (row, dataset), (column, (clock, readings)) in itertools.product(
            enumerate(self.datasets), enumerate(clocks)
        ):
            axis = axes[row, column]
            self._plot_panel(axis, dataset, clock, readings, colours)
            axis.set_title(_title(dataset), fontsize="medium")
            axis.set_xlabel(clock)
            if column == 0:
                axis.set_ylabel("held-out accuracy, %")
        for row, dataset in enumerate(self.datasets):
            axes[row, 0].set_ylim(*self._limits(dataset, trials, seconds))
        handles, labels = axes[0, 0].get_legend_handles_labels()
        figure.legend(
            handles, labels, loc="outside lower center", ncols=3, fontsize=9
        )
        figure.savefig(path)

    def _plot_panel(
        self,
        axis: Any,
        dataset: str,
        clock: Clock,
        readings: np.ndarray,
        colours: Sequence[Any],
    ) -> None:
        for index, method in enumerate(self.methods):
            means, errors = self.means(dataset, method, clock, readings)
            errors = np.nan_to_num(errors)
            colour = colours[index % len(colours)]
            axis.step(
                readings,
                means,
                where="post",
                color=colour,
                label=TITLES.get(method, method),
                lw=2.2 if index < 1 else 1.4,
            )
            axis.fill_between(
                readings,
                means - errors,
                means + errors,
                step="post",
                color=colour,
                alpha=0.12,
                lw=0,
            )
        axis.grid(alpha=0.25)

    def _limits(
        self, dataset: str, trials: int, seconds: float
    ) -> tuple[float, float]:
        """Around what all have in the end."""
        found = [
            self.means(dataset, method, clock, [end])[0]
            for method in self.methods
            for clock, end in (("trials", trials), ("seconds", seconds))
        ]
        low, high = np.nanmin(found), np.nanmax(found)
        margin = 0.4 * (high - low) + 0.1
        return low - margin, high + margin


def _title(dataset: str) -> str:
    return DATASETS[dataset].title if dataset in DATASETS else dataset


def _number(value: float) -> str:
    return "-" if np.isnan(value) else f"{value:.0f}"


def _cells(means: Sequence[float], errors: Sequence[float]) -> list[str]:
    if np.isnan(means).all():
        return ["-"] * len(means)
    best = int(np.nanargmax(means))
    cells = []
    for mean, error in zip(means, errors, strict=True):
        if np.isnan(mean):
            cells.append("-")
            continue
        lost = means[best] - mean > 2 * np.hypot(error, errors[best])
        cell = f"{mean:.2f} ± {error:.2f}" + (" lost" if lost else "")
        cells.append(f"**{cell}**" if mean == means[best] else cell)
    return cells
