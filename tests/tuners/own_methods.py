"""Hypermodels and tuners with methods of their own, importable by workers."""

import keras
import keras_tuner
import numpy as np

from keras_evonas import EvoOracle
from keras_evonas import EvoTuner

RNG = np.random.default_rng(0)
X = RNG.random((32, 4), "float32")
Y = X.sum(axis=1, keepdims=True)


def build(hp):
    model = keras.Sequential([keras.Input((4,))])
    model.add(keras.layers.Dense(hp.Int("units", 2, 30), "relu"))
    model.add(keras.layers.Dense(1))
    model.compile(keras.optimizers.SGD(hp.Float("rate", 1e-3, 1e-2)), "mse")
    return model


class OwnFit(keras_tuner.HyperModel):
    """Asks for a hyperparameter of its own when it trains."""

    def build(self, hp):
        return build(hp)

    def fit(self, hp, model, x, y, **kwargs):
        size = hp.Choice("batch_size", [8, 16])
        return model.fit(x, y, batch_size=size, **kwargs)


class OwnTrial(EvoTuner):
    """Trains by a method of its own, which uses what the class has added."""

    def __init__(self, *args, bonus=0.0, **kwargs):
        self.bonus = bonus
        super().__init__(*args, **kwargs)

    def run_trial(self, trial, x, y):
        keras.utils.set_random_seed(7)
        model = self.hypermodel.build(trial.hyperparameters)
        model.fit(x, y, epochs=1, verbose=0)
        return {"val_loss": model.evaluate(x, y, verbose=0) + self.bonus}


class ReportingTrial(EvoTuner):
    """Tells the oracle itself, as keras-tuner's users did once."""

    def run_trial(self, trial, x, y):
        keras.utils.set_random_seed(7)
        model = self.hypermodel.build(trial.hyperparameters)
        model.fit(x, y, epochs=1, verbose=0)
        value = model.evaluate(x, y, verbose=0)
        self.oracle.update_trial(trial.trial_id, {"val_loss": value})


class Batched(EvoTuner):
    """Changes the arguments of `fit`, and leaves the rest to its parent."""

    def run_trial(self, trial, *args, **kwargs):
        kwargs["batch_size"] = trial.hyperparameters.Choice("batch", [8, 16])
        return super().run_trial(trial, *args, **kwargs)


class Hooked(EvoTuner):
    """Writes a file at the end of every epoch."""

    def on_epoch_end(self, trial, model, epoch, logs=None):
        with open(f"{self.project_dir}/epochs.txt", "a") as file:
            file.write(f"{trial.trial_id} {epoch} {logs['val_loss']}\n")


def tuner_in(folder, cls=EvoTuner, hypermodel=build, **options):
    oracle = EvoOracle(
        options.pop("objective", "val_loss"),
        options.pop("max_trials", 3),
        seed=0,
        constraints=options.pop("constraints", None),
        max_retries_per_trial=0,
        max_consecutive_failed_trials=1,
    )
    return cls(
        oracle,
        hypermodel,
        directory=folder.parent,
        project_name=folder.name,
        **{"verbose": 0, **options},
    )
