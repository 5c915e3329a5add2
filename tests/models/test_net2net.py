"""A child that inherits computes what its parent computes."""

import functools

import keras
import keras_tuner
import numpy as np
import pytest
from keras import layers

from keras_evonas.models import evolvable
from keras_evonas.models import inherit_weights
from keras_evonas.models.costs.isolation import without_allocation
from tests.models.architectures import residual
from tests.models.test_evolvable import Subclassed
from tests.models.test_evolvable import shaken
from tests.models.test_evolvable import space_of

pytestmark = pytest.mark.keras


def dense(*units, normalized=True, activation="relu"):
    def build():
        model = keras.Sequential([keras.Input((6,))])
        for width in units:
            model.add(layers.Dense(width, use_bias=not normalized))
            if normalized:
                model.add(layers.BatchNormalization())
            model.add(layers.Activation(activation))
            model.add(layers.Dropout(0.3))
        model.add(layers.Dense(3, activation="softmax"))
        return model

    return build


def conv(*filters, kernel=3, strides=1, kind=layers.Conv2D, flat=True):
    def build():
        model = keras.Sequential([keras.Input((6, 5, 2))])
        for index, width in enumerate(filters):
            step = strides if index == 0 else 1
            model.add(kind(width, kernel, strides=step, padding="same"))
            model.add(layers.BatchNormalization())
            model.add(layers.ReLU())
        model.add(layers.MaxPooling2D())
        model.add(layers.Flatten() if flat else layers.GlobalAveragePooling2D())
        model.add(layers.Dense(4, activation="relu"))
        model.add(layers.Dense(3))
        return model

    return build


def branched(width, other):
    def build():
        inputs = keras.Input((6, 6, 2))
        a = layers.Conv2D(width, 3, padding="same", activation="relu")(inputs)
        b = layers.Conv2D(other, 1, activation="tanh")(inputs)
        c = layers.Conv2D(width, 1)(layers.Concatenate()([a, b]))
        c = layers.BatchNormalization()(layers.Add()([a, c]))
        c = layers.DepthwiseConv2D(3, padding="same")(c)
        c = layers.GlobalAveragePooling2D()(c)
        return keras.Model(inputs, layers.Dense(2)(c))

    return build


def stack(*inner, shape=(7, 4)):
    """A network of layers, or of functions of a tensor."""

    def build():
        inputs = x = keras.Input(shape)
        for make in inner:
            x = make()(x)
        x = layers.Flatten()(x)
        return keras.Model(inputs, layers.Dense(3)(x))

    return build


def conv1d(width=4, kernel=3, **options):
    return functools.partial(layers.Conv1D, width, kernel, **options)


def transposed(width, kernel, strides):
    options = {"strides": strides, "padding": "same"}
    return functools.partial(layers.Conv1DTranspose, width, kernel, **options)


def unit(width=4, activation="relu", **options):
    options["activation"] = activation
    return functools.partial(layers.Dense, width, **options)


def batch(**options):
    return functools.partial(layers.BatchNormalization, **options)


def behind_each_other(width):
    inputs = keras.Input((3, 4))
    both = [layers.Dense(width)(inputs) for _ in range(2)]
    x = layers.Dense(2)(layers.Concatenate(axis=1)(both))
    return keras.Model(inputs, x)


def blocks(number, block):
    def build():
        inputs = keras.Input((6, 5, 4))
        x = layers.Conv2D(4, 3, padding="same", activation="relu")(inputs)
        for _ in range(number):
            x = block(x)
        x = layers.GlobalAveragePooling2D()(x)
        return keras.Model(inputs, layers.Dense(3)(x))

    return build


def activated(x):
    y = layers.Conv2D(3, 1, use_bias=False)(x)
    y = layers.ReLU()(layers.BatchNormalization()(y))
    y = layers.Conv2D(4, 3, padding="same")(y)
    y = layers.BatchNormalization()(y)
    return layers.ReLU()(layers.Add()([y, x]))


def bottleneck(x):
    y = layers.SeparableConv2D(3, 3, padding="same")(layers.ReLU()(x))
    return x + layers.Dropout(0.1)(layers.Dense(4, "tanh")(y))


