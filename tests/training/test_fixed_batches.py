"""Networks whose layers depend on the batch size, against `fit` alone."""

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
from tests.marks import everyday

pytestmark = pytest.mark.keras

RNG = np.random.default_rng(0)
X = RNG.random((24, 5, 3), "float32")
Y = {"number": RNG.random((24, 1), "float32"), "kind": np.arange(24) % 4}
LOSSES = {"number": "mse", "kind": "sparse_categorical_crossentropy"}


def stateful(batch_size=8):
    """A network with two outputs that goes on where the last batch ended."""
    inputs = keras.Input((5, 3), batch_size=batch_size)
    hidden = keras.layers.LSTM(4, stateful=True)(inputs)
    hidden = keras.layers.Dropout(0.3)(hidden)
    outputs = {
        "number": keras.layers.Dense(1, name="number")(hidden),
        "kind": keras.layers.Dense(4, "softmax", name="kind")(hidden),
    }
    model = keras.Model(inputs, outputs)
    model.compile("adam", LOSSES, metrics={"kind": ["accuracy"]})
    return model


def unbuilt():
    """A stateful network that learns the batch size from the data."""
    layers = [keras.layers.GRU(4, stateful=True), keras.layers.Dense(1)]
    model = keras.Sequential(layers)
    model.compile("adam", "mse")
    return model


@keras.saving.register_keras_serializable()
class Known(keras.layers.Layer):
    """Divides by the batch size if it is the same in all batches."""

    def call(self, x):
        return x / (x.shape[0] or 1)


def known():
    layers = [keras.layers.Flatten(), Known(), keras.layers.Dense(1)]
    model = keras.Sequential(layers)
    model.compile("sgd", "mse")
    return model


class Listens(keras.callbacks.Callback):
    """Has the network trained on a stream of batches."""

    def on_train_batch_end(self, batch, logs=None):
        pass


def targets(build):
    return Y if build is stateful else Y["number"]


def data_set(build, **options):
    data = tf.data.Dataset.from_tensor_slices((X, targets(build)))
    return data.batch(8, **options)


def arrays(build, **options):
    return {"x": X, "y": targets(build), "batch_size": 8, **options}


CALLS = {
    "arrays": arrays,
    "validation": lambda build: arrays(
        build,
        shuffle=False,
        validation_data=(X, targets(build)),
        validation_batch_size=8,
    ),
    "listening": lambda build: arrays(build, callbacks=[Listens()]),
    "batches of one size": lambda build: {
        "x": data_set(build, drop_remainder=True),
        "validation_data": data_set(build, drop_remainder=True),
    },
    "batches": lambda build: {"x": data_set(build)},
}
CASES = {
    f"{build.__name__} {call}": (build, CALLS[call])
    for build in (stateful, unbuilt, known)
    for call in CALLS
}
del CASES["unbuilt batches"]  # Keras demands to know the batch size of it.
EVERYDAY = (
    *("stateful validation", "unbuilt listening"),
    "known batches of one size",
)


@pytest.mark.parametrize("name", everyday(*EVERYDAY, of=CASES))
@pytest.mark.filterwarnings("ignore::UserWarning")  # Keras's own.
def test_a_fixed_batch_size_is_that_of_fit(name):
    build, call = CASES[name]

    def alone():
        keras.utils.set_random_seed(3)
        model = build()
        curves = model.fit(**call(build), epochs=2, verbose=0).history
        return curves, [weight.numpy() for weight in model.weights]

    weights = {}
    task = Task(
        build=lambda _: build(),
        data=Data(FitArguments.of(**call(build), epochs=2)),
        objective=[("loss", "min")],
        after_training=lambda execution, model: (
            weights.update(
                {execution.name: [weight.numpy() for weight in model.weights]}
            )
            or {}
        ),
    )
    executions = [Execution(name=name, seed=3) for name in "ab"]
    outcomes = evaluate(executions, task)

    curves, values = with_fresh_keras(alone)
    for outcome in outcomes:
        assert outcome.message is None
        assert outcome.alone_because is None
        assert outcome.history == curves
        for found, value in zip(weights[outcome.name], values, strict=True):
            np.testing.assert_array_equal(found, value)


def test_a_last_batch_of_another_size_fails_as_in_fit():
    fit = {"x": X[:20], "y": {name: y[:20] for name, y in Y.items()}}
    task = Task(
        build=lambda _: stateful(),
        data=Data(FitArguments.of(**fit, batch_size=8)),
        objective=[("loss", "min")],
    )
    (outcome,) = evaluate([Execution(name="a", seed=3)], task)

    with pytest.raises(tf.errors.InvalidArgumentError):
        with_fresh_keras(lambda: stateful().fit(**fit, batch_size=8, verbose=0))
    assert outcome.status == "failed"
    assert "InvalidArgumentError" in outcome.message
