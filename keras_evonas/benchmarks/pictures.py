"""Curves with bands of their standard errors, drawn with Matplotlib."""

import dataclasses
import pathlib
from collections.abc import Mapping
from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from keras_evonas.benchmarks.summaries import Summary


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Panel:
    """A plot of several curves.

    Args:
        title: String.
        labels: Pair of strings, of the two axes.
        readings: `(n,)` array, where the curves are read.
        curves: Mapping of the curves' names to means and standard errors.
        limits: Pair of floats, the limits of the vertical axis. Defaults to
            those of the curves.
        floor: Float, below which a logarithmic axis ends. Defaults to `None`:
            a linear axis.
    """

    title: str
    labels: tuple[str, str]
    readings: np.ndarray
    curves: Mapping[str, Summary]
    limits: tuple[float, float] | None = None
    floor: float | None = None


def draw(
    panels: Sequence[Panel], path: str | pathlib.Path, *, columns: int
) -> None:
    """Draws panels, with one legend for all.

    Args:
        panels: The panels, row by row.
        path: Path of the picture. Its suffix decides on the format.
        columns: Integer, panels of a row.
    """
    rows = -(-len(panels) // columns)
    figure = Figure(
        figsize=(4.4 * columns, 3.2 * rows + 0.7),
        dpi=110,
        layout="constrained",
    )
    FigureCanvasAgg(figure)
    for number, panel in enumerate(panels, start=1):
        _draw_panel(figure.add_subplot(rows, columns, number), panel)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(
        handles,
        labels,
        loc="outside lower center",
        ncols=min(3, len(labels)),
        fontsize="small",
    )
    figure.savefig(path)


def _draw_panel(axes: Axes, panel: Panel) -> None:
    colours = matplotlib.color_sequences["tab10"]
    for index, (label, (means, errors)) in enumerate(panel.curves.items()):
        colour = colours[index % len(colours)]
        band = np.nan_to_num(errors)
        low = means - band
        if panel.floor is not None:
            low = np.maximum(low, panel.floor)
        axes.step(
            panel.readings, means, where="post", color=colour, label=label
        )
        axes.fill_between(
            panel.readings,
            low,
            means + band,
            step="post",
            color=colour,
            alpha=0.15,
            lw=0,
        )
    axes.set_title(panel.title, fontsize="small")
    axes.set_xlabel(panel.labels[0])
    axes.set_ylabel(panel.labels[1])
    axes.grid(alpha=0.25)
    if panel.floor is not None:
        axes.set_yscale("log")
    if panel.limits is not None:
        axes.set_ylim(*panel.limits)
