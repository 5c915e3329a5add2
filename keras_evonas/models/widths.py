"""The widths of a model: those that change together, and those that stay.

The width of a tensor is its last dimension. Most layers keep the width of
their input, some make a new one, and a merge needs equal ones. All others pin
the widths of their inputs and outputs, which then stay as they are.
"""

import math
from collections.abc import Collection
from collections.abc import Iterable

import keras

from keras_evonas.models import kinds
from keras_evonas.models.layer_graph import Graph
from keras_evonas.models.layer_graph import Node

L = keras.layers


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
            if index in fixed or not self._follow_through(index, node):
                for number in (*node.inputs, *node.outputs):
                    self._pin(number)

    def group(self, number: int) -> int:
        """Returns the group of a tensor's width."""
        while self._parent[number] != number:
            number = self._parent[number]
        return number

    def is_free(self, number: int) -> bool:
        """Returns whether the width of a tensor may change."""
        return self.group(number) not in self._pinned

    def is_alone(self, number: int) -> bool:
        """Returns whether it may change without that of another tensor."""
        group = self.group(number)
        return (
            group not in self._pinned | self._merged
            and len(self.makers(number)) == 1
        )

    def makers(self, number: int) -> list[int]:
        """Returns the indices of the nodes that make a tensor's width."""
        return self._makers.get(self.group(number), [])

    def free_groups(self) -> dict[int, list[int]]:
        """Returns the makers of each group that may change."""
        return {
            group: sorted(makers)
            for group, makers in self._makers.items()
            if group not in self._pinned and group not in self._follows
        }

    def _follow_through(self, index: int, node: Node) -> bool:
        """Enters a node into the groups; returns whether that is possible."""
        layer, kind = node.layer, type(node.layer)
        if kinds.has_channels_first(layer) or len(node.outputs) != 1:
            return False
        (output,) = node.outputs
        if kind in kinds.MERGES:
            return self._merge(node)
        if kind is L.Concatenate:
            return self._concatenate(node)
        if len(node.data) != 1:
            return False
        (entry,) = node.data
        if kind in kinds.WIDTH_ARGUMENT:
            self._makers.setdefault(self.group(output), []).append(index)
            return kinds.has_free_width(layer)
        if kind is L.Flatten:
            if len(self._graph.shape(entry)) == 2:
                self._unite(entry, output)
            else:
                self._follow(output, [entry])
            return True
        if kind in kinds.DEPTHWISE and layer.depth_multiplier != 1:
            self._follow(output, [entry])
            return True
        if self._keeps_width(node):
            self._unite(entry, output)
            return True
        return False

    def _keeps_width(self, node: Node) -> bool:
        layer, kind = node.layer, type(node.layer)
        if kind in kinds.NORMALIZATIONS:
            return kinds.is_over_channels(layer)
        if kind is L.Rescaling:
            return not hasattr(layer.scale, "__len__")
        if kind is L.Reshape:
            return self._is_width_alone(node)
        return kind in kinds.KEEPING_WIDTH or kind in kinds.DEPTHWISE

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
            else:  # A width of 1 is broadcast.
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

    def _is_width_alone(self, node: Node) -> bool:
        """Returns whether a `Reshape` only adds or drops dimensions of 1."""
        before = self._graph.shape(node.data[0])[1:]
        after = self._graph.shape(node.outputs[0])[1:]
        sizes = [size for size in before if size is not None]
        return (
            len(sizes) == len(before)
            and math.prod(sizes) == before[-1] == after[-1]
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

    def _follow(self, number: int, others: Iterable[int]) -> None:
        self._follows.setdefault(self.group(number), set()).update(others)
        if self.group(number) in self._pinned:
            self._pin(number)

    def _pin(self, number: int) -> None:
        group = self.group(number)
        self._pinned.add(group)
        for other in self._follows.get(group, ()):
            if self.group(other) not in self._pinned:
                self._pin(other)
