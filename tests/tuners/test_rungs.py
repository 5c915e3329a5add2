"""A network that goes on over rungs is trained as in one `fit`."""

import pathlib
from typing import Any

import keras
import keras_tuner
import numpy as np
import pytest
import tensorflow as tf

from keras_evonas import EvoOracle
from keras_evonas import EvoTuner
from keras_evonas.evolution import freeze_thaw
from keras_evonas.evolution import random_search
from keras_evonas.evolution import successive_halving
from keras_evonas.execution import Processes
from keras_evonas.project.curves import read_histories
from keras_evonas.project.files import WriteError
from keras_evonas.project.files import trial_folder
from keras_evonas.training import last_state
from tests.marks import everyday

pytestmark = pytest.mark.keras

RNG = np.random.default_rng(0)
X = RNG.normal(size=(46, 6)).astype("float32")
Y = RNG.integers(0, 3, 46)
HELD_OUT = (
    RNG.normal(size=(20, 6)).astype("float32"),
    RNG.integers(0, 3, 20),
)
FIT = {"x": X, "y": Y, "validation_data": HELD_OUT, "batch_size": 8}
RUNGS = successive_halving(random_search(), max_epochs=4, factor=2)
SEED = 5


def layers(hp: keras_tuner.HyperParameters) -> list[keras.Layer]:
    return [
        keras.layers.Dense(hp.Int("units", 4, 12), activation="relu"),
        keras.layers.BatchNormalization(),
        keras.layers.GaussianNoise(0.1),
        keras.layers.Dropout(0.3),
        keras.layers.Dense(3, activation="softmax"),
    ]


def compiled(model: keras.Model, optimizer: keras.Optimizer) -> keras.Model:
    loss = "sparse_categorical_crossentropy"
    model.compile(optimizer, loss, metrics=["accuracy"])
    return model


def adam(hp: keras_tuner.HyperParameters) -> keras.Model:
    model = keras.Sequential([keras.Input((6,)), *layers(hp)])
    return compiled(model, keras.optimizers.Adam(0.03))


def schedule(hp: keras_tuner.HyperParameters) -> keras.Model:
    rate = keras.optimizers.schedules.CosineDecay(0.1, 24)
    model = keras.Sequential([keras.Input((6,)), *layers(hp)])
    return compiled(model, keras.optimizers.SGD(rate, momentum=0.9))


def averaged(hp: keras_tuner.HyperParameters) -> keras.Model:
    optimizer = keras.optimizers.RMSprop(
        0.01, use_ema=True, gradient_accumulation_steps=4
    )
    model = keras.Sequential([keras.Input((6,)), *layers(hp)])
    return compiled(model, optimizer)


def nadam(hp: keras_tuner.HyperParameters) -> keras.Model:
    model = keras.Sequential([keras.Input((6,)), *layers(hp)])
    return compiled(model, keras.optimizers.Nadam(0.01))


def half_precision(hp: keras_tuner.HyperParameters) -> keras.Model:
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        return adam(hp)
    finally:
        keras.config.set_dtype_policy(policy)


def bfloat16(hp: keras_tuner.HyperParameters) -> keras.Model:
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("bfloat16")
    try:
        return adam(hp)
    finally:
        keras.config.set_dtype_policy(policy)


def partly_frozen(hp: keras_tuner.HyperParameters) -> keras.Model:
    model = keras.Sequential([keras.Input((6,)), *layers(hp)])
    model.layers[0].trainable = False
    return compiled(model, keras.optimizers.Adam(0.03))


@keras.saving.register_keras_serializable("tests.rungs")
class Late(keras.Model):
    """Makes its weights when it is called, and trains with two optimizers."""

    def __init__(self, hp: keras_tuner.HyperParameters) -> None:
        super().__init__()
        self.parts = layers(hp)
        self.other = keras.optimizers.Adam(0.02)

    def call(self, x: Any, training: bool = False) -> Any:
        for part in self.parts:
            x = part(x, training=training) if part.name[0] in "dg" else part(x)
        return x

    def train_step(self, data: Any) -> dict[str, Any]:
        x, y = data
        with tf.GradientTape() as tape:
            predicted = self(x, training=True)
            loss = self.compute_loss(x, y, predicted)
        body = self.parts[0].trainable_variables
        head = self.parts[-1].trainable_variables
        gradients = tape.gradient(loss, [*body, *head])
        self.other.apply(gradients[: len(body)], body)
        self.optimizer.apply(gradients[len(body) :], head)
        return self.compute_metrics(x, y, predicted)


