"""`evolvable`: a search space around a network that exists."""

import collections
import copy
import dataclasses
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import keras
import keras_tuner
import numpy as np
import tensorflow as tf

from keras_evonas.models import kinds
from keras_evonas.models.costs.isolation import isolated
from keras_evonas.models.costs.isolation import without_allocation
from keras_evonas.models.genetics import Bounds
from keras_evonas.models.genetics import genetics_of
from keras_evonas.models.growing import Blueprint
from keras_evonas.models.growing import kept
from keras_evonas.models.growing import remade
from keras_evonas.models.layer_graph import Graph
from keras_evonas.models.layer_graph import graph_of
from keras_evonas.models.regions import regions_of
from keras_evonas.models.scaling import Scale
from keras_evonas.models.scaling import ScaledNetwork
from keras_evonas.models.widths import Widths

Compile = Callable[[keras.Model, keras_tuner.HyperParameters], None]


def evolvable(
    model: keras.Model,
    *,
    fixed: Iterable[str | keras.Layer] = (),
    widths: tuple[float, float] = (0.5, 2.0),
    kernels: tuple[int, int] = (1, 7),
    repeats: tuple[int, int] = (0, 2),
    activations: Sequence[str] = ("relu", "gelu", "tanh"),
    normalizations: Sequence[str] = ("none", "batch", "layer"),
    dropouts: Sequence[float] = (0.0, 0.1, 0.2, 0.3, 0.5),
    keep_weights: bool = True,
    compile_model: Compile | None = None,
    name: str | None = None,
) -> "EvolvableModel":
    """Makes a search space around a model.

    The default of the space is the model itself, weights included. Other
    children differ in the hyperparameters of this table. Widths that meet in
    an `Add` are one hyperparameter, and layers of unknown kinds stay as they
    are, so that every child can be built.

    | hyperparameter | values | of |
    |---|---|---|
    | `LAYER/units`, `/filters`, `/output_dim` | `widths` times its own | all \
widths that must be equal, named after the first layer |
    | `LAYER/kernel_size` | its own and 2 less or more | convolutions with \
padding |
    | `LAYER/repeats` | `repeats`; 1 is the model, 0 omits the part | residual \
blocks, named after their sum, and layers outside of them, with their \
normalization and activation |
    | `activation/NAME` | `NAME` and `activations` | all that have `NAME` |
    | `normalization/NAME` | `NAME` and `normalizations` | all of that kind; \
`normalization/none` adds them to a model without any |
    | `LAYER/dropout` | its own and `dropouts` | dropout layers, and before \
the last Dense layers |

    The hyperparameters of a part that is absent are not active.

    These stay as they are, weights included: the layers in `fixed`, layers
    whose `trainable` is `False`, models inside of the model, such as a
    backbone, and layers of unknown kinds.

    Args:
        model: A built Sequential or functional model, compiled or not. It is
            not changed; later changes of its weights do not count.
        fixed: Layers that stay as they are, or their names. Defaults to none.
        widths: Pair of factors. `(1, 1)` keeps all widths. Defaults to
            `(0.5, 2.0)`.
        kernels: Pair of integers, the smallest and the largest side of a
            kernel. Defaults to `(1, 7)`.
        repeats: Pair of integers around 1. `(1, 1)` keeps all layers.
            Defaults to `(0, 2)`.
        activations: Names of Keras activations; empty to keep them. Defaults
            to `("relu", "gelu", "tanh")`.
        normalizations: Any of `"none"`, `"batch"` and `"layer"`; empty to
            keep them. Defaults to all three.
        dropouts: Rates of dropout; empty to keep them. Defaults to
            `(0.0, 0.1, 0.2, 0.3, 0.5)`.
        keep_weights: Boolean, whether a child begins with the model's weights
            wherever their shapes agree. Otherwise only fixed layers do, and
            all others, those of the default too, begin from initializers.
            Defaults to `True`.
        compile_model: Function of a child and `hp` that compiles the child,
            and may ask for more hyperparameters. Defaults to `None`: children
            are compiled as the model is, if it is.
        name: String, the name of the hypermodel. Defaults to `None`.

    Returns:
        A `keras_tuner.HyperModel`.

    Raises:
        TypeError: If `model` is no Keras model.
        ValueError: If its graph cannot be read, if a layer is shared or cannot
            be made anew and is not fixed, if `fixed` names a layer that the
            model lacks, or if a bound is out of its range.

    Example:

    ```python
    hypermodel = evolvable(model, fixed=["backbone"], widths=(0.5, 1.5))
    tuner = EvolutionarySearch(hypermodel, "val_accuracy", max_trials=60)
    ```
    """
    bounds = Bounds(
        widths=widths,
        kernels=kernels,
        repeats=repeats,
        activations=activations,
        normalizations=normalizations,
        dropouts=dropouts,
    )
    graph = isolated(lambda: graph_of(model))
    names = _names(graph, fixed)
    fixed_nodes = _fixed_nodes(graph, names)
    without_allocation(lambda: _check_layers(graph, fixed_nodes))
    free_widths = Widths(graph, fixed_nodes)
    # Operations without weights stay as they are, in each copy of a block.
    whole = frozenset(i for i in fixed_nodes if _is_whole(graph, i, names))
    regions = regions_of(graph, free_widths, whole)
    genetics = genetics_of(graph, free_widths, regions, fixed_nodes, bounds)
    blueprint = Blueprint(graph=graph, genetics=genetics, fixed=fixed_nodes)
    hypermodel = EvolvableModel(
        blueprint,
        compile_model=compile_model or _compiled_as(model),
        weights=_weights_of(blueprint, keep_weights),
        name=name,
    )
    without_allocation(
        lambda: hypermodel.build(keras_tuner.HyperParameters()) and None
    )
    return hypermodel


