"""The state at the end of a training, from which another one goes on."""

import os
import zipfile
from collections.abc import Mapping
from collections.abc import Sequence
from typing import IO
from typing import Any

import keras
import numpy as np

from keras_evonas.project.files import write_file

_MODEL = "model"
# The variables that an optimizer trains, by their places among the model's.
_TRAINED = "trained"


class LastState(keras.callbacks.Callback):
    """Takes the state of a network after the last epoch of its `fit`.

    That is before Keras replaces the weights by their moving averages, and
    callbacks by those of another epoch.
    """

    def __init__(self) -> None:
        super().__init__()
        self._values: dict[str, np.ndarray] | None = None

    def on_epoch_end(
        self, epoch: int, logs: Mapping[str, object] | None = None
    ) -> None:
        """Takes the state if no other epoch comes."""
        del logs
        is_last = epoch + 1 >= (self.params or {}).get("epochs", 0)
        if is_last or self.model.stop_training:
            self._values = _values_of(self.model)

    def write(self, model: keras.Model, path: str) -> None:
        """Writes the state that was taken, or else that of a trained model.

        The file is there as a whole or not at all.

        Raises:
            WriteError: If the disk is full or broken.
        """
        values = self._values
        write_arrays(path, _values_of(model) if values is None else values)


def restore(model: keras.Model, path: str) -> None:
    """Gives a compiled network a state that `LastState` has written.

    Optimizers go on, too; those that train others than the model's variables
    begin anew.

    Raises:
        ValueError: If the file is damaged, or of another network.
    """
    way_out = "Bring it back, or delete it: its best epoch's weights are kept."
    values = read_arrays(path, way_out)
    for name, optimizer in optimizers_of(model).items():
        trained = values.get(f"{name}/{_TRAINED}")
        if trained is None:
            continue
        if not optimizer.built:
            variables = model.variables
            optimizer.build([variables[place] for place in trained])
        _assign(optimizer.variables, values, name, path)
    _assign(model.variables, values, _MODEL, path)


def optimizers_of(model: keras.Model) -> dict[str, keras.Optimizer]:
    """Returns the optimizers of a model by the names of its attributes."""
    return {
        name: value
        for name, value in vars(model).items()
        if isinstance(value, keras.optimizers.Optimizer)
    }


def write_arrays(
    path: str | os.PathLike[str], arrays: Mapping[str, np.ndarray]
) -> None:
    """Writes named arrays to a file, completely or not at all.

    Raises:
        WriteError: If the disk is full or broken. The file is as before.
    """
    content: dict[str, Any] = dict(arrays)

    def write(file: IO[bytes]) -> None:
        np.savez(file, **content)

    write_file(path, write)


def read_arrays(
    path: str | os.PathLike[str], way_out: str
) -> dict[str, np.ndarray]:
    """Reads what `write_arrays` has written, in its order.

    `way_out` is the last sentence of the error.

    Raises:
        ValueError: If the file is missing or damaged.
    """
    try:
        with open(path, "rb") as file, np.load(file) as arrays:
            return dict(arrays)
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"'{path}' must hold the state of a training. Received: a file "
            f"that cannot be read, {error!r}. {way_out}"
        ) from error


def assign(variable: keras.Variable, value: np.ndarray) -> None:
    """Gives a variable a value of `read_arrays`."""
    if value.dtype.kind == "V":  # NumPy forgets types such as bfloat16.
        value = value.view(keras.backend.standardize_dtype(variable.dtype))
    variable.assign(value)


def _values_of(model: keras.Model) -> dict[str, np.ndarray]:
    variables = model.variables
    values = _named(variables, _MODEL)
    places = {id(one): place for place, one in enumerate(variables)}
    for name, optimizer in optimizers_of(model).items():
        trained = getattr(optimizer, "_trainable_variables", ())
        if optimizer.built and all(id(one) in places for one in trained):
            found = [places[id(one)] for one in trained]
            values[f"{name}/{_TRAINED}"] = np.array(found, np.int64)
            values |= _named(optimizer.variables, name)
    return values


def _named(
    variables: Sequence[keras.Variable], name: str
) -> dict[str, np.ndarray]:
    return {
        f"{name}/{place}": variable.numpy()
        for place, variable in enumerate(variables)
    }


def _assign(
    variables: Sequence[keras.Variable],
    values: Mapping[str, np.ndarray],
    name: str,
    path: str,
) -> None:
    expected = {
        f"{name}/{place}": tuple(variable.shape)
        for place, variable in enumerate(variables)
    }
    found = {
        key: value.shape
        for key, value in values.items()
        if key.startswith(f"{name}/") and not key.endswith(_TRAINED)
    }
    if found != expected:
        first = next(
            key
            for key in {**expected, **found}
            if expected.get(key) != found.get(key)
        )
        raise ValueError(
            f"'{path}' must hold the state of the network that the hypermodel "
            f"builds. Received: '{first}' of shape "
            f"{found.get(first, 'unknown')}, where the network has "
            f"{expected.get(first, 'none')}. The hypermodel has changed; "
            "build the same networks as before, or begin a new search."
        )
    for key, variable in zip(expected, variables, strict=True):
        assign(variable, values[key])
