"""Callbacks of members: own copies, own files, and what they listen to."""

import copy
import os
from collections.abc import Iterable
from collections.abc import Sequence
from typing import TypeAlias

import keras
import tensorflow as tf

Callbacks: TypeAlias = (
    keras.callbacks.Callback | Sequence[keras.callbacks.Callback] | None
)

_STEP_HOOKS = (
    *("on_batch_begin", "on_train_batch_begin", "on_test_batch_begin"),
    *("on_batch_end", "on_train_batch_end", "on_test_batch_end"),
    *("on_test_begin", "on_test_end"),
)

# Where callbacks of Keras write; copies must not write into one file.
_PATH_OF = {
    keras.callbacks.CSVLogger: "filename",
    keras.callbacks.ModelCheckpoint: "filepath",
    keras.callbacks.BackupAndRestore: "backup_dir",
    keras.callbacks.TensorBoard: "log_dir",
}


def copied(callbacks: Callbacks) -> list[keras.callbacks.Callback]:
    """Returns copies for one member.

    Raises:
        TypeError: If one of them cannot be copied; the message names it.
    """
    copies = []
    for callback in keras.tree.flatten([callbacks or []]):
        try:
            copies.append(copy.deepcopy(callback))
        except Exception as error:
            raise TypeError(
                "`callbacks` must be such that `copy.deepcopy` can copy them: "
                "each network trains with its own. Received: "
                f"{type(callback).__name__}, which cannot be copied ({error}). "
                "Open files, locks and connections in its `on_train_begin` "
                "instead of its `__init__`."
            ) from error
    return copies


def placed(
    callbacks: list[keras.callbacks.Callback], folder: str
) -> list[keras.callbacks.Callback]:
    """Lets callbacks write into a folder of their member, and returns them.

    A path `logs/run.csv` becomes `logs/FOLDER/run.csv`, and a folder `logs`
    becomes `logs/FOLDER`, as keras-tuner does for `TensorBoard`. A member
    trains from the beginning: what `BackupAndRestore` left there of a training
    that was cut is removed.
    """
    for callback in callbacks:
        for kind, attribute in _PATH_OF.items():
            if not isinstance(callback, kind):
                continue
            path = str(getattr(callback, attribute))
            if attribute.endswith("_dir"):
                path = os.path.join(path, folder)
            else:
                parent, name = os.path.split(path)
                os.makedirs(os.path.join(parent, folder), exist_ok=True)
                path = os.path.join(parent, folder, name)
            if isinstance(callback, keras.callbacks.BackupAndRestore):
                _move_backups(callback, path)
                if tf.io.gfile.exists(path):
                    tf.io.gfile.rmtree(path)
            setattr(callback, attribute, path)
    return callbacks


def _move_backups(
    callback: keras.callbacks.BackupAndRestore, folder: str
) -> None:
    """Moves the paths of files, which Keras 3 computes when it is made."""
    before = os.path.normpath(callback.backup_dir)
    for name, value in vars(callback).items():
        is_path = name.startswith("_") and isinstance(value, str)
        if is_path and os.path.normpath(os.path.dirname(value)) == before:
            path = os.path.join(folder, os.path.basename(value))
            setattr(callback, name, path)


def needs_steps(callbacks: Iterable[keras.callbacks.Callback]) -> bool:
    """Returns whether one of the callbacks is to be called inside an epoch."""
    return any(_listens_to_steps(callback) for callback in callbacks)


def _listens_to_steps(callback: keras.callbacks.Callback) -> bool:
    if isinstance(callback, keras.callbacks.ModelCheckpoint):
        return bool(callback.save_freq != "epoch")
    return any(
        getattr(getattr(callback, name), "__func__", None)
        is not getattr(keras.callbacks.Callback, name)
        for name in _STEP_HOOKS
    )


def profiles(callbacks: Iterable[keras.callbacks.Callback]) -> bool:
    """Returns whether one of the callbacks profiles batches."""
    return any(
        isinstance(callback, keras.callbacks.TensorBoard)
        and getattr(callback, "_stop_batch", 0)
        for callback in callbacks
    )
