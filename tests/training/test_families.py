"""Networks of one family share a program, and each is as if alone."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_evonas.training import Data
from keras_evonas.training.families import family_of
from keras_evonas.training.programs import prepare
from keras_evonas.training.structure import structure_of
from keras_evonas.training.threads import as_if_first
from tests.marks import everyday
from tests.training.test_shared_programs import ARGUMENTS
from tests.training.test_shared_programs import X
from tests.training.test_shared_programs import Y
from tests.training.test_shared_programs import outcomes

pytestmark = pytest.mark.keras

layers = keras.layers


def network(
    widths,
    *,
    rate=0.3,
    activation="relu",
    normalized=False,
    sequential=False,
    optimizer=None,
    metrics=("accuracy",),
    **config,
):
    chain = [layers.Flatten()]
    for width in widths:
        chain.append(layers.Dense(width, activation=activation, **config))
        if normalized:
            chain.append(layers.BatchNormalization())
        if rate:
            chain.append(layers.Dropout(rate))
    chain.append(layers.Dense(4, activation="softmax"))
    inputs = keras.Input((8, 8, 1))
    if sequential:
        model = keras.Sequential([inputs, *chain])
    else:
        x = inputs
        for layer in chain:
            x = layer(x)
        model = keras.Model(inputs, x)
    model.compile(
        optimizer() if optimizer else keras.optimizers.Adam(0.01),
        "sparse_categorical_crossentropy",
        metrics=list(metrics),
    )
    return model


def sgd(rate, momentum, **config):
    return lambda: keras.optimizers.SGD(rate, momentum=momentum, **config)


def check_exact(builds, shared, arguments=ARGUMENTS):
    """All networks after the first share, and each is as if alone."""
    seeds = list(range(len(builds)))
    data = Data(arguments)
    together, weights = outcomes(builds, seeds, data)
    counts = (data.programs.num_traced, data.programs.num_shared)
    assert counts == (len(builds) - shared, shared)
    for number, build in enumerate(builds):
        model = as_if_first(lambda b=build, n=number: fitted(b, n, arguments))
        assert together[number].status == "completed", together[number].message
        assert together[number].history == model.history.history
        own = [np.array(each) for each in model.variables]
        for one, another in zip(weights[str(number)], own, strict=True):
            np.testing.assert_array_equal(one, another)


def fitted(build, seed, arguments):
    keras.utils.set_random_seed(seed)
    model = build()
    args, given = arguments.given()
    model.fit(*args, **given | {"verbose": 0})
    return model


EVEN = ARGUMENTS.with_changes(
    x=ARGUMENTS.x[:64],
    y=ARGUMENTS.y[:64],
    validation_data=(ARGUMENTS.x[:32], ARGUMENTS.y[:32]),
)
CASES = {
    "mixed": (
        [
            lambda: network((7, 5), rate=0.3, sequential=True),
            lambda: network((3, 16), rate=0.1, sequential=True),
            lambda: network((40, 2), rate=0.55, sequential=True),
        ],
        ARGUMENTS,
    ),
    "normalized": (
        [
            lambda w=w: network(w, normalized=True, activation="gelu")
            for w in ((7, 5), (3, 16), (64, 33))
        ],
        EVEN,
    ),
    "decayed": (
        [
            lambda w=w, m=m: network(
                w, optimizer=sgd(m / 10, m, weight_decay=m / 50, nesterov=True)
            )
            for w, m in (((9,), 0.9), ((130,), 0.5), ((17,), 0.99))
        ],
        ARGUMENTS,
    ),
    "regularized": (
        [
            lambda w=w: network(w, kernel_regularizer="l2", use_bias=False)
            for w in ((7, 5), (3, 16), (64, 33))
        ],
        EVEN,
    ),
    "large": (
        [
            lambda w=w: network(w, activation="silu", rate=0.5)
            for w in ((256, 512), (512, 100))
        ],
        ARGUMENTS,
    ),
}


@pytest.mark.parametrize("name", everyday("mixed", of=CASES))
def test_a_family_shares_bit_for_bit(name):
    builds, arguments = CASES[name]
    check_exact(builds, len(builds) - 1, arguments)


def random_network(number, variant):
    """Networks of one number are of one family; `variant` is the rest."""
    same, own = (
        np.random.default_rng(number),
        np.random.default_rng([number, variant]),
    )
    x = inputs = keras.Input((8, 8, 1))
    if same.random() < 0.3:
        x = layers.Conv2D(3, 3, activation="relu")(x)
    x = layers.Flatten()(x)
    for _ in range(same.integers(1, 5)):
        activation = same.choice(ACTIVATIONS)
        x = layers.Dense(
            int(own.integers(2, 200)),
            activation=str(activation),
            use_bias=bool(same.random() < 0.8),
            kernel_regularizer=same.choice([None, "l1", "l2"]),
        )(x)
        if same.random() < 0.4:
            x = layers.BatchNormalization()(x)
        if same.random() < 0.2:
            x = layers.LeakyReLU()(x)
        if same.random() < 0.5:
            x = layers.Dropout(own.uniform(0.05, 0.9))(x)
    model = keras.Model(inputs, layers.Dense(4, activation="softmax")(x))
    config = {"clipnorm": 1.0} if same.random() < 0.3 else {}
    config |= {"use_ema": True} if same.random() < 0.2 else {}
    if same.random() < 0.5:
        config["weight_decay"] = own.uniform(1e-4, 1e-1)
    make = getattr(keras.optimizers, OPTIMIZERS[number % len(OPTIMIZERS)])
    if "momentum" in make().get_config() and same.random() < 0.7:
        config["momentum"] = own.uniform(0.1, 0.95)
    optimizer = make(own.uniform(1e-3, 1e-2), **config)
    loss = "sparse_categorical_crossentropy"
    model.compile(optimizer, loss, metrics=["accuracy"])
    return model


ACTIVATIONS = (
    *("elu", "exponential", "gelu", "hard_sigmoid", "leaky_relu", "linear"),
    *("mish", "relu", "relu6", "selu", "sigmoid", "silu", "softplus"),
    *("softsign", "tanh"),
)
OPTIMIZERS = (
    *("Adadelta", "Adagrad", "Adam", "AdamW", "Adamax", "Ftrl", "Lion"),
    *("Nadam", "RMSprop", "SGD"),
)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(20))
def test_random_structures_share_bit_for_bit(number):
    builds = [lambda v=v: random_network(number, v) for v in range(3)]
    check_exact(builds, 2, [ARGUMENTS, EVEN][number % 2])


def key_of(build):
    """The key of a network's family, `None` if it has none."""

    def read():
        model = build()
        prepare(model, (tf.constant(X[:16]), tf.constant(Y[:16])), 16)
        family = family_of(model)
        structure = family and structure_of(model, family)
        return structure and structure.key

    return as_if_first(read)


