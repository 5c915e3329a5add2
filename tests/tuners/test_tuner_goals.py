"""Several objectives, constraints and rungs, searched by EvoTuner."""

import keras
import keras_tuner
import numpy as np
import pytest
import tensorflow as tf

from keras_evonas import EvolutionarySearch
from keras_evonas import at_most
from keras_evonas.evolution import freeze_thaw
from keras_evonas.evolution import random_search
from keras_evonas.evolution import successive_halving
from keras_evonas.models import Classification
from keras_evonas.models import DenseNetwork
from keras_evonas.models.costs import costs_of
from keras_evonas.project import curves
from tests.marks import everyday

pytestmark = pytest.mark.keras

SPACE = DenseNetwork(
    (6,),
    Classification(classes=3, labels="integer"),
    units=(16, 256),
    depth=(1, 2),
)


def data():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(96, 6)).astype("float32")
    return x, x[:, :3].argmax(axis=1)


X, Y = data()
TRAINING, VALIDATION = (X[:72], Y[:72]), (X[72:], Y[72:])


def searched(folder, **options):
    tuner = EvolutionarySearch(
        SPACE, seed=0, directory=folder, project_name="p", **options
    )
    tuner.search(*TRAINING, validation_data=VALIDATION, epochs=2, verbose=0)
    return tuner


def test_a_front_of_small_and_good_networks_within_a_limit(tmp_path, capsys):
    limit = 20_000
    tuner = searched(
        tmp_path,
        objective=["val_loss", keras_tuner.Objective("params", "min")],
        constraints=[at_most("multiply_adds", limit)],
        max_trials=5,
    )
    oracle = tuner.oracle
    trials = [oracle.trials[trial_id] for trial_id in oracle.end_order]
    points = {}
    for trial in trials:
        assert trial.status == "COMPLETED"
        assert trial.metrics.get_last_value("multiply_adds") <= limit
        assert trial.metrics.get_last_value("train_seconds") > 0
        points[trial.trial_id] = (
            trial.score,
            trial.metrics.get_last_value("params"),
        )
    front = {trial.trial_id for trial in oracle.get_pareto_trials()}
    beaten = {
        one
        for one, a in points.items()
        if any(
            b[0] <= a[0] and b[1] <= a[1] and b != a for b in points.values()
        )
    }
    assert front == set(points) - beaten
    assert front
    models = tuner.get_pareto_models()
    for model, trial in zip(models, oracle.get_pareto_trials(), strict=True):
        loss, _ = model.evaluate(*VALIDATION, verbose=0)
        assert (loss, model.count_params()) == pytest.approx(
            points[trial.trial_id], rel=1e-5
        )
    tuner.results_summary()
    said = capsys.readouterr().out
    assert all(f"Trial {trial_id} " in said for trial_id in front)


def test_every_trial_tells_what_its_network_costs(tmp_path):
    tuner = searched(
        tmp_path,
        objective=["val_accuracy", keras_tuner.Objective("latency_ms", "min")],
        max_trials=2,
    )
    for trial in tuner.oracle.trials.values():
        costs = costs_of(tuner.hypermodel.build(trial.hyperparameters))
        for name in ("params", "weight_bytes", "multiply_adds", "flops"):
            recorded = trial.metrics.get_last_value(name)
            assert recorded == getattr(costs, name)
        assert trial.metrics.get_last_value("latency_ms") > 0
    assert tuner.oracle.get_pareto_trials()


def test_a_model_of_unknown_arithmetic_still_counts_its_parameters(tmp_path):
    class Opaque(keras.Model):
        def __init__(self, units):
            super().__init__()
            self.inner = keras.layers.Dense(units)
            self.last = keras.layers.Dense(3)

        def call(self, x, training=False):
            if not training and not tf.executing_eagerly() and x.shape[0] == 1:
                raise NotImplementedError("not one at a time")
            return self.last(self.inner(x))

    def build(hp):
        model = Opaque(hp.Choice("units", [2, 4]))
        model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(True))
        return model

    tuner = EvolutionarySearch(
        build, "val_loss", max_trials=2, directory=tmp_path, verbose=0
    )
    with pytest.warns(UserWarning, match="costs of the model"):
        tuner.search(*data(), validation_split=0.25)
    for trial in tuner.oracle.trials.values():
        units = trial.hyperparameters.values["units"]
        assert trial.metrics.get_last_value("params") == 7 * units + (
            3 * units + 3
        )
        assert not trial.metrics.exists("flops")


