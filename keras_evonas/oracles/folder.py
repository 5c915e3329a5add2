"""An oracle that has its project folder to itself while it searches."""

import os
import pathlib
import warnings
from typing import Any

from keras_evonas.oracles import saved
from keras_evonas.oracles.host import MendedOracle
from keras_evonas.oracles.host import Status
from keras_evonas.oracles.host import Trial
from keras_evonas.project.files import read_json
from keras_evonas.project.files import set_aside
from keras_evonas.project.files import trial_files
from keras_evonas.project.lock import FolderLock
from keras_evonas.project.record import SearchRecord


class FolderOracle(MendedOracle):
    """An Oracle to derive from; arguments as for `MendedOracle`.

    The folder belongs to it from the first trial that it is asked for until
    it says that there are no more, or until `release_folder` is called.
    """

    def __init__(self, **host_arguments: Any) -> None:
        super().__init__(**host_arguments)
        self._folder_lock: FolderLock | None = None
        self._left_at: tuple[int, ...] | None = None
        self._has_searched = False
        # Damaged files, to be set aside.
        self._unusable: list[pathlib.Path] = []

    @property
    def _record(self) -> SearchRecord:
        return SearchRecord(self._project_dir)

    def _take_folder(self) -> bool:
        """Makes sure that nobody else searches here.

        Returns:
            Boolean, whether the search must be read from the disk again.

        Raises:
            RuntimeError: If somebody else does.
        """
        if self._folder_lock is None:
            self._folder_lock = FolderLock(self._project_dir)
        if not self._folder_lock.take():
            return False
        is_stale = self._has_searched and (
            self._left_at is None or self._left_at != self._record.signature()
        )
        self._has_searched = True
        return is_stale

    def release_folder(self, *, reread: bool = False) -> None:
        """Lets other processes search in the project folder.

        Asking for another trial takes it again.

        Args:
            reread: Boolean, whether what is in memory may be ahead of the
                disk, after an error or an interrupt. Defaults to `False`.
        """
        with self._lock:
            if self._folder_lock is not None:
                self._left_at = None if reread else self._record.signature()
                self._folder_lock.release()
                self._folder_lock = None

    def create_trial(self, tuner_id: str) -> Trial:
        """Creates a trial; see `keras_tuner.Oracle`."""
        with self._lock:
            trial = super().create_trial(tuner_id)
            if trial.status == Status.STOPPED and not self.ongoing_trials:
                self.release_folder()
            return trial

    def _stop_writing(self, error: OSError) -> None:
        super()._stop_writing(error)
        self.release_folder(reread=True)

    # Files that cannot be used.

    def _set_project_dir(self, directory: Any, project_name: str) -> None:
        super()._set_project_dir(directory, project_name)
        # keras-tuner 1.4.8 writes the tuner's own file, which says nothing,
        # in place: after a kill there it could not read it.
        name = os.environ.get("KERASTUNER_TUNER_ID", "tuner0")
        path = pathlib.Path(self._project_dir, f"{name}.json")
        if path.exists():
            try:
                read_json(path)
            except ValueError:
                self._unusable.append(path)
                self._set_aside()

    def _load_trial(self, trial_id: str) -> Trial | None:
        path = self._trial_file(trial_id)
        if not path.exists():
            return None
        try:
            return saved.trial_from(path, trial_id)
        except ValueError as error:
            # A power cut leaves an empty file, for which nobody waited; see
            # `_write_trial`.
            self._unusable.append(path)
            warnings.warn(
                f"{error} The trial is restored without its metrics.",
                stacklevel=2,
            )
            return None

    def _note_strangers(self) -> None:
        """Notes results of which the record does not know.

        An end is on the disk in the record before it is in the trial's file,
        so the record was damaged, or the file is of another search.
        """
        ended = set(self.end_order)
        over = (Status.COMPLETED, Status.FAILED, None)
        for trial_id, path in trial_files(self._project_dir):
            if trial_id not in ended and saved.status_in(path) in over:
                self._unusable.append(path)

    def _set_aside(self) -> None:
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
