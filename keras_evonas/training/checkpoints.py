"""The best weights of a member: in memory while it trains, written once."""

import contextlib
import math
import os
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_evonas.project.files import WriteError
from keras_evonas.project.files import check_room
from keras_evonas.project.objectives import SIGN

# What a file takes beside the weights themselves, at most.
_OVERHEAD, _HEADERS = 1.05, 1 << 17


def loss_of(
    objective: Sequence[tuple[str, str]], logs: Mapping[str, float]
) -> float | None:
    """What an epoch's logs are worth, lower is better.

    Args:
        objective: Pairs of a metric's name and a direction, `"min"` or
            `"max"`; of several the signed sum counts, as in keras-tuner.
        logs: The epoch's logs.

    Returns:
        The loss, NaN included, or `None` if the logs lack a metric.
    """
    if any(name not in logs for name, _ in objective):
        return None
    return sum(
        SIGN[direction] * float(logs[name]) for name, direction in objective
    )


def best_epoch_of(
    objective: Sequence[tuple[str, str]], curves: Mapping[str, Sequence[float]]
) -> int:
    """The first of the best epochs, counted from 0; 0 if none is finite."""
    length = max((len(values) for values in curves.values()), default=0)
    best, best_loss = 0, math.inf
    for epoch in range(length):
        logs = {
            name: values[epoch]
            for name, values in curves.items()
            if epoch < len(values)
        }
        loss = loss_of(objective, logs)
        if loss is not None and loss < best_loss:
            best, best_loss = epoch, loss
    return best


class BestWeights(keras.callbacks.Callback):
    """Keeps the weights of the best epoch so far.

    Args:
        objective: See `loss_of`. An epoch whose logs lack it counts as better
            than those before.

    Attributes:
        loss: Float, that of the best epoch, or infinity.
    """

    def __init__(self, objective: Sequence[tuple[str, str]]) -> None:
        super().__init__()
        self.loss = math.inf
        self._objective = objective
        self._weights: list[Any] = []
        self._values: list[np.ndarray] | None = None

    def on_epoch_end(
        self, epoch: int, logs: Mapping[str, Any] | None = None
    ) -> None:
        """Takes the weights if the epoch that just ended was the best."""
        del epoch
        loss = loss_of(self._objective, logs or {})
        if loss is not None and not loss < self.loss:
            return
        if loss is not None:
            self.loss = loss
        if not self._weights:
            self._weights = list(self.model.weights)
        self._values = [weight.numpy() for weight in self._weights]

    def write(self, path: str) -> bool:
        """Writes the best weights, and returns whether there were any.

        The optimizer's are left out: they would make the file up to three
        times as large. The model is not to be trained again. The file is
        there as a whole or not at all.

        Raises:
            WriteError: If the disk is full or broken.
        """
        if self._values is None:
            return False
        for weight, value in zip(self._weights, self._values, strict=True):
            weight.assign(value)
        write_weights(self.model, path)
        return True


def write_weights(model: keras.Model, path: str) -> None:
    """Writes the weights of a model without those of its optimizer.

    The file is there as a whole or not at all.

    Raises:
        WriteError: If the disk is full or broken.
    """
    # A name of its own: a process that was given up may still be at it.
    temporary = f"{path}.{os.getpid()}.tmp.weights.h5"
    size = sum(weight.numpy().nbytes for weight in model.weights)
    check_room(path, int(_OVERHEAD * size) + _HEADERS)
    optimizer, model.optimizer = model.optimizer, None
    try:
        model.save_weights(temporary)
        os.replace(temporary, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise WriteError.of(path, error) from error
    finally:
        model.optimizer = optimizer


def build_again(model: keras.Model, config: Any) -> None:
    """Creates the weights of a model that does not know its inputs.

    Args:
        model: A model from the same hyperparameters, not built yet.
        config: What `model.get_build_config` of the trained one returned.
    """
    model.build_from_config(config)
    # Keras (3.15) makes the weights of a model of the user's own class, but
    # then does not load any, because it does not take it for built.
    model.built = bool(model.weights)


def read_weights(model: keras.Model, path: str) -> None:
    """Reads weights that were written without those of the optimizer."""
    optimizer, model.optimizer = model.optimizer, None
    model.load_weights(path)
    model.optimizer = optimizer
