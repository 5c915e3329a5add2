"""Weights for a network from those of another: Net2Net.

Follows Chen et al. (2016). A child that is wider, deeper or has larger kernels
than its parent computes what the parent computes, where the layers allow it:

- A wider layer holds copies of the parent's units, and the next layer divides
  a unit's weight among its copies. Deviation from the paper: copies are taken
  in turn instead of drawn, so that layers that meet in an `Add` agree on them,
  and the shares are uneven instead of equal with noise. So copies get different
  gradients, and the function is exactly the parent's. Each gate of a recurrent
  layer is widened so.
- A layer that the parent lacks begins as the identity, if its activation is
  none, or ReLU after a ReLU. So does a new batch normalization. Where a sum has
  a branch that the parent lacks, its last layer begins with zeros.
- A larger kernel has zeros around the parent's, if its convolution is padded.

Everything else, such as a narrower layer, takes the slices that match, and
keeps its own initial values elsewhere. Layers and activations of the user's own
are taken to do the same to each unit.
"""

import dataclasses
from collections.abc import Mapping
from collections.abc import Sequence
from typing import TypeAlias

import keras
import numpy as np

from keras_evonas.models import kinds
from keras_evonas.models.alignment import aligned
from keras_evonas.models.alignment import namesakes
from keras_evonas.models.branches import is_sum
from keras_evonas.models.branches import new_branches
from keras_evonas.models.branches import silence
from keras_evonas.models.channels import Channels
from keras_evonas.models.channels import Entry
from keras_evonas.models.channels import are_same
from keras_evonas.models.channels import fits
from keras_evonas.models.channels import passed_on
from keras_evonas.models.channels import same_channels
from keras_evonas.models.channels import unchanged
from keras_evonas.models.costs.isolation import isolated
from keras_evonas.models.equivalence import Meanings
from keras_evonas.models.equivalence import works_as
from keras_evonas.models.layer_graph import Graph
from keras_evonas.models.layer_graph import Node
from keras_evonas.models.layer_graph import graph_of
from keras_evonas.models.layer_graph import has_weights
from keras_evonas.models.overlays import array_of
from keras_evonas.models.overlays import kernel_size_of
from keras_evonas.models.overlays import overlaid
from keras_evonas.models.overlays import overlay
from keras_evonas.models.overlays import places_of
from keras_evonas.models.overlays import same_shapes
from keras_evonas.models.overlays import turned

L = keras.layers
Layer: TypeAlias = keras.Layer

_KERNELS = {
    **kinds.KERNELS,
    **dict.fromkeys(kinds.TRANSPOSED, (("kernel", True),)),
}
# How many kernels of recurrent layers lie side by side.
_GATES = {L.LSTM: 4, L.GRU: 3, L.SimpleRNN: 1}
# The least share of a unit's outgoing weight that one of its copies gets,
# before the shares are divided by their sum.
_LEAST_SHARE = 0.3


@dataclasses.dataclass(frozen=True, kw_only=True)
class Inheritance:
    """A summary of the weights that a child got from its parent.

    Attributes:
        layers: Number of layers with weights.
        preserved: Number of them that compute exactly what the parent's do,
            from what these get, or are new and change nothing. What layers
            without weights do counts with the layer behind them or, after the
            last one, before them.
    """

    layers: int
    preserved: int


def inherit_weights(
    parent: keras.Model,
    child: keras.Model,
    *,
    by_name: bool = False,
    seed: int = 0,
) -> Inheritance:
    """Gives a child the weights of its parent, as far as they fit.

    The parent is not changed. Subclassed models, whose graph cannot be read,
    take the slices that match, in the order of the weights.

    Args:
        parent: A built Keras model.
        child: A built Keras model, whose weights are changed.
        by_name: Boolean, whether a layer has the weights of the parent's layer
            of its name, as in networks of `evolvable`, or else of one that is
            like it at its place. Defaults to `False`.
        seed: Integer, from which the shares of copies are drawn. Defaults to
            0.

    Returns:
        A summary of the weights that the child got.

    Raises:
        ValueError: If a model is not built.
    """
    for name, model in (("parent", parent), ("child", child)):
        if not model.built:
            raise ValueError(
                f"`{name}` must be built. Received: {model.name!r}, which has "
                "no weights yet. Call it on data once."
            )
    try:
        graphs = isolated(
            lambda: (graph_of(parent, "parent"), graph_of(child, "child"))
        )
    except ValueError:  # The model is subclassed.
        overlay(parent.weights, child.weights)
        return Inheritance(layers=len(child.layers), preserved=0)
    pairs = namesakes(*graphs) if by_name else aligned(*graphs)
    return _Heir(*graphs, pairs, np.random.default_rng(seed)).inherit()


