"""Reads a project folder of this package or of keras-tuner.

Nothing is written. Our record has the last word. Each file may be missing,
half-written or of a later version; what cannot be read is in `Search.notes`.
"""

import collections
import contextlib
import functools
import os
import pathlib
from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Mapping
from typing import Any
from typing import TypeVar

from keras_evonas.evolution.space import SearchSpace
from keras_evonas.project import curves as curves_lib
from keras_evonas.project import option_weights
from keras_evonas.project import retrained
from keras_evonas.project import shared_weights
from keras_evonas.project import spaces as space_lib
from keras_evonas.project import stopped
from keras_evonas.project import trials as trial_lib
from keras_evonas.project.ablation import ABLATION_NAME
from keras_evonas.project.ablation import ablation_of
from keras_evonas.project.files import STATE_NAME
from keras_evonas.project.files import finite
from keras_evonas.project.files import objects_in
from keras_evonas.project.files import parsed
from keras_evonas.project.files import trial_files
from keras_evonas.project.files import trial_folder
from keras_evonas.project.journal import JOURNAL_NAME
from keras_evonas.project.networks import networks_of
from keras_evonas.project.objectives import Objective
from keras_evonas.project.record import SearchRecord
from keras_evonas.project.search import Finalist
from keras_evonas.project.search import Search

_Made = TypeVar("_Made")
# What a file gives whose JSON is not what it should be.
_MISUNDERSTOOD = (
    *(ArithmeticError, AttributeError, LookupError, TypeError, ValueError),
)


def load(
    folder: str | os.PathLike[str], *, only: Collection[str] | None = None
) -> Search:
    """Reads a search from its project folder, and changes nothing there.

    It may still be running, have been killed, or be one of keras-tuner's own
    searches, which has no parents and operators.

    Args:
        folder: The project folder: `directory/project_name` of the tuner.
        only: Identifiers of the trials to read. Defaults to `None`, all.

    Raises:
        FileNotFoundError: If there is no such folder.
        ValueError: If the folder holds no search.
    """
    folder = pathlib.Path(folder).resolve()
    _check(folder)
    notes: list[str] = []
    # Before the record, which knows of a trial before it has a file: the search
    # may be running.
    paths = dict(trial_files(folder))
    record = _record(folder, notes)
    oracle = _object(folder / STATE_NAME, notes)
    files: dict[str, dict[str, Any]] = {}
    largest = _taken_space(oracle)
    for name, path in paths.items():
        if only is None or name in only:
            files[name] = _object(path, notes)
            # Each trial has a copy of the space, larger than all the rest.
            largest = max(largest, _taken_space(files[name]), key=len)
    space = _space(largest, notes)
    order = _order(record, oracle, files)
    if strangers := sorted(files.keys() - order):
        notes.append(
            f"{JOURNAL_NAME} does not know of these trials, which were left "
            f"out: {', '.join(strangers[:5])}. It is shorter than it was, or "
            "they are of another search."
        )
    terms = record.terms
    objectives = _objectives(terms, files, notes)
    trials: list[trial_lib.Trial] = []
    for number, trial_id in enumerate(order):
        if only is not None and trial_id not in only:
            continue
        path = trial_folder(folder, trial_id) / curves_lib.FILE_NAME
        make = functools.partial(
            trial_lib.make,
            number,
            trial_id,
            recorded=record.of(trial_id),
            objectives=objectives,
            space=space,
        )
        try:
            curves = _json(path, notes)
            trial = make(file=files.get(trial_id, {}), curves=curves)
        except _MISUNDERSTOOD as error:
            notes.append(
                f"The files of trial {trial_id} could not be understood: "
                f"{error!r}"
            )
            trial = make(file={}, curves=None)
        trials.append(trial)
    if space is None:
        values = [trial.values for trial in trials if trial.values]
        space = space_lib.from_values(values) if values else None
    notes += shared_weights.notes_of(
        _json(folder / shared_weights.FOLDER / shared_weights.STATE_NAME, notes)
    )

    def finalists_of(content: object) -> list[Finalist]:
        return [retrained.finalist_of(one) for one in objects_in(content)]

    finalists = _made(folder / retrained.FINALISTS_NAME, finalists_of, notes)
    return Search(
        folder=folder,
        objectives=objectives,
        trials=networks_of(trials),
        recorded=tuple(trials),
        space=space,
        seed=terms.get("seed", oracle.get("seed")),
        strategy=terms.get("strategy"),
        max_trials=terms.get("max_trials"),
        constraints=tuple(map(str, terms.get("constraints") or ())),
        evolved=bool(record.births),
        finalists=tuple(one for one in finalists or () if one.honest_scores),
        ablation=_made(folder / ABLATION_NAME, ablation_of, notes),
        option_weights=_made(
            folder / option_weights.FILE_NAME,
            option_weights.option_weights_of,
            notes,
        ),
        stopped=stopped.reason_of(
            _json(folder / stopped.FILE_NAME, notes), len(order)
        ),
        notes=tuple(notes),
    )


