"""Hypermodels and tuners that train in a way of their own."""

import contextlib
import io
import warnings

import keras
import keras_tuner
import numpy as np
import pytest

from keras_evonas import EvoOracle
from keras_evonas import EvoTuner
from keras_evonas import at_most
from keras_evonas.evolution import random_search
from keras_evonas.evolution import successive_halving
from keras_evonas.execution import Processes
from tests.execution.networks import record_of
from tests.marks import everyday
from tests.tuners.own_methods import Batched
from tests.tuners.own_methods import Hooked
from tests.tuners.own_methods import OwnFit
from tests.tuners.own_methods import OwnTrial
from tests.tuners.own_methods import ReportingTrial
from tests.tuners.own_methods import X
from tests.tuners.own_methods import Y
from tests.tuners.own_methods import tuner_in

pytestmark = pytest.mark.keras

FIT = {"validation_data": (X, Y), "epochs": 2}
WAYS = {
    "fit": ({"hypermodel": OwnFit()}, FIT),
    "run_trial": ({"cls": OwnTrial, "bonus": 2.0}, {}),
    "update_trial": ({"cls": ReportingTrial}, {}),
    "super": ({"cls": Batched}, {**FIT, "verbose": 0}),
}


@pytest.mark.filterwarnings("ignore:The use case of calling")
@pytest.mark.parametrize("way", everyday(of=list(WAYS)))
def test_a_worker_process_makes_the_same_search(tmp_path, way):
    options, fit = WAYS[way]
    here = tuner_in(tmp_path / "here", **options)
    here.search(X, Y, **fit)
    there = tuner_in(
        tmp_path / "there", executor=Processes(workers=1), **options
    )
    there.search(X, Y, **fit)
    assert [t.status for t in here.oracle.trials.values()] == ["COMPLETED"] * 3
    assert record_of(tmp_path / "here") == record_of(tmp_path / "there")
    if way in ("fit", "super"):
        score = there.oracle.get_best_trials()[0].score
        found = there.get_best_models()[0].evaluate(X, Y, verbose=0)
        assert found == pytest.approx(score)


def test_hooks_of_a_tuner_are_called_in_a_worker_process(tmp_path):
    for name, executor in (("here", None), ("there", Processes(workers=1))):
        tuner = tuner_in(tmp_path / name, Hooked, executor=executor)
        tuner.search(X, Y, **FIT)
    here, there = (
        (tmp_path / name / "epochs.txt").read_text()
        for name in ("here", "there")
    )
    assert len(here.splitlines()) == 6
    assert here == there


def test_costs_of_a_hypermodel_with_its_own_fit_are_measured(tmp_path):
    objective = ["val_loss", "train_seconds", "latency_ms", "params"]
    tuner = tuner_in(
        tmp_path / "p",
        hypermodel=OwnFit(),
        objective=objective,
        constraints=[at_most("latency_ms", 1e6)],
    )
    tuner.search(X, Y, **FIT)
    assert len(tuner.oracle.get_pareto_trials()) > 0
    for trial in tuner.oracle.trials.values():
        assert trial.status == "COMPLETED", trial.message
        units = trial.hyperparameters.get("units")
        assert trial.metrics.get_best_value("params") == 6 * units + 1
        assert trial.metrics.get_best_value("latency_ms") > 0
        assert trial.metrics.get_best_value("train_seconds") > 0


def in_all_ways(method, own):
    """Functions of all signatures that take the same four arguments."""

    def named(self, a, x, y, epochs=1):
        return own(self, a, x, y, epochs)

    def star(self, a, *args, **kwargs):
        assert not {"verbose", "shuffle"} & set(kwargs)
        return own(self, a, *args, kwargs["epochs"])

    def keyword_only(self, a, x, y, *, epochs):
        return own(self, a, x, y, epochs)

    return {"named": named, "star": star, "keyword_only": keyword_only}[method]


