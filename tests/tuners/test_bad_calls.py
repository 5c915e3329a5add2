"""A call of `search` that no network could train with costs no trial."""

import warnings

import keras
import keras_tuner
import numpy as np
import pytest
from sklearn.model_selection import KFold

from keras_evonas import EvoOracle
from keras_evonas import EvoTuner
from keras_evonas.evolution import successive_halving
from tests.marks import everyday
from tests.training import calls

pytestmark = pytest.mark.keras

EVERYDAY = (
    ("`epochs`", "integer", "2.0"),
    ("`callbacks`", "class Nothing", "`Nothing(...)`"),
    ("`class_weight`", "dictionary", "list", "enumerate"),
    ("`validation_data`", "a pair", "one ndarray"),
    ("`x`", "inputs", "(3,)", "(32, 2)"),
    ("`x`", "batches", "elements", ".batch(32)"),
    ("`y`", "one-hot", "(32,)", "sparse_cat", "to_categorical(y, 4)"),
)


def tuner_of(tmp_path, build, objective="loss", **options):
    def hypermodel(hp):
        hp.Boolean("unused")
        return build()

    return EvoTuner(
        EvoOracle(objective, max_trials=2, seed=0),
        hypermodel,
        directory=tmp_path,
        **options,
    )


@pytest.mark.parametrize("words", everyday(*EVERYDAY, of=calls.BAD))
def test_a_bad_call_costs_no_trial(tmp_path, words):
    build, call = calls.BAD[words]
    tuner = tuner_of(tmp_path, build)

    with pytest.raises(ValueError, match="Received") as caught:
        tuner.search(**call(), verbose=0)

    assert words[0] in str(caught.value)
    assert not tuner.oracle.trials


@pytest.mark.parametrize(
    "name", everyday("arrays", "a step of its own", of=calls.GOOD)
)
def test_a_legal_call_trains(tmp_path, name):
    build, call = calls.GOOD[name]
    tuner = tuner_of(tmp_path, build)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras's own.
        tuner.search(**call(), verbose=0)

    statuses = {trial.status for trial in tuner.oracle.trials.values()}
    assert statuses == {"COMPLETED"}


def test_a_trial_s_own_batch_size_is_that_of_the_check(tmp_path):
    build = calls.regression
    tuner = tuner_of(
        tmp_path,
        lambda: build(batch_size=8),
        fit_arguments=lambda hp: {"batch_size": 8},
    )

    tuner.search(calls.X, calls.Y, verbose=0)

    assert len(tuner.oracle.trials) == 2


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"overwrite": "no"}, "`overwrite` must be `True` or `False`.*'no'"),
        ({"share_programs": 1}, "`share_programs` must be `True`"),
        ({"fit_arguments": {"batch_size": 3}}, "`fit_arguments` must be a fun"),
        ({"fit_arguments": lambda hp: 8}, "`fit_arguments` must return a dict"),
        ({"distribution_strategy": "mirrored"}, "must be a `tf.distribute.Str"),
        ({"optimizer": 3}, "`optimizer` must be a name.*optimizer=3"),
        ({"optimizer": {}}, "`optimizer` must be known to Keras.*={}"),
        ({"loss": 0}, "`loss` must be a name, a function or an object"),
        ({"metrics": [b"mae"]}, "`metrics` must be a name, a function"),
        ({"tuner_id": "../x"}, "`tuner_id` must be a string that can name"),
        ({"cv": [1, 2]}, "`cv` must be an integer of 2 or more"),
        ({"cv": KFold}, "`cv` must be an integer of 2 or more"),
    ],
)
def test_arguments_of_a_wrong_type_remove_nothing(tmp_path, given, message):
    tuner_of(tmp_path, calls.regression).search(calls.X, calls.Y, verbose=0)
    with pytest.raises((TypeError, ValueError), match=message):
        tuner_of(tmp_path, calls.regression, **given)
    kept = tuner_of(tmp_path, calls.regression)
    assert len(kept.oracle.trials) == 2
    for number in (-1, 1.5, "a"):
        with pytest.raises(ValueError, match="`num_models` must be an integer"):
            kept.get_best_models(number)
    with pytest.raises(TypeError, match="`overwrite` must be"):
        kept.finalize(calls.X, calls.Y, overwrite="no")


