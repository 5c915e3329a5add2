"""Models that TensorFlow optimizes alike in one function and in two.

`fit` calls a train step as a function inside of another one. TensorFlow (2.19
to 2.21) reorders some products by the shapes that it knows, and knows others
where both are traced as one: with an exponential, or a product of two tensors,
losses differ in their last bit if the last batch is smaller than the others.
To trace one function takes a fifth less time, and for the models of this
module the numbers were found equal.
"""

from collections.abc import Sequence

import keras

from keras_evonas.training.eligibility import is_made_of_layers

_LAYERS = frozenset(
    getattr(keras.layers, name)
    for name in (
        *("Activation", "Add", "AveragePooling1D", "AveragePooling2D"),
        *("BatchNormalization", "Concatenate", "Conv1D", "Conv2D", "Dense"),
        *("DepthwiseConv2D", "Dropout", "Flatten", "GlobalAveragePooling1D"),
        *("GlobalAveragePooling2D", "GlobalMaxPooling1D"),
        *("GlobalMaxPooling2D", "Identity", "InputLayer", "MaxPooling1D"),
        *("MaxPooling2D", "ReLU", "Reshape", "SeparableConv2D"),
    )
)
_ACTIVATIONS = frozenset(
    getattr(keras.activations, name)
    for name in (
        *("elu", "gelu", "leaky_relu", "linear", "relu", "selu", "sigmoid"),
        *("silu", "softmax", "softplus", "tanh"),
    )
)
_LOSSES = frozenset(
    getattr(keras.losses, name)
    for name in (
        *("binary_crossentropy", "categorical_crossentropy"),
        *("mean_squared_error", "sparse_categorical_crossentropy"),
    )
)


def has_plain_layers(model: keras.Model) -> bool:
    """Returns whether a compiled model has layers and a loss of the above."""
    return _has_plain_loss(model) and _is_plain(model)


def _has_plain_loss(model: keras.Model) -> bool:
    loss = model.loss
    if not isinstance(loss, str | keras.losses.Loss):
        return False
    function = keras.losses.get(loss)
    return getattr(function, "fn", function) in _LOSSES


def _is_plain(part: keras.Operation) -> bool:
    if isinstance(part, keras.Model):
        # A functional model may hold operations that are no layers.
        name = "layers" if isinstance(part, keras.Sequential) else "operations"
        parts: Sequence[keras.Operation] = getattr(part, name, ())
        return (
            bool(parts)
            and is_made_of_layers(part)
            and all(map(_is_plain, parts))
        )
    if type(part) not in _LAYERS or part.dtype_policy.name != "float32":
        return False
    activation = getattr(part, "activation", keras.activations.linear)
    return activation in _ACTIVATIONS
