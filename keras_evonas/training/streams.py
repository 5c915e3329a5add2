"""Several networks trained on a stream of batches, each exactly as if alone.

For data that is no plain arrays, and for callbacks that listen inside an
epoch. A model without weights takes part in `keras.Model.fit`, which reads the
data in every form that Keras knows; it hands each batch to all members.
"""

import concurrent.futures
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_evonas.training.arguments import FitArguments
from keras_evonas.training.member import Member
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
    lanes = [_Lane(member) for member in members]
    with concurrent.futures.ThreadPoolExecutor(
        num_workers(), thread_name_prefix="cohort"
    ) as pool:
        conductor = _Conductor(lanes, pool)
        conductor.compile(run_eagerly=True)
        # From here on Keras draws what it draws in each member's own `fit`.
        keras.utils.set_random_seed(members[0].seed)
        try:
            conductor.fit(
                **{
                    **arguments.data_and_steps(),
                    "initial_epoch": members[0].epoch,
                    "epochs": max(member.epochs for member in members),
                    "callbacks": [_Relay(lanes, arguments)],
                    "verbose": 0,
                }
            )
        except Exception as error:
            # What goes wrong in reading the data concerns everybody.
            for lane in lanes:
                lane.fail(error)


class _Lane:
    """A member, and where it is in the current epoch."""

    def __init__(self, member: Member) -> None:
        self.member = member
        self.is_present = False  # takes part in the current epoch
        self.is_training = False  # and has not stopped in its middle
        self.is_over = False
        self._train: Callable[[Any], Any] | None = None
        self._test: Callable[[Any], Any] | None = None
        self.logs: Any = {}
        self._training_logs: dict[str, Any] | None = None
        self._validation_logs: dict[str, Any] | None = None

    def attempt(self, action: Callable[[], Any]) -> None:
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

    def train(self, batch: Any) -> None:
        """Trains on a batch."""
        if self._train is None:
            prepare_for(self.member.model, batch)
            self._train = self._function(self.member.model.train_step, batch)
        self.logs = self._train(batch)

    def end_batch(self, number: int) -> None:
        """Calls the hooks for the end of a batch."""
        self.member.callbacks.on_train_batch_end(number, self.logs)
        self.is_training = not self.member.model.stop_training

    def begin_test(self) -> None:
        """Begins a validation."""
        self._training_logs = self._results()
        self.logs = {}
        self.member.model.reset_metrics()
        self.member.callbacks.on_test_begin()

    def test(self, batch: Any) -> None:
        """Evaluates on a batch."""
        if self._test is None:
            self._test = self._function(self.member.model.test_step, batch)
        self.logs = self._test(batch)

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
        """Whether the step was run before."""
        return (self._train if training else self._test) is not None

    def _end_if_done(self) -> None:
        if self.member.is_done:
            self.member.end()
            self.is_over = True

    def _results(self) -> dict[str, Any]:
        # As in `fit`: a step of the user's own may report what it likes.
        results = self.member.model.get_metrics_result()
        return results if set(results) == set(self.logs) else self.logs

    def _function(
        self, step: Callable[[Any], Any], batch: Any
    ) -> Callable[[Any], Any]:
        function = step_function(self.member.model, step)
        if not self.member.model.run_eagerly and _is_dense(batch):
            # For batches of any size, so that the last one is not traced anew.
            function.get_concrete_function(
                keras.tree.map_structure(
                    lambda tensor: tf.TensorSpec(
                        (None, *tensor.shape[1:]), tensor.dtype
                    ),
                    batch,
                )
            )
        return function


