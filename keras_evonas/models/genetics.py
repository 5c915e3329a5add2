"""The genes of a model's graph: what may change, and what it is by default."""

import dataclasses
from collections.abc import Collection
from collections.abc import Sequence
from typing import Any

import keras
import keras_tuner

from keras_evonas.models import genes
from keras_evonas.models.graphs import Graph
from keras_evonas.models.regions import REPEATABLE
from keras_evonas.models.regions import Region
from keras_evonas.models.widths import NORMALIZATIONS
from keras_evonas.models.widths import WIDTH_ARGUMENT
from keras_evonas.models.widths import Widths
from keras_evonas.models.widths import is_over_channels

L = keras.layers

# Factors of a width that a child may have, as far as the bounds allow.
_FACTORS = (0.125, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 3.0, 4.0, 8.0)
# Those that shape an output or a gate are part of what a model means.
_KEPT_ACTIVATIONS = ("linear", "softmax", "sigmoid", "hard_sigmoid")
_KERNEL_LAYERS = (
    *(L.Conv1D, L.Conv2D, L.Conv3D, L.SeparableConv1D, L.SeparableConv2D),
    *(L.DepthwiseConv1D, L.DepthwiseConv2D),
)
_DROPOUTS = (
    *(L.Dropout, L.SpatialDropout1D, L.SpatialDropout2D, L.SpatialDropout3D),
    *(L.GaussianDropout, L.AlphaDropout),
)
# Genes with a name of their own, beside those named after layers.
NORMALIZATION = "normalization"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Bounds:
    """How far children may be from the model; see `evolvable`."""

    widths: tuple[float, float]
    kernels: tuple[int, int]
    repeats: tuple[int, int]
    activations: tuple[str, ...]
    normalizations: tuple[str, ...]
    dropouts: tuple[float, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelGene:
    """One gene of a model.

    Args:
        name: String.
        values: Its values.
        default: That of the model.
        nodes: Indices of the nodes that it shapes.
    """

    name: str
    values: tuple[Any, ...]
    default: Any
    nodes: tuple[int, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Genetics:
    """All genes of a model.

    Args:
        repeats: The regions, each with the gene that says how often it is
            there, larger ones first.
        others: The other genes.
        width_of: The name of the gene of each node whose width changes.
    """

    repeats: tuple[tuple[Region, ModelGene], ...]
    others: tuple[ModelGene, ...]
    width_of: dict[int, str]

    def ask(self, hp: keras_tuner.HyperParameters) -> dict[str, Any]:
        """Asks for all genes, those of absent parts in a closed scope.

        Returns:
            Dictionary from names of genes to values; `None` for absent parts.
        """
        values: dict[str, Any] = {}
        asked: list[tuple[Region, ModelGene]] = []
        for region, gene in self.repeats:
            self._ask(hp, gene, _around(region.nodes, asked), values)
            asked.append((region, gene))
        for gene in self.others:
            self._ask(hp, gene, _around(gene.nodes, asked), values)
        return values

    def _ask(
        self,
        hp: keras_tuner.HyperParameters,
        gene: ModelGene,
        around: Sequence[ModelGene],
        values: dict[str, Any],
    ) -> None:
        if around:
            first, *rest = around
            there = [number for number in first.values if number]
            with hp.conditional_scope(first.name, there):
                self._ask(hp, gene, rest, values)
            return
        values[gene.name] = hp.Choice(
            gene.name, list(gene.values), default=gene.default
        )


def _around(
    nodes: Collection[int], regions: Sequence[tuple[Region, ModelGene]]
) -> list[ModelGene]:
    """Genes of the removable regions that hold all of some nodes."""
    return [
        gene
        for region, gene in regions
        if 0 in gene.values and set(region.nodes).issuperset(nodes)
    ]


def genetics_of(
    graph: Graph,
    widths: Widths,
    regions: Sequence[Region],
    fixed: Collection[int],
    bounds: Bounds,
) -> Genetics:
    """Lists the genes of a model."""
    repeats = []
    for region in sorted(regions, key=lambda one: -len(one.nodes)):
        low, high = bounds.repeats
        low = low if region.removable else max(1, low)
        numbers = sorted({1, *range(low, high + 1)})
        if len(numbers) > 1:
            gene = ModelGene(
                name=f"{region.name}/repeats",
                values=tuple(numbers),
                default=1,
                nodes=region.nodes,
            )
            repeats.append((region, gene))
    width_genes, width_of = _width_genes(graph, widths, fixed, bounds)
    free = [i for i in range(len(graph.nodes)) if i not in fixed]
    others = [
        *width_genes,
        *_kernel_genes(graph, free, bounds),
        *_activation_genes(graph, free, bounds),
        *_normalization_genes(graph, free, bounds),
        *_dropout_genes(graph, free, bounds),
    ]
    return Genetics(
        repeats=tuple(repeats), others=tuple(others), width_of=width_of
    )


def activation_of(graph: Graph, index: int) -> str | None:
    """Name of the activation of a node that may be another, if any."""
    node = graph.nodes[index]
    layer, kind = node.layer, type(node.layer)
    if set(node.outputs) & graph.output_numbers:
        return None
    if kind is L.ReLU:
        if layer.negative_slope or layer.threshold:
            return None
        return {None: "relu", 6: "relu6"}.get(layer.max_value)
    if kind is not L.Activation and not _makes_with_activation(kind):
        return None
    name = keras.activations.serialize(layer.activation)
    if not isinstance(name, str) or name in _KEPT_ACTIVATIONS:
        return None
    return name


def normalization_of(layer: Any) -> str | None:
    """Which of `NORMALIZATIONS` a layer is, if it is over channels."""
    if type(layer) not in NORMALIZATIONS or not is_over_channels(layer):
        return None
    return "batch" if type(layer) is L.BatchNormalization else "layer"


def _makes_with_activation(kind: Any) -> bool:
    return kind in REPEATABLE or kind in (
        *(L.Conv1DTranspose, L.Conv2DTranspose, L.Conv3DTranspose),
        *(L.DepthwiseConv1D, L.DepthwiseConv2D),
    )


def _width_genes(
    graph: Graph, widths: Widths, fixed: Collection[int], bounds: Bounds
) -> tuple[list[ModelGene], dict[int, str]]:
    found, width_of = [], {}
    low, high = bounds.widths
    factors = sorted({f for f in _FACTORS if low <= f <= high} | {1.0})
    for makers in widths.free_groups().values():
        layer = graph.nodes[makers[0]].layer
        argument = WIDTH_ARGUMENT[type(layer)]
        width = getattr(layer, argument)
        values = sorted({max(1, round(width * f)) for f in factors} | {width})
        if set(makers) & set(fixed) or len(values) == 1:
            continue
        name = f"{layer.name}/{argument}"
        found.append(
            ModelGene(
                name=name,
                values=tuple(values),
                default=width,
                nodes=tuple(makers),
            )
        )
        width_of.update(dict.fromkeys(makers, name))
    return sorted(found, key=lambda gene: gene.nodes), width_of


def _kernel_genes(
    graph: Graph, free: Sequence[int], bounds: Bounds
) -> list[ModelGene]:
    found = []
    low, high = bounds.kernels
    for index in free:
        layer = graph.nodes[index].layer
        if type(layer) not in _KERNEL_LAYERS:
            continue
        sides = set(layer.kernel_size)
        # With padding the size of the output does not hang on the kernel. A
        # kernel of 1 mixes channels, and is meant to.
        if layer.padding == "valid" or len(sides) != 1 or sides == {1}:
            continue
        (side,) = sides
        near = {side - 2, side, side + 2}
        sides = {s for s in near if s >= 1 and low <= s <= high} | {side}
        if len(sides) > 1:
            found.append(
                ModelGene(
                    name=f"{layer.name}/kernel_size",
                    values=tuple(sorted(sides)),
                    default=side,
                    nodes=(index,),
                )
            )
    return found


def _activation_genes(
    graph: Graph, free: Sequence[int], bounds: Bounds
) -> list[ModelGene]:
    nodes_of: dict[str, list[int]] = {}
    for index in free:
        name = activation_of(graph, index)
        if name is not None:
            nodes_of.setdefault(name, []).append(index)
    return [
        ModelGene(
            name=f"activation/{name}",
            values=(name, *(a for a in bounds.activations if a != name)),
            default=name,
            nodes=tuple(nodes),
        )
        for name, nodes in nodes_of.items()
        if set(bounds.activations) - {name}
    ]


def _normalization_genes(
    graph: Graph, free: Sequence[int], bounds: Bounds
) -> list[ModelGene]:
    nodes_of: dict[str, list[int]] = {}
    for index in free:
        kind = normalization_of(graph.nodes[index].layer)
        if kind is not None:
            nodes_of.setdefault(f"{NORMALIZATION}/{kind}", []).append(index)
    if not any(type(n.layer) in NORMALIZATIONS for n in graph.nodes):
        bare = [i for i in free if takes_normalization(graph, i)]
        if bare:
            nodes_of[f"{NORMALIZATION}/none"] = bare
    found = []
    for name, nodes in nodes_of.items():
        default = name.partition("/")[2]
        values = (default, *(n for n in bounds.normalizations if n != default))
        if len(values) > 1:
            found.append(
                ModelGene(
                    name=name,
                    values=values,
                    default=default,
                    nodes=tuple(nodes),
                )
            )
    return found


def takes_normalization(graph: Graph, index: int) -> bool:
    """Whether a normalization may come after a layer that lacks one."""
    node = graph.nodes[index]
    return (
        type(node.layer) in REPEATABLE
        and not set(node.outputs) & graph.output_numbers
        and not _only_shapes_output(graph, index)
    )


def _dropout_genes(
    graph: Graph, free: Sequence[int], bounds: Bounds
) -> list[ModelGene]:
    found = []
    producers = graph.producers
    for index in free:
        node = graph.nodes[index]
        default = None
        if type(node.layer) in _DROPOUTS:
            default = float(node.layer.rate)
        elif takes_dropout(graph, index):
            maker = producers.get(node.data[0])
            dropped = maker is not None and (
                type(graph.nodes[maker].layer) in _DROPOUTS
            )
            default = None if dropped else 0.0
        rates = {default, *bounds.dropouts}
        if default is not None and len(rates) > 1:
            found.append(
                ModelGene(
                    name=f"{node.layer.name}/dropout",
                    values=tuple(sorted(rates)),
                    default=default,
                    nodes=(index,),
                )
            )
    return found


def takes_dropout(graph: Graph, index: int) -> bool:
    """Whether dropout may come before a layer: the last Dense ones."""
    node = graph.nodes[index]
    return (
        type(node.layer) is L.Dense
        and len(node.data) == 1
        and not set(node.data) & graph.input_numbers
        and _only_shapes_output(graph, index)
    )


def _only_shapes_output(graph: Graph, index: int) -> bool:
    """Whether nothing but an activation is between a node and the output."""
    outputs, consumers = graph.output_numbers, graph.consumers
    (number,) = graph.nodes[index].outputs
    while number not in outputs:
        following = consumers[number]
        if len(following) != 1:
            return False
        node = graph.nodes[following[0]]
        if type(node.layer) not in (L.Activation, L.Softmax):
            return False
        (number,) = node.outputs
    return True


def checked_bounds(
    *,
    widths: Any,
    kernels: Any,
    repeats: Any,
    activations: Any,
    normalizations: Any,
    dropouts: Any,
) -> Bounds:
    """Returns the bounds of `evolvable`, raising a `ValueError`."""
    is_pair = isinstance(widths, tuple | list) and len(widths) == 2
    if not is_pair or not 0 < widths[0] <= 1 <= widths[1]:
        raise ValueError(
            "`widths` must be a pair of factors (low, high) with low at most "
            f"1 and high at least 1. Received: widths={widths!r}. Pass (1, 1) "
            "to keep all widths."
        )
    low, high = genes.check_bounds("repeats", repeats, 0)
    if not low <= 1 <= high:
        raise ValueError(
            "`repeats` must be a pair of integers around 1, which is the "
            f"model itself. Received: repeats={repeats!r}. Pass (1, 1) to "
            "keep all layers."
        )
    return Bounds(
        widths=(float(widths[0]), float(widths[1])),
        kernels=genes.check_bounds("kernels", kernels, 1),
        repeats=(low, high),
        activations=tuple(activations)
        and genes.check_choices("activations", activations),
        normalizations=tuple(normalizations)
        and genes.check_choices(
            "normalizations", normalizations, ("none", "batch", "layer")
        ),
        dropouts=tuple(dropouts) and genes.check_rates("dropouts", dropouts),
    )
