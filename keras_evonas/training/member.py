"""One network of a cohort: its model, its callbacks, and how far it is."""

from collections.abc import Mapping
from collections.abc import Sequence
from typing import NoReturn

import keras

from keras_evonas.training.eligibility import NotInCohortError

Logs = Mapping[str, object]


def check_compiled(model: keras.Model, name: str = "") -> None:
    """Raises a `ValueError` unless a model is compiled."""
    if not model.compiled:
        raise ValueError(
            "`model` must be compiled. Received: the model "
            f"{model.name!r}{name and f' of {name}'}, which is not. Call "
            "`model.compile(optimizer, loss, metrics)` before it is returned."
        )


def _in_cohort(*_: object) -> NoReturn:
    """Stands for `train_function` while a cohort trains a model."""
    raise NotInCohortError("a callback calls the model's `train_function`")


class Member:
    """A compiled model in training, beside others.

    The hooks of its callbacks are called in the order in which `fit` calls
    them, with the member's own logs.

    Args:
        model: A compiled `keras.Model`.
        callbacks: List of callbacks that belong to this member alone.
        recorders: List of callbacks that neither touch Keras's global state nor
            stop the training, such as a keeper of the best weights. They may be
            called in another thread.
        epochs: Integer, the epoch to train to, as in `fit`.
        initial_epoch: Integer, the epoch to begin with, as in `fit`.
        seed: Integer, from which the order of the examples is drawn.
        name: String, for messages.
    """

    def __init__(
        self,
        model: keras.Model,
        *,
        callbacks: Sequence[keras.callbacks.Callback] = (),
        recorders: Sequence[keras.callbacks.Callback] = (),
        epochs: int = 1,
        initial_epoch: int = 0,
        seed: int = 0,
        name: str = "",
    ) -> None:
        check_compiled(model, name)
        self.model = model
        self.epochs = epochs
        self.epoch = initial_epoch
        self.seed = seed
        self.name = name
        self.error: BaseException | None = None
        self.has_callbacks = bool(callbacks)
        self._given = [*callbacks, *recorders]
        self._list: keras.callbacks.CallbackList | None = None
        self._logs: dict[str, object] = {}

    @property
    def callbacks(self) -> keras.callbacks.CallbackList:
        """The callbacks, once the training has begun."""
        if self._list is None:
            raise RuntimeError("The member has not begun to train.")
        return self._list

    @property
    def is_done(self) -> bool:
        """True if the training has come to its end."""
        return (
            self.error is not None
            or bool(self.model.stop_training)
            or self.epoch >= self.epochs
        )

    def begin(self, steps: int | None) -> None:
        """Begins the training, with a number of steps an epoch if known."""
        self._list = keras.callbacks.CallbackList(
            self._given,
            add_history=True,
            add_progbar=False,
            model=self.model,
            verbose=0,
            epochs=self.epochs,
            steps=steps,
        )
        self.model.stop_training = False
        self.model.train_function = _in_cohort
        self.callbacks.on_train_begin()
        if getattr(self.model, "_initial_epoch", None):
            raise NotInCohortError(
                "a callback goes on with a training that it has restored"
            )

    def begin_epoch(self) -> None:
        """Calls the hooks for the beginning of an epoch."""
        self.callbacks.on_epoch_begin(self.epoch)
        if self.model.train_function is not _in_cohort:
            raise NotInCohortError(
                "a callback changes the model's `train_function`, as "
                "`compile` does"
            )

    def end_epoch(self, logs: Logs, validation: Logs | None) -> None:
        """Calls the hooks for the end of an epoch."""
        held_out = {f"val_{name}": x for name, x in (validation or {}).items()}
        self._logs = {**logs, **held_out}
        self.callbacks.on_epoch_end(self.epoch, self._logs)
        self.epoch += 1

    def end(self) -> None:
        """Ends the training as `fit` does."""
        self.model.train_function = None
        optimizer = self.model.optimizer
        if optimizer is not None and self.epochs > 0:
            optimizer.finalize_variable_values(self.model.trainable_weights)
        self.callbacks.on_train_end(self._logs)

    def fail(self, error: BaseException) -> None:
        """Ends the training with an error."""
        self.error = error
