"""A smaller last batch changes no bit, whatever the layers."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_evonas.training import FitArguments
from keras_evonas.training import plain_layers
from keras_evonas.training import programs
from keras_evonas.training.arrays import arrays_of
from tests.marks import everyday
from tests.training.test_cohort import HELD_OUT
from tests.training.test_cohort import X
from tests.training.test_cohort import Y
from tests.training.test_cohort import alone
from tests.training.test_cohort import together

pytestmark = pytest.mark.keras

L = keras.layers
# 90 and 37 examples: each last batch is smaller.
FIT = {"x": X, "y": Y, "batch_size": 16, "validation_data": HELD_OUT}


SPARSE = "sparse_categorical_crossentropy"
LOSSES = (SPARSE, "categorical_crossentropy", "mse", "binary_crossentropy")


def network(body, loss=SPARSE, optimizer=None, metrics=()):
    inputs = keras.Input((8, 8, 1))
    tensor = L.Flatten()(body(inputs))
    model = keras.Model(inputs, L.Dense(4, activation="softmax")(tensor))
    model.compile(
        optimizer or keras.optimizers.SGD(0.01), loss, metrics=list(metrics)
    )
    return model


def squeezed(tensor):
    """A block of squeeze and excitation."""
    tensor = L.Conv2D(6, 3, activation="swish")(tensor)
    weight = L.GlobalAveragePooling2D(keepdims=True)(tensor)
    weight = L.Conv2D(6, 1, activation="hard_sigmoid")(weight)
    return L.Dropout(0.3)(L.Multiply()([tensor, weight]))


def exponential(tensor):
    tensor = L.Dense(45, activation="relu")(L.Flatten()(tensor))
    return L.Dropout(0.3)(L.Dense(24, activation="exponential")(tensor))


def operations(tensor):
    tensor = L.Dense(45, activation="relu")(L.Flatten()(tensor))
    return 0.3 * keras.ops.exp(L.Dense(24)(tensor))


def separable(tensor):
    """Its last bits show any other rounding of `silu`."""
    tensor = L.SeparableConv2D(9, 3, activation="tanh")(tensor)
    tensor = L.BatchNormalization()(tensor)
    return L.Conv2D(6, 3, activation="silu")(tensor)


OTHERS = {"squeezed": squeezed, "exponential": exponential, "ops": operations}


def plain(seed, loss):
    """A network of random plain layers."""
    rng = np.random.default_rng(seed)
    activations = sorted(a.__name__ for a in plain_layers._ACTIVATIONS)

    def drawn():
        return str(rng.choice(activations))

    def convolution(tensor):
        kind = (L.Conv2D, L.SeparableConv2D)[rng.integers(2)]
        filters = int(rng.integers(3, 20))
        made = kind(filters, 3, padding="same", activation=drawn())(tensor)
        if rng.random() < 0.5:
            made = L.BatchNormalization()(made)
        if rng.random() < 0.3:
            made = L.DepthwiseConv2D(3, padding="same")(made)
        if rng.random() < 0.5:
            other = L.Conv2D(filters, 1)(tensor)
            join = (L.Add, L.Concatenate)[rng.integers(2)]
            made = join()([L.ReLU()(made), L.Activation("tanh")(other)])
        pools = (L.MaxPooling2D(2), L.AveragePooling2D(2), L.Identity())
        return pools[rng.integers(3)](made)

    def body(tensor):
        for _ in range(rng.integers(0, 3)):
            tensor = convolution(tensor)
        ends = (
            *(L.Flatten, L.Flatten, L.GlobalAveragePooling2D),
            L.GlobalMaxPooling2D,
        )
        tensor = ends[rng.integers(4)]()(tensor)
        for _ in range(rng.integers(1, 4)):
            regularizer = (None, "l1", "l2")[rng.integers(3)]
            tensor = L.Dense(
                int(rng.integers(3, 150)),
                activation=drawn(),
                kernel_regularizer=regularizer,
                use_bias=bool(rng.random() < 0.8),
            )(tensor)
            if rng.random() < 0.5:
                tensor = L.Dropout(float(rng.uniform(0.1, 0.5)))(tensor)
        return tensor

    kinds = (keras.optimizers.SGD, keras.optimizers.Adam)
    optimizer = kinds[rng.integers(2)](0.003, weight_decay=rng.choice([0, 0.1]))
    return network(body, loss, optimizer, ["accuracy"])


def is_plain(model):
    return plain_layers.has_plain_layers(model)


@pytest.mark.parametrize("first", everyday(0, of=range(0, 40, 4)))
def test_plain_layers_train_as_in_fit(first):
    loss = LOSSES[first // 4 % 4]
    builds = [
        lambda seed=seed: plain(seed, loss) for seed in range(first, first + 4)
    ]
    assert all(is_plain(build()) for build in builds)
    fit = {**FIT, "epochs": 2}
    if loss != SPARSE:
        x, y = HELD_OUT
        held_out = (x, keras.utils.to_categorical(y))
        fit |= {"y": keras.utils.to_categorical(Y), "validation_data": held_out}
    expected = [alone(build, 4, **fit) for build in builds]
    assert together(builds, [4] * 4, **fit) == expected


class Gate(L.Layer):
    """A layer of the user's."""

    def call(self, tensor):
        return keras.ops.sigmoid(tensor) * tensor


