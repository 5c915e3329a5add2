"""Which widths of a model must change together, and which must not change.

The width of a tensor is its last dimension. Layers are followed from the
inputs to the outputs: most pass a width on, some make a new one, a merge makes
several one, and whatever is not understood pins the widths that it meets.
"""

import math
from collections.abc import Collection
from typing import Any

import keras

from keras_evonas.models.graphs import Graph
from keras_evonas.models.graphs import Node

L = keras.layers

# Layers that make a width of their own, and the argument that says which.
WIDTH_ARGUMENT = {
    L.Conv1D: "filters",
    L.Conv1DTranspose: "filters",
    L.Conv2D: "filters",
    L.Conv2DTranspose: "filters",
    L.Conv3D: "filters",
    L.Conv3DTranspose: "filters",
    L.Dense: "units",
    L.Embedding: "output_dim",
    L.GRU: "units",
    L.LSTM: "units",
    L.SeparableConv1D: "filters",
    L.SeparableConv2D: "filters",
    L.SimpleRNN: "units",
}
NORMALIZATIONS = (L.BatchNormalization, L.LayerNormalization)
_MERGES = (L.Add, L.Average, L.Maximum, L.Minimum, L.Multiply, L.Subtract)
# Layers whose output is as wide as their input, whatever that is.
_PASS_ON = (
    *(L.Activation, L.ActivityRegularization, L.AlphaDropout, L.Dropout),
    *(L.ELU, L.GaussianDropout, L.GaussianNoise, L.Identity, L.LeakyReLU),
    *(L.PReLU, L.ReLU, L.Softmax, L.SpatialDropout1D, L.SpatialDropout2D),
    *(L.SpatialDropout3D, L.Masking, L.RepeatVector),
    *(L.AveragePooling1D, L.AveragePooling2D, L.AveragePooling3D),
    *(L.MaxPooling1D, L.MaxPooling2D, L.MaxPooling3D),
    *(L.GlobalAveragePooling1D, L.GlobalAveragePooling2D),
    *(L.GlobalAveragePooling3D, L.GlobalMaxPooling1D, L.GlobalMaxPooling2D),
    L.GlobalMaxPooling3D,
    *(L.ZeroPadding1D, L.ZeroPadding2D, L.ZeroPadding3D),
    *(L.Cropping1D, L.Cropping2D, L.Cropping3D),
    *(L.UpSampling1D, L.UpSampling2D, L.UpSampling3D),
)
_DEPTHWISE = (L.DepthwiseConv1D, L.DepthwiseConv2D)


