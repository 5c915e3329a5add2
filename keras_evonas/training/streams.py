"""Several networks trained on a stream of batches, each exactly as if alone.

For data that is no plain arrays, and for callbacks that listen inside an
epoch. A model without weights takes part in `keras.Model.fit`, which reads the
data in every form that Keras knows; it hands each batch to all members.
"""

import concurrent.futures
import functools
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_evonas.fresh_thread import with_fresh_keras
from keras_evonas.training.arguments import FitArguments
from keras_evonas.training.eligibility import refusing_draws
from keras_evonas.training.member import Logs
from keras_evonas.training.member import Member
from keras_evonas.training.programs import Batch
from keras_evonas.training.programs import Step
from keras_evonas.training.programs import prepare
from keras_evonas.training.programs import step_function
from keras_evonas.training.threads import worker_pool


def fit_stream(members: Sequence[Member], arguments: FitArguments) -> None:
    """Trains members that begin with the same epoch with the same batches.

    Their order is the one that Keras draws from the first one's seed.
    """
    followers = [_Follower(member) for member in members]
    with worker_pool() as pool:
        conductor = _Conductor(followers, pool, members[0].seed)
        conductor.compile(run_eagerly=True)
        # From here on Keras draws what it draws in each member's own `fit`.
        keras.utils.set_random_seed(members[0].seed)
        changes = {
            "initial_epoch": members[0].epoch,
            "epochs": max(member.epochs for member in members),
            "callbacks": [_Relay(followers, arguments)],
            "verbose": 0,
        }
        try:
            conductor.fit(**{**arguments.data_and_steps(), **changes})
        except Exception as error:
            # What goes wrong in reading the data concerns all members.
            for follower in followers:
                follower.fail(error)


class _Follower:
    """A member that follows the stream, and its place in the epoch."""

    def __init__(self, member: Member) -> None:
        self.member = member
        self.is_present = False  # takes part in the current epoch
        self.is_training = False  # and has not stopped in its middle
        self.is_evaluating = False  # nor in the middle of its validation
        self.is_over = False
        self.logs: Logs = {}
        self._steps: dict[bool, Step] = {}  # traced, to train or not
        self._training_logs: Logs | None = None
        self._validation_logs: Logs | None = None

    def attempt(self, action: Callable[["_Follower"], object]) -> None:
        """Runs an action of this member, whose error ends it alone."""
        try:
            action(self)
        except Exception as error:
            self.fail(error)

    def fail(self, error: Exception) -> None:
        """Ends the member with an error, unless it has ended before."""
        if not self.is_over:
            self.member.error = error
        self.is_over = True
        self.is_present = self.is_training = self.is_evaluating = False

    def begin(self, steps: int | None) -> None:
        self.member.begin(steps)
        self._end_if_done()

    def begin_epoch(self) -> None:
        self.is_present = self.is_training = not self.is_over
        self.logs, self._training_logs, self._validation_logs = {}, None, None
        if self.is_present:
            self.member.model.reset_metrics()
            self.member.begin_epoch()

    def trace(self, batch: Batch, spec: Batch, *, training: bool) -> None:
        """Traces the step for batches of a specification, such as this one."""
        model = self.member.model
        step = model.train_step if training else model.test_step
        leaves = keras.tree.flatten(batch)
        if all(isinstance(x, tf.Tensor) and x.shape.rank for x in leaves):
            if training:
                shape = keras.tree.flatten(spec)[0].shape
                prepare(model, batch, shape[0] if shape.rank else None)
            batch = spec
        function: Any = step_function(model, step)
        with refusing_draws(model):
            function.get_concrete_function(batch)
        self._steps[training] = function

    def is_traced(self, *, training: bool) -> bool:
        """Returns whether the step is ready to be run."""
        return training in self._steps

    def run(self, batch: Batch, *, training: bool) -> None:
        self.logs = self._steps[training](batch)

    def end_batch(self, number: int) -> None:
        self.member.callbacks.on_train_batch_end(number, self.logs)
        self.is_training = not self.member.model.stop_training

    def begin_test(self) -> None:
        self._training_logs = self._results()
        self.logs = {}
        self.is_evaluating = True
        self.member.model.stop_evaluating = False
        self.member.callbacks.on_test_begin()
        self.member.model.reset_metrics()

    def end_test_batch(self, number: int) -> None:
        self.member.callbacks.on_test_batch_end(number, self.logs)
        self.is_evaluating = not self.member.model.stop_evaluating

    def end_test(self) -> None:
        self._validation_logs = self._results()
        self.member.callbacks.on_test_end(self._validation_logs)

    def end_epoch(self) -> None:
        logs = self._training_logs
        self.member.end_epoch(
            self._results() if logs is None else logs, self._validation_logs
        )
        self._end_if_done()

    def _end_if_done(self) -> None:
        if self.member.is_done:
            self.member.end()
            self.is_over = True

    def _results(self) -> Logs:
        # As in `fit`: a step of the user's own may report what it likes.
        results: Logs = self.member.model.get_metrics_result()
        return results if set(results) == set(self.logs) else self.logs


