"""A training in a folder, from which it goes on to the same end."""

import dataclasses
import io
import pathlib
import time
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_evonas.project.files import WAY_OUT
from keras_evonas.project.files import read_json
from keras_evonas.project.files import write_bytes
from keras_evonas.project.files import write_json
from keras_evonas.project.shared_weights import STATE_NAME


@dataclasses.dataclass(eq=False)
class Epochs(keras.callbacks.Callback):
    """Calls functions around each epoch, and says what came of it.

    Args:
        name: String, what is trained.
        total: Integer, the epochs of the whole training.
        begin: Function that is called with the number of an epoch before it.
        end: The same, after it.
        say: Prints a line.
    """

    name: str
    total: int
    begin: Callable[[int], None]
    end: Callable[[int], None]
    say: Callable[[str], object]

    def __post_init__(self) -> None:
        super().__init__()
        self._begun = 0.0

    def on_epoch_begin(self, epoch: int, logs: object = None) -> None:
        """Begins an epoch."""
        del logs
        self._begun = time.perf_counter()
        self.begin(epoch)

    def on_epoch_end(
        self, epoch: int, logs: Mapping[str, Any] | None = None
    ) -> None:
        """Ends an epoch, and prints its logs."""
        self.end(epoch)
        seconds = time.perf_counter() - self._begun
        metrics = ", ".join(
            f"{key} {float(value):.4g}" for key, value in (logs or {}).items()
        )
        name = f"{self.name}: epoch {epoch + 1} of {self.total}"
        self.say(f"{name}, {seconds:.1f} s: {metrics}")


class SavedState:
    """The variables of a training, and how far it has come.

    Args:
        folder: Where it is written.
        identity: Mapping from words for messages to what tells this training
            from others, in JSON.
    """

    def __init__(
        self, folder: pathlib.Path, identity: Mapping[str, object]
    ) -> None:
        self._folder = folder
        self._identity = dict(identity)

    def read(self) -> dict[str, Any]:
        """Returns the number of the `"epoch"` and the notes written last.

        Raises:
            ValueError: If the folder holds another training.
        """
        path = self._folder / STATE_NAME
        if not path.exists():
            return {"epoch": 0}
        saved: dict[str, Any] = read_json(path)
        for name, value in self._identity.items():
            if saved.get(name) != value:
                raise ValueError(
                    f"'{self._folder}' holds another training, with {name}="
                    f"{saved.get(name)!r}. Received: {name}={value!r}. "
                    f"{WAY_OUT}"
                )
        return saved

    def restore(self, variables: Sequence[keras.Variable]) -> None:
        """Gives variables the values that were written last."""
        name = read_json(self._folder / STATE_NAME)["weights"]
        with np.load(self._folder / name) as arrays:
            for number, variable in enumerate(variables):
                variable.assign(arrays[f"{number}"])

    def save(
        self,
        variables: Sequence[keras.Variable],
        epoch: int,
        **notes: object,
    ) -> None:
        """Writes variables after so many epochs, and notes in JSON."""
        buffer = io.BytesIO()
        arrays = {f"{n}": v.numpy() for n, v in enumerate(variables)}
        np.savez(buffer, **arrays)
        # Two names in turn: the file of the epoch before stays whole.
        name = f"weights_{epoch % 2}.npz"
        write_bytes(self._folder / name, buffer.getvalue())
        content = {
            **self._identity,
            **notes,
            "epoch": epoch,
            "weights": name,
        }
        write_json(self._folder / STATE_NAME, content)
