"""What makes the structure of a network another one, entry by entry."""

import keras
import numpy as np
import pytest

from keras_evonas.fresh_thread import with_fresh_keras
from keras_evonas.training.structure import structure_of
from tests.marks import everyday

pytestmark = pytest.mark.keras

layers = keras.layers
IMAGES, SEQUENCES, FEATURES = (8, 8, 4), (8, 4), (6,)
LAYERS = {
    "Dense": (FEATURES, {"units": 3}),
    "EinsumDense": (FEATURES, {"equation": "ab,bc->ac", "output_shape": 3}),
    "Embedding": (FEATURES, {"input_dim": 9, "output_dim": 3}),
    "Conv1D": (SEQUENCES, {"filters": 4, "kernel_size": 3}),
    "Conv2D": (IMAGES, {"filters": 4, "kernel_size": 3}),
    "Conv2DTranspose": (IMAGES, {"filters": 4, "kernel_size": 3}),
    "DepthwiseConv2D": (IMAGES, {"kernel_size": 3}),
    "SeparableConv2D": (IMAGES, {"filters": 4, "kernel_size": 3}),
    "BatchNormalization": (IMAGES, {}),
    "LayerNormalization": (IMAGES, {}),
    "GroupNormalization": (IMAGES, {"groups": 2}),
    "UnitNormalization": (IMAGES, {}),
    "Dropout": (IMAGES, {"rate": 0.2}),
    "SpatialDropout2D": (IMAGES, {"rate": 0.2}),
    "GaussianNoise": (IMAGES, {"stddev": 0.2}),
    "GaussianDropout": (IMAGES, {"rate": 0.2}),
    "AlphaDropout": (IMAGES, {"rate": 0.2}),
    "ActivityRegularization": (FEATURES, {"l1": 0.1}),
    "Activation": (FEATURES, {"activation": "relu"}),
    "ReLU": (FEATURES, {"max_value": 6.0}),
    "LeakyReLU": (FEATURES, {}),
    "PReLU": (FEATURES, {}),
    "ELU": (FEATURES, {}),
    "Softmax": (FEATURES, {}),
    "Rescaling": (FEATURES, {"scale": 0.5}),
    "Reshape": (FEATURES, {"target_shape": (2, 3)}),
    "Permute": (SEQUENCES, {"dims": (1, 2)}),
    "RepeatVector": (FEATURES, {"n": 2}),
    "MaxPooling2D": (IMAGES, {}),
    "AveragePooling2D": (IMAGES, {"pool_size": 2}),
    "GlobalAveragePooling2D": (IMAGES, {}),
    "GlobalMaxPooling2D": (IMAGES, {}),
    "ZeroPadding2D": (IMAGES, {}),
    "Cropping2D": (IMAGES, {"cropping": 1}),
    "UpSampling2D": (IMAGES, {}),
    "SimpleRNN": (SEQUENCES, {"units": 3}),
    "GRU": (SEQUENCES, {"units": 3}),
    "LSTM": (SEQUENCES, {"units": 3}),
    "RandomFlip": (IMAGES, {}),
    "RandomRotation": (IMAGES, {"factor": 0.1}),
}
# Values that differ from each layer's own, by the names of entries. Others
# are changed by the kind of their value.
OTHERS = {
    "activation": "softplus",
    "axis": 1,
    "bias_axes": "c",
    "cropping": 2,
    "data_format": "channels_first",
    "dilation_rate": 2,
    "dims": (2, 1),
    "dtype": "float16",
    "equation": "ab,bd->ad",
    "fill_mode": "nearest",
    "groups": 4,
    "input_dim": 8,
    "interpolation": "bilinear",
    "max_value": 5.0,
    "mode": "vertical",
    "noise_shape": (1, 8, 8, 1),
    "output_padding": 0,
    "padding": "same",
    "pool_size": 3,
    "rate": 0.7,
    "recurrent_activation": "softplus",
    "shared_axes": [1],
    "stddev": 0.7,
    "strides": 3,
    "target_shape": (3, 2),
    ("RandomRotation", "interpolation"): "nearest",
    ("ZeroPadding2D", "padding"): 2,
}
# How values are drawn before the training is nothing that tracing looks at.
WITHOUT_EFFECT = {"name", "quantization_config", "seed"}
# Entries for which these layers take no other value.
SINGLE = {
    ("BatchNormalization", "renorm_clipping"),
    ("LayerNormalization", "rms_scaling"),
}
# Keras (3.15) takes it and forgets it: the layer is the same without.
FORGOTTEN = {("SimpleRNN", "activity_regularizer")}


