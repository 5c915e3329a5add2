"""Hooks of the user: `on_trial_end`, those of tuners, and TensorBoard."""

from collections.abc import Callable
from typing import Any

import keras
import keras_tuner
from keras_tuner.engine import trial as trial_lib

from keras_evonas.training import Execution

TrialHook = Callable[[trial_lib.Trial], Any]


class TunerHooks(keras.callbacks.Callback):
    """Calls the hooks that a subclass of `keras_tuner.Tuner` overrides."""

    HOOKS = (
        *("on_epoch_begin", "on_epoch_end"),
        *("on_batch_begin", "on_batch_end"),
    )

    def __init__(
        self, tuner: keras_tuner.Tuner, trial: trial_lib.Trial
    ) -> None:
        super().__init__()
        for name in overridden(type(tuner), self.HOOKS, keras_tuner.Tuner):
            setattr(self, name, self._hook(getattr(tuner, name), trial))

    def _hook(
        self, hook: Callable[..., object], trial: trial_lib.Trial
    ) -> Callable[..., None]:
        def call(number: int, logs: object = None) -> None:
            hook(trial, self.model, number, logs)

        return call


def overridden(
    own: type, names: tuple[str, ...], original: type
) -> tuple[str, ...]:
    """Returns the names of the methods that a class does not inherit."""
    return tuple(
        name
        for name in names
        if getattr(own, name) is not getattr(original, name)
    )


def place_tensorboard(callbacks: list[Any], execution: Execution) -> None:
    """Gives TensorBoard callbacks a folder, and adds the hyperparameters."""
    trial_id, _, number = execution.name.partition("/execution")
    trial = trial_lib.Trial(execution.hyperparameters, trial_id=trial_id)
    tuner = keras_tuner.Tuner.__new__(keras_tuner.Tuner)  # It needs no search.
    tuner._configure_tensorboard_dir(  # noqa: SLF001 (keras-tuner 1.4.8)
        callbacks, trial, int(number or 0)
    )
