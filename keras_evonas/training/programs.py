"""The training of a network, traced into functions of TensorFlow.

The functions call the model's own `train_step` and `test_step`, under the
same conditions as `keras.Model.fit` does: same shapes, same autograph status,
same compiler. So the numbers are those of `fit`, bit for bit on a CPU.
"""

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Sequence
from typing import Any
from typing import Protocol
from typing import TypeAlias

import keras
import tensorflow as tf

from keras_evonas.training.arrays import Arrays
from keras_evonas.training.eligibility import NotInCohortError
from keras_evonas.training.eligibility import has_own
from keras_evonas.training.eligibility import is_made_of_layers
from keras_evonas.training.plain_layers import has_plain_layers
from keras_evonas.training.values import leaves_of
from keras_evonas.training.values import map_leaves

# A structure of tensors, as a train step takes it.
Batch: TypeAlias = Any
Logs: TypeAlias = dict[str, Any]
Step: TypeAlias = Callable[[Batch], Logs]


# A function in the runtime of TensorFlow, with all that it captured as inputs.
Function: TypeAlias = Any


class Concrete(Protocol):
    """A whole epoch or validation, traced."""

    graph: tf.Graph
    structured_outputs: Logs
    captured_inputs: Sequence[tf.Tensor]
    inference_fn: Function

    def __call__(self, *arguments: tf.Tensor) -> Logs:
        """Runs it, and returns the logs."""


_PLAIN_OPTIMIZERS = {
    getattr(keras.optimizers, name)
    for name in (
        *("Adadelta", "Adagrad", "Adam", "AdamW", "Adamax", "Ftrl", "Lamb"),
        *("Lion", "LossScaleOptimizer", "RMSprop", "SGD"),
    )
}
_STEPS = ("train_step", "test_step", "compute_metrics")
_WITHOUT_AUTOGRAPH = tf.autograph.experimental.do_not_convert


def step_function(model: keras.Model, step: Step) -> Step:
    """Returns a train or test step as `fit` would run it."""
    function: Step = tf.function(
        _WITHOUT_AUTOGRAPH(step),
        reduce_retracing=True,
        jit_compile=model.jit_compile,
    )
    return function


def train_epoch(
    model: keras.Model, data: Arrays, *, by_step: bool = False
) -> Concrete:
    """Returns an epoch as a function of its order and of the data.

    The order is a vector of indices, and the data come leaf by leaf. With
    `by_step` it is the function of a single step, which takes the number of its
    batch before them.
    """

    def batch(index: tf.Tensor, order: tf.Tensor, *leaves: tf.Tensor) -> Batch:
        start = tf.cast(index, tf.int64) * data.batch_size
        indices = order[start : start + data.batch_size]
        indices = tf.ensure_shape(indices, [data.static_batch_size])
        return data.with_leaves(leaves).gather(indices)

    order = tf.TensorSpec([data.size], tf.int64)
    make = _step if by_step else _pass
    return make(model, model.train_step, data, batch, order)


def validation(
    model: keras.Model, data: Arrays, *, by_step: bool = False
) -> Concrete:
    """Returns a validation as a function of the data, leaf by leaf.

    With `by_step` it is the function of a single step, which takes the number
    of its batch before them.
    """

    def sized(tensor: tf.Tensor) -> tf.Tensor:
        shape = [data.static_batch_size, *tensor.shape[1:]]
        return tf.ensure_shape(tensor, shape)

    def batch(index: tf.Tensor, *leaves: tf.Tensor) -> Batch:
        cut = data.with_leaves(leaves).cut(index)
        return keras.tree.map_structure(sized, cut)

    make = _step if by_step else _pass
    return make(model, model.test_step, data, batch)


def has_swish_layers(model: keras.Model) -> bool:
    """Returns whether a layer must run batch by batch, as in `fit`.

    Where oneDNN is on, TensorFlow (2.19 to 2.21) fuses `x * sigmoid(x)` into
    one operation, whose last bits differ, but not inside of a loop.
    """
    layers = model._flatten_layers(include_self=False)  # noqa: SLF001
    swish = keras.activations.silu
    return any(getattr(one, "activation", None) is swish for one in layers)


