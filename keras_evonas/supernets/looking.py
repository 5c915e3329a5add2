"""Looking at the network that a supernet is made of, without its weights."""

import dataclasses
import functools
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any
from typing import TypeAlias

import keras
import tensorflow as tf

from keras_evonas.models import kinds
from keras_evonas.models.costs.estimates import Hypermodel
from keras_evonas.models.costs.estimates import builder_of
from keras_evonas.models.costs.inputs import Structure
from keras_evonas.models.costs.isolation import without_allocation
from keras_evonas.models.layer_graph import Node
from keras_evonas.models.layer_graph import graph_of
from keras_evonas.project import wording
from keras_evonas.supernets.mixed import Branch
from keras_evonas.supernets.mixed import MixedLayer
from keras_evonas.supernets.sharing import SharingHyperParameters

Part: TypeAlias = frozenset[tuple[str, frozenset[int]]]

# Settings of layers that are a name or a size, or follow from sizes, and the
# seed, which Keras may have drawn.
_SIZES = ("name", "units", "filters", "kernel_size", "target_shape", "shape")
_LEFT_OUT = (*_SIZES, "seed")
_PLAIN = (str, int, float, type(None))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Leaf:
    """A layer that holds no others.

    Args:
        kind: The name of its class.
        name: Its name.
        width: Its units or filters, or `None`.
        kernel: The sides of its kernel, or `None`.
        settings: All else that it was made with; what is not plain, in words.
        shapes: The shapes of its weights.
    """

    kind: str
    name: str
    width: int | None
    kernel: tuple[int, ...] | None
    settings: Mapping[str, object]
    shapes: tuple[tuple[int, ...], ...]


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Look:
    """A network that was looked at.

    Args:
        hp: What it asked for.
        structure: The kinds of its layers, and how they are connected.
        calls: What layers and operations are called with beside tensors.
        parts: The options of all mixed layers, each by when it is called.
        leaves: The layers in them, in an order that is the same wherever the
            structure is.
        state_bytes: The bytes of all weights and of the optimizer's memory.
        network: The network, in `graph`.
        graph: The graph that it was built in.
    """

    hp: SharingHyperParameters
    structure: Structure
    calls: tuple[str, ...]
    parts: tuple[Part, ...]
    leaves: tuple[Leaf, ...]
    state_bytes: int
    network: keras.Model
    graph: tf.Graph

    def settings(self) -> dict[str, object]:
        """Returns what changes a training without other weights."""
        leaves = {
            f"{name} of layer {number}, {leaf.kind}": value
            for number, leaf in enumerate(self.leaves)
            for name, value in leaf.settings.items()
        }
        optimizer = _optimizer_of(self.network)
        config = _config(optimizer, self.graph)
        return {
            "loss": _plain(self.network.loss),
            "optimizer": type(optimizer).__name__,
            **{f"optimizer[{name!r}]": x for name, x in config.items()},
            **leaves,
        }


def look(
    hypermodel: Hypermodel,
    values: Mapping[str, Any],
    *,
    is_partial: bool = False,
) -> Look:
    """Builds the network of a supernet without weights.

    Args:
        hypermodel: As for `Supernet`.
        values: Values of hyperparameters that are not shared.
        is_partial: Boolean, whether options may return fewer channels than
            others, as some of their layers are not at their largest width.
    """

    def gate_of(_: object, branches: tuple[int, ...]) -> NoGate:
        return NoGate(branches, is_partial)

    hp = SharingHyperParameters(gate_of, values)
    build = builder_of(hypermodel)
    graph = tf.Graph()

    def task() -> Look:
        network = build(hp)
        nodes = graph_of(network, "hypermodel").nodes
        _check_compiled(network)
        _check_owned(network)
        parts = dict.fromkeys(parts_of_layers(network).values())
        return Look(
            hp=hp,
            structure=[(_kind(node.layer), node.inputs) for node in nodes],
            calls=tuple(map(_call, _calls_inside(network))),
            parts=tuple(parts),
            leaves=_leaves(network),
            state_bytes=_state_bytes(network),
            network=network,
            graph=graph,
        )

    return without_allocation(task, graph)


