"""Plots of genes: their importance and their values; and learning curves."""

import collections
import dataclasses
from collections.abc import Sequence
from typing import Any

from keras_evonas.evolution.genes import Interval
from keras_evonas.evolution.genes import Value
from keras_evonas.project import wording
from keras_evonas.project.search import Search
from keras_evonas.project.search import Trial
from keras_evonas.reports.features import Feature
from keras_evonas.reports.figures import base
from keras_evonas.reports.figures.base import Figure
from keras_evonas.reports.importance import METHOD
from keras_evonas.reports.importance import Importance
from keras_evonas.reports.importance import losses_on_the_highest_rung
from keras_evonas.reports.shares import Effect

_MOST_GENES = 12
_MOST_PAIRS = 8
_LEAST_INTERACTION = 0.01
# A number with more values than this is drawn on an axis of its own.
_MOST_BOXES = 12
_NOT_USED = "not used"
# Trials drawn one by one over the boxes, and curves behind the best.
_SINGLE_POINTS = 300
_MOST_CURVES = 200
_TOP_CURVES = 5
_CURVE_TEXT = "epoch %{x}: %{y:.4~g}<extra>%{fullData.name}</extra>"
_ROWS = {"type": "category", "automargin": True}


def importance(result: Importance, objective: str, index: int) -> Figure:
    """Draws the importance of the genes whose influence is sure, as bars."""
    names = result.sure[:_MOST_GENES][::-1]
    labels = [_label(name) for name in names]
    alone = [result.main[name] for name in names]
    together = [max(0.0, result.total[n] - result.main[n]) for n in names]
    spread = base.rounded([result.spread[name] for name in names])
    strokes = {"type": "data", "array": spread, "color": base.theme("grey")}
    bars = _bars(together, labels, "together with others", "pale")
    return Figure(
        f"importance-{index}",
        f"Which genes mattered for {objective}",
        "How much of the differences between networks each gene accounts for: "
        "first alone, then only together with other genes, which is counted "
        "for each of them. Strokes: one standard deviation. Genes that chance "
        f"could explain are left out. Method: {METHOD}, from "
        f"{result.num_trials} trials; it predicts trials that it has not seen "
        f"with R² = {result.fit:.2f}.",
        [_bars(alone, labels, "alone", "blue"), {**bars, "error_x": strokes}],
        {
            "barmode": "stack",
            "xaxis": base.axis(
                "share of differences", tickformat=".0%", rangemode="tozero"
            ),
            "yaxis": _ROWS,
        },
        height=150 + 26 * len(names),
    )


def interactions(result: Importance, index: int) -> Figure | None:
    """Draws the strongest interactions as bars."""
    pairs = [
        (pair, share)
        for pair, share in result.interactions.items()
        if share >= _LEAST_INTERACTION and set(pair) <= set(result.sure)
    ][:_MOST_PAIRS][::-1]
    if not pairs:
        return None
    labels = [
        f"{_label(a, 24)}<br>{wording.TIMES} {_label(b, 24)}"
        for (a, b), _ in pairs
    ]
    return Figure(
        f"interactions-{index}",
        "Genes that work together",
        "How much two genes account for only together: with a long bar, the "
        "right value of one depends on the other. By the same method.",
        [_bars([share for _, share in pairs], labels, "together", "orange")],
        {
            "xaxis": base.axis("share of differences", tickformat=".1%"),
            "yaxis": _ROWS,
            "showlegend": False,
        },
        height=90 + 40 * len(pairs),
    )


def values(search: Search, result: Importance, feature: Feature) -> Figure:
    """Draws the scores of the networks with each value of a gene."""
    trials = base.thinned(_as_if_trained_alike(search), ())
    effect = result.effects[feature.name]
    domain = feature.domain
    if isinstance(domain, Interval) and len(feature.places) > _MOST_BOXES:
        tried, mode = _scattered(feature, trials), "lines"
        xaxis = base.axis("", type="log" if domain.scale == "log" else "linear")
        effect = tuple(pair for pair in effect if pair[0] is not None)
        x: list[object] = [value for value, _ in effect]
    else:
        tried, mode = _boxed(feature, trials), "markers"
        order = [_written(value) for value in feature.options]
        xaxis = base.axis("", type="category", categoryorder="array")
        xaxis["categoryarray"] = order
        x = [_written(value) for value, _ in effect]
    diamond = {"symbol": "diamond", "size": 10, "color": base.theme("orange")}
    expected = base.line(
        x,
        [search.objectives[0].loss(loss) for _, loss in effect],
        name="expected on average",
        color="orange",
        mode=mode,
        marker=diamond,
        hovertemplate="expected with %{x}: %{y:.4~g}<extra></extra>",
    )
    return Figure(
        f"values-{feature.name}",
        feature.name,
        _best_value(effect),
        [tried, expected],
        {
            "xaxis": xaxis,
            "yaxis": base.score_axis(search, trials),
            "showlegend": False,
        },
        height=300,
    )


