"""Plots of the family tree, and of how genes spread."""

import itertools
import statistics
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

from keras_evonas.evolution.genes import Grid
from keras_evonas.evolution.genes import Interval
from keras_evonas.evolution.genes import Value
from keras_evonas.project import html
from keras_evonas.project import spaces as space_lib
from keras_evonas.project import wording
from keras_evonas.project.html import tag
from keras_evonas.project.search import Search
from keras_evonas.project.search import Trial
from keras_evonas.reports import lineage
from keras_evonas.reports.features import Feature
from keras_evonas.reports.figures import base
from keras_evonas.reports.figures import progress
from keras_evonas.reports.figures.base import Figure

_NOT_USED = "not used"
_OTHERS = "others"
# A gene with more values than this is shown in so many ranges.
_MOST_VALUES = 8
_RANGES = 4
_LARGEST_WINDOW = 100
_MOST_PLACES = 120


def family_tree(search: Search, trial: Trial, word: str = "best") -> Figure:
    """Draws the ancestors of a trial: when they were born, how good they were.

    `word` is a word for the trial, such as "best".
    """
    steps = lineage.family(search, trial)
    main = lineage.descent(search, trial)
    members = search.lineage(trial.trial_id)
    data = [
        _edges(steps, "parent to child", "grey", 1),
        _edges(main, "main line", "blue", 2.5),
        _middles(steps),
    ]
    for kind in dict.fromkeys(map(progress.kind_of, members)):
        name, color, symbol = progress.KINDS[kind]
        look: dict[str, Any] = {"color": color, "symbol": symbol, "size": 10}
        ones = [one for one in members if progress.kind_of(one) == kind]
        numbers = [one.number for one in ones]
        data.append(base.points(numbers, ones, name=name, **look))
    star: dict[str, Any] = {"color": "green", "symbol": "star", "size": 17}
    data.append(
        base.points([trial.number], [trial], name=f"the {word}", **star)
    )
    return Figure(
        "family-tree",
        f"The family tree of the {word} network",
        "Left to right in the order of birth, better networks towards the "
        f"{'bottom' if search.objectives[0].direction == 'min' else 'top'}. "
        "Point at the middle of a line to see what was changed and what that "
        "gained; the thick line is told step by step below.",
        data,
        {
            "xaxis": base.axis("networks in the order of their beginning"),
            "yaxis": base.score_axis(search, members),
        },
        height=420,
    )


