"""What one network does with data, as TensorFlow functions traced once.

The functions call the model's own `train_step` and `test_step`, under the
same conditions as `keras.Model.fit` does: same shapes, same autograph status,
same compiler. So the numbers are those of `fit`, bit for bit on a CPU.
"""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from keras_evonas.training.arguments import FitArguments
from keras_evonas.training.arrays import Arrays
from keras_evonas.training.arrays import Orders

_WITHOUT_AUTOGRAPH = tf.autograph.experimental.do_not_convert


def step_function(
    model: keras.Model, step: Callable[[Any], Any]
) -> Callable[[Any], Any]:
    """A train or test step as `fit` would run it."""
    if model.run_eagerly:
        return step
    return tf.function(
        _WITHOUT_AUTOGRAPH(step),
        reduce_retracing=True,
        jit_compile=model.jit_compile,
    )


def train_epoch(
    model: keras.Model, data: Arrays
) -> Callable[[tf.Tensor], dict[str, Any]]:
    """An epoch over data in memory as one call.

    Args:
        model: A compiled model.
        data: The training data.

    Returns:
        Function from the epoch's order, a vector of indices, to its logs.
    """

    def batch(index: tf.Tensor, order: tf.Tensor) -> Any:
        start = tf.cast(index, tf.int64) * data.batch_size
        indices = order[start : start + data.batch_size]
        return data.gather(tf.ensure_shape(indices, [data.static_batch_size]))

    spec = tf.TensorSpec([data.size], tf.int64)
    return _pass(model, model.train_step, data.steps, batch, spec)


def validation(
    model: keras.Model, data: Arrays
) -> Callable[[], dict[str, Any]]:
    """A validation with data in memory as one call that returns the logs."""

    def batch(index: tf.Tensor) -> Any:
        return keras.tree.map_structure(
            lambda tensor: tf.ensure_shape(
                tensor, [data.static_batch_size, *tensor.shape[1:]]
            ),
            data.cut(index),
        )

    return _pass(model, model.test_step, data.steps, batch)


def _pass(
    model: keras.Model,
    step: Callable[[Any], Any],
    steps: int,
    batch_of: Callable[..., Any],
    *specs: tf.TensorSpec,
) -> Any:
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

    # The steps of Keras report the metrics; the user's own may not.
    reports_metrics = has_keras_steps(model)

    def run(*arguments: tf.Tensor) -> dict[str, Any]:
        model.reset_metrics()

        def body(index: tf.Tensor) -> tuple[tf.Tensor]:
            logs = step(batch_of(index, *arguments))
            if not reports_metrics and set(logs) != set(
                model.get_metrics_result()
            ):
                raise _OwnLogsError
            return (index + 1,)

        _loop(steps, body)
        return model.get_metrics_result()

    def run_with_logs(*arguments: tf.Tensor) -> dict[str, Any]:
        model.reset_metrics()
        # Traced first, for the loop needs to know what it carries along.
        concrete = _concrete(
            lambda index, *arguments: step(batch_of(index, *arguments)),
            tf.TensorSpec([], tf.int32),
            *specs,
        )

        def body(index: tf.Tensor, _: Any) -> tuple[tf.Tensor, Any]:
            return index + 1, concrete(index, *arguments)

        _, logs = _loop(steps, body, _zeros(concrete.structured_outputs))
        return logs

    try:
        return _concrete(run, *specs)
    except _OwnLogsError:
        return _concrete(run_with_logs, *specs)


class _OwnLogsError(Exception):
    """A step reports other logs than the model's metrics."""


def _concrete(function: Callable[..., Any], *specs: tf.TensorSpec) -> Any:
    traced = tf.function(_WITHOUT_AUTOGRAPH(function))
    return traced.get_concrete_function(*specs)


def _loop(steps: int, body: Callable[..., Any], *carried: Any) -> Any:
    return tf.while_loop(
        lambda index, *_: index < steps,
        body,
        (tf.constant(0), *carried),
        # One at a time: a step begins with the weights of the one before.
        parallel_iterations=1,
    )


def _zeros(structure: Any) -> Any:
    return keras.tree.map_structure(
        lambda spec: tf.zeros([size or 1 for size in spec.shape], spec.dtype),
        structure,
    )


def has_keras_steps(model: keras.Model) -> bool:
    """Whether a model trains and tests as `keras.Model` does."""
    return all(
        getattr(type(model), name) is getattr(keras.Model, name)
        for name in ("train_step", "test_step", "compute_metrics")
    )


def prepare(model: keras.Model, example: Any) -> None:
    """Creates the variables of optimizer and metrics before any tracing.

    TensorFlow traces a function twice if variables appear in it, and tracing
    is the largest cost of a small network.

    Args:
        model: A compiled model.
        example: A batch of one example, as a train step takes it.
    """
    if not has_keras_steps(model):
        return  # Only its author knows which variables such a model needs.
    x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(example)
    if not model.built:
        _build(model, x)
    if model.optimizer is not None and not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
    if y is None:
        return
    outputs = _outputs_of(model, x, y)
    model.compute_metrics(x, y, outputs, sample_weight)
    if keras.tree.is_nested(outputs) and model.loss is not None:
        model.compute_loss(x, y, outputs, sample_weight, training=False)
    model.reset_metrics()


def _build(model: keras.Model, x: Any) -> None:
    model(
        keras.tree.map_structure(
            lambda tensor: keras.KerasTensor(
                (None, *tensor.shape[1:]),
                keras.backend.standardize_dtype(tensor.dtype),
            ),
            x,
        )
    )


def _outputs_of(model: keras.Model, x: Any, y: Any) -> Any:
    """Outputs of the right shapes; their values do not matter."""
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
    """What one member does in an epoch with data in memory; traced when made.

    Args:
        model: A compiled model.
        training: The training data.
        held_out: The validation data, or `None`.
        orders: The order of the examples in each epoch.
        arguments: The arguments of `fit`.
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

    def run(self, epoch: int) -> tuple[Any, Any]:
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
