"""The channels of a child's tensors, traced to those of its parent."""

import dataclasses
import math
from collections.abc import Sequence
from typing import TypeAlias
from typing import TypeGuard

import keras
import numpy as np

from keras_evonas.models import kinds
from keras_evonas.models.layer_graph import Graph
from keras_evonas.models.layer_graph import Node

L = keras.layers


@dataclasses.dataclass(frozen=True, eq=False)
class Channels:
    """The parent's channels that the channels of a tensor stand for.

    Args:
        parents: `(n,)` array of integers, the channels of the parent.
        total: Integer, how many the parent's tensor has.
        positive: Boolean, whether the tensor comes from a ReLU.
    """

    parents: np.ndarray
    total: int
    positive: bool = False

    def with_positive(self, positive: bool) -> "Channels":
        """Returns the same channels after a layer that keeps them."""
        return dataclasses.replace(self, positive=positive)


# The channels of a tensor, or `None` where they are not known.
Entry: TypeAlias = Channels | None


def same_channels(width: int, positive: bool = False) -> Channels:
    """Returns channels that stand for those of the parent one by one."""
    return Channels(np.arange(width), width, positive)


def fits(entry: Entry, total: int) -> TypeGuard[Channels]:
    """Returns whether channels are known, of so many of the parent."""
    return entry is not None and entry.total == total


def are_same(entries: Sequence[Entry]) -> bool:
    """Returns whether all channels stand for the parent's one by one."""
    return all(
        one is not None and np.array_equal(one.parents, np.arange(one.total))
        for one in entries
    )


def passed_on(graph: Graph, node: Node, entries: Sequence[Entry]) -> Entry:
    """Returns the channels after a layer of a child without weights."""
    kind = type(node.layer)
    known = [entry for entry in entries if entry is not None]
    if not entries or len(known) < len(entries):
        return None
    entry = known[0]
    if kind is L.Concatenate and _is_wider(graph, node):
        return _concatenated(known)
    if kind is L.Concatenate or kind in kinds.MERGES:
        same = all(np.array_equal(x.parents, entry.parents) for x in known)
        return entry.with_positive(False) if same else None
    if kind is L.Flatten:
        return _flattened(graph.shape(node.data[0])[1:], entry)
    is_positive = entry.positive and kind in kinds.KEEPING_POSITIVE
    if kind in (L.ReLU, L.Activation):
        is_positive = kinds.is_relu(node.layer)
    if are_same(known):
        return unchanged(graph, node, is_positive)
    before, after = graph.shape(node.data[0]), graph.shape(node.outputs[0])
    if len(known) > 1 or before[-1:] != after[-1:]:
        return None
    if not kinds.is_unitwise(node.layer):
        return None
    return entry.with_positive(is_positive)


def unchanged(graph: Graph, node: Node, positive: bool) -> Entry:
    """Returns the channels after a layer that does what the parent's does."""
    shapes = [graph.shape(number) for number in node.outputs]
    widths = {shape[-1] if shape else 0 for shape in shapes}
    width = widths.pop() if len(widths) == 1 else None
    return None if width is None else same_channels(width, positive)


def _is_wider(graph: Graph, node: Node) -> bool:
    """Returns whether tensors are put side by side, not behind each other."""
    axis, rank = node.layer.axis, len(graph.shape(node.outputs[0]))
    return bool(axis in (-1, rank - 1))


def _concatenated(entries: Sequence[Channels]) -> Channels:
    parents, total = [], 0
    for entry in entries:
        parents.append(entry.parents + total)
        total += entry.total
    positive = all(entry.positive for entry in entries)
    return Channels(np.concatenate(parents), total, positive)


def _flattened(shape: tuple[int | None, ...], entry: Channels) -> Entry:
    sizes = [size for size in shape if size is not None]
    if len(sizes) < len(shape):
        return None
    places = math.prod(sizes[:-1])
    offsets = np.arange(places)[:, None] * entry.total
    parents = (offsets + entry.parents[None, :]).reshape(-1)
    return Channels(parents, places * entry.total, entry.positive)
