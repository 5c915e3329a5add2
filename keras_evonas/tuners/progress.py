"""Prints one line for every trial of a search that has ended."""

import math

from keras_evonas.project import wording
from keras_evonas.tuners.screens import screen


class Progress:
    """Prints a line for each ended trial; in a notebook, in one display.

    Args:
        name: String, the objective's name.
        direction: String, `"min"` or `"max"`.
        verbose: Integer, `0` prints nothing.
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
        verbose: int,
        total: int | None = None,
        ended: int = 0,
        best: float | None = None,
    ) -> None:
        self._name = name
        self._is_better = max if direction == "max" else min
        self._verbose = verbose
        self._total = total
        self._count_ended = ended
        self._ended_before = ended
        self._best = best
        self._seconds = 0.0
        self._screen = screen()

    def training(self, number: int) -> None:
        """Shows, until the next line, that networks train; not in a file."""
        if self._verbose:
            noun = "network" if number == 1 else "networks"
            self._screen.status(f"training {number} {noun} ...")

    def ended(
        self,
        score: float | None,
        *,
        label: str = "",
        params: int | None = None,
        seconds: float = 0.0,
        message: str | None = None,
    ) -> None:
        """Prints the line of a trial.

        Args:
            score: Float, or `None` if there is none.
            label: String, what it is the score of.
            params: Integer, number of parameters of the network, if known.
            seconds: Float, how long it took.
            message: String, why there is no score.
        """
        self._count_ended += 1
        self._seconds += seconds
        if score is not None and math.isfinite(score):
            known = [] if self._best is None else [self._best]
            self._best = self._is_better([*known, score])
        parts = [self._count()]
        if message is None:
            parts.append(f"{label}{self._name} {wording.short_score(score)}")
        else:
            parts.append(f"{label}failed: {wording.gist(message)}")
        if self._best is not None:
            parts.append(f"(best {wording.short_score(self._best)})")
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
