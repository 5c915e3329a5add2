"""Parts that all figures share: plotly's JSON, in colours of the page.

A colour is a name such as `theme:blue`; the page's script puts in the shade
for light or dark mode. The palette is Okabe and Ito's (2008), which people
with colour blindness can tell apart, and shapes differ along with colours.
The text that appears when pointing at a trial is stored once in the page:
a trace lists the trials in `meta.trials`, and the script looks their text up.
"""

import dataclasses
import math
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_evonas.project import wording
from keras_evonas.project.search import Search
from keras_evonas.project.search import Trial

# From so many points on the graphics card draws them.
GPU_POINTS = 1000
# A figure shows so many points at most.
MOST_POINTS = 20_000

SERIES = ("blue", "orange", "green", "purple", "sky", "vermillion", "yellow")
# Dark to light in steps of equal size for every eye (from viridis).
ORDINAL = (
    *("#440154", "#46327e", "#365c8d", "#277f8e"),
    *("#1fa187", "#4ac16d", "#a0da39", "#fde725"),
)


@dataclasses.dataclass(frozen=True)
class Figure:
    """A plot: Plotly's traces, and the plain text that explains it.

    The layout has what differs from the page's own; the height is in pixels.
    """

    name: str
    title: str
    caption: str
    data: list[dict[str, Any]]
    layout: dict[str, Any] = dataclasses.field(default_factory=dict)
    height: int = 340


def theme(color: str) -> str:
    """Names a colour of the page's palette."""
    return f"theme:{color}"


def axis(title: str, **options: object) -> dict[str, Any]:
    """Returns an axis with an escaped title."""
    return {"title": {"text": wording.escape(title)}, **options}


def whole_axis(title: str, largest: float) -> dict[str, Any]:
    """Returns an axis of whole numbers, of which a few have no fractions."""
    return axis(title, **({"dtick": 1} if largest <= 10 else {}))


def scores(trials: Iterable[Trial], objective: int = 0) -> list[float]:
    """Returns the scores of trials, which have completed."""
    return [one.scores[objective] for one in trials if one.scores is not None]


def is_wide(values: Sequence[float]) -> bool:
    """Returns whether values are best shown on a logarithmic axis."""
    return min(values) > 0 and max(values) / min(values) > 30


def rounded(values: Iterable[float | None]) -> list[float | None]:
    """Rounds to the six digits that a screen shows; NaN becomes a gap."""
    return [
        float(f"{value:.6g}")
        if value is not None and math.isfinite(value)
        else None
        for value in values
    ]


def points(
    x: Sequence[Any],
    trials: Sequence[Trial],
    *,
    name: str,
    color: str,
    objective: int = 0,
    symbol: str = "circle",
    size: int = 7,
    **options: object,
) -> dict[str, Any]:
    """Returns a trace of trials' scores, with their network on hover."""
    scores = [t.scores[objective] if t.scores else None for t in trials]
    return {
        "type": "scattergl" if len(trials) >= GPU_POINTS else "scatter",
        "mode": "markers",
        "name": wording.escape(name),
        "x": list(x),
        "y": rounded(scores),
        "meta": {"trials": [trial.number for trial in trials]},
        "hovertemplate": "%{text}<extra></extra>",
        "marker": {"color": theme(color), "symbol": symbol, "size": size},
        **options,
    }


def line(
    x: Sequence[Any],
    y: Sequence[Any],
    *,
    name: str,
    color: str,
    line: Mapping[str, object] | None = None,
    **options: object,
) -> dict[str, Any]:
    """Returns a trace of a line."""
    return {
        "type": "scatter",
        "mode": "lines",
        "name": wording.escape(name),
        "x": list(x),
        "y": rounded(y),
        "line": {"color": theme(color), "width": 2, **(line or {})},
        **options,
    }


def score_axis(search: Search, trials: Iterable[Trial]) -> dict[str, Any]:
    """Returns the axis of scores, as far as most of some trials are."""
    view = visible_scores(search, scores(trials))
    return axis(search.objectives[0].name, **view)


def visible_scores(
    search: Search, scores: Sequence[float], objective: int = 0
) -> dict[str, Any]:
    """Finds the part of the score axis where most of some scores are.

    If others lie outside of it, the page offers a button that shows them.
    """
    if len(scores) < 8:
        return {}
    direction = search.objectives[objective]
    losses = np.array([direction.loss(score) for score in scores])
    low, high = np.quantile(losses, [0.25, 0.75])
    limit = high + 3 * (high - low)
    outside = int((losses > limit).sum())
    if not outside or low == high:
        return {}
    best = float(losses.min())
    pad = 0.06 * (limit - best) or 1.0
    ends = sorted((direction.loss(best - pad), direction.loss(limit + pad)))
    return {"range": rounded(ends)}


def thinned(trials: Sequence[Trial], keep: Iterable[Trial]) -> list[Trial]:
    """Picks `MOST_POINTS` evenly spaced trials, and those in `keep`."""
    if len(trials) <= MOST_POINTS:
        return list(trials)
    kept = {trial.trial_id for trial in keep}
    step = math.ceil(len(trials) / MOST_POINTS)
    return [
        trial
        for index, trial in enumerate(trials)
        if index % step == 0 or trial.trial_id in kept
    ]
