"""Finalists and ablations: sentences, tables and plots."""

from collections.abc import Sequence
from typing import Any

from keras_evonas.project import html
from keras_evonas.project import wording
from keras_evonas.project.ablation import AblationResult
from keras_evonas.project.ablation import GeneEffect
from keras_evonas.project.html import Markup
from keras_evonas.project.html import tag
from keras_evonas.project.search import Finalist
from keras_evonas.project.search import Search
from keras_evonas.reports.figures import base
from keras_evonas.reports.figures.base import Figure

_NAME_WIDTH = 30


def sentence(search: Search, finalist: Finalist) -> Markup:
    """Names the chosen network and its score on unseen data."""
    return html.join(
        [
            "The network that was chosen is ",
            tag("strong", finalist.name),
            f": {search.describe_finalist(finalist)}.",
        ]
    )


def finalists_lead(search: Search) -> Markup:
    """Returns what came out of retraining the finalists."""
    said: list[str] = [
        "The best of many scores looks better than its network is, because "
        "luck is selected too. So the best networks were trained again, and "
        "scored on data that the search never saw. "
    ]
    if search.chosen is not None:
        said.append(sentence(search, search.chosen))
    return html.join(said)


def finalists_table(search: Search) -> Markup:
    """Returns a table of the finalists, the chosen one first."""
    rows = [
        [
            tag("strong", one.name) if one.chosen else one.name,
            wording.number(one.search_score),
            wording.number(one.mean),
            wording.number(one.spread, 3),
            len(one.honest_scores),
            wording.number(one.params),
        ]
        for one in search.finalists
    ]
    header = ["Network", "Search", "Unseen", "Spread", "Trainings", "Params"]
    return html.table(header, rows)


def ablation_lead(result: AblationResult) -> str:
    """Returns which gene the network owes most to."""
    said = (
        "One gene after the other was put back to its default, and the "
        "network trained anew."
    )
    measured = [
        (one.mean, one) for one in result.effects if one.mean is not None
    ]
    if not measured:
        return f"{said} No such network could be trained."
    (most, first), (least, last) = measured[0], measured[-1]
    if most > 0:
        name = result.network[:1].upper() + result.network[1:]
        said += f" {name} owes most to {_named(first)}, which is worth "
        said += f"{_worth(first, most)}."
    else:
        said += " No gene does better than its default."
    if last is not first and least < 0:
        said += f" It would do better without {_named(last)} "
        said += f"({_worth(last, least)})."
    if result.skipped:
        said += f" {wording.plural(len(result.skipped), 'gene')} not measured: "
        said += f"{', '.join(result.skipped[:10])}."
    return said


def _named(one: GeneEffect) -> str:
    return f"{one.gene} = {wording.gene_value(one.value)}"


def _worth(one: GeneEffect, mean: float) -> str:
    worth = wording.signed(mean)
    if one.spread is None:
        return f"{worth}, in a single training"
    if one.spread >= abs(mean):
        return f"{worth}, within the spread of the trainings"
    return worth


def ablation_table(result: AblationResult) -> Markup:
    """Returns a table of the genes, the most valuable first."""
    rows = [
        [
            tag("code", html.breakable(one.gene)),
            wording.gene_value(one.value),
            wording.gene_value(one.default),
            wording.MISSING if one.mean is None else wording.signed(one.mean),
            wording.number(one.spread, 3),
            f"{len(one.gains)}, then failed" if one.message else len(one.gains),
        ]
        for one in result.effects
    ]
    header = ["Gene", "Value", "Default", "Worth", "Spread", "Trainings"]
    return html.table(header, rows)


def finalists_plot(search: Search) -> Figure:
    """Draws the finalists' scores in the search and on unseen data."""
    ones = search.finalists[::-1]
    names = [f"{one.name} (chosen)" if one.chosen else one.name for one in ones]
    groups = [one.honest_scores for one in ones]
    data = _trainings(names, ones, groups, "score on unseen data")
    searched = {
        "type": "scatter",
        "mode": "markers",
        "name": "the search's score",
        "x": base.rounded([one.search_score for one in ones]),
        "y": data[0]["y"],
        "marker": {
            "symbol": "circle-open",
            "size": 12,
            "color": base.theme("orange"),
            "line": {"width": 2},
        },
    }
    return Figure(
        "finalists",
        "Is the best really the best?",
        "Open circles: the score in the search. Filled: the score of the same "
        "network on data that the search never saw, retrained with new seeds; "
        "strokes are single trainings, bars one standard deviation. A filled "
        "circle far on the worse side means that the search was lucky there.",
        [searched, *data],
        {"xaxis": base.axis(search.score_name), "yaxis": _rows(len(ones))},
        height=190 + 36 * len(ones),
    )


def ablation_plot(result: AblationResult) -> Figure:
    """Draws how much each gene of a network is worth."""
    effects = [one for one in result.effects if one.gains][::-1]
    names = [one.gene for one in effects]
    groups = [one.gains for one in effects]
    title = f"gain in {result.objective}"
    return Figure(
        "ablation",
        "What each gene is worth",
        f"How much better {result.network} does with its own value of a gene "
        "than with the default, trained with the same seeds. To the right of "
        "zero the value is worth having. Strokes: single trainings; bars: one "
        "standard deviation; where they reach across zero it may be chance.",
        _trainings(names, effects, groups, "mean gain"),
        {
            "xaxis": base.axis(title, zeroline=True, zerolinewidth=2),
            "yaxis": _rows(len(effects)),
        },
        height=180 + 32 * len(effects),
    )


def _rows(count: int) -> dict[str, Any]:
    """Returns an axis with rows by name, and room above and below."""
    ends = [-0.7, count - 0.3]
    return {"type": "category", "automargin": True, "range": ends}


def _trainings(
    names: Sequence[str],
    ones: Sequence[Finalist | GeneEffect],
    groups: Sequence[Sequence[float]],
    title: str,
) -> list[dict[str, Any]]:
    """Returns traces of the means, and of the single trainings as strokes."""
    rows = [wording.escape(wording.shorten(n, _NAME_WIDTH)) for n in names]
    spreads = base.rounded([one.spread for one in ones])
    means = {
        "type": "scatter",
        "mode": "markers",
        "name": title,
        "x": base.rounded([one.mean for one in ones]),
        "y": rows,
        "error_x": {
            "type": "data",
            "array": [spread or 0.0 for spread in spreads],
            "color": base.theme("blue"),
        },
        "marker": {"size": 11, "color": base.theme("blue")},
    }
    pairs = [
        (value, row)
        for row, group in zip(rows, groups, strict=True)
        for value in group
    ]
    strokes = {
        "type": "scatter",
        "mode": "markers",
        "name": "single trainings",
        "x": base.rounded([value for value, _ in pairs]),
        "y": [row for _, row in pairs],
        "marker": {
            "symbol": "line-ns",
            "size": 12,
            "line": {"width": 2, "color": base.theme("sky")},
        },
    }
    return [means, strokes]