@pytest.mark.parametrize("signature", ["named", "star", "keyword_only"])
def test_run_trial_is_given_what_the_user_has_passed(tmp_path, signature):
    def own(self, trial, x, y, epochs):
        model = self.hypermodel.build(trial.hyperparameters)
        history = model.fit(x, y, epochs=epochs, verbose=0)
        return history.history["loss"][-1]

    cls = type("Own", (EvoTuner,), {"run_trial": in_all_ways(signature, own)})
    tuner = tuner_in(tmp_path / "p", cls, verbose=None)
    tuner.search(X, Y, epochs=2)
    statuses = [trial.status for trial in tuner.oracle.trials.values()]
    assert statuses == ["COMPLETED"] * 3


def own_fits():
    def named(self, hp, model, x, y, validation_data, callbacks, epochs):
        return model.fit(
            x,
            y,
            validation_data=validation_data,
            callbacks=callbacks,
            epochs=epochs,
        )

    def without_callbacks(self, hp, model, x, y, validation_data, epochs):
        return model.fit(x, y, validation_data=validation_data, epochs=epochs)

    def star(self, hp, model, *args, **kwargs):
        assert "verbose" not in kwargs
        return model.fit(*args, **kwargs)

    def loud(self, hp, model, *args, **kwargs):
        return model.fit(*args, verbose=2, **kwargs)

    def a_number(self, hp, model, *args, **kwargs):
        return model.fit(*args, **kwargs).history["val_loss"][-1]

    def several(self, hp, model, *args, **kwargs):
        logs = model.fit(*args, **kwargs).history["val_loss"]
        return [{"val_loss": value} for value in logs]

    return [named, without_callbacks, star, loud, a_number, several]


@pytest.mark.parametrize("fit", own_fits(), ids=lambda one: one.__name__)
def test_fit_is_given_what_the_user_has_passed(tmp_path, fit):
    kind = type("Own", (OwnFit,), {"fit": fit})
    tuner = tuner_in(tmp_path / "p", hypermodel=kind(), max_trials=2)
    printed = io.StringIO()
    with contextlib.ExitStack() as stack:
        stack.enter_context(contextlib.redirect_stdout(printed))
        if fit.__name__ == "without_callbacks":
            words = "it called no callbacks"
            stack.enter_context(pytest.warns(UserWarning, match=words))
        tuner.search(X, Y, **FIT)
    statuses = [trial.status for trial in tuner.oracle.trials.values()]
    assert statuses == ["COMPLETED"] * 2
    # Keras prints only if the user's own code asks it to.
    assert ("Epoch" in printed.getvalue()) == (fit.__name__ == "loud")


@pytest.mark.parametrize("forgotten", ["epochs", "initial_epoch"])
def test_a_fit_that_keeps_to_no_epochs_is_told(tmp_path, forgotten):
    class Forgets(OwnFit):
        def fit(self, hp, model, x, y, **kwargs):
            given = {**kwargs, forgotten: {"epochs": 4}.get(forgotten, 0)}
            return model.fit(x, y, **given)

    oracle = EvoOracle(
        "val_loss",
        max_trials=6,
        strategy=successive_halving(random_search(), max_epochs=2, factor=2),
        seed=0,
    )
    tuner = EvoTuner(
        oracle, Forgets(), directory=tmp_path, project_name="p", verbose=0
    )
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        tuner.search(X, Y, **FIT)
    words = "must pass `epochs` and `initial_epoch` on"
    assert any(words in str(one.message) for one in said)


