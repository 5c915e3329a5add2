"""The genes of a model's graph, each with its values and its default."""

import contextlib
import dataclasses
from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
from typing import Any

import keras
import keras_tuner

from keras_evonas.models import checks
from keras_evonas.models import kinds
from keras_evonas.models.layer_graph import Graph
from keras_evonas.models.regions import Region
from keras_evonas.models.widths import Widths

L = keras.layers

# Factors of a width that a child may have, as far as the bounds allow.
_FACTORS = (0.125, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 3.0, 4.0, 8.0)
# Activations of outputs and gates stay: others would change the model's task.
_KEPT_ACTIVATIONS = ("linear", "softmax", "sigmoid", "hard_sigmoid")
# The first part of the names of genes of all normalizations of a kind.
NORMALIZATION = "normalization"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Bounds:
    """The bounds of the genes; see `evolvable`.

    Raises:
        ValueError: If a bound is out of its range.
    """

    widths: tuple[float, float]
    kernels: tuple[int, int]
    repeats: tuple[int, int]
    activations: Sequence[str]
    normalizations: Sequence[str]
    dropouts: Sequence[float]

    def __post_init__(self) -> None:
        """Checks the bounds; an empty choice keeps what the model has."""
        widths = self.widths
        is_pair = isinstance(widths, tuple | list) and len(widths) == 2
        if not is_pair or not 0 < widths[0] <= 1 <= widths[1]:
            raise ValueError(
                "`widths` must be a pair of factors (low, high) with low at "
                f"most 1 and high at least 1. Received: widths={widths!r}. "
                "Pass (1, 1) to keep all widths."
            )
        low, high = checks.check_bounds("repeats", self.repeats, 0)
        if not low <= 1 <= high:
            raise ValueError(
                "`repeats` must be a pair of integers around 1, the number in "
                f"the model itself. Received: repeats={self.repeats!r}. Pass "
                "(1, 1) to keep all layers."
            )
        checks.check_bounds("kernels", self.kernels, 1)
        if tuple(self.activations):
            checks.check_activations(self.activations)
        if tuple(self.normalizations):
            allowed = ("none", "batch", "layer")
            checks.check_choices("normalizations", self.normalizations, allowed)
        if tuple(self.dropouts):
            checks.check_rates("dropouts", self.dropouts)