def projected(x):
    y = layers.DepthwiseConv2D(3, padding="same", activation="relu")(x)
    y = layers.Conv2D(4, 1)(y)
    return layers.ReLU()(layers.Add()([layers.Conv2D(4, 1)(x), y]))


def transformer(number, *, before=True):
    def build():
        inputs = x = keras.Input((6, 4))
        for _ in range(number):
            y = layers.LayerNormalization()(x) if before else x
            y = layers.MultiHeadAttention(2, 3)(y, y)
            x = layers.Add()([x, layers.Dropout(0.1)(y)])
            y = layers.LayerNormalization()(x)
            y = layers.Dense(4)(layers.Dense(9, "gelu")(y))
            x = layers.Add()([x, y])
        return keras.Model(inputs, layers.Dense(2)(layers.Flatten()(x)))

    return build


def shortcut(*convolutions):
    """Has a sum of two branches, one of them a ReLU."""

    def build():
        inputs = keras.Input((6, 5, 4))
        y = x = layers.Conv2D(4, 3, padding="same")(inputs)
        y = layers.ReLU()(y)
        for size in convolutions:
            y = layers.Conv2D(4, size, padding="same", activation="relu")(y)
        x = layers.GlobalAveragePooling2D()(layers.Add()([x, y]))
        return keras.Model(inputs, layers.Dense(3)(x))

    return build


PRESERVING = {
    **{
        f"{make.__name__} blocks, {old}, then {new}": (
            blocks(old, make),
            blocks(new, make),
        )
        for make in (activated, bottleneck, projected)
        for old, new in [(1, 2), (0, 2), (2, 2)]
    },
    "transformer of more blocks": (transformer(1), transformer(3)),
    "transformer of its first blocks": (transformer(0), transformer(2)),
    "deeper branch of a sum": (shortcut(), shortcut(3)),
    "an identity": (stack(unit()), stack(unit(), layers.Identity)),
    "still deeper branch of a sum": (shortcut(3), shortcut(3, 3)),
    **{
        f"{padding} kernel of {old}, then {new}, strides {strides}": (
            stack(conv1d(4, old, padding=padding, strides=strides)),
            stack(conv1d(6, new, padding=padding, strides=strides)),
        )
        for padding, old, new, strides in [
            *(("causal", 3, 5, 1), ("causal", 2, 5, 1), ("causal", 3, 4, 2)),
            *(("same", 2, 3, 1), ("same", 3, 4, 1), ("same", 2, 4, 1)),
            *(("same", 1, 3, 2), ("same", 3, 4, 2), ("same", 2, 5, 2)),
        ]
    },
    "a number for all": (
        stack(lambda: lambda x: x * keras.ops.max(x), unit(4)),
        stack(lambda: lambda x: x * keras.ops.max(x), unit(4)),
    ),
    **{
        f"transposed kernel of {old}, then {new}, strides {strides}": (
            stack(transposed(4, old, strides)),
            stack(transposed(6, new, strides)),
        )
        for old, new, strides in [
            *((2, 2, 2), (2, 4, 2), (3, 5, 2), (2, 3, 1), (3, 4, 2)),
            *((4, 5, 3), (3, 6, 3)),
        ]
    },
    "dilated kernel": (
        stack(conv1d(4, 3, padding="same", dilation_rate=2)),
        stack(conv1d(4, 5, padding="same", dilation_rate=2)),
    ),
    "behind each other": (
        lambda: behind_each_other(4),
        lambda: behind_each_other(6),
    ),
    "added layers with initializers of their own": (
        stack(unit()),
        stack(
            unit(bias_initializer="ones"),
            batch(gamma_initializer="zeros", beta_initializer="ones"),
            unit(bias_initializer=keras.initializers.Constant(0.1)),
        ),
    ),
    "dense wider": (dense(5, 4), dense(11, 7)),
    "dense wider, bare": (
        dense(5, 4, normalized=False, activation="gelu"),
        dense(9, 13, normalized=False, activation="gelu"),
    ),
    "dense deeper": (dense(5), dense(5, 5)),
    "dense deeper and wider": (dense(5), dense(7, 9, 20)),
    "dense deeper, bare": (
        dense(5, normalized=False),
        dense(5, 6, normalized=False),
    ),
    "normalization added": (
        dense(5, 4, normalized=False),
        lambda: keras.Sequential(
            [
                keras.Input((6,)),
                layers.Dense(5),
                layers.BatchNormalization(),
                layers.Activation("relu"),
                layers.Dense(8),
                layers.BatchNormalization(),
                layers.Activation("relu"),
                layers.Dense(3, activation="softmax"),
            ]
        ),
    ),
    "conv wider": (conv(3, 4), conv(5, 9)),
    "conv wider, pooled": (conv(3, flat=False), conv(7, flat=False)),
    "conv deeper": (conv(3), conv(3, 3, 5)),
    "conv with larger kernels": (conv(3, 4), conv(3, 4, kernel=5)),
    "conv with strides and larger kernels": (
        conv(3, strides=2),
        conv(4, strides=2, kernel=7),
    ),
    "separable wider": (
        conv(3, 4, kind=layers.SeparableConv2D),
        conv(7, 5, kind=layers.SeparableConv2D, kernel=5),
    ),
    "branches wider": (branched(4, 3), branched(6, 8)),
    "the same": (residual, residual),
}


