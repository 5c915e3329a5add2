"""Arrays of weights for layers of other sizes."""

from collections.abc import Sequence

import keras
import numpy as np


def array_of(weight: keras.Variable) -> np.ndarray:
    """Returns the values of a weight as an array that is a copy."""
    return np.array(keras.ops.convert_to_numpy(weight))


def copies_of(total: int, width: int) -> np.ndarray:
    """Returns the indices of the parent's units in turn, as many as wanted."""
    return np.arange(width) % total


def resized(kernel: np.ndarray, sides: Sequence[int]) -> np.ndarray:
    """Returns a kernel of other sides: zeros around it, or its middle."""
    sides = tuple(sides)
    result = np.zeros((*sides, *kernel.shape[len(sides) :]), kernel.dtype)
    return overlaid(result, kernel, spatial=len(sides))


def overlaid(
    target: np.ndarray, source: np.ndarray, *, spatial: int | None = None
) -> np.ndarray:
    """Puts a source over a target, centred along the spatial axes."""
    if spatial is None:
        spatial = max(0, target.ndim - 2)
    into, out_of = [], []
    for axis, (new, old) in enumerate(
        zip(target.shape, source.shape, strict=True)
    ):
        size = min(new, old)
        centred = axis < spatial
        into.append(slice((new - size) // 2 * centred, None))
        out_of.append(slice((old - size) // 2 * centred, None))
        into[-1] = slice(into[-1].start, into[-1].start + size)
        out_of[-1] = slice(out_of[-1].start, out_of[-1].start + size)
    result = np.array(target)
    result[tuple(into)] = source[tuple(out_of)]
    return result
