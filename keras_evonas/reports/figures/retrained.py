"""Plots of networks that were trained again: finalists and ablations."""

from collections.abc import Sequence
from typing import Any

from keras_evonas.project import wording
from keras_evonas.project.ablation import AblationResult
from keras_evonas.project.search import Search
from keras_evonas.reports import retrained
from keras_evonas.reports.figures import base
from keras_evonas.reports.figures.base import Figure

_NAME_WIDTH = 30


def finalists(search: Search) -> Figure:
    """Draws the finalists' scores in the search and on unseen data."""
    ones = search.finalists[::-1]
    names = [
        _name(f"{one.name} (chosen)" if one.chosen else one.name)
        for one in ones
    ]
    return Figure(
        "finalists",
        "Is the best really the best?",
        "Open circles: the score in the search. Filled: the score of the same "
        "network on data that the search never saw, retrained with new seeds; "
        "strokes are single trainings, bars one standard deviation. A filled "
        "circle far on the worse side means that the search was lucky there.",
        [
            {
                "type": "scatter",
                "mode": "markers",
                "name": "the search's score",
                "x": base.rounded([one.search_score for one in ones]),
                "y": names,
                "marker": {
                    "symbol": "circle-open",
                    "size": 12,
                    "color": base.theme("orange"),
                    "line": {"width": 2},
                },
            },
            _means(
                [one.mean for one in ones],
                [one.spread for one in ones],
                names,
                "score on unseen data",
            ),
            _single_runs([one.honest_scores for one in ones], names),
        ],
        {
            "xaxis": base.axis(retrained.score_name(search)),
            "yaxis": _rows(names),
        },
        height=190 + 36 * len(ones),
    )


def ablation(result: AblationResult) -> Figure:
    """Draws how much each gene of a network is worth."""
    effects = [one for one in result.effects if one.gains][::-1]
    names = [_name(one.gene) for one in effects]
    return Figure(
        "ablation",
        "What each gene is worth",
        f"How much better {result.network} does with its own value of a gene "
        "than with the default, trained with the same seeds. To the right of "
        "zero the value is worth having. Strokes: single trainings; bars: one "
        "standard deviation; where they reach across zero it may be chance.",
        [
            _means(
                [one.mean for one in effects],
                [one.spread for one in effects],
                names,
                "mean gain",
            ),
            _single_runs([one.gains for one in effects], names),
        ],
        {
            "xaxis": base.axis(
                f"gain in {result.objective}", zeroline=True, zerolinewidth=2
            ),
            "yaxis": _rows(names),
        },
        height=180 + 32 * len(effects),
    )


def _name(text: str) -> str:
    return wording.escape(wording.shorten(text, _NAME_WIDTH))


def _rows(names: Sequence[str]) -> dict[str, Any]:
    """Returns an axis with a row for each name, and room above and below."""
    return {
        "type": "category",
        "automargin": True,
        "range": [-0.7, len(names) - 0.3],
    }


def _single_runs(
    groups: Sequence[Sequence[float]], names: Sequence[str]
) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": "single trainings",
        "x": base.rounded([value for group in groups for value in group]),
        "y": [
            name
            for name, group in zip(names, groups, strict=True)
            for _ in group
        ],
        "marker": {
            "symbol": "line-ns",
            "size": 12,
            "line": {"width": 2, "color": base.theme("sky")},
        },
    }


def _means(
    means: Sequence[float | None],
    spreads: Sequence[float | None],
    names: Sequence[str],
    title: str,
) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": title,
        "x": base.rounded(means),
        "y": list(names),
        "error_x": {
            "type": "data",
            "array": [spread or 0.0 for spread in base.rounded(spreads)],
            "color": base.theme("blue"),
        },
        "marker": {"size": 11, "color": base.theme("blue")},
    }
