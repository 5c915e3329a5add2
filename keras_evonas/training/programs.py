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
    train = model.train_step
    if model.jit_compile:
        train = step_function(model, train)
    step = _concrete(
        lambda indices: train(data.gather(indices)), data.indices_spec()
    )

    def batch(order: tf.Tensor, index: tf.Tensor) -> tf.Tensor:
        start = tf.cast(index, tf.int64) * data.batch_size
        indices = order[start : start + data.batch_size]
        return tf.ensure_shape(indices, [data.static_batch_size])

    def epoch(order: tf.Tensor) -> dict[str, Any]:
        model.reset_metrics()
        return _last_logs(
            model, data.steps, step, lambda index: (batch(order, index),)
        )

    return _concrete(epoch, tf.TensorSpec([data.size], tf.int64))


def validation(
    model: keras.Model, data: Arrays
) -> Callable[[], dict[str, Any]]:
    """A validation with data in memory as one call that returns the logs."""
    test = model.test_step
    if model.jit_compile:
        test = step_function(model, test)

    def run(index: tf.Tensor) -> Any:
        batch = keras.tree.map_structure(
            lambda tensor: tf.ensure_shape(
                tensor, [data.static_batch_size, *tensor.shape[1:]]
            ),
            data.cut(index),
        )
        return test(batch)

    step = _concrete(run, tf.TensorSpec([], tf.int32))

    def whole() -> dict[str, Any]:
        model.reset_metrics()
        return _last_logs(model, data.steps, step, lambda index: (index,))

    return _concrete(whole)


def _concrete(function: Callable[..., Any], *specs: tf.TensorSpec) -> Any:
    traced = tf.function(_WITHOUT_AUTOGRAPH(function))
    return traced.get_concrete_function(*specs)


def _last_logs(
    model: keras.Model,
    steps: int,
    step: Any,
    arguments_of: Callable[[tf.Tensor], tuple[tf.Tensor, ...]],
) -> dict[str, Any]:
    """Runs all steps and returns what `fit` would report at their end."""
    results = step.structured_outputs
    reports_metrics = isinstance(results, dict) and set(results) == set(
        model.get_metrics_result()
    )
    # Logs are carried along only if they cannot be read from the metrics.
    logs = () if reports_metrics else _zeros(results)

    def body(index: tf.Tensor, _: Any) -> tuple[tf.Tensor, Any]:
        new = step(*arguments_of(index))
        return index + 1, () if reports_metrics else new

    _, logs = tf.while_loop(
        lambda index, _: index < steps,
        body,
        (tf.constant(0), logs),
        # One at a time: a step begins with the weights of the one before.
        parallel_iterations=1,
    )
    return model.get_metrics_result() if reports_metrics else logs


def _zeros(structure: Any) -> Any:
    return keras.tree.map_structure(
        lambda spec: tf.zeros([size or 1 for size in spec.shape], spec.dtype),
        structure,
    )


def prepare(model: keras.Model, example: Any) -> None:
    """Creates the variables of optimizer and metrics before any tracing.

    TensorFlow traces a function twice if variables appear in it, and tracing
    is the largest cost of a small network.

    Args:
        model: A compiled model.
        example: A batch of one example, as a train step takes it.
    """
    if type(model).train_step is not keras.Model.train_step:
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