@pytest.mark.parametrize(
    "kind", [EvoOracle, keras_tuner.oracles.RandomSearchOracle]
)
def test_a_training_without_an_epoch_is_a_failed_trial(tmp_path, kind):
    def fit(self, hp, model, *args, **kwargs):
        is_wide = hp.get("units") > 15
        return model.fit(*args, **{**kwargs, "epochs": 0 if is_wide else 1})

    hypermodel = type("Own", (OwnFit,), {"fit": fit})()
    oracle = kind("val_loss", 6, seed=1)  # keras-tuner takes 0 for none
    oracle.max_consecutive_failed_trials = 6
    tuner = EvoTuner(oracle, hypermodel, directory=tmp_path)
    tuner.search(X, Y, validation_data=(X, Y), epochs=1, verbose=0)
    statuses = set()
    for trial in oracle.trials.values():
        is_wide = trial.hyperparameters.get("units") > 15
        assert trial.status == ("FAILED" if is_wide else "COMPLETED")
        assert is_wide == ("no epoch" in (trial.message or ""))
        statuses.add(trial.status)
    assert len(oracle.trials) == 6
    assert len(statuses) == 2


def test_metrics_that_are_no_numbers_are_left_out_by_name(tmp_path):
    def fit(self, *args, **kwargs):
        return {"val_loss": 0.5, "confusion": np.eye(2), "note": "good"}

    hypermodel = type("Own", (OwnFit,), {"fit": fit})()
    tuner = tuner_in(tmp_path / "p", cls=EvoTuner, hypermodel=hypermodel)
    with (
        pytest.warns(UserWarning, match="'confusion' of type ndarray"),
        pytest.warns(UserWarning, match="'note' of type str"),
    ):
        tuner.search(X, Y)
    for trial in tuner.oracle.trials.values():
        assert trial.score == 0.5
        assert not trial.metrics.exists("note")


@pytest.mark.parametrize(
    ("result", "words"),
    [
        (None, "must return a `History`"),
        ("0.5", "Received: '0.5' of type str"),
        ({"loss": 1.0}, "training reported \\['loss'\\]"),
        ([], "must return a `History`"),
        (True, "Received: True of type bool"),
        ({"val_loss": "good"}, "Received: 'good' of type str"),
    ],
)
@pytest.mark.parametrize("method", ["HyperModel.fit", "Tuner.run_trial"])
def test_a_wrong_result_is_blamed_on_its_method(
    tmp_path, method, result, words
):
    options = {"cls": EvoTuner}
    if method == "HyperModel.fit":
        kind = type("Own", (OwnFit,), {"fit": lambda *_, **__: result})
        options["hypermodel"] = kind()
    else:
        own = {"run_trial": lambda *_, **__: result}
        options["cls"] = type("Own", (EvoTuner,), own)
    tuner = tuner_in(tmp_path / "p", **options)
    with pytest.raises((TypeError, ValueError), match=words) as caught:
        tuner.search(X, Y)
    if "training" not in words:
        assert f"`{method}`" in str(caught.value)


class Loud(keras.metrics.MeanAbsoluteError):
    """A metric of the user's own, of no registered class."""


@pytest.mark.parametrize(
    "given",
    [
        {"optimizer": "sgd"},
        {"optimizer": keras.optimizers.Adam(0.01)},
        {"loss": "mae"},
        {"metrics": [Loud(name="own")]},
        {"optimizer": "adam", "loss": "mae", "metrics": ["mse"]},
    ],
    ids=lambda given: "-".join(given),
)
@pytest.mark.parametrize("compiles", [True, False])
def test_the_tuner_compiles_and_keeps_what_it_does_not_replace(
    tmp_path, given, compiles
):
    if not compiles and len(given) < 3:
        given = {"optimizer": "rmsprop", "loss": "mse", **given}

    def hypermodel(hp):
        model = keras.Sequential([keras.Input((4,))])
        model.add(keras.layers.Dense(hp.Int("units", 2, 9)))
        model.add(keras.layers.Dense(1))
        if compiles:
            model.compile("adam", "mse", metrics=[Loud(name="loudness")])
        return model

    name = "val_loudness" if compiles and "metrics" not in given else "val_loss"
    oracle = EvoOracle(keras_tuner.Objective(name, "min"), 2, seed=0)
    tuner = EvoTuner(
        oracle, hypermodel, directory=tmp_path, cohort_size=2, **given
    )
    tuner.search(X, Y, verbose=0, **FIT)
    trials = list(oracle.trials.values())
    assert [trial.status for trial in trials] == ["COMPLETED"] * 2
    model = tuner.get_best_models()[0]
    if "optimizer" in given:
        expected = keras.optimizers.get(given["optimizer"])
        assert type(model.optimizer) is type(expected)
        assert model.optimizer is not given["optimizer"]
    if "loss" in given:
        assert model.loss == given["loss"]
    if "own" in str(given):
        assert all(trial.metrics.exists("val_own") for trial in trials)


