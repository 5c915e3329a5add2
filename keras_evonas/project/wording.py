"""Numbers, durations and names as people read them."""

import html
import math
from typing import Any

from keras_evonas.evolution.labels import describe_operator

MISSING = "\u2013"
MINUS = "\u2212"
TIMES = "\u00d7"


def escape(text: Any) -> str:
    """Makes text safe inside HTML, and inside plotly's labels."""
    return html.escape(str(text), quote=True)


def shorten(text: Any, width: int) -> str:
    """Cuts text to a width, with an ellipsis where it was longer."""
    text = " ".join(str(text).split())
    return text if len(text) <= width else text[: width - 1] + "…"


def number(value: float | None, digits: int = 4) -> str:
    """Writes a number with few digits: `0.9812`, `41,300`, `1.2e-05`."""
    if value is None:
        return MISSING
    if not math.isfinite(value):
        return str(value)
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    if abs(value) >= 10**digits:
        return f"{value:,.0f}"
    return f"{value:.{digits}g}"


def signed(value: float) -> str:
    """Writes a change with its sign, `±0` if there is none."""
    if not value:
        return "±0"
    return ("+" if value > 0 else MINUS) + number(abs(value), 3)


def gene_value(value: Any) -> str:
    """Writes the value of a gene."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return shorten(value, 40)
    return number(value).replace(",", "")


def percent(share: float) -> str:
    """Writes a share as per cent."""
    return (
        "under 1\u00a0%"
        if 0 < share < 0.01
        else f"{share:.0%}".replace("%", "\u00a0%")
    )


def duration(seconds: float | None) -> str:
    """Writes a time span: `41 s`, `3 min 20 s`, `2 h 5 min`."""
    if seconds is None or not math.isfinite(seconds):
        return MISSING
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600:,} h {whole % 3600 // 60} min"


def plain_operator(operator: str | None) -> str:
    """Says in plain words what an operator such as `block+step` does."""
    return describe_operator(operator) if operator else "not recorded"


def plural(count: int, noun: str) -> str:
    """Writes `1 trial`, `2 trials`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
