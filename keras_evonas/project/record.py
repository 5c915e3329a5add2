"""The record of a search, from which it is taken up again.

It grows by a line when an individual is born, and by one when its trial ends or
is sent to be tried again. A line is on the disk before the host's files change,
so after a kill the record is what counts.
"""

import dataclasses
import pathlib
from collections.abc import Callable
from collections.abc import Mapping
from typing import Any
from typing import TypeAlias
from typing import TypeVar

from keras_evonas.evolution.history import Individual
from keras_evonas.project.files import WAY_OUT
from keras_evonas.project.journal import JOURNAL_NAME
from keras_evonas.project.journal import Journal

VERSION = 1

Result = TypeVar("Result")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Terms:
    """The settings of a search; a resumed search must agree on them."""

    seed: int
    objective: list[list[str]]  # Names and directions.
    strategy: str  # Its representation.
    initial_population: list[dict[str, Any]]
    # With which the search was begun; it settles `"auto"` settings for good.
    max_trials: int | None
    # In words, such as `params <= 1e+06`.
    constraints: list[str] = dataclasses.field(default_factory=list)
    # The memory that training may take by default, on the machine where the
    # search was begun, or `None` without that guard.
    guard_bytes: float | None = None
    inheritance: str | None = None  # How children inherit weights, if they do.
    # Names of the hyperparameters that were known at the beginning.
    space: list[str] = dataclasses.field(default_factory=list)

    def differences(self, now: "Terms", *, seed_given: bool) -> list[str]:
        """Names what `now` asks for that these terms do not hold.

        `max_trials` may differ: a longer search just goes on. So may
        `guard_bytes`, on another machine.
        """
        names = ["objective", "strategy", "initial_population", "constraints"]
        names += ["inheritance"] + ["seed"] * seed_given
        pairs = [
            (name, getattr(self, name), getattr(now, name)) for name in names
        ]
        return [
            f"`{name}` was {old} and is now {new}"
            for name, old, new in pairs
            if old != new
        ]


@dataclasses.dataclass(frozen=True, kw_only=True)
class End:
    """The end of one run of a trial."""

    trial_id: str
    status: str  # `COMPLETED`, `FAILED`, or `INVALID`: it is tried again.
    score: float | None
    best_step: int | None  # The epoch of the score.
    message: str | None  # Of the error.
    values: Mapping[str, Any]  # Of all hyperparameters at the end.
    elapsed: float  # Seconds that the whole search has taken so far.
    losses: list[float] | None = None  # One an objective; `None` if it failed.
    # How far it was outside of the constraints that only training tells.
    violation: float = 0.0
    worker: str | None = None  # The tuner or worker that ran it, if known.
    epochs: int | None = None  # How many its networks trained, if known.
    ended_early: bool = False  # Whether its training was stopped as hopeless.
    # All metrics at the epoch of the score: the file of the trial, which has
    # more of them, is written after this line, and a kill may come between.
    metrics: Mapping[str, float] = dataclasses.field(default_factory=dict)
    # Names of hyperparameters whose definitions depend on others, as this run
    # was the first to show.
    varying: list[str] = dataclasses.field(default_factory=list)
    # Names of those whose definitions were not the known ones, and may depend
    # on others or have changed.
    unexplained: list[str] = dataclasses.field(default_factory=list)


# The fields of an end that earlier versions lack; they may be empty.
_LATER = "epochs", "ended_early", "metrics", "varying", "unexplained"
# A birth is a trial and its individual.
Event: TypeAlias = tuple[str, Individual] | End


@dataclasses.dataclass(frozen=True)
class Entries:
    """The content of a record: its terms, and its events in their order."""

    terms: Terms
    events: list[Event]


class SearchRecord(Journal):
    """The record of one project folder."""

    def __init__(self, folder: str | pathlib.Path) -> None:
        super().__init__(pathlib.Path(folder) / JOURNAL_NAME)

    def begin(self, terms: Terms) -> None:
        """Writes the first line."""
        fields = {"version": VERSION, **dataclasses.asdict(terms)}
        self.append("search", fields)

    def birth(self, trial_id: str, individual: Individual) -> None:
        """Writes a birth."""
        fields = {"trial_id": trial_id, **dataclasses.asdict(individual)}
        del fields["losses"], fields["violation"]
        # Should a power cut lose it, the same individual is born again.
        self.append("birth", fields, durable=False)

    def end(self, end: End) -> None:
        """Writes the end of a run."""
        fields = dataclasses.asdict(end)
        for name in _LATER:
            if not fields[name]:
                del fields[name]
        self.append("end", fields)

    def read(self) -> Entries:
        """Reads everything, and changes nothing: the search may be running.

        Raises:
            ValueError: If the record is damaged, of another program, or of a
                newer version.
        """
        first, *rest = self.entries()
        self._check_version(first)
        terms = self._parsed(1, _terms, first)
        events = [self._parsed(n, _event, x) for n, x in enumerate(rest, 2)]
        self._check_order(events)
        return Entries(terms, events)

    def salvage(self) -> tuple[list[dict[str, Any]], int]:
        """Returns the lines that can be understood, and how many cannot."""
        entries, damaged = super().salvage()
        whole = [entry for entry in entries if _is_whole(entry)]
        return whole, damaged + len(entries) - len(whole)

    def _check_version(self, first: Mapping[str, Any]) -> None:
        version = first.get("version")
        if first["kind"] != "search" or not isinstance(version, int):
            raise ValueError(
                f"'{self.path}' must begin with a line of kind 'search' with "
                f"a version. Received: {first}. It is not a record of a "
                f"search. {WAY_OUT}"
            )
        if version > VERSION:
            raise ValueError(
                f"'{self.path}' must be of version {VERSION} or older. "
                f"Received: version {version}. Update keras_evonas to go on "
                f"with this search. {WAY_OUT}"
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
                    f"Line {number} of '{self.path}' must follow on the lines "
                    f"before. Received: {event}. Two programs may have "
                    f"searched in this folder at once. {WAY_OUT}"
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
                f"Line {number} of '{self.path}' must be an entry of a search. "
                f"Received: {str(entry)[:200]}, which gives {error!r}. The "
                f"file is damaged. Restore it. {WAY_OUT}"
            ) from error


