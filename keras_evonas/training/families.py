"""Families: networks that differ in widths and in numbers alone.

One program trains all networks of a family. Where it is traced, the widths of
dense layers are unknown dimensions, and rates of dropout, momentum and weight
decay are inputs. TensorFlow then runs the operations that each network would be
traced into itself, so that their numbers are the same, bit for bit on a CPU. A
family is a chain of layers of which this is known; the tests compare them with
networks that are traced alone.
"""

import contextlib
import dataclasses
from collections.abc import Iterator
from collections.abc import Sequence
from typing import Any
from typing import TypeAlias

import keras
import tensorflow as tf

from keras_evonas.training.inputs import Inputs
from keras_evonas.training.structure import Structure

Shape: TypeAlias = tuple[int | None, ...]

_layers = keras.layers
# Layers that treat each number alike, whatever the width.
_ELEMENTWISE = (
    *(_layers.Activation, _layers.Dropout, _layers.ELU),
    *(_layers.LeakyReLU, _layers.ReLU),
)
_ACTIVATIONS = tuple(
    getattr(keras.activations, name)
    for name in (
        *("elu", "exponential", "gelu", "hard_sigmoid", "leaky_relu", "linear"),
        *("mish", "relu", "relu6", "selu", "sigmoid", "silu", "softplus"),
        *("softsign", "tanh"),
    )
)
_REGULARIZERS = (
    type(None),
    *(keras.regularizers.L1, keras.regularizers.L2, keras.regularizers.L1L2),
)
# Their variables have the shapes of those that they update.
_OPTIMIZERS = tuple(
    getattr(keras.optimizers, name)
    for name in (
        *("Adadelta", "Adagrad", "Adam", "AdamW", "Adamax", "Ftrl", "Lion"),
        *("Nadam", "RMSprop", "SGD"),
    )
)
# Attributes that hold numbers which may differ.
_NUMBERS = ("rate", "momentum", "weight_decay")
# Attributes that hold shapes, and the objects that have them.
_WITH_SHAPES = {
    "_build_shapes_dict": (_layers.Dense, _layers.BatchNormalization),
    "_shape": (keras.KerasTensor, keras.Variable),
    "axes": (_layers.InputSpec,),
}


@dataclasses.dataclass(frozen=True, eq=False)
class Family:
    """What a network has in common with others, and what is its own.

    Attributes:
        shapes: Shapes of variables, by the identities of variables, with
            `None` for dimensions that differ. Others have their own.
        wide: The layers whose width differs.
        numbers: Pairs of an object and the name of its number.
    """

    shapes: dict[int, Shape]
    wide: tuple[keras.layers.Dense, ...]
    numbers: tuple[tuple[object, str], ...]

    def shape_of(self, variable: keras.Variable) -> Shape:
        """Returns the shape of a variable, as all in the family have it."""
        return self.shapes.get(id(variable), tuple(variable.value.shape))

    def hides(self, owner: object, name: str) -> bool:
        """Returns whether an attribute may differ within the family."""
        if name in _NUMBERS:
            return any(owner is it and name == its for it, its in self.numbers)
        if name == "units":
            return owner in self.wide
        # All that matters of shapes follows from those of variables and data.
        kinds = _WITH_SHAPES.get(name, ())
        return bool(self.wide) and isinstance(owner, kinds)

    @property
    def values(self) -> list[float]:
        """The numbers of this network."""
        return [getattr(owner, name) for owner, name in self.numbers]

    @contextlib.contextmanager
    def unknown(
        self, model: keras.Model, structure: Structure, inputs: Inputs
    ) -> Iterator[None]:
        """Hides what is this network's own, while it is traced."""
        optimizer: Any = model.optimizer
        changes: list[tuple[Any, str, object]] = [
            (one, "_value", _variable_like(one, self.shapes[id(one)]))
            for one in structure.variables
            if id(one) in self.shapes
        ]
        changes += [
            (owner, name, inputs.number(place, getattr(owner, name)))
            for place, (owner, name) in enumerate(self.numbers)
        ]
        changes += [
            (layer, "call", _Call(layer))
            for layer in self.wide
            if layer.use_bias
        ]
        with _changed(changes):
            # An optimizer knows its variables by those of TensorFlow.
            places = {
                optimizer._var_key(one): place  # noqa: SLF001
                for place, one in enumerate(model.trainable_variables)
            }
            own: list[tuple[Any, str, object]] = [
                (optimizer, "_trainable_variables_indices", places),
                (optimizer, "_exclude_from_weight_decay_cache", {}),
            ]
            with _changed(own):
                yield


@dataclasses.dataclass(frozen=True, eq=False)
class _Call:
    """Calls a dense layer as Keras (3.10 to 3.15) does if its width is known.

    It would add the bias by another operation, which rounds otherwise.
    """

    layer: keras.layers.Dense

    def __call__(self, inputs: tf.Tensor, training: object = None) -> tf.Tensor:
        del training
        outputs = keras.ops.matmul(inputs, self.layer.kernel)
        bias = keras.ops.convert_to_tensor(self.layer.bias)
        return self.layer.activation(tf.nn.bias_add(outputs, bias))


