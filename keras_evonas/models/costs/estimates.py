"""The costs of a Keras model before anybody pays them."""

import dataclasses
import functools
import math
from collections.abc import Callable
from collections.abc import Iterable
from typing import Any

import keras
import tensorflow as tf

from keras_evonas.models.costs.isolation import without_allocation
from keras_evonas.models.costs.tracing import ForwardPass
from keras_evonas.models.costs.tracing import forward_pass_of

# Host memory that a traced training step takes for each operation of the
# forward pass, and the gradients and temporary values, as large as the largest
# activation, that live together on the way back. `python -m
# keras_evonas.benchmarks memory` compares the estimate with what training
# takes: with TensorFlow 2.21 on a CPU 0.4 to 1.3 times the peak, median 0.98,
# for twelve networks of up to 100 M parameters; too little for small and for
# plain deep convolutional networks.
_BYTES_OF_AN_OPERATION = 300_000
_GRADIENTS = 4


@dataclasses.dataclass(frozen=True, kw_only=True)
class Costs:
    """What a model costs, known before it is trained or even allocated.

    Attributes:
        params: Number of parameters, trained or not.
        trainable_params: Number of trained parameters.
        multiply_adds: Multiply-adds of matrix products and convolutions for
            one example, forward. Papers often call this figure FLOPs.
        flops: Floating-point operations for one example, forward, as
            TensorFlow's profiler counts them: a multiply-add is two, and
            element-wise arithmetic counts too.
        weight_bytes: Bytes of all weights.
        training_bytes: Estimated peak of the memory that training takes, in
            bytes: weights, gradients, the optimizer's slots, the activations
            of one batch and the traced training step. The data set and the
            libraries themselves come on top.
        depth: Matrix products and convolutions on the longest path.
        unknown: Layers whose arithmetic is only partly known, each with the
            operation that nobody knows. Empty when `flops` is complete.
    """

    params: int
    trainable_params: int
    multiply_adds: int
    flops: int
    weight_bytes: int
    training_bytes: int
    depth: int
    unknown: tuple[str, ...] = ()


def costs_of(
    model: keras.Model,
    *,
    batch_size: int = 32,
    optimizer: keras.Optimizer | str | None = None,
    input_shapes: Any = None,
) -> Costs:
    """Tells what a built model costs. Nothing is run or trained.

    Args:
        model: A built Keras model. For one that is not built yet, use
            `costs_of_build`, which does not allocate its weights.
        batch_size: Number of examples in a training batch, for
            `Costs.training_bytes`. Defaults to `32`.
        optimizer: The optimizer to train with, or its name such as `"adam"`.
            Defaults to the model's own; a model that is not compiled counts
            without an optimizer.
        input_shapes: Shape of one example, without the batch, or a list or
            dictionary of such shapes. Needed for models that do not tell it
            themselves: subclassed ones and those with sizes of `None`.

    Returns:
        The costs, exact but for `Costs.training_bytes`.

    Raises:
        ValueError: If the model is not built, or if it does not tell the
            shape of its inputs and `input_shapes` is not given.
    """
    _check_batch_size(batch_size)
    if not model.built:
        raise ValueError(
            "`model` must be built. Received: the model "
            f"{model.name!r} without weights. Call it on data once, or use "
            "`costs_of_build(lambda: model, input_shapes=...)`."
        )
    forward = _trace(model, input_shapes)
    # A model has no attribute `optimizer` before it is compiled.
    optimizer = optimizer or getattr(model, "optimizer", None)
    slot_bytes = _slot_bytes(optimizer, model.trainable_variables)
    return Costs(
        params=_count(model.weights),
        trainable_params=_count(model.trainable_weights),
        multiply_adds=forward.multiply_adds,
        flops=2 * forward.multiply_adds + forward.other_flops,
        weight_bytes=_bytes_of(model.weights),
        training_bytes=_training_bytes(model, forward, slot_bytes, batch_size),
        depth=forward.depth,
        unknown=forward.unknown,
    )


def costs_of_build(
    build: Callable[[], keras.Model],
    *,
    batch_size: int = 32,
    optimizer: keras.Optimizer | str | None = None,
    input_shapes: Any = None,
) -> Costs:
    """Tells what a model would cost, without allocating its weights.

    The model is built in a TensorFlow graph of its own, which only knows
    shapes: a network of billions of parameters takes no memory. Layer names,
    Keras's seeds and the global random generators stay as they were.

    Args:
        build: Builds the model and returns it, compiled or not, such as
            `lambda: hypermodel.build(hp)`.
        batch_size: As in `costs_of`.
        optimizer: As in `costs_of`.
        input_shapes: As in `costs_of`.

    Returns:
        The costs, exact but for `Costs.training_bytes`.

    Raises:
        ValueError: If the model does not tell the shape of its inputs and
            `input_shapes` is not given.
    """
    maker = _unbuilt(optimizer)

    def build_and_tell() -> Costs:
        model = build()
        if not model.built:
            _build_on(model, input_shapes)
        return costs_of(
            model,
            batch_size=batch_size,
            optimizer=maker,
            input_shapes=input_shapes,
        )

    _check_batch_size(batch_size)
    return without_allocation(build_and_tell)