def learning_curves(search: Search) -> Figure | None:
    """Draws the curves of the best trials in front of all the others."""
    name = _curve_metric(search)
    if name is None:
        return None
    drawn = {
        t.trial_id: t.curves[name] for t in search.trials if name in t.curves
    }
    epochs = [epoch for curve in drawn.values() for epoch, _ in curve]
    longest = max(epochs, default=0)
    top = {
        trial.trial_id: drawn.pop(trial.trial_id)
        for trial in search.ranking[:_TOP_CURVES]
        if trial.trial_id in drawn
    }
    step = max(1, -(-len(drawn) // _MOST_CURVES))
    rest: list[tuple[float | None, float | None]] = []
    for curve in list(drawn.values())[::step]:
        rest += [*curve, (None, None)]
    data = [
        base.line(
            [epoch for epoch, _ in rest],
            [value for _, value in rest],
            name="the others",
            color="faint",
            line={"width": 1},
            hoverinfo="skip",
            type="scattergl" if len(rest) > 5 * base.GPU_POINTS else "scatter",
        )
    ]
    data += [
        base.line(
            [epoch for epoch, _ in curve],
            [value for _, value in curve],
            name=f"trial {trial_id}",
            color=color,
            mode="lines+markers",
            marker={"size": 5, "color": base.theme(color)},
            hovertemplate=_CURVE_TEXT,
        )
        for (trial_id, curve), color in zip(
            top.items(), base.SERIES, strict=False
        )
    ]
    shown = "" if step == 1 else f" One in {step} of the others is drawn."
    return Figure(
        "curves",
        f"{name} by epoch",
        "The best networks in colour, the others behind them: networks that "
        "still improve at the end would gain from more epochs." + shown,
        data,
        {
            "xaxis": base.whole_axis("epoch", longest),
            "yaxis": base.axis(name),
        },
        height=400,
    )


def _curve_metric(search: Search) -> str | None:
    """Returns the first objective with curves, else the commonest metric."""
    names = collections.Counter(n for t in search.trials for n in t.curves)
    wanted = [one.name for one in search.objectives if one.name in names]
    others = sorted(
        names, key=lambda n: (n.startswith("val_"), names[n]), reverse=True
    )
    return next(iter([*wanted, *others]), None)


def _label(name: str, width: int = 32) -> str:
    return wording.escape(wording.shorten(name, width))


def _written(value: Value | None) -> str:
    if value is None:
        return _NOT_USED
    return wording.escape(wording.gene_value(value))


def _bars(
    shares: list[float], labels: list[str], name: str, color: str
) -> dict[str, Any]:
    return {
        "type": "bar",
        "orientation": "h",
        "name": name,
        "x": base.rounded(shares),
        "y": labels,
        "marker": {"color": base.theme(color)},
        "hovertemplate": "%{y}: %{x:.1%} " + name + "<extra></extra>",
    }


def _as_if_trained_alike(search: Search) -> Sequence[Trial]:
    """Returns the completed trials with scores as on the highest rung."""
    if not any(trial.rung for trial in search.completed):
        return search.completed
    losses = losses_on_the_highest_rung(search).tolist()
    score = search.objectives[0].loss  # The sign, forth and back.
    return [
        dataclasses.replace(trial, scores=(score(loss),))
        for trial, loss in zip(search.completed, losses, strict=True)
    ]


def _scattered(feature: Feature, trials: list[Trial]) -> dict[str, Any]:
    shown = [trial for trial in trials if feature.name in trial.values]
    x = base.rounded([trial.values[feature.name] for trial in shown])
    look: dict[str, Any] = {"color": "blue", "size": 5, "opacity": 0.5}
    return base.points(x, shown, name="tried", **look)


def _boxed(feature: Feature, trials: list[Trial]) -> dict[str, Any]:
    few = len(trials) <= _SINGLE_POINTS
    return {
        "type": "box",
        "name": "tried",
        "x": [_written(trial.values.get(feature.name)) for trial in trials],
        "y": base.rounded(base.scores(trials)),
        "boxpoints": "all" if few else False,
        "pointpos": 0,
        "jitter": 0.5,
        "marker": {"color": base.theme("blue"), "size": 4, "opacity": 0.5},
        "line": {"color": base.theme("blue"), "width": 1},
        "fillcolor": base.theme("wash"),
        "hoverinfo": "y",
    }


def _best_value(effect: Effect) -> str:
    value, _ = min(effect, key=lambda pair: pair[1])
    if value is None:
        return "Best when it is not used."
    if isinstance(value, float):
        return f"Best around {wording.number(value, 2)}."
    return f"Best at {wording.gene_value(value)}."
