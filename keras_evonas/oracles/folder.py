"""The project folder of an oracle, shared with no other search.

keras-tuner 1.4.8 looks a class up by whatever name a file gives it, among all
that a program has registered with Keras. Here only hyperparameters and
conditions are made of its files, so that opening a folder runs no code.
"""

import json
import os
import pathlib
import warnings
from collections.abc import Collection
from collections.abc import Mapping
from typing import Any

import keras_tuner

from keras_evonas import hyperparameters as hp_lib
from keras_evonas.hyperparameters import SharedHyperParameters
from keras_evonas.oracles.host import Status
from keras_evonas.oracles.host import Trial
from keras_evonas.project import files
from keras_evonas.project.files import WAY_OUT
from keras_evonas.project.files import read_json
from keras_evonas.project.lock import FolderLock
from keras_evonas.project.record import End
from keras_evonas.project.record import Event
from keras_evonas.project.record import SearchRecord

_HYPERPARAMETERS = frozenset(("Boolean", "Choice", "Fixed", "Float", "Int"))
_CONDITIONS = frozenset(("Parent",))
_STATUSES = frozenset(
    value for name, value in vars(Status).items() if not name.startswith("_")
)
_ENDED = (Status.COMPLETED, Status.FAILED)
# What stands before a space in the file of a trial, and cannot in a string.
_BEFORE_SPACE = '"hyperparameters": {"space": '
_NO_HYPERPARAMETERS = keras_tuner.HyperParameters().get_config()


class SearchFolder:
    """A project folder: its lock, its record, and keras-tuner's files.

    It belongs to its oracle from the first trial that the oracle is asked for
    until `release` is called.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = pathlib.Path(path)
        self.record = SearchRecord(self.path)
        self._lock: FolderLock | None = None
        self._left_at: tuple[int, ...] | None = None
        self._has_searched = False
        # Damaged files, to be set aside.
        self._unusable: list[pathlib.Path] = []
        self._spaces = Spaces()

    def take(self) -> bool:
        """Makes sure that no other search uses the folder.

        Returns whether the search must be read from the disk again. Raises a
        `RuntimeError` if another search uses it.
        """
        # A plain tuner with `overwrite=True` has removed it.
        self.path.mkdir(parents=True, exist_ok=True)
        if self._lock is None:
            self._lock = FolderLock(self.path)
        if not self._lock.take():
            return False
        is_stale = self._has_searched and (
            self._left_at is None or self._left_at != self.record.signature()
        )
        self._has_searched = True
        return is_stale

    def release(self, *, reread: bool = False) -> None:
        """Lets other processes search in the folder, until it is taken again.

        With `reread` the oracle's memory may be ahead of the disk.
        """
        if self._lock is not None:
            self._left_at = None if reread else self.record.signature()
            self._lock.release()
            self._lock = None

    # keras-tuner's state.

    def state(self) -> dict[str, Any]:
        """Reads the state of keras-tuner's oracle, or raises a `ValueError`."""
        state = read_json(self._state_path)
        missing = {"display", "hyperparameters", "start_order"} - set(state)
        if missing:
            raise self.misfit(f"one without {sorted(missing)}.")
        return state

    def unfit(self, event: Event, error: Exception) -> ValueError:
        """Returns the error about an event that cannot be taken again."""
        ends = isinstance(event, End)
        trial_id = event.trial_id if isinstance(event, End) else event[0]
        return ValueError(
            f"'{self.record.path}' must be the record of this search. "
            f"Received: the {'end' if ends else 'birth'} of trial "
            f"'{trial_id}', which does not fit what came before or the space, "
            f"or which `strategy` cannot take: {error!r}. Restore it, or mend "
            f"the strategy. {WAY_OUT}"
        )

    def misfit(self, reason: str) -> ValueError:
        """Returns the error about a state that does not fit."""
        return ValueError(
            f"'{self._state_path}' must be the state of a keras-tuner oracle. "
            f"Received: {reason} {WAY_OUT}"
        )

    def check_new(self) -> None:
        """Checks that a search may begin here; raises a `ValueError` if not."""
        if self._state_path.exists():
            self.check_unused(self.state())

    def check_unused(self, state: Mapping[str, Any]) -> None:
        """Raises a `ValueError` if a trial has begun."""
        if state["start_order"]:
            raise ValueError(
                f"The project folder '{self.path}' must hold a search of "
                "EvoOracle to be continued. Received: one of another oracle, "
                f"or one whose '{self.record.path}' is lost. {WAY_OUT}"
            )

    @property
    def _state_path(self) -> pathlib.Path:
        return self.path / files.STATE_NAME

    def refusal(self, changes: Collection[str]) -> str:
        """Makes the error that the folder holds another search."""
        return (
            f"The project folder '{self.path}' holds a search that differs "
            f"from this one: {'; '.join(changes)}. {WAY_OUT}"
        )

    def refuse(self, changes: Collection[str]) -> None:
        """Raises a `ValueError` if there are changes."""
        if changes:
            raise ValueError(self.refusal(changes))

    # keras-tuner's trials, and files that cannot be used.

    def trial(self, trial_id: str) -> Trial | None:
        """Reads the file of a trial, `None` if there is none to be used."""
        path = files.trial_folder(self.path, trial_id) / files.TRIAL_NAME
        try:
            return trial_from(path, trial_id, self._spaces)
        except ValueError as error:
            if not path.exists():
                return None
            # A power cut leaves an empty file, for which the oracle did not
            # wait; see `MendedOracle._write_trial`.
            self._unusable.append(path)
            warnings.warn(
                f"{error} The trial is restored from the record.",
                stacklevel=2,
            )
            return None

    def mend_tuner_file(self) -> None:
        """Sets the tuner's own file aside if it is damaged.

        keras-tuner 1.4.8 writes that file, which says nothing, in place:
        after a kill there it could not read it.
        """
        name = os.environ.get("KERASTUNER_TUNER_ID", "tuner0")
        path = self.path / f"{name}.json"
        if path.exists():
            try:
                read_json(path)
            except ValueError:
                self._unusable.append(path)
                self.set_aside()

    def note_strangers(self, ended: Collection[str]) -> None:
        """Notes results of trials that have not ended by the record.

        An end is on the disk in the record before it is in the trial's file,
        so the record was damaged, or the file is of another search.
        """
        for trial_id, path in files.trial_files(self.path):
            if trial_id not in ended and not _is_of_unfinished(path):
                self._unusable.append(path)

    def set_aside(self) -> None:
        """Gives files that cannot be used other names."""
        for path in dict.fromkeys(self._unusable):
            if path.exists():
                name = files.set_aside(path).name
                warnings.warn(
                    f"'{path}' does not fit the record of the search, or "
                    f"cannot be read. It is kept as '{name}'.",
                    stacklevel=2,
                )
        self._unusable.clear()


