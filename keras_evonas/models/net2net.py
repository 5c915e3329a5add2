"""Weights for a network from those of another: Net2Net.

Follows Chen et al. (2016). A child that is wider, deeper or has larger kernels
than its parent computes what the parent computes, where the layers allow it:

- A wider layer holds copies of the parent's units, and the next layer divides
  a unit's weight among its copies. Deviation from the paper: copies are taken
  in turn instead of drawn, so that layers that meet in an `Add` agree on them,
  and the shares are uneven instead of equal with noise. So copies get different
  gradients, and the function is exactly the parent's.
- A layer that the parent lacks begins as the identity, if its activation is
  none, or ReLU after a ReLU. So does a new batch normalization.
- A larger kernel has zeros around the parent's, if its convolution is padded.

Everything else, such as a narrower layer, takes the slices that match, and
keeps its own initial values elsewhere.
"""

import dataclasses
from collections.abc import Mapping
from collections.abc import Sequence
from typing import TypeAlias

import keras
import numpy as np

from keras_evonas.models import kinds
from keras_evonas.models.alignment import aligned
from keras_evonas.models.channels import Channels
from keras_evonas.models.channels import Entry
from keras_evonas.models.channels import are_same
from keras_evonas.models.channels import fits
from keras_evonas.models.channels import passed_on
from keras_evonas.models.channels import same_channels
from keras_evonas.models.costs.isolation import isolated
from keras_evonas.models.layer_graph import Graph
from keras_evonas.models.layer_graph import Node
from keras_evonas.models.layer_graph import graph_of
from keras_evonas.models.slices import array_of
from keras_evonas.models.slices import copies_of
from keras_evonas.models.slices import overlaid
from keras_evonas.models.slices import resized

L = keras.layers
Layer: TypeAlias = keras.Layer

# The least share of a unit's outgoing weight that one of its copies gets,
# before the shares are divided by their sum.
_LEAST_SHARE = 0.3


@dataclasses.dataclass(frozen=True, kw_only=True)
class Inheritance:
    """A summary of the weights that a child got from its parent.

    Attributes:
        layers: Number of layers with weights.
        preserved: Number of them that compute exactly what the parent's do,
            or are the identity.
    """

    layers: int
    preserved: int


