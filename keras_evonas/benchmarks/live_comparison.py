"""Tables and a picture of the live searches of several methods."""

import pathlib
from collections.abc import Iterable
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from keras_evonas.benchmarks import summaries
from keras_evonas.benchmarks.live_problems import DATASETS
from keras_evonas.benchmarks.live_runs import TITLES
from keras_evonas.benchmarks.live_runs import Clock
from keras_evonas.benchmarks.live_runs import LiveRun


class LiveComparison:
    """Searches of methods on data sets, in the order of the runs."""

    def __init__(self, runs: Iterable[LiveRun]) -> None:
        self._runs: dict[tuple[str, str], list[LiveRun]] = {}
        for run in runs:
            self._runs.setdefault((run.dataset, run.method), []).append(run)
        self.datasets = list(dict.fromkeys(key[0] for key in self._runs))
        self.methods = list(dict.fromkeys(key[1] for key in self._runs))

    def means(
        self, dataset: str, method: str, clock: Clock, readings: ArrayLike
    ) -> summaries.Summary:
        """Returns mean held-out accuracies of the best trials by validation.

        `readings` are `(n,)` readings of the clock up to which trials count. In
        per cent; NaN where a seed had no trial yet, errors also for one seed.
        """
        runs = self._runs[dataset, method]
        return summaries.summary(
            [100 * run.tested_at(clock, readings) for run in runs]
        )

    def seconds_for(self, dataset: str, method: str, trials: float) -> float:
        """Returns the mean seconds until so many whole trainings, or NaN."""
        found = []
        for run in self._runs[dataset, method]:
            index = np.searchsorted(run.clock("trials"), trials)
            found.append([*run.clock("seconds"), np.nan][index])
        return float(np.mean(found))

    def trials_in(self, dataset: str, method: str, seconds: float) -> float:
        """Returns the mean number of whole trainings in so many seconds."""
        found = []
        for run in self._runs[dataset, method]:
            ended = np.searchsorted(run.clock("seconds"), seconds, side="right")
            found.append([0.0, *run.clock("trials")][ended])
        return float(np.mean(found))

    def markdown(
        self, trials: Sequence[int], seconds: Sequence[float]
    ) -> dict[str, str]:
        """Returns a Markdown table by data set, at some trials and seconds.

        The best of a column is bold; a mean that is worse by more than two
        standard errors of the difference is marked as lost.
        """
        return {
            dataset: self._table(dataset, trials, seconds)
            for dataset in self.datasets
        }

    def _table(
        self, dataset: str, trials: Sequence[int], seconds: Sequence[float]
    ) -> str:
        columns = [["", *(TITLES.get(name, name) for name in self.methods)]]
        for clock, readings in _clocks(trials, seconds):
            found = np.array(
                [self.means(dataset, m, clock, readings) for m in self.methods]
            )
            for index, reading in enumerate(readings):
                title = f"{reading:g} {'s' if clock == 'seconds' else clock}"
                cells = summaries.compared(
                    found[:, :, index], digits=2, best="max"
                )
                columns.append([title, *cells])
        most, last = trials[-1], seconds[-1]
        spent = [self.seconds_for(dataset, m, most) for m in self.methods]
        done = [self.trials_in(dataset, m, last) for m in self.methods]
        cells = ["-" if np.isnan(s) else f"{s:.0f}" for s in spent]
        columns.append([f"seconds for {most} trials", *cells])
        cells = [f"{number:.1f}" for number in done]
        columns.append([f"trials in {last:g} s", *cells])
        header, *rows = zip(*columns, strict=True)
        return summaries.table(header, rows)

    def plot(
        self, path: str | pathlib.Path, *, trials: int, seconds: float
    ) -> None:
        """Draws the means with their errors, up to some trials and seconds."""
        from keras_evonas.benchmarks import pictures

        clocks = _clocks(np.arange(1, trials + 1), np.linspace(0, seconds, 241))
        panels = []
        for dataset in self.datasets:
            curves = {
                clock: {
                    TITLES.get(m, m): self.means(dataset, m, clock, readings)
                    for m in self.methods
                }
                for clock, readings in clocks
            }
            # The limits show the differences between the methods in the end.
            found = [
                one for by_name in curves.values() for one in by_name.values()
            ]
            ends = [means[-1] for means, _ in found]
            low, high = np.nanmin(ends), np.nanmax(ends)
            margin = 0.4 * (high - low) + 0.1
            for clock, readings in clocks:
                properties = {
                    "title": DATASETS[dataset].title,
                    "xlabel": clock,
                    "ylabel": "held-out accuracy, %",
                    "ylim": (low - margin, high + margin),
                }
                shown = curves[clock]
                panels.append(pictures.Panel(readings, shown, properties))
        pictures.draw(panels, path, columns=2)


def _clocks(
    trials: ArrayLike, seconds: ArrayLike
) -> list[tuple[Clock, np.ndarray]]:
    return [("trials", np.asarray(trials)), ("seconds", np.asarray(seconds))]
