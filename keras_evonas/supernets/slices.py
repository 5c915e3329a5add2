"""The part of each layer of a supernet that is on a path.

The width of a layer is elastic where the supernet has the largest one, and a
path takes its first channels. What the others hold is never used: a layer that
mixes channels by weights leaves out those of its input, and layers that keep
channels apart may compute them or not. So only kernels are masked. Layers that
mix channels in other ways, such as layer normalization, cannot be masked.
"""

import dataclasses
import math
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import cast

import keras
import tensorflow as tf

from keras_evonas.models import kinds
from keras_evonas.models.layer_graph import graph_of
from keras_evonas.supernets.looking import Part
from keras_evonas.supernets.looking import leaves_of
from keras_evonas.supernets.looking import parts_of_layers
from keras_evonas.supernets.masks import Axes
from keras_evonas.supernets.masks import Cut
from keras_evonas.supernets.masks import switched
from keras_evonas.supernets.mixed import MixedLayer
from keras_evonas.supernets.mixed import Nothing
from keras_evonas.supernets.passing import Call
from keras_evonas.supernets.passing import CannotBeMaskedError
from keras_evonas.supernets.passing import Entry
from keras_evonas.supernets.passing import check_activation
from keras_evonas.supernets.passing import concatenated
from keras_evonas.supernets.passing import merged
from keras_evonas.supernets.passing import reshaped
from keras_evonas.supernets.passing import spread

L = keras.layers

