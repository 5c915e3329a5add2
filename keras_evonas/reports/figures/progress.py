"""Plots of the search: every trial, the best so far and Pareto fronts."""

import itertools
from collections.abc import Sequence
from typing import Any

from keras_evonas.project.search import Search
from keras_evonas.project.search import Trial
from keras_evonas.reports.figures import base
from keras_evonas.reports.figures.base import Figure

# How a trial came about: a name, a colour and a symbol.
KINDS = {
    "given": ("given at the start", "purple", "diamond"),
    "random": ("drawn at random", "grey", "circle"),
    "one parent": ("mutated from one parent", "blue", "circle"),
    "two parents": ("crossed from two parents", "orange", "triangle-up"),
    "unknown": ("tried", "blue", "circle"),
    "breaking": ("breaks a constraint", "vermillion", "x"),
}
_WAY = {"min": "lower is better", "max": "higher is better"}


def kind_of(trial: Trial) -> str:
    """Returns how a trial came about, as a key of `KINDS`."""
    if not trial.feasible:
        return "breaking"
    if trial.operator is None:
        return "unknown"
    if trial.operator in ("initial", "default"):
        return "given"
    if not trial.parents:
        return "random"
    return "two parents" if len(trial.parents) > 1 else "one parent"


def every_trial(search: Search) -> Figure:
    """Draws every completed trial as a point, the best so far as a line."""
    trials = base.thinned(search.completed, search.ranking[:100])
    data = []
    for kind, (name, color, symbol) in KINDS.items():
        of_kind = [trial for trial in trials if kind_of(trial) == kind]
        if of_kind:
            look: dict[str, Any] = {"color": color, "symbol": symbol}
            numbers = [trial.number for trial in of_kind]
            data.append(
                base.points(numbers, of_kind, name=name, opacity=0.75, **look)
            )
    order = sorted(search.completed, key=lambda trial: trial.number)
    x, y = _best_so_far(search, order, [t.number for t in order])
    last = max(trial.number for trial in search.trials)
    data.append(
        base.line(
            [*x, last],
            [*y, y[-1]],
            name="best so far",
            color="green",
            line={"shape": "hv", "width": 2.5},
            hoverinfo="skip",
        )
    )
    return Figure(
        "every-trial",
        "Every network that was tried",
        f"Each point is a network: {_WAY[search.objectives[0].direction]}. The "
        f"line is the best so far{_of_those(search)}; point at a network to "
        "see what it was.",
        data,
        {
            "xaxis": base.whole_axis(
                "networks in the order of their beginning", last
            ),
            "yaxis": base.score_axis(search, search.completed),
        },
        height=420,
    )


def best_over_time(search: Search) -> Figure | None:
    """Draws the best so far against the time that the search took."""
    ends = [
        (t.ended, t.number) for t in search.completed if t.ended is not None
    ]
    if not ends:
        return None
    ends.sort()
    timed = [search.trials[number] for _, number in ends]
    total = search.elapsed or 0.0
    unit, name = 3600.0, "hours"
    if total < 3 * 3600:
        unit, name = (60.0, "minutes") if total >= 300 else (1.0, "seconds")
    x, y = _best_so_far(search, timed, [end / unit for end, _ in ends])
    return Figure(
        "best-over-time",
        "The best so far over time",
        f"The best {search.objectives[0].name} that was known after each span "
        f"of time{_of_those(search)}; where the line stays flat, waiting "
        "longer did not help.",
        [
            base.line(
                base.rounded([*x, total / unit]),
                [*y, y[-1]],
                name="best so far",
                color="green",
                mode="lines+markers",
                line={"shape": "hv", "width": 2.5},
                marker={"size": 6, "color": base.theme("green")},
                hovertemplate=f"%{{x:.3~g}} {name}: %{{y:.4~g}}<extra></extra>",
                showlegend=False,
            )
        ],
        {
            "xaxis": base.axis(f"{name} since the search began"),
            "yaxis": base.score_axis(search, timed),
        },
    )


def pareto_fronts(search: Search) -> list[Figure]:
    """Draws two objectives against each other, for each pair."""
    pairs = itertools.combinations(range(len(search.objectives)), 2)
    return [_front(search, *pair) for pair in list(pairs)[:3]]


def _front(search: Search, first: int, second: int) -> Figure:
    shown = {"xaxis": first, "yaxis": second}
    names = {key: search.objectives[i].name for key, i in shown.items()}
    front = sorted(search.front, key=lambda one: base.scores([one], first))
    on_front = {trial.trial_id for trial in front}
    others = [t for t in search.completed if t.trial_id not in on_front]
    groups = [
        ([t for t in others if t.feasible], "tried", "grey", "circle"),
        ([t for t in others if not t.feasible], *KINDS["breaking"]),
        (front, "nothing beats it", "blue", "diamond"),
    ]
    data = [
        base.points(
            base.rounded(base.scores(trials, first)),
            trials,
            objective=second,
            name=name,
            color=color,
            symbol=symbol,
            opacity=1.0 if trials is front else 0.6,
            size=9 if trials is front else 6,
        )
        for trials, name, color, symbol in groups
        if trials
    ]
    if len(search.objectives) == 2 and front:
        data.append(
            base.line(
                base.rounded(base.scores(front, first)),
                base.scores(front, second),
                name="front",
                color="blue",
                line={"width": 1.5, "dash": "dot"},
                hoverinfo="skip",
                showlegend=False,
            )
        )
    axes = {}
    for key, index in shown.items():
        values = base.scores(search.completed, index)
        scale: dict[str, Any] = {"type": "log"}
        if not base.is_wide(values):
            scale = base.visible_scores(search, values, index)
        title = f"{names[key]} ({_WAY[search.objectives[index].direction]})"
        axes[key] = base.axis(title, **scale)
    return Figure(
        f"front-{first}-{second}",
        f"{names['xaxis']} against {names['yaxis']}",
        "The diamonds are the Pareto front: no network that was tried is "
        "better in one objective without being worse in another. Choose among "
        "them by what matters to you.",
        data,
        axes,
        height=400,
    )


def _of_those(search: Search) -> str:
    """Says how networks are compared that break a constraint."""
    if all(trial.feasible for trial in search.completed):
        return ""
    return ", and until a network keeps the constraints the nearest to them"


def _best_so_far(
    search: Search, order: Sequence[Trial], at: Sequence[float]
) -> tuple[list[float], list[float]]:
    """Returns the places where the best score changes, and the new scores."""
    x: list[float] = []
    y: list[float] = []
    best = None
    for trial, place in zip(order, at, strict=True):
        group = (trial.violation or 0.0, trial.ended_early, -trial.rung)
        key = (*group, search.losses(trial)[0])
        if best is None or key < best:
            best = key
            x.append(place)
            y += base.scores([trial])
    return x, y
