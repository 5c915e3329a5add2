"""`EvoTuner` searches for fronts, within limits."""

import keras
import numpy as np
import pytest

from keras_evonas import EvolutionarySearch
from keras_evonas import at_most

pytestmark = pytest.mark.keras

RNG = np.random.default_rng(0)
X, Y = RNG.random((60, 6), "float32"), RNG.integers(0, 3, 60)


def build(hp):
    model = keras.Sequential([keras.Input((6,))])
    model.add(keras.layers.Dense(hp.Int("units", 2, 400), "relu"))
    model.add(keras.layers.Dense(3, "softmax"))
    model.compile(
        "adam", "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    return model


def test_a_front_of_loss_and_parameters_within_a_limit(tmp_path):
    tuner = EvolutionarySearch(
        build,
        ["val_loss", "params"],
        max_trials=8,
        constraints=[at_most("params", 500)],
        seed=0,
        directory=tmp_path,
        project_name="p",
    )
    tuner.search(X, Y, epochs=2, validation_data=(X, Y), verbose=0)
    trials = tuner.oracle.trials.values()
    assert {trial.status for trial in trials} == {"COMPLETED"}
    models = tuner.get_pareto_models()
    front = tuner.oracle.get_pareto_trials()
    assert len(models) == len(front) > 0
    for model, trial in zip(models, front, strict=True):
        assert model.count_params() == trial.metrics.get_last_value("params")
        assert model.count_params() <= 500
        loss, _ = model.evaluate(X, Y, verbose=0)
        assert loss == pytest.approx(trial.score, rel=1e-5)
    tuner.results_summary()
