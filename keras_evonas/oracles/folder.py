"""The project folder of an oracle, shared with no other search."""

import os
import pathlib
import warnings
from collections.abc import Collection
from collections.abc import Mapping
from typing import Any

from keras_evonas.oracles import host_files
from keras_evonas.oracles.host import Status
from keras_evonas.oracles.host import Trial
from keras_evonas.project.files import STATE_NAME
from keras_evonas.project.files import TRIAL_NAME
from keras_evonas.project.files import WAY_OUT
from keras_evonas.project.files import read_json
from keras_evonas.project.files import set_aside
from keras_evonas.project.files import trial_files
from keras_evonas.project.files import trial_folder
from keras_evonas.project.lock import FolderLock
from keras_evonas.project.record import SearchRecord


class SearchFolder:
    """A project folder: its lock, its record, and keras-tuner's files.

    It belongs to its oracle from the first trial that the oracle is asked for
    until `release` is called.

    Args:
        path: The folder. It must exist.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = pathlib.Path(path)
        self.record = SearchRecord(self.path)
        self._lock: FolderLock | None = None
        self._left_at: tuple[int, ...] | None = None
        self._has_searched = False
        # Damaged files, to be set aside.
        self._unusable: list[pathlib.Path] = []

    def take(self) -> bool:
        """Makes sure that no other search uses the folder.

        Returns:
            Boolean, whether the search must be read from the disk again.

        Raises:
            RuntimeError: If another one does.
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

        Args:
            reread: Boolean, whether the oracle's memory may be ahead of the
                disk, after an error or an interrupt. Defaults to `False`.
        """
        if self._lock is not None:
            self._left_at = None if reread else self.record.signature()
            self._lock.release()
            self._lock = None

    # keras-tuner's state.

    def state(self) -> dict[str, Any]:
        """Reads the state of keras-tuner's oracle.

        Raises:
            ValueError: If it is no such state.
        """
        state = read_json(self._state_path)
        missing = {"display", "hyperparameters", "start_order"} - set(state)
        if missing:
            raise self.misfit(f"one without {sorted(missing)}.")
        return state

    def misfit(self, reason: str) -> ValueError:
        """Returns the error about a state that does not fit."""
        return ValueError(
            f"'{self._state_path}' must be the state of a keras-tuner oracle. "
            f"Received: {reason} {WAY_OUT}"
        )

    def check_new(self) -> None:
        """Checks that a search may begin here.

        Raises:
            ValueError: If there is one of another oracle.
        """
        if self._state_path.exists():
            self.check_unused(self.state())

    def check_unused(self, state: Mapping[str, Any]) -> None:
        """Checks that no trial has begun.

        Raises:
            ValueError: If one has.
        """
        if state["start_order"]:
            raise ValueError(
                f"The project folder '{self.path}' must hold a search of "
                "EvoOracle to be continued. Received: one of another oracle, "
                f"or one whose '{self.record.path}' is lost. {WAY_OUT}"
            )

    @property
    def _state_path(self) -> pathlib.Path:
        return self.path / STATE_NAME

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
        path = trial_folder(self.path, trial_id) / TRIAL_NAME
        if not path.exists():
            return None
        try:
            return host_files.trial_from(path, trial_id)
        except ValueError as error:
            # A power cut leaves an empty file, for which the oracle did not
            # wait; see `MendedOracle._write_trial`.
            self._unusable.append(path)
            warnings.warn(
                f"{error} The trial is restored without its metrics.",
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
        over = (Status.COMPLETED, Status.FAILED, None)
        for trial_id, path in trial_files(self.path):
            if trial_id not in ended and host_files.status_in(path) in over:
                self._unusable.append(path)

    def set_aside(self) -> None:
        """Gives files that cannot be used other names."""
        for path in dict.fromkeys(self._unusable):
            if path.exists():
                name = set_aside(path).name
                warnings.warn(
                    f"'{path}' does not fit the record of the search, or "
                    f"cannot be read. It is kept as '{name}'.",
                    stacklevel=2,
                )
        self._unusable.clear()
