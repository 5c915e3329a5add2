"""Reports and oracles as a notebook displays them."""

import dataclasses
import os
import pathlib
from collections.abc import Mapping

from keras_evonas.project import html
from keras_evonas.project.html import tag
from keras_evonas.project.reading import is_project
from keras_evonas.project.reading import load
from keras_evonas.project.search import Search


@dataclasses.dataclass(frozen=True, repr=False)
class Page(os.PathLike[str]):
    """A report that was written: a path that a notebook displays."""

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
        return tag("div", html.Markup(self.search.to_html()), told)


def oracle_html(
    name: str, settings: Mapping[str, object], folder: pathlib.Path | None
) -> str:
    """An oracle's class and settings, and how its search stands, if begun."""
    given = [f"{key}={value}" for key, value in settings.items()]
    head = [tag("b", name), html.text(f"({', '.join(given)})")]
    if folder is None or not is_project(folder):
        return tag("div", *head, tag("p", "The search has not begun."))
    found = html.Markup(load(folder).to_html())
    return tag("div", tag("p", *head), found)
