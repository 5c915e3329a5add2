"""Plots of genes: their importance and their values; and learning curves."""

from typing import Any

from keras_evonas.evolution.genes import Interval
from keras_evonas.evolution.genes import Value
from keras_evonas.project import wording
from keras_evonas.project.search import Search
from keras_evonas.project.search import Trial
from keras_evonas.reports.encoding import Feature
from keras_evonas.reports.figures import base
from keras_evonas.reports.figures.base import Figure
from keras_evonas.reports.importance import METHOD
from keras_evonas.reports.importance import Importance
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


def importance(result: Importance, objective: str, index: int = 0) -> Figure:
    """Draws the importance of the genes whose influence is sure, as bars."""
    names = list(result.sure[:_MOST_GENES])[::-1]
    labels = [_label(name) for name in names]
    alone = [result.main[name] for name in names]
    together = [max(0.0, result.total[n] - result.main[n]) for n in names]
    bars = _bars(together, labels, "together with others", "pale")
    spread = base.rounded([result.spread[name] for name in names])
    bars["error_x"] = {
        "type": "data",
        "array": spread,
        "color": base.theme("grey"),
    }
    return Figure(
        f"importance-{index}",
        f"Which genes mattered for {objective}",
        "How much of the differences between networks each gene accounts for: "
        "first alone, then only together with other genes, which is counted "
        "for each of them. Strokes: one standard deviation. Genes that chance "
        f"could explain are left out. Method: {METHOD}, from "
        f"{result.num_trials} trials; it predicts trials that it has not seen "
        f"with R² = {result.fit:.2f}.",
        [_bars(alone, labels, "alone", "blue"), bars],
        {
            "barmode": "stack",
            "xaxis": base.axis(
                "share of differences", tickformat=".0%", rangemode="tozero"
            ),
            "yaxis": {"type": "category", "automargin": True},
        },
        height=150 + 26 * len(names),
    )


def interactions(result: Importance, index: int = 0) -> Figure | None:
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
            "yaxis": {"type": "category", "automargin": True},
            "showlegend": False,
        },
        height=90 + 40 * len(pairs),
    )


def values(search: Search, result: Importance, feature: Feature) -> Figure:
    """Draws the scores of the networks with each value of a gene."""
    objective = search.objectives[0]
    trials = base.thinned(search.completed, ())
    effect = result.effects[feature.name]
    continuous = len(feature.places) > _MOST_BOXES
    continuous &= isinstance(feature.domain, Interval)
    x: list[object]
    if continuous:
        data, xaxis = _scattered(feature, trials)
        effect = tuple(pair for pair in effect if pair[0] is not None)
        x = [value for value, _ in effect]
    else:
        data, xaxis = _boxed(feature, trials)
        x = [_written(value) for value, _ in effect]
    data.append(
        base.line(
            x,
            base.rounded([objective.loss(loss) for _, loss in effect]),
            name="expected on average",
            color="orange",
            mode="lines" if continuous else "markers",
            marker={
                "symbol": "diamond",
                "size": 10,
                "color": base.theme("orange"),
            },
            hovertemplate="expected with %{x}: %{y:.4~g}<extra></extra>",
        )
    )
    view = base.visible_scores(search, base.scores(trials))
    return Figure(
        f"values-{feature.name}",
        feature.name,
        _best_value(effect),
        data,
        {
            "xaxis": xaxis,
            "yaxis": base.axis(objective.name, **view),
            "showlegend": False,
        },
        height=300,
    )


def learning_curves(search: Search) -> Figure | None:
    """Draws the curves of the best trials in front of all the others."""
    name = _curve_metric(search)
    if name is None:
        return None
    top = [t for t in search.ranking[:_TOP_CURVES] if name in t.curves]
    chosen = {trial.trial_id for trial in top}
    rest = [
        trial
        for trial in search.trials
        if name in trial.curves and trial.trial_id not in chosen
    ]
    step = max(1, -(-len(rest) // _MOST_CURVES))
    x: list[float | None] = []
    y: list[float | None] = []
    for trial in rest[::step]:
        x += [*(epoch for epoch, _ in trial.curves[name]), None]
        y += [*(value for _, value in trial.curves[name]), None]
    data = [
        base.line(
            x,
            base.rounded(y),
            name="the others",
            color="faint",
            line={"width": 1},
            hoverinfo="skip",
            type="scattergl" if len(x) > 5 * base.GPU_POINTS else "scatter",
        )
    ]
    for index, trial in enumerate(top):
        data.append(
            base.line(
                [epoch for epoch, _ in trial.curves[name]],
                base.rounded([value for _, value in trial.curves[name]]),
                name=f"trial {trial.trial_id}",
                color=base.SERIES[index],
                mode="lines+markers",
                marker={"size": 5, "color": base.theme(base.SERIES[index])},
                hovertemplate="epoch %{x}: %{y:.4~g}"
                "<extra>%{fullData.name}</extra>",
            )
        )
    shown = "" if step == 1 else f" One in {step} of the others is drawn."
    return Figure(
        "curves",
        f"{name} by epoch",
        "The best networks in colour, the others behind them: curves that "
        "still rise at the end would gain from more epochs." + shown,
        data,
        {"xaxis": base.axis("epoch"), "yaxis": base.axis(name)},
        height=400,
    )


def _curve_metric(search: Search) -> str | None:
    names: dict[str, int] = {}
    for trial in search.trials:
        for name in trial.curves:
            names[name] = names.get(name, 0) + 1
    wanted = [objective.name for objective in search.objectives]
    for name in wanted:
        if name in names:
            return name
    return max(
        names, key=lambda n: (n.startswith("val_"), names[n]), default=None
    )


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


def _scattered(
    feature: Feature, trials: list[Trial]
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    shown = [trial for trial in trials if feature.name in trial.values]
    domain = feature.domain
    log = isinstance(domain, Interval) and domain.scale == "log"
    trace = base.points(
        base.rounded([trial.values[feature.name] for trial in shown]),
        base.rounded(base.scores(shown)),
        shown,
        name="tried",
        color="blue",
        size=5,
        opacity=0.5,
    )
    return [trace], base.axis("", type="log" if log else "linear")


def _boxed(
    feature: Feature, trials: list[Trial]
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    order = [_written(value) for value in feature.support[0]]
    few = len(trials) <= _SINGLE_POINTS
    trace = {
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
    axis = base.axis(
        "", type="category", categoryorder="array", categoryarray=order
    )
    return [trace], axis


def _best_value(effect: Effect) -> str:
    value, _ = min(effect, key=lambda pair: pair[1])
    if value is None:
        return "Best when it is not used."
    if isinstance(value, float):
        return f"Best around {wording.number(value, 2)}."
    return f"Best at {wording.gene_value(value)}."