OWN = {
    "batch_size": (-16, 0, 8.0, "8"),
    "epochs": (0, 1.5),
    "initial_epoch": (5,),
    "steps_per_epoch": (0,),
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, x) for name, all_ in OWN.items() for x in all_]
)
def test_a_trial_s_own_arguments_of_fit_are_checked(tmp_path, name, value):
    """Where the default's are wrong it costs no trial, and else that trial."""

    def own(hp):
        is_wrong = hp.Boolean("is_wrong", default=default)
        return {name: value} if is_wrong else {}

    default = True
    tuner = tuner_of(tmp_path / "default", calls.regression, fit_arguments=own)
    with pytest.raises(ValueError, match=f"`fit_arguments` .*`{name}`"):
        tuner.search(calls.X, calls.Y, epochs=2, verbose=0)
    assert not tuner.oracle.trials

    default = False
    tuner = tuner_of(tmp_path / "other", calls.regression, fit_arguments=own)
    tuner.oracle.max_trials = 4  # The whole space.
    tuner.search(calls.X, calls.Y, epochs=2, verbose=0)
    statuses = set()
    for trial in tuner.oracle.trials.values():
        is_wrong = trial.hyperparameters.get("is_wrong")
        assert trial.status == ("FAILED" if is_wrong else "COMPLETED")
        assert (f"`{name}`" in (trial.message or "")) == is_wrong
        statuses.add(trial.status)
    assert len(statuses) == 2


class OwnEpochs(keras.Sequential):
    """Trains for ten epochs unless it is told otherwise."""

    def fit(self, x, y, epochs=10, **kwargs):
        return super().fit(x, y, epochs=epochs, **kwargs)


def test_a_fit_of_its_own_may_have_other_defaults_of_epochs(tmp_path):
    def build():
        model = OwnEpochs([keras.Input((3,)), keras.layers.Dense(1)])
        model.compile("sgd", "mse")
        return model

    tuner = tuner_of(
        tmp_path,
        build,
        fit_arguments=lambda hp: {"initial_epoch": 8},
        overwrite=np.False_,
    )
    with pytest.warns(UserWarning, match="the model has its own `fit`"):
        tuner.search(calls.X, calls.Y, verbose=0)
    for trial in tuner.oracle.trials.values():
        assert trial.status == "COMPLETED"
        assert trial.best_step in (8, 9)


def two_outputs():
    inputs = keras.Input((3,))
    outputs = [keras.layers.Dense(1, name=name)(inputs) for name in ("a", "b")]
    model = keras.Model(inputs, outputs)
    model.compile("sgd", ["mse", "mse"], metrics={"a": ["mae"]})
    return model


class Reports(keras.callbacks.Callback):
    """Adds a log of its own."""

    def on_epoch_end(self, epoch, logs=None):
        logs["val_own"] = 1.0


class OwnMetrics(keras.Sequential):
    """Reports what only its own method knows."""

    def compute_metrics(self, *args, **kwargs):
        return {**super().compute_metrics(*args, **kwargs), "own": 1.0}


