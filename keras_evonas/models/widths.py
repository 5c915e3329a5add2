"""The widths of a model: those that change together, and those that stay.

The width of a tensor is its last dimension. Most layers keep the width of
their input, some make a new one, and a merge needs equal ones. All others pin
the widths of their inputs and outputs, which then stay as they are.
"""

import math
from collections.abc import Collection
from collections.abc import Iterable

import keras
from scipy.cluster.hierarchy import DisjointSet

from keras_evonas.models import kinds
from keras_evonas.models.layer_graph import Graph
from keras_evonas.models.layer_graph import Node

L = keras.layers


class Widths:
    """The widths of a graph in groups that are equal in every child.

    Those of `fixed` nodes stay as they are.
    """

    def __init__(self, graph: Graph, fixed: Collection[int]) -> None:
        self._graph = graph
        self._group_of = DisjointSet(range(len(graph.specs)))
        self._pinned = set(graph.input_numbers | graph.output_numbers)
        self._merged: set[int] = set()
        # Widths that follow from others, such as those of a concatenation.
        self._follows: list[tuple[int, int]] = []
        self._makers: list[tuple[int, int]] = []
        for index, node in enumerate(graph.nodes):
            if index in fixed or not self._follow_through(index, node):
                self._pinned.update(node.inputs, node.outputs)
        self._pinned_groups = self._find_pinned_groups()

    def is_alone(self, number: int) -> bool:
        """Returns whether it may change without that of another tensor."""
        group = self._group_of[number]
        makers = [n for n, _ in self._makers if self._group_of[n] == group]
        shared = self._pinned_groups | self._groups(self._merged)
        return len(makers) == 1 and group not in shared

    def free_groups(self) -> list[list[int]]:
        """Returns the nodes that make the width of each that may change."""
        makers: dict[int, list[int]] = {}
        for number, index in self._makers:
            makers.setdefault(self._group_of[number], []).append(index)
        bound = self._groups(number for number, _ in self._follows)
        bound |= self._pinned_groups
        return [makers[group] for group in makers if group not in bound]

    def _find_pinned_groups(self) -> set[int]:
        """Returns the groups that stay, and with them what they follow."""
        merged, pinned = self._groups(self._merged), self._groups(self._pinned)
        follows = [
            (self._group_of[a], self._group_of[b]) for a, b in self._follows
        ]
        pinned |= {group for group, _ in follows if group in merged}
        for group, other in reversed(follows):  # They follow earlier ones.
            if group in pinned:
                pinned.add(other)
        return pinned

    def _groups(self, numbers: Iterable[int]) -> set[int]:
        return {self._group_of[number] for number in numbers}

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
            self._makers.append((output, index))
            return kinds.has_free_width(layer)
        is_flattened = kind is L.Flatten and len(self._graph.shape(entry)) > 2
        if is_flattened or getattr(layer, "depth_multiplier", 1) != 1:
            self._follows.append((output, entry))
            return True
        if self._keeps_width(node):
            self._group_of.merge(entry, output)
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
        return kind in kinds.KEEPING_WIDTH

    def _merge(self, node: Node) -> bool:
        sizes = {self._graph.shape(n)[-1] for n in node.data}
        ranks = {len(self._graph.shape(n)) for n in node.data}
        if None in sizes or len(ranks) != 1 or len(sizes - {1}) > 1:
            return False
        (output,) = node.outputs
        widest = self._graph.shape(output)[-1]
        for number in node.data:
            if self._graph.shape(number)[-1] == widest:
                self._group_of.merge(number, output)
            else:  # A width of 1 is broadcast.
                self._pinned.add(number)
        self._merged.add(output)
        return True

    def _concatenate(self, node: Node) -> bool:
        (output,) = node.outputs
        rank = len(self._graph.shape(output))
        if node.layer.axis in (-1, rank - 1):
            self._follows += [(output, number) for number in node.data]
            return True
        for number in node.data:
            self._group_of.merge(number, output)
        self._merged.add(output)
        return True

    def _is_width_alone(self, node: Node) -> bool:
        """Returns whether a `Reshape` only adds or drops dimensions of 1."""
        before = self._graph.shape(node.data[0])[1:]
        after = self._graph.shape(node.outputs[0])[1:]
        return (
            None not in before
            and math.prod(size or 0 for size in before) == before[-1]
            and before[-1] == after[-1]
            and -1 not in node.layer.target_shape
        )