class EvolvableModel(keras_tuner.HyperModel):
    """The space around a model; made by `evolvable`.

    The layers of a node begin with the `weights` of its index.
    """

    def __init__(
        self,
        blueprint: Blueprint,
        *,
        compile_model: Compile,
        weights: Mapping[int, Mapping[str, np.ndarray]],
        name: str | None,
    ) -> None:
        super().__init__(name=name)
        self._blueprint = blueprint
        self._compile = compile_model
        self._weights = weights

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        """Builds a child; see `keras_tuner.HyperModel`."""
        values = self._blueprint.genetics.ask(hp)
        child, placed = self._blueprint.grow(values, self.name)
        # Weights have no values inside of a graph; see `without_allocation`.
        if tf.executing_eagerly():
            self._set_weights(placed)
        self._compile(child, hp)
        return child

    def scaled(self, values: dict[str, Any], scale: Scale) -> ScaledNetwork:
        """Returns a network of another size; see `compound_scale`.

        Its resolution stays: a model's graph takes inputs of one shape.
        """
        genetics = self._blueprint.genetics
        grown = dict(values)
        for name in {*genetics.width_of.values()} & {*values}:
            grown[name] = scale.width_of(values[name])
        repeats = []
        for region, gene in genetics.repeats:
            if gene.name in values:
                number = scale.depth_of(values[gene.name])
                grown[gene.name] = number
                numbers = tuple(sorted({*gene.values, number}))
                gene = dataclasses.replace(gene, values=numbers)
            repeats.append((region, gene))
        blueprint = dataclasses.replace(
            self._blueprint,
            genetics=dataclasses.replace(genetics, repeats=tuple(repeats)),
        )
        larger = EvolvableModel(
            blueprint,
            compile_model=self._compile,
            weights=self._weights,
            name=self.name,
        )
        return ScaledNetwork(larger, grown)

    def _set_weights(self, placed: Mapping[int, keras.Operation]) -> None:
        nodes = self._blueprint.graph.nodes
        for index, layer in placed.items():
            arrays = self._weights.get(index)
            if (
                arrays is None
                or layer is nodes[index].layer
                or type(layer) is not type(nodes[index].layer)
            ):
                continue
            weights = kinds.weights_of(layer)
            if weights.keys() != arrays.keys():
                continue
            for name, weight in weights.items():
                if tuple(weight.shape) == arrays[name].shape:
                    weight.assign(arrays[name])
            kinds.finalize(layer)


def _weights_of(
    blueprint: Blueprint, keep_weights: bool
) -> dict[int, dict[str, np.ndarray]]:
    """Copies the weights that children begin with, by index of their node."""
    return {
        index: {
            name: np.array(weight)
            for name, weight in kinds.weights_of(node.layer).items()
        }
        for index, node in enumerate(blueprint.graph.nodes)
        if isinstance(node.layer, keras.Layer)
        and node.layer.weights
        and (keep_weights or index in blueprint.fixed)
    }


