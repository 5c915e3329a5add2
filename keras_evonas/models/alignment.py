"""An alignment of the layers of a child with those of its parent."""

import math

import keras
import numpy as np

from keras_evonas.models.layer_graph import Graph

# The gains of a pair of layers, beside 1 for the same kind.
_SAME_SIZE = 0.25
_SAME_NAME = 1.0
# For two layers that are both the last with weights, or both not the last.
_SAME_PLACE = 0.5


def aligned(parent: Graph, child: Graph) -> dict[int, int]:
    """Pairs the layers with weights of two graphs, in order.

    The pairs, indices of the child's nodes with those of the parent's, are
    those of the best alignment of the two sequences, found as Needleman and
    Wunsch (1970) do. Only layers of one kind pair; equal sizes, equal names
    and the same place at the end of the network are preferred.
    """
    old, new = with_weights(parent), with_weights(child)
    gains = np.array([[_gain(parent, i, child, j) for j in new] for i in old])
    gains = gains.reshape(len(old), len(new))
    best = np.zeros((len(old) + 1, len(new) + 1))
    for i in range(len(old)):
        for j in range(len(new)):
            best[i + 1, j + 1] = max(
                best[i, j] + gains[i, j], best[i, j + 1], best[i + 1, j]
            )
    pairs: dict[int, int] = {}
    i, j = len(old), len(new)
    while i and j:
        if best[i, j] == best[i, j - 1]:
            j -= 1  # Among equals the child's earlier layer pairs.
        elif best[i, j] == best[i - 1, j]:
            i -= 1
        else:
            i, j = i - 1, j - 1
            pairs[new[j]] = old[i]
    return pairs


def with_weights(graph: Graph) -> list[int]:
    """Returns the nodes whose layers have weights, each layer's first."""
    found: dict[int, int] = {}
    for index, node in enumerate(graph.nodes):
        if getattr(node.layer, "weights", ()):
            found.setdefault(id(node.layer), index)
    return [*found.values()]


def _gain(parent: Graph, i: int, child: Graph, j: int) -> float:
    old, new = parent.nodes[i], child.nodes[j]
    if type(old.layer) is not type(new.layer):
        return -math.inf
    gain = 1.0
    if _is_last(parent, i) == _is_last(child, j):
        gain += _SAME_PLACE
    gain += _SAME_NAME * (_named(old.layer) == _named(new.layer) != "")
    return gain + _SAME_SIZE * _likeness(old.layer, new.layer)


def _is_last(graph: Graph, index: int) -> bool:
    """Returns whether no layer with weights comes after a node."""
    waiting = list(graph.nodes[index].outputs)
    seen: set[int] = set()
    while waiting:
        number = waiting.pop()
        for other in graph.consumers[number]:
            if other not in seen:
                seen.add(other)
                if getattr(graph.nodes[other].layer, "weights", ()):
                    return False
                waiting.extend(graph.nodes[other].outputs)
    return True


def _named(layer: keras.Layer) -> str:
    """Returns the name of a layer, or nothing if Keras chose it."""
    kind = type(layer).__name__.lower()
    plain = layer.name.rstrip("0123456789").rstrip("_").replace("_", "")
    return "" if plain == kind else layer.name


def _likeness(old: keras.Layer, new: keras.Layer) -> float:
    """Returns the share of the sizes of all weights that are the same."""
    sizes = [
        a == b
        for first, second in zip(old.weights, new.weights, strict=False)
        for a, b in zip(first.shape, second.shape, strict=False)
    ]
    return sum(sizes) / len(sizes) if sizes else 0.0
