"""Compares networks in a supernet with those that are built alone."""

from collections.abc import Hashable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import keras
import keras_tuner

from keras_evonas.models.costs.estimates import Hypermodel
from keras_evonas.models.costs.estimates import builder_of
from keras_evonas.models.costs.isolation import without_allocation
from keras_evonas.models.layer_graph import Node
from keras_evonas.models.layer_graph import Ref
from keras_evonas.models.layer_graph import graph_of
from keras_evonas.supernets.looking import Look
from keras_evonas.supernets.looking import settings_of
from keras_evonas.supernets.sharing import SharedGene
from keras_evonas.supernets.walk import called


def check_sameness(
    hypermodel: Hypermodel,
    looked: Look,
    genes: Sequence[SharedGene],
    others: Mapping[str, Any],
) -> None:
    """Checks that networks are in a supernet what they are alone.

    Two are built without weights and compared: that of the first value of each
    gene, and that of the last.

    Args:
        hypermodel: As for `Supernet`.
        looked: The network of the supernet.
        genes: The genes that are shared and not elastic.
        others: The values of all other hyperparameters.

    Raises:
        ValueError: If they differ.
    """
    build = builder_of(hypermodel)
    for place in (0, -1):
        index_of = {one.name: range(len(one.values))[place] for one in genes}
        chosen = {one.name: one.values[place] for one in genes}
        hp = keras_tuner.HyperParameters()
        hp.values = {**others, **chosen}

        def compare(
            hp: keras_tuner.HyperParameters = hp,
            index_of: Mapping[str, int] = index_of,
        ) -> bool:
            numbers: dict[Hashable, int] = {}
            shared = _Expressions(numbers, index_of).of(looked.network)
            return shared == _Expressions(numbers, {}).of(build(hp))

        if not without_allocation(compare, looked.graph):
            raise ValueError(
                "`hypermodel` must build the same network in a supernet and "
                f"alone. Received: another one alone for {chosen}. Use what "
                "`layer_choice`, `repeated` and `block` of keras_evonas.models "
                "return as layers only, one after another, and read their "
                "choices in no other way: in a supernet all options are there "
                "at once. Give hyperparameters names of their own."
            )


class _Expressions:
    """Describes tensors by the calls that make them, each by a number.

    Args:
        numbers: Dictionary from expressions to their numbers, to be filled.
            Equal tensors of two networks that share it have equal numbers.
        index_of: The place of each gene's value.
    """

    def __init__(
        self, numbers: dict[Hashable, int], index_of: Mapping[str, int]
    ) -> None:
        self._numbers = numbers
        self._index_of = index_of

    def of(self, network: keras.Model) -> list[int]:
        """Returns the expressions of the outputs of a network."""
        places = range(len(keras.tree.flatten(network.inputs)))
        return self._outputs(network, [self._number(one) for one in places])

    def _outputs(
        self, network: keras.Model, inputs: Sequence[int]
    ) -> list[int]:
        graph = graph_of(network, "hypermodel")
        refs = keras.tree.flatten(graph.inputs)
        of = {ref.number: one for ref, one in zip(refs, inputs, strict=True)}
        for node in graph.nodes:
            found = self._called(node, [of[number] for number in node.data])
            of.update(zip(node.outputs, found, strict=True))
        return [of[ref.number] for ref in keras.tree.flatten(graph.outputs)]

    def _called(self, node: Node, inputs: Sequence[int]) -> list[int]:
        layer = called(node.layer, self._index_of)
        if isinstance(layer, keras.layers.Identity):
            return [inputs[0]]
        if isinstance(layer, keras.Model) and layer.inputs:
            return self._outputs(layer, inputs)
        constants: list[str] = []
        if not isinstance(layer, keras.Layer):
            taken = keras.tree.flatten((node.args, node.kwargs))
            constants = [repr(x) for x in taken if not isinstance(x, Ref)]
        made = (type(layer).__name__, settings_of(layer), *constants)
        return [
            self._number(made, place, *inputs)
            for place in range(len(node.outputs))
        ]

    def _number(self, *expression: Hashable) -> int:
        return self._numbers.setdefault(expression, len(self._numbers))
