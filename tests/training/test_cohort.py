"""Members of a cohort against `fit` alone, bit for bit."""

import keras
import numpy as np
import pytest

from keras_evonas.training.arguments import FitArguments
from keras_evonas.training.arrays import Orders
from keras_evonas.training.arrays import arrays_of
from keras_evonas.training.cohort import ArrayCohort
from keras_evonas.training.member import Member
from keras_evonas.training.programs import Program
from keras_evonas.training.threads import as_if_first

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

    return as_if_first(run)


def together(builds, seeds, callbacks=lambda: [], **fit):
    arguments = FitArguments.of(**fit)
    training, held_out = arrays_of(arguments)
    orders = {
        seed: Orders(seed, training.size, shuffle=training.shuffle)
        for seed in seeds
    }
    members = []
    with ArrayCohort(arguments, training.steps, orders) as cohort:
        for build, seed in zip(builds, seeds, strict=True):

            def make(build=build, seed=seed):
                keras.utils.set_random_seed(seed)
                model = build()
                return model, Program.of(model, training, held_out)

            model, program = as_if_first(make)
            member = Member(
                model,
                callbacks=callbacks(),
                epochs=arguments.epochs,
                initial_epoch=arguments.initial_epoch,
                seed=seed,
            )
            members.append(member)
            cohort.add(member, program)
            cohort.advance()
        cohort.finish()
    for member in members:
        if member.error is not None:
            raise member.error
    return [member.history.history for member in members]


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


@pytest.mark.parametrize("name", DATA)
def test_every_epoch_is_that_of_training_alone(name):
    fit = {**DATA[name], "epochs": 3}
    seeds = [7, 7, 3, 7]
    builds = [*BUILDS, mlp]
    expected = [
        alone(build, seed, **fit)
        for build, seed in zip(builds, seeds, strict=True)
    ]

    assert together(builds, seeds, **fit) == expected
