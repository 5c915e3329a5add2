"""Networks that would not fit into the memory are left out, and no others."""

import types

import keras
import keras_tuner
import numpy as np
import psutil
import pytest
import tensorflow as tf

from keras_evonas import EvolutionarySearch
from keras_evonas import HypermodelCosts
from keras_evonas import at_most
from keras_evonas.evolution import random_search
from keras_evonas.tuners.sizing import shapes_of

pytestmark = pytest.mark.keras

ROWS = 8
X = np.zeros((ROWS, 16, 16, 1), np.float32)
Y = np.arange(ROWS) % 2
WIDTHS = (2, 4, 64)


def build(hp):
    model = keras.Sequential(
        [
            keras.Input((16, 16, 1)),
            keras.layers.Conv2D(hp.Choice("filters", WIDTHS), 3),
            keras.layers.GlobalMaxPooling2D(),
            keras.layers.Dense(2, activation="softmax"),
        ]
    )
    model.compile("sgd", "sparse_categorical_crossentropy")
    return model


def built_with_adam(hp):
    model = build(hp)
    model.compile("adam", "sparse_categorical_crossentropy")
    return model


def bytes_at(hp, batch_size, build=build):
    return HypermodelCosts(build, batch_size=batch_size)(hp).training_bytes


def searched(folder, data, batch_size, **options):
    tuner = EvolutionarySearch(
        build,
        objective="val_loss",
        max_trials=3,
        seed=0,
        directory=folder,
        **options,
    )
    tuner.search(
        *data,
        batch_size=batch_size,
        shuffle=batch_size is not None,
        epochs=1,
        validation_data=(X, Y),
        verbose=2,
    )
    return tuner


class Batches(keras.utils.PyDataset):
    def __len__(self):
        return ROWS

    def __getitem__(self, index):
        return X[:1], Y[:1]


class Inputs(Batches):
    def __getitem__(self, index):
        return X[:1]


def test_shapes_of_data_that_come_in_batches():
    for data in (Batches(), Inputs(), ONE_BY_ONE["data set"][0][0]):
        assert shapes_of(data) == (16, 16, 1)


ONE_BY_ONE = {
    "arrays": ((X, Y), 1),
    "data set": ((tf.data.Dataset.from_tensor_slices((X, Y)).batch(1),), None),
    "PyDataset": ((Batches(),), None),
}


@pytest.mark.parametrize("name", ONE_BY_ONE)
def test_a_network_is_judged_by_the_batches_of_its_training(tmp_path, name):
    data, batch_size = ONE_BY_ONE[name]
    limit = at_most("training_bytes", 1e9)
    tuner = searched(tmp_path, data, batch_size, constraints=[limit])
    for trial in tuner.oracle.trials.values():
        known = trial.metrics.get_last_value("training_bytes")
        assert known == bytes_at(trial.hyperparameters, 1)
        assert known < bytes_at(trial.hyperparameters, 32)


@pytest.mark.parametrize(("batch_size", "count"), [(1, 3), (8, 2)])
def test_the_memory_limits_what_is_searched(
    tmp_path, monkeypatch, capsys, batch_size, count
):
    hp = keras_tuner.HyperParameters()
    build(hp)
    hp.values["filters"] = WIDTHS[-1]
    largest, small = bytes_at(hp, 8), bytes_at(hp, 1)
    memory = types.SimpleNamespace(
        total=16 * (largest + small) // 2, available=10**10
    )
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)
    tuner = searched(tmp_path, (X, Y), batch_size)
    widths = {
        x.hyperparameters["filters"] for x in tuner.oracle.trials.values()
    }
    assert widths == set(WIDTHS[:count])
    printed = capsys.readouterr().out
    # The user did not ask for a limit: it is told, with a way out.
    assert ("are left out" in printed) == (count < 3)
    assert ("constraints=[at_most('training_bytes', n)]" in printed) == (
        count < 3
    )
    if count < 3:
        assert "batches of 8" in printed
        assert "share of this device's memory" in tuner.oracle.stop_reason


def test_a_network_may_have_batches_of_its_own(tmp_path):
    tuner = searched(
        tmp_path,
        (X, Y),
        None,
        fit_arguments=lambda hp: {"batch_size": hp.Choice("batch", [1, 8])},
        constraints=[at_most("training_bytes", 1e9)],
        strategy=random_search(),
    )
    trials = tuner.oracle.trials.values()
    assert {one.hyperparameters["batch"] for one in trials} == {1, 8}
    for trial in trials:
        hp = trial.hyperparameters
        known = trial.metrics.get_last_value("training_bytes")
        assert known == bytes_at(hp, hp["batch"])


def test_an_optimizer_of_the_tuner_counts(tmp_path):
    tuner = searched(
        tmp_path,
        (X, Y),
        8,
        optimizer="adam",
        constraints=[at_most("training_bytes", 1e9)],
    )
    for trial in tuner.oracle.trials.values():
        hp = trial.hyperparameters
        known = trial.metrics.get_last_value("training_bytes")
        assert known == bytes_at(hp, 8, built_with_adam) > bytes_at(hp, 8)


class OwnFit(keras_tuner.HyperModel):
    """Learns the shape from the data, and takes an argument of its own."""

    def build(self, hp):
        model = keras.Sequential(
            [
                keras.layers.Conv2D(hp.Choice("filters", WIDTHS), 3),
                keras.layers.GlobalMaxPooling2D(),
                keras.layers.Dense(2, activation="softmax"),
            ]
        )
        model.compile("sgd", "sparse_categorical_crossentropy")
        return model

    def fit(self, hp, model, *args, own, **kwargs):
        assert own
        return model.fit(*args, **kwargs)


def test_an_own_fit_is_judged_by_its_data_and_batches(tmp_path):
    limit = at_most("training_bytes", 1e9)
    tuner = EvolutionarySearch(
        OwnFit(), "loss", max_trials=2, constraints=[limit], directory=tmp_path
    )
    tuner.search(X, Y, batch_size=1, epochs=1, own=True, verbose=0)
    trials = tuner.oracle.trials.values()
    assert len(trials) == 2
    for trial in trials:
        known = trial.metrics.get_last_value("training_bytes")
        assert known == bytes_at(trial.hyperparameters, 1)