def gated(tensor):
    tensor = L.Dense(20, activation="tanh")(L.Flatten()(tensor))
    return Gate()(L.Dense(24)(tensor))


@pytest.mark.parametrize("body", [separable, gated])
def test_swish_is_trained_as_in_fit_where_it_is_fused(body):
    def build():
        return network(body)

    expected = alone(build, 4, epochs=3, **FIT)
    assert together([build], [4], epochs=3, **FIT) == [expected]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (lambda x: L.Dense(3, activation="swish")(x), True),
        (L.Activation(keras.activations.silu), True),
        (lambda x: x * keras.ops.sigmoid(x), True),
        (Gate(), True),
        (keras.Sequential([keras.Input((8, 8, 1)), Gate()]), True),
        (lambda x: L.Dense(3)(x) * L.Dense(3, activation="sigmoid")(x), False),
        (lambda x: L.LSTM(3)(L.Reshape((8, 8))(x)), False),
    ],
)
def test_swish_is_found_in_layers_and_operations(body, expected):
    model = network(body)
    data, _ = arrays_of(FitArguments(**FIT))
    programs.prepare(model, data.cut(0), None)
    traced = programs.train_epoch(model, data)
    assert programs.has_swish_operations(traced) == expected
    assert programs.has_swish_layers(model) <= expected


@pytest.mark.parametrize("name", everyday("squeezed", of=list(OTHERS)))
def test_other_layers_train_as_in_fit(name):
    def build():
        return network(OTHERS[name])

    assert not is_plain(build())
    expected = alone(build, 4, epochs=2, **FIT)
    assert together([build], [4], epochs=2, **FIT) == [expected]


class Own(L.Dense):
    """A layer of the user's."""


@pytest.mark.parametrize(
    "layer",
    [
        *(Own(3), L.Dense(3, activation="mish"), L.Dense(3, dtype="float64")),
        *(L.Dense(3, activation=tf.nn.relu), L.Dense(3, activation=L.ReLU())),
        keras.Sequential([keras.Input((64,)), L.Dense(3, "exponential")]),
        *(L.Dense(3, activity_regularizer="l2"), L.Reshape((8, 8))),
    ],
    ids=repr,
)
def test_what_is_not_known_is_not_plain(layer):
    assert is_plain(network(L.Flatten()))
    within = keras.Sequential([keras.Input((8, 8, 1)), L.Flatten()])
    assert is_plain(network(within))
    flat = network(lambda tensor: layer(L.Flatten()(tensor)))
    assert not is_plain(flat)


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        ("mse", True),
        (keras.losses.CategoricalCrossentropy(), True),
        ("poisson", False),
        (lambda y, predicted: predicted, False),
        (["mse"], False),
    ],
)
def test_losses(loss, expected):
    assert is_plain(network(L.Flatten(), loss)) == expected


def test_metrics_are_known_once_they_are_made():
    for metric, expected in (
        ("accuracy", True),
        ("sparse_top_k_categorical_accuracy", False),
    ):
        model = network(L.Flatten(), metrics=[metric])
        model.evaluate(X, Y, verbose=0)
        assert is_plain(model) == expected