def _terms(entry: dict[str, Any]) -> Terms:
    del entry["kind"], entry["version"]
    _check_fields(entry, _TERMS)
    return Terms(**entry)


def _event(entry: dict[str, Any]) -> Event:
    kind = entry.pop("kind")
    if kind == "birth":
        _check_fields(entry, _BIRTH)
        if any(parent >= entry["birth"] for parent in entry["parents"]):
            raise ValueError("'parents' must have been born before")
        if entry.get("rung") and not entry["parents"]:
            raise ValueError("'parents' must name whose training goes on")
        trial_id = entry.pop("trial_id")
        entry["parents"] = tuple(entry["parents"])
        return trial_id, Individual(**entry)
    if kind == "end":
        _check_fields(entry, _END)
        return End(**entry)
    raise ValueError(f"a kind of 'birth' or 'end', not {kind!r}")


# The types of fields. Another program may have written a record, and a field
# of another type would fail far from here, without the name of the file.
_Check: TypeAlias = Callable[[object], bool]


def _is(*types: type) -> _Check:
    return lambda value: type(value) in types


def _natural(value: object) -> bool:
    return type(value) is int and value >= 0


def _id(value: object) -> bool:
    return isinstance(value, str) and value.isascii() and value.isdigit()


def _or_none(check: _Check) -> _Check:
    return lambda value: value is None or check(value)


def _list_of(check: _Check) -> _Check:
    return lambda value: isinstance(value, list) and all(map(check, value))


def _dict_of(*types: type) -> _Check:
    allowed = frozenset(types)
    return lambda value: (
        isinstance(value, dict)
        and allowed.issuperset(map(type, value.values()))
    )


_whole, _number, _text = _is(int), _is(int, float), _is(str)
_SCALARS = bool, int, float, str
_TERMS: Mapping[str, _Check] = {
    "seed": _whole,
    "objective": _list_of(_list_of(_text)),
    "strategy": _text,
    "initial_population": _list_of(_dict_of(*_SCALARS)),
    "max_trials": _or_none(lambda value: _natural(value) and value != 0),
    "constraints": _list_of(_text),
    "space": _list_of(_text),
    "guard_bytes": _or_none(_number),
    "inheritance": _or_none(_text),
}
_BIRTH: Mapping[str, _Check] = {
    "trial_id": _id,
    "birth": _natural,
    "genome": _dict_of(*_SCALARS),
    "parents": _list_of(_natural),
    "operator": _text,
    "traits": _dict_of(int, float),
    "rung": _natural,
}
_END: Mapping[str, _Check] = {
    "trial_id": _id,
    "status": lambda value: value in ("COMPLETED", "FAILED", "INVALID"),
    "score": _or_none(_number),
    "best_step": _or_none(_whole),
    "message": _or_none(_text),
    "values": _is(dict),  # A `run_trial` may add what it likes.
    "elapsed": _number,
    "losses": _or_none(_list_of(_number)),
    "violation": _number,
    "worker": _or_none(_text),
    "epochs": _or_none(_natural),
    "ended_early": _is(bool),
    "metrics": _dict_of(int, float),
    "varying": _list_of(_text),
    "unexplained": _list_of(_text),
}


def _is_whole(entry: Mapping[str, object]) -> bool:
    """Returns whether the fields of an entry have the types that they should.

    Entries of kinds that a later version may have are left to the reader.
    """
    checks = {"search": _TERMS, "birth": _BIRTH, "end": _END}
    try:
        _check_fields(entry, checks.get(str(entry.get("kind")), {}))
    except ValueError:
        return False
    return True


def _check_fields(
    fields: Mapping[str, object], checks: Mapping[str, _Check]
) -> None:
    """Checks the types of an entry's fields; it may lack some."""
    for name, value in fields.items():
        if name in checks and not checks[name](value):
            raise ValueError(f"'{name}' cannot be {str(value)[:100]!r}")