class OwnData(keras.Sequential):
    """Makes its own data, and takes an argument that Keras does not have."""

    def fit(self, *, noise=0.0, epochs=1, callbacks=None, verbose=0):
        y = Y + noise
        settings = {"epochs": epochs, "callbacks": callbacks}
        return super().fit(X, y, verbose=verbose, **settings)


def own_data(hp):
    layers = [keras.Input((4,)), keras.layers.Dense(hp.Int("units", 1, 9))]
    model = OwnData(layers)
    model.compile("sgd", "mse")
    return model


@pytest.mark.parametrize("given", [{}, {"noise": 100.0}, {"epochs": 2}])
def test_networks_with_their_own_fit_may_bring_their_own_data(tmp_path, given):
    arguments = {"objective": "loss", "hypermodel": own_data, "max_trials": 2}
    tuner = tuner_in(tmp_path / "p", **arguments)
    tuner.search(**given)
    best = tuner.oracle.get_best_trials(2)
    assert [trial.status for trial in best] == ["COMPLETED"] * 2
    assert (best[0].score > 1000.0) == ("noise" in given)
    assert tuner.get_best_models()[0].built


def test_a_network_of_keras_still_needs_data(tmp_path):
    tuner = tuner_in(tmp_path / "p")
    with pytest.raises(ValueError, match="`x` must be data"):
        tuner.search()
    assert not tuner.oracle.trials


@pytest.mark.parametrize("epoch", [None, [], [0, 1], [3, 4]])
def test_a_history_may_be_made_by_hand(tmp_path, epoch):
    def run_trial(self, trial):
        history = keras.callbacks.History()
        history.history = {"val_loss": [2.0, 1.0]}
        if epoch is not None:
            history.epoch = epoch
        return history

    cls = type("Own", (EvoTuner,), {"run_trial": run_trial})
    tuner = tuner_in(tmp_path / "p", cls, max_trials=1)
    tuner.search()
    (trial,) = tuner.oracle.get_best_trials()
    assert trial.score == 1.0
    assert trial.best_step == (4 if epoch == [3, 4] else 1)


class Unsaved(keras.Sequential):
    """Writes no weights where Keras wants them."""

    def save_weights(self, *args, **kwargs):
        pass


@pytest.mark.parametrize("kind", ["cohort", "HyperModel.fit"])
def test_weights_that_a_model_does_not_write_cost_no_trial(tmp_path, kind):
    def unsaved(hp):
        model = Unsaved([keras.Input((4,)), keras.layers.Dense(1)])
        model.compile(keras.optimizers.SGD(hp.Float("rate", 0.01, 0.1)), "mse")
        return model

    hypermodel = unsaved
    if kind == "HyperModel.fit":
        own = {"build": lambda _, hp: unsaved(hp)}
        hypermodel = type("Own", (OwnFit,), own)()
    tuner = tuner_in(tmp_path / "p", hypermodel=hypermodel, max_trials=2)
    with pytest.warns(UserWarning, match="`Unsaved.save_weights` must write"):
        tuner.search(X, Y, **FIT)
    statuses = [trial.status for trial in tuner.oracle.trials.values()]
    assert statuses == ["COMPLETED"] * 2
    with pytest.raises(ValueError, match="were not kept"):
        tuner.get_best_models()
