"""Checks what `overwrite=True` would remove, before anything is removed."""

import os
import pathlib

from keras_evonas.project import option_weights
from keras_evonas.project import shared_weights
from keras_evonas.project.files import STATE_NAME
from keras_evonas.project.files import trial_files
from keras_evonas.project.journal import JOURNAL_NAME
from keras_evonas.project.lock import LOCK_NAME

# One of these, or a trial, is in every folder of a search, of keras-tuner's own
# and of searches by gradients, too.
_OF_A_SEARCH = (
    *(STATE_NAME, "tuner*.json", LOCK_NAME, JOURNAL_NAME),
    *(option_weights.FILE_NAME, shared_weights.STATE_NAME),
    f"{shared_weights.FOLDER}/{shared_weights.STATE_NAME}",
)


def check_path(name: str, value: object) -> None:
    """Raises a `TypeError` unless a value can name a folder, or is `None`."""
    if value is not None and not isinstance(value, str | os.PathLike):
        raise TypeError(
            f"`{name}` must be a string or a path. Received: {name}={value!r} "
            f"of type {type(value).__name__}. Pass for example '{name}'."
        )


def check_file_name(name: str, value: object) -> None:
    """Raises a `ValueError` unless a value can name a file, or is `None`."""
    fits = (
        isinstance(value, str) and value and pathlib.Path(value).name == value
    )
    if value is not None and not fits:
        raise ValueError(
            f"`{name}` must be a string that can name a file, without a "
            f"folder. Received: {name}={value!r}. Pass for example 'worker1'."
        )


def check_folder(folder: str | os.PathLike[str], *, overwrite: bool) -> None:
    """Checks that a search may be in a folder, and may replace what is there.

    Args:
        folder: The project folder, which need not exist.
        overwrite: Boolean, whether what is there is to be removed.

    Raises:
        ValueError: If it is not a folder, or to be removed although it holds
            something else than a search.
    """
    path = pathlib.Path(folder)
    paths = (path, *path.absolute().parents)
    there = next(one for one in paths if os.path.lexists(one))
    if not there.is_dir():
        below = "" if there == path else f"below '{there}', "
        raise ValueError(
            "`directory` and `project_name` must name a folder. Received: "
            f"'{path}', {below}which is a file. Pass another `directory` or "
            "`project_name`."
        )
    if there != path:
        return
    names = sorted(one.name for one in path.iterdir()) if overwrite else []
    holds_search = any(trial_files(path)) or any(
        any(path.glob(name)) for name in _OF_A_SEARCH
    )
    if names and not holds_search:
        raise ValueError(
            "`overwrite=True` removes the project folder, which must hold a "
            f"search or nothing. Received: '{path}', with {len(names)} other "
            f"files or folders, such as '{names[0]}'. Nothing was removed. "
            "Pass another `directory` or `project_name`."
        )
