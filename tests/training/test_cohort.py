"""Members of a cohort against `fit` alone, bit for bit."""

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
X = RNG.random((90, 8, 8, 1), "float32")
Y = RNG.integers(0, 4, 90)
HELD_OUT = (RNG.random((37, 8, 8, 1), "float32"), RNG.integers(0, 4, 37))


def mlp():
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Flatten(),
            keras.layers.Dense(12, activation="relu"),
            keras.layers.Dropout(0.3),
            keras.layers.Dense(4, activation="softmax"),
        ]
    )
    model.compile(
        "adam", "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    return model


def cnn():
    model = keras.Sequential(
        [
            keras.layers.Conv2D(4, 3, use_bias=False),
            keras.layers.BatchNormalization(),
            keras.layers.ReLU(),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(4),
        ]
    )
    model.compile(
        keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy", "sparse_top_k_categorical_accuracy"],
    )
    return model


def scheduled():
    inputs = keras.Input((8, 8, 1))
    outputs = keras.layers.Flatten()(inputs)
    outputs = keras.layers.GaussianNoise(0.1)(outputs)
    outputs = keras.layers.Dense(4, kernel_regularizer="l2")(outputs)
    model = keras.Model(inputs, outputs)
    schedule = keras.optimizers.schedules.CosineDecay(0.05, 20)
    model.compile(
        keras.optimizers.RMSprop(schedule, momentum=0.5),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        weighted_metrics=["accuracy"],
    )
    return model


BUILDS = [mlp, cnn, scheduled]


def alone(build, seed, callbacks=(), **fit):
    def run():
        keras.utils.set_random_seed(seed)
        return build().fit(callbacks=list(callbacks), verbose=0, **fit).history

    return with_fresh_keras(run)


def together(builds, seeds, changes=None, **fit):
    """Learning curves of networks that are trained together."""
    executions = [
        Execution(name=str(i), seed=seed, fit=(changes or {}).get(i, {}))
        for i, seed in enumerate(seeds)
    ]
    task = Task(
        build=lambda execution: builds[int(execution.name)](),
        data=Data(FitArguments.of(**fit)),
        objective=[("loss", "min")],
    )
    outcomes = evaluate(executions, task)
    assert [outcome.message for outcome in outcomes] == [None] * len(seeds)
    return [outcome.history for outcome in outcomes]


DATA = {
    "ragged": {"x": X, "y": Y, "batch_size": 16, "validation_data": HELD_OUT},
    "even": {"x": X, "y": Y, "batch_size": 15},
    "split": {"x": X, "y": Y, "validation_split": 0.3, "shuffle": False},
    "double": {"x": X.astype("float64"), "y": Y.astype("uint8")},
    "classes": {"x": X, "y": Y[:, None], "class_weight": {0: 3.0, 2: 0.5}},
    "weights": {
        "x": X,
        "y": Y,
        "sample_weight": RNG.random(90),
        "validation_data": (*HELD_OUT, RNG.random(37)),
        "validation_freq": 2,
    },
}


@pytest.mark.parametrize("name", everyday("weights", of=DATA))
def test_every_epoch_is_that_of_training_alone(name):
    fit = {**DATA[name], "epochs": 3}
    seeds = [7, 7, 3, 7]
    builds = [*BUILDS, mlp]
    expected = [
        alone(build, seed, **fit)
        for build, seed in zip(BUILDS, seeds, strict=False)
    ]

    # The last is the first again.
    assert together(builds, seeds, **fit) == [*expected, expected[0]]


class Begun(keras.optimizers.SGD):
    """Assigns to its slots as it is built, as `ScheduleFreeAdamW` does."""

    def __init__(self, learning_rate):
        super().__init__(learning_rate, momentum=0.9)

    def build(self, variables):
        super().build(variables)
        for slot in self.momentums:
            self.assign(slot, keras.ops.ones_like(slot))
        self.number = keras.Variable(0.0)  # As `Nadam` and `Adafactor` do.


# Those that make or assign variables as they are built, where Keras has them.
OPTIMIZERS = {"Begun": Begun} | {
    name: getattr(keras.optimizers, name)
    for name in ("Adafactor", "Muon", "Nadam", "ScheduleFreeAdamW")
    if hasattr(keras.optimizers, name)
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers_begin_as_in_fit(name):
    def build():
        model = mlp()
        loss = "sparse_categorical_crossentropy"
        model.compile(OPTIMIZERS[name](0.1), loss)
        return model

    fit = {**DATA["even"], "epochs": 2}
    assert together([build], [7], **fit) == [alone(build, 7, **fit)]


def test_early_stopping_and_mixed_epochs_touch_nobody_else():
    fit = {**DATA["ragged"], "epochs": 4}
    changes = {1: {"epochs": 2}, 2: {"epochs": 3, "initial_epoch": 1}}

    def callbacks():
        return [
            keras.callbacks.EarlyStopping(
                "loss", patience=0, min_delta=0.05, restore_best_weights=True
            ),
            keras.callbacks.ReduceLROnPlateau("val_loss", 0.1, patience=1),
        ]

    builds = [cnn, cnn, mlp]
    expected = [
        alone(build, 5, callbacks(), **{**fit, **changes.get(i, {})})
        for i, build in enumerate(builds)
    ]
    found = together(builds, [5] * 3, changes, callbacks=callbacks(), **fit)

    assert found == expected
    assert len({len(curves["loss"]) for curves in found}) > 1


def streams():
    data = tf.data.Dataset.from_tensor_slices((X, Y)).batch(16)
    yield (
        "tf.data",
        lambda: {
            "x": data,
            "validation_data": data.take(2),
            "shuffle": False,
        },
    )
    yield "arrays", lambda: {"x": X, "y": Y, "steps_per_epoch": 4}
    yield "even", lambda: {"x": X, "y": Y, "batch_size": 15, "shuffle": "batch"}
    yield "PyDataset", lambda: {"x": Halves(), "shuffle": False}

    def generate():
        while True:
            yield from data.as_numpy_iterator()

    yield (
        "generator",
        lambda: {
            "x": generate(),
            "steps_per_epoch": 3,
            "shuffle": False,
        },
    )


class Halves(keras.utils.PyDataset):
    def __len__(self):
        return 2

    def __getitem__(self, index):
        return X[index::2], Y[index::2]


@pytest.mark.parametrize(
    "name",
    everyday(
        "tf.data",
        of=["tf.data", "arrays", "even", "PyDataset", "generator"],
    ),
)
def test_streams_of_batches_give_what_training_alone_gives(name):
    make = dict(streams())[name]
    builds = [mlp, cnn]
    expected = [alone(build, 7, epochs=2, **make()) for build in builds]

    assert together(builds, [7, 7], epochs=2, **make()) == expected


def test_callbacks_that_listen_to_batches_are_called_as_if_alone():
    class Listener(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            type(self).heard.append((self.model.name, batch, dict(logs)))

        def on_test_batch_end(self, batch, logs=None):
            type(self).heard.append(
                (self.model.name, "test", batch, dict(logs))
            )

        def on_test_end(self, logs=None):
            type(self).heard.append((self.model.name, "tested", dict(logs)))

    Listener.heard = []
    fit = {**DATA["ragged"], "epochs": 2}
    expected = [alone(build, 7, [Listener()], **fit) for build in (mlp, cnn)]
    heard, Listener.heard = Listener.heard, []

    assert together([mlp, cnn], [7, 7], callbacks=Listener(), **fit) == expected
    assert sorted(map(repr, heard)) == sorted(map(repr, Listener.heard))


class OwnStep(keras.Model):
    """Reports what is no metric, from a step of its own."""

    def __init__(self):
        super().__init__()
        self.flatten = keras.layers.Flatten()
        self.dense = keras.layers.Dense(4)

    def call(self, x):
        return self.dense(self.flatten(x))

    def train_step(self, data):
        logs = super().train_step(data)
        return {**logs, "norm": tf.norm(self.dense.kernel)}


def own_step():
    model = OwnStep()
    model.compile(
        "sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    )
    return model


def two_outputs():
    inputs = keras.Input((8, 8, 1))
    hidden = keras.layers.Flatten()(inputs)
    hidden = keras.layers.Dense(5, activation="tanh")(hidden)
    model = keras.Model(
        inputs,
        {
            "a": keras.layers.Dense(4, activation="softmax", name="a")(hidden),
            "b": keras.layers.Dense(1, name="b")(hidden),
        },
    )
    model.compile(
        "adam",
        {"a": "sparse_categorical_crossentropy", "b": "mse"},
        loss_weights={"a": 0.3, "b": 1.0},
        metrics={"a": ["accuracy"], "b": ["mae"]},
    )
    return model


def test_steps_of_the_users_own_and_several_outputs():
    fit = {"x": X, "y": Y, "epochs": 2, "batch_size": 32}
    assert together([own_step, mlp], [3, 3], **fit) == [
        alone(own_step, 3, **fit),
        alone(mlp, 3, **fit),
    ]

    fit["y"] = {"a": Y, "b": RNG.random((90, 1))}
    fit["validation_split"] = 0.2
    assert together([two_outputs] * 2, [3, 4], **fit) == [
        alone(two_outputs, 3, **fit),
        alone(two_outputs, 4, **fit),
    ]


def compiled_by_xla():
    model = mlp()
    model.compile("adam", "sparse_categorical_crossentropy", jit_compile=True)
    return model


def half_precision():
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        return mlp()
    finally:
        keras.config.set_dtype_policy(policy)


def eager():
    model = mlp()
    model.compile("sgd", "sparse_categorical_crossentropy", run_eagerly=True)
    return model


@pytest.mark.slow
@pytest.mark.parametrize(
    "builds", [[half_precision, eager], [compiled_by_xla, mlp]]
)
def test_other_ways_to_compile(builds):
    fit = {"x": X, "y": Y, "epochs": 2, "batch_size": 32}

    assert together(builds, [3, 3], **fit) == [
        alone(build, 3, **fit) for build in builds
    ]
