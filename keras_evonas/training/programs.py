"""The training of one network as TensorFlow functions, each traced once.

The functions call the model's own `train_step` and `test_step`, under the
same conditions as `keras.Model.fit` does: same shapes, same autograph status,
same compiler. So the numbers are those of `fit`, bit for bit on a CPU.
"""

from collections.abc import Callable
from typing import Any
from typing import Protocol
from typing import TypeAlias

import keras
import tensorflow as tf

from keras_evonas.training.arguments import FitArguments
from keras_evonas.training.arrays import Arrays
from keras_evonas.training.arrays import Orders
from keras_evonas.training.eligibility import NotInCohortError
from keras_evonas.training.eligibility import has_keras_steps
from keras_evonas.training.eligibility import has_own_loss

# A structure of tensors, as a train step takes it.
Batch: TypeAlias = Any
Logs: TypeAlias = dict[str, Any]
Step: TypeAlias = Callable[[Batch], Logs]


class Function(Protocol):
    """A function of TensorFlow; `Pass` is a traced one."""

    def __call__(self, batch: Batch) -> Logs:
        """Runs a step."""

    def get_concrete_function(self, batch: Batch) -> object:
        """Traces it for batches of some type."""


class Pass(Protocol):
    """A whole epoch or validation, traced."""

    structured_outputs: Logs
    graph: tf.Graph

    def __call__(self, *arguments: tf.Tensor) -> Logs:
        """Runs it, and returns the logs."""


_WITHOUT_AUTOGRAPH = tf.autograph.experimental.do_not_convert


def step_function(model: keras.Model, step: Step) -> Function:
    """Returns a train or test step as `fit` would run it."""
    function: Function = tf.function(
        _WITHOUT_AUTOGRAPH(step),
        reduce_retracing=True,
        jit_compile=model.jit_compile,
    )
    return function


def train_epoch(model: keras.Model, data: Arrays) -> Pass:
    """Returns an epoch over data in memory as one call.

    Args:
        model: A compiled model.
        data: The training data.

    Returns:
        Function from the epoch's order, a vector of indices, to its logs.
    """

    def batch(index: tf.Tensor, order: tf.Tensor) -> Batch:
        start = tf.cast(index, tf.int64) * data.batch_size
        indices = order[start : start + data.batch_size]
        return data.gather(tf.ensure_shape(indices, [data.static_batch_size]))

    spec = tf.TensorSpec([data.size], tf.int64)
    return _pass(model, model.train_step, data.steps, batch, spec)


def validation(model: keras.Model, data: Arrays) -> Pass:
    """Returns a validation with data in memory as one call without arguments.

    Args:
        model: A compiled model.
        data: The validation data.
    """

    def batch(index: tf.Tensor) -> Batch:
        return keras.tree.map_structure(
            lambda tensor: tf.ensure_shape(
                tensor, [data.static_batch_size, *tensor.shape[1:]]
            ),
            data.cut(index),
        )

    return _pass(model, model.test_step, data.steps, batch)


def _pass(
    model: keras.Model,
    step: Step,
    steps: int,
    batch_of: Callable[..., Batch],
    *specs: tf.TensorSpec,
) -> Pass:
    """Runs a step on all batches and returns what `fit` would report.

    Args:
        model: A compiled model.
        step: The model's train or test step.
        steps: Integer, number of batches.
        batch_of: Function from the number of a batch and the arguments of the
            returned function to the batch.
        *specs: What the returned function takes.
    """
    if model.jit_compile:
        step = step_function(model, step)
    if not has_keras_steps(model):
        return _pass_of_own_steps(model, step, steps, batch_of, *specs)

    def run(*arguments: tf.Tensor) -> Logs:
        model.reset_metrics()

        def body(index: tf.Tensor) -> tuple[tf.Tensor]:
            step(batch_of(index, *arguments))
            return (index + 1,)

        _loop(steps, body)
        logs: Logs = model.get_metrics_result()
        return logs

    return _concrete(run, *specs)


def _pass_of_own_steps(
    model: keras.Model,
    step: Step,
    steps: int,
    batch_of: Callable[..., Batch],
    *specs: tf.TensorSpec,
) -> Pass:
    """Does the same with a step of the user's own; see `_pass`.

    As in `fit`, the metrics are reported if the step reports logs of their
    names, and otherwise the logs of the last batch.
    """
    # Traced first and alone: the step may create variables, and the loop must
    # be given the types of what it carries along.
    one_step = _concrete(
        lambda index, *arguments: step(batch_of(index, *arguments)),
        tf.TensorSpec([], tf.int32),
        *specs,
    )
    reported = one_step.structured_outputs
    if isinstance(reported, dict) and set(reported) == set(
        model.get_metrics_result()
    ):

        def run(*arguments: tf.Tensor) -> Logs:
            model.reset_metrics()

            def body(index: tf.Tensor) -> tuple[tf.Tensor]:
                one_step(index, *arguments)
                return (index + 1,)

            _loop(steps, body)
            logs: Logs = model.get_metrics_result()
            return logs

        return _concrete(run, *specs)

    leaves = keras.tree.flatten(reported)
    specs_of_logs = [leaf for leaf in leaves if leaf is not None]
    if not all(hasattr(leaf, "shape") for leaf in specs_of_logs) or any(
        isinstance(leaf, tf.RaggedTensorSpec | tf.SparseTensorSpec)
        for leaf in specs_of_logs
    ):
        raise NotInCohortError("the model's step reports other than tensors")

    def run_with_logs(*arguments: tf.Tensor) -> Logs:
        model.reset_metrics()

        def body(index: tf.Tensor, *_: tf.Tensor) -> tuple[tf.Tensor, ...]:
            logs = keras.tree.flatten(one_step(index, *arguments))
            return (index + 1, *(log for log in logs if log is not None))

        _, *last = _loop(steps, body, *specs_of_logs)
        values = iter(last)
        logs: Logs = keras.tree.pack_sequence_as(
            reported,
            [None if leaf is None else next(values) for leaf in leaves],
        )
        return logs

    return _concrete(run_with_logs, *specs)