def family_of(model: keras.Model) -> Family | None:
    """Returns the family of a compiled model that has all its variables.

    It is `None` if none is known for it.
    """
    optimizer = model.optimizer
    if (
        type(optimizer) not in _OPTIMIZERS
        or model.jit_compile
        or getattr(optimizer, "_exclude_from_weight_decay", None)
        or getattr(optimizer, "_exclude_from_weight_decay_pattern", None)
    ):
        return None
    shapes: dict[int, Shape] = {}
    wide = _follow(_chain(model), shapes)
    if wide:
        ranks = [(id(x), x.value.shape.rank) for x in optimizer.variables]
        shapes |= {one: (None,) * rank for one, rank in ranks if rank}
    else:
        shapes = {}
    numbers: list[tuple[object, str]] = [
        (layer, "rate")
        for layer in model.layers
        if type(layer) is _layers.Dropout and 0 < layer.rate < 1
    ]
    numbers += [
        (optimizer, name)
        for name in ("momentum", "weight_decay")
        if getattr(optimizer, name, None)
        and type(getattr(optimizer, name)) is float
    ]
    if not wide and not numbers:
        return None
    return Family(shapes, tuple(wide), tuple(numbers))


def _follow(
    layers: Sequence[keras.Layer], shapes: dict[int, Shape]
) -> list[keras.layers.Dense]:
    """Finds the layers whose width may differ, and the shapes of variables.

    There are none if a layer after one of them may look at its width.
    """
    dense = [layer for layer in layers if type(layer) is _layers.Dense]
    wide: list[keras.layers.Dense] = []
    is_unknown = False
    for layer in layers:
        if type(layer) is _layers.Dense and _is_plain(layer):
            size = layer.units
            is_hidden = layer is not dense[-1]
            if is_hidden and size > 1 and layer.activation in _ACTIVATIONS:
                wide.append(layer)
                size = None
            before = None if is_unknown else layer.kernel.shape[0]
            is_unknown = size is None
            shapes[id(layer.kernel)] = (before, size)
            if layer.use_bias:
                shapes[id(layer.bias)] = (size,)
        elif is_unknown and not _takes_any_width(layer):
            return []
        elif is_unknown:
            shapes |= {id(one): (None,) for one in _vectors(layer)}
    return [] if is_unknown else wide


def _is_plain(layer: keras.layers.Dense) -> bool:
    """Returns whether nothing is known to look at the width of a layer."""
    return (
        _rank_before(layer) == 2
        and layer.activation in (*_ACTIVATIONS, keras.activations.softmax)
        and layer.kernel_constraint is layer.bias_constraint is None
        and type(layer.kernel_regularizer) in _REGULARIZERS
        and type(layer.bias_regularizer) in _REGULARIZERS
        and layer.activity_regularizer is None
        and not layer.lora_enabled
        and _is_in_float32(layer)
    )


def _rank_before(layer: keras.Layer) -> int | None:
    try:
        return len(layer.input.shape)
    except AttributeError:
        return None


def _takes_any_width(layer: keras.Layer) -> bool:
    if type(layer) is _layers.BatchNormalization:
        return not layer.renorm and layer.axis == -1 and _is_in_float32(layer)
    if type(layer) is _layers.Activation:
        return layer.activation in _ACTIVATIONS
    if type(layer) is _layers.Dropout and layer.noise_shape is not None:
        return False
    return type(layer) in _ELEMENTWISE and _is_in_float32(layer)


def _is_in_float32(layer: keras.Layer) -> bool:
    return bool(layer.dtype_policy.name == "float32")


def _vectors(layer: keras.Layer) -> list[keras.Variable]:
    if type(layer) is not _layers.BatchNormalization:
        return []
    return [one for one in layer.weights if len(one.shape) == 1]


def _chain(model: keras.Model) -> list[keras.Layer]:
    """Returns the layers of a model if each takes what the one before gives."""
    layers = list(model.layers)
    if type(model) is keras.Sequential:
        return layers
    if type(model).__name__ != "Functional":  # It has no public name.
        return []
    joints = zip(layers[1:], layers, strict=False)
    try:
        is_chain = (
            len(model.inputs) == len(model.outputs) == 1
            and model.outputs[0] is layers[-1].output
            and all(one.input is before.output for one, before in joints)
        )
    except AttributeError:  # A layer that is called more than once.
        return []
    return layers if is_chain else []


def _variable_like(one: keras.Variable, shape: Shape) -> tf.Variable:
    known = [1 if size is None else size for size in shape]
    return tf.Variable(
        tf.zeros(known, one.dtype),
        trainable=one.value.trainable,
        shape=tf.TensorShape(shape),
    )


@contextlib.contextmanager
def _changed(changes: Sequence[tuple[Any, str, object]]) -> Iterator[None]:
    """Gives objects other attributes, for a while."""
    before = [
        (owner, name, vars(owner).get(name)) for owner, name, _ in changes
    ]
    missing = [name not in vars(owner) for owner, name, _ in changes]
    try:
        for owner, name, value in changes:
            vars(owner)[name] = value
        yield
    finally:
        for (owner, name, value), is_new in zip(before, missing, strict=True):
            if is_new:
                del vars(owner)[name]
            else:
                vars(owner)[name] = value
