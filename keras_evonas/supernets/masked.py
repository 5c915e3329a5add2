"""Layers of a supernet that are called with the part of a path.

The functions change layers in place: `call` of a layer is replaced by one that
calls it with masked kernels, and keeps statistics that are off the path.
"""

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_evonas.supernets.masks import Axes
from keras_evonas.supernets.masks import Variables
from keras_evonas.supernets.masks import broadcast
from keras_evonas.supernets.slices import Slice


def mask_layers(
    leaves: Sequence[keras.layers.Layer],
    slices: Mapping[int, Slice],
    index_of: Variables,
) -> dict[int, Axes]:
    """Makes layers take the part of the current path.

    Args:
        leaves: The layers that the keys of `slices` number.
        slices: Their parts; see `slices_of`.
        index_of: The variables that hold the path.

    Returns:
        The masks of all weights that have some, by the identities of weights.
    """
    found: dict[int, Axes] = {}
    for place, one in slices.items():
        layer = leaves[place]
        kernels = _some(layer.weights, one.masked)
        if kernels:
            _mask_kernels(layer, kernels, index_of)
        axes = _some(layer.weights, one.axes)
        found.update({id(weight): each for weight, each in axes})
        states = [
            (weight, each)
            for weight, each in axes
            if any(weight is x for x in layer.non_trainable_weights)
        ]
        if states and not kernels:
            _keep_states(layer, states, index_of)
    return found


def _some(
    weights: Sequence[keras.Variable], axes: Sequence[Axes]
) -> list[tuple[keras.Variable, Axes]]:
    """Returns the weights that have masks, with these."""
    pairs = zip(weights, axes, strict=True)
    return [(w, each) for w, each in pairs if any(m is not None for m in each)]


def _mask_kernels(
    layer: keras.layers.Layer,
    kernels: Sequence[tuple[keras.Variable, Axes]],
    index_of: Variables,
) -> None:
    """Leaves out what comes from channels, or lies on pixels, off the path."""
    plain: Callable[..., Any] = layer.call

    def call(*args: object, **kwargs: object) -> object:
        masked = []
        for kernel, axes in kernels:
            value = kernel.value
            is_on = tf.cast(broadcast(axes, index_of), value.dtype)
            masked.append((kernel, value * is_on))
        # Inside of it Keras reads these values in place of its variables.
        with keras.StatelessScope(masked, initialize_variables=False):
            return plain(*args, **kwargs)

    layer.call = call


def _keep_states(
    layer: keras.layers.Layer,
    states: Sequence[tuple[keras.Variable, Axes]],
    index_of: Variables,
) -> None:
    """Leaves statistics of channels off the path as they are."""
    plain: Callable[..., Any] = layer.call

    def call(*args: object, **kwargs: object) -> object:
        before = [tf.identity(state.value) for state, _ in states]
        outputs = plain(*args, **kwargs)
        for (state, axes), kept in zip(states, before, strict=True):
            is_on = broadcast(axes, index_of)
            state.assign(tf.where(is_on, state.value, kept))
        return outputs

    layer.call = call
