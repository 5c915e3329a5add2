"""Plots of the search: every trial, the best so far and Pareto fronts."""

import itertools
from collections.abc import Sequence

from keras_evonas.project.search import Search
from keras_evonas.project.search import Trial
from keras_evonas.reports.figures import base
from keras_evonas.reports.figures.base import Figure

# How a trial came about: a name, a colour and a symbol.
_KINDS = {
    "given": ("given at the start", "purple", "diamond"),
    "random": ("drawn at random", "grey", "circle"),
    "one parent": ("mutated from one parent", "blue", "circle"),
    "two parents": ("crossed from two parents", "orange", "triangle-up"),
    "unknown": ("tried", "blue", "circle"),
    "breaking": ("breaks a constraint", "vermillion", "x"),
}


def kind_of(trial: Trial) -> str:
    """Returns how a trial came about, as a key of `appearance`."""
    if not trial.feasible:
        return "breaking"
    if trial.operator is None:
        return "unknown"
    if trial.operator in ("initial", "default"):
        return "given"
    if not trial.parents:
        return "random"
    return "two parents" if len(trial.parents) > 1 else "one parent"


def appearance(kind: str) -> tuple[str, str, str]:
    """Returns name, colour and symbol of a kind of trial."""
    return _KINDS[kind]


def every_trial(search: Search) -> Figure:
    """Draws every completed trial as a point, the best so far as a line."""
    objective = search.objectives[0]
    trials = base.thinned(search.completed, search.ranking[:100])
    data = []
    for kind, (name, color, symbol) in _KINDS.items():
        of_kind = [trial for trial in trials if kind_of(trial) == kind]
        if of_kind:
            data.append(
                base.points(
                    [trial.number for trial in of_kind],
                    base.rounded(base.scores(of_kind)),
                    of_kind,
                    name=name,
                    color=color,
                    symbol=symbol,
                    opacity=0.75,
                )
            )
    order = sorted(search.completed, key=lambda trial: trial.number)
    x, y = _best_so_far(search, order, [t.number for t in order])
    last = max(trial.number for trial in search.trials)
    data.append(
        base.line(
            [*x, last],
            base.rounded([*y, y[-1]]),
            name="best so far",
            color="green",
            line={"shape": "hv", "width": 2.5},
            hoverinfo="skip",
        )
    )
    view = base.visible_scores(search, base.scores(search.completed))
    better = "lower" if objective.direction == "min" else "higher"
    return Figure(
        "every-trial",
        "Every network that was tried",
        f"Each point is a network: {better} is better. The line is the best "
        "so far; point at a network to see what it was.",
        data,
        {
            "xaxis": base.axis("trials in the order of their beginning"),
            "yaxis": base.axis(objective.name, **view),
        },
        height=420,
    )


def best_over_time(search: Search) -> Figure | None:
    """Draws the best so far against the time that the search took."""
    ends = [
        (trial.ended, trial.number, trial)
        for trial in search.completed
        if trial.ended is not None
    ]
    if not ends:
        return None
    ends.sort(key=lambda end: end[:2])
    timed = [trial for *_, trial in ends]
    total = search.elapsed or 0.0
    unit, name = base.time_unit(total)
    x, y = _best_so_far(search, timed, [end / unit for end, *_ in ends])
    objective = search.objectives[0]
    view = base.visible_scores(search, base.scores(timed))
    return Figure(
        "best-over-time",
        "The best so far over time",
        f"The best {objective.name} that was known after each span of time; "
        "where the line stays flat, waiting longer did not help.",
        [
            base.line(
                base.rounded([*x, total / unit]),
                base.rounded([*y, y[-1]]),
                name="best so far",
                color="green",
                mode="lines+markers",
                line={"shape": "hv", "width": 2.5},
                marker={"size": 6, "color": base.theme("green")},
                hovertemplate="%{x:.3~g} "
                + name
                + ": %{y:.4~g}<extra></extra>",
                showlegend=False,
            )
        ],
        {
            "xaxis": base.axis(f"{name} since the search began"),
            "yaxis": base.axis(objective.name, **view),
        },
    )


def pareto_fronts(search: Search) -> list[Figure]:
    """Draws two objectives against each other, for each pair."""
    count = len(search.objectives)
    pairs = list(itertools.combinations(range(count), 2))[:3]
    return [_front(search, first, second) for first, second in pairs]


def _front(search: Search, first: int, second: int) -> Figure:
    names = [search.objectives[i].name for i in (first, second)]
    front = sorted(search.front, key=lambda one: base.scores([one], first))
    on_front = {trial.trial_id for trial in front}
    others = [t for t in search.completed if t.trial_id not in on_front]
    groups: list[tuple[Sequence[Trial], str, str, str, float]] = [
        ([t for t in others if t.feasible], "tried", "grey", "circle", 0.6),
        ([t for t in others if not t.feasible], *_KINDS["breaking"], 0.6),
        (front, "nothing beats it", "blue", "diamond", 1.0),
    ]
    data = [
        base.points(
            base.rounded(base.scores(trials, first)),
            base.rounded(base.scores(trials, second)),
            trials,
            name=name,
            color=color,
            symbol=symbol,
            opacity=opacity,
            size=9 if name == "nothing beats it" else 6,
        )
        for trials, name, color, symbol, opacity in groups
        if trials
    ]
    if len(search.objectives) == 2 and front:
        data.append(
            base.line(
                base.rounded(base.scores(front, first)),
                base.rounded(base.scores(front, second)),
                name="front",
                color="blue",
                line={"width": 1.5, "dash": "dot"},
                hoverinfo="skip",
                showlegend=False,
            )
        )
    axes = {}
    for key, index in (("xaxis", first), ("yaxis", second)):
        values = base.scores(search.completed, index)
        wide = min(values) > 0 and max(values) / min(values) > 30
        scale = {"type": "log"} if wide else {}
        if not wide:
            scale = base.visible_scores(search, values, index)
        way = search.objectives[index].direction
        better = "lower is better" if way == "min" else "higher is better"
        name = search.objectives[index].name
        axes[key] = base.axis(f"{name} ({better})", **scale)
    return Figure(
        f"front-{first}-{second}",
        f"{names[0]} against {names[1]}",
        "The diamonds are the Pareto front: no network that was tried is "
        "better in one objective without being worse in another. Choose among "
        "them by what matters to you.",
        data,
        axes,
        height=400,
    )


def _best_so_far(
    search: Search, order: Sequence[Trial], at: Sequence[float]
) -> tuple[list[float], list[float]]:
    """Returns the places where the best score changes, and the new scores."""
    x: list[float] = []
    y: list[float] = []
    best = None
    for trial, place in zip(order, at, strict=True):
        key = (trial.violation or 0.0, search.losses(trial)[0])
        if best is None or key < best:
            best = key
            x.append(place)
            y += base.scores([trial])
    return x, y