def spread(search: Search, feature: Feature) -> Figure | None:
    """Draws how the values of a gene spread among the networks being born."""
    trials = [trial for trial in search.trials if trial.values]
    names, name_of = _groups(feature)
    values = [trial.values.get(feature.name) for trial in trials]
    carried = [_NOT_USED if v is None else name_of(v) for v in values]
    groups = [group for group in [*names, _NOT_USED] if group in carried]
    window = min(max(8, len(trials) // 15), _LARGEST_WINDOW)
    if len(trials) <= window or len(groups) < 2:
        return None  # Nothing to see moving.
    step = max(1, len(trials) // _MOST_PLACES)
    places = range(window - 1, len(trials), step)
    data = []
    for index, group in enumerate(groups):
        shares = []
        for place in places:
            recent = carried[max(0, place + 1 - window) : place + 1]
            shares.append(recent.count(group) / len(recent))
        color = _color(feature, groups, index)
        data.append(
            {
                "type": "scatter",
                "mode": "lines",
                "stackgroup": "one",
                "name": wording.escape(group),
                "x": [trials[place].number for place in places],
                "y": base.rounded(shares),
                "line": {"width": 0.5, "color": color},
                "fillcolor": color,
                "hovertemplate": "%{y:.0%}<extra>%{fullData.name}</extra>",
            }
        )
    return Figure(
        f"spread-{feature.name}",
        feature.name,
        _spread_sentence(feature.name, carried, window),
        data,
        {
            "xaxis": base.axis("networks in the order of their beginning"),
            "yaxis": {"tickformat": ".0%", "range": [0, 1]},
            "hovermode": "x unified",
        },
        height=300,
    )


def _spread_sentence(name: str, carried: list[str], window: int) -> str:
    early, late = carried[:window], carried[-window:]
    first, last = statistics.mode(early), statistics.mode(late)
    before = wording.percent(early.count(first) / window)
    after = wording.percent(late.count(last) / window)
    text = (
        f"Among the first {window} networks the most common value of {name} "
        f"was {first} ({before})"
    )
    if first == last:
        return f"{text}, among the last {window} too ({after})."
    return f"{text}; among the last {window} it is {last} ({after})."


def _groups(feature: Feature) -> tuple[list[str], Callable[[Value], str]]:
    """Returns names of a gene's values or ranges, and a function to them."""
    domain = feature.domain
    if domain.size <= _MOST_VALUES or not isinstance(domain, Grid | Interval):
        kept = [wording.gene_value(value) for value in feature.places]
        if len(kept) > _MOST_VALUES:
            kept = kept[: _MOST_VALUES - 1]

        def by_name(value: Value) -> str:
            name = wording.gene_value(value)
            return name if name in kept else _OTHERS

        return [*kept, _OTHERS], by_name
    if isinstance(domain, Interval):
        edges = [domain.at(i / _RANGES) for i in range(_RANGES + 1)]
        pairs = list(itertools.pairwise(edges))
    else:
        parts = _split(list(domain), _RANGES)
        pairs = [(values[0], values[-1]) for values in parts]
    ranges = [
        " to ".join(wording.number(float(value), 3) for value in pair)
        for pair in pairs
    ]

    def by_range(value: Value) -> str:
        place = domain.position(space_lib.nearest(domain, value))
        return ranges[min(int(place * len(ranges)), len(ranges) - 1)]

    return ranges, by_range


def _split(places: list[Value], count: int) -> list[list[Value]]:
    """Returns parts of equal width in the places' own order."""
    parts: list[list[Value]] = [[] for _ in range(count)]
    for index, place in enumerate(places):
        at = index / (len(places) - 1)
        parts[min(int(at * count), count - 1)].append(place)
    return parts


def _color(feature: Feature, groups: list[str], index: int) -> str:
    if groups[index] == _NOT_USED:
        return base.theme("unused")
    if not feature.domain.ordered:
        return base.theme(base.SERIES[index % len(base.SERIES)])
    used = len(groups) - (_NOT_USED in groups)
    last = len(base.ORDINAL) - 1
    return base.ORDINAL[round(index * last / max(1, used - 1))]


def _edges(
    steps: Sequence[lineage.Step], name: str, color: str, width: float
) -> dict[str, Any]:
    x: list[int | None] = []
    y: list[float | None] = []
    for step in steps:
        x += [step.parent.number, step.child.number, None]
        y += [step.parent.score, step.child.score, None]
    look: dict[str, Any] = {"line": {"width": width}, "hoverinfo": "skip"}
    return base.line(x, y, name=name, color=color, **look)


def _middles(steps: Sequence[lineage.Step]) -> dict[str, Any]:
    """Returns points in the middle of the edges, which carry their text."""
    shown = [step for step in steps if step.gain is not None]
    scores = [base.scores([step.parent, step.child]) for step in shown]
    return {
        "type": "scatter",
        "mode": "markers",
        "name": "what was changed",
        "showlegend": False,
        "x": [(step.parent.number + step.child.number) / 2 for step in shown],
        "y": base.rounded([sum(pair) / 2 for pair in scores]),
        "text": [_edge_text(step) for step in shown],
        "hovertemplate": "%{text}<extra></extra>",
        "marker": {
            "size": 7,
            "symbol": "circle-open",
            "color": base.theme("grey"),
        },
    }


def _edge_text(step: lineage.Step) -> str:
    """Describes an edge, with plotly's line breaks."""
    edge = tag("b", f"{step.parent.trial_id} → {step.child.trial_id}")
    made = wording.plain_operator(step.child.operator)
    lines = [html.join([edge, ": ", made])]
    lines += [html.text(change_text(change)) for change in step.changes[:10]]
    if len(step.changes) > 10:
        lines.append(html.text(f"and {len(step.changes) - 10} more"))
    if step.gain is not None:
        lines.append(html.text(f"gain: {wording.signed(step.gain)}"))
    return "<br>".join(lines)


def change_text(change: lineage.Change) -> str:
    """Describes a change in plain text."""
    before, after = (
        "off" if value is None else wording.gene_value(value)
        for value in (change.before, change.after)
    )
    return f"{change.name}: {before} → {after}"