@dataclasses.dataclass(frozen=True, eq=False)
class NoGate:
    """Stands in for a gate where nothing is called.

    Args:
        branches: The number of the branch for each value of the gene.
        takes_all_widths: See `is_partial` of `look`.
    """

    branches: tuple[int, ...]
    takes_all_widths: bool
    chosen = None

    def __call__(self, branches: Iterable[Branch]) -> tf.Tensor:
        """Calls nothing."""
        raise NotImplementedError


def _check_compiled(network: keras.Model) -> None:
    if not network.compiled:
        raise ValueError(
            "`hypermodel` must return a compiled model. Received: the model "
            f"{network.name!r}, which is not. Call `model.compile(optimizer, "
            "loss, metrics)` before it is returned."
        )


def _check_owned(network: keras.Model) -> None:
    in_options = parts_of_layers(network)
    for layer in _outside(network):
        if layer.weights and id(layer) in in_options:
            choice = min(name for name, _ in in_options[id(layer)])
            raise ValueError(
                "Each option must make layers of its own to share a supernet. "
                f"Received: the layer {layer.name!r} of "
                f"{type(layer).__name__} in an option of '{choice}' and "
                "outside. Make it inside of the function of the option."
            )


def _outside(layer: keras.layers.Layer) -> Iterator[keras.layers.Layer]:
    """Yields the layers that are in no option."""
    if isinstance(layer, MixedLayer):
        return
    yield layer
    inner = layer._flatten_layers(  # noqa: SLF001
        recursive=False, include_self=False
    )
    for one in inner:
        yield from _outside(one)


def leaves_of(network: keras.Model) -> list[keras.layers.Layer]:
    """Returns the layers of a supernet that hold no others."""
    holders = (MixedLayer, keras.Model, keras.layers.InputLayer)
    return [x for x in kinds.parts_of(network) if not isinstance(x, holders)]


def settings_of(layer: keras.Operation) -> tuple[tuple[str, object], ...]:
    """Returns the settings of a layer or operation that are plain values.

    Sizes are left out, which may be elastic, and the shapes of weights are
    there instead.
    """
    if not isinstance(layer, keras.Layer):
        own = {n: x for n, x in vars(layer).items() if n[0] != "_"}
        return _plain_ones(own)
    shapes = tuple(tuple(weight.shape) for weight in layer.weights)
    return (*_plain_ones(_config_of(layer)), ("shapes", shapes))


def _plain_ones(
    settings: Mapping[str, object],
) -> tuple[tuple[str, object], ...]:
    return tuple(
        (name, value)
        for name, value in sorted(settings.items())
        if name not in _LEFT_OUT and isinstance(value, _PLAIN)
    )


def parts_of_layers(network: keras.Model) -> dict[int, Part]:
    """Returns when layers in options are called, by their identity."""
    found: dict[int, Part] = {}
    # An outer layer comes before those in its options.
    for layer in kinds.parts_of(network):
        if not isinstance(layer, MixedLayer):
            continue
        outer = found.get(id(layer), frozenset())
        values = [*enumerate(layer.gate.branches)]
        for branch, option in enumerate(layer.options):
            places = frozenset(value for value, own in values if own == branch)
            part = outer | {(layer.choice, places)}
            found.update({id(x): part for x in kinds.parts_of(option)})
    return found


def _kind(layer: keras.Operation) -> Structure:
    inner: Iterable[Any] = ()
    if isinstance(layer, MixedLayer):
        inner = layer.options
    elif isinstance(layer, keras.Model):
        inner = layer.layers
    return (type(layer).__name__, [_kind(one) for one in inner])


