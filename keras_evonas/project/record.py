"""The record of a search, from which it is taken up again.

keras-tuner 1.4.8 rewrites its whole state at every trial. This record grows by
two lines a trial instead: one when an individual is born, one when its trial
ends (or is sent to be tried again). Everything else is derived from them. A
line is on the disk before the host's files change, so after a kill the record
is what counts.
"""

import dataclasses
import pathlib
from collections.abc import Callable
from collections.abc import Mapping
from typing import Any
from typing import TypeAlias
from typing import TypeVar

from keras_evonas.evolution.history import Individual
from keras_evonas.project import entry_types
from keras_evonas.project.files import WAY_OUT
from keras_evonas.project.journal import JOURNAL_NAME
from keras_evonas.project.journal import Journal

VERSION = 1

Result = TypeVar("Result")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Terms:
    """The settings of a search; a resumed search must agree on them.

    Args:
        seed: Integer, the seed of the search.
        objective: List of `[name, direction]`.
        strategy: The strategy's representation.
        initial_population: List of dictionaries of values.
        max_trials: The number of trials that the search was begun with, which
            settles `"auto"` settings for good, or `None`.
        constraints: List of constraints in words.
        guard_bytes: The memory that training may take by default, on the
            machine where the search was begun, or `None` without that guard.
        inheritance: How children inherit weights, or `None`.
        space: Names of the hyperparameters that were known at the beginning.
    """

    seed: int
    objective: list[list[str]]
    strategy: str
    initial_population: list[dict[str, Any]]
    max_trials: int | None
    constraints: list[str] = dataclasses.field(default_factory=list)
    guard_bytes: float | None = None
    inheritance: str | None = None
    space: list[str] = dataclasses.field(default_factory=list)

    def differences(self, now: "Terms", *, seed_given: bool) -> list[str]:
        """Names what `now` asks for that these terms do not hold.

        `max_trials` may differ: a longer search just goes on. So may
        `guard_bytes`, on another machine.
        """
        names = ["objective", "strategy", "initial_population", "constraints"]
        names += ["inheritance"]
        names += ["seed"] * seed_given
        return [
            f"`{name}` was {getattr(self, name)} and is now "
            f"{getattr(now, name)}"
            for name in names
            if getattr(self, name) != getattr(now, name)
        ]


@dataclasses.dataclass(frozen=True, kw_only=True)
class End:
    """The end of one run of a trial.

    Args:
        trial_id: String, the trial.
        status: keras-tuner's status: `COMPLETED`, `FAILED`, or `INVALID` when
            it is to be tried again.
        score: Float or `None`.
        best_step: Integer, the epoch of the score.
        message: The error message or `None`.
        values: Mapping of hyperparameter names to values at the end.
        elapsed: Float, seconds the whole search has taken so far.
        losses: List of floats, one an objective, or `None` if it failed.
        violation: Float, how far it was outside of the constraints that only
            training tells.
        worker: String, the tuner or worker that ran it, or `None` if it is
            not known.
        varying: Names of hyperparameters whose definitions depend on others,
            as this run was the first to show.
        unexplained: Names of hyperparameters whose definitions were not the
            known ones, and may depend on others or have changed.
    """

    trial_id: str
    status: str
    score: float | None
    best_step: int | None
    message: str | None
    values: Mapping[str, Any]
    elapsed: float
    losses: list[float] | None = None
    violation: float = 0.0
    worker: str | None = None
    varying: list[str] = dataclasses.field(default_factory=list)
    unexplained: list[str] = dataclasses.field(default_factory=list)


Event: TypeAlias = tuple[str, Individual] | End


@dataclasses.dataclass(frozen=True)
class Entries:
    """The content of a record.

    Args:
        terms: The settings of the search.
        events: Pairs `(trial_id, Individual)` for births and `End`s, in the
            order in which they happened.
    """

    terms: Terms
    events: list[Event]


