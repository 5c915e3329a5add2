"""Weights that are put over others, whose shapes may differ."""

from collections.abc import Iterable
from collections.abc import Sequence
from typing import TypeAlias

import keras
import numpy as np

from keras_evonas.models import kinds

Layer: TypeAlias = keras.Layer


def turned(layer: Layer, kernel: np.ndarray) -> np.ndarray:
    """Exchanges inputs and outputs of a transposed convolution's kernel."""
    is_transposed = type(layer) in kinds.TRANSPOSED
    return np.swapaxes(kernel, -1, -2) if is_transposed else kernel


def kernel_size_of(layer: Layer) -> tuple[int, ...]:
    """Returns the sides of a layer's kernel; none if it has no kernel."""
    return tuple(getattr(layer, "kernel_size", ()))


def places_of(
    layer: Layer, old: Layer, shape: Sequence[int | None]
) -> list[int | None]:
    """Returns where the smaller kernel lies in the larger one, by axis."""
    sides = [kernel_size_of(one) for one in (layer, old)]
    return [
        kinds.start_of(layer, axis, max(pair), min(pair), shape[1 + axis])
        for axis, pair in enumerate(zip(*sides, strict=True))
    ]


def same_shapes(layer: Layer, old: Layer) -> bool:
    """Returns whether the weights of two layers have the same shapes."""
    shapes = [[tuple(w.shape) for w in one.weights] for one in (layer, old)]
    return shapes[0] == shapes[1]


def array_of(weight: keras.Variable) -> np.ndarray:
    """Returns a copy of a weight."""
    return np.array(keras.ops.convert_to_numpy(weight))


def overlay(
    sources: Iterable[keras.Variable], targets: Iterable[keras.Variable]
) -> None:
    """Puts weights over others with as many axes, in order."""
    for source, target in zip(sources, targets, strict=False):
        if len(source.shape) == len(target.shape):
            target.assign(overlaid(array_of(target), array_of(source)))


def overlaid(
    target: np.ndarray, source: np.ndarray, starts: Sequence[int | None] = ()
) -> np.ndarray:
    """Puts a source over a target.

    Along the sides of a kernel the smaller one begins in the larger one at
    `starts`, and lies in its middle where these are `None` or not given.
    """
    sizes = np.minimum(target.shape, source.shape)
    sides = max(0, target.ndim - 2)
    given = [*starts, *[None] * target.ndim]

    def part(shape: tuple[int, ...]) -> tuple[slice, ...]:
        found = []
        for axis, (length, size) in enumerate(zip(shape, sizes, strict=True)):
            start = 0
            if axis < sides and length > size:
                known = given[axis]
                start = (length - size) // 2 if known is None else known
            found.append(slice(start, start + size))
        return tuple(found)

    result = np.array(target)
    result[part(target.shape)] = source[part(source.shape)]
    return result
