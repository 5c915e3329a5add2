"""What networks cost, and whether the cost paid off."""

import dataclasses
from collections.abc import Callable

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
    """A cost, and the others that rank the networks as it does."""

    name: str
    read: Callable[[Trial], float | None]
    trials: list[Trial]
    alike: list[str] = dataclasses.field(default_factory=list)


def costs(search: Search) -> list[Figure]:
    """The score against each cost that was recorded, and the seconds.

    Of costs that rank the networks in the same way, such as parameters and
    bytes of weights, the first is drawn and names the others.
    """
    names = dict.fromkeys(n for t in search.completed for n in t.costs)
    readers = {name: _reader(name) for name in names}
    readers[_SECONDS] = lambda trial: trial.seconds
    drawn: list[_Cost] = []
    for name, read in readers.items():
        trials = [t for t in search.completed if read(t) is not None]
        if len({read(trial) for trial in trials}) < 2:
            continue
        cost = _Cost(name, read, trials)
        first = next((one for one in drawn if _are_alike(one, cost)), None)
        if first is None:
            drawn.append(cost)
        else:
            first.alike.append(name)
    return [_figure(search, cost) for cost in drawn[:_MOST_FIGURES]]


def _reader(name: str) -> Callable[[Trial], float | None]:
    return lambda trial: trial.costs.get(name)


def _are_alike(first: _Cost, second: _Cost) -> bool:
    both = [t for t in first.trials if second.read(t) is not None]
    if len(both) < 3 or len(both) < len(second.trials):
        return False
    values = [[cost.read(t) for t in both] for cost in (first, second)]
    if min(len(set(row)) for row in values) < 2:
        return False
    from scipy import stats  # Takes half a second to load.

    return bool(stats.spearmanr(*values).statistic >= _ALIKE)


def _figure(search: Search, cost: _Cost) -> Figure:
    values = [cost.read(trial) for trial in cost.trials]
    best = search.best
    wide = min(values) > 0 and max(values) / min(values) > 30
    scores = [trial.score for trial in cost.trials]
    view = base.visible_scores(search, scores)
    shown = base.thinned(cost.trials, search.ranking[:100])
    data = [
        base.points(
            base.rounded([cost.read(trial) for trial in shown]),
            base.rounded([trial.score for trial in shown]),
            shown,
            name="tried",
            color="blue",
            size=6,
            opacity=0.6,
        )
    ]
    if best is not None and cost.read(best) is not None:
        star = {"name": "the best", "color": "green", "symbol": "star"}
        x, y = [cost.read(best)], [best.score]
        data.append(base.points(x, y, [best], size=16, **star))
    objective = search.objectives[0].name
    said = (
        f"Does a network with more {cost.name} do better? The star is the "
        "best one."
    )
    if cost.name == _SECONDS and len(set(values)) < len(values) / 2:
        said += " Networks that were trained together share their seconds."
    if cost.alike:
        said += f" They rank alike by {_listed(cost.alike)}."
    return Figure(
        f"cost-{cost.name.replace(' ', '-')}",
        f"{objective} against {cost.name}",
        said,
        data,
        {
            "xaxis": base.axis(cost.name, type="log" if wide else "linear"),
            "yaxis": base.axis(objective, **view),
            "showlegend": False,
        },
    )


def _listed(names: list[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last