def hyperparameters_from(
    config: Mapping[str, Any],
) -> keras_tuner.HyperParameters:
    """Makes hyperparameters of what a file says, or raises a `ValueError`."""
    try:
        for hp in config["space"]:
            _check_part(hp, _HYPERPARAMETERS)
            for condition in hp["config"]["conditions"]:
                _check_part(condition, _CONDITIONS)
        return keras_tuner.HyperParameters.from_config(config)
    except Exception as error:
        # keras-tuner raises whatever it stumbles over.
        raise ValueError(
            "it must hold the configuration of hyperparameters. Received: "
            f"{str(config)[:200]}, which gives {error!r}"
        ) from error


class Spaces:
    """The search spaces that trials hold, each made of its text once.

    keras-tuner 1.4.8 takes milliseconds to make one, and most trials of a
    search have the same: they share it, as `SharedHyperParameters` do.
    """

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._made: list[SharedHyperParameters] = []

    def parse(self, text: str) -> object:
        """Parses the file of a trial, with the number of its space instead."""
        start = text.find(_BEFORE_SPACE) + len(_BEFORE_SPACE)
        if start < len(_BEFORE_SPACE):
            return json.loads(text)
        known = (x for x in self._texts if text.startswith(x, start))
        space = next(known, None)
        if space is None:
            config, end = json.JSONDecoder().raw_decode(text, start)
            made = hyperparameters_from({"space": config, "values": {}})
            space = text[start:end]
            self._texts.append(space)
            self._made.append(SharedHyperParameters(made))
        number, rest = self._texts.index(space), text[start + len(space) :]
        return json.loads(f"{text[:start]}{number}{rest}")

    def hyperparameters_from(
        self, config: Mapping[str, Any]
    ) -> keras_tuner.HyperParameters:
        """Makes hyperparameters from their configuration in a parsed file."""
        number = config["space"]
        if isinstance(number, int):
            return hp_lib.with_values(self._made[number], config["values"])
        return hyperparameters_from(config)


def trial_from(path: pathlib.Path, trial_id: str, spaces: Spaces) -> Trial:
    """Reads `trial.json` at a path, or raises a `ValueError`.

    It must be of this trial. `spaces` are those of other trials.
    """
    try:
        state = read_json(path, parse=spaces.parse)
    except ValueError as error:
        raise ValueError(
            f"'{path}' must hold the state of trial '{trial_id}'. Received: "
            f"{error.__cause__ or 'something else'!r}."
        ) from error
    # `Trial.load` draws from Python's global generator.
    trial = Trial(hyperparameters=None, trial_id=trial_id)
    try:
        hp = spaces.hyperparameters_from(state["hyperparameters"])
        if state["trial_id"] != trial_id or state["status"] not in _STATUSES:
            raise ValueError(f"it is of trial {state['trial_id']!r}")
        # Reading hyperparameters is what takes long: once is enough.
        trial.set_state({**state, "hyperparameters": _NO_HYPERPARAMETERS})
        trial.hyperparameters = hp
    except Exception as error:  # As above.
        raise ValueError(
            f"'{path}' must hold the state of trial '{trial_id}'. Received: "
            f"{str(state)[:200]}, which gives {error!r}."
        ) from error
    return trial


def _is_of_unfinished(path: pathlib.Path) -> bool:
    try:
        status = read_json(path).get("status")
    except ValueError:
        return False
    return isinstance(status, str) and status not in _ENDED


def _check_part(part: Mapping[str, Any], allowed: frozenset[str]) -> None:
    """Checks the class and the name of a hyperparameter or a condition."""
    if part["class_name"] not in allowed:
        raise ValueError(f"unknown class {part['class_name']!r}")
    if not isinstance(name := part["config"]["name"], str):
        raise ValueError(f"the name {name!r} is no string")
