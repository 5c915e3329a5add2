"""Templates: copies of networks that are traced without widths and settings.

The variables of a template have shapes that leave open what may differ, so
that TensorFlow traces operations that take sizes from values. Which axes those
are is seen in a second copy whose layers are wider by one.
"""

import contextlib
import dataclasses
import functools
import random
from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
from typing import TypeAlias

import keras
import tensorflow as tf

from keras_evonas.training.patterns import Activation
from keras_evonas.training.patterns import Pattern
from keras_evonas.training.patterns import Setting
from keras_evonas.training.patterns import pattern_of
from keras_evonas.training.patterns import width_of

# Creates the variables of a copy that do not exist before it is trained.
Prepare: TypeAlias = Callable[[keras.Model], None]
_Shape: TypeAlias = tuple[int | None, ...]


@dataclasses.dataclass(frozen=True, eq=False)
class Template:
    """A copy of a network, to be traced for all networks of its pattern.

    Attributes:
        model: The copy.
        variables: Tuple of its variables, in the order of the pattern.
        settings: List of variables that stand for the settings, in their order.
    """

    model: keras.Model
    variables: tuple[keras.Variable, ...]
    settings: list[tf.Variable]


def template_of(
    model: keras.Model,
    pattern: Pattern,
    activations: Sequence[Activation],
    prepare: Prepare,
) -> Template | None:
    """Makes a template of a compiled network.

    Args:
        model: The network.
        pattern: Its pattern.
        activations: Those that the pattern leaves open.
        prepare: Creates the variables of a copy.

    Returns:
        The template, or `None` if a copy by its configuration is another
        network, or if it cannot be made wider.
    """
    state = random.getstate()
    try:
        shapes = _open_shapes(model, pattern, activations, prepare)
        if shapes is None:
            return None
        with _created(shapes):
            copy = _copy(model, prepare)
    finally:
        random.setstate(state)  # The copies have drawn from it.
    found = pattern_of(copy, activations)
    if found is None or found.parts != pattern.parts:
        return None
    for layer in copy.layers:
        _forget_width(layer)
    settings = [_opened(setting, activations) for setting in found.settings]
    return Template(copy, found.variables, settings)


def _forget_width(layer: keras.layers.Layer) -> None:
    """Lets a layer trace operations that need not know how wide it is."""
    if hasattr(layer, "filters"):
        layer.filters = -1  # A bias is reshaped to as many as it has.
    if isinstance(layer, keras.layers.LayerNormalization):
        # Counted from the first axis, the last one needs no reshaping.
        rank = len(layer.input.shape)
        layer.axis = sorted(axis % rank for axis in [*layer.axis])


def _open_shapes(
    model: keras.Model,
    pattern: Pattern,
    activations: Sequence[Activation],
    prepare: Prepare,
) -> list[_Shape] | None:
    """Returns the shapes of a template's variables, as they are created.

    They are open where those of a wider network differ. Returns `None` if no
    wider network has the same outputs.
    """
    names = [layer.name for layer in model.layers if width_of(layer)]
    outputs = getattr(model, "output_names", names[-1:])
    fixed = {name for name in outputs if name in names}
    # Where outputs come from other layers, those before them decide.
    for name in [*reversed(names), None]:
        try:
            with _created() as created:
                wider = _copy(model, prepare, wider_but=fixed)
        except ValueError:
            return None  # A width must equal another one that is given.
        if wider.output_shape == model.output_shape:
            break
        fixed.add(name or "")
    else:
        return None
    found = pattern_of(wider, activations)
    if found is None or found.parts != pattern.parts:
        return None
    pairs = zip(pattern.variables, found.variables, strict=True)
    opened = {
        id(wide.value.handle): tuple(
            size if size == other else None
            for size, other in zip(one.shape, wide.shape, strict=True)
        )
        for one, wide in pairs
    }
    # Keras makes some slots of the optimizer twice, and keeps the second.
    return [
        opened.get(id(one.handle), (None,) * one.shape.rank) for one in created
    ]


def _copy(
    model: keras.Model,
    prepare: Prepare,
    wider_but: Collection[str] | None = None,
) -> keras.Model:
    """Copies a network, with all layers but some wider by one if asked to."""

    def layer_like(layer: keras.layers.Layer) -> keras.layers.Layer:
        config = layer.get_config()
        # The values of its weights are never used, and zeros are fast.
        initial = [name for name in config if name.endswith("_initializer")]
        config |= dict.fromkeys(initial, "zeros")
        found = width_of(layer)
        if wider_but is not None and found and layer.name not in wider_but:
            name, width = found
            config[name] = width + (width > 1)
        return type(layer).from_config(config)

    copy = keras.models.clone_model(model, clone_function=layer_like)
    copy.compile_from_config(model.get_compile_config())
    prepare(copy)
    return copy