@pytest.mark.parametrize("name", PRESERVING)
def test_the_function_is_preserved(name):
    make_parent, make_child = PRESERVING[name]
    parent, child = shaken(make_parent()), make_child()
    before = [np.array(weight) for weight in parent.weights]
    found = inherit_weights(parent, child, seed=1)
    assert found.preserved == found.layers
    shape = (8, *parent.inputs[0].shape[1:])
    x = np.random.default_rng(0).normal(size=shape).astype("float32")
    wanted, result = np.asarray(parent(x)), np.asarray(child(x))
    scale = max(1.0, np.abs(wanted).max())
    assert np.abs(wanted - result).max() <= 1e-5 * scale
    for weight, array in zip(parent.weights, before, strict=True):
        np.testing.assert_array_equal(weight, array)


class Unsaid(layers.Layer):
    """A layer of the user's own that cannot say how it was made."""

    def build(self, shape):
        self.scale = self.add_weight(shape=(shape[-1],))

    def call(self, inputs):
        return self.scale * inputs

    def get_config(self):
        raise AttributeError("no such thing")


def test_a_layer_without_a_config_takes_its_weights():
    parent, child = (stack(Unsaid)() for _ in range(2))
    found = inherit_weights(shaken(parent), child)
    assert found.preserved == 0  # It is not known whether they do the same.
    for one, other in zip(parent.weights, child.weights, strict=True):
        np.testing.assert_array_equal(one, other)


