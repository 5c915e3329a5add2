"""Parts of a model that can be left out, or put in several times."""

import dataclasses
from collections.abc import Collection
from collections.abc import Iterator

import keras

from keras_evonas.models import kinds
from keras_evonas.models.branches import is_sum
from keras_evonas.models.layer_graph import Graph
from keras_evonas.models.widths import Widths

L = keras.layers


@dataclasses.dataclass(frozen=True, kw_only=True)
class Region:
    """Nodes between one tensor that enters and one that leaves.

    Args:
        name: String, the layer that it is named after.
        nodes: Indices of its nodes, in order.
        entry: Number of the tensor that enters.
        exit: Number of the tensor that leaves.
        removable: Boolean, whether the model is valid without it.
        is_block: Boolean, whether there is a shortcut around it.
    """

    name: str
    nodes: tuple[int, ...]
    entry: int
    exit: int
    removable: bool
    is_block: bool


def regions_of(
    graph: Graph, widths: Widths, fixed: Collection[int]
) -> list[Region]:
    """Finds residual blocks, and layers with what belongs to them.

    A block is all between a tensor and the sum with which a shortcut from
    that tensor ends, with the activation that follows. Blocks are disjoint or
    one inside of another. A unit is a layer outside of blocks, with the
    normalization and activation after it. No region has `fixed` nodes.
    """
    blocks: list[Region] = []
    found = _blocks(graph, fixed)
    for block in sorted(found, key=lambda one: (len(one.nodes), one.nodes)):
        inside = set(block.nodes)
        if all(
            set(other.nodes) < inside or inside.isdisjoint(other.nodes)
            for other in blocks
        ):
            blocks.append(block)
    taken = {index for block in blocks for index in block.nodes}.union(fixed)
    free = (i for i in range(len(graph.nodes)) if i not in taken)
    units = (_unit(graph, widths, fixed, index) for index in free)
    regions = [*blocks, *(unit for unit in units if unit is not None)]
    return sorted(regions, key=lambda one: one.nodes[0])


def _chain(
    graph: Graph,
    index: int,
    wanted: Collection[type[keras.Layer]],
    fixed: Collection[int],
) -> list[int]:
    """Returns the nodes of wanted kinds that follow a node in a chain."""
    chain: list[int] = []
    while True:
        (number,) = graph.nodes[index].outputs
        following = graph.consumers[number]
        if number in graph.output_numbers or len(following) != 1:
            return chain
        (index,) = following
        node = graph.nodes[index]
        is_wanted = type(node.layer) in wanted and index not in fixed
        if not is_wanted or len(node.outputs) != 1:
            return chain
        chain.append(index)


def _blocks(graph: Graph, fixed: Collection[int]) -> Iterator[Region]:
    before, producers = graph.ancestors, graph.producers
    for index, node in enumerate(graph.nodes):
        if not is_sum(node) or index in fixed:
            continue
        for entry in dict.fromkeys(node.inputs):
            others = {*node.inputs} - {entry}
            if others and all(
                number in producers and entry in before[producers[number]]
                for number in others
            ):
                yield from _between(graph, entry, index, fixed)
                break


def _between(
    graph: Graph, entry: int, end: int, fixed: Collection[int]
) -> Iterator[Region]:
    """Yields the block between a tensor and an `Add`, if there is one."""
    before = graph.ancestors
    (exit_,) = graph.nodes[end].outputs
    inside = {
        index
        for index in range(end + 1)
        if entry in before[index]
        and (index == end or set(graph.nodes[index].outputs) & before[end])
    }
    made = {n for index in inside for n in graph.nodes[index].outputs}
    enters = {n for i in inside for n in graph.nodes[i].inputs} - made
    leaks = any(
        number in graph.output_numbers
        or not inside.issuperset(graph.consumers[number])
        for number in made - {exit_}
    )
    if enters != {entry} or leaks or not inside.isdisjoint(fixed):
        return
    if graph.shape(entry) != graph.shape(exit_):
        return
    for index in _chain(graph, end, kinds.ACTIVATIONS, fixed)[:1]:
        inside.add(index)
        (exit_,) = graph.nodes[index].outputs
    if exit_ not in graph.output_numbers:
        yield Region(
            name=graph.nodes[end].layer.name,
            nodes=tuple(sorted(inside)),
            entry=entry,
            exit=exit_,
            removable=True,
            is_block=True,
        )


def _unit(
    graph: Graph, widths: Widths, fixed: Collection[int], index: int
) -> Region | None:
    """Returns the unit that begins with a node, if there is one."""
    node = graph.nodes[index]
    layer = node.layer
    if (
        type(layer) not in kinds.REPEATABLE
        or len(node.data) != 1
        or not kinds.has_free_width(layer)
        or kinds.has_channels_first(layer)
    ):
        return None
    follow = (*kinds.NORMALIZATIONS, *kinds.ACTIVATIONS)
    nodes = (index, *_chain(graph, index, follow, fixed))
    (entry,), (exit_,) = node.data, graph.nodes[nodes[-1]].outputs
    if exit_ in graph.output_numbers:
        return None
    return Region(
        name=layer.name,
        nodes=nodes,
        entry=entry,
        exit=exit_,
        removable=widths.is_alone(exit_)
        and _is_float(graph, entry)
        and graph.shape(entry)[:-1] == graph.shape(exit_)[:-1]
        and (None not in graph.shape(entry)[1:] or _keeps_sides(layer)),
        is_block=False,
    )


def _is_float(graph: Graph, number: int) -> bool:
    return bool(keras.backend.is_float_dtype(graph.specs[number].dtype))


def _keeps_sides(layer: keras.Layer) -> bool:
    """Returns whether images of any size leave a layer with that size."""
    is_padded = getattr(layer, "padding", "same") != "valid"
    is_point = set(getattr(layer, "kernel_size", (1,))) == {1}
    is_dense = set(getattr(layer, "strides", (1,))) == {1}
    return is_dense and (is_padded or is_point)
