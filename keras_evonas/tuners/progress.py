"""The lines of a search, in a file, on a terminal or in a notebook."""

import collections
import html
import math
import sys
from collections.abc import Callable
from collections.abc import Mapping
from typing import Any

from keras_evonas.project import wording

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
        self._status = ""
        self._shown: collections.deque[str] = collections.deque(
            maxlen=_SHOWN_LINES
        )
        self._count = 0

    def status(self, text: str) -> None:
        """Shows a text until the next line."""
        self._status = text
        self._update()

    def line(self, text: str) -> None:
        """Adds a line or several."""
        lines = text.splitlines()
        self._count += len(lines)
        self._shown.extend(lines)
        self.status("")

    def result(self, value: object) -> None:
        """Shows nothing: the notebook displays what is returned."""

    def _update(self) -> None:
        if self._handle is None:
            self._handle = self._display(self, display_id=True)
        else:
            self._handle.update(self)

    def __repr__(self) -> str:
        hidden = self._count - len(self._shown)
        above = [f"({hidden} lines above)"] * bool(hidden)
        below = [self._status] * bool(self._status)
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


class Progress:
    """Prints a line for each ended trial; in a notebook, in one display.

    Args:
        name: String, the objective's name.
        direction: String, `"min"` or `"max"`.
        verbose: Integer, `0` prints nothing, or `"auto"` for `1`.
        total: Integer, number of trials of the whole search, or `None`.
        ended: Integer, how many of them had ended before.
        best: Float, the best score before, or `None`.

    Example of a line:

    ```
    [37/200] val_accuracy 0.912 (best 0.918) 41k params 0.4 s, about 3 min left
    ```
    """

    def __init__(
        self,
        name: str,
        direction: str,
        *,
        verbose: int | str,
        total: int | None = None,
        ended: int = 0,
        best: float | None = None,
    ) -> None:
        self._name = name
        self._is_better = max if direction == "max" else min
        if verbose not in (0, 1, 2, "auto"):
            raise ValueError(
                "`verbose` must be 0, 1, 2 or 'auto'. Received: "
                f"verbose={verbose!r}."
            )
        self._verbose = 1 if verbose == "auto" else int(verbose)
        self._total = total
        self._count_ended = ended
        self._ended_before = ended
        self._best = best
        self._seconds = 0.0
        self._screen = screen()

    def training(self, number: int) -> None:
        """Shows, until the next line, that networks train; not in a file."""
        if self._verbose:
            networks = wording.plural(number, "network")
            self._screen.status(f"training {networks} ...")

    def ended(
        self,
        score: float | None,
        *,
        label: str = "",
        params: int | None = None,
        seconds: float = 0.0,
        message: str | None = None,
        epochs: int | None = None,
        best: float | None = None,
        others: Mapping[str, float] | None = None,
    ) -> None:
        """Prints the line of a trial.

        Args:
            score: Float, or `None` if there is none.
            label: String, what it is the score of.
            params: Integer, number of parameters of the network, if known.
            seconds: Float, how long it took.
            message: String, why there is no score.
            epochs: Integer, after how many epochs in all the network has the
                score, where trials differ in them.
            best: Float, the best score by now, where it is not the best one
                that was given.
            others: The values of other objectives, by name.
        """
        self._count_ended += 1
        self._seconds += seconds
        if score is not None and math.isfinite(score):
            known = [] if self._best is None else [self._best]
            self._best = self._is_better([*known, score])
        self._best = self._best if best is None else best
        parts = [self._count()]
        if message is None:
            parts.append(f"{label}{self._name} {wording.short_score(score)}")
        else:
            parts.append(f"{label}failed: {wording.gist(message)}")
        if self._best is not None:
            parts.append(f"(best {wording.short_score(self._best)})")
        if epochs is not None:
            parts.append(f"after {wording.plural(epochs, 'epoch')}")
        for name, value in (others or {}).items():
            parts.append(f"{name} {wording.short_value(value)}")
        if params is not None:
            parts.append(f"{wording.short_count(params)} params")
        parts.append(f"{seconds:.1f} s{self._time_left()}")
        self.say(" ".join(parts))

    def say(self, line: str) -> None:
        """Prints any line, unless the search is to be silent."""
        if self._verbose:
            self._screen.line(line)

    def conclude(self, result: object) -> None:
        """Prints a result, unless a notebook displays it anyway."""
        if self._verbose:
            self._screen.result(result)

    def _count(self) -> str:
        if self._total is None:
            return f"[{self._count_ended}]"
        return f"[{self._count_ended}/{self._total}]"

    def _time_left(self) -> str:
        if self._total is None or self._count_ended >= self._total:
            return ""
        each = self._seconds / (self._count_ended - self._ended_before)
        left = wording.short_duration(each * (self._total - self._count_ended))
        return f", about {left} left"