def _names(graph: Graph, fixed: Iterable[str | keras.Layer]) -> set[str]:
    known = {node.layer.name for node in graph.nodes}
    if isinstance(fixed, str | keras.Layer):
        raise ValueError(
            "`fixed` must be a list of layers or of their names. Received: "
            f"fixed={fixed!r}. Put it in brackets."
        )
    names = {getattr(one, "name", one) for one in fixed}
    if not names <= known:
        raise ValueError(
            "`fixed` must name layers of the model. Received: "
            f"{sorted(map(str, names - known))}. The model has "
            f"{sorted(known)}."
        )
    return names


def _fixed_nodes(graph: Graph, names: set[str]) -> frozenset[int]:
    def stays(layer: keras.Operation) -> bool:
        return (
            layer.name in names
            or not isinstance(layer, keras.Layer)
            or isinstance(layer, (keras.Model, *kinds.LOOKUPS))
            or type(layer) is keras.layers.Lambda
            or (not layer.trainable and bool(layer.weights))
        )

    return frozenset(
        index for index, node in enumerate(graph.nodes) if stays(node.layer)
    )


def _is_whole(graph: Graph, index: int, names: set[str]) -> bool:
    """Returns whether no copy of a fixed node may be made."""
    layer = graph.nodes[index].layer
    return isinstance(layer, keras.Layer) or layer.name in names


def _check_layers(graph: Graph, fixed: frozenset[int]) -> None:
    """Raises a `ValueError` that names a layer that cannot be made anew."""
    calls = collections.Counter(id(node.layer) for node in graph.nodes)
    for index, node in enumerate(graph.nodes):
        layer = node.layer
        if index not in fixed:
            _check_free(layer, calls[id(layer)])
        elif getattr(layer, "trainable_weights", []) and kept(layer) is layer:
            raise ValueError(
                f"The layer {layer.name!r} of `model` must be frozen or "
                "have a `get_config`: it cannot be made anew, so all networks "
                "would train the same weights. Received: "
                f"a {type(layer).__name__}. Set `layer.trainable = False`, or "
                "give its class a `get_config`."
            )


def _check_free(layer: keras.Layer, calls: int) -> None:
    if calls > 1 and layer.weights:
        raise ValueError(
            f"The layer {layer.name!r} of `model` must be called once. "
            f"Received: a {type(layer).__name__}, which is shared by {calls} "
            f"calls. Mark it fixed: `fixed=[{layer.name!r}]`."
        )
    try:
        remade(layer)
    except Exception as error:  # Whatever a user's class raises.
        # The first line of its message, if it has one.
        reason, *_ = [*str(error).strip().splitlines(), ""]
        raise ValueError(
            f"The layer {layer.name!r} of `model` must have a `get_config` "
            "from which it can be made anew. Received: "
            f"a {type(layer).__name__}, which gives {type(error).__name__}: "
            f"{reason} Mark it fixed: `fixed=[{layer.name!r}]`, or give its "
            "class a `get_config`."
        ) from error


def _compiled_as(model: keras.Model) -> Compile:
    """Compiles children as a model is compiled, or not at all."""
    if not model.compiled:
        return lambda *_: None
    config = model.get_compile_config()
    # The config lacks what `exclude_from_weight_decay` was told.
    pattern = "_exclude_from_weight_decay_pattern"
    excluded = getattr(model.optimizer, pattern, None)
    if getattr(model.optimizer, "_exclude_from_weight_decay", None):
        raise ValueError(
            "`compile_model` must be given for a model whose optimizer was "
            "told variables by `exclude_from_weight_decay(var_list=...)`: "
            "networks have variables of their own. Received: "
            f"compile_model=None for {model.name!r}. Pass `compile_model="
            "lambda child, hp: ...`, or tell the optimizer `var_names`."
        )

    def compile_model(child: keras.Model, _: object) -> None:
        # `compile_from_config` would build the optimizer's variables as well,
        # which takes as long as all the rest and is left to training.
        settings = copy.deepcopy(config)
        child.compile(**keras.saving.deserialize_keras_object(settings))
        if excluded:
            child.optimizer.exclude_from_weight_decay(
                var_names=[excluded.pattern]
            )

    try:
        without_allocation(
            lambda: compile_model(keras.Sequential([keras.Input((1,))]), None)
        )
    except Exception as error:  # Whatever a user's loss raises.
        raise ValueError(
            "`compile_model` must be given for a model whose loss, metrics or "
            "optimizer cannot be made anew. Received: compile_model=None for "
            f"{model.name!r}, which gives {type(error).__name__}: {error} "
            "Pass `compile_model=lambda child, hp: child.compile(...)`."
        ) from error
    return compile_model