# Pairs whose weights are of shapes that fit, of networks that differ.
DIFFERING = {
    **{
        f"{name} after an added layer": (
            stack(unit(4, None), lambda name=name: layers.Activation(name)),
            stack(
                *(unit(4, None), lambda name=name: layers.Activation(name)) * 2
            ),
        )
        for name in ("tanh", "gelu", "sigmoid")
    },
    "added layer before a ReLU with a threshold": (
        stack(unit(4), lambda: layers.ReLU(threshold=0.3)),
        stack(
            *(unit(4), lambda: layers.ReLU(threshold=0.3)),
            *(unit(4, None), lambda: layers.ReLU(threshold=0.6)),
        ),
    ),
    "other pooling": (
        stack(conv1d(), lambda: layers.MaxPooling1D(2)),
        stack(conv1d(), lambda: layers.AveragePooling1D(2)),
    ),
    "other number": (
        stack(unit(), lambda: lambda x: x * 2),
        stack(unit(), lambda: lambda x: x * 3),
    ),
    "other end": (
        lambda: keras.Sequential([stack(unit())(), layers.Softmax()]),
        stack(unit()),
    ),
    "added block before a ReLU": (
        stack(unit(4, "tanh")),
        stack(
            unit(4, "tanh"),
            lambda: lambda x: layers.ReLU()(x + layers.Dense(4)(x)),
        ),
    ),
    "added product": (
        stack(unit()),
        stack(unit(), lambda: lambda x: x * layers.Dense(4)(x)),
    ),
    "wider softmax": (stack(unit(4, "softmax")), stack(unit(6, "softmax"))),
    "softmax on a wider layer": (
        stack(unit(4), layers.Softmax),
        stack(unit(6), layers.Softmax),
    ),
    "unit norm of a wider layer": (
        stack(unit(4), layers.UnitNormalization),
        stack(unit(6), layers.UnitNormalization),
    ),
    "an operation on a wider layer": (
        stack(unit(4), lambda: keras.ops.softmax),
        stack(unit(6), lambda: keras.ops.softmax),
    ),
    "slices of a wider layer": (
        stack(unit(4), lambda: lambda x: x[..., ::-1]),
        stack(unit(6), lambda: lambda x: x[..., ::-1]),
    ),
    "a number for all that is wider": (
        stack(unit(4), lambda: lambda x: x / keras.ops.max(keras.ops.abs(x))),
        stack(unit(6), lambda: lambda x: x / keras.ops.max(keras.ops.abs(x))),
    ),
    "normalization of another axis": (
        stack(unit(7), batch(axis=1)),
        stack(unit(9), batch(axis=1)),
    ),
    "other padding": (
        stack(conv1d(padding="same"), layers.GlobalMaxPooling1D),
        stack(conv1d(), layers.GlobalMaxPooling1D),
    ),
    "other dilation": (
        stack(conv1d(padding="same")),
        stack(conv1d(padding="same", dilation_rate=2)),
    ),
    "kernel without a place": (
        stack(conv1d(4, 2, padding="same", dilation_rate=3)),
        stack(conv1d(4, 3, padding="same", dilation_rate=3)),
    ),
    "other epsilon": (stack(batch()), stack(batch(epsilon=0.5))),
    "other recurrent activation": (
        stack(lambda: layers.LSTM(4)),
        stack(lambda: layers.LSTM(4, activation="relu")),
    ),
    "other direction": (
        stack(lambda: layers.LSTM(4)),
        stack(lambda: layers.LSTM(4, go_backwards=True)),
    ),
}


@pytest.mark.parametrize("name", DIFFERING)
def test_what_differs_does_not_count_as_preserved(name):
    parent, child = (make() for make in DIFFERING[name])
    found = inherit_weights(shaken(parent), child, seed=1)
    assert found.preserved < found.layers
    x = np.random.default_rng(0).normal(size=(8, 7, 4)).astype("float32")
    assert np.abs(np.asarray(parent(x)) - np.asarray(child(x))).max() > 1e-3


def test_layers_with_lora_take_the_weights_that_fit():
    parent = shaken(keras.Sequential([keras.Input((4,)), layers.Dense(4)]))
    parent.layers[0].enable_lora(2)
    for width in (4, 6):
        child = keras.Sequential([keras.Input((4,)), layers.Dense(width)])
        child.layers[0].enable_lora(2)
        found = inherit_weights(parent, child)
        assert found.preserved == (width == 4)
        x = np.eye(4, dtype="float32")
        wanted = np.asarray(parent(x))
        np.testing.assert_allclose(child(x)[:, :4], wanted, rtol=1e-6)


def test_twins_learn_different_things():
    parent, child = shaken(dense(4, normalized=False)()), dense(8)()
    child = dense(8, normalized=False)()
    inherit_weights(parent, child)
    first = child.layers[0]
    np.testing.assert_array_equal(first.kernel[:, :4], first.kernel[:, 4:])
    rng = np.random.default_rng(0)
    child.compile("sgd", "categorical_crossentropy")
    x = rng.normal(size=(32, 6)).astype("float32")
    child.fit(x, np.eye(3)[rng.integers(0, 3, 32)], verbose=0)
    assert np.abs(first.kernel[:, :4] - first.kernel[:, 4:]).max() > 0


