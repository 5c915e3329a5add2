"""Scores of networks that are not trained yet.

They are cheap, and rank networks about as well as the number of parameters
does: enough to choose which networks a search begins with, too little to choose
the best one (Krishnakumar et al., 2022). Larger is better. A score leaves the
model as it was.

The papers score networks in training mode, these functions in inference mode,
where dropout draws nothing and batch normalization updates nothing; with its
initial statistics it changes next to nothing. A model that takes only one batch
size needs a batch of that size. The functions need Keras on TensorFlow.
"""

import contextlib
from collections.abc import Callable
from collections.abc import Iterator

import keras
import numpy as np
import tensorflow as tf

from keras_evonas.models.costs.inputs import Structure
from keras_evonas.models.costs.inputs import fixed_batch_size
from keras_evonas.models.costs.inputs import layers_within
from keras_evonas.models.costs.inputs import states_of
from keras_evonas.models.costs.inputs import values_kept
from keras_evonas.models.kinds import SIGN_KEEPING_LAYERS
from keras_evonas.models.kinds import keeps_sign


def activation_overlap(model: keras.Model, x: Structure) -> float:
    """Scores how differently a network responds to inputs: NASWOT.

    Each input has a code, one bit a unit: 1 if the unit is active. Follows
    Mellor et al. (2021): the score is `log |det K|` of the `(n, n)` matrix
    `K` that counts the bits on which two inputs agree. Deviation: units with
    another activation than ReLU count, too, if it keeps the sign.

    Args:
        model: A built Keras model.
        x: A batch of `n` different inputs, as the model takes them.

    Returns:
        The score; `-inf` if two inputs have the same code, or no unit has one.
    """
    _check_backend()
    outputs: list[tf.Tensor] = []

    def record(layer: keras.Layer) -> Callable[..., Structure]:
        original = layer.call

        def call(*args: Structure, **kwargs: Structure) -> Structure:
            outputs.append(original(*args, **kwargs))
            return outputs[-1]

        return call

    layers = [one for one in layers_within(model) if keeps_sign(one)]
    with _calls_replaced(layers, record), values_kept(states_of(model)):
        model(x, training=False)
    if not outputs:
        return -np.inf
    flat = [np.asarray(one).reshape(len(one), -1) > 0 for one in outputs]
    codes = np.concatenate(flat, axis=1).astype("float64")
    agreement = codes @ codes.T + (1 - codes) @ (1 - codes).T
    sign, log_determinant = np.linalg.slogdet(agreement)
    return float(log_determinant) if sign > 0 else -np.inf


def gradient_norm(model: keras.Model, x: Structure, y: Structure) -> float:
    """Scores how far the first step of training would go.

    Follows Abdelfattah et al. (2021), section 3.1: the Euclidean norms of the
    gradients of the loss on one batch, summed. Deviation: biases and scales
    count beside kernels, each weight with a norm of its own.

    Args:
        model: A built and compiled Keras model.
        x: A batch of inputs.
        y: Their targets.

    Returns:
        The score.
    """
    _check_backend()
    with values_kept(states_of(model)), tf.GradientTape() as tape:
        predictions = model(x, training=False)
        loss = model.compute_loss(x=x, y=y, y_pred=predictions, training=False)
    return float(sum(tf.norm(slope) for _, slope in _slopes(tape, loss, model)))


def synflow(model: keras.Model, x: Structure) -> float:
    """Scores how much flows through all weights together: SynFlow.

    Follows Tanaka et al. (2020) and, for whole networks, Abdelfattah et al.
    (2021): with the absolute values of the weights, inputs of ones and `R` the
    sum of the outputs, the score is the sum of `|weight * dR / dweight|`. No
    data is used. Deviation: activations count as linear; ReLU is linear for
    positive inputs, and the outputs of softmax would always sum up to 1.

    Args:
        model: A built Keras model.
        x: A batch of inputs, of which only shape and type matter.

    Returns:
        The score, `inf` if it is too large for the model's numbers.
    """
    _check_backend()
    examples = fixed_batch_size(model) or 1
    ones = keras.tree.map_structure(lambda one: np.ones_like(one[:examples]), x)
    if not model.built:
        model(ones, training=False)
    layers = layers_within(model)
    kinds = (keras.layers.Softmax, *SIGN_KEEPING_LAYERS)
    squashing = [one for one in layers if isinstance(one, kinds)]
    linear, passed = _linear(layers), _calls_replaced(squashing, _identity)
    weights = model.trainable_variables
    with linear, passed, values_kept([*weights, *states_of(model)]):
        for weight in weights:
            weight.assign(keras.ops.abs(weight))
        return _flow(model, ones) / examples


def _flow(model: keras.Model, ones: Structure) -> float:
    with tf.GradientTape() as tape:
        outputs = keras.tree.flatten(model(ones, training=False))
        total = sum(tf.reduce_sum(output) for output in outputs)
    flows = [
        np.abs(np.asarray(weight) * slope).sum(dtype="float64")
        for weight, slope in _slopes(tape, total, model)
    ]
    score = float(sum(flows))
    return score if np.isfinite(score) else np.inf


def _slopes(
    tape: tf.GradientTape, total: tf.Tensor, model: keras.Model
) -> list[tuple[tf.Variable, np.ndarray]]:
    """Returns the weights on which a number depends, and its gradients."""
    weights = [weight.value for weight in model.trainable_variables]
    pairs = zip(weights, tape.gradient(total, weights), strict=True)
    return [
        (weight, np.asarray(tf.convert_to_tensor(gradient)))
        for weight, gradient in pairs
        if gradient is not None
    ]


@contextlib.contextmanager
def _calls_replaced(
    layers: list[keras.Layer],
    replacement: Callable[[keras.Layer], Callable[..., Structure]],
) -> Iterator[None]:
    for layer in layers:
        layer.call = replacement(layer)
    try:
        yield
    finally:
        for layer in layers:
            del layer.call  # The method of its class is found again.


def _identity(layer: keras.Layer) -> Callable[..., Structure]:
    del layer
    return lambda inputs, *_, **__: inputs


@contextlib.contextmanager
def _linear(layers: list[keras.Layer]) -> Iterator[None]:
    curved = [
        inner
        for layer in layers
        for inner in _with_activation(layer)
        if callable(getattr(inner, "activation", None))
    ]
    before = [one.activation for one in curved]
    for layer in curved:
        layer.activation = keras.activations.linear
    try:
        yield
    finally:
        for layer, activation in zip(curved, before, strict=True):
            layer.activation = activation


def _with_activation(layer: keras.Layer) -> list[keras.Layer]:
    """Returns a layer or, of a recurrence, the cells that have activations."""
    if isinstance(layer, keras.layers.Bidirectional):
        layers = (layer.forward_layer, layer.backward_layer)
        return [inner for one in layers for inner in _with_activation(one)]
    return [getattr(layer, "cell", layer)]


def _check_backend() -> None:
    if keras.config.backend() != "tensorflow":
        raise RuntimeError(
            "Zero-cost scores need Keras on TensorFlow. Received: Keras on "
            f"{keras.config.backend()}. Set KERAS_BACKEND=tensorflow."
        )