def test_what_makes_another_family():
    l2 = keras.regularizers.L2
    plain = key_of(lambda: network((7, 5)))
    assert plain == key_of(lambda: network((9, 20), rate=0.7))
    others = [
        lambda: network((7, 5, 3)),
        lambda: network((7, 1)),
        lambda: network((7, 5), rate=0.0),
        lambda: network((7, 5), activation="tanh"),
        lambda: network((7, 5), normalized=True),
        lambda: network((7, 5), use_bias=False),
        lambda: network((7, 5), kernel_regularizer=l2(0.1)),
        lambda: network((7, 5), kernel_regularizer=l2(0.2)),
        lambda: network((7, 5), metrics=()),
        lambda: network((7, 5), optimizer=keras.optimizers.AdamW),
        lambda: network((7, 5), optimizer=sgd(0.1, 0.0)),
        lambda: network((7, 5), optimizer=sgd(0.1, 0.9)),
        lambda: network((7, 5), optimizer=sgd(0.1, 0.9, nesterov=True)),
        lambda: network((7, 5), optimizer=sgd(0.1, 0.9, clipnorm=1.0)),
        lambda: network((7, 5), optimizer=sgd(0.1, 0.9, clipnorm=2.0)),
        lambda: network((7, 5), optimizer=sgd(0.1, 0.9, weight_decay=0.1)),
    ]
    keys = [plain, *map(key_of, others)]
    assert None not in keys
    assert [keys.index(key) for key in keys] == list(range(len(keys)))


@pytest.mark.parametrize(
    "config",
    [
        {"activation": "softmax"},
        {"activity_regularizer": "l2"},
        {"kernel_constraint": "max_norm"},
        {"dtype": "mixed_float16"},
    ],
)
def test_what_may_look_at_a_width_has_none(config):
    models = [network((7, 5), rate=0.0, **config)]
    assert [family_of(model) for model in models] == [None]


def test_a_layer_that_needs_its_width_has_none():
    x = inputs = keras.Input((6,))
    x = layers.LayerNormalization()(layers.Dense(7)(x))
    model = keras.Model(inputs, layers.Dense(4)(x))
    model.compile("adam", "mse")
    assert family_of(model) is None


def test_what_is_wide_must_not_be_an_output():
    x = inputs = keras.Input((6,))
    hidden = layers.Dense(7)(x)
    model = keras.Model(inputs, [hidden, layers.Dense(4)(hidden)])
    model.compile("adam", ["mse", "mse"])
    assert family_of(model) is None


def test_a_member_that_turns_nan_or_fails_concerns_itself_alone():
    builds = [
        lambda: network((7,), optimizer=sgd(0.1, 0.9)),
        lambda: network((9,), optimizer=sgd(np.inf, 0.5)),
        lambda: network((11,), optimizer=sgd(0.01, 0.3)),
    ]
    data = Data(ARGUMENTS)
    found, _ = outcomes(builds, [0, 1, 2], data)
    alone, _ = outcomes(builds[2:], [2])
    assert data.programs.num_shared == 2
    assert np.isnan(found[1].history["loss"]).all()
    assert found[2].history == alone[0].history