class _Conductor(keras.Model):
    """Hands batches to members."""

    def __init__(
        self,
        lanes: Sequence[_Lane],
        pool: concurrent.futures.ThreadPoolExecutor,
    ) -> None:
        super().__init__()
        # In a function, where Keras does not look for layers.
        self._lanes_of = lambda: lanes
        self._pool = pool

    def train_step(self, data: Any) -> dict[str, Any]:
        """Lets members train on a batch."""
        lanes = [lane for lane in self._lanes_of() if lane.is_training]
        return self._run(lanes, data, training=True)

    def test_step(self, data: Any) -> dict[str, Any]:
        """Lets members evaluate on a batch."""
        lanes = [lane for lane in self._lanes_of() if lane.is_present]
        return self._run(lanes, data, training=False)

    def _run(
        self, lanes: Sequence[_Lane], data: Any, *, training: bool
    ) -> dict[str, Any]:
        def step(lane: _Lane) -> None:
            run = lane.train if training else lane.test
            lane.attempt(lambda: run(data))

        traced = [lane for lane in lanes if lane.is_traced(training=training)]
        for lane in lanes:
            if lane not in traced:
                # The first time under the conditions of training alone.
                tf.random.set_seed(lane.member.seed)
                as_if_first(lambda lane=lane: step(lane))
        eager = [lane for lane in traced if lane.member.model.run_eagerly]
        for lane in eager:
            step(lane)
        others = [lane for lane in traced if lane not in eager]
        concurrent.futures.wait(
            [self._pool.submit(step, lane) for lane in others]
        )
        return {"loss": tf.zeros(())}


class _Relay(keras.callbacks.Callback):
    """Passes the hooks of the conductor's `fit` on to the members'."""

    def __init__(self, lanes: Sequence[_Lane], arguments: FitArguments) -> None:
        super().__init__()
        self._lanes = lanes
        self._steps_wanted = arguments.steps_per_epoch
        self._steps_seen = 0

    def on_train_begin(self, logs: Any = None) -> None:  # noqa: ARG002
        """Begins all members."""
        for lane in self._lanes:
            lane.attempt(lambda lane=lane: lane.begin(self.params["steps"]))
        self._stop_if_over()

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
        """Begins an epoch."""
        self._steps_seen = 0
        for lane in self._lanes:
            lane.attempt(lane.begin_epoch)

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002
        """Begins a batch."""
        self._tell("on_train_batch_begin", "is_training", batch)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002
        """Ends a batch."""
        self._steps_seen += 1
        for lane in self._lanes:
            if lane.is_training:
                lane.attempt(lambda lane=lane: lane.end_batch(batch))
        if not any(lane.is_training for lane in self._lanes):
            self.model.stop_training = True

    def on_test_begin(self, logs: Any = None) -> None:  # noqa: ARG002
        """Begins a validation."""
        for lane in self._lanes:
            if lane.is_present:
                lane.attempt(lane.begin_test)

    def on_test_batch_begin(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002
        """Begins a batch of a validation."""
        self._tell("on_test_batch_begin", "is_present", batch)

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002
        """Ends a batch of a validation."""
        for lane in self._lanes:
            if lane.is_present:
                hook = lane.member.callbacks.on_test_batch_end
                lane.attempt(
                    lambda hook=hook, lane=lane: hook(batch, lane.logs)
                )

    def on_test_end(self, logs: Any = None) -> None:  # noqa: ARG002
        """Ends a validation."""
        for lane in self._lanes:
            if lane.is_present:
                lane.attempt(lane.end_test)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
        """Ends an epoch."""
        for lane in self._lanes:
            if lane.is_present:
                if lane.is_training:
                    lane.attempt(lambda: self._check_data(epoch))
                if lane.is_present:
                    lane.attempt(lane.end_epoch)
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
        if all(lane.is_over for lane in self._lanes):
            self.model.stop_training = True

    def _tell(self, hook: str, who: str, batch: int) -> None:
        for lane in self._lanes:
            if getattr(lane, who):
                call = getattr(lane.member.callbacks, hook)
                lane.attempt(lambda call=call: call(batch))


def prepare_for(model: keras.Model, batch: Any) -> None:
    """Creates a model's variables from the first example of a batch."""
    if _is_dense(batch):
        prepare(model, keras.tree.map_structure(lambda x: x[:1], batch))


def _is_dense(batch: Any) -> bool:
    return all(
        isinstance(leaf, tf.Tensor) and leaf.shape.rank
        for leaf in keras.tree.flatten(batch)
    )
