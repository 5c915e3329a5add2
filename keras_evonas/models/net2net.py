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
from collections.abc import Iterable
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
        _overlay(parent.weights, child.weights)
        return Inheritance(layers=len(child.layers), preserved=0)
    return _Heir(*graphs, np.random.default_rng(seed)).inherit()


class _Heir:
    """A transfer of weights, node by node of the child."""

    def __init__(
        self, parent: Graph, child: Graph, rng: np.random.Generator
    ) -> None:
        self._child = child
        self._parent = parent
        self._parent_of = aligned(parent, child)
        self._rng = rng
        self._preserved = 0

    def inherit(self) -> Inheritance:
        child = self._child
        channels: dict[int, Entry] = {
            number: same_channels(child.shape(number)[-1] or 0)
            for number in child.input_numbers
        }
        heirs = set(child.weighted)
        for index, node in enumerate(child.nodes):
            entries = [channels[number] for number in node.data]
            if index in heirs:
                result = self._visit(index, node, entries)
            else:
                result = passed_on(child, node, entries)
            channels.update(dict.fromkeys(node.outputs, result))
        return Inheritance(layers=len(heirs), preserved=self._preserved)

    def _visit(self, index: int, node: Node, entries: Sequence[Entry]) -> Entry:
        """Gives a layer its weights; returns the channels of its output."""
        source = self._parent_of.get(index)
        if source is None:
            return self._identity(node, entries)
        old, layer = self._parent.nodes[source].layer, node.layer
        if len(entries) == 1 and len(node.outputs) == 1:
            if (
                type(layer) in kinds.KERNELS
                and kinds.has_free_width(layer)
                and kinds.has_free_width(old)
            ):
                return self._kernels(layer, old, entries[0])
            if type(layer) in kinds.NORMALIZATIONS:
                return self._normalization(layer, old, entries[0])
        return self._matching(layer, old, entries)

    def _kernels(self, layer: Layer, old: Layer, entry: Entry) -> Entry:
        """Gives a layer its kernels, and a bias for its output channels."""
        kernels = [
            (getattr(layer, name), _array(getattr(old, name)), mixes)
            for name, mixes in kinds.KERNELS[type(layer)]
        ]
        if entry is None or any(
            kernel.shape[-2] != entry.total for _, kernel, _ in kernels
        ):
            return self._matching(layer, old, [entry])
        result = entry
        for weight, kernel, mixes in kernels:
            widened = kernel[..., entry.parents, :]
            if mixes:
                total = kernel.shape[-1]
                result = Channels(_copies(total, weight.shape[-1]), total)
                widened = widened * self._shares(entry.parents)[:, None]
                widened = widened[..., result.parents]
            zeros = np.zeros(weight.shape, kernel.dtype)
            weight.assign(_overlaid(zeros, widened))
        if layer.bias is not None:
            bias = np.zeros(layer.bias.shape, "float32")
            if old.bias is not None:
                bias = _array(old.bias)[result.parents]
            layer.bias.assign(bias)
        same_bias = layer.bias is not None or old.bias is None
        self._preserved += same_bias and _is_exact(layer, old, entry)
        return result.with_positive(kinds.is_relu(layer))

    def _shares(self, parents: np.ndarray) -> np.ndarray:
        """Draws uneven shares for the copies of a unit, which add up to 1."""
        counts = np.bincount(parents)[parents]
        raw = self._rng.uniform(_LEAST_SHARE, 1.0, len(parents))
        totals = np.bincount(parents, raw)[parents]
        return np.where(counts == 1, 1.0, raw / totals).astype("float32")

    def _normalization(self, layer: Layer, old: Layer, entry: Entry) -> Entry:
        """Gives a layer its weights, one for each channel."""
        # The statistics of the other kind change with the width.
        is_batch = type(layer) is L.BatchNormalization
        exact = is_batch or _same_shapes(layer, old)
        named = {weight.name: weight for weight in old.weights}
        for weight in layer.weights:
            known = named.get(weight.name)
            if known is None or len(known.shape) != 1:
                exact = False
            elif fits(entry, known.shape[0]):
                weight.assign(_array(known)[entry.parents])
            else:
                return self._matching(layer, old, [entry])
        self._preserved += exact and len(named) == len(layer.weights)
        return entry and entry.with_positive(False)

    def _identity(self, node: Node, entries: Sequence[Entry]) -> Entry:
        """Makes a layer that the parent lacks pass on its input, if it can."""
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
        parents = _copies(entry.total, width)
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

    def _matching(
        self, layer: Layer, old: Layer, entries: Sequence[Entry]
    ) -> Entry:
        """Copies the slices that match, from the middle of kernels."""
        exact = _same_shapes(layer, old)
        if type(layer) in kinds.GATED and not exact:
            return None  # The gates lie side by side in one kernel.
        _overlay(old.weights, layer.weights)
        kinds.finalize(layer)
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


def _is_exact(layer: Layer, old: Layer, entry: Channels) -> bool:
    """Returns whether a layer with the weights of another is equivalent."""
    kernel = getattr(layer, "kernel_size", (1,))
    old_kernel = getattr(old, "kernel_size", (1,))
    padded = kernel == old_kernel or (
        layer.padding == old.padding != "valid"
        and layer.dilation_rate == old.dilation_rate
    )
    return bool(
        padded
        and all(a >= b for a, b in zip(kernel, old_kernel, strict=True))
        and (kinds.width_of(layer) or 0) >= (kinds.width_of(old) or 0)
        and set(range(entry.total)) <= set(entry.parents.tolist())
        and getattr(layer, "strides", 1) == getattr(old, "strides", 1)
        and kinds.activation_name(layer) == kinds.activation_name(old)
    )


def _same_shapes(layer: Layer, old: Layer) -> bool:
    shapes = [[tuple(w.shape) for w in one.weights] for one in (layer, old)]
    return shapes[0] == shapes[1]


def _array(weight: keras.Variable) -> np.ndarray:
    return np.array(keras.ops.convert_to_numpy(weight))


def _copies(total: int, width: int) -> np.ndarray:
    """Returns the indices of the parent's units in turn, as many as wanted."""
    return np.arange(width) % total


def _overlay(
    sources: Iterable[keras.Variable], targets: Iterable[keras.Variable]
) -> None:
    """Puts weights over others with as many axes, in order."""
    for source, target in zip(sources, targets, strict=False):
        if len(source.shape) == len(target.shape):
            target.assign(_overlaid(_array(target), _array(source)))


def _overlaid(target: np.ndarray, source: np.ndarray) -> np.ndarray:
    """Puts a source over a target, centred along the sides of a kernel."""
    sizes = np.minimum(target.shape, source.shape)
    is_centred = np.arange(target.ndim) < target.ndim - 2

    def middle(shape: tuple[int, ...]) -> tuple[slice, ...]:
        starts = (np.array(shape) - sizes) // 2 * is_centred
        return tuple(map(slice, starts, starts + sizes))

    result = np.array(target)
    result[middle(target.shape)] = source[middle(source.shape)]
    return result
