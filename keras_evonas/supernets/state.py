"""A training in a folder, from which it goes on to the same end."""

import contextlib
import dataclasses
import itertools
import math
import pathlib
import time
import warnings
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_evonas.project import conditions
from keras_evonas.project.files import WAY_OUT
from keras_evonas.project.files import read_json
from keras_evonas.project.files import write_json
from keras_evonas.project.lock import FolderLock
from keras_evonas.project.shared_weights import STATE_NAME
from keras_evonas.training.arguments import FitArguments
from keras_evonas.training.last_state import assign
from keras_evonas.training.last_state import read_arrays
from keras_evonas.training.last_state import write_arrays

_RATE = "optimizer['learning_rate']"


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
        """Ends an epoch, and prints its logs.

        Raises:
            ValueError: If the weights have diverged.
        """
        self._check_weights(epoch, logs or {})
        self.end(epoch)
        seconds = time.perf_counter() - self._begun
        metrics = ", ".join(
            f"{key} {np.mean(value):.4g}" for key, value in (logs or {}).items()
        )
        name = f"{self.name}: epoch {epoch + 1} of {self.total}"
        self.say(f"{name}, {seconds:.1f} s: {metrics}")

    def _check_weights(self, epoch: int, logs: Mapping[str, Any]) -> None:
        loss = float(logs.get("loss", 0.0))
        weights = self.model.trainable_variables
        if math.isfinite(loss) or all(
            np.isfinite(one.numpy()).all() for one in weights
        ):
            return  # With half precision, a step may overflow and be left out.
        raise ValueError(
            f"The weights that all networks share must be finite. Received: a "
            f"loss of {loss} after epoch {epoch + 1}. Lower the learning rate "
            "or clip gradients, for example by `clipnorm=1.0` of the "
            "optimizer, and pass `overwrite=True` to begin anew."
        )


def callbacks_of(arguments: FitArguments) -> list[keras.callbacks.Callback]:
    """Returns the callbacks of `fit` in a list.

    Raises:
        ValueError: If one of them saves whole models.
    """
    given = arguments.callbacks or []
    found = keras.tree.flatten(getattr(given, "callbacks", given))
    for one in found:
        is_saver = isinstance(one, keras.callbacks.ModelCheckpoint)
        if is_saver and not one.save_weights_only:
            raise ValueError(
                "`callbacks` must not save whole models: what is trained holds "
                "all networks, and has no configuration to be loaded by. "
                f"Received: ModelCheckpoint({one.filepath!r}). Leave it out, "
                "as all is written after each epoch anyway, or pass "
                "`save_weights_only=True` and a path ending in '.weights.h5'."
            )
    return list(found)


class SavedState:
    """The variables of a training, and how far it has come.

    Args:
        folder: Where it is written.
        identity: Mapping from words for messages to what tells this training
            from others, in JSON.
        training: Mapping from names to what else makes a difference, such as
            the data. If it has changed, the training goes on with a warning.
    """

    def __init__(
        self,
        folder: pathlib.Path,
        identity: Mapping[str, object],
        training: Mapping[str, object],
    ) -> None:
        self._folder = folder
        self._identity = dict(identity)
        self._training = conditions.described(training)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps other trainings out of the folder.

        Raises:
            RuntimeError: If one goes on there.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        lock = FolderLock(self._folder)
        lock.take()
        try:
            yield
        finally:
            lock.release()

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
            if saved.get(name, value) != value:
                raise ValueError(
                    f"'{self._folder}' holds another training, with {name}="
                    f"{saved.get(name)!r}. Received: {name}={value!r}. "
                    f"{WAY_OUT}"
                )
        before = saved.get("training", self._training)
        if changed := conditions.differences(before, self._training):
            warnings.warn(
                f"The first epochs in '{self._folder}', {saved['epoch']} of "
                f"them, were trained otherwise: {'; '.join(changed)}. Train as "
                "before, or pass another `project_name` or `overwrite=True` "
                "to begin anew.",
                stacklevel=4,
            )
        return saved

    def restore(
        self,
        variables: Sequence[keras.Variable],
        optimizer: keras.Optimizer,
    ) -> None:
        """Gives variables the values that were written last.

        Args:
            variables: As they were saved.
            optimizer: That of the hypermodel, whose learning rate is kept if
                `training` had another one before.

        Raises:
            ValueError: If the file is damaged, or its variables are others.
        """
        saved = read_json(self._folder / STATE_NAME)
        path = self._folder / saved["weights"]
        way_out = (
            f"Bring it back, or delete '{self._folder / STATE_NAME}' to train "
            "anew."
        )
        values = [*read_arrays(path, way_out).values()]
        self._check_shapes(values, variables)
        for variable, value in zip(variables, values, strict=True):
            assign(variable, value)
        rate = self._training.get(_RATE)
        if rate not in (None, saved.get("training", {}).get(_RATE)):
            optimizer.learning_rate = rate

    def _check_shapes(
        self, values: Sequence[np.ndarray], variables: Sequence[keras.Variable]
    ) -> None:
        before = [f"of shape {value.shape}" for value in values]
        now = [f"of shape {tuple(variable.shape)}" for variable in variables]
        pairs = itertools.zip_longest(before, now, fillvalue="missing")
        for number, (old, new) in enumerate(pairs):
            if old != new:
                raise ValueError(
                    f"'{self._folder}' holds the training of another network "
                    f"or optimizer, with {len(before)} variables, number "
                    f"{number} {old}. Received: {len(now)} variables, number "
                    f"{number} {new}. {WAY_OUT}"
                )

    def save(
        self,
        variables: Sequence[keras.Variable],
        epoch: int,
        **notes: object,
    ) -> None:
        """Writes variables after so many epochs, and notes in JSON."""
        # Two names in turn: the file of the epoch before stays whole.
        name = f"weights_{epoch % 2}.npz"
        arrays = {f"{n}": v.numpy() for n, v in enumerate(variables)}
        write_arrays(self._folder / name, arrays)
        content = {
            **self._identity,
            **notes,
            "training": self._training,
            "epoch": epoch,
            "weights": name,
        }
        write_json(self._folder / STATE_NAME, content)
