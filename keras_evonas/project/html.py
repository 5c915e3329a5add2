"""Pieces of HTML. Whatever comes from a search is escaped here."""

import re
from collections.abc import Iterable
from collections.abc import Sequence

from keras_evonas.project.wording import escape


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def text(content: object) -> Markup:
    """Escapes text; leaves markup as it is."""
    return content if isinstance(content, Markup) else Markup(escape(content))


def breakable(name: str) -> Markup:
    """Escapes a name, and lets it go on in another line."""
    return Markup(re.sub("([/_])", r"\1<wbr>", escape(name)))


def tag(name: str, *content: object, **attributes: object) -> Markup:
    """Makes an element; `class_` stands for `class`, `_` for `-`."""
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Markup(f"<{name}{written}>{join(content)}</{name}>")


def join(parts: Iterable[object]) -> Markup:
    """Puts pieces one after the other."""
    return Markup("".join(text(part) for part in parts))


def table(
    header: Sequence[str], rows: Iterable[Sequence[object]], class_: str = ""
) -> Markup:
    """Makes a table that scrolls sideways where it is too wide."""
    head = tag("tr", *(tag("th", name, scope="col") for name in header))
    body = [tag("tr", *(tag("td", cell) for cell in row)) for row in rows]
    parts = tag("thead", head), tag("tbody", *body)
    inside = tag("table", *parts, class_=class_ or None)
    return tag("div", inside, class_="scroll", tabindex="0")