class Widths:
    """The widths of a graph in groups that are equal in every child.

    Args:
        graph: The graph.
        fixed: Indices of the nodes that stay as they are.
    """

    def __init__(self, graph: Graph, fixed: Collection[int]) -> None:
        self._graph = graph
        self._parent: list[int] = list(range(len(graph.specs)))
        self._pinned: set[int] = set()
        self._merged: set[int] = set()
        # Widths that follow from others, such as those of a concatenation.
        self._follows: dict[int, set[int]] = {}
        self._makers: dict[int, list[int]] = {}
        for number in graph.input_numbers | graph.output_numbers:
            self._pin(number)
        for index, node in enumerate(graph.nodes):
            if index in fixed or not self._understood(index, node):
                for number in (*node.inputs, *node.outputs):
                    self._pin(number)

    def group(self, number: int) -> int:
        """The group of a tensor's width."""
        while self._parent[number] != number:
            number = self._parent[number]
        return number

    def is_free(self, number: int) -> bool:
        """Whether the width of a tensor may be another."""
        return self.group(number) not in self._pinned

    def is_alone(self, number: int) -> bool:
        """Whether it may be any, as no other tensor must be as wide."""
        group = self.group(number)
        return (
            group not in self._pinned | self._merged
            and len(self.makers(number)) == 1
        )

    def makers(self, number: int) -> list[int]:
        """Indices of the nodes that make the width of a tensor."""
        return self._makers.get(self.group(number), [])

    def free_groups(self) -> dict[int, list[int]]:
        """The makers of each group that may change."""
        return {
            group: sorted(makers)
            for group, makers in self._makers.items()
            if group not in self._pinned and group not in self._follows
        }

    def _understood(self, index: int, node: Node) -> bool:
        layer, kind = node.layer, type(node.layer)
        if getattr(layer, "data_format", None) == "channels_first":
            return False
        if len(node.outputs) != 1:
            return False
        (output,) = node.outputs
        if kind in _MERGES:
            return self._merge(node)
        if kind is L.Concatenate:
            return self._concatenate(node)
        if len(node.data) != 1:
            return False
        (entry,) = node.data
        if kind in WIDTH_ARGUMENT:
            self._makers.setdefault(self.group(output), []).append(index)
            return is_plain_maker(layer)
        if kind is L.Flatten:
            if len(self._graph.shape(entry)) == 2:
                self._unite(entry, output)
            else:
                self._follow(output, [entry])
            return True
        if kind in _DEPTHWISE and layer.depth_multiplier != 1:
            self._follow(output, [entry])
            return True
        if (
            kind in _PASS_ON
            or kind in _DEPTHWISE
            or (kind in NORMALIZATIONS and is_over_channels(layer))
            or (kind is L.Rescaling and not hasattr(layer.scale, "__len__"))
            or (kind is L.Reshape and self._keeps_width(node))
        ):
            self._unite(entry, output)
            return True
        return False

    def _merge(self, node: Node) -> bool:
        sizes = {self._graph.shape(n)[-1] for n in node.data}
        ranks = {len(self._graph.shape(n)) for n in node.data}
        if None in sizes or len(ranks) != 1 or len(sizes - {1}) > 1:
            return False
        (output,) = node.outputs
        widest = self._graph.shape(output)[-1]
        for number in node.data:
            if self._graph.shape(number)[-1] == widest:
                self._unite(number, output, merge=True)
            else:  # A single one is broadcast.
                self._pin(number)
        return True

    def _concatenate(self, node: Node) -> bool:
        (output,) = node.outputs
        rank = len(self._graph.shape(output))
        if node.layer.axis in (-1, rank - 1):
            self._follow(output, node.data)
            return True
        for number in node.data:
            self._unite(number, output, merge=True)
        return True

    def _keeps_width(self, node: Node) -> bool:
        before = self._graph.shape(node.data[0])[1:]
        after = self._graph.shape(node.outputs[0])[1:]
        return (
            None not in before
            and math.prod(before) == before[-1] == after[-1]
            and -1 not in node.layer.target_shape
        )

    # Sets of tensors.

    def _unite(self, one: int, other: int, *, merge: bool = False) -> None:
        first, second = self.group(one), self.group(other)
        if first != second:
            derived = first in self._follows or second in self._follows
            self._parent[second] = first
            self._makers.setdefault(first, []).extend(
                self._makers.pop(second, [])
            )
            self._follows.setdefault(first, set()).update(
                self._follows.pop(second, set())
            )
            if not self._follows[first]:
                del self._follows[first]
            if second in self._pinned:
                self._pinned.discard(second)
                self._pin(first)
            elif first in self._pinned or (merge and derived):
                self._pin(first)
            if second in self._merged:
                self._merged.add(first)
        if merge:
            self._merged.add(first)
            if first in self._follows:
                self._pin(first)

    def _follow(self, number: int, others: Any) -> None:
        self._follows.setdefault(self.group(number), set()).update(others)
        if self.group(number) in self._pinned:
            self._pin(number)

    def _pin(self, number: int) -> None:
        group = self.group(number)
        self._pinned.add(group)
        for other in self._follows.get(group, ()):
            if self.group(other) not in self._pinned:
                self._pin(other)


def is_plain_maker(layer: Any) -> bool:
    """Whether a layer's width can change without another argument."""
    if getattr(layer, "groups", 1) != 1:
        return False
    if getattr(layer, "depth_multiplier", 1) != 1:
        return False
    return not (
        getattr(layer, "stateful", False)
        or getattr(layer, "return_state", False)
    )


def is_over_channels(layer: Any) -> bool:
    """Whether a normalization has a parameter for each channel."""
    axis = layer.axis
    if isinstance(axis, list | tuple) and len(axis) == 1:
        (axis,) = axis
    rank = layer.input_spec.ndim if layer.input_spec is not None else None
    return axis == -1 or (rank is not None and axis == rank - 1)
