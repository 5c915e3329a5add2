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
        *("Activation", "Add", "AveragePooling2D", "BatchNormalization"),
        *("Concatenate", "Conv2D", "Dense", "DepthwiseConv2D", "Dropout"),
        *("Flatten", "GlobalAveragePooling2D", "GlobalMaxPooling2D"),
        *("Identity", "InputLayer", "MaxPooling2D", "ReLU", "SeparableConv2D"),
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
# The mean is that of the loss.
_METRICS = frozenset(
    getattr(keras.metrics, name)
    for name in (
        *("BinaryAccuracy", "CategoricalAccuracy", "Mean"),
        "SparseCategoricalAccuracy",
    )
)


def has_plain_layers(model: keras.Model) -> bool:
    """Returns whether a compiled model has nothing but the above."""
    # Those that were compiled are inside of one metric.
    metrics = [
        x for one in model.metrics for x in getattr(one, "metrics", [one])
    ]
    return (
        _has_plain_loss(model)
        and all(type(metric) in _METRICS for metric in metrics)
        and _is_plain(model)
    )


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
    if part.activity_regularizer is not None:  # Divided by the batch's size.
        return False
    activation = getattr(part, "activation", keras.activations.linear)
    return activation in _ACTIVATIONS
