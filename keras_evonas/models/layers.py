"""Layers as the hypermodels of this package put them together."""

from typing import Any

import keras

NORMALIZATIONS = ("none", "batch", "layer")


def normalized(tensor: Any, kind: str) -> Any:
    """Applies one of `NORMALIZATIONS`."""
    if kind == "batch":
        return keras.layers.BatchNormalization()(tensor)
    if kind == "layer":
        return keras.layers.LayerNormalization()(tensor)
    return tensor


def dropped_out(tensor: Any, rate: float) -> Any:
    """Applies dropout, or nothing at a rate of 0."""
    return keras.layers.Dropout(rate)(tensor) if rate else tensor


def dense_block(
    tensor: Any,
    *,
    units: int,
    activation: str,
    normalization: str = "none",
    dropout: float = 0.0,
) -> Any:
    """Applies a Dense layer, a normalization, an activation and dropout."""
    # A normalization has its own offset and makes the bias idle.
    tensor = keras.layers.Dense(units, use_bias=normalization == "none")(tensor)
    tensor = normalized(tensor, normalization)
    tensor = keras.layers.Activation(activation)(tensor)
    return dropped_out(tensor, dropout)
