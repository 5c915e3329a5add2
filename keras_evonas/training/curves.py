"""Logs by epoch: how they are kept, and the best epoch among them."""

import dataclasses
import itertools
import math
from collections.abc import Mapping
from collections.abc import Sequence
from typing import TypeAlias

import keras
import numpy as np

from keras_evonas.project.curves import Curves
from keras_evonas.project.curves import Value
from keras_evonas.project.objectives import SIGN

# Pairs of a metric's name and a direction, `"min"` or `"max"`; of several the
# signed sum counts, as in keras-tuner.
Objective: TypeAlias = Sequence[Sequence[str]]

# Of epochs without a finite objective a message shows the first.
_TOLD_EPOCHS = 5


def kept(value: object) -> Value | None:
    """Returns a log's value as it is recorded.

    It is a float, lists of floats for an array, or `None` for what is made of
    anything but real numbers and cannot be recorded.
    """
    if isinstance(value, float):
        return float(value)
    try:
        # A tensor; the scalars among them are no arrays for NumPy.
        as_numpy = getattr(value, "numpy", None)
        array = np.asarray(value if as_numpy is None else as_numpy())
        if array.dtype.kind == "O":
            return float(array.item())  # Such as a fraction.
        if array.dtype.kind not in "biufV":  # "V" is bfloat16, for one.
            return None
        array = array.astype("float64")
        if array.size == 1:
            return float(array.item())
        numbers: list[Value] = array.tolist()
    except Exception:  # The value may be of any class.
        return None
    return numbers


def curves_of_history(history: keras.callbacks.History) -> Curves:
    """Numbers the values of a `History` as if each epoch had each log.

    What cannot be recorded is left out.
    """
    # A `History` that the user has made may lack what `fit` gives it.
    first = next(iter(getattr(history, "epoch", ())), 0)
    return {
        name: tuple(
            (epoch, value)
            for epoch, value in enumerate(map(kept, values), start=first)
            if value is not None
        )
        for name, values in history.history.items()
    }


def loss_of(objective: Objective, logs: Mapping[str, object]) -> float | None:
    """Returns the loss in an epoch's logs, lower is better.

    It may be NaN, and is `None` if a metric is missing or no number.
    """
    total = 0.0
    for name, direction in objective:
        value = kept(logs.get(name))
        if not isinstance(value, float):
            return None
        total += SIGN[direction] * value
    return total


@dataclasses.dataclass(frozen=True)
class Best:
    """The best epoch of an execution, and its logs that are numbers.

    Epochs count from 0, as in `fit`; the loss is finite.
    """

    epoch: int
    loss: float
    logs: Mapping[str, float]


def best_of(objective: Objective, curves: Curves) -> Best | None:
    """Returns the first of the best epochs in the curves of an execution.

    It is `None` if the loss of each is missing, infinite or NaN.
    """
    best, least = None, math.inf
    for epoch, logs in _epochs(curves).items():
        loss = loss_of(objective, logs)
        if loss is not None and math.isfinite(loss) and loss < least:
            best, least = Best(epoch, loss, logs), loss
    return best


def why_unscored(objective: Objective, curves: Curves) -> str:
    """Returns why `best_of` is `None`, as a sentence."""
    if not curves:
        return "Training reported no epoch."
    for name, _ in objective:
        if name not in curves:
            return (
                f"Training never reported the objective '{name}', only "
                f"{sorted(curves)}."
            )
        if not any(isinstance(value, float) for _, value in curves[name]):
            return f"The objective '{name}' is an array, not a number."
    names = [name for name, _ in objective]
    epochs = _epochs({name: curves[name] for name in names})
    values = {
        epoch + 1: [logs[name] for name in names]
        for epoch, logs in epochs.items()
        if len(logs) == len(names)
    }
    if not values:
        return f"No epoch reported all of the objectives {names}."
    told = dict(itertools.islice(values.items(), _TOLD_EPOCHS))
    rest = len(values) - len(told)
    more = f" and {rest:,} more like these" if rest else ""
    return f"The objective was never finite: {names} by epoch: {told}{more}."


def _epochs(curves: Curves) -> dict[int, dict[str, float]]:
    """Returns the logs of each epoch that are numbers."""
    epochs: dict[int, dict[str, float]] = {}
    for name, curve in curves.items():
        for epoch, value in curve:
            if isinstance(value, float):
                epochs.setdefault(epoch, {})[name] = value
    return dict(sorted(epochs.items()))
