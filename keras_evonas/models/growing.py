"""The children of a model's graph, built from the values of its genes."""

import dataclasses
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import TypeAlias

import keras

from keras_evonas.models import genetics
from keras_evonas.models import kinds
from keras_evonas.models.kinds import WIDTH_ARGUMENT
from keras_evonas.models.layer_graph import Graph
from keras_evonas.models.regions import Region

L = keras.layers

# Tensors by their numbers in a graph.
Tensors: TypeAlias = dict[int, keras.KerasTensor]

_NORMALIZATIONS = {
    "batch": L.BatchNormalization,
    "layer": L.LayerNormalization,
}


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Blueprint:
    """A model's graph, its genes, and the nodes that stay as they are."""

    graph: Graph
    genetics: genetics.Genetics
    fixed: frozenset[int]

    def grow(
        self, values: Mapping[str, Any], name: str | None
    ) -> tuple[keras.Model, dict[int, keras.Operation]]:
        """Builds a child from the values of the genes.

        Returns:
            Pair of the child and a dictionary from indices of nodes to the
            layers of the child in their place.
        """
        graph = self.graph
        growth = _Growth(self, values)
        inputs = graph.fresh_inputs()
        refs = keras.tree.flatten(graph.inputs)
        fresh = zip(refs, keras.tree.flatten(inputs), strict=True)
        tensors = {ref.number: tensor for ref, tensor in fresh}
        regions = [region for region, _ in self.genetics.repeats]
        growth.emit(range(len(graph.nodes)), regions, tensors, "")
        outputs = keras.tree.map_structure(
            lambda ref: tensors[ref.number], graph.outputs
        )
        child = keras.Model(inputs, outputs, name=name or graph.name)
        return child, growth.placed


def remade(layer: keras.Operation) -> keras.Operation:
    """Makes a layer, an operation or an inner model anew."""
    if isinstance(layer, keras.Model) and _is_plain(layer):
        copy = keras.models.clone_model(layer)
        copy.trainable = layer.trainable
        _copy_trainability(layer, copy)
        return copy
    return type(layer).from_config(layer.get_config())


def kept(layer: keras.Operation) -> keras.Operation:
    """Returns a copy of a fixed layer, or the layer itself if it has none.

    Children share tables of what is looked up, functions, and what cannot be
    made of its config.
    """
    alone = (L.Lambda, *kinds.LOOKUPS)
    if not isinstance(layer, keras.Layer) or any(
        isinstance(part, alone) for part in kinds.parts_of(layer)
    ):
        return layer
    try:
        return remade(layer)
    except Exception:  # Whatever a user's `get_config` and `__init__` raise.
        return layer


def _is_plain(model: keras.Model) -> bool:
    """Returns whether a model is built and of no class of the user's own."""
    if not getattr(model, "inputs", None):
        return False
    functional = type(keras.Model(model.inputs, model.outputs))
    return type(model) in (keras.Sequential, functional)


def _copy_trainability(model: keras.Model, copy: keras.Model) -> None:
    for layer, other in zip(model.layers, copy.layers, strict=True):
        other.trainable = layer.trainable
        if isinstance(layer, keras.Model):
            _copy_trainability(layer, other)


