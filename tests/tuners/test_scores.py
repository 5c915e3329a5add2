"""The law that a best model scores what its trial says, over whole searches.

The score of a trial is that of the best epoch, averaged over the executions or
folds, and the model that comes back is that of the best of them. An objective
of the training itself, such as `loss`, is measured while the weights change;
there the model must be the one that Keras alone has after that epoch.
"""

import dataclasses
import math
import statistics

import keras
import keras_tuner
import numpy as np
import pytest
import tensorflow as tf

from keras_evonas import EvoOracle
from keras_evonas import EvoTuner
from keras_evonas.evolution import random_search
from keras_evonas.evolution import successive_halving
from tests.marks import everyday

pytestmark = pytest.mark.keras

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 4)).astype("float32")
Y = RNG.integers(3, size=60)
HELD_OUT = (
    RNG.normal(size=(40, 4)).astype("float32"),
    RNG.integers(3, size=40),
)
# The folds differ in length.
FOLDS = [
    (np.arange(20, 60), np.arange(20)),
    (np.r_[0:20, 35:60], np.arange(20, 35)),
    (np.arange(35), np.arange(35, 60)),
]
SEED = 5


def own(y_true, y_pred):
    return keras.ops.mean(keras.ops.max(y_pred, axis=-1))


def build(hp):
    model = keras.Sequential([keras.Input((4,))])
    model.add(keras.layers.Dense(hp.Int("units", 2, 9), "relu"))
    model.add(keras.layers.BatchNormalization())
    model.add(keras.layers.Dropout(0.2))
    model.add(keras.layers.Dense(3, "softmax"))
    # Steps so large that the best epoch is rarely the last one.
    rate = hp.Float("rate", 0.3, 3.0, sampling="log")
    model.compile(
        keras.optimizers.SGD(rate),
        "sparse_categorical_crossentropy",
        metrics=["accuracy", own],
    )
    return model


class OwnFit(keras_tuner.HyperModel):
    """Lets the networks train alone."""

    def build(self, hp):
        return build(hp)

    def fit(self, hp, model, *args, **kwargs):
        return model.fit(*args, **kwargs)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Case:
    objective: str = "val_accuracy"
    direction: str = "max"
    freq: int = 1
    patience: int | None = None
    restores: bool = False
    executions: int = 1
    folds: bool = False
    rungs: bool = False
    alone: bool = False
    cohort_size: int = 4
    stream: bool = False
    keep: str | None = None


LOSS = {"objective": "val_loss", "direction": "min"}
OWN = {"objective": "val_own", "direction": "min"}
TRAINING = {"objective": "loss", "direction": "min"}
CASES = {
    "plain": Case(),
    "every_second": Case(freq=2, **LOSS),
    "every_third": Case(freq=3, **OWN),
    "stopped": Case(patience=1, **LOSS),
    "stopped_between": Case(patience=1, freq=2),
    "restored": Case(patience=1, restores=True, **OWN),
    "executions": Case(executions=2),
    "executions_every_second": Case(executions=2, freq=2, **OWN),
    "folds": Case(folds=True, **LOSS),
    "folds_stopped": Case(folds=True, patience=1),
    "folds_and_executions": Case(folds=True, executions=2, **OWN),
    "rungs": Case(rungs=True, **LOSS),
    "rungs_every_second": Case(rungs=True, freq=2),
    "rungs_and_own": Case(rungs=True, **OWN),
    "rungs_and_executions": Case(rungs=True, executions=2),
    "training": Case(**TRAINING),
    "training_every_third": Case(freq=3, executions=2, **TRAINING),
    "alone": Case(alone=True, **LOSS),
    "alone_every_second": Case(alone=True, freq=2, patience=1, **OWN),
    "alone_executions": Case(alone=True, executions=2),
    "alone_training": Case(alone=True, **TRAINING),
    "one_by_one": Case(cohort_size=1, executions=2, patience=1, **LOSS),
    "stream": Case(stream=True, freq=2, **OWN),
    "stream_stopped": Case(stream=True, patience=1),
    "kept_one": Case(keep="best", **LOSS),
}


