"""The costs of a Keras model, known before it is trained."""

import dataclasses
import functools
import math
from collections.abc import Callable
from collections.abc import Iterable
from typing import TypeAlias

import keras
import keras_tuner
import tensorflow as tf

from keras_evonas.models.checks import check_built
from keras_evonas.models.checks import check_hypermodel
from keras_evonas.models.costs import elsewhere
from keras_evonas.models.costs import inputs
from keras_evonas.models.costs.inputs import InputShapes
from keras_evonas.models.costs.isolation import isolated
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

# A function makes an optimizer in the graph of the model.
_Optimizer: TypeAlias = keras.Optimizer | str | Callable[[], keras.Optimizer]
Builder: TypeAlias = Callable[[keras_tuner.HyperParameters], keras.Model]
Hypermodel: TypeAlias = keras_tuner.HyperModel | Builder


@dataclasses.dataclass(frozen=True, kw_only=True)
class Costs:
    """The costs of a model, known before it is trained or even allocated.

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
            operation that is not known. Empty when `flops` is complete.
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
    input_shapes: InputShapes | None = None,
) -> Costs:
    """Returns the costs of a built model, which is neither run nor trained.

    Args:
        model: A built Keras model. For one that is not built yet, use
            `costs_of_build`, which does not allocate its weights.
        batch_size: Number of examples in a training batch, for
            `Costs.training_bytes`. A model that takes only one batch size, as
            stateful recurrences do, counts with that. Defaults to `32`.
        optimizer: The optimizer to train with, or its name such as `"adam"`.
            Defaults to the model's own; a model that is not compiled counts
            without an optimizer.
        input_shapes: Shape of one example, without the batch, or a list or
            dictionary of such shapes. Needed for subclassed models and those
            with sizes of `None`.

    Returns:
        The costs, exact but for `Costs.training_bytes`.

    Raises:
        ValueError: If the model is not built, if `batch_size` is not positive,
            or if the shape of the inputs is not known.
    """
    if batch_size < 1:
        raise ValueError(
            "`batch_size` must be a positive number of examples. Received: "
            f"batch_size={batch_size}. Pass the batch size of the training."
        )
    if not model.built:
        raise ValueError(
            f"`model` must be built. Received: the model {model.name!r} "
            "without weights. Call it on data once, or use "
            "`costs_of_build(lambda: model, input_shapes=...)`."
        )
    if elsewhere.needs_child():
        return _described(model, batch_size, optimizer, input_shapes)
    own_batch_size = inputs.fixed_batch_size(model)
    forward = _trace(model, input_shapes, own_batch_size or 1)
    # A model has no attribute `optimizer` before it is compiled.
    optimizer = optimizer or getattr(model, "optimizer", None)
    slot_bytes = _slot_bytes(optimizer, model.trainable_variables)
    return Costs(
        params=_count(model.weights),
        trainable_params=_count(model.trainable_weights),
        multiply_adds=forward.multiply_adds,
        flops=2 * forward.multiply_adds + forward.other_flops,
        weight_bytes=_bytes_of(model.weights),
        training_bytes=_training_bytes(
            model, forward, slot_bytes, own_batch_size or batch_size
        ),
        depth=forward.depth,
        unknown=forward.unknown,
    )


def costs_of_build(
    build: Callable[[], keras.Model],
    *,
    batch_size: int = 32,
    optimizer: keras.Optimizer | str | None = None,
    input_shapes: InputShapes | None = None,
) -> Costs:
    """Returns the costs of a model without allocating its weights.

    The model is built in a TensorFlow graph of its own, where weights have
    shapes but no values, so that billions of them take no memory. Layer names,
    Keras's seeds and the global random generators stay as they were. A model
    with lookup layers whose size others need is built with its weights. Where
    Keras runs on JAX or torch, a child process with TensorFlow builds it.

    Args:
        build: Function that builds the model, compiled or not, such as
            `lambda: hypermodel.build(hp)`.
        batch_size: As in `costs_of`.
        optimizer: As in `costs_of`.
        input_shapes: As in `costs_of`.

    Returns:
        The costs, exact but for `Costs.training_bytes`.

    Raises:
        ValueError: If `batch_size` is not positive, or if the shape of the
            inputs is not known.
    """
    maker = _unbuilt(optimizer)
    if elsewhere.needs_child():
        settings = (batch_size, maker, input_shapes)
        try:
            return _in_child(build, *settings)
        except elsewhere.NotSendableError:
            # It is built here, with weights, and what it is made of is sent.
            return without_allocation(lambda: _described(build(), *settings))

    def build_and_count() -> Costs:
        model = build()
        check_built("build", model)
        if not model.built:
            _build_on(model, input_shapes, batch_size)
        return costs_of(
            model,
            batch_size=batch_size,
            optimizer=maker,
            input_shapes=input_shapes,
        )

    graph = tf.Graph()
    try:
        return without_allocation(build_and_count, graph)
    except Exception:
        if not any("HashTable" in one.type for one in graph.get_operations()):
            raise
        # The tables of lookup layers can only be read outside of a graph.
        return isolated(build_and_count)


def _described(
    model: keras.Model,
    batch_size: int,
    optimizer: _Optimizer | None,
    input_shapes: InputShapes | None,
) -> Costs:
    # A model has no attribute `optimizer` before it is compiled.
    maker = _unbuilt(optimizer or getattr(model, "optimizer", None))
    build = elsewhere.description_of(model)
    return _in_child(build, batch_size, maker, input_shapes)


def _in_child(
    build: Callable[[], keras.Model],
    batch_size: int,
    optimizer: _Optimizer | None,
    input_shapes: InputShapes | None,
) -> Costs:
    task = functools.partial(
        costs_of_build,
        build,
        batch_size=batch_size,
        optimizer=optimizer,
        input_shapes=input_shapes,
    )
    return elsewhere.in_tensorflow(task)


def builder_of(hypermodel: Hypermodel) -> Builder:
    """Returns the function that builds a hypermodel's networks.

    Raises:
        TypeError: If it is no hypermodel.
    """
    check_hypermodel("hypermodel", hypermodel)
    build: Builder = getattr(hypermodel, "build", hypermodel)
    return build


@dataclasses.dataclass(frozen=True)
class HypermodelCosts:
    """Returns the costs of a hypermodel's networks before they are trained.

    Args:
        hypermodel: A `keras_tuner.HyperModel`, or a function that takes
            hyperparameters and returns a model.
        batch_size: Integer, the batch size of the training. Defaults to 32,
            as in Keras.
        input_shapes: As in `costs_of_build`.

    Example:

    ```python
    oracle = EvoOracle(
        ["val_accuracy", "params"],
        max_trials=60,
        constraints=[at_most("multiply_adds", 50e6)],
        costs=HypermodelCosts(build_model),
    )
    ```
    """

    hypermodel: Hypermodel
    batch_size: int = 32
    input_shapes: InputShapes | None = None

    def __post_init__(self) -> None:
        check_hypermodel("hypermodel", self.hypermodel)

    def __call__(self, hp: keras_tuner.HyperParameters) -> Costs:
        """Returns the costs of the network for these hyperparameters."""
        build = builder_of(self.hypermodel)
        return costs_of_build(
            lambda: build(hp),
            batch_size=self.batch_size,
            input_shapes=self.input_shapes,
        )


def _count(weights: Iterable[keras.Variable]) -> int:
    return sum(math.prod(weight.shape) for weight in weights)


def _bytes_of(weights: Iterable[keras.Variable]) -> int:
    return sum(
        math.prod(weight.shape) * tf.as_dtype(weight.dtype).size
        for weight in weights
    )


def _unbuilt(optimizer: _Optimizer | None) -> _Optimizer | None:
    """Returns a function that makes the caller's optimizer anew.

    The caller's own may be built for another model; and its learning rate
    cannot be read inside of a graph.
    """
    if not isinstance(optimizer, keras.Optimizer):
        return optimizer
    config = optimizer.get_config()
    # On torch Keras (3.15) derives an optimizer of its own from each kind.
    kinds = type(optimizer).__mro__
    kind: type[keras.Optimizer] = next(
        one for one in kinds if ".backend." not in one.__module__
    )
    return functools.partial(kind.from_config, config)


def _slot_bytes(
    optimizer: _Optimizer | None, weights: list[keras.Variable]
) -> int:
    """Returns the bytes that an optimizer keeps beside trained weights."""
    if optimizer is None:
        return 0
    if isinstance(optimizer, keras.Optimizer) and optimizer.built:
        return _bytes_of(optimizer.variables)
    if tf.executing_eagerly():
        maker = _unbuilt(optimizer)
        likes = [
            functools.partial(keras.Variable, "zeros", x.shape, x.dtype)
            for x in weights
        ]
        # Slots are placed in the graph of the weights.
        return without_allocation(
            lambda: _slot_bytes(maker, [like() for like in likes])
        )
    if isinstance(optimizer, functools.partial):
        optimizer = optimizer()
    made: keras.Optimizer = keras.optimizers.get(optimizer)
    if not made.built:
        made.build(weights)
    return _bytes_of(made.variables)


def _training_bytes(
    model: keras.Model, forward: ForwardPass, slot_bytes: int, batch_size: int
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


def _trace(
    model: keras.Model, input_shapes: InputShapes | None, batch_size: int
) -> ForwardPass:
    specs = keras.tree.map_structure(
        lambda x: tf.TensorSpec(x.shape, x.dtype, x.name),
        inputs.inputs_of(model, input_shapes, batch_size),
    )
    call = tf.function(lambda x: model(x, training=False), autograph=False)
    graph = call.get_concrete_function(specs).graph
    handles = [state.value.handle for state in inputs.states_of(model)]
    states = [
        inside.name
        for outside, inside in graph.captures
        if any(outside is handle for handle in handles)
    ]
    return forward_pass_of(graph, batch_size, states)


def _build_on(
    model: keras.Model, input_shapes: InputShapes | None, batch_size: int
) -> None:
    if input_shapes is None:
        raise ValueError(
            "`input_shapes` must be given for a model that learns its shape "
            f"from data. Received: the model {model.name!r}, which is not "
            "built. Pass the shape of one example, or begin the model with "
            "`keras.Input`."
        )
    keeps_states = any(map(inputs.is_stateful, inputs.layers_within(model)))
    size = batch_size if keeps_states else None
    model(inputs.inputs_of(model, input_shapes, size))
