"""Scores of networks that are not trained yet.

They are cheap, and right about as often as the number of parameters is: good
for choosing whom to begin a search with, not for choosing a winner
(Krishnakumar et al., 2022). Larger is better. A model is as it was when a
score returns.

The papers look at networks in training. These functions look at inference, so
that dropout draws nothing and batch normalization learns nothing; at
initialization the latter then changes next to nothing. They need Keras on
TensorFlow.
"""

import contextlib
from collections.abc import Callable
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

# Activations whose result is positive exactly where their input is.
_SIGN_KEEPING = {
    keras.activations.elu,
    keras.activations.gelu,
    keras.activations.leaky_relu,
    keras.activations.relu,
    keras.activations.relu6,
    keras.activations.selu,
    keras.activations.silu,
    keras.activations.tanh,
}
_SIGN_KEEPING_LAYERS = (
    keras.layers.ELU,
    keras.layers.LeakyReLU,
    keras.layers.PReLU,
    keras.layers.ReLU,
)


def activation_overlap(model: keras.Model, x: Any) -> float:
    """How differently a network sees inputs: NASWOT.

    Each input has a code, one bit a unit: whether the unit is active. Follows
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
    outputs: list[Any] = []

    def record(layer: keras.Layer) -> Callable[..., Any]:
        original = layer.call

        def call(*args: Any, **kwargs: Any) -> Any:
            outputs.append(original(*args, **kwargs))
            return outputs[-1]

        return call

    layers = [one for one in _layers(model) if _keeps_sign(one)]
    with _calls_replaced(layers, record):
        model(x, training=False)
    if not outputs:
        return -np.inf
    flat = [np.asarray(one).reshape(len(one), -1) > 0 for one in outputs]
    codes = np.concatenate(flat, axis=1).astype("float64")
    agreement = codes @ codes.T + (1 - codes) @ (1 - codes).T
    sign, log_determinant = np.linalg.slogdet(agreement)
    return float(log_determinant) if sign > 0 else -np.inf


def gradient_norm(model: keras.Model, x: Any, y: Any) -> float:
    """How much a network would move in its first step.

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
    with tf.GradientTape() as tape:
        predictions = model(x, training=False)
        loss = model.compute_loss(x=x, y=y, y_pred=predictions, training=False)
    weights = [weight.value for weight in model.trainable_variables]
    gradients = tape.gradient(loss, weights)
    return float(
        sum(
            tf.norm(tf.convert_to_tensor(g)) for g in gradients if g is not None
        )
    )


def synflow(model: keras.Model, x: Any) -> float:
    """How much flows through all weights together: SynFlow.

    Follows Tanaka et al. (2020) and, for whole networks, Abdelfattah et al.
    (2021): with the absolute values of the weights, inputs of ones and `R` the
    sum of the outputs, the score is the sum of `|weight * dR / dweight|`. No
    data is used. Deviation: activations count as linear, which ReLU is for
    what is positive, and without which softmax would let nothing flow.

    Args:
        model: A built Keras model.
        x: A batch of inputs, of which only shape and type matter.

    Returns:
        The score, `inf` if it is too large for the model's numbers.
    """
    _check_backend()
    ones = keras.tree.map_structure(lambda one: np.ones_like(one[:1]), x)
    if not model.built:
        model(ones, training=False)
    layers = _layers(model)
    squashing = [
        one
        for one in layers
        if isinstance(one, (keras.layers.Softmax, *_SIGN_KEEPING_LAYERS))
    ]
    before = [np.array(weight) for weight in model.trainable_variables]
    try:
        for weight, value in zip(
            model.trainable_variables, before, strict=True
        ):
            weight.assign(np.abs(value))
        with _linear(layers), _calls_replaced(squashing, _identity):
            return _flow(model, ones)
    finally:
        for weight, value in zip(
            model.trainable_variables, before, strict=True
        ):
            weight.assign(value)


def _flow(model: keras.Model, ones: Any) -> float:
    weights = [weight.value for weight in model.trainable_variables]
    with tf.GradientTape() as tape:
        outputs = keras.tree.flatten(model(ones, training=False))
        total = sum(tf.reduce_sum(output) for output in outputs)
    score = 0.0
    for weight, gradient in zip(
        weights, tape.gradient(total, weights), strict=True
    ):
        if gradient is not None:
            flow = np.asarray(weight) * np.asarray(
                tf.convert_to_tensor(gradient)
            )
            score += float(np.abs(flow).sum(dtype="float64"))
    return score if np.isfinite(score) else np.inf


def _layers(model: keras.Model) -> list[keras.Layer]:
    """All layers, those of models inside of the model included, each once."""
    found: dict[int, keras.Layer] = {}
    waiting = list(model.layers)
    while waiting:
        layer = waiting.pop(0)
        if id(layer) not in found:
            found[id(layer)] = layer
            waiting.extend(getattr(layer, "layers", ()))
    return list(found.values())


def _keeps_sign(layer: keras.Layer) -> bool:
    activation = getattr(layer, "activation", None)
    return (
        isinstance(layer, _SIGN_KEEPING_LAYERS)
        or activation in _SIGN_KEEPING
        or isinstance(activation, _SIGN_KEEPING_LAYERS)
    )


@contextlib.contextmanager
def _calls_replaced(
    layers: list[keras.Layer],
    replacement: Callable[[keras.Layer], Callable[..., Any]],
) -> Iterator[None]:
    for layer in layers:
        layer.call = replacement(layer)
    try:
        yield
    finally:
        for layer in layers:
            del layer.call  # what its class has shows again


def _identity(layer: keras.Layer) -> Callable[..., Any]:
    del layer
    return lambda inputs, *_, **__: inputs


@contextlib.contextmanager
def _linear(layers: list[keras.Layer]) -> Iterator[None]:
    curved = [one for one in layers if callable(_activation(one))]
    before = [one.activation for one in curved]
    for layer in curved:
        layer.activation = keras.activations.linear
    try:
        yield
    finally:
        for layer, activation in zip(curved, before, strict=True):
            layer.activation = activation


def _activation(layer: keras.Layer) -> Any:
    return getattr(layer, "activation", None)


def _check_backend() -> None:
    if keras.config.backend() != "tensorflow":
        raise RuntimeError(
            "Zero-cost scores need Keras on TensorFlow. Received: Keras on "
            f"{keras.config.backend()}. Set KERAS_BACKEND=tensorflow."
        )
