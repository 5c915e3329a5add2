"""Networks that share a program by pattern, against those with their own."""

import dataclasses
import functools

import keras
import numpy as np
import pytest

from keras_evonas.fresh_thread import with_fresh_keras
from keras_evonas.training import Data
from keras_evonas.training import Execution
from keras_evonas.training import FitArguments
from keras_evonas.training import Task
from keras_evonas.training import evaluate
from keras_evonas.training.patterns import pattern_of
from tests.marks import everyday
from tests.training.test_structure import FORGOTTEN
from tests.training.test_structure import LAYERS
from tests.training.test_structure import changed_entries

pytestmark = pytest.mark.keras

layers = keras.layers
RNG = np.random.default_rng(0)
X = RNG.random((70, 8, 8, 3), "float32")
Y = RNG.integers(0, 4, 70)
ARGUMENTS = FitArguments(
    x=X, y=Y, epochs=2, batch_size=16, validation_data=(X[:30], Y[:30])
)
ACTIVATIONS = (
    *("celu", "elu", "gelu", "hard_sigmoid", "hard_silu", "leaky_relu", "mish"),
    *("relu", "relu6", "selu", "silu", "softplus", "softsign"),
    "tanh",
)
OPTIMIZERS = (
    *("Adadelta", "Adagrad", "Adam", "AdamW", "Adamax", "Ftrl"),
    *("Lamb", "Lion", "Nadam", "RMSprop", "SGD"),
)


