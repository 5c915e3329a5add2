"""Numbers, durations and names in the words of reports and messages."""

import html
import math
import re
from collections.abc import Sequence

from keras_evonas.evolution.labels import describe_operator

MISSING = "\u2013"
MINUS = "\u2212"
TIMES = "\u00d7"

_ERROR = re.compile(r"[\w.]+(Error|Exception)\b")
_MODULES = re.compile(r"^(\w+\.)+(?=\w+(Error|Exception)\b)")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
# Lines of TensorFlow and Keras that say where something failed, and not why.
_PLACE = re.compile(r"\s|Detected at node|<stack traces|Stack trace|Arguments ")


def escape(text: object) -> str:
    """Makes text safe inside HTML, and inside plotly's labels."""
    # Of a quotation mark plotly knows the number alone.
    return html.escape(str(text), quote=True).replace("&quot;", "&#34;")


def settings(value: object) -> str:
    """Returns what a value is known by when a search is resumed."""
    # The default representation of an object ends with its address, which is
    # another one in every process.
    return re.sub(r" at 0x[0-9a-fA-F]+", "", repr(value))


def shorten(text: object, width: int) -> str:
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
    if 10**digits - 0.5 <= abs(value) < 1e15:  # 9999.6 is `10,000`.
        return f"{value:,.0f}"
    return f"{value:.{digits}g}"


def signed(value: float) -> str:
    """Writes a change with its sign, `±0` if there is none."""
    if not value:
        return "±0"
    return ("+" if value > 0 else MINUS) + number(abs(value), 3)


def gene_value(value: object) -> str:
    """Writes the value of a gene."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return shorten(value, 40)
    return number(value).replace(",", "")


def short_score(value: float | None) -> str:
    """Writes a score for a line of progress: `0.9124`."""
    return "unknown" if value is None else f"{value:.4g}"


def short_value(value: float) -> str:
    """Writes a score or, if it is a large whole number, a count."""
    if value >= 1000 and float(value).is_integer():
        return short_count(int(value))
    return short_score(value)


def short_count(value: int) -> str:
    """Writes a large number with a unit: `41k`, `1.2M`."""
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= 0.9995 * size:  # 999,900 is `1M`.
            return f"{value / size:.3g}{unit}"
    return str(value)


def short_duration(seconds: float) -> str:
    """Writes about how long something takes, in one unit: `3 min`."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    if seconds < 90 * 60:
        return f"{round(seconds / 60)} min"
    return f"{seconds / 3600:.1f} h"


def gist(message: str | None, width: int = 160) -> str:
    """Returns the line of a message that names the error, else the last.

    Where that says in which layer or graph alone, the reason follows.
    """
    text = _COLOUR.sub("", message or "")
    lines = [line for line in text.splitlines() if line.strip()]
    named = [n for n, line in enumerate(lines) if _ERROR.match(line)]
    if not named:
        return shorten((lines or ["no message"])[-1], width)
    line, *rest = lines[named[-1] :]
    line = _MODULES.sub("", line)
    if line.endswith((":", ".call().")):
        reasons = (one for one in rest if not _PLACE.match(one))
        line = f"{line} {next(reasons, '')}".rstrip()
    return shorten(line, width)


def percent(share: float) -> str:
    """Writes a share as per cent."""
    text = "under 1%" if 0 < share < 0.01 else f"{share:.0%}"
    return text.replace("%", "\u00a0%")


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
    """Describes an operator such as `block+step` in plain words."""
    return describe_operator(operator) if operator else "not recorded"


def plural(count: int, noun: str) -> str:
    """Writes `1 trial`, `2 trials`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Writes rows of a table as lines whose columns are aligned."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
