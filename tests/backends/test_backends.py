"""Searches on JAX and torch: `KERAS_BACKEND=torch pytest -m backends`."""

import dataclasses
import json
import os
import pathlib
import subprocess
import sys
import threading

import keras
import keras_tuner
import numpy as np
import pytest

from keras_evonas import EvolutionarySearch
from keras_evonas import at_most
from keras_evonas.evolution import successive_halving
from keras_evonas.models import evolvable
from keras_evonas.models.costs import ModelCosts
from keras_evonas.models.costs import costs_of
from keras_evonas.models.costs import costs_of_build
from keras_evonas.sklearn import EvoClassifier
from tests.backends import spaces

pytestmark = [
    pytest.mark.keras,
    pytest.mark.backends,
    pytest.mark.skipif(
        keras.config.backend() == "tensorflow",
        reason="KERAS_BACKEND is tensorflow: set it to jax or torch",
    ),
]
ROOT = pathlib.Path(__file__).parents[2]
X = np.random.default_rng(0).normal(size=(48, 6)).astype("float32")
Y = (X.sum(axis=1) > 0).astype("int32")
DATA = {"x": X, "y": Y, "epochs": 2, "validation_data": (X[:16], Y[:16])}


@keras.saving.register_keras_serializable("tests")
class Doubled(keras.layers.Layer):
    def call(self, inputs):
        return 2 * keras.ops.relu(inputs)


def build(hp):
    model = keras.Sequential(
        [
            keras.Input((6,)),
            keras.layers.Dense(hp.Int("units", 2, 24)),
            Doubled(),
            keras.layers.Dense(2, activation="softmax"),
        ]
    )
    loss = "sparse_categorical_crossentropy"
    model.compile("adam", loss, metrics=["accuracy"])
    return model


def params(trial):
    units = trial.hyperparameters["units"]
    return 6 * units + units + 2 * units + 2


def search_in(folder, hypermodel=build, objective="val_accuracy", **arguments):
    arguments = {"max_trials": 4, "seed": 3, "verbose": 0} | arguments
    return EvolutionarySearch(
        hypermodel, objective, directory=folder, **arguments
    )


def completed(tuner):
    trials = tuner.oracle.trials.values()
    assert {trial.status for trial in trials} == {"COMPLETED"}
    return [*trials]


def test_costs_of_all_ready_made_spaces_are_those_of_tensorflow():
    ended = subprocess.run(
        [sys.executable, "-m", "tests.backends.spaces"],
        env={**os.environ, "KERAS_BACKEND": "tensorflow"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    there = json.loads(ended.stdout.splitlines()[-1])
    assert there["backend"] == "tensorflow"
    here = json.loads(json.dumps(spaces.costs()))
    assert here == there["costs"]


def test_costs_of_a_network_that_was_built_are_those_of_its_build():
    hp = keras_tuner.HyperParameters()
    model = build(hp)
    costs = costs_of(model)
    assert costs == costs_of_build(lambda: build(hp))
    assert costs.params == model.count_params()
    assert ModelCosts()(model) == {
        name: value
        for name, value in dataclasses.asdict(costs).items()
        if name != "unknown"
    }


def test_costs_of_a_network_too_large_for_any_memory():
    costs = costs_of_build(
        lambda: keras.Sequential(
            [keras.Input((10**6,)), keras.layers.Dense(10**6)]
        )
    )
    assert costs.params == 10**12 + 10**6


def test_costs_follow_the_dtype_policy():
    def half():
        return keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])

    whole = costs_of_build(half)
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float16")
    try:
        found = costs_of_build(half)
    finally:
        keras.config.set_dtype_policy(before)
    assert 2 * found.weight_bytes == whole.weight_bytes


def test_error_of_a_build_is_raised_here():
    def wrong():
        raise keras_tuner.errors.FailedTrialError("not these values")

    with pytest.raises(keras_tuner.errors.FailedTrialError, match="these"):
        costs_of_build(wrong)


def test_build_that_cannot_be_sent_is_built_here(tmp_path):
    hp = keras_tuner.HyperParameters()
    with (tmp_path / "open").open("w", encoding="ascii") as file:
        found = costs_of_build(lambda: file and build(hp))
    assert found == costs_of_build(lambda: build(hp))


def test_layer_that_cannot_be_sent():
    class Silent(keras.layers.Layer):
        def __init__(self, lock):
            super().__init__()
            self.lock = lock

        def call(self, inputs):
            return inputs

    lock = threading.Lock()

    def silent():
        return keras.Sequential([keras.Input((4,)), Silent(lock)])

    with pytest.raises(ValueError, match="a `get_config`"):
        costs_of_build(silent)


def test_limit_on_parameters(tmp_path):
    tuner = search_in(tmp_path, constraints=[at_most("params", 100)])
    tuner.search(**DATA)
    for trial in completed(tuner):
        found = trial.metrics.get_last_value("params")
        assert found == params(trial) <= 100


def test_parameters_as_an_objective(tmp_path):
    tuner = search_in(tmp_path, objective=["val_accuracy", "params"])
    tuner.search(**DATA)
    for trial in completed(tuner):
        assert trial.metrics.get_last_value("params") == params(trial)


def test_resumed_finalized_and_explained(tmp_path):
    search_in(tmp_path, max_trials=2).search(**DATA)
    tuner = search_in(tmp_path, max_trials=4)
    assert len(completed(tuner)) == 2
    tuner.search(**DATA)
    straight = search_in(tmp_path / "straight")
    straight.search(**DATA)
    values = [one.hyperparameters.values for one in completed(tuner)]
    assert len(values) == 4
    assert values == [one.hyperparameters.values for one in completed(straight)]
    unseen = {"epochs": 1, "validation_data": (X + 1, Y)}
    tuner.finalize(X, Y, top_k=2, repeats=2, **unseen)
    tuner.ablate(X, Y, repeats=1, **unseen)
    ended = subprocess.run(
        [sys.executable, "-m", "keras_evonas", "report", tuner.project_dir],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "4 trials, 4 completed" in ended.stdout
    assert (pathlib.Path(tuner.project_dir) / "report.html").stat().st_size


@pytest.mark.parametrize("refit", [True, False, 1, 2])
def test_estimators_fit_and_predict(refit):
    classifier = EvoClassifier(
        max_trials=2, epochs=2, random_state=0, refit=refit
    )
    probabilities = classifier.fit(X, Y).predict_proba(X)
    assert probabilities.shape == (len(X), 2)
    assert np.isfinite(probabilities).all()


def test_halving_inherits_weights(tmp_path):
    tuner = search_in(
        tmp_path,
        strategy=successive_halving(max_epochs=3, factor=3),
        max_trials=6,
        inherit_weights=True,
    )
    data = {**DATA}
    del data["epochs"]
    tuner.search(**data)
    assert completed(tuner)


def test_networks_around_a_model(tmp_path):
    images = np.random.default_rng(1).normal(size=(20, 8, 8, 1))
    labels = np.arange(20) % 10
    hypermodel = evolvable(spaces.base())
    tuner = search_in(
        tmp_path, hypermodel, constraints=[at_most("params", 1e6)]
    )
    tuner.search(images, labels, epochs=1, validation_data=(images, labels))
    for trial in completed(tuner):
        model = tuner.hypermodel.build(trial.hyperparameters)
        assert trial.metrics.get_last_value("params") == model.count_params()