class _Record:
    """The record, sorted by trial."""

    def __init__(self, entries: list[dict[str, Any]]) -> None:
        self.terms: dict[str, Any] = {}
        self.births: dict[str, dict[str, Any]] = {}
        self._ends: dict[str, dict[str, Any]] = {}
        self._end_numbers: dict[str, int] = {}
        self._seconds: dict[str, float] = {}
        self._trial_of: dict[int, str] = {}
        running: set[str] = set()
        alone: tuple[str, float] | None = None
        elapsed = 0.0
        for entry in entries:
            kind, trial_id = entry.get("kind"), str(entry.get("trial_id"))
            if kind == "search":
                self.terms = entry
            elif kind == "birth":
                self.births[trial_id] = entry
                self._trial_of[entry.get("birth", -1)] = trial_id
                if trial_id not in self._ends:
                    running.add(trial_id)
                alone = (trial_id, elapsed) if len(running) == 1 else None
            elif kind == "end":
                self._ends[trial_id] = entry
                running.discard(trial_id)
                if entry.get("status") != "INVALID":  # It is tried again.
                    self._end_numbers[trial_id] = len(self._end_numbers)
                began = elapsed
                elapsed = entry.get("elapsed", elapsed)
                # With one trial at a time the search's clock times it.
                if alone == (trial_id, began) and elapsed > began:
                    self._seconds[trial_id] = elapsed - began
                alone = None

    def of(self, trial_id: str) -> trial_lib.Recorded:
        """Returns what is recorded of a trial."""
        birth = self.births.get(trial_id, {})
        births = [self._trial_of.get(n) for n in birth.get("parents", ())]
        return trial_lib.Recorded(
            birth=birth,
            end=self._ends.get(trial_id, {}),
            end_number=self._end_numbers.get(trial_id),
            # Births are numbers inside of the record only.
            parents=tuple(name for name in births if name is not None),
            seconds=self._seconds.get(trial_id),
        )


def _check(folder: pathlib.Path) -> None:
    hint = "It is `directory/project_name` of the tuner."
    if not folder.is_dir():
        kind = "a file" if folder.exists() else "not there"
        raise FileNotFoundError(
            f"`folder` must be a project folder. Received: '{folder}', which "
            f"is {kind}. {hint}"
        )
    if is_project(folder):
        return
    inside = sorted(path for path in folder.iterdir() if is_project(path))
    if inside:
        names = ", ".join(f"'{path}'" for path in inside[:5])
        hint = f"Did you mean {names}?"
    content = sorted(path.name for path in folder.iterdir())[:5]
    raise ValueError(
        f"`folder` must hold a search: '{STATE_NAME}', '{JOURNAL_NAME}', "
        f"'trial_*/trial.json' or '{option_weights.FILE_NAME}'. Received: "
        f"'{folder}', which holds {content or 'nothing'}. {hint}"
    )