def _calls_inside(network: keras.Model) -> Iterator[Node]:
    """Yields the calls of a network, and those of models in its options."""
    for one in kinds.parts_of(network):
        is_graph = isinstance(one, keras.Model) and one.inputs
        if is_graph and not isinstance(one, keras.Sequential):
            yield from graph_of(one, "hypermodel").nodes


def _call(node: Node) -> str:
    """Returns what a call takes beside tensors.

    What functions of `keras.ops` take is mostly kept by their operations.
    """
    settings = {}
    if not isinstance(node.layer, keras.Layer):
        settings = vars(node.layer)
    own = {n: x for n, x in settings.items() if n[0] != "_" and n != "name"}
    return repr((node.args, node.kwargs, own))


def _leaves(network: keras.Model) -> tuple[Leaf, ...]:
    return tuple(map(_leaf, leaves_of(network)))


def _config_of(layer: keras.layers.Layer) -> dict[str, Any]:
    for part in vars(layer).values():
        if isinstance(part, keras.Regularizer):
            _make_plain(part)
    try:
        return dict(layer.get_config())
    except NotImplementedError:  # A layer of the user's own.
        return {}


def _make_plain(regularizer: keras.Regularizer) -> None:
    """Replaces constants, which have no value inside of a graph."""
    for name, value in list(vars(regularizer).items()):
        if tf.is_tensor(value):
            constant = tf.get_static_value(value)
            if constant is not None:
                setattr(regularizer, name, constant.tolist())


def _leaf(layer: keras.layers.Layer) -> Leaf:
    settings = _config_of(layer)
    width = kinds.width_of(layer)
    kernel = getattr(layer, "kernel_size", None)
    for name in _LEFT_OUT:
        settings.pop(name, None)
    return Leaf(
        kind=type(layer).__name__,
        name=layer.name,
        width=width,
        kernel=kernel if isinstance(kernel, tuple) else None,
        settings={name: _plain(value) for name, value in settings.items()},
        shapes=tuple(tuple(w.shape) for w in layer.weights),
    )


def _optimizer_of(network: keras.Model) -> keras.Optimizer:
    """Returns the optimizer, or the one inside of it if it scales the loss."""
    return getattr(network.optimizer, "inner_optimizer", network.optimizer)


def _config(optimizer: keras.Optimizer, graph: tf.Graph) -> dict[str, object]:
    """Returns the config of an optimizer that was made in a graph.

    A learning rate is a variable, which has no value there. It is taken for
    the constant that was assigned to it last.
    """
    assigned = {
        op.inputs[0].name: op.inputs[1]
        for op in graph.get_operations()
        if op.type == "AssignVariableOp"
    }
    for variable in optimizer.variables:
        value = assigned.get(variable.value.handle.name)
        if value is not None:
            variable.numpy = functools.partial(tf.get_static_value, value)
    try:
        config = _nameless(optimizer.get_config())
    except Exception:  # One of the user's own has none, or needs values.
        return {}
    return dict(config) if isinstance(config, Mapping) else {}


def _plain(value: object) -> object:
    """Returns a setting as a plain value, or else in words."""
    if isinstance(value, _PLAIN):
        return value
    return wording.settings(_nameless(value))


def _nameless(value: object) -> object:
    """Leaves out names, which Keras counts from model to model.

    The one setting of a `DTypePolicy` is a name, too, and is kept. Sets, which
    have another order in each process, are sorted.
    """
    if isinstance(value, set | frozenset):
        return sorted(map(repr, value))
    if isinstance(value, list | tuple):
        return [_nameless(one) for one in value]
    if not isinstance(value, Mapping):
        return value
    return {
        key: _nameless(one)
        for key, one in value.items()
        if key != "name" or len(value) == 1
    }


def _state_bytes(network: keras.Model) -> int:
    variables = list(network.variables)
    optimizer = _optimizer_of(network)
    if not optimizer.built:
        optimizer.build(network.trainable_variables)
    variables += optimizer.variables
    return sum(
        tf.TensorShape(v.shape).num_elements() * tf.as_dtype(v.dtype).size
        for v in variables
    )