def other_than(owner, name, value):
    """Another value of an entry, or the same where none is known."""
    for known in ((owner, name), name):
        if known in OTHERS:
            return OTHERS[known]
    if name.endswith("_regularizer"):
        return keras.regularizers.L2(0.3)
    if name.endswith("_constraint"):
        return keras.constraints.MaxNorm(1.5)
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + type(value)(1)
    if isinstance(value, tuple | list) and value:
        return type(value)(np.asarray(value) * 2)
    return value


def changed_entries(name):
    """Yields the entries of a layer that matter, their values and others."""
    _, given = LAYERS[name]
    for entry, value in getattr(layers, name)(**given).get_config().items():
        is_drawn = entry.endswith("initializer")
        if is_drawn or entry in WITHOUT_EFFECT or (name, entry) in SINGLE:
            continue
        other = other_than(name, entry, value)
        assert other != value, entry
        yield entry, value, other


def key_of(model):
    structure = structure_of(model)
    return structure and structure.key


def key_with(name, **config):
    shape, given = LAYERS[name]

    def build():
        inputs = keras.Input(shape, batch_size=2)
        layer = getattr(layers, name)(**{**given, **config})
        return key_of(keras.Model(inputs, layer(inputs)))

    return with_fresh_keras(build)


@pytest.mark.parametrize(
    "name", everyday("Dense", "Conv2D", "Dropout", "LSTM", of=LAYERS)
)
def test_each_entry_of_a_layer_counts(name):
    plain = key_with(name)
    assert plain is not None
    assert plain == key_with(name)
    _, given = LAYERS[name]
    for entry, value, other in changed_entries(name):
        if (name, entry) in FORGOTTEN:
            made = getattr(layers, name)(**{**given, entry: other})
            assert made.get_config()[entry] == value
            continue
        assert key_with(name, **{entry: other}) != plain, entry


OPTIMIZERS = {
    name: getattr(keras.optimizers, name)
    for name in (
        *("Adadelta", "Adafactor", "Adagrad", "Adam", "AdamW", "Adamax"),
        *("Ftrl", "Lamb", "Lion", "Nadam", "RMSprop", "SGD"),
    )
}
OF_OPTIMIZERS = {
    "clipnorm": 1.5,
    "clipvalue": 1.5,
    "ema_overwrite_frequency": 3,
    "global_clipnorm": 1.5,
    "gradient_accumulation_steps": 3,
    "loss_scale_factor": 2.0,
    "momentum": 0.3,
    "weight_decay": 0.3,
}


def compiled(optimizer="sgd", loss="mse", metrics=("mae",), change=None):
    """The key of a small network that is compiled, and may be changed then."""

    def build():
        inputs = keras.Input((4,))
        hidden = layers.Dense(4, activation="relu", name="hidden")(inputs)
        outputs = layers.Dense(4, name="outputs")(hidden)
        model = keras.Model(inputs, outputs)
        made = optimizer() if callable(optimizer) else optimizer
        model.compile(made, loss, metrics=list(metrics))
        if change is not None:
            change(model)
        model.optimizer.build(model.trainable_variables)
        zeros = np.zeros((2, 4), "float32")
        model.compute_metrics(zeros, zeros, zeros, None)
        return key_of(model)

    return with_fresh_keras(build)


@pytest.mark.parametrize("name", everyday("Adam", of=OPTIMIZERS))
def test_each_entry_of_an_optimizer_counts_but_the_learning_rate(name):
    make = OPTIMIZERS[name]
    plain = compiled(make)
    assert plain is not None
    assert compiled(lambda: make(learning_rate=0.3)) == plain
    config = make().get_config()
    for entry, value in config.items():
        if entry in ("learning_rate", "name"):
            continue
        other = OF_OPTIMIZERS.get(entry)
        if other is None:
            other = value / 2 if isinstance(value, float) and value else None
        if other is None:
            other = other_than(name, entry, value)
        assert other != value, entry
        changed = {entry: other}
        if entry.startswith("ema_"):
            changed["use_ema"] = True
            assert compiled(lambda: make(use_ema=True)) != compiled(
                lambda c=changed: make(**c)
            ), entry
        assert compiled(lambda c=changed: make(**c)) != plain, entry


