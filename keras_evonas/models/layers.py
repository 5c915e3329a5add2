"""Layers as the hypermodels of this package put them together."""

from typing import TypeAlias

import keras

Tensor: TypeAlias = keras.KerasTensor
NORMALIZATIONS = ("none", "batch", "layer")


def normalized(tensor: Tensor, kind: str) -> Tensor:
    """Applies one of `NORMALIZATIONS`."""
    if kind == "batch":
        return keras.layers.BatchNormalization()(tensor)
    if kind == "layer":
        return keras.layers.LayerNormalization()(tensor)
    return tensor


def dropped_out(tensor: Tensor, rate: float) -> Tensor:
    """Applies dropout, or nothing at a rate of 0."""
    return keras.layers.Dropout(rate)(tensor) if rate else tensor


def dense_block(
    tensor: Tensor,
    *,
    units: int,
    activation: str,
    normalization: str = "none",
    dropout: float = 0.0,
) -> Tensor:
    """Applies a Dense layer, a normalization, an activation and dropout."""
    # A normalization subtracts the bias again, and has an offset of its own.
    tensor = keras.layers.Dense(units, use_bias=normalization == "none")(tensor)
    tensor = normalized(tensor, normalization)
    tensor = keras.layers.Activation(activation)(tensor)
    return dropped_out(tensor, dropout)