def has_swish_operations(traced: Concrete) -> bool:
    """Returns the same of what was traced, whatever layer it came from."""
    graph = traced.graph.as_graph_def()
    functions = (one.node_def for one in graph.library.function)
    return any(map(_has_swish, (graph.node, *functions)))


def _has_swish(nodes: Iterable[Any]) -> bool:
    inputs = {
        node.name: [name.split(":")[0] for name in node.input]
        for node in nodes
        if node.op in ("Mul", "Sigmoid")
    }
    sigmoids = {node.name for node in nodes if node.op == "Sigmoid"}
    for factors in inputs.values():
        for name in sigmoids.intersection(factors):
            (source,) = inputs[name]
            # It may be scaled first, by 1.
            if {source, *inputs.get(source, ())}.intersection(factors):
                return True
    return False


def _step(
    model: keras.Model,
    step: Step,
    data: Arrays,
    batch_of: Callable[..., Batch],
    *specs: tf.TensorSpec,
) -> Concrete:
    """Runs a step on one batch, whose number comes first."""
    step = step_function(model, step)

    def take(index: tf.Tensor, *arguments: tf.Tensor) -> Logs:
        return step(batch_of(index, *arguments))

    return _concrete(take, *_specs_of_step(data, specs))


def _specs_of_step(
    data: Arrays, specs: Sequence[tf.TensorSpec]
) -> list[tf.TensorSpec]:
    leaves = [tf.TensorSpec(x.shape, x.dtype) for x in data.leaves]
    return [tf.TensorSpec([], tf.int32), *specs, *leaves]


def _pass(
    model: keras.Model,
    step: Step,
    data: Arrays,
    batch_of: Callable[..., Batch],
    *specs: tf.TensorSpec,
) -> Concrete:
    """Runs a step on all batches and returns what `fit` would report.

    That is the metrics, or the logs of the last batch if a step of the user's
    own reports other logs than those of their names. `batch_of` makes the batch
    of its number and of the arguments of the returned function, which takes
    `specs` and the leaves of the data.
    """
    index, *rest = _specs_of_step(data, specs)
    if model.jit_compile or not has_plain_layers(model):
        step = step_function(model, step)

    def take(index: tf.Tensor, *arguments: tf.Tensor) -> Logs:
        return step(batch_of(index, *arguments))

    take_step: Callable[..., Logs] = take
    reported = None
    if has_own(model, *_STEPS):
        # Traced first and alone: the step may create variables, and the loop
        # must be given the types of what it carries along.
        take_step = one = _concrete(take, index, *rest)
        reported = one.structured_outputs
        if isinstance(reported, dict) and set(reported) == set(
            model.get_metrics_result()
        ):
            reported = None
    carried = leaves_of(reported)
    if not all(isinstance(x, tf.Tensor | tf.TensorSpec) for x in carried):
        raise NotInCohortError("the model's step reports other than tensors")

    def run(*arguments: tf.Tensor) -> Logs:
        model.reset_metrics()

        def body(index: tf.Tensor, *_: tf.Tensor) -> tuple[tf.Tensor, ...]:
            logs = leaves_of(take_step(index, *arguments))
            return (index + 1, *(logs if carried else ()))

        _, *last = _loop(data.steps, body, *carried)
        if reported is None:
            logs: Logs = model.get_metrics_result()
        else:
            values = iter(last)
            logs = map_leaves(lambda _: next(values), reported)
        return logs

    return _concrete(run, *rest)


def _concrete(function: Callable[..., Logs], *specs: tf.TensorSpec) -> Concrete:
    traced = tf.function(_WITHOUT_AUTOGRAPH(function))
    concrete: Concrete = traced.get_concrete_function(*specs)
    return concrete