class _Heir:
    """A transfer of weights, node by node of the child."""

    def __init__(
        self,
        parent: Graph,
        child: Graph,
        pairs: Mapping[int, int],
        rng: np.random.Generator,
    ) -> None:
        self._child = child
        self._parent = parent
        self._parent_of = pairs
        self._rng = rng
        self._meanings = Meanings(child, Meanings.of_parent(parent))
        self._channels: dict[int, Entry] = {
            number: same_channels(child.shape(number)[-1] or 0)
            for number in child.input_numbers
        }
        # Indices of the nodes that compute what the parent's do.
        self._exact: set[int] = set()

    def inherit(self) -> Inheritance:
        child = self._child
        heirs = set(child.weighted)
        for index, node in enumerate(child.nodes):
            entries = [self._channels[number] for number in node.data]
            if index in heirs:
                result = self._visit(index, entries)
                self._note(index, node)
            else:
                result = passed_on(child, node, entries)
                self._meanings.call(node)
            self._channels.update(dict.fromkeys(node.outputs, result))
            if is_sum(node) and self._meanings.is_new(node.outputs[0]):
                self._silence_branches(node)
        ends = [
            [ref.number for ref in keras.tree.flatten(graph.outputs)]
            for graph in (child, self._parent)
        ]
        if not self._meanings.are_those(*ends):
            self._exact -= child.last_weighted
        return Inheritance(layers=len(heirs), preserved=len(self._exact))

    def _note(self, index: int, node: Node) -> None:
        """Notes what a layer with weights stands for."""
        source = self._parent_of.get(index)
        if source is not None:
            old = self._parent.nodes[source]
            if not self._meanings.are_those(node.inputs, old.inputs):
                self._exact.discard(index)
            self._meanings.stand_for(node, source)
        elif index in self._exact:
            self._meanings.pass_on(node)
        else:
            self._meanings.stand_for(node, ("new", index))

    def _silence_branches(self, node: Node) -> None:
        """Makes new branches of a sum add nothing to what the parent has."""
        child = self._child
        known = {id(child.nodes[index].layer) for index in self._parent_of}
        new = {
            index
            for index, other in enumerate(child.nodes)
            if has_weights(other.layer) and id(other.layer) not in known
        }
        for trunk in node.data:
            branches = new_branches(child, node, trunk, new)
            if branches is None or self._meanings.is_new(trunk):
                continue
            for end, own in branches.items():
                silence(child.nodes[end].layer)
                self._exact.update(own)
            self._meanings.of[node.outputs[0]] = self._meanings.of[trunk]
            self._channels[node.outputs[0]] = self._channels[trunk]
            return

    def _visit(self, index: int, entries: Sequence[Entry]) -> Entry:
        """Gives a layer its weights; returns the channels of its output."""
        node, source = self._child.nodes[index], self._parent_of.get(index)
        if source is None:
            return self._identity(index, entries)
        old, layer = self._parent.nodes[source].layer, node.layer
        if len(entries) == 1 and len(node.outputs) == 1:
            if (
                type(layer) in _KERNELS
                and all(map(kinds.has_free_width, (layer, old)))
                and all(map(kinds.has_plain_kernel, (layer, old)))
            ):
                return self._kernels(index, old, entries[0])
            if type(layer) in _GATES:
                return self._recurrent(index, old, entries[0])
            if type(layer) in kinds.NORMALIZATIONS and all(
                kinds.is_over_channels(one) for one in (layer, old)
            ):
                return self._normalization(index, old, entries[0])
        return self._matching(index, old, entries)

    def _kernels(self, index: int, old: Layer, entry: Entry) -> Entry:
        """Gives a layer its kernels, and a bias for its output channels."""
        node = self._child.nodes[index]
        layer = node.layer
        kernels = [
            (
                getattr(layer, name),
                turned(old, array_of(getattr(old, name))),
                mixes,
            )
            for name, mixes in _KERNELS[type(layer)]
        ]
        if entry is None or any(
            kernel.shape[-2] != entry.total for _, kernel, _ in kernels
        ):
            return self._matching(index, old, [entry])
        result = entry
        # A transposed convolution is padded as the one from its output.
        is_transposed = type(layer) in kinds.TRANSPOSED
        (padded,) = node.outputs if is_transposed else node.data
        starts = places_of(layer, old, self._child.shape(padded))
        for weight, kernel, mixes in kernels:
            shape = turned(layer, np.empty(weight.shape)).shape
            widened = kernel[..., entry.parents, :]
            if mixes:
                total = kernel.shape[-1]
                result = Channels(_copies(total, shape[-1]), total)
                widened = widened * self._shares(entry.parents)[:, None]
                widened = widened[..., result.parents]
            zeros = np.zeros(shape, kernel.dtype)
            weight.assign(turned(layer, overlaid(zeros, widened, starts)))
        if layer.bias is not None:
            bias = np.zeros(layer.bias.shape, "float32")
            if old.bias is not None:
                bias = array_of(old.bias)[result.parents]
            layer.bias.assign(bias)
        exact = layer.bias is not None or old.bias is None
        exact = exact and None not in starts
        return self._counted(index, old, entry, result, exact)

    def _counted(
        self,
        index: int,
        old: Layer,
        entry: Channels,
        result: Channels,
        exact: bool,
    ) -> Entry:
        """Counts a layer if it is exact; returns the channels of its output."""
        layer = self._child.nodes[index].layer
        is_clear = are_same([result]) or kinds.is_unitwise(layer)
        if is_clear and exact and _is_exact(layer, old, entry):
            self._exact.add(index)
        return result.with_positive(kinds.is_relu(layer)) if is_clear else None

    def _recurrent(self, index: int, old: Layer, entry: Entry) -> Entry:
        """Gives a recurrent layer the kernels of its gates, side by side."""
        layer, total = self._child.nodes[index].layer, old.units
        cell, known = layer.cell, old.cell
        biases = [getattr(x, "reset_after", None) for x in (layer, old)]
        if not fits(entry, known.kernel.shape[0]) or biases[0] != biases[1]:
            return self._matching(index, old, [entry])
        result = Channels(_copies(total, layer.units), total)
        gates = total * np.arange(_GATES[type(layer)])[:, None]
        columns = (gates + result.parents).reshape(-1)
        for weight, kernel, rows in (
            (cell.kernel, known.kernel, entry.parents),
            (cell.recurrent_kernel, known.recurrent_kernel, result.parents),
        ):
            shares = self._shares(rows)[:, None]
            weight.assign(array_of(kernel)[rows][:, columns] * shares)
        if cell.bias is not None:
            bias = np.zeros(cell.bias.shape, "float32")
            if known.bias is not None:
                bias = array_of(known.bias)[..., columns]
            cell.bias.assign(bias)
        exact = cell.bias is not None or known.bias is None
        return self._counted(index, old, entry, result, exact)

    def _shares(self, parents: np.ndarray) -> np.ndarray:
        """Draws uneven shares for the copies of a unit, which add up to 1."""
        counts = np.bincount(parents)[parents]
        raw = self._rng.uniform(_LEAST_SHARE, 1.0, len(parents))
        totals = np.bincount(parents, raw)[parents]
        return np.where(counts == 1, 1.0, raw / totals).astype("float32")

    def _normalization(self, index: int, old: Layer, entry: Entry) -> Entry:
        """Gives a layer its weights, one for each channel."""
        layer = self._child.nodes[index].layer
        # The statistics of the other kind change with the width.
        is_batch = type(layer) is L.BatchNormalization
        exact = is_batch or same_shapes(layer, old)
        exact = exact and works_as(layer, old)
        named = {weight.name: weight for weight in old.weights}
        for weight in layer.weights:
            known = named.get(weight.name)
            if known is None or len(known.shape) != 1:
                exact = False
            elif fits(entry, known.shape[0]):
                weight.assign(array_of(known)[entry.parents])
            else:
                return self._matching(index, old, [entry])
        if exact and len(named) == len(layer.weights):
            self._exact.add(index)
        return entry and entry.with_positive(False)

    def _identity(self, index: int, entries: Sequence[Entry]) -> Entry:
        """Makes a layer that the parent lacks pass on its input, if it can."""
        node = self._child.nodes[index]
        layer = node.layer
        if len(entries) != 1 or len(node.outputs) != 1:
            return None
        (entry,) = entries
        if type(layer) is L.BatchNormalization:
            # Divided by the root of the variance plus epsilon, which is 1.
            values = {"gamma": 1.0, "moving_variance": 1 - layer.epsilon}
            for weight in layer.weights:
                value = values.get(weight.name, 0.0)
                weight.assign(np.full(weight.shape, value))
            self._exact.add(index)
            return entry
        width = kinds.width_of(layer)
        if entry is None or width is None or not _can_pass_on(layer, entry):
            return None
        # Where a kernel of side 1 lies in that of the layer.
        shape, sides = self._child.shape(node.data[0]), kernel_size_of(layer)
        places = [
            kinds.start_of(layer, axis, side, 1, shape[1 + axis])
            for axis, side in enumerate(sides)
        ]
        parents = _copies(entry.total, width)
        first = {p: i for i, p in reversed([*enumerate(entry.parents)])}
        if (
            None in places
            or width < entry.total
            or not first.keys() >= {*parents}
        ):
            return None
        for name, mixes in kinds.KERNELS[type(layer)]:
            weight = getattr(layer, name)
            kernel = np.zeros(weight.shape, "float32")
            # That of a separable layer's second kernel is a point.
            at = places if kernel.shape[:-2] == sides else [0] * len(places)
            if mixes:
                taken = [first[one] for one in parents.tolist()]
                kernel[(*at, taken, range(width))] = 1.0
            else:
                kernel[tuple(at)] = 1.0
            weight.assign(kernel)
        if layer.bias is not None:
            layer.bias.assign(np.zeros(layer.bias.shape))
        self._exact.add(index)
        return Channels(parents, entry.total, entry.positive)

    def _matching(
        self, index: int, old: Layer, entries: Sequence[Entry]
    ) -> Entry:
        """Copies the slices that match, from the middle of kernels."""
        node = self._child.nodes[index]
        layer = node.layer
        exact = same_shapes(layer, old)
        if type(layer) in kinds.GATED and not exact:
            return None  # The gates lie side by side in one kernel.
        overlay(old.weights, layer.weights)
        kinds.finalize(layer)
        if exact and are_same(entries) and works_as(layer, old):
            self._exact.add(index)
            return unchanged(self._child, node, kinds.is_relu(layer))
        width = kinds.width_of(layer)
        if width is None or width != kinds.width_of(old):
            return None
        return same_channels(width, kinds.is_relu(layer))


def _can_pass_on(layer: Layer, entry: Channels) -> bool:
    name = kinds.activation_name(layer)
    is_clear = name == "linear" or (name == "relu" and entry.positive)
    if not (is_clear and kinds.has_plain_kernel(layer)):
        return False
    return type(layer) is L.Dense or (
        type(layer) in (*kinds.CONVOLUTIONS, *kinds.SEPARABLE)
        and kinds.has_free_width(layer)
        and set(layer.strides) == {1}
    )


def _is_exact(layer: Layer, old: Layer, entry: Channels) -> bool:
    """Returns whether a layer with the weights of another is equivalent."""
    sides = [kernel_size_of(one) for one in (layer, old)]
    return bool(
        all(a >= b for a, b in zip(*sides, strict=True))
        and (kinds.width_of(layer) or 0) >= (kinds.width_of(old) or 0)
        and set(range(entry.total)) <= set(entry.parents.tolist())
        and works_as(layer, old)
    )


def _copies(total: int, width: int) -> np.ndarray:
    """Returns the indices of the parent's units in turn, as many as wanted."""
    return np.arange(width) % total
