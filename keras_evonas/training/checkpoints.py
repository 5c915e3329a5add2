"""The best weights of a member: in memory while it trains, written once."""

import contextlib
import dataclasses
import math
import os
from collections.abc import Iterator
from collections.abc import Mapping

import keras
import numpy as np

from keras_evonas.project.files import WriteError
from keras_evonas.project.files import check_room
from keras_evonas.training.curves import Objective
from keras_evonas.training.curves import loss_of
from keras_evonas.training.last_state import optimizers_of

# What a file takes beside the weights themselves, at most.
_OVERHEAD, _HEADERS = 1.05, 1 << 17


@dataclasses.dataclass
class _Kept:
    """The weights of the best epoch of a `fit`, each with its value."""

    loss: float = math.inf
    is_scored: bool = False  # An epoch has reported the objective.
    weights: list[tuple[keras.Variable, np.ndarray]] | None = None


class BestWeights(keras.callbacks.Callback):
    """Keeps the weights of the best epoch so far.

    Of several `fit` one after another, as a model's own `fit` may consist of,
    it keeps those of the last and those of the best before it. As long as no
    epoch has reported the objective, each counts as better than those before.
    """

    def __init__(self, objective: Objective) -> None:
        super().__init__()
        self._objective = objective
        self._last = _Kept()
        self._before = _Kept()

    def loss(self, *, of_all: bool = False) -> float:
        """Returns the loss of the best epoch of the last `fit`, or of all."""
        return self._best(of_all).loss

    def on_train_begin(self, logs: Mapping[str, object] | None = None) -> None:
        """Puts the best weights of an earlier `fit` aside."""
        del logs
        self._before, self._last = self._best(True), _Kept()

    def on_epoch_end(
        self, epoch: int, logs: Mapping[str, object] | None = None
    ) -> None:
        """Takes the weights if the epoch that just ended was the best."""
        del epoch
        best = self._last
        loss = loss_of(self._objective, logs or {})
        is_better = not best.is_scored
        if loss is not None:
            is_better = math.isfinite(loss) and loss < best.loss
            best.is_scored = True
        if not is_better:
            return
        best.loss = math.inf if loss is None else loss
        weights = [weight for weight, _ in best.weights or ()]
        best.weights = [
            (weight, weight.numpy())
            for weight in weights or list(self.model.weights)
        ]

    def write(self, path: str, *, of_all: bool = False) -> bool:
        """Writes the best weights, and returns whether there were any.

        The optimizer's are left out: they would make the file up to three
        times as large. The model is not to be trained again: what goes on
        with its training begins with `last_state.LastState`. See `loss` and
        `write_weights`.
        """
        weights = self._best(of_all).weights
        if weights is None:
            return False
        for weight, value in weights:
            weight.assign(value)
        write_weights(self.model, path)
        return True

    def _best(self, of_all: bool) -> _Kept:
        before, last = self._before, self._last
        if not of_all or before.weights is None:
            return last
        if before.is_scored and not last.loss < before.loss:
            return before
        return before if last.weights is None else last


def write_weights(model: keras.Model, path: str) -> None:
    """Writes the weights of a model without those of its optimizers.

    The file is there as a whole or not at all.

    Raises:
        WriteError: If the disk is full or broken.
        RuntimeError: If the model's own `save_weights` writes no such file.
    """
    # A name of its own: a process that was given up may still be at it.
    temporary = f"{path}.{os.getpid()}.tmp.weights.h5"
    size = sum(weight.numpy().nbytes for weight in model.weights)
    check_room(path, int(_OVERHEAD * size) + _HEADERS)
    is_built = model.built
    try:
        with _without_optimizers(model):
            # Keras (3.15) refuses a model that was never called, although the
            # networks that it consists of have all weights, as in a GAN.
            model.built = is_built or bool(model.weights)
            model.save_weights(temporary)
        _check_written(model, temporary)
        os.replace(temporary, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise WriteError.of(path, error) from error
    finally:
        model.built = is_built


def _check_written(model: keras.Model, path: str) -> None:
    if not os.path.exists(path):
        raise RuntimeError(
            f"`{type(model).__name__}.save_weights` must write a file at the "
            f"path that it is called with. Received: {path!r}, where there is "
            "none. Call `super().save_weights`, or leave it to Keras."
        )


def build_again(
    model: keras.Model, config: Mapping[str, object] | None
) -> None:
    """Creates the weights of a model that was made without its inputs.

    `config` is what `get_build_config` of the trained one returned.
    """
    model.build_from_config(config)
    # Keras (3.15) makes the weights of a model of the user's own class, but
    # then does not load any, because it does not take it for built.
    model.built = bool(model.weights)


def read_weights(model: keras.Model, path: str) -> None:
    """Reads weights that were written without those of the optimizers."""
    with _without_optimizers(model):
        model.load_weights(path)


@contextlib.contextmanager
def _without_optimizers(model: keras.Model) -> Iterator[None]:
    optimizers = optimizers_of(model)
    for name in optimizers:
        setattr(model, name, None)
    try:
        yield
    finally:
        for name, optimizer in optimizers.items():
            setattr(model, name, optimizer)
