"""Branches of a sum that a child has and its parent lacks.

A residual block that is new adds nothing if the last layer of its branch gives
zeros, and so the child computes what its parent computes, as after the zeroed
normalizations of Goyal et al. (2017). The other layers of the branch do not
matter for it.
"""

from collections.abc import Collection

import keras
import numpy as np

from keras_evonas.models import kinds
from keras_evonas.models.layer_graph import Graph
from keras_evonas.models.layer_graph import Node
from keras_evonas.models.layer_graph import has_weights

L = keras.layers

_ACTIVATIONS = (L.Activation, *kinds.SIGN_KEEPING_LAYERS)
# The weights that are zero in a layer that gives zeros.
_SILENT = ("kernel", "pointwise_kernel", "bias", "gamma", "beta")


def is_sum(node: Node) -> bool:
    """Returns whether a node adds tensors, as a layer or by `+`."""
    kind = type(node.layer)
    is_operation = kind.__name__ == "Add" and not issubclass(kind, L.Layer)
    return kind is L.Add or (is_operation and len(node.data) > 1)


def new_branches(
    graph: Graph, total: Node, trunk: int, new: Collection[int]
) -> dict[int, list[int]] | None:
    """Returns the branches of a sum that can add nothing to one of its parts.

    Args:
        graph: The graph of the child.
        total: The node of the sum.
        trunk: The number of the tensor that is to remain.
        new: Indices of the nodes with weights that the parent lacks.

    Returns:
        Dictionary from the index of the last node with weights of each other
        branch to the indices of all nodes with weights that it alone has;
        `None` if one of the branches must add something.
    """
    if total.data.count(trunk) != 1:
        return None
    found = {}
    common = _behind(graph, trunk)
    for number in total.data:
        if number == trunk:
            continue
        end = _end_of(graph, number)
        if end is None:
            return None
        own = _behind(graph, number) - common
        if end not in own or not own <= set(new):
            return None
        found[end] = sorted(own)
    return found


def silence(layer: keras.Layer) -> None:
    """Makes a layer give zeros."""
    is_attention = type(layer) is L.MultiHeadAttention
    for weight in layer.weights:
        is_last = not is_attention or "attention_output/" in weight.path
        if is_last and weight.name in _SILENT:
            weight.assign(np.zeros(weight.shape))


def _end_of(graph: Graph, number: int) -> int | None:
    """Returns the last node with weights of a branch, if it can be silent."""
    while number in graph.producers:
        index = graph.producers[number]
        node = graph.nodes[index]
        is_alone = len(graph.consumers[number]) == 1
        if not is_alone or number in graph.output_numbers:
            return None
        if _keeps_zero(node.layer):
            (number,) = node.data
        else:
            return index if _can_be_silent(node.layer) else None
    return None


def _keeps_zero(layer: keras.Operation) -> bool:
    is_activation = isinstance(layer, _ACTIVATIONS) and kinds.keeps_sign(layer)
    return is_activation or isinstance(layer, kinds.DROPOUTS)


def _can_be_silent(layer: keras.Operation) -> bool:
    if type(layer) in kinds.NORMALIZATIONS:
        return bool(layer.scale)
    if type(layer) is L.MultiHeadAttention:
        return True
    is_linear = kinds.activation_name(layer) == "linear"
    return type(layer) in kinds.REPEATABLE and (
        is_linear or kinds.keeps_sign(layer)
    )


def _behind(graph: Graph, number: int) -> set[int]:
    """Returns the nodes with weights on which a tensor depends."""
    index = graph.producers.get(number)
    if index is None:
        return set()
    numbers = (number, *graph.ancestors[index])
    made = {graph.producers[n] for n in numbers if n in graph.producers}
    return {i for i in made if has_weights(graph.nodes[i].layer)}