def _concrete(function: Callable[..., Logs], *specs: tf.TensorSpec) -> Pass:
    traced = tf.function(_WITHOUT_AUTOGRAPH(function))
    concrete: Pass = traced.get_concrete_function(*specs)
    return concrete


def _loop(
    steps: int,
    body: Callable[..., tuple[tf.Tensor, ...]],
    *carried: tf.TensorSpec,
) -> tuple[tf.Tensor, ...]:
    """Runs a body for each number of a batch.

    Args:
        steps: Integer, number of batches.
        body: Function from the number and what the last call returned beside
            it to the next number and the same.
        *carried: What the body returns beside the number.
    """
    begin = [
        tf.zeros([size or 0 for size in spec.shape], spec.dtype)
        for spec in carried
    ]
    results: tuple[tf.Tensor, ...] = tf.while_loop(
        lambda index, *_: index < steps,
        body,
        (tf.constant(0), *begin),
        shape_invariants=(
            tf.TensorShape([]),
            *(tf.TensorShape(spec.shape) for spec in carried),
        ),
        # One at a time: a step begins with the weights of the one before.
        parallel_iterations=1,
    )
    return results


def _draws_from_tensorflow(function: Pass) -> bool:
    """Returns whether a function has random operations with a hidden state.

    TensorFlow forgets that state whenever a global seed is set. The layers of
    Keras keep theirs in variables.
    """
    graph = function.graph.as_graph_def()
    nodes = [graph.node, *(each.node_def for each in graph.library.function)]
    return any("seed2" in node.attr for part in nodes for node in part)


def prepare(model: keras.Model, example: Batch) -> None:
    """Creates the variables of optimizer and metrics before any tracing.

    TensorFlow traces a function twice if variables appear in it, and tracing
    is the largest cost of a small network.

    Args:
        model: A compiled model.
        example: A batch of one example, as a train step takes it.
    """
    if not has_keras_steps(model):
        return  # Its steps may need other variables, or none of these.
    x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(example)
    if not model.built:
        _build(model, x)
    if model.optimizer is not None and not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
    if y is None:
        return
    outputs = _outputs_of(model, x, y)
    model.compute_metrics(x, y, outputs, sample_weight)
    has_loss = model.loss is not None and not has_own_loss(model)
    if keras.tree.is_nested(outputs) and has_loss:
        model.compute_loss(x, y, outputs, sample_weight, training=False)
    model.reset_metrics()


def _build(model: keras.Model, x: Batch) -> None:
    model(
        keras.tree.map_structure(
            lambda tensor: keras.KerasTensor(
                (None, *tensor.shape[1:]),
                keras.backend.standardize_dtype(tensor.dtype),
            ),
            x,
        )
    )


def _outputs_of(model: keras.Model, x: Batch, y: Batch) -> Batch:
    """Returns outputs of the right shapes; their values do not matter."""
    outputs = getattr(model, "outputs", None) or []
    if (
        not keras.tree.is_nested(y)
        and len(outputs) == 1
        and None not in outputs[0].shape[1:]
    ):
        return tf.zeros((1, *outputs[0].shape[1:]), outputs[0].dtype)
    # A layer may draw random numbers even here.
    state = [
        (weight, weight.numpy()) for weight in model.non_trainable_variables
    ]
    outputs = model(x)
    for weight, value in state:
        weight.assign(value)
    return outputs


class Program:
    """An epoch of one member with data in memory, traced when it is made.

    Args:
        model: A compiled model.
        training: The training data.
        held_out: The validation data, or `None`.
        orders: The order of the examples in each epoch.
        arguments: The arguments of `fit`.

    Attributes:
        steps: Integer, number of batches in an epoch.
        draws_from_tensorflow: Boolean, whether setting a global seed would
            change the random numbers of the member.
    """

    def __init__(
        self,
        model: keras.Model,
        training: Arrays,
        held_out: Arrays | None,
        orders: Orders,
        arguments: FitArguments,
    ) -> None:
        prepare(model, training.example())
        self.steps = training.steps
        self._orders = orders
        self._arguments = arguments
        self._train = train_epoch(model, training)
        self._validate = (
            None if held_out is None else validation(model, held_out)
        )
        self.draws_from_tensorflow = any(
            _draws_from_tensorflow(function)
            for function in (self._train, self._validate)
            if function is not None
        )

    def run(self, epoch: int) -> tuple[Logs, Logs | None]:
        """Runs an epoch.

        Args:
            epoch: Integer, as `fit` counts them.

        Returns:
            The logs of the training and, if there was one, of the validation.
        """
        number = epoch - self._arguments.initial_epoch
        logs = self._train(self._orders.of_epoch(number))
        if self._validate and self._arguments.validates_after(epoch):
            return logs, self._validate()
        return logs, None
