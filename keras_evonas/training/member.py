"""One network of a cohort, and how far its training is."""

import contextlib
import random
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any
from typing import NoReturn
from typing import TypeAlias

import keras
import numpy as np

from keras_evonas.training.bookkeeping import Network
from keras_evonas.training.callbacks import needs_steps
from keras_evonas.training.eligibility import NotInCohortError
from keras_evonas.training.values import flat

Logs = Mapping[str, object]
# Of Python's generator and of NumPy's.
_States: TypeAlias = tuple[Any, Any]


def _in_cohort(*_: object) -> NoReturn:
    """Stands for `train_function` while a cohort trains a model."""
    raise NotInCohortError("a callback calls the model's `train_function`")


class Member:
    """A network in training, beside others.

    The hooks of its callbacks are called in the order in which `fit` calls
    them, with the member's own logs.

    Args:
        network: The network, which is compiled.

    Attributes:
        callbacks: All its callbacks, once the training has begun.
        epoch: Integer, the epoch that comes next, counted as in `fit`.
        error: What ended the training, or `None`.
    """

    callbacks: keras.callbacks.CallbackList

    def __init__(self, network: Network) -> None:
        self.network = network
        self.model = network.model
        self.seed = network.execution.seed
        self.epochs = network.arguments.epochs
        self.epoch = network.arguments.initial_epoch
        self.error: BaseException | None = None
        self._logs: dict[str, object] = {}
        self._random = _random_states()
        self._listens = needs_steps(network.own)

    @contextlib.contextmanager
    def as_if_alone(self, *, in_epoch: bool = False) -> Iterator[None]:
        """Lets callbacks draw random numbers as if no other member did.

        Inside of an epoch, where it would take time at every batch, only if
        they listen there.
        """
        if not (self._listens if in_epoch else self.network.own):
            yield
            return
        outside = _random_states()
        _set_random_states(self._random)
        try:
            yield
        finally:
            self._random = _random_states()
            _set_random_states(outside)

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
        self.callbacks = keras.callbacks.CallbackList(
            self.network.callbacks,
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
        self._check_not_stopped()

    def begin_epoch(self) -> None:
        """Calls the hooks for the beginning of an epoch."""
        self.callbacks.on_epoch_begin(self.epoch)
        if self.model.train_function is not _in_cohort:
            raise NotInCohortError(
                "a callback changes the model's `train_function`, as "
                "`compile` does"
            )
        self._check_not_stopped()

    def _check_not_stopped(self) -> None:
        if self.model.stop_training:  # `fit` trains another batch.
            raise NotInCohortError(
                "a callback stops the training before an epoch's first batch"
            )

    def end_epoch(self, logs: Logs, validation: Logs | None) -> None:
        """Calls the hooks for the end of an epoch."""
        # What a metric returns as a dictionary stands among the others.
        held_out = {f"val_{n}": x for n, x in flat(validation or {}).items()}
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


def _random_states() -> _States:
    return random.getstate(), np.random.get_state()  # noqa: NPY002


def _set_random_states(states: _States) -> None:
    random.setstate(states[0])
    np.random.set_state(states[1])  # noqa: NPY002
