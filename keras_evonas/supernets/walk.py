"""The layers and weights of a network that are on a path."""

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence

import keras
import numpy as np

from keras_evonas.models.layer_graph import Graph
from keras_evonas.models.layer_graph import graph_of
from keras_evonas.models.layer_graph import has_weights
from keras_evonas.supernets.masks import Axes
from keras_evonas.supernets.masks import indexes_of
from keras_evonas.supernets.masks import shape_on
from keras_evonas.supernets.mixed import MixedLayer
from keras_evonas.supernets.mixed import Nothing


def layers_on(
    layer: keras.layers.Layer, index_of: Mapping[str, int]
) -> Iterator[keras.layers.Layer]:
    """Yields the layers with weights on a path, each once.

    They come in an order that is the same for a network in a supernet and
    alone.

    Args:
        layer: A network, or a layer of it.
        index_of: The place of each gene's value; see `Supernet.called`.
    """
    layer = called(layer, index_of)
    if isinstance(layer, keras.Model):
        for inner in _ordered(graph_of(layer), index_of):
            yield from layers_on(inner, index_of)
    elif layer.weights:
        yield layer


def weights_on(
    layer: keras.layers.Layer, index_of: Mapping[str, int]
) -> list[keras.Variable]:
    """Returns the weights on a path, in the order of `layers_on`."""
    layers = layers_on(layer, index_of)
    return [weight for one in layers for weight in one.weights]


def shapes_on(
    weights: Sequence[keras.Variable],
    axes_of: Mapping[int, Axes],
    index_of: Mapping[str, int],
) -> list[tuple[int, ...]]:
    """Returns the shapes of the parts of weights that are on a path.

    Args:
        weights: The weights.
        axes_of: The masks of elastic ones, by the identities of weights.
        index_of: As for `layers_on`.
    """
    return [
        shape_on(axes_of[id(one)], one.shape, index_of)
        if id(one) in axes_of
        else tuple(one.shape)
        for one in weights
    ]


def value_on(
    weight: keras.Variable,
    axes_of: Mapping[int, Axes],
    index_of: Mapping[str, int],
) -> np.ndarray:
    """Returns the part of a weight that is on a path; see `shapes_on`."""
    value: np.ndarray = weight.numpy()
    axes = axes_of.get(id(weight))
    if axes is None:
        return value
    return value[indexes_of(axes, value.shape, index_of)]


def behind_choices(network: keras.Model) -> list[keras.layers.Layer]:
    """Returns the layers that no choice depends on, such as the head."""
    graph = graph_of(network)
    before: set[int] = set()
    for index, node in enumerate(graph.nodes):
        if isinstance(node.layer, MixedLayer):
            before |= graph.ancestors[index]
    made = {graph.producers[n] for n in before if n in graph.producers}
    return [
        node.layer
        for index, node in enumerate(graph.nodes)
        if index not in made and not isinstance(node.layer, MixedLayer)
    ]


def called(
    layer: keras.layers.Layer, index_of: Mapping[str, int]
) -> keras.layers.Layer:
    """Returns the option of a mixed layer on a path; other layers as is."""
    while isinstance(layer, MixedLayer):
        layer = layer.options[layer.gate.branches[index_of[layer.choice]]]
    return layer


def _ordered(
    graph: Graph, index_of: Mapping[str, int]
) -> list[keras.layers.Layer]:
    """Returns the layers with weights, each after those that it depends on.

    The order follows from the connections on a path alone, so that it is the
    same in a network that lacks some layers without weights.
    """
    found: dict[int, keras.layers.Layer] = {}
    seen: set[int] = set()

    def visit(number: int) -> None:
        index = graph.producers.get(number)
        if index is None or index in seen:
            return
        seen.add(index)
        node = graph.nodes[index]
        if isinstance(called(node.layer, index_of), Nothing):
            return
        for before in node.inputs:
            visit(before)
        if has_weights(node.layer):
            found.setdefault(id(node.layer), node.layer)

    for number in sorted(graph.output_numbers):
        visit(number)
    return list(found.values())
