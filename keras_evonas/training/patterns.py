"""Patterns: the structure of a network less its widths and some settings.

Networks of one pattern have the same layers, connected in the same way, and
differ in how many units or filters a layer has, in its activation, in rates of
dropout and in the momentum, beside the values of their variables.
"""

import dataclasses
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from collections.abc import Set
from typing import TypeAlias

import keras
import tensorflow as tf

from keras_evonas.training.eligibility import is_made_of_layers
from keras_evonas.training.structure import UnknownError
from keras_evonas.training.structure import attributes_of
from keras_evonas.training.structure import described
from keras_evonas.training.structure import structure_of

layers, optimizers = keras.layers, keras.optimizers

# The attribute that says how wide a layer's outputs are.
_WIDTHS: Mapping[type, str] = {
    layers.Dense: "units",
    layers.Conv1D: "filters",
    layers.Conv2D: "filters",
    layers.Conv3D: "filters",
    layers.SeparableConv1D: "filters",
    layers.SeparableConv2D: "filters",
}
# Layers whose operations need to know no widths.
_LAYERS = {
    *_WIDTHS,
    *(layers.InputLayer, layers.Activation, layers.ReLU, layers.LeakyReLU),
    *(layers.ELU, layers.Softmax, layers.Rescaling, layers.Dropout),
    *(layers.Flatten, layers.BatchNormalization, layers.LayerNormalization),
    layers.DepthwiseConv2D,
    *(layers.MaxPooling1D, layers.MaxPooling2D, layers.AveragePooling1D),
    *(layers.AveragePooling2D, layers.GlobalAveragePooling1D),
    *(layers.GlobalAveragePooling2D, layers.GlobalMaxPooling1D),
    *(layers.GlobalMaxPooling2D, layers.ZeroPadding2D, layers.Add),
    *(layers.Multiply, layers.Average, layers.Maximum, layers.Concatenate),
}
_REGULARIZERS = {
    *(keras.regularizers.L1, keras.regularizers.L2, keras.regularizers.L1L2),
}
_OPTIMIZERS = {
    *(optimizers.SGD, optimizers.Adam, optimizers.AdamW, optimizers.RMSprop),
    *(optimizers.Adagrad, optimizers.Adadelta, optimizers.Adamax),
    *(optimizers.Nadam, optimizers.Ftrl, optimizers.Lion, optimizers.Lamb),
}
Activation: TypeAlias = Callable[[tf.Tensor], tf.Tensor]

# Functions of each element of a tensor, between which a program can choose. Not
# the sigmoid: a cross-entropy is computed from what went into it, which would
# be lost.
_ACTIVATIONS: Mapping[str, Activation] = {
    name: getattr(keras.activations, name)
    for name in (
        *("celu", "elu", "gelu", "hard_sigmoid", "hard_silu", "hard_swish"),
        *("leaky_relu", "mish", "relu", "relu6", "selu", "silu"),
        *("softplus", "softsign", "swish", "tanh"),
    )
}
# Numbers that operations take as they take a tensor.
_RATES: Mapping[type, str] = {
    layers.Dropout: "rate",
    optimizers.SGD: "momentum",
}
# Shapes, which follow from widths, and names, which no operation depends on.
_HIDDEN = {"_build_shapes_dict", "_input_spec", "_tracked"}
# How layers are connected.
_CALLS = {"_inbound_nodes", "_outbound_nodes", "_keras_history"}
_HIDDEN_OF: Mapping[type, set[str]] = {
    keras.KerasTensor: {"name", "_shape"},
    keras.Variable: {"_name", "_path", "_shape"},
    keras.random.SeedGenerator: {"name"},
    layers.InputLayer: {"name", "_path"},
    keras.Model: {"name", "_path", "_parent_path"},
}


@dataclasses.dataclass(frozen=True)
class Setting:
    """A number that networks of a pattern may differ in.

    Attributes:
        owner: The layer or the optimizer that has it.
        name: String, the name of the attribute.
        value: Float, the number. That of an activation is its place among
            those that networks may differ in.
    """

    owner: object
    name: str
    value: float


@dataclasses.dataclass(frozen=True, eq=False)
class Pattern:
    """The pattern of one network.

    Attributes:
        key: String, equal for networks of the same pattern.
        parts: String, the same without how the layers are connected.
        variables: Tuple of all variables, in the same order for networks of
            the same pattern.
        settings: Tuple of what layers and optimizer have set, in the same
            order for networks of the same pattern.
    """

    key: str
    parts: str
    variables: tuple[keras.Variable, ...]
    settings: tuple[Setting, ...]


