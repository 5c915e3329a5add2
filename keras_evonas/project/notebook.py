"""How a search and its report show themselves in a notebook."""

import dataclasses
import os
import pathlib
from collections.abc import Mapping
from typing import Any

from keras_evonas.project import html
from keras_evonas.project import wording
from keras_evonas.project.html import tag
from keras_evonas.project.reading import is_project
from keras_evonas.project.reading import load
from keras_evonas.project.search import Search

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


@dataclasses.dataclass(frozen=True, repr=False)
class Page(os.PathLike[str]):
    """A report that was written: a path that a notebook shows.

    Args:
        path: Where the page is.
        search: What it tells.
    """

    path: pathlib.Path
    search: Search

    def __fspath__(self) -> str:
        return str(self.path)

    def __str__(self) -> str:
        return str(self.path)

    def __repr__(self) -> str:
        return f"Page('{self.path}')"

    def _repr_html_(self) -> str:
        link = tag("a", self.path.name, href=self.path.resolve().as_uri())
        told = tag("p", "The whole report: ", link, f" ({self.path})")
        return tag("div", search_html(self.search), told)


def oracle_html(
    name: str, settings: Mapping[str, Any], folder: str | None
) -> str:
    """An oracle's settings, and how its search stands.

    Args:
        name: The oracle's class.
        settings: What it was made with, by name.
        folder: The project folder, or `None` if there is none yet.
    """
    given = [f"{key}={value}" for key, value in settings.items()]
    head = [tag("b", name), html.text(f"({', '.join(given)})")]
    if folder is None or not is_project(pathlib.Path(folder)):
        return tag("div", *head, tag("p", "The search has not begun."))
    return tag("div", tag("p", *head), html.Markup(search_html(load(folder))))