@pytest.mark.parametrize(
    "strategy",
    [
        pytest.param(
            successive_halving(random_search(), max_epochs=4, factor=2),
            marks=pytest.mark.slow,
        ),
        freeze_thaw(max_epochs=4, factor=2, initial_size=1),
    ],
    ids=["successive_halving", "freeze_thaw"],
)
def test_promoted_trials_go_on_from_their_weights(tmp_path, strategy):
    tuner = searched(
        tmp_path, objective="val_loss", max_trials=7, strategy=strategy
    )
    oracle = tuner.oracle
    promoted = [
        trial
        for trial in oracle.trials.values()
        if "tuner/trial_id" in trial.hyperparameters.values
    ]
    assert promoted
    for trial in promoted:
        values = trial.hyperparameters.values
        losses = losses_of(tuner, trial.trial_id)
        before = losses_of(tuner, values["tuner/trial_id"])
        start, end = values["tuner/initial_epoch"], values["tuner/epochs"]
        assert len(losses) == end - start
        assert losses[0] < before[0]
    best = oracle.get_best_trials(1)[0].hyperparameters.values
    assert best["tuner/epochs"] == max(
        trial.hyperparameters.values["tuner/epochs"]
        for trial in oracle.trials.values()
    )


def losses_of(tuner, trial_id):
    folder = f"{tuner.project_dir}/trial_{trial_id}"
    return curves.read_histories(folder)[0]["loss"]


def test_limits_hold_for_models_that_learn_their_shape(tmp_path):
    def unbuilt(hp):
        units = hp.Int("units", 4, 64, step=4)
        model = keras.Sequential([keras.layers.Dense(units)])
        model.compile("sgd", "mse")
        return model

    tuner = EvolutionarySearch(
        unbuilt,
        "loss",
        max_trials=4,
        constraints=[at_most("params", 200)],
        directory=tmp_path,
        verbose=0,
    )
    tuner.search(np.zeros((8, 6)), np.zeros((8, 1)))
    found = [
        t.metrics.get_best_value("params") for t in tuner.oracle.trials.values()
    ]
    assert len(found) == 4
    assert max(found) <= 200


def the_larger_the_better(hp):
    """Learns one bias, which begins the nearer to zero the more units."""
    units = hp.Int("units", 1, 4)
    bias = 5.0 - units + 9.0 * hp.Boolean("spoiled")
    model = keras.Sequential(
        [
            keras.Input((6,)),
            keras.layers.Dense(units, kernel_initializer="zeros"),
            keras.layers.Dense(
                1,
                kernel_initializer="zeros",
                bias_initializer=keras.initializers.Constant(bias),
            ),
        ]
    )
    model.compile(keras.optimizers.SGD(0.01), "mse")
    return model


@pytest.mark.parametrize("top_k", everyday(1, of=[1, 2]))
def test_the_whole_front_keeps_its_weights(tmp_path, top_k):
    front = [{"units": units, "spoiled": False} for units in (1, 2, 3)]
    beaten = {"units": 3, "spoiled": True}
    tuner = EvolutionarySearch(
        the_larger_the_better,
        ["val_loss", "params"],
        4,
        initial_population=[front[0], beaten, *front[1:]],
        top_k=top_k,
        cohort_size=1,
        directory=tmp_path,
        project_name="p",
        verbose=0,
    )
    data = (X, np.zeros((96, 1)))
    tuner.search(*data, validation_data=data, epochs=2)
    trials = tuner.oracle.get_pareto_trials()
    assert {trial.trial_id for trial in trials} == {"0", "2", "3"}
    for model, trial in zip(tuner.get_pareto_models(), trials, strict=True):
        loss = model.evaluate(*data, verbose=0)
        assert loss == pytest.approx(trial.score)
        units = trial.hyperparameters.get("units")
        assert loss < 0.99 * (5.0 - units) ** 2
    kept = {p.parent.name for p in tmp_path.glob("p/trial_*/checkpoint*")}
    assert kept == {"trial_0", "trial_2", "trial_3"}


@pytest.mark.parametrize("place", ["gs://bucket/search", "ram://search"])
def test_a_folder_that_cannot_be_locked_is_refused_at_once(
    tmp_path, monkeypatch, place
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="must be a local folder"):
        EvolutionarySearch(SPACE, "val_loss", 2, directory=place)
    assert list(tmp_path.iterdir()) == []


def test_a_search_that_goes_on_prints_nothing_of_the_host(tmp_path, capsys):
    for max_trials in (1, 2):
        searched(tmp_path, objective="val_loss", max_trials=max_trials)
    assert capsys.readouterr().out == ""


def test_a_space_that_cannot_be_compared_is_warned_of(tmp_path):
    def reads_weights(hp):
        model = SPACE.build(hp)
        if model.weights:
            model.weights[0].numpy()  # It has no value without memory.
        return model

    options = {"objective": "val_loss", "directory": tmp_path, "seed": 0}
    tuner = EvolutionarySearch(reads_weights, max_trials=1, **options)
    tuner.search(*TRAINING, validation_data=VALIDATION, epochs=1, verbose=0)
    with pytest.warns(UserWarning, match="not compared with the hyperparam"):
        EvolutionarySearch(reads_weights, max_trials=2, **options)
