"""Searches whose networks share programs, against those with their own."""

import keras
import numpy as np
import pytest

from keras_evonas import EvolutionarySearch
from keras_evonas.execution import Processes
from keras_evonas.training.shared_programs import Programs
from tests.marks import everyday

pytestmark = pytest.mark.keras

RNG = np.random.default_rng(0)
X, Y = RNG.random((90, 6), "float32"), RNG.integers(0, 3, 90)


def build(hp):
    model = keras.Sequential([keras.Input((6,))])
    for number in range(hp.Int("depth", 1, 2)):
        units = hp.Int(f"units_{number}", 2, 40)
        activation = hp.Choice(f"activation_{number}", ["relu", "tanh"])
        model.add(keras.layers.Dense(units, activation=activation))
    model.add(keras.layers.Dropout(hp.Float("dropout", 0.1, 0.5)))
    model.add(keras.layers.Dense(3, activation="softmax"))
    rate = hp.Float("rate", 1e-3, 1e-1, sampling="log")
    momentum = hp.Float("momentum", 0.1, 0.9)
    model.compile(
        keras.optimizers.SGD(rate, momentum),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model


def searched(folder, *, share_programs, **options):
    """Trials of a random search, which proposes the same for any scores."""
    from keras_evonas.evolution import random_search

    tuner = EvolutionarySearch(
        build,
        "val_loss",
        max_trials=12,
        strategy=random_search(),
        seed=3,
        share_programs=share_programs,
        directory=folder,
        project_name="p",
        **options,
    )
    tuner.search(
        X[:60], Y[:60], epochs=3, validation_data=(X[60:], Y[60:]), verbose=0
    )
    return tuner


OPTIONS = {
    "a cohort": {"cohort_size": 4},
    "executions": {"cohort_size": 1, "executions_per_trial": 2},
    "processes": {"cohort_size": 6, "executor": Processes(workers=2)},
}


@pytest.mark.parametrize("case", everyday("a cohort", of=OPTIONS))
def test_scores_and_weights_are_the_same_to_rounding(
    tmp_path, monkeypatch, case
):
    options = OPTIONS[case]
    shared = []
    passes_of = Programs.passes_of

    def noted(self, *args):
        found = passes_of(self, *args)
        shared.append(found.copies is not None)
        return found

    monkeypatch.setattr(Programs, "passes_of", noted)
    ours = searched(tmp_path / "a", share_programs=True, **options)
    if "executor" not in options:  # Else they are shared elsewhere.
        assert shared
        assert all(shared)
    theirs = searched(tmp_path / "b", share_programs=False, **options)
    pairs = zip(
        ours.oracle.trials.values(), theirs.oracle.trials.values(), strict=True
    )
    for one, other in pairs:
        assert one.hyperparameters.values == other.hyperparameters.values
        assert one.score == pytest.approx(other.score, rel=1e-5)
    best, expected = (t.get_best_models()[0] for t in (ours, theirs))
    for one, other in zip(best.weights, expected.weights, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-5)
    # What was trained without widths is a model as any other.
    best.fit(X[:60], Y[:60], epochs=1, verbose=0)
    np.testing.assert_allclose(
        best.predict(X, verbose=0).sum(axis=-1), 1, rtol=1e-5
    )
