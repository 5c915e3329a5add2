"""Curves with bands of their standard errors, drawn with Matplotlib."""

import dataclasses
import pathlib
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from keras_evonas.benchmarks.summaries import Summary


@dataclasses.dataclass(frozen=True, eq=False)
class Panel:
    """Curves by name, read at `(n,)` readings, and Matplotlib's properties."""

    readings: np.ndarray
    curves: Mapping[str, Summary]
    properties: Mapping[str, Any]


def draw(
    panels: Sequence[Panel],
    path: str | pathlib.Path,
    *,
    columns: int,
    floor: float = -np.inf,
) -> None:
    """Draws panels row by row with one legend; bands end at the floor."""
    rows = -(-len(panels) // columns)
    size = (4.4 * columns, 3.2 * rows + 0.7)
    figure = Figure(figsize=size, dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    colours = matplotlib.color_sequences["tab10"]
    for number, panel in enumerate(panels, start=1):
        axes = figure.add_subplot(rows, columns, number, **panel.properties)
        axes.grid(alpha=0.25)
        for index, (label, (means, errors)) in enumerate(panel.curves.items()):
            colour = colours[index % len(colours)]
            band = np.nan_to_num(errors)
            low, high = np.maximum(means - band, floor), means + band
            axes.step(
                panel.readings, means, where="post", color=colour, label=label
            )
            axes.fill_between(
                panel.readings, low, high, step="post", color=colour, alpha=0.15
            )
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside lower center", ncols=min(3, len(labels))
    )
    figure.savefig(path)