_REFUSED = (L.PReLU, L.Masking, L.ActivityRegularization)
_KEEPING = frozenset(kinds.UNITWISE) - {*_REFUSED, *kinds.DEPTHWISE}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sides:
    """The sides of a layer's kernel for each value of a gene."""

    gene: str
    sizes: tuple[tuple[int, ...], ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Slice:
    """The part of a layer that is on a path.

    Args:
        axes: For each weight of the layer the masks of its dimensions.
        masked: The same, for what has to be masked when it is called.
        shapes: The shapes of all weights in the supernet.
        trained: For each weight whether it is trained.
        bytes_each: For each weight the bytes of an element.
        uses: For each weight how often an example is multiplied by it: 0 for
            those that are not, `None` where it is not known.
        part: When the layer is called; see `Plan.parts`.
    """

    axes: tuple[Axes, ...]
    masked: tuple[Axes, ...]
    shapes: tuple[tuple[int, ...], ...]
    trained: tuple[bool, ...]
    bytes_each: tuple[int, ...]
    uses: tuple[int | None, ...]
    part: Part


def slices_of(
    network: keras.Model,
    widths: Mapping[int, Cut],
    sides: Mapping[int, Sides],
) -> dict[int, Slice]:
    """Follows masks through the network of a supernet.

    Args:
        network: The network, built with `NoGate`.
        widths: The masks of the channels that layers return, by the places of
            the layers in `leaves_of(network)`.
        sides: The sides of kernels that are elastic, likewise.

    Returns:
        The slices of all layers that have some, likewise.

    Raises:
        CannotBeMaskedError: If masked channels reach a layer that mixes them.
    """
    leaves = leaves_of(network)
    follower = _Follower(
        {id(leaves[place]): cut for place, cut in widths.items()},
        {id(leaves[place]): one for place, one in sides.items()},
        parts_of_layers(network),
    )
    outputs = follower.network(network, [None] * len(network.inputs))
    if any(mask is not None for mask in outputs):
        why = "returns the output of the network, which must keep its shape"
        last = graph_of(network).nodes[-1].layer
        raise CannotBeMaskedError(last, why, outputs)
    found = follower.found
    return {n: found[id(x)] for n, x in enumerate(leaves) if id(x) in found}


class _Follower:
    """Follows masks; see `slices_of`.

    Attributes:
        found: The slices, by the identities of layers.
    """

    def __init__(
        self,
        widths: Mapping[int, Cut],
        sides: Mapping[int, Sides],
        parts: Mapping[int, Part],
    ) -> None:
        self.found: dict[int, Slice] = {}
        self._widths = widths
        self._sides = sides
        self._parts = parts

    def network(
        self, network: keras.Model, entries: Sequence[Entry]
    ) -> list[Entry]:
        """Returns the masks of what a network returns."""
        graph = graph_of(network)
        inputs = keras.tree.flatten(graph.inputs)
        masks = {
            ref.number: mask for ref, mask in zip(inputs, entries, strict=True)
        }
        for node in graph.nodes:
            before = [masks.get(number) for number in node.data]
            shapes = [graph.shape(number) for number in node.data]
            after = [graph.shape(number) for number in node.outputs]
            passed = self._node(Call(node.layer, before, shapes, after))
            masks.update(zip(node.outputs, passed, strict=True))
        outputs = keras.tree.flatten(graph.outputs)
        return [masks.get(ref.number) for ref in outputs]

    def _node(self, call: Call) -> list[Entry]:
        layer = call.layer
        if isinstance(layer, keras.Model):
            return self.network(layer, call.entries)
        if isinstance(layer, MixedLayer):
            return [self._mixed(call)]
        is_elastic = id(layer) in self._widths or id(layer) in self._sides
        if not is_elastic and all(mask is None for mask in call.entries):
            return [None] * len(call.after)
        if len(call.after) != 1 or kinds.has_channels_first(layer):
            raise self._refused(call, "does not have its channels last")
        return [self._layer(call)]

    def _refused(self, call: Call, why: str) -> CannotBeMaskedError:
        """Makes an error about all genes that a layer has to do with."""
        layer = call.layer
        sides = self._sides.get(id(layer))
        kernel = [] if sides is None else [Cut(sides.gene, (), 0)]
        masks = [*call.entries, self._widths.get(id(layer)), *kernel]
        return CannotBeMaskedError(layer, why, masks)

    def _mixed(self, call: Call) -> Entry:
        layer = call.layer
        masks = [
            None
            if isinstance(option, Nothing)
            else self._node(dataclasses.replace(call, layer=option))[0]
            for option in layer.options
        ]
        known = [
            mask
            for mask, option in zip(masks, layer.options, strict=True)
            if not isinstance(option, Nothing)
        ]
        if all(mask == known[0] for mask in known):
            return known[0]  # Zeros are zero in any part of the channels.
        branches, size = layer.gate.branches, call.after[0][-1] or 0
        return switched(layer.choice, branches, masks, size)

    def _layer(self, call: Call) -> Entry:
        layer = call.layer
        kind = type(layer)
        if kind in kinds.MERGES:
            return merged(call)
        if kind is L.Concatenate:
            return concatenated(call)
        if len(call.entries) == 1:
            entry = call.entries[0]
            if kind in kinds.KERNELS:
                return self._weighted(call)
            if kind is L.BatchNormalization and kinds.is_over_channels(layer):
                axes = tuple((entry,) for _ in layer.weights)
                self._note(layer, axes, [(None,)] * len(axes), {})
                return entry
            if kind in (L.Flatten, L.Reshape):
                return reshaped(call)
            if kind in _KEEPING:
                check_activation(layer, [entry])
                return entry
        raise self._refused(call, "mixes the channels")

    def _weighted(self, call: Call) -> Entry:
        """Cuts the weights of a layer with a kernel."""
        layer, entry = call.layer, call.entries[0]
        width: Entry = self._widths.get(id(layer))
        if type(layer) in kinds.DEPTHWISE:
            width = spread(entry, layer.depth_multiplier)
        if width is not None:
            check_activation(layer, [width])
        if getattr(layer, "groups", 1) != 1:
            raise self._refused(call, "has groups of channels")
        sides: Axes = tuple(self._windows(call))
        no_sides: Axes = (None,) * len(sides)
        of_kernel: dict[str, tuple[Axes, Axes]] = {
            "kernel": ((*sides, entry, width), (*sides, entry, None))
        }
        if type(layer) in kinds.DEPTHWISE:
            both: Axes = (*sides, None, None)
            of_kernel = {"kernel": ((*sides, entry, None), both)}
        elif type(layer) in kinds.SEPARABLE:
            inner = spread(entry, layer.depth_multiplier)
            of_kernel = {
                "depthwise_kernel": (
                    (*sides, entry, None),
                    (*sides, None, None),
                ),
                "pointwise_kernel": (
                    (*no_sides, inner, width),
                    (*no_sides, inner, None),
                ),
            }
        kernels = {id(getattr(layer, n)): x for n, x in of_kernel.items()}
        places = call.after[0][1:-1]
        uses = None if None in places else math.prod(cast(Any, places))
        pairs = [kernels.get(id(w), ((width,), (None,))) for w in layer.weights]
        self._note(
            layer,
            [axes for axes, _ in pairs],
            [masked for _, masked in pairs],
            {n: uses for n, w in enumerate(layer.weights) if id(w) in kernels},
        )
        return width

    def _windows(self, call: Call) -> list[Entry]:
        """Returns the masks of the sides of a kernel."""
        layer, before = call.layer, call.before[0]
        own = dataclasses.replace(call, entries=())  # They are not at fault.
        if type(layer) is L.Dense:
            return []
        sides = self._sides.get(id(layer))
        if sides is None:
            return [None] * len(layer.kernel_size)
        if layer.padding != "same":
            why = 'has kernels of several sizes without `padding="same"`'
            raise self._refused(own, why)
        why = "has a kernel that is no part of the largest one at its place"
        found: list[Entry] = []
        for axis, largest in enumerate(layer.kernel_size):
            bounds = []
            for size in (one[axis] for one in sides.sizes):
                start = kinds.start_of(
                    layer, axis, largest, size, before[1 + axis]
                )
                if start is None:
                    raise self._refused(own, why)
                bounds.append((start, start + size))
            whole = all(bound == (0, largest) for bound in bounds)
            cut = Cut(sides.gene, tuple(bounds), largest)
            found.append(None if whole else cut)
        return found

    def _note(
        self,
        layer: keras.layers.Layer,
        axes: Sequence[Axes],
        masked: Sequence[Axes],
        uses: Mapping[int, int | None],
    ) -> None:
        known = self.found.get(id(layer))
        if known is not None and known.axes != tuple(axes):
            masks = [mask for one in (*axes, *known.axes) for mask in one]
            why = "is called on inputs of different widths"
            raise CannotBeMaskedError(layer, why, masks)
        times: list[int | None] = []
        for number in range(len(axes)):
            before = 0 if known is None else known.uses[number]
            now = uses.get(number, 0)
            unknown = before is None or now is None
            times.append(None if unknown else cast(Any, before) + now)
        trained = {id(weight) for weight in layer.trainable_weights}
        self.found[id(layer)] = Slice(
            axes=tuple(axes),
            masked=tuple(masked),
            shapes=tuple(tuple(w.shape) for w in layer.weights),
            trained=tuple(id(w) in trained for w in layer.weights),
            bytes_each=tuple(tf.as_dtype(w.dtype).size for w in layer.weights),
            uses=tuple(times),
            part=self._parts.get(id(layer), frozenset()),
        )
