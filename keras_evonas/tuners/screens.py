"""Screens for the lines of a search: a file, a terminal or a notebook."""

import collections
import html
import sys
from collections.abc import Callable
from typing import Any

# So many lines of a search are seen at a time in a notebook.
_SHOWN_LINES = 15


class Plain:
    """Prints lines; for files, pipes and terminals.

    On a terminal a line that says what is being done stands below them.
    """

    def __init__(self) -> None:
        self._has_status = False

    def status(self, text: str) -> None:
        """Shows a text on a terminal until the next line."""
        if sys.stdout.isatty():
            print(text, end="", flush=True)
            self._has_status = True

    def line(self, text: str) -> None:
        """Prints a line."""
        if self._has_status:
            print("\r\033[K", end="")
            self._has_status = False
        print(text, flush=True)

    def result(self, value: object) -> None:
        """Prints what is returned at the end."""
        self.line(repr(value))


class Notebook:
    """One display that is updated; the last lines are seen.

    Args:
        display: IPython's `display`.
    """

    def __init__(self, display: Callable[..., Any]) -> None:
        self._display = display
        self._handle: Any = None
        self._lines = Lines()

    def status(self, text: str) -> None:
        """Shows a text until the next line."""
        self._lines.status = text
        self._update()

    def line(self, text: str) -> None:
        """Adds a line."""
        self._lines.status = ""
        self._lines.add(text)
        self._update()

    def result(self, value: object) -> None:
        """Shows nothing: the notebook displays what is returned."""

    def _update(self) -> None:
        if self._handle is None:
            self._handle = self._display(self._lines, display_id=True)
        else:
            self._handle.update(self._lines)


class Lines:
    """The last lines, and what is being done."""

    def __init__(self) -> None:
        self.status = ""
        self._shown: collections.deque[str] = collections.deque(
            maxlen=_SHOWN_LINES
        )
        self._count = 0

    def add(self, text: str) -> None:
        """Adds a line or several."""
        for line in text.splitlines():
            self._count += 1
            self._shown.append(line)

    def __repr__(self) -> str:
        hidden = self._count - len(self._shown)
        above = [f"({hidden} lines above)"] * bool(hidden)
        below = [self.status] * bool(self.status)
        return "\n".join([*above, *self._shown, *below])

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(repr(self))}</pre>"


def screen() -> Plain | Notebook:
    """Returns what shows lines where this program runs."""
    # A notebook has loaded IPython; it need not be loaded for others.
    shell = sys.modules.get("IPython")
    running = shell and shell.get_ipython()
    if running is not None and hasattr(running, "kernel"):
        return Notebook(sys.modules["IPython.display"].display)
    return Plain()
