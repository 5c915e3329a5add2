"""A model as a graph of layers that can be called again on other tensors.

It is read with public functions of Keras only (3.10 to 3.15): `clone_model`
walks the model and passes the arguments of every call to a function.
"""

import dataclasses
import functools
from collections.abc import Mapping

import keras

from keras_evonas.models.costs.inputs import Structure


@dataclasses.dataclass(frozen=True)
class Ref:
    """A tensor of the graph, by its number."""

    number: int


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Node:
    """One call of a layer.

    Args:
        layer: The layer or, for a function of `keras.ops`, the operation.
        args: The positional arguments, tensors as `Ref`.
        kwargs: The arguments by name, tensors as `Ref`.
        inputs: Numbers of the tensors among the arguments.
        data: The numbers of those that are no masks.
        outputs: Numbers of the tensors that it returns.
    """

    layer: keras.Operation
    args: Structure
    kwargs: Structure
    inputs: tuple[int, ...]
    data: tuple[int, ...]
    outputs: tuple[int, ...]

    def call(
        self, layer: keras.Operation, tensors: Mapping[int, keras.KerasTensor]
    ) -> dict[int, keras.KerasTensor]:
        """Calls a layer in place of the node's own; returns its outputs."""
        args, kwargs = keras.tree.map_structure(
            lambda x: tensors[x.number] if isinstance(x, Ref) else x,
            (self.args, self.kwargs),
        )
        results = keras.tree.flatten(layer(*args, **kwargs))
        return dict(zip(self.outputs, results, strict=True))


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Graph:
    """A model's calls, each after those that it depends on.

    Args:
        inputs: Structure of `Ref`s, as the model takes its inputs.
        outputs: Structure of `Ref`s, as the model returns its outputs.
        nodes: The calls.
        specs: The symbolic tensors, by number.
        optional: Numbers of the inputs that may be `None`.
        name: String, the name of the model.
    """

    inputs: Structure
    outputs: Structure
    nodes: tuple[Node, ...]
    specs: tuple[keras.KerasTensor, ...]
    optional: frozenset[int]
    name: str

    @functools.cached_property
    def output_numbers(self) -> frozenset[int]:
        """Numbers of the tensors that the model returns."""
        return frozenset(_numbers(self.outputs))

    @functools.cached_property
    def input_numbers(self) -> frozenset[int]:
        """Numbers of the tensors that the model takes."""
        return frozenset(_numbers(self.inputs))

    @functools.cached_property
    def weighted(self) -> list[int]:
        """Indices of the nodes with weights that no node before them has."""
        first: dict[int, int] = {}
        for index, node in enumerate(self.nodes):
            if has_weights(node.layer):
                first.setdefault(id(node.layer), index)
        return list(first.values())

    @functools.cached_property
    def last_weighted(self) -> set[int]:
        """Indices of the nodes after which no layer with weights comes."""
        nodes = enumerate(self.nodes)
        deep = [i for i, node in nodes if has_weights(node.layer)]
        behind = frozenset().union(*(self.ancestors[i] for i in deep))
        return {i for i in deep if behind.isdisjoint(self.nodes[i].outputs)}

    def shape(self, number: int) -> tuple[int | None, ...]:
        """Returns the shape of a tensor, with the batch."""
        return tuple(self.specs[number].shape)

    @functools.cached_property
    def consumers(self) -> dict[int, list[int]]:
        """Indices of the nodes that take each tensor."""
        found: dict[int, list[int]] = {n: [] for n in range(len(self.specs))}
        for index, node in enumerate(self.nodes):
            for number in node.inputs:
                found[number].append(index)
        return found

    @functools.cached_property
    def producers(self) -> dict[int, int]:
        """Index of the node that returns each tensor but the inputs."""
        nodes = enumerate(self.nodes)
        return {number: i for i, node in nodes for number in node.outputs}

    @functools.cached_property
    def ancestors(self) -> list[frozenset[int]]:
        """Numbers of the tensors on which each node depends."""
        found: list[frozenset[int]] = []
        for node in self.nodes:
            made = [n for n in node.inputs if n in self.producers]
            known = (found[self.producers[number]] for number in made)
            found.append(frozenset(node.inputs).union(*known))
        return found

    def fresh_inputs(self) -> Structure:
        """Returns new inputs in the structure that the model takes."""
        return keras.tree.map_structure(
            lambda ref: _input_like(
                self.specs[ref.number], optional=ref.number in self.optional
            ),
            self.inputs,
        )


def has_weights(layer: keras.Operation) -> bool:
    """Returns whether an operation is a layer with weights."""
    return bool(getattr(layer, "weights", ()))


