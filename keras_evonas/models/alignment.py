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

    The pairs are those of the best alignment of the two sequences, found as
    Needleman and Wunsch (1970) do. Only layers of one kind pair; equal sizes,
    equal names and the same place at the end of the network are preferred.

    Returns:
        Dictionary from indices of the child's nodes to the parent's.
    """
    old, new = parent.weighted, child.weighted
    gains = np.array([[_gain(parent, i, child, j) for j in new] for i in old])
    gains = gains.reshape(len(old), len(new))
    best = np.zeros((len(old) + 1, len(new) + 1))
    for i in range(len(old)):
        for j in range(len(new)):
            both = best[i, j] + gains[i, j]
            best[i + 1, j + 1] = max(both, best[i, j + 1], best[i + 1, j])
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


def namesakes(parent: Graph, child: Graph) -> dict[int, int]:
    """Pairs the layers with weights of two graphs by their names."""
    old = {parent.nodes[i].layer.name: i for i in parent.weighted}
    pairs = {}
    for j in child.weighted:
        layer = child.nodes[j].layer
        i = old.get(layer.name)
        if i is not None and type(parent.nodes[i].layer) is type(layer):
            pairs[j] = i
    return pairs


def _gain(parent: Graph, i: int, child: Graph, j: int) -> float:
    old, new = parent.nodes[i].layer, child.nodes[j].layer
    if type(old) is not type(new):
        return -math.inf
    return (
        1.0
        + _SAME_PLACE
        * ((i in parent.last_weighted) == (j in child.last_weighted))
        + _SAME_NAME * (_named(old) == _named(new) != "")
        + _SAME_SIZE * _likeness(old, new)
    )


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