@contextlib.contextmanager
def _created(
    shapes: Iterable[_Shape] | None = None,
) -> Iterator[list[tf.Variable]]:
    """Notes all variables that are created, and gives them shapes in turn."""
    created: list[tf.Variable] = []
    waiting = iter(shapes or ())

    def create(
        next_creator: Callable[..., tf.Variable], **arguments: object
    ) -> tf.Variable:
        value = arguments["initial_value"]
        arguments["initial_value"] = value() if callable(value) else value
        if shapes is not None:
            arguments["shape"] = tf.TensorShape(next(waiting))
        created.append(next_creator(**arguments))
        return created[-1]

    with tf.variable_creator_scope(create):
        yield created


class _Open:
    """A number that is not 0, whose value a program reads from a variable."""

    def __init__(self, variable: tf.Variable) -> None:
        self._variable = variable

    def __ne__(self, other: object) -> bool:
        return True

    def __tf_tensor__(
        self, dtype: tf.DType | None = None, name: str | None = None
    ) -> tf.Tensor:
        return tf.cast(self._variable[0], dtype or tf.float32, name)


class _Chosen:
    """The one of several activations whose place a variable holds."""

    def __init__(
        self, variable: tf.Variable, activations: Sequence[Activation]
    ) -> None:
        self._variable = variable
        self._activations = activations

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        place = tf.cast(self._variable[0], tf.int32)

        # The gradient that TensorFlow makes of a choice would carry what each
        # of the functions has computed along.
        def choose(x: tf.Tensor) -> tuple[tf.Tensor, Activation]:
            def gradient(dy: tf.Tensor) -> tf.Tensor:
                def of(function: Activation) -> tf.Tensor:
                    with tf.GradientTape() as tape:
                        tape.watch(x)
                        y = function(x)
                    return tape.gradient(y, x, dy)

                parts = [
                    functools.partial(of, one) for one in self._activations
                ]
                return tf.switch_case(place, parts)

            parts = [functools.partial(one, x) for one in self._activations]
            return tf.switch_case(place, parts), gradient

        chosen: tf.Tensor = tf.custom_gradient(choose)(x)
        return chosen


def variable_of(setting: Setting) -> tf.Variable:
    """Makes the variable that a program reads a setting from.

    The second number is the one by which dropout multiplies what it keeps,
    rounded once as in Keras.
    """
    value = setting.value
    scale = 1 / (1 - value) if value < 1 else 0.0
    return tf.Variable([value, scale], trainable=False, dtype=tf.float32)


def _opened(setting: Setting, activations: Sequence[Activation]) -> tf.Variable:
    """Makes a layer or an optimizer read a setting from a new variable."""
    variable = variable_of(setting)
    if not isinstance(setting.owner, keras.layers.Dropout):
        if setting.name == "activation":
            chosen = _Chosen(variable, activations)
            setattr(setting.owner, setting.name, chosen)
        elif setting.value:  # Else no operation takes it.
            setattr(setting.owner, setting.name, _Open(variable))
        return variable
    layer = setting.owner

    def call(inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        if not (training and setting.value):
            return inputs
        least, scale = tf.unstack(tf.cast(variable, inputs.dtype))
        drawn = keras.random.uniform(
            tf.shape(inputs), dtype=inputs.dtype.name, seed=layer.seed_generator
        )
        return tf.where(drawn >= least, inputs * scale, tf.zeros_like(inputs))

    layer.call = call
    return variable


class Copies:
    """The variables of a network in the shapes of a template.

    TensorFlow compiles a function anew for each shape of a variable that it
    takes, so that networks can share what is compiled only if their variables
    are of the same shape, open where they differ. Those with nothing open are
    the network's own.

    Args:
        model: The network.
        pattern: Its pattern.
        shapes: The shape of each variable of the template.

    Attributes:
        variables: List of the variables that programs take, in the order of
            the pattern, with those of the settings at the end.
    """

    def __init__(
        self,
        model: keras.Model,
        pattern: Pattern,
        shapes: Sequence[tf.TensorShape],
    ) -> None:
        # Its weights, and what the optimizer and metrics have beside them.
        self._weights: list[tuple[tf.Variable, tf.Variable]] = []
        self._others: list[tuple[tf.Variable, tf.Variable]] = []
        self.variables: list[tf.Variable] = []
        weights = {id(weight) for weight in model.weights}
        for one, shape in zip(pattern.variables, shapes, strict=True):
            own = copy = one.value
            if not shape.is_fully_defined():
                copy = tf.Variable(own, trainable=False, shape=shape)
                pairs = self._weights if id(one) in weights else self._others
                pairs.append((own, copy))
            self.variables.append(copy)
        self.variables.extend(map(variable_of, pattern.settings))

    def take(self) -> None:
        """Takes over the values that the network has."""
        for own, copy in [*self._weights, *self._others]:
            copy.assign(own.read_value(), read_value=False)

    def give_weights(self) -> None:
        """Gives the network its weights."""
        for own, copy in self._weights:
            own.assign(copy.read_value(), read_value=False)

    def give_others(self) -> None:
        """Gives the network all other values."""
        for own, copy in self._others:
            own.assign(copy.read_value(), read_value=False)