class _Growth:
    """A child while it is built."""

    def __init__(self, blueprint: Blueprint, values: Mapping[str, Any]) -> None:
        self.placed: dict[int, keras.Operation] = {}
        self._blueprint = blueprint
        self._graph = blueprint.graph
        self._values = values
        self._made: dict[tuple[int, str], keras.Operation] = {}
        self._names = {node.layer.name for node in self._graph.nodes}

    def emit(
        self,
        nodes: Sequence[int],
        regions: Sequence[Region],
        tensors: Tensors,
        suffix: str,
        copied: int | None = None,
    ) -> None:
        """Calls nodes, and regions as often as their genes demand.

        Args:
            nodes: Indices of the nodes.
            regions: The regions among them, larger ones first.
            tensors: Dictionary from numbers to tensors, which is filled.
            suffix: String, added to the names of layers.
            copied: Index of the node whose output must have the shape of its
                input, as this is a copy of a unit.
        """
        inner = {
            one.nodes[-1]: one
            for one in reversed(regions)
            if not any(set(one.nodes) < set(other.nodes) for other in regions)
        }
        hidden = {index for one in inner.values() for index in one.nodes}
        for index in nodes:
            if index in inner:
                self._emit_region(inner[index], regions, tensors, suffix)
            elif index not in hidden:
                is_copy = index == copied
                tensors |= self._called(index, tensors, suffix, is_copy)

    def _emit_region(
        self,
        region: Region,
        regions: Sequence[Region],
        tensors: Tensors,
        suffix: str,
    ) -> None:
        count = self._values.get(f"{region.name}/repeats", 1)
        inside = [one for one in regions if set(one.nodes) < set(region.nodes)]
        tensor = tensors[region.entry]
        for number in range(1, count + 1):
            local = {**tensors, region.entry: tensor}
            added = suffix if number == 1 else f"{suffix}_copy_{number}"
            is_copy = number > 1 and not region.is_block
            copied = region.nodes[0] if is_copy else None
            self.emit(region.nodes, inside, local, added, copied)
            tensor = local[region.exit]
        tensors[region.exit] = tensor

    def _called(
        self, index: int, tensors: Tensors, suffix: str, is_copy: bool
    ) -> Tensors:
        """Calls a node's layer, changed or left out as its genes demand."""
        node = self._graph.nodes[index]
        layer = node.layer
        if index in self._blueprint.fixed:
            return node.call(self._layer(index, suffix, None), tensors)
        kind = genetics.normalization_of(layer)
        if kind is not None:
            wanted = self._values.get(f"{genetics.NORMALIZATION}/{kind}", kind)
            tensor = tensors[node.data[0]]
            if wanted is None or wanted == "none":
                return self._left_out(index, tensors, suffix)
            if wanted != kind:
                name = self._name(layer, suffix)
                made = _NORMALIZATIONS[wanted](
                    name=name, dtype=layer.dtype_policy
                )
                tensor = made(tensor)
                return {node.outputs[0]: tensor}
        rate = self._values.get(f"{layer.name}/dropout")
        if rate is not None and genetics.takes_dropout(self._graph, index):
            if rate:
                name = self._name(layer, f"_dropout{suffix}")
                (number,) = node.data
                dropout = L.Dropout(rate, name=name, dtype=layer.dtype_policy)
                dropped = dropout(tensors[number])
                tensors = {**tensors, number: dropped}
        elif rate == 0.0:
            return self._left_out(index, tensors, suffix)
        return self._evolved(index, tensors, suffix, is_copy)

    def _left_out(self, index: int, tensors: Tensors, suffix: str) -> Tensors:
        """Leaves out a layer; an output of the model keeps its name."""
        node = self._graph.nodes[index]
        (number,), tensor = node.outputs, tensors[node.data[0]]
        if number in self._graph.output_numbers:
            layer = node.layer
            name, dtype = self._name(layer, suffix), layer.dtype_policy
            tensor = L.Identity(name=name, dtype=dtype)(tensor)
        return {number: tensor}

    def _evolved(
        self, index: int, tensors: Tensors, suffix: str, is_copy: bool
    ) -> Tensors:
        """Calls a changed layer, and a normalization if it gets one."""
        node = self._graph.nodes[index]
        config = self._config(index, tensors, suffix, is_copy)
        wanted = self._values.get(f"{genetics.NORMALIZATION}/none")
        if wanted in (None, "none") or not genetics.takes_normalization(
            self._graph, index
        ):
            return node.call(self._layer(index, suffix, config), tensors)
        activation = config["activation"]
        config["activation"] = "linear"
        layer = self._layer(index, suffix, config)
        (tensor,) = node.call(layer, tensors).values()
        policy = node.layer.dtype_policy
        name = self._name(node.layer, f"_normalization{suffix}")
        tensor = _NORMALIZATIONS[wanted](name=name, dtype=policy)(tensor)
        if activation != "linear":
            name = self._name(node.layer, f"_activation{suffix}")
            tensor = L.Activation(activation, name=name, dtype=policy)(tensor)
        return {node.outputs[0]: tensor}

    def _config(
        self, index: int, tensors: Tensors, suffix: str, is_copy: bool
    ) -> dict[str, Any]:
        """Returns the config of a layer, changed as its genes demand."""
        node = self._graph.nodes[index]
        layer, values = node.layer, self._values
        config = {**layer.get_config(), "name": self._name(layer, suffix)}
        width = values.get(self._blueprint.genetics.width_of.get(index, ""))
        if width is not None:
            config[WIDTH_ARGUMENT[type(layer)]] = width
        kernel = values.get(f"{layer.name}/kernel_size")
        if kernel is not None:
            config["kernel_size"] = (kernel,) * len(layer.kernel_size)
        if is_copy and "strides" in config:
            config["strides"] = (1,) * len(layer.kernel_size)
        if is_copy and config.get("padding") == "valid":
            config["padding"] = "same"
        rate = values.get(f"{layer.name}/dropout")
        if "rate" in config and rate is not None:
            config["rate"] = rate
        name = genetics.activation_of(self._graph, index)
        wanted = name and values.get(f"activation/{name}")
        if wanted is not None and wanted != name:
            if type(layer) is L.ReLU:
                config = {"name": config["name"], "dtype": config["dtype"]}
            config["activation"] = wanted
        if type(layer) is L.Reshape:
            # It is as wide as its input.
            width = tensors[node.data[0]].shape[-1]
            if width != self._graph.shape(node.data[0])[-1]:
                config["target_shape"] = (*layer.target_shape[:-1], width)
        return config

    def _name(self, layer: keras.Operation, suffix: str) -> str:
        """Returns the name of a layer, or one that the model lacks."""
        name = f"{layer.name}{suffix}"
        while suffix and name in self._names:
            name += "_"
        return name

    def _layer(
        self, index: int, suffix: str, config: dict[str, Any] | None
    ) -> keras.Operation:
        """Makes the layer of a node, unless another node has called it."""
        layer = self._graph.nodes[index].layer
        key = (id(layer), suffix)
        if key not in self._made:
            if config is None:
                made = kept(layer)
            elif type(layer) is L.ReLU and "activation" in config:
                made = L.Activation.from_config(config)
            else:
                made = type(layer).from_config(config)
            self._made[key] = made
        if not suffix:
            self.placed[index] = self._made[key]
        return self._made[key]
