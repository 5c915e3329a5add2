"""Networks that share a program, against the same networks with their own."""

import gc
import weakref

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_evonas.fresh_thread import with_fresh_keras
from keras_evonas.training import Data
from keras_evonas.training import Execution
from keras_evonas.training import FitArguments
from keras_evonas.training import Task
from keras_evonas.training import evaluate
from keras_evonas.training.arrays import arrays_of
from keras_evonas.training.folds import folds_of
from keras_evonas.training.programs import prepare
from keras_evonas.training.shared_programs import Programs
from tests.marks import everyday

pytestmark = pytest.mark.keras

layers = keras.layers
RNG = np.random.default_rng(0)
X = RNG.random((70, 8, 8, 1), "float32")
Y = RNG.integers(0, 4, 70)
ARGUMENTS = FitArguments(
    x=X, y=Y, epochs=3, batch_size=16, validation_data=(X[:30], Y[:30])
)


def dense(x):
    x = layers.Dense(6, activation="relu", kernel_regularizer="l2")(x)
    return layers.Dropout(0.3)(x)


def residual(x):
    x = layers.Conv2D(4, 3, padding="same", activation="relu")(x)
    x = layers.BatchNormalization()(x)
    x = layers.Add()([x, layers.SeparableConv2D(4, 3, padding="same")(x)])
    return layers.MaxPooling2D()(layers.LayerNormalization()(x))


def recurrent(x):
    x = layers.Reshape((8, 8))(x)
    x = layers.Bidirectional(layers.LSTM(3, return_sequences=True))(x)
    return layers.GRU(3, dropout=0.2)(x)


def attentive(x):
    x = layers.Reshape((8, 8))(x)
    x = layers.MultiHeadAttention(2, 3, dropout=0.1)(x, x)
    return layers.GlobalAveragePooling1D()(x)


def augmented(x):
    x = layers.RandomRotation(0.1)(layers.RandomFlip()(x))
    return layers.GaussianNoise(0.1)(layers.Rescaling(0.5)(x))


def nested(x):
    block = keras.Sequential([layers.Dense(3), layers.ReLU()])
    return block(keras.ops.mean(x, axis=1) * 2.0)


def of_own(x):
    return layers.Lambda(lambda x: x * 2)(x)


def adapted(x):
    layer = layers.Normalization()
    layer.adapt(X)
    return layer(x)


BODIES = {
    body.__name__: body
    for body in (dense, residual, recurrent, attentive, augmented, nested)
}
OPTIMIZERS = (
    *("Adadelta", "Adafactor", "Adagrad", "Adam", "AdamW", "Adamax"),
    *("Ftrl", "Lamb", "Lion", "Nadam", "RMSprop", "SGD"),
)


def built(body, optimizer="Adam", rate=0.01, **config):
    x = inputs = keras.Input((8, 8, 1))
    x = layers.Flatten()(body(x))
    model = keras.Model(inputs, layers.Dense(4, activation="softmax")(x))
    optimizer = getattr(keras.optimizers, optimizer)(rate, **config)
    metrics = ["accuracy", keras.metrics.SparseTopKCategoricalAccuracy(2)]
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=metrics)
    return model


def outcomes(builds, seeds, data=None, **execution):
    """Trains one network for each build and seed, and returns them, too."""
    trained = {}

    def keep(execution, model):
        trained[execution.name] = [np.array(each) for each in model.variables]
        return {}

    task = Task(
        build=lambda one: builds[int(one.name)](),
        data=data or Data(ARGUMENTS),
        objective=(("val_loss", "min"),),
        after_training=keep,
    )
    executions = [
        Execution(name=str(number), seed=seed, **execution)
        for number, seed in enumerate(seeds)
    ]
    return evaluate(executions, task), trained