class SearchRecord:
    """The record of one project folder.

    Args:
        folder: The project folder.
    """

    def __init__(self, folder: str | pathlib.Path) -> None:
        self._journal = Journal(pathlib.Path(folder) / JOURNAL_NAME)

    @property
    def path(self) -> pathlib.Path:
        """The file."""
        return self._journal.path

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
        """Returns whether a search was begun here."""
        return self._journal.exists()

    def signature(self) -> tuple[int, ...] | None:
        """Returns what changes when the record grows or is replaced."""
        return self._journal.signature()

    def repair(self) -> None:
        """Removes what a kill left half-written; needed before writing.

        Raises:
            ValueError: If the file is not a record.
        """
        self._journal.repair()

    def begin(self, terms: Terms) -> None:
        """Writes the first line."""
        fields = {"version": VERSION, **dataclasses.asdict(terms)}
        self._journal.append("search", fields)

    def birth(self, trial_id: str, individual: Individual) -> None:
        """Writes a birth."""
        fields = {"trial_id": trial_id, **dataclasses.asdict(individual)}
        del fields["losses"], fields["violation"]
        # Should a power cut lose it, the same individual is born again.
        self._journal.append("birth", fields, durable=False)

    def end(self, end: End) -> None:
        """Writes the end of a run."""
        fields = dataclasses.asdict(end)
        for name in ("varying", "unexplained"):
            if not fields[name]:  # Nearly always; earlier versions lack it.
                del fields[name]
        self._journal.append("end", fields)

    def read(self) -> Entries:
        """Reads everything, and changes nothing: the search may be running.

        Raises:
            ValueError: If the record is damaged, of another program, or of a
                newer version.
        """
        first, *rest = self._journal.read()
        self._check_version(first)
        terms = self._parsed(1, _terms, first)
        events = [
            self._parsed(number, _event, entry)
            for number, entry in enumerate(rest, start=2)
        ]
        self._check_order(events)
        return Entries(terms, events)

    def _check_version(self, first: Mapping[str, Any]) -> None:
        version = first.get("version")
        if first["kind"] != "search" or not isinstance(version, int):
            raise ValueError(
                f"'{self._journal.path}' must begin with a line of kind "
                f"'search' with a version. Received: {first}. It is not a "
                f"record of a search. {WAY_OUT}"
            )
        if version > VERSION:
            raise ValueError(
                f"'{self._journal.path}' must be of version {VERSION} or "
                f"older. Received: version {version}. Update keras_evonas to "
                f"go on with this search. {WAY_OUT}"
            )

    def _check_order(self, events: list[Event]) -> None:
        ended: dict[str, bool] = {}
        for number, event in enumerate(events, start=2):
            if isinstance(event, End):
                fits = ended.get(event.trial_id) is False
                ended[event.trial_id] = event.status != "INVALID"
            else:
                trial_id, individual = event
                fits = individual.birth == int(trial_id) == len(ended)
                ended[trial_id] = False
            if not fits:
                raise ValueError(
                    f"Line {number} of '{self._journal.path}' must follow on "
                    f"the lines before. Received: {event}. Two programs may "
                    f"have searched in this folder at once. {WAY_OUT}"
                )

    def _parsed(
        self,
        number: int,
        parse: Callable[[dict[str, Any]], Result],
        entry: dict[str, Any],
    ) -> Result:
        try:
            return parse(dict(entry))
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"Line {number} of '{self._journal.path}' must be an entry of "
                f"a search. Received: {str(entry)[:200]}, which gives "
                f"{error!r}. The file is damaged. Restore it. {WAY_OUT}"
            ) from error


def _terms(entry: dict[str, Any]) -> Terms:
    del entry["kind"], entry["version"]
    entry_types.check_fields(entry, entry_types.TERMS)
    return Terms(**entry)


def _event(entry: dict[str, Any]) -> Event:
    kind = entry.pop("kind")
    if kind == "birth":
        entry_types.check_fields(entry, entry_types.BIRTH)
        if any(parent >= entry["birth"] for parent in entry["parents"]):
            raise ValueError("'parents' must have been born before")
        if entry.get("rung") and not entry["parents"]:
            raise ValueError("'parents' must name whose training goes on")
        trial_id = entry.pop("trial_id")
        entry["parents"] = tuple(entry["parents"])
        return trial_id, Individual(**entry)
    if kind == "end":
        entry_types.check_fields(entry, entry_types.END)
        return End(**entry)
    raise ValueError(f"a kind of 'birth' or 'end', not {kind!r}")