def test_shared_widths_of_a_residual_network_grow_together():
    model = shaken(residual())
    hypermodel = evolvable(model, widths=(1, 2), keep_weights=False)
    hp, space = space_of(hypermodel)
    genome = space.default
    for gene in space.genes:
        if gene.name.endswith("/filters"):
            genome[gene.name] = max(gene.domain)
        if gene.name.endswith("/kernel_size"):
            genome[gene.name] = 5 if 5 in tuple(gene.domain) else 3
    hp.values = space.complete(genome)
    child = hypermodel.build(hp)
    found = inherit_weights(model, child)
    assert found.preserved == found.layers
    x = np.random.default_rng(0).normal(size=(4, 8, 8, 3)).astype("float32")
    wanted, result = np.asarray(model(x)), np.asarray(child(x))
    assert np.abs(wanted - result).max() <= 1e-5 * np.abs(wanted).max()


def causal():
    inputs = x = keras.Input((12, 3))
    for rate in (1, 2, 4):
        options = {"padding": "causal", "dilation_rate": rate}
        more = layers.Conv1D(8, 3, activation="relu", **options)(x)
        x = layers.Concatenate()([x, more])
    x = layers.GlobalAveragePooling1D()(x)
    return keras.Model(inputs, layers.Dense(2)(x))


def even():
    inputs = keras.Input((9, 9, 2))
    x = layers.Conv2D(6, 2, padding="same", activation="relu")(inputs)
    x = layers.Conv2D(6, 4, strides=2, padding="same", activation="relu")(x)
    return keras.Model(inputs, layers.Dense(2)(layers.Flatten()(x)))


def separable():
    inputs = keras.Input((8, 8, 2))
    x = layers.SeparableConv2D(6, 3, padding="same", activation="relu")(inputs)
    x = layers.DepthwiseConv2D(3, padding="same")(x)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(2)(x))


def decoder():
    inputs = x = keras.Input((5, 5, 3))
    for side, padding in ((2, "same"), (3, "same"), (3, "valid")):
        options = {"strides": 2, "padding": padding, "activation": "relu"}
        x = layers.Conv2DTranspose(4, side, **options)(x)
    return keras.Model(inputs, layers.Conv2D(2, 3)(x))


def recurrent(last, **options):
    inputs = keras.Input((6, 4))
    x = layers.Dense(3)(inputs)
    x = layers.GRU(5, return_sequences=True, **options)(x)
    x = layers.SimpleRNN(6, return_sequences=True)(x)
    return keras.Model(inputs, layers.Dense(2)(last(7)(x)))


def over_steps():
    inputs = keras.Input((5, 4))
    x = layers.BatchNormalization(axis=1)(layers.Dense(5)(inputs))
    x = layers.Dense(6)(layers.ReLU()(x))
    x = layers.Flatten()(layers.BatchNormalization()(x))
    return keras.Model(inputs, layers.Dense(2)(x))


def two_ends():
    inputs = [keras.Input((size,)) for size in (4, 3)]
    ends = [
        layers.Dense(units, activation="relu")(tensor)
        for units, tensor in zip((5, 6), inputs, strict=True)
    ]
    x = layers.Dense(7, activation="relu")(layers.Concatenate()(ends))
    return keras.Model(inputs, [layers.Dense(2)(x), layers.Dense(1)(x)])


def attention():
    inputs = keras.Input((6, 8))
    x = layers.MultiHeadAttention(2, 4)(inputs, inputs)
    x = layers.LayerNormalization()(layers.Add()([inputs, x]))
    x = layers.Dense(16, activation="gelu")(x)
    x = layers.Dense(8)(layers.GroupNormalization(2)(x))
    return keras.Model(inputs, layers.Dense(2)(layers.Flatten()(x)))


# What may grow of each, so that it computes what it computed.
GROWING = {
    causal: ("repeats", "filters", "kernel_size"),
    even: ("repeats", "filters"),
    separable: ("repeats", "filters", "kernel_size"),
    decoder: ("repeats", "filters"),
    functools.partial(recurrent, layers.LSTM): ("units",),
    functools.partial(recurrent, layers.GRU, reset_after=False): ("units",),
    over_steps: ("repeats", "units"),
    two_ends: ("repeats", "units"),
    attention: (),
    residual: ("repeats", "filters", "kernel_size"),
    transformer(2): ("repeats",),
    blocks(2, bottleneck): ("repeats",),
}


