"""What a search writes down, so that it can be taken up again.

keras-tuner 1.4.8 rewrites its whole state at every trial. This record grows by
two lines a trial instead: one when an individual is born, one when its trial
ends (or is sent to be tried again). Everything else is derived from them. A
line is on the disk before the host's files change, so after a kill the record
is what counts.
"""

import dataclasses
import pathlib
from collections.abc import Mapping
from typing import Any

from keras_evonas.evolution.history import Individual
from keras_evonas.project import JOURNAL_NAME
from keras_evonas.project import Journal

VERSION = 1


@dataclasses.dataclass(frozen=True, kw_only=True)
class Terms:
    """What a search is about; a resumed search must agree on it.

    Args:
        seed: Integer, the seed of the search.
        objective: List of `[name, direction]`.
        strategy: The strategy's representation.
        initial_population: List of dictionaries of values.
        max_trials: The number of trials that the search was begun with, which
            settles `"auto"` settings for good, or `None`.
    """

    seed: int
    objective: list[list[str]]
    strategy: str
    initial_population: list[dict[str, Any]]
    max_trials: int | None

    def differences(self, now: "Terms", *, seed_given: bool) -> list[str]:
        """Names what `now` asks for that these terms do not hold.

        `max_trials` may differ: a longer search just goes on.
        """
        names = ["objective", "strategy", "initial_population"] + [
            "seed"
        ] * seed_given
        return [
            f"`{name}` was {getattr(self, name)} and is now "
            f"{getattr(now, name)}"
            for name in names
            if getattr(self, name) != getattr(now, name)
        ]


@dataclasses.dataclass(frozen=True, kw_only=True)
class End:
    """How one run of a trial ended.

    Args:
        trial_id: String, the trial.
        status: keras-tuner's status: `COMPLETED`, `FAILED`, or `INVALID` when
            it is to be tried again.
        score: Float or `None`.
        best_step: Integer, the epoch of the score.
        message: The error message or `None`.
        values: Mapping of hyperparameter names to values at the end.
        elapsed: Float, seconds the whole search has taken so far.
    """

    trial_id: str
    status: str
    score: float | None
    best_step: int | None
    message: str | None
    values: Mapping[str, Any]
    elapsed: float


@dataclasses.dataclass(frozen=True)
class Entries:
    """The content of a record.

    Args:
        terms: What the search is about.
        events: Pairs `(trial_id, Individual)` for births and `End`s, in the
            order in which they happened.
    """

    terms: Terms
    events: list[tuple[str, Individual] | End]


class SearchRecord:
    """The record of one project folder.

    Args:
        folder: The project folder.
    """

    def __init__(self, folder: str | pathlib.Path) -> None:
        self._journal = Journal(pathlib.Path(folder) / JOURNAL_NAME)

    def salvage(self) -> tuple[list[dict[str, Any]], int]:
        """Reads raw entries for a report, and changes nothing.

        It takes what `read` refuses: a search that is being written, damaged
        lines, and fields that this version does not know.

        Returns:
            The entries in their order, each with its `kind`, and the number
            of lines that could not be read.
        """
        return self._journal.salvage()

    def exists(self) -> bool:
        """Whether a search was begun here."""
        return self._journal.exists()

    def begin(self, terms: Terms) -> None:
        """Writes the first line."""
        self._journal.repair()
        self._append("search", version=VERSION, **dataclasses.asdict(terms))

    def birth(self, trial_id: str, individual: Individual) -> None:
        """Writes a birth."""
        entry = dataclasses.asdict(individual)
        del entry["losses"]
        self._append("birth", trial_id=trial_id, **entry)

    def end(self, end: End) -> None:
        """Writes the end of a run."""
        self._append("end", **dataclasses.asdict(end))

    def read(self) -> Entries:
        """Reads everything, after mending what a kill left half-written.

        Raises:
            ValueError: If the record is damaged or of a newer version.
        """
        self._journal.repair()
        first, *rest = self._journal.read()
        if first.pop("kind", None) != "search":
            raise ValueError(
                f"'{self._journal.path}' must begin with a line of kind "
                f"'search'. Received: {first}. It is not a record of a search."
            )
        version = first.pop("version")
        if version > VERSION:
            raise ValueError(
                f"'{self._journal.path}' is of version {version}, and this "
                f"package reads up to version {VERSION}. Update keras_evonas."
            )
        return Entries(Terms(**first), [_event(entry) for entry in rest])

    def _append(self, kind: str, **fields: Any) -> None:
        self._journal.append({"kind": kind, **fields})


def _event(entry: dict[str, Any]) -> tuple[str, Individual] | End:
    kind = entry.pop("kind", None)
    if kind == "birth":
        trial_id = entry.pop("trial_id")
        entry["parents"] = tuple(entry["parents"])
        return trial_id, Individual(**entry)
    if kind == "end":
        return End(**entry)
    raise ValueError(
        f"A record holds births and ends. Received: an entry of kind {kind!r}."
    )
