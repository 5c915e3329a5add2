"""Weights for a network from those of another: Net2Net.

Follows Chen et al. (2016). A child that is wider, deeper or has larger kernels
than its parent computes what the parent computes, where the layers allow it:

- A wider layer holds copies of the parent's units, and what reads them adds
  the copies up to one. Deviation from the paper: copies are taken in turn
  instead of drawn, so that layers that meet in an `Add` agree on them, and
  what reads them weighs them unevenly instead of adding noise. Twins then
  learn different things, and the function is exactly the parent's.
- A layer that the parent lacks passes on what it gets, if its activation lets
  it: none, or ReLU after a ReLU. So does a new batch normalization.
- A larger kernel has zeros around the parent's, if its convolution is padded.

Everything else, such as a narrower layer, takes the slices that match, and
keeps its own initial values elsewhere.
"""

import dataclasses
from typing import Any

import keras
import numpy as np

from keras_evonas.models.alignment import aligned
from keras_evonas.models.costs.isolation import isolated
from keras_evonas.models.graphs import Graph
from keras_evonas.models.graphs import Node
from keras_evonas.models.graphs import graph_of
from keras_evonas.models.slices import array_of
from keras_evonas.models.slices import copies_of
from keras_evonas.models.slices import overlaid
from keras_evonas.models.slices import resized

L = keras.layers

_CONVOLUTIONS = (L.Conv1D, L.Conv2D, L.Conv3D)
_DEPTHWISE = (L.DepthwiseConv1D, L.DepthwiseConv2D)
_SEPARABLE = (L.SeparableConv1D, L.SeparableConv2D)
_RECURRENT = (L.GRU, L.LSTM)
_MERGES = (L.Add, L.Average, L.Maximum, L.Minimum, L.Multiply, L.Subtract)
# The least share of a unit's outgoing weight that one of its copies gets.
_LEAST_SHARE = 0.3


@dataclasses.dataclass(frozen=True, eq=False)
class _Channels:
    """Which of the parent's channels the channels of a tensor are.

    Args:
        parents: `(n,)` array of integers, or `None` if nobody knows.
        total: How many the parent's tensor has.
        positive: Whether the tensor comes from a ReLU.
    """

    parents: np.ndarray | None
    total: int
    positive: bool = False