@dataclasses.dataclass(frozen=True)
class ModelGene:
    """One gene: its values, the model's own, and the nodes that it changes."""

    name: str
    values: tuple[Any, ...]
    default: Any
    nodes: tuple[int, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Genetics:
    """All genes of a model.

    Args:
        repeats: The regions, each with the gene of its number of copies,
            larger ones first.
        others: The other genes.
        width_of: The name of the gene of each node whose width changes.
    """

    repeats: tuple[tuple[Region, ModelGene], ...]
    others: tuple[ModelGene, ...]
    width_of: dict[int, str]

    def ask(self, hp: keras_tuner.HyperParameters) -> dict[str, Any]:
        """Asks for all genes, for those of absent parts in a closed scope.

        Returns:
            Dictionary from names of genes to values; `None` for absent parts.
        """
        values: dict[str, Any] = {}
        removable: list[ModelGene] = []
        genes = [gene for _, gene in self.repeats]
        for gene in [*genes, *self.others]:
            with contextlib.ExitStack() as scopes:
                for part in removable:
                    if set(part.nodes).issuperset(gene.nodes):
                        present = [number for number in part.values if number]
                        scope = hp.conditional_scope(part.name, present)
                        scopes.enter_context(scope)
                values[gene.name] = hp.Choice(
                    gene.name, list(gene.values), default=gene.default
                )
            if gene in genes and 0 in gene.values:
                removable.append(gene)
        return values


def genetics_of(
    graph: Graph,
    widths: Widths,
    regions: Sequence[Region],
    fixed: Collection[int],
    bounds: Bounds,
) -> Genetics:
    """Lists the genes of a model."""
    low, high = bounds.repeats
    repeats = []
    for region in sorted(regions, key=lambda one: -len(one.nodes)):
        least = low if region.removable else max(1, low)
        numbers = tuple(sorted({1, *range(least, high + 1)}))
        name = f"{region.name}/repeats"
        repeats.append((region, ModelGene(name, numbers, 1, region.nodes)))
    free = [i for i in range(len(graph.nodes)) if i not in fixed]
    width_genes = _several(_width_genes(graph, widths, fixed, bounds))
    others = [
        *sorted(width_genes, key=lambda gene: gene.nodes),
        *_kernel_genes(graph, free, bounds),
        *_activation_genes(graph, free, bounds),
        *_normalization_genes(graph, free, bounds),
        *_dropout_genes(graph, free, bounds),
    ]
    return Genetics(
        repeats=tuple(pair for pair in repeats if len(pair[1].values) > 1),
        others=tuple(_several(others)),
        width_of={i: gene.name for gene in width_genes for i in gene.nodes},
    )


def _several(genes: Iterable[ModelGene]) -> list[ModelGene]:
    """Returns the genes that have several values."""
    return [gene for gene in genes if len(gene.values) > 1]


def activation_of(graph: Graph, index: int) -> str | None:
    """Returns the name of the activation of a node, if it may change."""
    layer, kind = graph.nodes[index].layer, type(graph.nodes[index].layer)
    calls = (node for node in graph.nodes if node.layer is layer)
    if any(set(call.outputs) & graph.output_numbers for call in calls):
        return None
    if kind is L.ReLU:
        if layer.negative_slope or layer.threshold:
            return None
        return {None: "relu", 6: "relu6"}.get(layer.max_value)
    if kind is not L.Activation and kind not in kinds.WITH_ACTIVATION:
        return None
    name = kinds.activation_name(layer)
    is_kept = not isinstance(name, str) or name in _KEPT_ACTIVATIONS
    return None if is_kept else str(name)


def normalization_of(layer: keras.Operation) -> str | None:
    """Returns the kind of a normalization over channels, if it is one."""
    if type(layer) in kinds.NORMALIZATIONS and kinds.is_over_channels(layer):
        return "batch" if type(layer) is L.BatchNormalization else "layer"
    return None


def _width_genes(
    graph: Graph, widths: Widths, fixed: Collection[int], bounds: Bounds
) -> Iterator[ModelGene]:
    low, high = bounds.widths
    factors = {low, high, *(f for f in _FACTORS if low < f < high)}
    for makers in widths.free_groups():
        if set(makers) & set(fixed):
            continue
        layer = graph.nodes[makers[0]].layer
        argument = kinds.WIDTH_ARGUMENT[type(layer)]
        width = getattr(layer, argument)
        values = {max(1, round(width * f)) for f in factors} | {width}
        name = f"{layer.name}/{argument}"
        yield ModelGene(name, tuple(sorted(values)), width, tuple(makers))


def _kernel_genes(
    graph: Graph, free: Sequence[int], bounds: Bounds
) -> Iterator[ModelGene]:
    low, high = bounds.kernels
    for index in free:
        layer = graph.nodes[index].layer
        if type(layer) not in kinds.WITH_KERNEL:
            continue
        sides = set(layer.kernel_size)
        # Without padding the size of the output depends on the kernel. A
        # kernel of 1 only mixes channels, which is its purpose.
        if layer.padding == "valid" or len(sides) != 1 or sides == {1}:
            continue
        (side,) = sides
        near = {side - 2, side, side + 2}
        values = {s for s in near if s >= 1 and low <= s <= high} | {side}
        name = f"{layer.name}/kernel_size"
        yield ModelGene(name, tuple(sorted(values)), side, (index,))


def _activation_genes(
    graph: Graph, free: Sequence[int], bounds: Bounds
) -> Iterator[ModelGene]:
    names = {index: activation_of(graph, index) for index in free}
    return _shared_genes("activation", names, bounds.activations)


def _normalization_genes(
    graph: Graph, free: Sequence[int], bounds: Bounds
) -> Iterator[ModelGene]:
    names = {i: normalization_of(graph.nodes[i].layer) for i in free}
    if not any(type(n.layer) in kinds.NORMALIZATIONS for n in graph.nodes):
        bare = [index for index in free if takes_normalization(graph, index)]
        names |= dict.fromkeys(bare, "none")
    return _shared_genes(NORMALIZATION, names, bounds.normalizations)


def _shared_genes(
    kind: str, names: dict[int, str | None], values: Sequence[str]
) -> Iterator[ModelGene]:
    """Makes one gene for all nodes that have the same default."""
    for name in dict.fromkeys(one for one in names.values() if one):
        # A default that is not the first value counts as chosen: searches
        # begin with it.
        others = [value for value in values if value != name]
        choices = (*others[:1], name, *others[1:])
        nodes = tuple(index for index in names if names[index] == name)
        yield ModelGene(f"{kind}/{name}", choices, name, nodes)


def takes_normalization(graph: Graph, index: int) -> bool:
    """Returns whether a layer without a normalization may get one."""
    node = graph.nodes[index]
    return (
        type(node.layer) in kinds.REPEATABLE
        and not kinds.has_channels_first(node.layer)
        and not set(node.outputs) & graph.output_numbers
        and not _only_shapes_output(graph, index)
    )


def _dropout_genes(
    graph: Graph, free: Sequence[int], bounds: Bounds
) -> Iterator[ModelGene]:
    dropped = {
        number
        for node in graph.nodes
        if type(node.layer) in kinds.DROPOUTS
        for number in node.outputs
    }
    calls: dict[int, list[int]] = {}
    for index in free:
        calls.setdefault(id(graph.nodes[index].layer), []).append(index)
    for nodes in calls.values():
        index = nodes[0]
        node = graph.nodes[index]
        if type(node.layer) in kinds.DROPOUTS:
            default = float(node.layer.rate)
        elif takes_dropout(graph, index) and node.data[0] not in dropped:
            default = 0.0
        else:
            continue
        rates = tuple(sorted({default, *map(float, bounds.dropouts)}))
        name = f"{node.layer.name}/dropout"
        yield ModelGene(name, rates, default, tuple(nodes))


def takes_dropout(graph: Graph, index: int) -> bool:
    """Returns whether dropout may come before a layer: the last Dense ones."""
    node = graph.nodes[index]
    return (
        type(node.layer) is L.Dense
        and len(node.data) == 1
        and not set(node.data) & graph.input_numbers
        and _only_shapes_output(graph, index)
    )


def _only_shapes_output(graph: Graph, index: int) -> bool:
    """Returns whether only an activation comes between node and output."""
    (number,) = graph.nodes[index].outputs
    while number not in graph.output_numbers:
        following = graph.consumers[number]
        if len(following) != 1:
            return False
        node = graph.nodes[following[0]]
        if type(node.layer) not in (L.Activation, L.Softmax):
            return False
        (number,) = node.outputs
    return True
