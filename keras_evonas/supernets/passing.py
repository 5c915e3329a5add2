"""Layers without kernels, and the masks that they pass on."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any
from typing import TypeAlias
from typing import cast

import keras

from keras_evonas.models import kinds
from keras_evonas.models.costs.inputs import Structure
from keras_evonas.supernets.masks import Full
from keras_evonas.supernets.masks import Joined
from keras_evonas.supernets.masks import Mask
from keras_evonas.supernets.masks import Spread

L = keras.layers
Shape: TypeAlias = tuple[int | None, ...]
# The mask of the channels of a tensor, `None` where all count.
Entry: TypeAlias = Mask | None


@dataclasses.dataclass(frozen=True, eq=False)
class Call:
    """A layer of a network, and the tensors that it is called on.

    Args:
        layer: The layer.
        entries: The masks of what it takes.
        before: The shapes of what it takes.
        after: The shapes of what it returns.
    """

    layer: Structure
    entries: Sequence[Entry]
    before: Sequence[Shape]
    after: Sequence[Shape]


class CannotBeMaskedError(Exception):
    """Says why some genes cannot be elastic."""

    def __init__(
        self, layer: keras.Operation, why: str, masks: Sequence[Entry]
    ) -> None:
        super().__init__(
            f"the layer '{layer.name}' of {type(layer).__name__} {why}"
        )
        known = [mask.genes for mask in masks if mask is not None]
        self.genes: frozenset[str] = frozenset().union(*known)


def spread(mask: Entry, times: int) -> Entry:
    """Returns the channels of a depthwise convolution."""
    if mask is None or times == 1:
        return mask
    return Spread(mask, times, one_by_one=True)


def check_activation(layer: Structure, masks: Sequence[Entry]) -> None:
    """Checks that a layer does the same to each channel."""
    name = kinds.activation_name(layer)
    if name not in kinds.ELEMENTWISE:
        why = f"has the activation {name!r}, which may mix channels"
        raise CannotBeMaskedError(layer, why, masks)
    if getattr(layer, "activity_regularizer", None) is not None:
        raise CannotBeMaskedError(layer, "has an activity regularizer", masks)


def merged(call: Call) -> Entry:
    """Returns the mask of a layer such as `Add`."""
    masks = [
        mask
        for mask, shape in zip(call.entries, call.before, strict=True)
        if shape[-1] == call.after[0][-1]  # A width of 1 is broadcast.
    ]
    if any(mask != masks[0] for mask in masks):
        why = "takes tensors of different widths"
        raise CannotBeMaskedError(call.layer, why, call.entries)
    return masks[0]


def concatenated(call: Call) -> Entry:
    """Returns the mask of a `Concatenate`."""
    if call.layer.axis not in (-1, len(call.after[0]) - 1):
        return merged(call)
    masks = [
        mask or Full(cast(int, shape[-1]))
        for mask, shape in zip(call.entries, call.before, strict=True)
    ]
    return Joined(tuple(masks))


def reshaped(call: Call) -> Entry:
    """Returns the mask of a `Flatten` or `Reshape`."""
    (entry,), (before,), (after,) = call.entries, call.before, call.after
    if entry is None or before[-1] == after[-1]:
        return entry
    if type(call.layer) is not L.Flatten or None in before[1:]:
        why = "changes the channels in a way that is not followed"
        raise CannotBeMaskedError(call.layer, why, [entry])
    places = math.prod(cast(Any, before[1:-1]))
    return Spread(entry, places, one_by_one=False)