def _check_batch_size(batch_size: int) -> None:
    if batch_size < 1:
        raise ValueError(
            "`batch_size` must be a positive number of examples. Received: "
            f"batch_size={batch_size}. Pass the batch size of the training."
        )


def _count(weights: Iterable[keras.Variable]) -> int:
    return sum(math.prod(weight.shape) for weight in weights)


def _bytes_of(weights: Iterable[keras.Variable]) -> int:
    return sum(
        math.prod(weight.shape) * tf.as_dtype(weight.dtype).size
        for weight in weights
    )


def _unbuilt(optimizer: keras.Optimizer | str | None) -> Any:
    """What makes the caller's optimizer anew, outside of any graph.

    The caller's own may be meant for another model; and a graph cannot read
    its learning rate.
    """
    if not isinstance(optimizer, keras.Optimizer):
        return optimizer
    config = optimizer.get_config()
    return functools.partial(type(optimizer).from_config, config)


def _slot_bytes(optimizer: Any, weights: list[keras.Variable]) -> int:
    """Bytes that an optimizer keeps beside the weights that it trains."""
    if optimizer is None:
        return 0
    if isinstance(optimizer, keras.Optimizer) and optimizer.built:
        return _bytes_of(optimizer.variables)
    if tf.executing_eagerly():
        maker = _unbuilt(optimizer)
        return without_allocation(lambda: _slot_bytes(maker, _like(weights)))
    if isinstance(optimizer, functools.partial):
        optimizer = optimizer()
    optimizer = keras.optimizers.get(optimizer)
    if not optimizer.built:
        optimizer.build(weights)
    return _bytes_of(optimizer.variables)


def _like(weights: list[keras.Variable]) -> list[keras.Variable]:
    """The same in the current graph, where slots are placed beside them."""
    return [
        keras.Variable("zeros", shape=one.shape, dtype=one.dtype)
        for one in weights
    ]


def _training_bytes(
    model: keras.Model,
    forward: ForwardPass,
    slot_bytes: int,
    batch_size: int,
) -> int:
    trained = [_bytes_of([weight]) for weight in model.trainable_weights]
    copies = 1 + slot_bytes / max(1, sum(trained))
    kept = forward.kept_bytes + _GRADIENTS * forward.largest_bytes
    return (
        _bytes_of(model.weights)
        + sum(trained)
        + slot_bytes
        + round(copies * max(trained, default=0))
        + batch_size * kept
        + forward.fixed_bytes
        + _BYTES_OF_AN_OPERATION * forward.operations
    )


def _trace(model: keras.Model, input_shapes: Any) -> ForwardPass:
    inputs = inputs_of(model, input_shapes)
    specs = keras.tree.map_structure(
        lambda x: tf.TensorSpec((1, *x.shape[1:]), x.dtype, x.name), inputs
    )
    call = tf.function(lambda x: model(x, training=False), autograph=False)
    return forward_pass_of(call.get_concrete_function(specs).graph)


def _build_on(model: keras.Model, input_shapes: Any) -> None:
    if input_shapes is None:
        raise ValueError(
            "`input_shapes` must be given for a model that learns its shape "
            f"from data. Received: the model {model.name!r}, which is not "
            "built. Pass the shape of one example, or begin the model with "
            "`keras.Input`."
        )
    model(inputs_of(model, input_shapes))


def inputs_of(model: keras.Model, input_shapes: Any) -> Any:
    """Returns the inputs as Keras tensors, sizes known but for the batch.

    Raises:
        ValueError: If neither the model nor `input_shapes` tells the sizes.
    """
    own = _own_inputs(model)
    if input_shapes is not None:
        dtypes = [tensor.dtype for tensor in keras.tree.flatten(own)]
        return _of_shapes(input_shapes, iter(dtypes))
    shapes = [tuple(tensor.shape) for tensor in keras.tree.flatten(own)]
    if not shapes or any(None in shape[1:] for shape in shapes):
        raise ValueError(
            "`input_shapes` must be given for a model that does not tell the "
            f"sizes of its inputs. Received: the model {model.name!r} with "
            f"inputs of shapes {shapes}. Pass the shape of one example "
            "without the batch, such as (28, 28, 1)."
        )
    return own


def _own_inputs(model: keras.Model) -> Any:
    """The inputs that a model knows of, in its own structure."""
    structure = getattr(model, "input", None)
    if structure is not None:
        return structure
    # A `Sequential` has no `input` (Keras 3.15), a subclassed model neither.
    inputs = getattr(model, "inputs", None) or []
    return inputs[0] if len(inputs) == 1 else inputs


def _of_shapes(shapes: Any, dtypes: Any) -> Any:
    if isinstance(shapes, dict):
        return {key: _of_shapes(shapes[key], dtypes) for key in shapes}
    if all(isinstance(size, int) for size in shapes):
        return keras.Input(shapes, dtype=next(dtypes, None))
    return [_of_shapes(shape, dtypes) for shape in shapes]