def check_shared_is_own(build, other):
    """The second of two networks shares, and is as if it were the first."""
    data = Data(ARGUMENTS)
    shared, theirs = outcomes([build, other], [1, 2], data)
    assert (data.programs.num_traced, data.programs.num_shared) == (1, 1)
    own, mine = outcomes([other], [2])
    assert own[0].status == "completed", own[0].message
    assert shared[1].history == own[0].history
    for one, another in zip(theirs["1"], mine["0"], strict=True):
        np.testing.assert_array_equal(one, another)


@pytest.mark.parametrize("name", everyday("residual", of=BODIES))
def test_a_network_that_shares_is_bit_for_bit_the_same(name):
    body = BODIES[name]
    check_shared_is_own(lambda: built(body), lambda: built(body, rate=0.003))


@pytest.mark.slow
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_can_be_shared(name):
    check_shared_is_own(
        lambda: built(dense, name), lambda: built(dense, name, 0.003)
    )


@pytest.mark.slow
def test_optimizers_with_their_extras_can_be_shared():
    extras = {"use_ema": True, "clipnorm": 0.5, "weight_decay": 0.01}
    extras["gradient_accumulation_steps"] = 2
    check_shared_is_own(
        lambda: built(dense, "SGD", momentum=0.9, **extras),
        lambda: built(dense, "SGD", 0.003, momentum=0.9, **extras),
    )


@pytest.mark.parametrize("body", [of_own, adapted])
def test_what_is_not_known_to_be_harmless_is_traced(body):
    data = Data(ARGUMENTS.with_changes(epochs=1))
    outcomes([lambda: built(body)] * 2, [1, 1], data)
    assert (data.programs.num_traced, data.programs.num_shared) == (2, 0)


def test_folds_and_executions_are_traced_once():
    folds = folds_of(FitArguments(x=X, y=Y, batch_size=16), 2, seed=0)
    data = Data(ARGUMENTS, folds)
    build = [lambda: built(dense)] * 2
    alone = []
    for fold in (0, 1):
        together, _ = outcomes(build, [1, 2], data, fold=fold)
        fresh = Data(ARGUMENTS, folds)
        alone, _ = outcomes(build[:1], [1], fresh, fold=fold)
        assert together[0].history == alone[0].history
        # It goes on for longer, as on the next rung of a search.
        outcomes(build[:1], [1], data, fold=fold, fit={"epochs": 2})
    assert (data.programs.num_traced, data.programs.num_shared) == (1, 5)
    # Another batch size is another program.
    outcomes(build[:1], [1], data, fold=0, fit={"batch_size": 8})
    assert data.programs.num_traced == 2


def test_a_failure_concerns_one_network_alone():
    builds = [
        lambda: built(dense),
        lambda: built(dense, "Adam", np.inf),
        lambda: built(dense),
    ]
    data = Data(ARGUMENTS)
    found, _ = outcomes(builds, [1, 2, 3], data)
    own, _ = outcomes(builds[:1], [3])
    assert data.programs.num_shared == 2
    assert np.isnan(found[1].history["loss"]).all()
    assert found[2].history == own[0].history


def test_an_error_of_a_shared_program_is_reported():
    data = Data(ARGUMENTS.with_changes(y=Y + 9))
    found, _ = outcomes([lambda: built(dense)] * 2, [1, 2], data)
    for outcome in found:
        assert outcome.status == "failed"
        assert "label value" in outcome.message


def passes(programs, units):
    """Makes the program of a network, and returns the network."""
    arrays = arrays_of(ARGUMENTS)

    def run():
        def ready(model):
            prepare(model, arrays[0].cut(0), None)

        model = built(layers.Dense(units))
        ready(model)
        train, _ = programs.passes_of(model, arrays, ready).passes
        train(tf.range(70, dtype=tf.int64))
        return model

    return with_fresh_keras(run)


def test_networks_are_let_go_and_so_are_the_programs_used_least():
    programs = Programs(size=2)
    first = weakref.ref(passes(programs, 1).layers[-1])
    gc.collect()
    assert first() is None
    for units in (2, 1, 3, 1, 2):
        passes(programs, units)
    # The second 2 was forgotten for 3, and 1 was not.
    assert (programs.num_traced, programs.num_shared) == (4, 2)
