"""Several networks trained on a stream of batches, each exactly as if alone.

For data that is no plain arrays, and for callbacks that listen inside an
epoch. A model without weights takes part in `keras.Model.fit`, which reads the
data in every form that Keras knows; it hands each batch to all members.
"""

import concurrent.futures
import functools
from collections.abc import Callable
from collections.abc import Sequence

import keras
import tensorflow as tf

from keras_evonas.training.arguments import FitArguments
from keras_evonas.training.member import Logs
from keras_evonas.training.member import Member
from keras_evonas.training.programs import Batch
from keras_evonas.training.programs import Step
from keras_evonas.training.programs import prepare
from keras_evonas.training.programs import step_function
from keras_evonas.training.threads import as_if_first
from keras_evonas.training.threads import num_workers


def fit_stream(members: Sequence[Member], arguments: FitArguments) -> None:
    """Trains members to their end with the same batches.

    Args:
        members: Members that begin with the same epoch. The order of the
            batches is the one that Keras draws from the first one's seed.
        arguments: The arguments of `fit` that they share.
    """
    followers = [_Follower(member) for member in members]
    with concurrent.futures.ThreadPoolExecutor(
        num_workers(), thread_name_prefix="cohort"
    ) as pool:
        conductor = _Conductor(followers, pool, members[0].seed)
        conductor.compile(run_eagerly=True)
        # From here on Keras draws what it draws in each member's own `fit`.
        keras.utils.set_random_seed(members[0].seed)
        try:
            conductor.fit(
                **{
                    **arguments.data_and_steps(),
                    "initial_epoch": members[0].epoch,
                    "epochs": max(member.epochs for member in members),
                    "callbacks": [_Relay(followers, arguments)],
                    "verbose": 0,
                }
            )
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
        self.is_over = False
        self._train: Step | None = None
        self._test: Step | None = None
        self.logs: Logs = {}
        self._training_logs: Logs | None = None
        self._validation_logs: Logs | None = None

    def attempt(self, action: Callable[[], object]) -> None:
        """Runs an action of this member, whose error ends it alone."""
        try:
            action()
        except Exception as error:
            self.fail(error)

    def fail(self, error: Exception) -> None:
        """Ends the member with an error, unless it has ended before."""
        if not self.is_over:
            self.member.fail(error)
        self.is_over, self.is_present, self.is_training = True, False, False

    def begin(self, steps: int | None) -> None:
        """Begins the member's training."""
        self.member.begin(steps)
        self._end_if_done()

    def begin_epoch(self) -> None:
        """Begins an epoch, unless the member has ended."""
        self.is_present = self.is_training = not self.is_over
        self.logs, self._training_logs, self._validation_logs = {}, None, None
        if self.is_present:
            self.member.model.reset_metrics()
            self.member.begin_epoch()

    def trace(self, batch: Batch, *, training: bool) -> None:
        """Traces the step for batches like this one."""
        model = self.member.model
        if training:
            if _is_dense(batch):
                example = keras.tree.map_structure(lambda x: x[:1], batch)
                prepare(model, example)
            self._train = _traced(model, model.train_step, batch)
        else:
            self._test = _traced(model, model.test_step, batch)

    def run(self, batch: Batch, *, training: bool) -> None:
        """Trains or evaluates on a batch."""
        step = self._train if training else self._test
        if step is None:
            raise RuntimeError("The step has not been traced.")
        self.logs = step(batch)

    def end_batch(self, number: int) -> None:
        """Calls the hooks for the end of a batch."""
        self.member.callbacks.on_train_batch_end(number, self.logs)
        self.is_training = not self.member.model.stop_training

    def begin_test(self) -> None:
        """Begins a validation."""
        self._training_logs = self._results()
        self.logs = {}
        self.member.callbacks.on_test_begin()
        self.member.model.reset_metrics()

    def end_test(self) -> None:
        """Ends a validation."""
        self._validation_logs = self._results()
        self.member.callbacks.on_test_end(self._validation_logs)

    def end_epoch(self) -> None:
        """Ends an epoch and, if it was the last one, the training."""
        logs = self._training_logs
        self.member.end_epoch(
            self._results() if logs is None else logs, self._validation_logs
        )
        self._end_if_done()

    def is_traced(self, *, training: bool) -> bool:
        """Returns whether the step is ready to be run."""
        return (self._train if training else self._test) is not None

    def _end_if_done(self) -> None:
        if self.member.is_done:
            self.member.end()
            self.is_over = True

    def _results(self) -> Logs:
        # As in `fit`: a step of the user's own may report what it likes.
        results: Logs = self.member.model.get_metrics_result()
        return results if set(results) == set(self.logs) else self.logs


def _traced(model: keras.Model, step: Step, batch: Batch) -> Step:
    function = step_function(model, step)
    if _is_dense(batch):
        # For batches of any size, so that the last one is not traced anew.
        batch = keras.tree.map_structure(
            lambda tensor: tf.TensorSpec(
                (None, *tensor.shape[1:]), tensor.dtype
            ),
            batch,
        )
    function.get_concrete_function(batch)
    return function