def own_metrics():
    model = OwnMetrics([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    return model


HELD_OUT = {"validation_data": (calls.X, calls.Y)}
TWICE = [calls.Y, calls.Y]
UNREPORTED = {
    "no_validation": ("val_loss", calls.regression, {}, ["loss"]),
    "no_metric": ("val_accuracy", calls.regression, HELD_OUT, ["val_loss"]),
    "of_an_output": (
        "val_mae",
        two_outputs,
        {"y": TWICE, "validation_data": (calls.X, TWICE)},
        ["val_a_mae"],
    ),
    "one_of_two": (["loss", "val_loss"], calls.regression, {}, ["loss"]),
    "folds": ("val_mae", calls.regression, {"cv": 2}, ["val_loss"]),
    "silent_callbacks": (
        "val_loss",
        calls.regression,
        {"callbacks": [keras.callbacks.EarlyStopping("loss")]},
        ["loss"],
    ),
}


@pytest.mark.parametrize("name", UNREPORTED)
def test_an_objective_that_is_never_reported_costs_no_trial(tmp_path, name):
    objective, build, call, reported = UNREPORTED[name]
    call = {"x": calls.X, "y": calls.Y, **call}
    tuner = tuner_of(tmp_path, build, objective, cv=call.pop("cv", None))

    with pytest.raises(ValueError, match="`objective` must name") as caught:
        tuner.search(**call, verbose=0)

    assert all(f"'{one}'" in str(caught.value) for one in reported)
    assert not tuner.oracle.trials


def test_a_hypermodel_without_hyperparameters_costs_no_trial(tmp_path):
    oracle = EvoOracle("loss", max_trials=2, seed=0)
    tuner = EvoTuner(oracle, lambda hp: calls.regression(), directory=tmp_path)
    with pytest.raises(ValueError, match="must have hyperparameters to search"):
        tuner.search(calls.X, calls.Y, verbose=0)
    assert not tuner.oracle.trials


LISTENERS = {
    "EarlyStopping": (keras.callbacks.EarlyStopping("VAL_LOS"), "'val_loss'"),
    "ReduceLROnPlateau": (keras.callbacks.ReduceLROnPlateau("los"), "'loss'"),
    "ModelCheckpoint": (
        keras.callbacks.ModelCheckpoint(
            "best.keras", monitor="val_lss", save_best_only=True
        ),
        "'val_loss'",
    ),
}


@pytest.mark.parametrize("name", LISTENERS)
def test_a_callback_that_listens_to_nothing_costs_no_trial(tmp_path, name):
    callback, near = LISTENERS[name]
    tuner = tuner_of(tmp_path, calls.regression)
    call = {"x": calls.X, "y": calls.Y, **HELD_OUT, "verbose": 0}

    with pytest.raises(ValueError, match=f"`{name}.monitor` must") as caught:
        tuner.search(**call, callbacks=[callback])

    assert f"Did you mean {near}?" in str(caught.value)
    assert not tuner.oracle.trials


def test_a_callback_may_listen_to_the_rate_that_another_one_sets(tmp_path):
    rate = keras.callbacks.LearningRateScheduler(lambda epoch: 0.01)
    stop = keras.callbacks.EarlyStopping("learning_rate", mode="min")
    tuner = tuner_of(tmp_path, calls.regression)

    tuner.search(calls.X, calls.Y, callbacks=[rate, stop], verbose=0)

    assert len(tuner.oracle.trials) == 2


def drawn(hp):
    hp.Int("unused", 1, 9)
    return calls.regression()


def test_a_search_that_goes_on_otherwise_says_so(tmp_path):
    def search(trials, **call):
        oracle = EvoOracle("loss", max_trials=trials, seed=0)
        tuner = EvoTuner(oracle, drawn, directory=tmp_path)
        tuner.search(calls.X, calls.Y, verbose=0, **call)

    search(2, epochs=1)
    search(3, epochs=1, callbacks=[keras.callbacks.TerminateOnNaN()])
    with pytest.warns(UserWarning, match="The 3 trials .*`epochs` was 1, and"):
        search(4, epochs=2)
    with pytest.warns(UserWarning, match="3 of the 4 trials .*`epochs` was 1"):
        search(5, epochs=2)
    with pytest.warns(UserWarning, match="2 of the 5 trials .*`epochs` was 2"):
        search(6, epochs=1)


def test_epochs_that_the_oracle_gives_are_none_of_fit_arguments(tmp_path):
    rungs = successive_halving(min_epochs=1, max_epochs=2)
    tuner = EvoTuner(
        EvoOracle("loss", strategy=rungs, max_trials=3, seed=0),
        drawn,
        directory=tmp_path,
        fit_arguments=lambda hp: {"epochs": hp.Choice("epochs", [2, 4])},
    )
    with pytest.raises(ValueError, match=r"`fit_arguments`.*'epochs' among"):
        tuner.search(calls.X, calls.Y, verbose=0)


def test_hyperband_may_validate_less_often(tmp_path):
    oracle = keras_tuner.oracles.HyperbandOracle(
        "val_loss", max_epochs=6, factor=3, hyperband_iterations=1, seed=0
    )  # Its trainings have 2 or 6 epochs.
    tuner = EvoTuner(oracle, drawn, directory=tmp_path, verbose=0)
    tuner.search(calls.X, calls.Y, **HELD_OUT, validation_freq=2)
    assert {x.status for x in oracle.trials.values()} == {"COMPLETED"}


def test_epochs_that_the_oracle_gives_instead_may_change(tmp_path):
    rungs = successive_halving(min_epochs=1, max_epochs=2)
    for trials, epochs in ((2, 1), (3, 5)):
        oracle = EvoOracle("loss", strategy=rungs, max_trials=trials, seed=0)
        tuner = EvoTuner(oracle, drawn, directory=tmp_path)
        tuner.search(calls.X, calls.Y, epochs=epochs, verbose=0)
    assert len(tuner.oracle.trials) == 3


@pytest.mark.parametrize(
    ("settings", "call", "words"),
    [
        ({}, {"epochs": 3, "validation_freq": 4}, "epoch 1 to 3.*longer"),
        (
            {"strategy": successive_halving(max_epochs=9)},
            {"validation_freq": 2},
            "epoch 1 to 1.*`min_epochs`",
        ),
        (
            {"strategy": successive_halving(max_epochs=4, factor=2)},
            {"validation_freq": [1, 2]},
            "epoch 3 to 4.*`min_epochs`",
        ),
    ],
)
def test_trainings_without_a_validation_cost_no_trial(
    settings, call, words, tmp_path
):
    oracle = EvoOracle("val_loss", max_trials=2, seed=0, **settings)
    tuner = EvoTuner(oracle, drawn, directory=tmp_path, verbose=0)
    with pytest.raises(ValueError, match=f"`validation_freq` .*{words}"):
        tuner.search(calls.X, calls.Y, **HELD_OUT, **call)
    assert not oracle.trials


REPORTED = {
    "split": ("val_loss", calls.regression, {"validation_split": 0.5}),
    "validation": ("val_loss", calls.regression, HELD_OUT),
    "folds": ("val_loss", calls.regression, {"cv": 2}),
    "callback": ("val_own", calls.regression, {"callbacks": [Reports()]}),
    "own_method": ("own", own_metrics, {}),
    "of_an_output": (
        "val_a_mae",
        two_outputs,
        {"y": TWICE, "validation_data": (calls.X, TWICE)},
    ),
}


@pytest.mark.parametrize("name", everyday("folds", "callback", of=REPORTED))
def test_an_objective_that_training_reports_is_looked_for(tmp_path, name):
    objective, build, call = REPORTED[name]
    call = {"x": calls.X, "y": calls.Y, **call}
    goal = keras_tuner.Objective(objective, "min")
    tuner = tuner_of(tmp_path, build, goal, cv=call.pop("cv", None))

    tuner.search(**call, verbose=0)

    statuses = {trial.status for trial in tuner.oracle.trials.values()}
    assert statuses == {"COMPLETED"}


class Space(keras_tuner.HyperModel):
    def build(self, hp):
        return calls.regression()


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"hypermodel": Space}, TypeError, ["the class Space", "`Space()`"]),
        (
            {"hypermodel": calls.regression()},
            TypeError,
            ["`keras_evonas.models"],
        ),
        ({"hypermodel": 3}, TypeError, ["hypermodel=3", "function"]),
        ({"executions_per_trial": 0}, ValueError, ["integer of at least 1"]),
        (
            {"executions_per_trial": "2"},
            ValueError,
            ["executions_per_trial='2'"],
        ),
    ],
)
def test_a_bad_argument_is_named_at_once(tmp_path, options, error, words):
    settings = {"hypermodel": Space(), "directory": tmp_path, **options}
    with pytest.raises(error, match="Received") as caught:
        EvoTuner(EvoOracle("loss", max_trials=2, seed=0), **settings)
    assert next(iter(options)) in str(caught.value)
    for word in words:
        assert word in str(caught.value)
    assert not list(tmp_path.iterdir())