def late(hp: keras_tuner.HyperParameters) -> keras.Model:
    return compiled(Late(hp), keras.optimizers.SGD(0.05, momentum=0.9))


class OwnFit(keras_tuner.HyperModel):
    """Calls `fit` itself, with callbacks or without."""

    def __init__(self, *, listens: bool = True) -> None:
        super().__init__()
        self.listens = listens

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        return adam(hp)

    def fit(
        self,
        hp: keras_tuner.HyperParameters,
        model: keras.Model,
        **kwargs: Any,
    ) -> Any:
        del hp
        if self.listens:
            return model.fit(**kwargs)
        kwargs.pop("callbacks", None)
        history = model.fit(**kwargs).history
        return {name: values[-1] for name, values in history.items()}


def searched(
    folder: pathlib.Path,
    hypermodel: Any = adam,
    strategy: Any = RUNGS,
    max_trials: int = 7,
    fit: Any = None,
    **options: Any,
) -> EvoTuner:
    oracle = EvoOracle(
        "val_loss", max_trials=max_trials, strategy=strategy, seed=0
    )
    options = {"seed": SEED, "verbose": 0, **options}
    tuner = EvoTuner(
        oracle,
        hypermodel,
        directory=folder,
        project_name="search",
        **options,
    )
    tuner.search(**(fit or FIT))
    return tuner


def curves(tuner: Any, trial_id: str) -> list[dict[str, list[float]]]:
    return read_histories(trial_folder(tuner.project_dir, trial_id))


def going_on(tuner: Any) -> list[Any]:
    """The trials that go on with the training of another."""
    trials = tuner.oracle.trials.values()
    assert {trial.status for trial in trials} == {"COMPLETED"}
    found = [t for t in trials if "tuner/trial_id" in t.hyperparameters.values]
    lengths = {t.hyperparameters.values["tuner/epochs"] for t in found}
    assert lengths >= {2, 4}
    return found


def whole(build: Any, trial: Any, seed: int, fit: Any) -> dict[str, Any]:
    """The history of one `fit` over all epochs that a trial has behind it."""
    keras.utils.set_random_seed(seed)
    epochs = trial.hyperparameters.values["tuner/epochs"]
    model = build(trial.hyperparameters)
    return model.fit(**fit, epochs=epochs, verbose=0).history


def check(tuner: Any, build: Any = adam, fit: Any = None) -> None:
    for trial in going_on(tuner):
        values = trial.hyperparameters.values
        for execution, got in enumerate(curves(tuner, trial.trial_id)):
            expected = whole(build, trial, SEED + execution, fit or FIT)
            begin = values["tuner/initial_epoch"]
            assert set(got) == set(expected)
            for name, curve in got.items():
                assert list(curve) == expected[name][begin:], name


NETWORKS = {
    network.__name__: network
    for network in (
        *(adam, late, schedule, averaged, nadam),
        *(half_precision, bfloat16, partly_frozen),
    )
}


@pytest.mark.parametrize("name", everyday("adam", "late", of=NETWORKS))
def test_rungs_are_one_training(name: str, tmp_path: pathlib.Path) -> None:
    check(searched(tmp_path, NETWORKS[name]), NETWORKS[name])


