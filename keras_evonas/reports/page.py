"""The report as one HTML file that needs no network."""

import datetime
import json
import os
import pathlib
from collections.abc import Iterable

from keras_evonas import __version__
from keras_evonas.project import extras
from keras_evonas.project import html
from keras_evonas.project import wording
from keras_evonas.project.html import Markup
from keras_evonas.project.html import tag
from keras_evonas.project.reading import load
from keras_evonas.project.search import Search
from keras_evonas.project.search import Trial
from keras_evonas.reports import verdict
from keras_evonas.reports.figures.base import Figure
from keras_evonas.reports.sections import Report
from keras_evonas.reports.sections import Section

_HOVER_GENES = 14
_ASSETS = pathlib.Path(__file__).parent / "assets"
# The browser may load nothing but what stands in the page. Plotly
# compiles its shaders' wrappers, hence 'unsafe-eval'.
_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; "
    "style-src 'unsafe-inline'; img-src data: blob:"
)


def write_report(
    folder: str | os.PathLike[str], path: str | os.PathLike[str] | None = None
) -> pathlib.Path:
    """Writes the report of a search as one HTML file.

    The search may be running, finished or interrupted, and of any oracle of
    keras-tuner. The file holds all it needs, and opens without a network.

    Args:
        folder: The project folder: `directory/project_name` of the tuner.
        path: The file to write. Defaults to `report.html` in the folder.

    Returns:
        The path that was written.

    Raises:
        FileNotFoundError: If there is no such folder.
        ValueError: If the folder holds no search.
        ImportError: If the packages of the extra `[reports]` are missing.

    Example:

    ```python
    reports.write_report("searches/digits")
    ```
    """
    return render_to(load(folder), path)


def render_to(
    search: Search, path: str | os.PathLike[str] | None = None
) -> pathlib.Path:
    """Writes the page of a search; see `write_report`."""
    path = pathlib.Path(path or search.folder / "report.html")
    if path.is_dir() or not path.parent.is_dir():
        kind = "a folder" if path.is_dir() else "in a folder that is not there"
        raise ValueError(
            "`path` must be that of a file to write. Received: "
            f"'{path}', which is {kind}."
        )
    content = render(search)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    temporary.write_text(content, encoding="utf-8")
    os.replace(temporary, path)  # a page that is open never sees half of it
    return path


def render(search: Search) -> str:
    """Returns the page of a search; see `write_report`."""
    plotly = extras.load("plotly.offline", "plotly")
    report = Report(search)
    sections = report.sections()
    figures: list[Figure] = []
    body = html.join(_section(section, figures) for section in sections)
    plots = [{"data": one.data, "layout": one.layout} for one in figures]
    now = datetime.datetime.now().astimezone()
    page = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width,initial-scale=1">',
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
        '<meta name="color-scheme" content="light dark">',
        tag("title", f"{search.name}: report of a search"),
        f"<style>{_asset('report.css')}</style></head><body>",
        tag(
            "header",
            tag("p", "keras_evonas", class_="brand"),
            tag("h1", search.name),
            verdict.sentences(search, report.importance),
            verdict.tiles(search, report.importance),
            *(tag("p", note, class_="note") for note in search.notes),
            _contents(sections),
        ),
        tag("main", body),
        tag(
            "footer",
            f"Written {now:%Y-%m-%d %H:%M %Z} by keras_evonas {__version__}. "
            "This file is complete: it loads nothing.",
        ),
        tag("noscript", tag("p", "The plots need JavaScript.")),
        _json_script("figures", plots),
        _json_script("hover", [_hover(search, t) for t in search.trials]),
        f"<script>{plotly.get_plotlyjs()}</script>",
        f"<script>{_asset('report.js')}</script>",
        "</body></html>\n",
    ]
    return "\n".join(page)


def _section(section: Section, figures: list[Figure]) -> Markup:
    """Returns a section with places for its plots, which it collects."""

    def placed(figure: Figure) -> Markup:
        figures.append(figure)
        return _place(figure, len(figures) - 1)

    parts = [tag("h2", section.title)]
    if section.lead:
        parts.append(tag("p", section.lead, class_="lead"))
    for content in section.content:
        if isinstance(content, Figure):
            parts.append(placed(content))
        elif isinstance(content, list):
            parts.append(tag("div", *map(placed, content), class_="grid"))
        else:
            parts.append(content)
    return tag("section", *parts, id=section.anchor, class_="card")


def _place(figure: Figure, index: int) -> Markup:
    plot = tag(
        "div",
        class_="plot",
        id=f"figure-{index}",
        data_index=index,
        data_name=figure.name,
        style=f"height:{figure.height}px",
        role="img",
        aria_label=f"{figure.title}. {figure.caption}",
    )
    caption = tag("figcaption", figure.caption)
    return tag("figure", tag("h3", figure.title), plot, caption)


def _contents(sections: Iterable[Section]) -> Markup:
    links = [tag("a", s.title, href=f"#{s.anchor}") for s in sections]
    return tag("nav", *links, aria_label="Contents")


def _hover(search: Search, trial: Trial) -> str:
    """Returns the text at a trial that is pointed at, with plotly's breaks."""
    lines = [tag("b", f"trial {trial.trial_id}")]
    lines.append(html.text(search.describe(trial)))
    if trial.operator:
        made = wording.plain_operator(trial.operator)
        parents = ", ".join(one.trial_id for one in search.parents(trial))
        made += f" of {parents}" if parents else ""
        lines.append(tag("i", wording.shorten(made, 70)))
    named = list(trial.genes.items())
    for name, value in named[:_HOVER_GENES]:
        short = wording.shorten(name, 30)
        lines.append(html.text(f"{short}: {wording.gene_value(value)}"))
    if len(named) > _HOVER_GENES:
        more = len(named) - _HOVER_GENES
        lines.append(html.text(f"and {more} more genes"))
    return "<br>".join(lines)


def _json_script(name: str, content: object) -> Markup:
    # No `<` is left, so that nothing inside can end the script or begin one.
    written = json.dumps(content, separators=(",", ":"), allow_nan=False)
    written = written.replace("<", "\\u003c").replace(">", "\\u003e")
    written = written.replace("&", "\\u0026")
    return Markup(
        f'<script type="application/json" id="{name}">{written}</script>'
    )


def _asset(name: str) -> str:
    return (_ASSETS / name).read_text(encoding="utf-8")