class _Conductor(keras.Model):
    """Hands batches to members."""

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

    def train_step(self, data: Batch) -> dict[str, tf.Tensor]:
        """Lets members train on a batch."""
        followers = [one for one in self._followers_of() if one.is_training]
        return self._run(followers, data, training=True)

    def test_step(self, data: Batch) -> dict[str, tf.Tensor]:
        """Lets members evaluate on a batch."""
        followers = [one for one in self._followers_of() if one.is_present]
        return self._run(followers, data, training=False)

    def _run(
        self, followers: Sequence[_Follower], data: Batch, *, training: bool
    ) -> dict[str, tf.Tensor]:
        for follower in followers:
            if follower.is_traced(training=training):
                continue
            seed = follower.member.seed
            if seed != self._global_seed:
                tf.random.set_seed(seed)
                self._global_seed = seed
            trace = functools.partial(follower.trace, data, training=training)
            # Under the conditions of training alone.
            as_if_first(functools.partial(follower.attempt, trace))
        ready = [one for one in followers if one.is_traced(training=training)]
        concurrent.futures.wait(
            [
                self._pool.submit(
                    one.attempt,
                    functools.partial(one.run, data, training=training),
                )
                for one in ready
            ]
        )
        return {"loss": tf.zeros(())}


class _Relay(keras.callbacks.Callback):
    """Passes the hooks of the conductor's `fit` on to the members'."""

    def __init__(
        self, followers: Sequence[_Follower], arguments: FitArguments
    ) -> None:
        super().__init__()
        self._followers = followers
        self._steps_wanted = arguments.steps_per_epoch
        self._steps_seen = 0

    def on_train_begin(self, logs: Logs | None = None) -> None:  # noqa: ARG002
        """Begins all members."""
        for follower in self._followers:
            steps = self.params["steps"]
            follower.attempt(functools.partial(follower.begin, steps))
        self._stop_if_over()

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:  # noqa: ARG002
        """Begins an epoch."""
        self._steps_seen = 0
        for follower in self._followers:
            follower.attempt(follower.begin_epoch)

    def on_train_batch_begin(
        self,
        batch: int,
        logs: Logs | None = None,  # noqa: ARG002
    ) -> None:
        """Begins a batch."""
        self._tell("on_train_batch_begin", "is_training", batch)

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:  # noqa: ARG002
        """Ends a batch."""
        self._steps_seen += 1
        for follower in self._followers:
            if follower.is_training:
                follower.attempt(functools.partial(follower.end_batch, batch))
        if not any(follower.is_training for follower in self._followers):
            self.model.stop_training = True

    def on_test_begin(self, logs: Logs | None = None) -> None:  # noqa: ARG002
        """Begins a validation."""
        for follower in self._followers:
            if follower.is_present:
                follower.attempt(follower.begin_test)

    def on_test_batch_begin(self, batch: int, logs: Logs | None = None) -> None:  # noqa: ARG002
        """Begins a batch of a validation."""
        self._tell("on_test_batch_begin", "is_present", batch)

    def on_test_batch_end(self, batch: int, logs: Logs | None = None) -> None:  # noqa: ARG002
        """Ends a batch of a validation."""
        for follower in self._followers:
            if follower.is_present:
                hook = follower.member.callbacks.on_test_batch_end
                follower.attempt(functools.partial(hook, batch, follower.logs))

    def on_test_end(self, logs: Logs | None = None) -> None:  # noqa: ARG002
        """Ends a validation."""
        for follower in self._followers:
            if follower.is_present:
                follower.attempt(follower.end_test)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:  # noqa: ARG002
        """Ends an epoch."""
        for follower in self._followers:
            if follower.is_present:
                if follower.is_training:
                    follower.attempt(functools.partial(self._check_data, epoch))
                if follower.is_present:
                    follower.attempt(follower.end_epoch)
        self._stop_if_over()

    def _check_data(self, epoch: int) -> None:
        wanted = self._steps_wanted or 1
        if self._steps_seen < wanted:
            raise ValueError(
                f"`x` must give {wanted} batches or more in every epoch. "
                f"Received: {self._steps_seen} in epoch {epoch + 1}. Lower "
                "`steps_per_epoch`, or let the data repeat."
            )

    def _stop_if_over(self) -> None:
        if all(follower.is_over for follower in self._followers):
            self.model.stop_training = True

    def _tell(self, hook: str, who: str, batch: int) -> None:
        for follower in self._followers:
            if getattr(follower, who):
                call = getattr(follower.member.callbacks, hook)
                follower.attempt(functools.partial(call, batch))


def _is_dense(batch: Batch) -> bool:
    return all(
        isinstance(leaf, tf.Tensor) and leaf.shape.rank
        for leaf in keras.tree.flatten(batch)
    )
