"""Ends the trainings that a judge finds hopeless."""

import math
from collections.abc import Callable
from collections.abc import Sequence
from typing import TypeAlias

import keras

from keras_evonas.project.curves import ENDED_EARLY
from keras_evonas.training.curves import Objective
from keras_evonas.training.curves import loss_of

# Takes the losses after each epoch so far, NaN where there is none, and the
# number of epochs of the whole training; returns whether it should end.
Judge: TypeAlias = Callable[[Sequence[float], int], bool]


class StopHopeless(keras.callbacks.Callback):
    """Stops a training that a judge finds hopeless, and leaves a log of it.

    A `fit` after the first one, of a network that is trained by several, is
    not judged: its epochs are not those of a whole training.

    Args:
        judge: The judge.
        objective: What the losses are of; see `training.curves.Objective`.
    """

    def __init__(self, judge: Judge, objective: Objective) -> None:
        super().__init__()
        self._judge = judge
        self._objective = objective
        self._losses: list[float] = []
        self._fits = 0

    def on_train_begin(self, logs: object = None) -> None:
        """Counts the calls of `fit`."""
        del logs
        self._fits += 1

    def on_epoch_end(
        self, epoch: int, logs: dict[str, object] | None = None
    ) -> None:
        """Asks the judge."""
        if self._fits > 1 or logs is None:
            return
        loss = loss_of(self._objective, logs)
        self._losses += [math.nan] * (epoch - len(self._losses))
        self._losses.append(math.nan if loss is None else loss)
        epochs = self.params.get("epochs") or 0
        # What stops it now, such as `EarlyStopping`, would do so in any case.
        is_over = epoch + 1 >= epochs or self.model.stop_training
        if not is_over and self._judge(self._losses, epochs):
            self.model.stop_training = True
            logs[ENDED_EARLY] = 1.0