class Watching(keras.callbacks.Callback):
    """Lets networks be trained with hooks at every batch."""

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Does nothing."""


WAYS = {
    "shared programs": {"share_programs": True},
    "two executions": {"executions_per_trial": 2},
    "one at a time": {"cohort_size": 1},
    "processes": {"executor": Processes(workers=2)},
    "own fit": {"hypermodel": OwnFit()},
    "freeze-thaw": {"strategy": freeze_thaw(max_epochs=4, factor=2)},
    "callbacks": {"fit": {**FIT, "callbacks": [Watching()]}},
    "decay": {
        "fit": {
            **FIT,
            "callbacks": [
                keras.callbacks.LearningRateScheduler(
                    lambda epoch, rate: rate * 0.5
                )
            ],
        }
    },
    "best weights": {
        "fit": {
            **FIT,
            "callbacks": [
                keras.callbacks.EarlyStopping(
                    "val_loss", patience=9, restore_best_weights=True
                )
            ],
        }
    },
}


EVERYDAY = ("shared programs", "two executions", "best weights")


@pytest.mark.parametrize("way", everyday(*EVERYDAY, of=WAYS))
def test_rungs_are_one_training_in_every_way(
    way: str, tmp_path: pathlib.Path
) -> None:
    options = dict(WAYS[way])
    if way == "freeze-thaw":
        options["max_trials"] = 16
    tuner = searched(tmp_path, **options)
    check(tuner, fit=options.get("fit"))


@pytest.mark.slow
def test_rungs_of_a_stream_are_one_training(tmp_path: pathlib.Path) -> None:
    data = tf.data.Dataset.from_tensor_slices((X, Y)).batch(8)
    held_out = tf.data.Dataset.from_tensor_slices(HELD_OUT).batch(8)
    fit = {"x": data, "validation_data": held_out, "shuffle": False}
    check(searched(tmp_path, fit=fit), fit=fit)


@pytest.mark.slow
def test_rungs_of_hyperband_are_one_training(tmp_path: pathlib.Path) -> None:
    oracle = keras_tuner.oracles.HyperbandOracle(
        keras_tuner.Objective("val_loss", "min"), max_epochs=4, factor=2, seed=0
    )
    tuner = EvoTuner(
        oracle, adam, directory=tmp_path, project_name="search", seed=SEED
    )
    tuner.search(**FIT, verbose=0)
    check(tuner)


@pytest.mark.slow
def test_a_fit_without_callbacks_goes_on(tmp_path: pathlib.Path) -> None:
    tuner = searched(tmp_path, OwnFit(listens=False))
    for trial in going_on(tuner):
        expected = whole(adam, trial, SEED, FIT)
        assert trial.score == expected["val_loss"][-1]


@pytest.mark.parametrize("cut", everyday(3, of=range(1, 7)))
def test_a_search_that_goes_on_trains_the_same(
    cut: int, tmp_path: pathlib.Path
) -> None:
    searched(tmp_path, max_trials=cut)
    tuner = searched(tmp_path)
    assert len(tuner.oracle.trials) == 7
    check(tuner)


def test_states_stay_until_another_trial_has_gone_on(
    tmp_path: pathlib.Path,
) -> None:
    tuner = searched(tmp_path, executions_per_trial=2)
    parents = {
        trial.hyperparameters.values["tuner/trial_id"]
        for trial in going_on(tuner)
    }
    for trial_id, trial in tuner.oracle.trials.items():
        is_whole = trial.hyperparameters.values["tuner/epochs"] == 4
        folder = trial_folder(tuner.project_dir, trial_id)
        found = sorted(path.name for path in folder.glob("*.npz"))
        expected = ["execution0.state.npz", "execution1.state.npz"]
        is_needed = not is_whole and trial_id not in parents
        assert found == (expected if is_needed else [])


def test_without_a_state_the_best_weights_go_on(tmp_path: pathlib.Path) -> None:
    """As in folders of earlier versions."""
    searched(tmp_path, max_trials=2)
    states = [*tmp_path.rglob("*.npz")]
    assert states
    for path in states:
        path.unlink()
    tuner = searched(tmp_path)
    assert going_on(tuner)


def test_a_damaged_state_fails_its_trial_alone(tmp_path: pathlib.Path) -> None:
    searched(tmp_path, max_trials=2)
    for path in tmp_path.rglob("*.npz"):
        path.write_bytes(path.read_bytes()[:100])
    tuner = searched(tmp_path)
    failed = [t for t in tuner.oracle.trials.values() if t.status == "FAILED"]
    (trial,) = failed
    assert "Bring it back, or delete it" in trial.message


def test_a_changed_network_says_so(tmp_path: pathlib.Path) -> None:
    path = str(tmp_path / "state.npz")
    hp = keras_tuner.HyperParameters()
    last_state.LastState().write(adam(hp), path)
    hp.values["units"] = 9
    with pytest.raises(ValueError, match=r"'model/0' of shape \(6, 4\)"):
        last_state.restore(adam(hp), path)


def test_a_full_disk_stops_the_search(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(WriteError, match="No space left"):
        searched(tmp_path)
