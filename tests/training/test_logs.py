"""Logs of any epochs and types, the weights kept for them, and bookkeeping."""

import fractions
import itertools
import json
import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_evonas.project import curves as curves_lib
from keras_evonas.training import Data
from keras_evonas.training import Execution
from keras_evonas.training import FitArguments
from keras_evonas.training import Task
from keras_evonas.training import evaluate
from keras_evonas.training.checkpoints import BestWeights
from keras_evonas.training.checkpoints import build_again
from keras_evonas.training.checkpoints import read_weights
from keras_evonas.training.curves import best_of
from keras_evonas.training.curves import kept
from keras_evonas.training.curves import loss_of
from keras_evonas.training.curves import why_unscored
from keras_evonas.training.recording import Recorder
from tests.training.test_own_fit import VALIDATED
from tests.training.test_own_fit import X
from tests.training.test_own_fit import Y
from tests.training.test_own_fit import network

pytestmark = pytest.mark.keras

MIN = [("val_loss", "min")]


def outcome_of(build=network, objective=MIN, checkpoint=None, **fit):
    task = Task(
        build=lambda execution: build(),
        data=Data(FitArguments.of(**{**VALIDATED, **fit})),
        objective=objective,
    )
    (outcome,) = evaluate(
        [Execution(name="0", seed=3, checkpoint=checkpoint)], task
    )
    assert outcome.message is None
    return outcome


def epochs_of(curve):
    return [epoch for epoch, _ in curve]


# Epochs.


class Sometimes(keras.callbacks.Callback):
    """Reports a log in some epochs only."""

    def __init__(self, epochs, value=1.0):
        super().__init__()
        self.epochs = epochs
        self.value = value

    def on_epoch_end(self, epoch, logs=None):
        if epoch in self.epochs:
            logs["sometimes"] = self.value


@pytest.mark.parametrize(
    "freq",
    [
        3,
        [1, 4],
        *(
            pytest.param(freq, marks=pytest.mark.slow)
            for freq in (2, 5, [2, 3])
        ),
    ],
)
def test_values_belong_to_the_epochs_of_their_validation(freq, tmp_path):
    path = str(tmp_path / "best.weights.h5")
    outcome = outcome_of(checkpoint=path, epochs=5, validation_freq=freq)
    validated = [
        epoch
        for epoch in range(5)
        if (
            (epoch + 1) in freq
            if isinstance(freq, list)
            else (epoch + 1) % freq == 0
        )
    ]
    assert epochs_of(outcome.curves["loss"]) == list(range(5))
    assert epochs_of(outcome.curves["val_loss"]) == validated
    best = best_of(MIN, outcome.curves)
    assert best.epoch in validated
    assert best.loss == min(outcome.history["val_loss"])
    model = network()
    read_weights(model, path)
    loss = model.evaluate(X[:20], Y[:20], verbose=0)[0]
    assert np.isclose(loss, best.loss, rtol=1e-5)


@pytest.mark.parametrize("epochs", [(2, 3), (0, 1), (1,), ()])
def test_a_log_may_begin_late_and_end_early(epochs):
    fit = {"epochs": 6, "initial_epoch": 2, "callbacks": [Sometimes(epochs)]}
    curves = outcome_of(**fit).curves
    seen = [epoch for epoch in epochs if epoch >= 2]
    assert epochs_of(curves.get("sometimes", ())) == seen
    assert epochs_of(curves["loss"]) == [2, 3, 4, 5]


def test_early_stopping_ends_all_curves():
    stop = keras.callbacks.EarlyStopping("loss", patience=0, min_delta=1e9)
    curves = outcome_of(epochs=5, callbacks=[stop]).curves
    assert {tuple(epochs_of(curve)) for curve in curves.values()} == {(0, 1)}


class Weights:
    """Stands in for a model: one weight, which is the number of the epoch."""

    def __init__(self):
        self.weight = keras.Variable(-1.0)
        self.weights = [self.weight]