def activations_named(names: Iterable[object]) -> tuple[Activation, ...]:
    """Returns the activations among some names of which a program can choose.

    Of fewer than two there is nothing to choose.
    """
    known = [name for name in map(str, names) if name in _ACTIVATIONS]
    found = dict.fromkeys(map(_ACTIVATIONS.__getitem__, known))
    return tuple(found) if len(found) > 1 else ()


def pattern_of(
    model: keras.Model, activations: Sequence[Activation] = ()
) -> Pattern | None:
    """Reads the pattern of a model whose variables have all been created.

    Args:
        model: The model.
        activations: Those that networks of the pattern may differ in. Defaults
            to none.

    Returns:
        The pattern, or `None` if the model holds anything that is not known to
        work without widths.
    """
    if model.jit_compile or type(model.optimizer) not in _OPTIMIZERS:
        return None
    if not is_made_of_layers(model):
        return None
    if model.optimizer.gradient_accumulation_steps is not None:
        return None  # It makes zeros of the shape of each weight.
    shapes = repr((model.input_shape, model.output_shape))
    settings: list[Setting] = []
    # The order of what is found must not depend on how the network was put
    # together: `Sequential` calls its layers again whenever one is added.
    reader = _Reader(model, activations, settings, _HIDDEN | _CALLS)
    parts = structure_of(model, reader)
    whole = parts
    if parts and not isinstance(model, keras.Sequential):
        whole = structure_of(model, _Reader(model, activations, [], _HIDDEN))
    if parts is None or whole is None:
        return None
    return Pattern(
        whole.key + shapes, parts.key + shapes, parts.variables, tuple(settings)
    )


@dataclasses.dataclass(frozen=True, eq=False)
class _Reader:
    """Reads objects without widths, settings and attributes that are hidden."""

    model: keras.Model
    activations: Sequence[Activation]
    settings: list[Setting]
    hidden: Set[str]

    def __call__(self, one: object) -> tuple[str, list[object]] | None:
        if isinstance(one, keras.Model):
            _check_model(one, self.model)
        elif isinstance(one, keras.Operation):
            _check_layer(one)
        is_known = type(one) in _REGULARIZERS
        if isinstance(one, keras.Regularizer) and not is_known:
            raise UnknownError  # It may look at the shape of a weight.
        kinds = [kind for kind in _HIDDEN_OF if isinstance(one, kind)]
        width, rate = _WIDTHS.get(type(one)), _RATES.get(type(one))
        if not (kinds or isinstance(one, layers.Layer) or rate):
            return None
        hidden = set(self.hidden).union(*map(_HIDDEN_OF.__getitem__, kinds))
        attributes = {
            name: value
            for name, value in attributes_of(one)
            if name not in hidden
        }
        if width is not None:
            # A width of one may be stretched to another one.
            attributes[width] = "one" if attributes[width] == 1 else "many"
        if rate is not None:
            value = getattr(one, rate)
            self.settings.append(Setting(one, rate, float(value)))
            attributes[rate] = "some" if value else "none"
        if attributes.get("activation") in self.activations:
            place = self.activations.index(attributes["activation"])
            self.settings.append(Setting(one, "activation", place))
            attributes["activation"] = "one of several"
        if isinstance(one, keras.Variable):
            attributes["rank"] = len(one.shape)
        return described(one, attributes)


def width_of(layer: keras.layers.Layer) -> tuple[str, int] | None:
    """Returns the name and the value of a layer's width, if it has one."""
    name = _WIDTHS.get(type(layer))
    return None if name is None else (name, getattr(layer, name))


def _check_model(one: keras.Model, whole: keras.Model) -> None:
    """Raises an error for a model that is a layer of another one."""
    own = {id(layer) for layer in whole.layers}
    # `Sequential` holds a functional model of the same layers.
    if id(one) in own or not own.issuperset(
        id(layer)
        for layer in one.layers
        if not isinstance(layer, layers.InputLayer)
    ):
        raise UnknownError


def _check_layer(layer: keras.Operation) -> None:
    """Raises an error unless it is a layer that need not know widths."""
    if type(layer) not in _LAYERS:
        raise UnknownError
    if getattr(layer, "data_format", "channels_last") != "channels_last":
        raise UnknownError
    if getattr(layer, "groups", 1) != 1:
        raise UnknownError
    if getattr(layer, "noise_shape", None) is not None:
        raise UnknownError
    if isinstance(layer, layers.DepthwiseConv2D) and layer.use_bias:
        raise UnknownError  # It reads the number of channels.