def _loop(
    steps: int,
    body: Callable[..., tuple[tf.Tensor, ...]],
    *carried: tf.TensorSpec,
) -> tuple[tf.Tensor, ...]:
    """Runs a body for each number of a batch.

    It returns the next number and what is `carried` to its next call.
    """
    begin = [
        tf.zeros([size or 0 for size in spec.shape], spec.dtype)
        for spec in carried
    ]
    shapes = [tf.TensorShape(spec.shape) for spec in carried]
    results: tuple[tf.Tensor, ...] = tf.while_loop(
        lambda index, *_: index < steps,
        body,
        (tf.constant(0), *begin),
        shape_invariants=(tf.TensorShape([]), *shapes),
        # One at a time: a step begins with the weights of the one before.
        parallel_iterations=1,
    )
    return results


def draws_from_tensorflow(function: Concrete) -> bool:
    """Returns whether a function has random operations with a hidden state.

    TensorFlow forgets that state whenever a global seed is set. The layers of
    Keras keep theirs in variables.
    """
    graph = function.graph.as_graph_def()
    nodes = [graph.node, *(each.node_def for each in graph.library.function)]
    return any("seed2" in node.attr for part in nodes for node in part)


def prepare(model: keras.Model, batch: Batch, rows: int | None) -> None:
    """Creates the variables of optimizer and metrics before any tracing.

    TensorFlow traces a function twice if variables appear in it, and tracing is
    the largest cost of a small network.

    Args:
        model: A compiled model.
        batch: The first batch, as a train step takes it.
        rows: Integer, the number of examples that all batches have, or `None`
            if it varies. Layers may depend on it, such as a stateful LSTM.
    """
    if has_own(model, *_STEPS):
        return  # Its steps may need other variables, or none of these.
    x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(batch)
    if not model.built:
        model(keras.tree.map_structure(lambda leaf: _symbol(leaf, rows), x))
    if model.optimizer is not None and not model.optimizer.built:
        _build_optimizer(model)
    if y is None:
        return
    outputs = _outputs_of(model, x)
    if outputs is None:
        return
    model.compute_metrics(x, y, outputs, sample_weight)
    has_loss = model.loss is not None and not has_own(model, "compute_loss")
    if keras.tree.is_nested(outputs) and has_loss:
        model.compute_loss(x, y, outputs, sample_weight, training=False)
    model.reset_metrics()


def _build_optimizer(model: keras.Model) -> None:
    """Builds the optimizer as `fit` does (Keras 3.15), in a traced function.

    What is assigned there, such as the first values of the slots of
    `ScheduleFreeAdamW`, is lost; what variables are made of is kept. For
    optimizers that do neither a function makes no difference, and takes ten
    times as long.
    """
    inner = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    if {type(model.optimizer), type(inner)} <= _PLAIN_OPTIMIZERS:
        model.optimizer.build(model.trainable_variables)
        return

    def build() -> None:
        if not model.optimizer.built:  # It is traced twice.
            model.optimizer.build(model.trainable_variables)

    tf.function(_WITHOUT_AUTOGRAPH(build)).get_concrete_function()


def _symbol(tensor: tf.Tensor, rows: int | None) -> keras.KerasTensor:
    dtype = keras.backend.standardize_dtype(tensor.dtype)
    return keras.KerasTensor((rows, *tensor.shape[1:]), dtype)


def _outputs_of(model: keras.Model, x: Batch) -> Batch:
    """Returns outputs of the right shapes, or `None` if they are unknown.

    The model is not run: a stateful layer would go on from this batch.
    """
    rows = leaves_of(x)[0].shape[0]
    outputs = None
    if is_made_of_layers(model):
        outputs = model.compute_output_spec(model.inputs)
    if outputs is None or not _has_known_shapes(outputs):
        call = tf.function(_WITHOUT_AUTOGRAPH(lambda x: model(x)))
        outputs = call.get_concrete_function(x).structured_outputs
    if not _has_known_shapes(outputs):
        return None
    return keras.tree.map_structure(
        lambda leaf: tf.zeros((rows, *leaf.shape[1:]), leaf.dtype), outputs
    )


def _has_known_shapes(outputs: Batch) -> bool:
    leaves = keras.tree.flatten(outputs)
    return all(None not in tuple(leaf.shape)[1:] for leaf in leaves)
