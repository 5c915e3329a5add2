"""Memory over a long search."""

import gc

import keras
import keras_tuner
import numpy as np
import psutil
import pytest

from keras_evonas import EvoTuner

pytestmark = [pytest.mark.keras, pytest.mark.slow]


def build(hp):
    model = keras.Sequential([keras.Input((8, 8, 1))])
    model.add(keras.layers.Conv2D(hp.Int("filters", 2, 200), 3))
    model.add(keras.layers.GlobalAveragePooling2D())
    model.add(keras.layers.Dense(10, activation="softmax"))
    model.compile(
        "adam", "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    return model


class Watched(EvoTuner):
    """Notes the resident memory at the end of each trial."""

    resident: tuple[int, ...] = ()

    def on_trial_end(self, trial):
        super().on_trial_end(trial)
        gc.collect()
        self.resident += (psutil.Process().memory_info().rss,)


@pytest.mark.parametrize("share_programs", [False, True])
def test_a_trial_leaves_less_than_a_megabyte(tmp_path, share_programs):
    rng = np.random.default_rng(0)
    x, y = rng.random((128, 8, 8, 1)), rng.integers(0, 10, 128)
    oracle = keras_tuner.oracles.RandomSearchOracle(
        "val_loss", max_trials=300, seed=1
    )
    tuner = Watched(
        oracle,
        build,
        cohort_size=10,
        share_programs=share_programs,
        directory=tmp_path,
        project_name="p",
    )
    tuner.search(x, y, epochs=2, validation_split=0.25, verbose=0)

    # The first cohorts load libraries and fill caches. Within 100 trials memory
    # rises, and falls at once, by more than all of them leave.
    grown = (tuner.resident[-1] - tuner.resident[19]) / 280
    assert grown < 1e6