_UNKNOWN = _Channels(None, 0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Inheritance:
    """What a child got from its parent.

    Attributes:
        layers: Number of layers with weights.
        preserved: Number of them that do exactly what the parent's do, or
            pass on what they get.
    """

    layers: int
    preserved: int


def inherit_weights(
    parent: keras.Model, child: keras.Model, *, seed: int = 0
) -> Inheritance:
    """Gives a child the weights of its parent, as far as they fit.

    The parent is not touched. Models whose graph cannot be read, because they
    are subclassed, take the slices that match, in the order of the weights.

    Args:
        parent: A built Keras model.
        child: A built Keras model, whose weights are changed.
        seed: Integer, from which the shares of twins are drawn. Defaults to 0.

    Returns:
        What the child got.

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
    except ValueError:  # Subclassed, so only the order of weights is known.
        return _in_order(parent, child)
    return _Heir(*graphs, np.random.default_rng(seed)).inherit()


def _in_order(parent: keras.Model, child: keras.Model) -> Inheritance:
    pairs = list(zip(child.weights, parent.weights, strict=False))
    for weight, known in pairs:
        if len(weight.shape) == len(known.shape):
            weight.assign(overlaid(array_of(weight), array_of(known)))
    return Inheritance(layers=len(child.layers), preserved=0)


class _Heir:
    """One transfer of weights, node by node of the child."""

    def __init__(
        self, parent: Graph, child: Graph, rng: np.random.Generator
    ) -> None:
        self._child = child
        self._parent = parent
        self._parent_of = aligned(parent, child)
        self._rng = rng
        self._channels: dict[int, _Channels] = {}
        self._preserved = 0

    def inherit(self) -> Inheritance:
        child = self._child
        for number in child.input_numbers:
            width = child.shape(number)[-1] or 0
            self._channels[number] = _Channels(np.arange(width), width)
        seen: set[int] = set()
        layers = 0
        for index, node in enumerate(child.nodes):
            has_weights = bool(getattr(node.layer, "weights", ()))
            is_new = id(node.layer) not in seen
            seen.add(id(node.layer))
            layers += has_weights and is_new
            result = self._visit(index, node, has_weights and is_new)
            for number in node.outputs:
                self._channels[number] = result
        return Inheritance(layers=layers, preserved=self._preserved)

    def _visit(self, index: int, node: Node, is_taught: bool) -> _Channels:
        entries = [self._channels[number] for number in node.data]
        if not is_taught:
            return self._passed_on(node, entries)
        source = self._parent_of.get(index)
        if source is None:
            return self._identity(node, entries)
        old = self._parent.nodes[source].layer
        layer, kind = node.layer, type(node.layer)
        if len(entries) == 1 and len(node.outputs) == 1:
            (entry,) = entries
            if kind is L.Dense:
                return self._dense(layer, old, entry)
            if kind in _CONVOLUTIONS and layer.groups == old.groups == 1:
                return self._convolution(layer, old, entry)
            if kind in _SEPARABLE and _has_one_multiplier(layer, old):
                return self._separable(layer, old, entry)
            if kind in _DEPTHWISE and _has_one_multiplier(layer, old):
                return self._depthwise(layer, old, entry)
            if kind is L.BatchNormalization:
                return self._per_channel(layer, old, entry)
            if kind is L.LayerNormalization:
                # Its statistics change with the width.
                same = _same_shapes(layer, old)
                return self._per_channel(layer, old, entry, exact=same)
        return self._matching(layer, old, entries)

    # Layers with a kernel.

    def _dense(self, layer: Any, old: Any, entry: _Channels) -> _Channels:
        kernel = self._widened(array_of(old.kernel), entry, layer.units)
        return self._assigned(layer, old, {"kernel": kernel}, entry)

    def _convolution(self, layer: Any, old: Any, entry: _Channels) -> _Channels:
        kernel = self._widened(array_of(old.kernel), entry, layer.filters)
        if kernel is not None:
            kernel = resized(kernel, layer.kernel_size)
        return self._assigned(layer, old, {"kernel": kernel}, entry)

    def _separable(self, layer: Any, old: Any, entry: _Channels) -> _Channels:
        depthwise = array_of(old.depthwise_kernel)
        if not _fits(entry, depthwise.shape[-2]):
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
        self, layer: Any, old: Any, kernels: dict[str, Any], entry: _Channels
    ) -> _Channels:
        """Gives a layer its kernels, and a bias for its output channels."""
        if any(kernel is None for kernel in kernels.values()):
            return self._matching(layer, old, [entry])
        (last,) = list(kernels.values())[-1:]
        width, total = last.shape[-1], _width(old)
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
        return _Channels(parents, total, _is_relu(layer))

    def _widened(
        self, kernel: np.ndarray, entry: _Channels, width: int
    ) -> np.ndarray | None:
        """A kernel `(..., in, out)` for other channels, `None` if unknown."""
        if not _fits(entry, kernel.shape[-2]):
            return None
        shares = self._shares(entry.parents)
        kernel = kernel[..., entry.parents, :] * shares[:, None]
        return kernel[..., copies_of(kernel.shape[-1], width)]

    def _shares(self, parents: np.ndarray) -> np.ndarray:
        """Uneven shares of twins, which add up to 1."""
        counts = np.bincount(parents)[parents]
        raw = self._rng.uniform(_LEAST_SHARE, 1.0, len(parents))
        totals = np.bincount(parents, raw)[parents]
        return np.where(counts == 1, 1.0, raw / totals).astype("float32")

    # Layers with a weight for each channel.

    def _depthwise(self, layer: Any, old: Any, entry: _Channels) -> _Channels:
        kernel = array_of(old.kernel)
        if not _fits(entry, kernel.shape[-2]):
            return self._matching(layer, old, [entry])
        kernel = resized(kernel[..., entry.parents, :], layer.kernel_size)
        layer.kernel.assign(kernel)
        if layer.bias is not None and old.bias is not None:
            layer.bias.assign(array_of(old.bias)[entry.parents])
        exact = _is_exact(layer, old, entry, len(entry.parents))
        self._preserved += exact and (layer.bias is None) == (old.bias is None)
        return dataclasses.replace(entry, positive=_is_relu(layer))

    def _per_channel(
        self, layer: Any, old: Any, entry: _Channels, *, exact: bool = True
    ) -> _Channels:
        named = {weight.name: weight for weight in old.weights}
        for weight in layer.weights:
            known = named.get(weight.name)
            if known is None or len(known.shape) != 1:
                exact = False
            elif _fits(entry, known.shape[0]):
                weight.assign(array_of(known)[entry.parents])
            else:
                return self._matching(layer, old, [entry])
        self._preserved += exact and len(named) == len(layer.weights)
        return dataclasses.replace(entry, positive=False)

    # Layers that the parent lacks.

    def _identity(self, node: Node, entries: list[_Channels]) -> _Channels:
        layer, kind = node.layer, type(node.layer)
        if len(entries) != 1 or len(node.outputs) != 1:
            return _UNKNOWN
        (entry,) = entries
        if kind is L.BatchNormalization:
            # Divided by the root of the variance and epsilon, which is 1.
            if layer.moving_variance is not None:
                layer.moving_variance.assign(
                    np.full(layer.moving_variance.shape, 1 - layer.epsilon)
                )
            self._preserved += 1
            return dataclasses.replace(entry, positive=False)
        if entry.parents is None or not self._can_pass_on(layer, entry):
            return _UNKNOWN
        width = _width(layer)
        parents = copies_of(entry.total, width)
        first = {p: i for i, p in reversed([*enumerate(entry.parents)])}
        if width < entry.total or not set(parents.tolist()) <= set(first):
            return _UNKNOWN
        kernel = np.zeros(layer.kernel.shape, "float32")
        middle = tuple(side // 2 for side in kernel.shape[:-2])
        for channel, known in enumerate(parents.tolist()):
            kernel[(*middle, first[known], channel)] = 1.0
        layer.kernel.assign(kernel)
        self._preserved += 1
        return _Channels(parents, entry.total, entry.positive)

    def _can_pass_on(self, layer: Any, entry: _Channels) -> bool:
        name = _activation(layer)
        if not (name == "linear" or (name == "relu" and entry.positive)):
            return False
        if type(layer) is L.Dense:
            return True
        return (
            type(layer) in _CONVOLUTIONS
            and layer.groups == 1
            and layer.padding == "same"
            and set(layer.strides) == {1}
            and all(side % 2 for side in layer.kernel_size)
        )

    # Everything else.

    def _passed_on(self, node: Node, entries: list[_Channels]) -> _Channels:
        kind = type(node.layer)
        if not entries:
            return _UNKNOWN
        if kind is L.Concatenate:
            return _concatenated(entries)
        if kind in _MERGES:
            first = entries[0]
            same = all(
                one.parents is not None
                and first.parents is not None
                and np.array_equal(one.parents, first.parents)
                for one in entries
            )
            return dataclasses.replace(
                first if same else _UNKNOWN, positive=False
            )
        if kind is L.Flatten:
            return self._flattened(node, entries[0])
        (entry, *others) = entries
        before = self._child.shape(node.data[0])
        after = self._child.shape(node.outputs[0])
        if others or before[-1] != after[-1]:
            return _UNKNOWN
        if kind in (L.ReLU, L.Activation):
            return dataclasses.replace(entry, positive=_is_relu(node.layer))
        keeps_sign = kind in (L.Dropout, L.MaxPooling2D, L.AveragePooling2D)
        positive = entry.positive and keeps_sign
        return dataclasses.replace(entry, positive=positive)

    def _flattened(self, node: Node, entry: _Channels) -> _Channels:
        shape = self._child.shape(node.data[0])[1:]
        if entry.parents is None or None in shape:
            return _UNKNOWN
        places = int(np.prod(shape[:-1]))
        offsets = np.arange(places)[:, None] * entry.total
        parents = (offsets + entry.parents[None, :]).reshape(-1)
        return _Channels(parents, places * entry.total, entry.positive)

    def _matching(
        self, layer: Any, old: Any, entries: list[_Channels]
    ) -> _Channels:
        """Copies the slices that match, from the middle of kernels."""
        exact = _same_shapes(layer, old)
        if type(layer) in _RECURRENT and not exact:
            return _UNKNOWN  # Their gates lie side by side in one kernel.
        for weight, known in zip(layer.weights, old.weights, strict=False):
            if len(weight.shape) == len(known.shape):
                weight.assign(overlaid(array_of(weight), array_of(known)))
        understood = all(
            entry.parents is not None
            and np.array_equal(entry.parents, np.arange(entry.total))
            for entry in entries
        )
        self._preserved += exact and understood
        width = _width(layer)
        if width is None or width != _width(old):
            return _UNKNOWN
        return _Channels(np.arange(width), width, _is_relu(layer))


def _concatenated(entries: list[_Channels]) -> _Channels:
    if any(entry.parents is None for entry in entries):
        return _UNKNOWN
    parents, total = [], 0
    for entry in entries:
        parents.append(entry.parents + total)
        total += entry.total
    positive = all(entry.positive for entry in entries)
    return _Channels(np.concatenate(parents), total, positive)


def _fits(entry: _Channels, total: int) -> bool:
    return entry.parents is not None and entry.total == total


def _is_exact(layer: Any, old: Any, entry: _Channels, width: int) -> bool:
    """Whether a layer with the weights of another does what that does."""
    kernel = getattr(layer, "kernel_size", (1,))
    old_kernel = getattr(old, "kernel_size", (1,))
    grown = all(a >= b for a, b in zip(kernel, old_kernel, strict=True))
    padded = kernel == old_kernel or (
        layer.padding != "valid"
        and old.padding == layer.padding
        and getattr(layer, "dilation_rate", 1)
        == getattr(old, "dilation_rate", 1)
    )
    return (
        grown
        and padded
        and width >= _width_or(old, width)
        and set(range(entry.total)) <= set(entry.parents.tolist())
        and getattr(layer, "strides", 1) == getattr(old, "strides", 1)
        and _activation(layer) == _activation(old)
    )


def _width(layer: Any) -> int | None:
    return getattr(layer, "units", None) or getattr(layer, "filters", None)


def _width_or(layer: Any, width: int) -> int:
    return _width(layer) or width


def _activation(layer: Any) -> Any:
    function = getattr(layer, "activation", keras.activations.linear)
    return keras.activations.serialize(function)


def _is_relu(layer: Any) -> bool:
    if type(layer) is L.ReLU:
        return layer.max_value is None and not layer.negative_slope
    return _activation(layer) == "relu"


def _has_one_multiplier(layer: Any, old: Any) -> bool:
    return layer.depth_multiplier == old.depth_multiplier == 1


def _same_shapes(layer: Any, old: Any) -> bool:
    return [tuple(w.shape) for w in layer.weights] == [
        tuple(w.shape) for w in old.weights
    ]