def freeze(model):
    model.get_layer("hidden").trainable = False


def turn_into_linear(model):
    model.get_layer("hidden").activation = keras.activations.linear


def decay(rate, steps):
    schedule = keras.optimizers.schedules.ExponentialDecay
    return lambda: keras.optimizers.SGD(schedule(rate, steps, 0.9))


def test_what_a_model_is_compiled_with_counts():
    huber = keras.losses.Huber
    keys = [
        compiled(),
        compiled(loss="mae"),
        compiled(loss=huber()),
        compiled(loss=huber(delta=2.0)),
        compiled(metrics=()),
        compiled(metrics=("mse",)),
        compiled(metrics=("mae", "mse")),
        compiled(decay(0.1, 10)),
        compiled(decay(0.2, 10)),
        compiled(decay(0.1, 20)),
        compiled(change=freeze),
        compiled(change=turn_into_linear),
    ]
    assert None not in keys
    assert len(set(keys)) == len(keys)
    assert compiled(loss=huber()) == keys[2]
    assert compiled(decay(0.1, 10)) == keys[7]


def test_settings_of_keras_count():
    plain, epsilon = compiled(), keras.config.epsilon()
    keras.config.set_epsilon(1e-5)
    try:
        assert compiled() != plain
    finally:
        keras.config.set_epsilon(epsilon)
    assert compiled() == plain


def connected(how):
    def build():
        inputs = keras.Input((4,))
        one, two = layers.Dense(4, name="one"), layers.Dense(4, name="two")
        return key_of(keras.Model(inputs, how(inputs, one, two)))

    return with_fresh_keras(build)


def test_connections_count():
    keys = [
        connected(how)
        for how in (
            lambda x, one, two: two(one(x)),
            lambda x, one, two: one(two(x)),
            lambda x, one, two: two(one(one(x))),
            lambda x, one, two: one(x) + two(x),
            lambda x, one, two: one(x) - two(x),
            lambda x, one, two: one(x) - one(x),
            lambda x, one, two: [one(x), two(x)],
            lambda x, one, two: [two(x), one(x)],
            lambda x, one, two: keras.ops.sum(two(one(x)), axis=0),
            lambda x, one, two: keras.ops.sum(two(one(x)), axis=1),
            lambda x, one, two: two(one(x)) * 2.0,
            lambda x, one, two: two(one(x)) * 3.0,
        )
    ]
    assert None not in keys
    assert len(set(keys)) == len(keys)


def doubled(x):
    return 2 * x


@keras.saving.register_keras_serializable()
class Own(layers.Dense):
    pass


class OwnL2(keras.regularizers.L2):
    pass


def overridden():
    layer = layers.Dense(4)
    layer.call = doubled
    return layer


def adapted():
    layer = layers.Normalization()
    layer.adapt(np.eye(4))
    return layer


@pytest.mark.parametrize(
    "make",
    [
        lambda: layers.Dense(4, activation=doubled),
        lambda: layers.Dense(4, activation=lambda x: x),
        lambda: layers.Dense(4, kernel_regularizer=OwnL2(0.1)),
        lambda: layers.Lambda(doubled),
        lambda: Own(4),
        lambda: keras.Sequential([Own(4)]),
        lambda: layers.TimeDistributed(Own(4)),
        overridden,
        adapted,
    ],
)
def test_what_is_not_known_to_be_harmless_has_no_structure(make):
    def build():
        inputs = keras.Input((4, 4))
        return structure_of(keras.Model(inputs, make()(inputs)))

    assert with_fresh_keras(build) is None


def distance(y_true, y_pred):
    return y_pred - y_true


def test_losses_and_metrics_of_the_users_own_have_no_structure():
    assert compiled(loss=distance) is None
    assert compiled(metrics=[distance]) is None


def test_deep_networks_have_a_structure():
    def build():
        x = inputs = keras.Input((4,))
        for _ in range(300):
            x = layers.ReLU()(x)
        return key_of(keras.Model(inputs, x))

    assert with_fresh_keras(build) == with_fresh_keras(build) is not None