def inherit_weights(
    parent: keras.Model, child: keras.Model, *, seed: int = 0
) -> Inheritance:
    """Gives a child the weights of its parent, as far as they fit.

    The parent is not changed. Subclassed models, whose graph cannot be read,
    take the slices that match, in the order of the weights.

    Args:
        parent: A built Keras model.
        child: A built Keras model, whose weights are changed.
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
        return _in_order(parent, child)
    return _Heir(*graphs, np.random.default_rng(seed)).inherit()


def _in_order(parent: keras.Model, child: keras.Model) -> Inheritance:
    pairs = list(zip(child.weights, parent.weights, strict=False))
    for weight, known in pairs:
        if len(weight.shape) == len(known.shape):
            weight.assign(overlaid(array_of(weight), array_of(known)))
    return Inheritance(layers=len(child.layers), preserved=0)


class _Heir:
    """A transfer of weights, node by node of the child."""

    def __init__(
        self, parent: Graph, child: Graph, rng: np.random.Generator
    ) -> None:
        self._child = child
        self._parent = parent
        self._parent_of = aligned(parent, child)
        self._rng = rng
        self._channels: dict[int, Entry] = {}
        self._preserved = 0

    def inherit(self) -> Inheritance:
        child = self._child
        for number in child.input_numbers:
            width = child.shape(number)[-1] or 0
            self._channels[number] = same_channels(width)
        seen: set[int] = set()
        layers = 0
        for index, node in enumerate(child.nodes):
            entries = [self._channels[number] for number in node.data]
            if (
                getattr(node.layer, "weights", ())
                and id(node.layer) not in seen
            ):
                layers += 1
                result = self._visit(index, node, entries)
            else:
                result = passed_on(child, node, entries)
            seen.add(id(node.layer))
            self._channels.update(dict.fromkeys(node.outputs, result))
        return Inheritance(layers=layers, preserved=self._preserved)

    def _visit(self, index: int, node: Node, entries: Sequence[Entry]) -> Entry:
        """Gives a layer its weights; returns the channels of its output."""
        source = self._parent_of.get(index)
        if source is None:
            return self._identity(node, entries)
        old = self._parent.nodes[source].layer
        layer, kind = node.layer, type(node.layer)
        if len(entries) == 1 and len(node.outputs) == 1:
            (entry,) = entries
            if kind is L.Dense:
                return self._dense(layer, old, entry)
            if kind in kinds.CONVOLUTIONS and layer.groups == old.groups == 1:
                return self._convolution(layer, old, entry)
            if kind in kinds.SEPARABLE and _has_one_multiplier(layer, old):
                return self._separable(layer, old, entry)
            if kind in kinds.DEPTHWISE and _has_one_multiplier(layer, old):
                return self._depthwise(layer, old, entry)
            if kind is L.BatchNormalization:
                return self._per_channel(layer, old, entry)
            if kind is L.LayerNormalization:
                # Its statistics change with the width.
                same = _same_shapes(layer, old)
                return self._per_channel(layer, old, entry, exact=same)
        return self._matching(layer, old, entries)

    # Layers with a kernel.

    def _dense(self, layer: Layer, old: Layer, entry: Entry) -> Entry:
        kernel = self._widened(array_of(old.kernel), entry, layer.units)
        return self._assigned(layer, old, {"kernel": kernel}, entry)

    def _convolution(self, layer: Layer, old: Layer, entry: Entry) -> Entry:
        kernel = self._widened(array_of(old.kernel), entry, layer.filters)
        if kernel is not None:
            kernel = resized(kernel, layer.kernel_size)
        return self._assigned(layer, old, {"kernel": kernel}, entry)

    def _separable(self, layer: Layer, old: Layer, entry: Entry) -> Entry:
        depthwise = array_of(old.depthwise_kernel)
        if not fits(entry, depthwise.shape[-2]):
            return self._matching(layer, old, [entry])
        kernels = {
            "depthwise_kernel": resized(
                depthwise[..., entry.parents, :], layer.kernel_size
            ),
            "pointwise_kernel": self._widened(
                array_of(old.pointwise_kernel), entry, layer.filters
            ),
        }
        return self._assigned(layer, old, kernels, entry)

    def _assigned(
        self,
        layer: Layer,
        old: Layer,
        kernels: Mapping[str, np.ndarray | None],
        entry: Entry,
    ) -> Entry:
        """Gives a layer its kernels, and a bias for its output channels."""
        if entry is None or any(x is None for x in kernels.values()):
            return self._matching(layer, old, [entry])
        width = kinds.width_of(layer) or 0
        total = kinds.width_of(old) or 0
        parents = copies_of(total, width)
        for name, kernel in kernels.items():
            getattr(layer, name).assign(kernel)
        if layer.bias is not None:
            bias = np.zeros(width, "float32")
            if old.bias is not None:
                bias = array_of(old.bias)[parents]
            layer.bias.assign(bias)
        same_bias = layer.bias is not None or old.bias is None
        self._preserved += _is_exact(layer, old, entry, width) and same_bias
        return Channels(parents, total, kinds.is_relu(layer))

    def _widened(
        self, kernel: np.ndarray, entry: Entry, width: int
    ) -> np.ndarray | None:
        """Returns a kernel `(..., in, out)` for other channels, if known."""
        if not fits(entry, kernel.shape[-2]):
            return None
        shares = self._shares(entry.parents)
        kernel = kernel[..., entry.parents, :] * shares[:, None]
        widened: np.ndarray = kernel[..., copies_of(kernel.shape[-1], width)]
        return widened

    def _shares(self, parents: np.ndarray) -> np.ndarray:
        """Draws uneven shares for the copies of a unit, which add up to 1."""
        counts = np.bincount(parents)[parents]
        raw = self._rng.uniform(_LEAST_SHARE, 1.0, len(parents))
        totals = np.bincount(parents, raw)[parents]
        return np.where(counts == 1, 1.0, raw / totals).astype("float32")

    # Layers with a weight for each channel.

    def _depthwise(self, layer: Layer, old: Layer, entry: Entry) -> Entry:
        kernel = array_of(old.kernel)
        if not fits(entry, kernel.shape[-2]):
            return self._matching(layer, old, [entry])
        kernel = resized(kernel[..., entry.parents, :], layer.kernel_size)
        layer.kernel.assign(kernel)
        if layer.bias is not None and old.bias is not None:
            layer.bias.assign(array_of(old.bias)[entry.parents])
        exact = _is_exact(layer, old, entry, len(entry.parents))
        self._preserved += exact and (layer.bias is None) == (old.bias is None)
        return entry.with_positive(kinds.is_relu(layer))

    def _per_channel(
        self, layer: Layer, old: Layer, entry: Entry, *, exact: bool = True
    ) -> Entry:
        named = {weight.name: weight for weight in old.weights}
        for weight in layer.weights:
            known = named.get(weight.name)
            if known is None or len(known.shape) != 1:
                exact = False
            elif fits(entry, known.shape[0]):
                weight.assign(array_of(known)[entry.parents])
            else:
                return self._matching(layer, old, [entry])
        self._preserved += exact and len(named) == len(layer.weights)
        return entry and entry.with_positive(False)

    # Layers that the parent lacks.

    def _identity(self, node: Node, entries: Sequence[Entry]) -> Entry:
        """Makes a layer pass on its input, if it can."""
        layer = node.layer
        if len(entries) != 1 or len(node.outputs) != 1:
            return None
        (entry,) = entries
        if type(layer) is L.BatchNormalization:
            # Divided by the root of the variance plus epsilon, which is 1.
            if layer.moving_variance is not None:
                layer.moving_variance.assign(
                    np.full(layer.moving_variance.shape, 1 - layer.epsilon)
                )
            self._preserved += 1
            return entry and entry.with_positive(False)
        width = kinds.width_of(layer)
        if entry is None or width is None or not _can_pass_on(layer, entry):
            return None
        parents = copies_of(entry.total, width)
        first = {p: i for i, p in reversed([*enumerate(entry.parents)])}
        if width < entry.total or not set(parents.tolist()) <= set(first):
            return None
        kernel = np.zeros(layer.kernel.shape, "float32")
        middle = tuple(side // 2 for side in kernel.shape[:-2])
        for channel, known in enumerate(parents.tolist()):
            kernel[(*middle, first[known], channel)] = 1.0
        layer.kernel.assign(kernel)
        self._preserved += 1
        return Channels(parents, entry.total, entry.positive)

    # Everything else.

    def _matching(
        self, layer: Layer, old: Layer, entries: Sequence[Entry]
    ) -> Entry:
        """Copies the slices that match, from the middle of kernels."""
        exact = _same_shapes(layer, old)
        if type(layer) in kinds.GATED and not exact:
            return None  # The gates lie side by side in one kernel.
        for weight, known in zip(layer.weights, old.weights, strict=False):
            if len(weight.shape) == len(known.shape):
                weight.assign(overlaid(array_of(weight), array_of(known)))
        self._preserved += exact and are_same(entries)
        width = kinds.width_of(layer)
        if width is None or width != kinds.width_of(old):
            return None
        return same_channels(width, kinds.is_relu(layer))


def _can_pass_on(layer: Layer, entry: Channels) -> bool:
    name = kinds.activation_name(layer)
    if not (name == "linear" or (name == "relu" and entry.positive)):
        return False
    return type(layer) is L.Dense or (
        type(layer) in kinds.CONVOLUTIONS
        and layer.groups == 1
        and layer.padding == "same"
        and set(layer.strides) == {1}
        and all(side % 2 for side in layer.kernel_size)
    )


def _is_exact(layer: Layer, old: Layer, entry: Channels, width: int) -> bool:
    """Returns whether a layer with the weights of another is equivalent."""
    kernel = getattr(layer, "kernel_size", (1,))
    old_kernel = getattr(old, "kernel_size", (1,))
    grown = all(a >= b for a, b in zip(kernel, old_kernel, strict=True))
    padded = kernel == old_kernel or (
        layer.padding != "valid"
        and old.padding == layer.padding
        and getattr(layer, "dilation_rate", 1)
        == getattr(old, "dilation_rate", 1)
    )
    return bool(
        grown
        and padded
        and width >= (kinds.width_of(old) or width)
        and set(range(entry.total)) <= set(entry.parents.tolist())
        and getattr(layer, "strides", 1) == getattr(old, "strides", 1)
        and kinds.activation_name(layer) == kinds.activation_name(old)
    )


def _has_one_multiplier(layer: Layer, old: Layer) -> bool:
    return bool(layer.depth_multiplier == old.depth_multiplier == 1)


def _same_shapes(layer: Layer, old: Layer) -> bool:
    return [tuple(w.shape) for w in layer.weights] == [
        tuple(w.shape) for w in old.weights
    ]