def histories(seed):
    """Random logs by epoch, with gaps, NaN, infinities and arrays."""
    rng = np.random.default_rng(seed)
    strange = [None, None, math.nan, math.inf, -math.inf, [1.0, 2.0]]
    values = [*strange, *rng.normal(size=6)]
    return [
        {
            name: value
            for name in ("val_loss", "acc")
            if (value := values[rng.integers(len(values))]) is not None
        }
        for _ in range(rng.integers(1, 8))
    ]


@pytest.mark.parametrize("objective", [MIN, [*MIN, ("acc", "max")]])
def test_score_and_weights_are_of_one_epoch_in_any_history(objective):
    for seed in range(300):
        logs = histories(seed)
        model, keeper, recorder = Weights(), BestWeights(objective), Recorder()
        for callback in (keeper, recorder):
            callback.set_model(model)
            callback.on_train_begin()
        for epoch, one in enumerate(logs):
            model.weight.assign(epoch)
            keeper.on_epoch_end(epoch, one)
            recorder.on_epoch_end(epoch, one)
        best = best_of(objective, recorder.curves())
        losses = [loss_of(objective, one) for one in logs]
        finite = [x for x in losses if x is not None and math.isfinite(x)]
        if not finite:
            assert best is None
            assert why_unscored(objective, recorder.curves()).endswith(".")
            continue
        assert best.loss == min(finite) == keeper.loss()
        assert losses.index(best.loss) == best.epoch
        kept_weights = keeper._last.weights
        assert [float(value) for _, value in kept_weights] == [best.epoch]


def test_why_an_execution_has_no_score_is_true():
    curves = {"loss": ((0, 1.0),), "f1": ((0, [1.0, 2.0]),)}
    assert "never reported" in why_unscored(MIN, curves)
    assert "['f1', 'loss']" in why_unscored(MIN, curves)
    assert "an array" in why_unscored([("f1", "max")], curves)
    apart = {"a": ((0, 1.0),), "b": ((1, 1.0),)}
    both = [("a", "min"), ("b", "min")]
    assert "No epoch reported all" in why_unscored(both, apart)
    never = {"val_loss": ((2, math.nan),)}
    assert "never finite" in why_unscored(MIN, never)
    assert "3: [nan]" in why_unscored(MIN, never)
    long = {"val_loss": tuple((epoch, math.inf) for epoch in range(100))}
    said = why_unscored(MIN, long)
    assert "5: [inf]} and 95 more like these." in said
    assert "6: " not in said


# Types.

KEPT = {
    "float": (0.5, 0.5),
    "int": (2, 2.0),
    "bool": (True, 1.0),
    "numpy scalar": (np.float16(0.5), 0.5),
    "huge": (10**30, 1e30),
    "fraction": (fractions.Fraction(1, 2), 0.5),
    "tensor": (tf.constant(0.5), 0.5),
    "bfloat16": (tf.constant(0.5, tf.bfloat16), 0.5),
    "variable": (tf.Variable(0.5), 0.5),
    "one": (np.array([0.5]), 0.5),
    "array": (np.array([0.5, 1]), [0.5, 1.0]),
    "matrix": (tf.eye(2), [[1.0, 0.0], [0.0, 1.0]]),
    "integers": (np.array([1, 2]), [1.0, 2.0]),
    "list": ([0.5, 1], [0.5, 1.0]),
    "nan": (math.nan, math.nan),
    "empty": (np.zeros(0), []),
}
LEFT_OUT = {
    "string": "best",
    "number as a string": "0.5",
    "bytes": b"0.5",
    "none": None,
    "complex": 1j,
    "dictionary": {"a": 1.0},
    "set": {1.0},
    "object": object(),
    "function": len,
    "strings": np.array(["a", "b"]),
    "ragged list": [[1.0], [1.0, 2.0]],
    "string tensor": tf.constant(["a", "b"]),
    "date": np.datetime64("2026-01-01"),
}