def graph_of(model: keras.Model, argument: str = "model") -> Graph:
    """Reads the graph of a Sequential or functional model.

    The model is not changed. A model inside of the model is one node.

    Args:
        model: A built `keras.Model`.
        argument: String, the name of the user's argument, for the error.

    Raises:
        TypeError: If it is no Keras model.
        ValueError: If its graph cannot be read, as it is subclassed or a
            `Sequential` that is not built.
    """
    if not isinstance(model, keras.Model):
        raise TypeError(
            f"`{argument}` must be a `keras.Model`. Received: {model!r}."
        )
    bare = _bare(model, argument)
    reader = _Reader()
    inputs = keras.tree.map_structure(_input_like, bare.input)
    refs = keras.tree.map_structure(reader.add, inputs)
    walked = keras.models.clone_model(
        bare,
        input_tensors=inputs,
        clone_function=lambda layer: layer,
        call_function=reader.call,
    )
    return Graph(
        inputs=refs,
        outputs=keras.tree.map_structure(reader.ref, walked.output),
        nodes=tuple(reader.nodes),
        specs=tuple(reader.specs),
        optional=_optional(bare),
        name=model.name,
    )


def _input_like(
    tensor: keras.KerasTensor, *, optional: bool = False
) -> keras.KerasTensor:
    return keras.Input(
        batch_shape=tensor.shape,
        dtype=tensor.dtype,
        sparse=tensor.sparse,
        name=tensor.name,
        optional=optional,
    )


def _optional(model: keras.Model) -> frozenset[int]:
    """Returns the positions of the inputs that may be `None`."""
    may_lack = {
        id(layer.output)
        for layer in model.layers
        if isinstance(layer, keras.layers.InputLayer) and layer.optional
    }
    return frozenset(
        position
        for position, tensor in enumerate(model.inputs)
        if id(tensor) in may_lack
    )


def _bare(model: keras.Model, argument: str) -> keras.Model:
    """Returns the model without anything that a class or `compile` adds."""
    inputs = getattr(model, "inputs", None)
    outputs = getattr(model, "outputs", None)
    if not inputs or not outputs:
        if isinstance(model, keras.Sequential):
            raise ValueError(
                f"`{argument}` must have an input of known shape. Received: "
                f"the Sequential {model.name!r}, which is not built. Begin it "
                "with `keras.Input`, or call it on data once."
            )
        raise ValueError(
            f"`{argument}` must be a Sequential or functional model, so that "
            "its graph can be read. Received: the subclassed model "
            f"{model.name!r} of {type(model).__name__}. Rebuild it as "
            "`keras.Model(inputs, outputs)`, or put it into such a model as "
            "a layer and mark it fixed."
        )
    if isinstance(model, keras.Sequential):
        return keras.Model(inputs[0], outputs[0])
    bare = keras.Model(model.input, model.output)
    if type(model) is not type(bare):
        raise ValueError(
            f"`{argument}` must be a plain Sequential or functional model. "
            f"Received: {model.name!r} of the class {type(model).__name__}, "
            "whose own methods a network made of its graph would lack. Pass "
            "`keras.Model(model.inputs, model.outputs)`."
        )
    return bare


class _Reader:
    """Records each call while `clone_model` walks a model."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.specs: list[keras.KerasTensor] = []
        self._ref_of: dict[int, Ref] = {}

    def add(self, tensor: keras.KerasTensor) -> Ref:
        ref = Ref(len(self.specs))
        self.specs.append(tensor)
        self._ref_of[id(tensor)] = ref
        return ref

    def ref(self, leaf: Structure) -> Structure:
        is_tensor = isinstance(leaf, keras.KerasTensor)
        return self._ref_of[id(leaf)] if is_tensor else leaf

    def call(
        self, layer: keras.Operation, *args: Structure, **kwargs: Structure
    ) -> Structure:
        results = _StandIn(layer)(*args, **kwargs)
        outputs = [self.add(one).number for one in keras.tree.flatten(results)]
        args, kwargs = keras.tree.map_structure(self.ref, (args, kwargs))
        inputs = _numbers((args, kwargs))
        masks = _numbers(kwargs.get("mask"))
        self.nodes.append(
            Node(
                layer=layer,
                args=args,
                kwargs=kwargs,
                inputs=inputs,
                data=tuple(n for n in inputs if n not in masks),
                outputs=tuple(outputs),
            )
        )
        return results


def _numbers(structure: Structure) -> tuple[int, ...]:
    leaves = keras.tree.flatten(structure)
    return tuple(leaf.number for leaf in leaves if isinstance(leaf, Ref))


class _StandIn(keras.Operation):
    """Returns tensors shaped as a layer's, without a call of that layer."""

    def __init__(self, layer: keras.Operation) -> None:
        super().__init__()
        self._layer = layer

    def compute_output_spec(
        self, *args: Structure, **kwargs: Structure
    ) -> Structure:
        """Returns the outputs of the layer, symbolically."""
        return self._layer.compute_output_spec(*args, **kwargs)