def compiled(model, optimizer="SGD", rate=0.02, **config):
    made = getattr(keras.optimizers, optimizer)(rate, **config)
    model.compile(made, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def network(structure, widths, optimizer="SGD", **config):
    """A network of a structure and of widths that seeds draw."""
    shape, size = (np.random.default_rng(seed) for seed in (structure, widths))

    def width():
        return int(size.integers(2, 12))

    def dropout():
        return float(size.uniform(0.1, 0.6))

    activation = functools.partial(size.choice, ACTIVATIONS)
    x = inputs = keras.Input((8, 8, 3))
    for _ in range(shape.integers(1, 4)):
        kind = shape.integers(6)
        if kind == 0:
            x = layers.Conv2D(width(), 3, padding="same")(x)
            x = layers.BatchNormalization()(x)
        elif kind == 1:
            filters = width()
            x = layers.Conv2D(
                filters, 3, padding="same", activation=activation()
            )(x)
            other = layers.SeparableConv2D(filters, 3, padding="same")(x)
            x = layers.Add()([x, other])
        elif kind == 2:
            x = layers.DepthwiseConv2D(3, padding="same", use_bias=False)(x)
            x = layers.LayerNormalization()(x)
        elif kind == 3:
            one, other = (layers.Conv2D(width(), 1)(x) for _ in range(2))
            x = layers.Concatenate()([one, other])
        elif kind == 4:
            x = layers.Dropout(dropout())(layers.Activation(activation())(x))
        else:
            x = layers.MaxPooling2D(padding="same")(layers.ReLU()(x))
    pool = [layers.Flatten, layers.GlobalAveragePooling2D][shape.integers(2)]
    x = pool()(x)
    for _ in range(shape.integers(0, 3)):
        regularizer = [None, "l2"][shape.integers(2)]
        x = layers.Dense(
            width(), activation=activation(), kernel_regularizer=regularizer
        )(x)
        if shape.integers(2):
            x = layers.Dropout(dropout())(x)
    if shape.integers(2):
        x = layers.Softmax()(layers.Dense(4)(x))
    else:
        x = layers.Dense(4, activation="softmax")(x)
    return compiled(keras.Model(inputs, x), optimizer, **config)


def trained(builds, data, callbacks=(), **execution):
    """Trains networks and returns their outcomes and weights."""
    weights = {}

    def keep(execution, model):
        weights[execution.name] = [np.array(w) for w in model.variables]
        return {}

    task = Task(
        build=lambda one: builds[int(one.name)](),
        data=data,
        objective=(("val_loss", "min"),),
        after_training=keep,
    )
    executions = [
        Execution(name=str(number), seed=number, **execution)
        for number in range(len(builds))
    ]
    return evaluate(executions, task), weights


def check_close(other, build, arguments=ARGUMENTS):
    """The second of two networks shares, with the numbers of its own."""
    data = Data(arguments, by_pattern=True, activations=ACTIVATIONS)
    shared, theirs = trained([other, build], data)
    assert shared[1].status == "completed", shared[1].message
    assert (data.programs.num_traced, data.programs.num_shared) == (1, 1)
    own, mine = trained([other, build], Data(arguments))
    for one, another in zip(shared, own, strict=True):
        for name, values in another.history.items():
            np.testing.assert_allclose(
                one.history[name], values, rtol=1e-5, atol=1e-6
            )
    for name, values in mine.items():
        for one, another in zip(theirs[name], values, strict=True):
            assert one.shape == another.shape
            np.testing.assert_allclose(one, another, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("structure", everyday(0, 1, 2, 3, 4, 5, of=range(24)))
def test_networks_of_other_widths_and_activations_share(structure):
    check_close(
        lambda: network(structure, 1, momentum=0.9),
        lambda: network(structure, 2, rate=0.01, momentum=0.5),
    )


@pytest.mark.parametrize("name", everyday("Adam", of=OPTIMIZERS))
def test_every_optimizer_can_be_shared(name):
    # A bias before a normalization has a gradient of rounding alone, which
    # most optimizers make as large as any. This network has none.
    rate = 1e-3 if name in ("Lion", "Lamb") else 0.01
    check_close(
        lambda: network(6, 1, name, rate=rate),
        lambda: network(6, 2, name, rate=rate / 2),
    )


def test_extras_of_an_optimizer_can_be_shared():
    extras = {"use_ema": True, "clipnorm": 0.5, "weight_decay": 0.01}
    check_close(
        lambda: network(5, 1, momentum=0.9, **extras),
        lambda: network(5, 2, momentum=0.3, **extras),
    )


def of_several(width):
    one, other = keras.Input((8, 8, 3), name="a"), keras.Input((3,), name="b")
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(width, 3)(one))
    x = layers.Concatenate()([x, layers.Dense(width + 1)(other)])
    outputs = {
        "class": layers.Dense(4, activation="softmax", name="class")(x),
        # Of shape (n, 1): a loss may take it for one of (n,).
        "number": layers.Dense(1, name="number")(x),
    }
    model = keras.Model([one, other], outputs)
    losses = {"class": "sparse_categorical_crossentropy", "number": "mse"}
    model.compile("adam", losses, metrics={"class": ["accuracy"]})
    return model


def test_several_inputs_and_outputs_can_be_shared():
    x = {"a": X, "b": X[:, 0, 0]}
    y = {"class": Y, "number": X[:, 1, 1, 1]}
    check_close(
        lambda: of_several(5),
        lambda: of_several(8),
        FitArguments(x=x, y=y, epochs=2, batch_size=16),
    )


def sequential(units, dropout=0.2, momentum=0.9, rate=0.02, activation="relu"):
    model = keras.Sequential([keras.Input((8, 8, 3)), layers.Flatten()])
    for width in units:
        model.add(layers.Dense(width, activation=activation))
        model.add(layers.Dropout(dropout))
    model.add(layers.Dense(4, activation="softmax"))
    return compiled(model, rate=rate, momentum=momentum)


@pytest.mark.parametrize("name", everyday("silu", of=ACTIVATIONS))
def test_each_activation_is_chosen_from_several(name):
    other = "tanh" if name != "tanh" else "relu"
    data = Data(ARGUMENTS, by_pattern=True, activations=[name, 3, other])
    builds = [
        lambda one=one: sequential([5, 6], activation=one)
        for one in (other, name, "exponential")
    ]
    found, weights = trained(builds, data)
    # What is not among them is of another pattern.
    assert (data.programs.num_traced, data.programs.num_shared) == (2, 1)
    own, expected = trained(builds, Data(ARGUMENTS))
    for one, another in zip(found, own, strict=True):
        for metric, values in another.history.items():
            np.testing.assert_allclose(one.history[metric], values, rtol=1e-5)
    for one, another in zip(weights["1"], expected["1"], strict=True):
        np.testing.assert_allclose(one, another, rtol=1e-3, atol=1e-5)


def test_a_cross_entropy_is_that_of_what_goes_into_a_sigmoid():
    def build(width, activation):
        made = keras.Sequential([keras.Input((8, 8, 3)), layers.Flatten()])
        made.add(layers.Dense(width, activation))
        start = keras.initializers.RandomNormal(stddev=30.0)  # Saturated.
        made.add(layers.Dense(1, "sigmoid", kernel_initializer=start))
        made.compile("sgd", "binary_crossentropy")
        return made

    arguments = dataclasses.replace(
        ARGUMENTS, y=Y % 2, validation_data=(X[:30], Y[:30] % 2)
    )
    names = ["relu", "sigmoid", "tanh"]
    data = Data(arguments, by_pattern=True, activations=names)
    builds = [functools.partial(build, 4 + n, names[n]) for n in (0, 2, 1)]
    found, _ = trained(builds, data)
    assert (data.programs.num_traced, data.programs.num_shared) == (2, 1)
    own, _ = trained(builds, Data(arguments))
    for one, another in zip(found, own, strict=True):
        for metric, values in another.history.items():
            np.testing.assert_allclose(one.history[metric], values, rtol=1e-5)


def test_sequential_networks_share():
    check_close(
        lambda: sequential([5, 6]), lambda: sequential([7, 3], 0.5, 0.1)
    )


class Doubled(layers.Layer):
    def call(self, x):
        return x * 2


def widened(x):
    return layers.Conv2D(4, 3, groups=2)(layers.Conv2D(4, 3)(x))


def with_the_inputs(x):
    return layers.Add()([x, layers.Conv2D(3, 3, padding="same")(x)])


def nested(x):
    return keras.Sequential([layers.Conv2D(3, 3), layers.ReLU()])(x)


@pytest.mark.parametrize(
    "body",
    [
        lambda x: Doubled()(x),
        lambda x: x * 2,
        lambda x: layers.DepthwiseConv2D(3)(x),
        lambda x: layers.Reshape((64, 3, 1))(x),
        lambda x: layers.Dropout(0.2, noise_shape=(None, 1, 1, 3))(x),
        lambda x: layers.Dense(4, kernel_regularizer="orthogonal_regularizer")(
            layers.Flatten()(x)
        ),
        *(widened, with_the_inputs, nested),
    ],
)
def test_what_is_not_known_to_work_without_widths_has_its_own(body):
    def build(width):
        inputs = keras.Input((8, 8, 3))
        x = layers.Dense(width)(layers.Flatten()(body(inputs)))
        return compiled(
            keras.Model(inputs, layers.Dense(4, activation="softmax")(x))
        )

    builds = [lambda: build(5), lambda: build(6)]
    arguments = ARGUMENTS.with_changes(epochs=1)
    data = Data(arguments, by_pattern=True)
    found, weights = trained(builds, data)
    assert (data.programs.num_traced, data.programs.num_shared) == (2, 0)
    own, mine = trained(builds, Data(arguments))
    assert [one.history for one in found] == [one.history for one in own]
    for name, values in mine.items():
        for one, another in zip(weights[name], values, strict=True):
            np.testing.assert_array_equal(one, another)


def key_of(*args, **kwargs):
    def build():
        model = sequential(*args, **kwargs)
        model.optimizer.build(model.trainable_variables)
        return pattern_of(model).key

    return with_fresh_keras(build)


@pytest.mark.parametrize(
    ("units", "changes"),
    [
        # An output of one column is stretched to the width of another.
        ([1, 6], {}),
        ([5], {}),
        ([5, 6], {"dropout": 0.0}),
        ([5, 6], {"momentum": 0.0}),
    ],
    ids=["a width of one", "another depth", "no dropout", "no momentum"],
)
def test_networks_that_are_traced_in_other_ways_share_nothing(units, changes):
    plain = key_of([5, 6])
    assert key_of([7, 3], dropout=0.5, momentum=0.1, rate=0.3) == plain
    assert key_of(units, **changes) != plain


def test_gradients_that_are_accumulated_have_no_pattern():
    config = {"momentum": 0.9, "gradient_accumulation_steps": 2}
    assert pattern_of(network(5, 1, **config)) is None


def test_patterns_that_never_come_again_are_soon_traced_as_they_are():
    def built(depth, width):
        return lambda: sequential([width] * depth)

    data = Data(ARGUMENTS.with_changes(epochs=1), by_pattern=True)
    singles = [built(depth, 2) for depth in range(1, 8)]
    found, weights = trained(singles, data)
    assert data.programs.num_traced == 7
    own, mine = trained(singles, Data(ARGUMENTS.with_changes(epochs=1)))
    assert found[-1].history == own[-1].history
    for one, another in zip(weights["6"], mine["6"], strict=True):
        np.testing.assert_array_equal(one, another)
    # The second of a pattern is traced without widths, for the third.
    trained([built(7, 3), built(7, 4)], data)
    assert (data.programs.num_traced, data.programs.num_shared) == (8, 1)


class Own(keras.Sequential):
    def train_step(self, data):
        return super().train_step(data)


def test_networks_that_learn_their_shape_have_their_own():
    def build():
        parts = [layers.Flatten(), layers.Dense(4, activation="softmax")]
        return compiled(Own(parts))

    data = Data(ARGUMENTS.with_changes(epochs=1), by_pattern=True)
    found, _ = trained([build, build], data)
    assert [one.status for one in found] == ["completed"] * 2, found[0].message
    assert data.programs.num_shared == 0


def test_large_networks_have_their_own():
    data = Data(ARGUMENTS.with_changes(epochs=1), by_pattern=True)
    sizes = (5300, 5301, 6, 7)
    builds = [lambda size=size: sequential([size]) for size in sizes]
    found, _ = trained(builds, data)
    assert {each.status for each in found} == {"completed"}
    # The small ones of the same pattern share.
    assert (data.programs.num_traced, data.programs.num_shared) == (3, 1)


class Halve(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        for weight in self.model.trainable_weights:
            weight.assign(weight / 2)


class Note(keras.callbacks.Callback):
    def __init__(self, seen):
        super().__init__()
        self.seen = seen

    def __deepcopy__(self, memo):
        return self

    def on_epoch_end(self, epoch, logs=None):
        self.seen.append(self.model.get_weights())


def test_callbacks_see_weights_and_may_change_them():
    found, seen = {}, {True: [], False: []}
    for by_pattern in (True, False):
        callbacks = [Halve(), Note(seen[by_pattern])]
        arguments = ARGUMENTS.with_changes(callbacks=callbacks, epochs=4)
        data = Data(arguments, by_pattern=by_pattern)
        (found[by_pattern],), _ = trained([lambda: sequential([6])], data)
    for name, values in found[False].history.items():
        np.testing.assert_allclose(found[True].history[name], values, rtol=1e-5)
    assert len(seen[True]) == len(seen[False]) == 4
    for one, another in zip(seen[True], seen[False], strict=True):
        for weight, expected in zip(one, another, strict=True):
            np.testing.assert_allclose(weight, expected, rtol=1e-3, atol=1e-5)


def test_a_network_that_diverges_touches_no_other():
    def diverging():
        return sequential([9], rate=np.inf)

    builds = [lambda: sequential([6]), diverging, lambda: sequential([5])]
    data = Data(ARGUMENTS, by_pattern=True)
    found, _ = trained(builds, data)
    assert data.programs.num_shared == 2
    assert np.isnan(found[1].history["loss"]).all()
    own, _ = trained(builds, Data(ARGUMENTS))
    for number in (0, 2):
        np.testing.assert_allclose(
            found[number].history["val_loss"],
            own[number].history["val_loss"],
            rtol=1e-5,
        )


KNOWN = (
    *("Dense", "Conv1D", "Conv2D", "DepthwiseConv2D", "SeparableConv2D"),
    *("BatchNormalization", "LayerNormalization", "Dropout", "Activation"),
    *("ReLU", "LeakyReLU", "ELU", "Softmax", "Rescaling", "MaxPooling2D"),
    *("AveragePooling2D", "GlobalAveragePooling2D", "GlobalMaxPooling2D"),
    "ZeroPadding2D",
)


def key_with(name, activations=(), **config):
    shape, given = LAYERS[name]
    if name == "DepthwiseConv2D":
        config = {"use_bias": False} | config

    def build():
        inputs = keras.Input(shape)
        x = layers.Flatten()(
            getattr(layers, name)(**{**given, **config})(inputs)
        )
        model = compiled(keras.Model(inputs, layers.Dense(4)(x)))
        model.optimizer.build(model.trainable_variables)
        pattern = pattern_of(model, activations)
        return pattern and pattern.key

    return with_fresh_keras(build)


@pytest.mark.parametrize(
    "name", everyday("Dense", "Conv2D", "Dropout", of=KNOWN)
)
def test_each_entry_of_a_layer_counts_but_widths_and_rates(name):
    plain = key_with(name)
    assert plain is not None
    assert plain == key_with(name)
    for entry, _, other in changed_entries(name):
        if (name, entry) in FORGOTTEN or entry == "noise_shape":
            continue
        if (name, entry) == ("DepthwiseConv2D", "use_bias"):
            other = True
        key = key_with(name, **{entry: other})
        if entry in ("units", "filters", "rate"):
            assert key == plain, entry
        else:
            assert key != plain, entry


@pytest.mark.parametrize(
    "name", everyday("Dense", of=["Dense", "Conv2D", "Activation"])
)
def test_activations_that_networks_may_differ_in_do_not_count(name):
    several = (keras.activations.relu, keras.activations.tanh)
    keys = {key_with(name, several, activation=one.__name__) for one in several}
    assert len(keys) == 1
    for other in ("linear", "softmax", "gelu"):
        assert key_with(name, several, activation=other) not in keys