@pytest.mark.parametrize("name", KEPT)
def test_numbers_and_arrays_of_any_type_are_kept(name):
    value, expected = KEPT[name]
    found = kept(value)
    assert found == expected or (math.isnan(found) and math.isnan(expected))
    json.dumps(found)


@pytest.mark.parametrize("name", LEFT_OUT)
def test_what_a_file_cannot_hold_is_left_out(name):
    assert kept(LEFT_OUT[name]) is None
    assert loss_of([("a", "min")], {"a": LEFT_OUT[name]}) is None


def test_an_array_is_never_an_objective():
    assert loss_of([("f1", "max")], {"f1": np.array([0.5, 1.0])}) is None


def test_logs_of_every_type_cost_no_training(tmp_path):
    values = {name: value for name, (value, _) in KEPT.items()} | LEFT_OUT

    class Everything(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            logs.update(values)

        def __deepcopy__(self, memory):
            return self

    outcome = outcome_of(callbacks=[Everything()])
    assert {"loss", *KEPT} <= set(outcome.curves)
    assert len(outcome.notes) == len(LEFT_OUT)
    for name in LEFT_OUT:
        assert any(f"'{name}'" in note for note in outcome.notes)
        assert name not in outcome.curves
    curves_lib.write_curves(tmp_path, [outcome.curves])
    (found,) = curves_lib.read_curves(tmp_path)
    assert epochs_of(found["matrix"]) == [0, 1]


def test_metrics_that_are_arrays_are_kept_as_lists():
    def build():
        model = network()
        model.compile("sgd", "mse", metrics=[ForEachOutput()])
        return model

    outcome = outcome_of(build)
    assert [len(value) for value in outcome.history["each"]] == [2, 2]


class ForEachOutput(keras.metrics.Metric):
    def __init__(self):
        super().__init__(name="each")
        self.total = self.add_weight(shape=(2,), initializer="zeros")

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.total.assign_add(tf.ones(2))

    def result(self):
        return self.total + 0.0


# Bookkeeping.


class Generative(keras.Model):
    """Two networks and two optimizers; never called itself, so never built."""

    def __init__(self):
        super().__init__()
        layer = keras.layers.Dense
        self.generator = keras.Sequential([keras.Input((2,)), layer(4)])
        self.critic = keras.Sequential([keras.Input((4,)), layer(1)])
        self.seeds = keras.random.SeedGenerator(1)
        self.losses_seen = keras.metrics.Mean(name="d_loss")

    def compile(self):
        super().compile()
        self.d_optimizer = keras.optimizers.Adam(0.01)
        self.g_optimizer = keras.optimizers.Adam(0.01)

    @property
    def metrics(self):
        return [self.losses_seen]

    def train_step(self, real):
        if isinstance(real, tuple):
            real = real[0]
        noise = keras.random.normal((tf.shape(real)[0], 2), seed=self.seeds)
        with tf.GradientTape() as tape:
            d_loss = tf.reduce_mean(self.critic(self.generator(noise)))
            d_loss -= tf.reduce_mean(self.critic(real))
        weights = self.critic.trainable_weights
        self.d_optimizer.apply(tape.gradient(d_loss, weights), weights)
        with tf.GradientTape() as tape:
            g_loss = -tf.reduce_mean(self.critic(self.generator(noise)))
        weights = self.generator.trainable_weights
        self.g_optimizer.apply(tape.gradient(g_loss, weights), weights)
        self.losses_seen.update_state(d_loss)
        return {"d_loss": self.losses_seen.result()}


def test_models_that_were_never_built_are_counted_and_saved(tmp_path):
    path = str(tmp_path / "best.weights.h5")

    def build(execution):
        model = Generative()
        model.compile()
        return model

    task = Task(
        build=build,
        data=Data(FitArguments.of(X, epochs=2)),
        objective=[("d_loss", "min")],
    )
    (outcome,) = evaluate([Execution(name="0", seed=3, checkpoint=path)], task)
    assert outcome.message is None
    assert outcome.notes == ()
    assert outcome.params == 2 * 4 + 4 + 4 + 1
    assert outcome.has_checkpoint
    model = build(None)
    before = [weight.numpy() for weight in model.weights]
    build_again(model, outcome.build_config)
    read_weights(model, path)
    assert not all(
        np.array_equal(weight.numpy(), value)
        for weight, value in zip(model.weights, before, strict=True)
    )


def raising(name):
    def refuse(self, *args, **kwargs):
        raise NotImplementedError(f"no {name}")

    return type("Refusing", (keras.Model,), {name: refuse})


@pytest.mark.parametrize(
    "name", ["save_weights", "get_build_config", "count_params"]
)
def test_an_error_in_bookkeeping_costs_a_note(name, tmp_path):
    path = str(tmp_path / "best.weights.h5")
    outcome = outcome_of(lambda: network(raising(name)), checkpoint=path)
    expected = outcome_of(checkpoint=path)
    assert outcome.curves == expected.curves
    assert outcome.params == expected.params
    assert outcome.has_checkpoint == (name != "save_weights")
    assert [f"no {name}" in note for note in outcome.notes] == [True] * (
        name != "count_params"
    )


def test_a_build_config_that_no_file_holds_costs_a_note():
    cls = type(
        "Odd", (keras.Model,), {"get_build_config": lambda self: {"a": {1}}}
    )
    outcome = outcome_of(lambda: network(cls))
    assert outcome.build_config is None
    assert "not JSON serializable" in outcome.notes[0]


# Files.

CURVES = {"loss": ((0, 1.0), (1, 0.5)), "val_f1": ((1, [0.5, 1.0]),)}


def test_curves_are_read_as_they_were_written(tmp_path):
    assert curves_lib.read_curves(tmp_path) == []
    curves_lib.write_curves(tmp_path, [CURVES, {}])
    assert curves_lib.read_curves(tmp_path) == [CURVES, {}]
    assert curves_lib.read_histories(tmp_path)[0] == {
        "loss": [1.0, 0.5],
        "val_f1": [[0.5, 1.0]],
    }


def test_files_of_the_first_version_are_read(tmp_path):
    content = {
        "version": 1,
        "initial_epoch": 3,
        "executions": [{"loss": [1.0, 0.5]}],
    }
    (tmp_path / curves_lib.FILE_NAME).write_text(json.dumps(content))
    assert curves_lib.read_curves(tmp_path) == [{"loss": ((3, 1.0), (4, 0.5))}]


@pytest.mark.parametrize(
    "content",
    [
        *({}, {"version": 9, "executions": []}),
        *({"version": 2}, {"version": 2, "executions": [{"a": [1.0]}]}),
        {"version": 2, "executions": [{"a": {"epochs": [0], "values": []}}]},
    ],
)
def test_damaged_curves_are_refused(content, tmp_path):
    (tmp_path / curves_lib.FILE_NAME).write_text(json.dumps(content))
    with pytest.raises(ValueError, match="must hold learning curves"):
        curves_lib.read_curves(tmp_path)


def test_histories_get_their_epochs():
    history = {"loss": [1.0, 0.5]}
    for first in (0, 4):
        curves = curves_lib.curves_of(history, initial_epoch=first)
        assert epochs_of(curves["loss"]) == [first, first + 1]
        assert curves_lib.history_of(curves) == history


def test_every_combination_of_values_is_compared_by_number():
    for a, b in itertools.product([np.float32(1), 2, tf.constant(3.0)], [0.5]):
        assert loss_of([("a", "min"), ("b", "max")], {"a": a, "b": b}) == (
            float(a) - b
        )