def data_of(case):
    """What `search` is called with."""
    arguments = {"epochs": 6, "validation_freq": case.freq}
    if case.patience is not None:
        arguments["callbacks"] = [
            keras.callbacks.EarlyStopping(
                case.objective,
                mode=case.direction,
                patience=case.patience,
                restore_best_weights=case.restores,
            )
        ]
    if case.folds:
        arguments.pop("validation_freq")
        return {"x": X, "y": Y, "batch_size": 16, **arguments}
    if case.stream:
        arguments["validation_data"] = batches(*HELD_OUT)
        return {"x": batches(X, Y), **arguments}
    arguments["validation_data"] = HELD_OUT
    return {"x": X, "y": Y, "batch_size": 16, **arguments}


def batches(x, y):
    return tf.data.Dataset.from_tensor_slices((x, y)).batch(16)


def searched(case, folder):
    strategy = random_search()
    if case.rungs:
        strategy = successive_halving(strategy, max_epochs=6, factor=3)
    oracle = EvoOracle(
        keras_tuner.Objective(case.objective, case.direction),
        6 if case.rungs else 2,
        strategy=strategy,
        seed=SEED,
    )
    tuner = EvoTuner(
        oracle,
        OwnFit() if case.alone else build,
        directory=folder,
        executions_per_trial=case.executions,
        cv=FOLDS if case.folds else None,
        cohort_size=case.cohort_size,
        keep_checkpoints=case.keep,
        verbose=0,
    )
    tuner.search(**data_of(case))
    return tuner


def reference(case, hp, execution):
    """Trains as Keras does, and returns the model after the best epoch."""
    kept = {}

    def keep(epoch, logs):
        if logs[case.objective] < kept.get("loss", math.inf):
            kept["loss"] = logs[case.objective]
            kept["weights"] = model.get_weights()

    keras.utils.set_random_seed(SEED + execution)
    model = build(hp)
    keeper = keras.callbacks.LambdaCallback(on_epoch_end=keep)
    model.fit(**data_of(case), callbacks=[keeper], verbose=0)
    model.set_weights(kept["weights"])
    return model


def values_of(model, x, y):
    found = model.evaluate(x, y, batch_size=16, verbose=0, return_dict=True)
    return {f"val_{name}": value for name, value in found.items()}


@pytest.mark.filterwarnings("ignore:Early stopping conditioned on metric")
# Keras 3.15 warns of its own default when it is given a data set.
@pytest.mark.filterwarnings("ignore:`shuffle=True` was passed")
@pytest.mark.parametrize(
    "name", everyday("executions_every_second", of=list(CASES))
)
def test_a_best_model_scores_what_its_trial_says(name, tmp_path):
    case = CASES[name]
    tuner = searched(case, tmp_path)
    trials = tuner.oracle.get_best_trials(1 if case.keep == "best" else 2)
    models = tuner.get_best_models(len(trials))
    best = {"min": min, "max": max}[case.direction]
    assert len(models) == (1 if case.keep == "best" else 2)
    for trial, model in zip(trials, models, strict=True):
        curves = tuner.learning_curves(trial.trial_id)
        assert len(curves) == case.executions * (3 if case.folds else 1)
        scores = [
            best(value for value in curve[case.objective] if value is not None)
            for curve in curves
        ]
        assert trial.score == pytest.approx(statistics.fmean(scores))
        kept = scores.index(best(scores))
        held_out = HELD_OUT
        if case.folds:
            rows = FOLDS[kept % len(FOLDS)][1]
            held_out = X[rows], Y[rows]
        found = values_of(model, *held_out)
        if case.objective == "loss":
            there = reference(case, trial.hyperparameters, kept)
            assert found == pytest.approx(values_of(there, *held_out), rel=1e-5)
        else:
            assert found[case.objective] == pytest.approx(
                scores[kept], rel=1e-5
            )
