"""Compares layers, and tensors, of two networks by what they compute.

Nothing is computed: a tensor's meaning is the expression of layers without
weights that leads to it from the outputs of layers with weights, each of which
stands for one of the parent's. Where two tensors have one meaning, what comes
before them differs in weights alone. Trained networks are meant: dropout and
noise pass on what they get.
"""

import re
from collections.abc import Hashable
from collections.abc import Sequence

import keras
import numpy as np

from keras_evonas.models import kinds
from keras_evonas.models.layer_graph import Graph
from keras_evonas.models.layer_graph import Node
from keras_evonas.models.layer_graph import Ref

L = keras.layers

# Arguments of layers that do not change what weights of one shape compute.
_WITHOUT_EFFECT = re.compile(
    "name|trainable|build_config|seed|momentum|use_bias|kernel_size|"
    "units|filters|.*_(initializer|regularizer|constraint)"
)
# Layers that pass on their input when a network predicts.
_PASSING = (
    *(*kinds.DROPOUTS, L.GaussianNoise),
    *(L.ActivityRegularization, L.Identity),
)


def works_as(layer: keras.Operation, old: keras.Operation) -> bool:
    """Returns whether two layers compute the same if their weights do."""
    configs = [described(one) for one in (layer, old)]
    return None not in configs and configs[0] == configs[1]


def described(layer: keras.Operation) -> str | None:
    """Returns a layer's kind and configuration, less what has no effect.

    It is `None` if the layer cannot say how it was made.
    """
    try:
        return repr((type(layer), _essence(layer.get_config())))
    except Exception:  # Whatever a user's `get_config` raises.
        return None


def _essence(config: object) -> object:
    """Returns a configuration, of inner layers too, less what has no effect."""
    if isinstance(config, list | tuple):
        return [_essence(one) for one in config]
    if isinstance(config, np.ndarray):
        return config.tolist()
    if not isinstance(config, dict):
        return config
    return {
        name: value if name == "dtype" else _essence(value)
        for name, value in sorted(config.items())
        if not _WITHOUT_EFFECT.fullmatch(name)
    }


class Meanings:
    """The meanings of the tensors of a graph, filled node by node.

    A meaning is an integer. That of a child's tensor is one of the parent's if
    both stand for the same.

    Args:
        graph: The graph.
        parent: The meanings of the parent. Defaults to those of no network.

    Attributes:
        of: Dictionary from numbers of tensors to their meanings.
        numbers: Dictionary from expressions to meanings.
        positive: The meanings that are outputs of a ReLU.
    """

    def __init__(self, graph: Graph, parent: "Meanings | None" = None) -> None:
        self.numbers: dict[Hashable, int] = {}
        self.positive: set[int] = set()
        self._parent_of: dict[int, int] = {}
        if parent is not None:
            self.numbers |= parent.numbers
            self.positive |= parent.positive
            self._parent_of = parent.of
        self._first_new = len(self.numbers)
        self._owners: dict[int, Hashable] = {}
        refs = keras.tree.flatten(graph.inputs)
        self.of: dict[int, int] = {
            ref.number: self._number("input", place)
            for place, ref in enumerate(refs)
        }

    @classmethod
    def of_parent(cls, graph: Graph) -> "Meanings":
        """Returns the meanings of all tensors of a parent."""
        found = cls(graph)
        heads = set(graph.weighted)
        for index, node in enumerate(graph.nodes):
            if index in heads:
                found.stand_for(node, index)
            else:
                found.call(node)
        return found

    def stand_for(self, node: Node, owner: Hashable) -> None:
        """Notes that a layer with weights stands for one of the parent."""
        self._owners[id(node.layer)] = owner
        self._note(node, "weights", owner)

    def pass_on(self, node: Node) -> None:
        """Notes that a layer is the identity."""
        self.of[node.outputs[0]] = self.of[node.data[0]]

    def call(self, node: Node) -> None:
        """Notes a layer without weights, or another call of one with them."""
        layer = node.layer
        owner = self._owners.get(id(layer))
        name = _activation_of(layer)
        if owner is not None:
            self._note(node, "again", owner, *self._inputs(node))
        elif (
            name == "linear"
            or isinstance(layer, _PASSING)
            or (name == "relu" and self.of[node.data[0]] in self.positive)
        ):
            self.pass_on(node)
        else:
            done = name or described(layer) or type(layer)
            self._note(node, done, _constants(node), *self._inputs(node))

    def are_those(self, numbers: Sequence[int], others: Sequence[int]) -> bool:
        """Returns whether tensors stand for others, of the parent."""
        meanings = [self.of[number] for number in numbers]
        return meanings == [self._parent_of[number] for number in others]

    def is_new(self, number: int) -> bool:
        """Returns whether the parent has no tensor with the same meaning."""
        return self.of[number] >= self._first_new

    def _inputs(self, node: Node) -> list[int]:
        return [self.of[number] for number in node.inputs]

    def _note(self, node: Node, *expression: Hashable) -> None:
        for place, number in enumerate(node.outputs):
            self.of[number] = self._number(place, *expression)
            if _activation_of(node.layer) == "relu":
                self.positive.add(self.of[number])

    def _number(self, *expression: Hashable) -> int:
        return self.numbers.setdefault(expression, len(self.numbers))


def _activation_of(layer: keras.Operation) -> object:
    """Returns the name of the activation that a layer ends with, if any."""
    if type(layer) is L.ReLU and kinds.is_relu(layer):
        return "relu"
    has_one = type(layer) in (L.Activation, *kinds.WITH_ACTIVATION)
    name = kinds.activation_name(layer) if has_one else None
    return name if isinstance(name, str) else None


def _constants(node: Node) -> str:
    """Returns the arguments of a call that are no tensors of the graph."""
    arguments = keras.tree.flatten((node.args, node.kwargs))
    return repr([_essence(x) for x in arguments if not isinstance(x, Ref)])