class _Conductor(keras.Model):
    """Hands batches to members."""

    train_function: Any
    test_function: Any

    def __init__(
        self,
        followers: Sequence[_Follower],
        pool: concurrent.futures.ThreadPoolExecutor,
        seed: int,
    ) -> None:
        super().__init__()
        # In a function, where Keras does not look for layers.
        self._followers_of: Callable[[], Sequence[_Follower]] = lambda: (
            followers
        )
        self._pool = pool
        # Setting it once more would let TensorFlow forget the state of random
        # operations, so it is only set to trace a member of another seed.
        self._global_seed = seed
        self._batches: tf.data.Iterator = None  # that are being read

    def make_train_function(self, force: bool = False) -> None:
        if self.train_function is None or force:
            super().make_train_function(force)
            self.train_function = self._noting(self.train_function)

    def make_test_function(self, force: bool = False) -> None:
        if self.test_function is None or force:
            super().make_test_function(force)
            self.test_function = self._noting(self.test_function)

    def train_step(self, data: Batch) -> dict[str, tf.Tensor]:
        followers = [one for one in self._followers_of() if one.is_training]
        return self._run(followers, data, training=True)

    def test_step(self, data: Batch) -> dict[str, tf.Tensor]:
        followers = [one for one in self._followers_of() if one.is_evaluating]
        return self._run(followers, data, training=False)

    def _noting(self, function: Step) -> Step:
        """Has a function note the iterator that it reads from."""

        def noting(batches: tf.data.Iterator) -> dict[str, Any]:
            self._batches = batches
            return function(batches)

        return noting

    def _run(
        self, followers: Sequence[_Follower], data: Batch, *, training: bool
    ) -> dict[str, tf.Tensor]:
        spec = self._batches.element_spec

        def trace(one: _Follower) -> None:
            one.trace(data, spec, training=training)

        def run(one: _Follower) -> None:
            one.run(data, training=training)

        for one in followers:
            if one.is_traced(training=training):
                continue
            if one.member.seed != self._global_seed:
                self._global_seed = one.member.seed
                tf.random.set_seed(self._global_seed)
            # Under the conditions of training alone.
            with_fresh_keras(functools.partial(one.attempt, trace))
        concurrent.futures.wait(
            self._pool.submit(one.attempt, run)
            for one in followers
            if one.is_traced(training=training)
        )
        return {"loss": tf.zeros(())}


class _Relay(keras.callbacks.Callback):
    """Passes the hooks of the conductor's `fit` on to the members'."""

    def __init__(
        self, followers: Sequence[_Follower], arguments: FitArguments
    ) -> None:
        super().__init__()
        self._followers = followers
        self._steps_wanted = arguments.steps_per_epoch or 1
        self._steps_seen = 0

    def on_train_begin(self, logs: object = None) -> None:  # noqa: ARG002
        self._each(None, lambda one: one.begin(self.params["steps"]))
        self._stop_if_over()

    def on_epoch_begin(self, epoch: int, logs: object = None) -> None:  # noqa: ARG002
        self._steps_seen = 0
        self._each(None, _Follower.begin_epoch)

    def on_train_batch_begin(self, batch: int, logs: object = None) -> None:  # noqa: ARG002
        def begin(one: _Follower) -> None:
            one.member.callbacks.on_train_batch_begin(batch)

        self._each("is_training", begin)

    def on_train_batch_end(self, batch: int, logs: object = None) -> None:  # noqa: ARG002
        self._steps_seen += 1
        self._each("is_training", lambda one: one.end_batch(batch))
        if not any(follower.is_training for follower in self._followers):
            self.model.stop_training = True

    def on_test_begin(self, logs: object = None) -> None:  # noqa: ARG002
        self._each("is_present", _Follower.begin_test)

    def on_test_batch_begin(self, batch: int, logs: object = None) -> None:  # noqa: ARG002
        def begin(one: _Follower) -> None:
            one.member.callbacks.on_test_batch_begin(batch)

        self._each("is_evaluating", begin)

    def on_test_batch_end(self, batch: int, logs: object = None) -> None:  # noqa: ARG002
        self._each("is_evaluating", lambda one: one.end_test_batch(batch))
        if not any(follower.is_evaluating for follower in self._followers):
            self.model.stop_evaluating = True

    def on_test_end(self, logs: object = None) -> None:  # noqa: ARG002
        self._each("is_present", _Follower.end_test)

    def on_epoch_end(self, epoch: int, logs: object = None) -> None:  # noqa: ARG002
        if self._steps_seen < self._steps_wanted:
            error = ValueError(
                f"`x` must give {self._steps_wanted} batches or more in every "
                f"epoch. Received: {self._steps_seen} in epoch {epoch + 1}. "
                "Lower `steps_per_epoch`, or let the data repeat."
            )
            self._each("is_training", lambda one: one.fail(error))
        self._steps_wanted = 1  # A later epoch may be shorter, as in `fit`.
        self._each("is_present", _Follower.end_epoch)
        self._stop_if_over()

    def _each(
        self, who: str | None, action: Callable[[_Follower], object]
    ) -> None:
        """Runs an action of all followers, or of those of whom it holds."""
        for follower in self._followers:
            if who is None or getattr(follower, who):
                in_epoch = who in ("is_training", "is_evaluating")
                with follower.member.as_if_alone(in_epoch=in_epoch):
                    follower.attempt(action)

    def _stop_if_over(self) -> None:
        if all(follower.is_over for follower in self._followers):
            self.model.stop_training = True
