"""Parts of a model that can be left out, or put in several times."""

import dataclasses
from collections.abc import Collection

import keras

from keras_evonas.models import kinds
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

    A block is all between a tensor and the `Add` with which a shortcut from
    that tensor ends, with the activation that follows. Blocks are disjoint or
    one inside of another. A unit is a layer outside of blocks, with the
    normalization and activation after it.
    """
    blocks: list[Region] = []
    found = _blocks(graph, fixed)
    for block in sorted(found, key=lambda one: (len(one.nodes), one.nodes)):
        inside = set(block.nodes)
        if all(
            set(other.nodes) < inside or not inside & set(other.nodes)
            for other in blocks
        ):
            blocks.append(block)
    taken = {index for block in blocks for index in block.nodes}
    units = [
        unit
        for index in range(len(graph.nodes))
        if index not in taken and index not in fixed
        for unit in _unit(graph, widths, fixed, index)
    ]
    return sorted([*blocks, *units], key=lambda one: one.nodes[0])


def _chain_after(
    graph: Graph,
    index: int,
    allowed: Collection[type[keras.Layer]],
    fixed: Collection[int],
) -> list[int]:
    """Returns the nodes of some kinds that follow a node in a chain."""
    chain: list[int] = []
    while True:
        (number,) = graph.nodes[index].outputs
        following = graph.consumers[number]
        if number in graph.output_numbers or len(following) != 1:
            return chain
        (index,) = following
        node = graph.nodes[index]
        is_allowed = type(node.layer) in allowed and len(node.outputs) == 1
        if index in fixed or not is_allowed:
            return chain
        chain.append(index)


def _blocks(graph: Graph, fixed: Collection[int]) -> list[Region]:
    producers = graph.producers
    ancestors: list[frozenset[int]] = []  # Numbers of tensors, by node.
    for node in graph.nodes:
        before = set(node.inputs)
        for number in node.inputs:
            if number in producers:
                before |= ancestors[producers[number]]
        ancestors.append(frozenset(before))
    found = []
    for index, node in enumerate(graph.nodes):
        if type(node.layer) is not L.Add or index in fixed:
            continue
        for entry in dict.fromkeys(node.inputs):
            others = set(node.inputs) - {entry}
            if others and all(
                number in producers and entry in ancestors[producers[number]]
                for number in others
            ):
                block = _between(graph, entry, index, ancestors, fixed)
                found += [block] if block else []
                break
    return found


def _between(
    graph: Graph,
    entry: int,
    end: int,
    ancestors: list[frozenset[int]],
    fixed: Collection[int],
) -> Region | None:
    (exit_,) = graph.nodes[end].outputs
    inside = {
        index
        for index in range(end + 1)
        if entry in ancestors[index]
        and (index == end or set(graph.nodes[index].outputs) & ancestors[end])
    }
    made = {n for index in inside for n in graph.nodes[index].outputs}
    enters = {n for i in inside for n in graph.nodes[i].inputs} - made
    outputs = graph.output_numbers
    leaks = any(
        number in outputs or not inside.issuperset(graph.consumers[number])
        for number in made - {exit_}
    )
    same_shape = graph.shape(entry) == graph.shape(exit_)
    if enters != {entry} or leaks or inside & set(fixed) or not same_shape:
        return None
    tail = _chain_after(graph, end, kinds.ACTIVATIONS, fixed)[:1]
    if tail:
        inside |= set(tail)
        (exit_,) = graph.nodes[tail[0]].outputs
    if exit_ in outputs:
        return None
    return Region(
        name=graph.nodes[end].layer.name,
        nodes=tuple(sorted(inside)),
        entry=entry,
        exit=exit_,
        removable=True,
        is_block=True,
    )


def _unit(
    graph: Graph, widths: Widths, fixed: Collection[int], index: int
) -> list[Region]:
    node = graph.nodes[index]
    layer = node.layer
    if (
        type(layer) not in kinds.REPEATABLE
        or len(node.data) != 1
        or not kinds.has_free_width(layer)
        or kinds.has_channels_first(layer)
    ):
        return []
    allowed = (*kinds.NORMALIZATIONS, *kinds.ACTIVATIONS)
    nodes = (index, *_chain_after(graph, index, allowed, fixed))
    (entry,), (exit_,) = node.data, graph.nodes[nodes[-1]].outputs
    if exit_ in graph.output_numbers:
        return []
    return [
        Region(
            name=layer.name,
            nodes=nodes,
            entry=entry,
            exit=exit_,
            removable=widths.is_alone(exit_)
            and graph.shape(entry)[:-1] == graph.shape(exit_)[:-1],
            is_block=False,
        )
    ]
