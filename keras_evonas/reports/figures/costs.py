"""Plots of networks' costs, which show if higher costs paid off."""

import dataclasses
from typing import Any

from keras_evonas.project.search import Search
from keras_evonas.project.search import Trial
from keras_evonas.reports.figures import base
from keras_evonas.reports.figures.base import Figure

_MOST_FIGURES = 6
_SECONDS = "seconds of training"
# Costs whose ranks agree like this would give the same picture again.
_ALIKE = 0.98


@dataclasses.dataclass
class _Cost:
    """A cost of trials, and the other costs that rank the trials as it does."""

    name: str
    values: dict[str, float]
    alike: list[str] = dataclasses.field(default_factory=list)

    def of(self, trials: list[Trial]) -> list[float | None]:
        return base.rounded(self.values[trial.trial_id] for trial in trials)


def costs(search: Search) -> list[Figure]:
    """Draws the score against each cost that was recorded, and the seconds.

    Of costs that rank the networks in the same way, such as parameters and
    bytes of weights, the first is drawn and names the others.
    """
    found: dict[str, dict[str, float]] = {}
    for trial in search.completed:
        for name, value in trial.costs.items():
            found.setdefault(name, {})[trial.trial_id] = value
    timed = {t.trial_id: t.seconds for t in search.completed}
    found[_SECONDS] = {i: s for i, s in timed.items() if s is not None}
    drawn: list[_Cost] = []
    for name, values in found.items():
        if len(set(values.values())) < 2:
            continue
        cost = _Cost(name, values)
        first = next((one for one in drawn if _are_alike(one, cost)), None)
        if first is None:
            drawn.append(cost)
        else:
            first.alike.append(name)
    return [_figure(search, cost) for cost in drawn[:_MOST_FIGURES]]


def _are_alike(first: _Cost, second: _Cost) -> bool:
    both = [name for name in first.values if name in second.values]
    if len(both) < 3 or len(both) < len(second.values):
        return False
    rows = [[cost.values[name] for name in both] for cost in (first, second)]
    if min(len(set(row)) for row in rows) < 2:
        return False
    from scipy import stats  # Takes half a second to load.

    return bool(stats.spearmanr(*rows).statistic >= _ALIKE)


def _figure(search: Search, cost: _Cost) -> Figure:
    trials = [t for t in search.completed if t.trial_id in cost.values]
    values = list(cost.values.values())
    shown = base.thinned(trials, search.ranking[:100])
    dots: dict[str, Any] = {"color": "blue", "size": 6, "opacity": 0.6}
    data = [base.points(cost.of(shown), shown, name="tried", **dots)]
    best = search.best
    if best is not None and best.trial_id in cost.values:
        star: dict[str, Any] = {"color": "green", "symbol": "star", "size": 16}
        place = cost.of([best])
        data.append(base.points(place, [best], name="the best", **star))
    said = (
        f"Does a network with more {cost.name} do better? The star is the "
        "best one."
    )
    if cost.name == _SECONDS and len(set(values)) < len(values) / 2:
        said += " Networks that were trained together share their seconds."
    if cost.alike:
        *most, last = cost.alike
        names = f"{', '.join(most)} and {last}" if most else last
        said += f" They rank alike by {names}."
    scale = "log" if base.is_wide(values) else "linear"
    return Figure(
        f"cost-{cost.name.replace(' ', '-')}",
        f"{search.objectives[0].name} against {cost.name}",
        said,
        data,
        {
            "xaxis": base.axis(cost.name, type=scale),
            "yaxis": base.score_axis(search, trials),
            "showlegend": False,
        },
    )