def not_compiled():
    return keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])


def test_a_model_that_is_not_compiled_costs_no_trial(tmp_path):
    tuner = tuner_of(tmp_path, not_compiled)
    with pytest.raises(ValueError, match=r"Received: .*not compiled.*compile"):
        tuner.search(np.zeros((8, 2)), np.zeros(8), verbose=0)
    assert not tuner.oracle.trials


@pytest.mark.parametrize(
    ("wrong", "value"),
    [
        ("optimizer", "adamm"),
        ("loss", "msee"),
        ("loss", {"a": "mse", "b": "msee"}),
        ("metrics", ["acc", "maee"]),
    ],
)
def test_names_that_keras_does_not_know_are_named(tmp_path, wrong, value):
    given = {"optimizer": "adam", "loss": "mse", wrong: value}
    with pytest.raises(ValueError, match=f"`{wrong}` must.*Received.*{wrong}="):
        tuner_of(tmp_path, not_compiled, **given)


def test_names_that_keras_knows_are_taken(tmp_path):
    given = {"optimizer": "adam", "loss": "mse", "metrics": ["mae", "accuracy"]}
    tuner = tuner_of(tmp_path, not_compiled, **given)
    tuner.search(np.zeros((8, 2)), np.zeros((8, 1)), verbose=0)
    statuses = {trial.status for trial in tuner.oracle.trials.values()}
    assert statuses == {"COMPLETED"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("directory", 3),
        ("project_name", 3),
        ("max_model_size", "big"),
        ("share_programs", "yes"),
    ],
)
def test_arguments_of_a_wrong_type_are_named(tmp_path, name, value):
    given = {"directory": tmp_path, name: value}
    oracle = EvoOracle("loss", max_trials=2)
    with pytest.raises((TypeError, ValueError)) as caught:
        EvoTuner(oracle, lambda hp: not_compiled(), **given)
    for part in (f"`{name}` must be", "Received", f"{name}={value!r}"):
        assert part in str(caught.value)


def test_hyperparameters_that_are_none_say_what_to_pass():
    with pytest.raises(TypeError, match=r"`hyperparameters`.*Received.*Fixed"):
        EvoOracle("loss", max_trials=2, hyperparameters={"units": 3})
