"""How a search shows itself in a notebook."""

from keras_evonas.reports import html
from keras_evonas.reports import wording
from keras_evonas.reports.html import tag
from keras_evonas.reports.search import Search

_LISTED = 5


def search_html(search: Search) -> str:
    """A heading and the best trials, without plots."""
    parts = [tag("b", search.name), html.text(f": {search.headline()}")]
    best = search.ranking[:_LISTED]
    if best:
        names = [objective.name for objective in search.objectives]
        rows = [
            [
                trial.trial_id,
                *map(wording.number, trial.scores or ()),
                ", ".join(
                    f"{name} {wording.gene_value(value)}"
                    for name, value in trial.values.items()
                ),
            ]
            for trial in best
        ]
        parts.append(html.table(["Trial", *names, "Genes"], rows))
    parts += [tag("p", tag("i", note)) for note in search.notes]
    return tag("div", *parts)