def is_project(path: pathlib.Path) -> bool:
    """Returns whether a folder holds a search."""
    return path.is_dir() and (
        (path / STATE_NAME).exists()
        or SearchRecord(path).exists()
        or any(trial_files(path))
        or (path / option_weights.FILE_NAME).exists()
    )


def _record(folder: pathlib.Path, notes: list[str]) -> _Record:
    record = SearchRecord(folder)
    entries, damaged = record.salvage() if record.exists() else ([], 0)
    if damaged:
        notes.append(
            f"{damaged} of the lines of {JOURNAL_NAME} cannot be read and "
            "were left out."
        )
    return _Record(entries)


def _made(
    path: pathlib.Path, make: Callable[[object], _Made], notes: list[str]
) -> _Made | None:
    """Returns what is made of a file's content, `None` of a strange one."""
    try:
        return make(_json(path, notes))
    except _MISUNDERSTOOD as error:
        notes.append(f"{path.name} could not be understood: {error!r}")
        return None


def _json(
    path: pathlib.Path, notes: list[str]
) -> dict[str, Any] | list[Any] | None:
    """Returns the object or list of a file, `None` if there is none."""
    if not path.exists():
        return None
    content = parsed(path.read_bytes())
    if isinstance(content, dict | list):
        return content
    is_of_trial = path.parent.name.startswith("trial_")
    name = f"{path.parent.name}/{path.name}" if is_of_trial else path.name
    notes.append(f"{name} cannot be read: it is damaged or half-written.")
    return None


def _object(path: pathlib.Path, notes: list[str]) -> dict[str, Any]:
    content = _json(path, notes)
    return content if isinstance(content, dict) else {}


def _order(
    record: _Record, oracle: Mapping[str, Any], files: Mapping[str, Any]
) -> list[str]:
    """Returns all trials in the order in which they began."""
    if record.births:
        # A file without a birth is of a search that was replaced.
        return list(record.births)
    known = oracle.get("start_order")
    began = map(str, known if isinstance(known, list) else ())
    return list(dict.fromkeys([*(n for n in began if n in files), *files]))


def _taken_space(file: dict[str, Any]) -> list[Any]:
    """Takes the saved space out of a file, empty if it has none."""
    saved = file.get("hyperparameters")
    space = saved.pop("space", None) if isinstance(saved, dict) else None
    return space if isinstance(space, list) else []


def _space(saved: list[Any], notes: list[str]) -> SearchSpace | None:
    try:
        return space_lib.from_config(saved) if saved else None
    except _MISUNDERSTOOD as error:
        notes.append(f"The search space could not be understood: {error!r}")
        return None


def _objectives(
    terms: Mapping[str, Any], files: Mapping[str, Any], notes: list[str]
) -> tuple[Objective, ...]:
    """Returns the recorded objectives, or the metric that equals the scores."""
    if terms.get("objective"):
        return tuple(Objective(name, way) for name, way in terms["objective"])
    votes: collections.Counter[tuple[str, str]] = collections.Counter()
    scored = [f for f in files.values() if finite([f.get("score")])]
    for file in scored:
        with contextlib.suppress(*_MISUNDERSTOOD):  # Noted with its trial.
            for name, metric in trial_lib.raw_metrics(file).items():
                values = [v for _, v in trial_lib.history(metric)]
                if file["score"] in values and metric.get("direction"):
                    votes[name, metric["direction"]] += 1
    if votes:
        # Training metrics may equal the score by chance, as 0.0 or 1.0.
        (name, direction), _ = max(
            votes.items(), key=lambda x: (x[1], x[0][0].startswith("val_"))
        )
        notes.append(
            f"The folder does not name its objective; '{name}' "
            f"({direction}) is the metric that equals the scores."
        )
        return (Objective(name, direction),)
    if scored:
        notes.append(
            "The folder does not name its objective, and no metric equals the "
            "scores; lower scores are taken for better, as keras-tuner does "
            "for several objectives."
        )
        return (Objective("score", "min"),)
    return ()