@pytest.mark.parametrize("make", GROWING)
def test_what_has_grown_computes_what_it_did(make):
    model = shaken(make())
    model.compile("sgd", "mse")
    hypermodel = evolvable(model, keep_weights=False)
    hp, space = space_of(hypermodel)
    genes = [g for g in space.genes if g.name.split("/")[-1] in GROWING[make]]
    rng = np.random.default_rng(0)
    x = [rng.normal(size=(4, *t.shape[1:])) for t in model.inputs]
    x = [one.astype("float32") for one in x]
    wanted = keras.tree.flatten(model(x if len(x) > 1 else x[0]))
    for _ in range(4):
        genome = dict(space.default)
        for gene in genes:
            larger = [v for v in gene.domain if v >= gene.default]
            genome[gene.name] = larger[rng.integers(len(larger))]
        hp.values = space.complete(genome)
        child = hypermodel.build(hp)
        found = inherit_weights(model, child, by_name=True)
        assert found.preserved == found.layers, genome
        result = keras.tree.flatten(child(x if len(x) > 1 else x[0]))
        for one, other in zip(wanted, result, strict=True):
            scale = np.abs(one).max()
            np.testing.assert_allclose(one, other, atol=1e-5 * scale)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ResNet50", "MobileNetV2"])
def test_blocks_of_well_known_networks_repeat_as_the_identity(name):
    model = getattr(keras.applications, name)(
        weights=None, input_shape=(32, 32, 3), classes=7
    )
    hypermodel = evolvable(model, keep_weights=False)
    hp = keras_tuner.HyperParameters()
    without_allocation(lambda: hypermodel.build(hp) and None)
    blocks = [part.name for part in hp.space if "add" in part.name]
    blocks = [one for one in blocks if one.endswith("/repeats")]
    assert len(blocks) > 5
    twice = keras_tuner.HyperParameters()
    twice.values = dict.fromkeys(blocks, 2)
    child = hypermodel.build(twice)
    found = inherit_weights(model, child, by_name=True)
    assert found.preserved == found.layers
    x = np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 3))
    np.testing.assert_allclose(child(x), model(x), rtol=1e-5, atol=1e-6)


def test_what_a_normalization_has_adapted_to_is_used():
    x = 100 + 20 * np.random.default_rng(0).normal(size=(50, 4))
    models = []
    for data in (x, x[:2]):
        adapted = layers.Normalization()
        adapted.adapt(data)
        stack = [keras.Input((4,)), adapted, layers.Dense(3)]
        models.append(keras.Sequential(stack))
    parent, child = models
    inherit_weights(parent, child)
    np.testing.assert_allclose(child(x), parent(x), rtol=1e-6)


def test_what_does_not_fit_takes_the_slices_that_match():
    parent, child = shaken(dense(8, 6)()), dense(4)()
    found = inherit_weights(parent, child)
    assert found.preserved < found.layers
    np.testing.assert_array_equal(
        child.layers[0].kernel, parent.layers[0].kernel[:, :4]
    )
    np.testing.assert_array_equal(
        child.layers[-1].kernel, parent.layers[-1].kernel[:4]
    )


def test_models_that_cannot_be_read_take_weights_in_order():
    class Wide(Subclassed):
        def __init__(self, units):
            super().__init__()
            self.dense = layers.Dense(units)

        def call(self, inputs):
            return self.dense(inputs)

    parent, child = Wide(3), Wide(5)
    for model in (parent, child):
        model(np.ones((1, 2), "float32"))
    found = inherit_weights(parent, child)
    assert found.preserved == 0
    np.testing.assert_array_equal(
        child.dense.kernel[:, :3], parent.dense.kernel
    )
    with pytest.raises(ValueError, match="`child` must be built"):
        inherit_weights(parent, Wide(2))
