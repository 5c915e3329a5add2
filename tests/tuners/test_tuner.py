"""`EvoTuner` against keras-tuner's own Tuner, and what it promises beside."""

import functools
import gc
import json
import os
import pathlib
import subprocess
import sys
import typing
import warnings

import keras
import keras_tuner
import numpy as np
import pytest
import tensorflow as tf

from keras_evonas import EvolutionarySearch
from keras_evonas import EvoOracle
from keras_evonas import EvoTuner
from keras_evonas.commands.status import status_of
from keras_evonas.evolution import successive_halving
from keras_evonas.fresh_thread import with_fresh_keras
from tests.marks import everyday

pytestmark = pytest.mark.keras

RNG = np.random.default_rng(0)
X = RNG.random((60, 6), "float32")
Y = RNG.integers(0, 3, 60)
HELD_OUT = (RNG.random((20, 6), "float32"), RNG.integers(0, 3, 20))
FIT = {"epochs": 2, "validation_data": HELD_OUT, "verbose": 0}


def build(hp):
    model = keras.Sequential([keras.Input((6,))])
    units = hp.Int("units", 2, 40)
    model.add(keras.layers.Dense(units, activation="relu"))
    model.add(keras.layers.Dropout(0.2))
    model.add(keras.layers.Dense(3, activation="softmax"))
    rate = hp.Float("rate", 1e-3, 1e-1, sampling="log")
    model.compile(
        keras.optimizers.SGD(rate, momentum=0.9),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model


@functools.cache
def _what_tensorflow_says_without_room():
    with pytest.raises(tf.errors.ResourceExhaustedError) as caught:
        keras.layers.Dense(10**6).build((None, 10**7))
    return str(caught.value)


def huge_layer():
    """Fails as a layer of 40 TB; oneDNN waits ten seconds for each of those."""
    raise tf.errors.ResourceExhaustedError(
        None, None, _what_tensorflow_says_without_room()
    )


def alone(hp, seed=0, **fit):
    def run():
        keras.utils.set_random_seed(seed)
        return build(hp).fit(X, Y, **{**FIT, **fit}).history

    return with_fresh_keras(run)


def search(tmp_path, oracle=None, hypermodel=build, fit=None, **options):
    oracle = oracle or EvoOracle("val_loss", max_trials=3, seed=0)
    tuner = EvoTuner(
        oracle, hypermodel, directory=tmp_path, project_name="p", **options
    )
    tuner.search(X, Y, **{**FIT, **(fit or {})})
    return tuner


ORACLES = {
    "evolution": lambda: EvoOracle("val_loss", max_trials=4, seed=3),
    "random": lambda: keras_tuner.oracles.RandomSearchOracle(
        "val_loss", max_trials=4, seed=3
    ),
    "bayesian": lambda: keras_tuner.oracles.BayesianOptimizationOracle(
        "val_loss", max_trials=4, seed=3, num_initial_points=3
    ),
    "grid": lambda: keras_tuner.oracles.GridSearchOracle(
        "val_loss", max_trials=4, seed=3
    ),
}


class Asking(keras.callbacks.Callback):
    """Tells the state of the search, and whether another may begin in it."""

    folder = ""
    said: typing.ClassVar = []

    def on_train_begin(self, logs=None):
        taken = subprocess.run(
            [sys.executable, "-c", TAKING, self.folder],
            capture_output=True,
            text=True,
            check=False,
        )
        self.said.append((status_of(self.folder), taken.stderr))


TAKING = """
import sys
from keras_evonas.project.lock import FolderLock
FolderLock(sys.argv[1]).take()
"""


@pytest.mark.parametrize(  # A grid cannot be resumed.
    "name", everyday("random", of=[n for n in ORACLES if n != "grid"])
)
def test_a_folder_belongs_to_one_search_of_any_oracle(tmp_path, name):
    Asking.folder, Asking.said = str(tmp_path / "p"), []
    for trials in (1, 2):  # The second search goes on.
        oracle = ORACLES[name]()
        oracle.max_trials = trials
        search(tmp_path, oracle, fit={"callbacks": [Asking()]})
        assert len(oracle.trials) == trials
        assert status_of(Asking.folder).startswith("Finished: ")
    assert len(Asking.said) == 2
    for status, error in Asking.said:
        assert status.startswith(f"Running in process {os.getpid()} on ")
        assert "must belong to one search" in error
    subprocess.run([sys.executable, "-c", TAKING, Asking.folder], check=True)


@pytest.mark.parametrize("name", everyday("evolution", of=ORACLES))
def test_trials_of_any_oracle_are_those_of_training_alone(tmp_path, name):
    tuner = search(tmp_path, ORACLES[name](), cohort_size=3, seed=3)

    trials = tuner.oracle.trials
    assert len(trials) == 4
    for trial_id, trial in trials.items():
        expected = alone(trial.hyperparameters, seed=3)
        assert tuner.learning_curves(trial_id) == [expected]
        assert trial.status == "COMPLETED"
        assert trial.score == pytest.approx(min(expected["val_loss"]))
        assert trial.best_step == int(np.argmin(expected["val_loss"]))
    assert not tuner.oracle.ongoing_trials
    assert not tuner.oracle.tuner_ids


@pytest.mark.slow
def test_hyperband_goes_on_from_the_weights_of_its_trials(tmp_path):
    oracle = keras_tuner.oracles.HyperbandOracle(
        "val_loss", max_epochs=4, factor=2, seed=1
    )
    tuner = search(tmp_path, oracle, cohort_size=4, fit={"shuffle": False})

    promoted = [
        trial
        for trial in tuner.oracle.trials.values()
        if "tuner/trial_id" in trial.hyperparameters.values
    ]
    assert promoted
    for trial in promoted:
        values = trial.hyperparameters.values
        (curves,) = tuner.learning_curves(trial.trial_id)
        length = values["tuner/epochs"] - values["tuner/initial_epoch"]
        assert len(curves["loss"]) == length
        parent = tuner.oracle.trials[values["tuner/trial_id"]]

        def run(trial=trial, parent=parent, values=values):
            keras.utils.set_random_seed(1)
            model = build(trial.hyperparameters)
            path = tmp_path / f"p/trial_{parent.trial_id}"
            optimizer, model.optimizer = model.optimizer, None
            model.load_weights(path / "checkpoint.weights.h5")
            model.optimizer = optimizer
            return model.fit(
                X,
                Y,
                **{**FIT, "shuffle": False, "epochs": values["tuner/epochs"]},
                initial_epoch=values["tuner/initial_epoch"],
            ).history

        assert curves == with_fresh_keras(run)


def test_executions_have_seeds_of_their_own_and_are_averaged(tmp_path):
    oracle = EvoOracle("val_accuracy", max_trials=1, seed=0)
    tuner = search(tmp_path, oracle, executions_per_trial=2, cohort_size=4)

    for trial_id, trial in tuner.oracle.trials.items():
        expected = [alone(trial.hyperparameters, seed) for seed in (0, 1)]
        assert tuner.learning_curves(trial_id) == expected
        best = [max(curves["val_accuracy"]) for curves in expected]
        assert trial.score == pytest.approx(np.mean(best))


def test_best_models_have_the_weights_of_their_best_epochs(tmp_path):
    fit = {"epochs": 6, "callbacks": [keras.callbacks.EarlyStopping("loss")]}
    tuner = search(tmp_path, fit=fit, keep_checkpoints="all")

    models = tuner.get_best_models(9)
    trials = tuner.oracle.get_best_trials(3)
    assert len(models) == 3
    for model, trial in zip(models, trials, strict=True):
        loss = model.evaluate(*HELD_OUT, verbose=0, return_dict=True)["loss"]
        assert loss == pytest.approx(trial.score, rel=1e-5)


@pytest.mark.parametrize(
    ("policy", "kept"),
    [
        ("top_k", 2),
        *(
            pytest.param(policy, kept, marks=pytest.mark.slow)
            for policy, kept in {"best": 1, "all": 4, "none": 0}.items()
        ),
    ],
)
def test_only_the_wanted_checkpoints_stay(tmp_path, policy, kept):
    oracle = EvoOracle("val_loss", max_trials=4, seed=0)
    tuner = search(
        tmp_path, oracle, keep_checkpoints=policy, top_k=2, cohort_size=2
    )

    files = list(pathlib.Path(tmp_path).glob("p/trial_*/*.weights.h5"))
    best = tuner.oracle.get_best_trials(kept)
    assert {f.parent.name for f in files} == {
        f"trial_{trial.trial_id}" for trial in best
    }
    if kept == 0:
        with pytest.raises(ValueError, match="keep_checkpoints='all'"):
            tuner.get_best_models()


@pytest.mark.slow
def test_arguments_of_fit_can_be_hyperparameters(tmp_path):
    tuner = search(
        tmp_path,
        EvoOracle("val_loss", max_trials=3, seed=0),
        fit_arguments=lambda hp: {
            "batch_size": hp.Choice("batch", [7, 20]),
            "epochs": hp.Int("epochs", 1, 3),
        },
    )

    seen = set()
    for trial_id, trial in tuner.oracle.trials.items():
        batch, epochs = (
            trial.hyperparameters.get(n) for n in ("batch", "epochs")
        )
        seen.add((batch, epochs))
        assert tuner.learning_curves(trial_id) == [
            alone(trial.hyperparameters, batch_size=batch, epochs=epochs)
        ]
    assert len(seen) > 1


def test_bad_members_are_recorded_and_touch_nobody(tmp_path):
    def trouble(hp):
        kind = hp.Choice("kind", ["good", "bad", "nan", "huge", "raw", "wide"])
        if kind == "bad":
            raise ArithmeticError("cannot be built")
        if kind == "wide":
            model = keras.Sequential([keras.Input((7,)), keras.layers.Dense(3)])
            model.compile("sgd", "mse")
            return model
        if kind == "huge":
            huge_layer()
        if kind == "raw":
            return keras.Sequential([keras.Input((6,)), keras.layers.Dense(3)])
        model = build(hp)
        if kind == "nan":
            model.optimizer.learning_rate = float("nan")
        return model

    kinds = ["good", "nan", "bad", "huge", "raw", "good", "wide"]
    population = [
        {"kind": kind, "units": 5 + i, "rate": 0.01}
        for i, kind in enumerate(kinds)
    ]
    hp = keras_tuner.HyperParameters()
    hp.Choice("kind", ["good", "bad", "nan", "huge", "raw", "wide"])
    build(hp)
    oracle = EvoOracle(
        "val_loss",
        max_trials=len(kinds),
        hyperparameters=hp,
        initial_population=population,
        max_consecutive_failed_trials=9,
        seed=0,
    )
    tuner = search(tmp_path, oracle, trouble, cohort_size=len(kinds))

    trials = [tuner.oracle.trials[i] for i in sorted(tuner.oracle.trials)]
    for trial, kind in zip(trials, kinds, strict=True):
        expected = "COMPLETED" if kind == "good" else "FAILED"
        assert trial.status == expected, (kind, trial.message)
    messages = {k: t.message for k, t in zip(kinds, trials, strict=True)}
    assert "cannot be built" in messages["bad"]
    assert messages["huge"].startswith("Infeasible: It does not fit")
    assert "model.compile" in messages["raw"]
    assert "never finite" in messages["nan"]
    assert "incompatible" in messages["wide"]
    for trial in (trials[0], trials[5]):
        assert tuner.learning_curves(trial.trial_id) == [
            alone(trial.hyperparameters)
        ]


def test_networks_that_are_too_large_do_not_end_the_search(tmp_path):
    def huge(hp):
        if hp.Int("units", 0, 100, default=100) < 60:
            huge_layer()
        return build(keras_tuner.HyperParameters())

    oracle = EvoOracle("val_loss", max_trials=8, seed=0)
    tuner = search(tmp_path, oracle, huge, cohort_size=2, fit={"epochs": 1})

    status = [trial.status for trial in tuner.oracle.trials.values()]
    assert status.count("FAILED") > 3
    assert status.count("COMPLETED") > 0


@keras.saving.register_keras_serializable("keras_evonas_tests")
class OfAClassOfItsOwn(keras.Model):
    """Knows the shape of its input only when it sees one."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.hidden = keras.layers.Dense(units, activation="relu")
        self.out = keras.layers.Dense(3, activation="softmax")

    def call(self, x, training=False):
        return self.out(self.hidden(x))

    def get_config(self):
        return {**super().get_config(), "units": self.units}


def build_of_own_class(hp):
    model = OfAClassOfItsOwn(hp.Int("units", 2, 40))
    model.compile("sgd", "sparse_categorical_crossentropy")
    return model


@pytest.mark.slow
def test_weights_of_a_subclassed_model_are_found_again(tmp_path):
    oracle = EvoOracle(
        "val_loss",
        max_trials=5,
        strategy=successive_halving(max_epochs=2, factor=2),
        seed=0,
    )
    tuner = search(tmp_path, oracle, build_of_own_class)

    trials = oracle.get_best_trials(9)
    models = tuner.get_best_models(9)
    assert len(models) == len(trials) > 1
    for trial, model in zip(trials, models, strict=True):
        assert trial.status == "COMPLETED"
        loss = model.evaluate(*HELD_OUT, verbose=0)
        assert loss == pytest.approx(trial.score, rel=1e-5)
        same = tuner.load_model(trial.trial_id)
        assert same.evaluate(*HELD_OUT, verbose=0) == loss
    promoted = [t for t in trials if "tuner/trial_id" in t.hyperparameters]
    assert promoted

    finals = tuner.finalize(
        X, Y, validation_data=(X + 1, Y), epochs=1, top_k=1, repeats=1
    )
    assert isinstance(finals.load_model(), OfAClassOfItsOwn)


def test_what_no_network_could_train_with_costs_no_trial(tmp_path):
    for fit in ({"epochs": 0}, {"validation_data": (X, Y[:3])}):
        with pytest.raises(ValueError, match=r"`epochs`|`validation_data`"):
            search(tmp_path, fit=fit)
    with pytest.raises(ValueError, match="hypermodel=None"):
        search(tmp_path / "none", hypermodel=None)

    tuner = search(tmp_path, fit={"epochs": 1})
    assert {t.status for t in tuner.oracle.trials.values()} == {"COMPLETED"}
    assert len(tuner.oracle.trials) == 3


def test_a_search_that_brings_nothing_says_so(tmp_path):
    def broken(hp):
        units = hp.Choice("units", [2, 4])
        if tuner is not None:
            raise ArithmeticError(f"no {units} units")
        return build(hp)

    tuner = None
    tuner = EvoTuner(
        EvoOracle("val_loss", max_trials=2, seed=0),
        broken,
        directory=tmp_path,
        verbose=0,
    )
    with pytest.warns(UserWarning, match=r"None of 2 trials.* no [24] units"):
        tuner.search(X, Y, **FIT)
    assert tuner.get_best_models() == []


def test_lines_are_printed_only_if_wanted(tmp_path, capsys):
    oracle = EvoOracle("val_loss", max_trials=1, seed=0)
    search(tmp_path / "a", oracle, fit={"epochs": 1})
    assert capsys.readouterr().out == ""

    search(tmp_path / "b", fit={"epochs": 1}, verbose=1)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4
    for i, line in enumerate(lines[:3], start=1):
        assert line.startswith(f"[{i}/3] val_loss ")
        assert " params " in line
    assert lines[3] == "Search stopped: max_trials=3 reached."


def test_a_hypermodel_with_its_own_fit_trains_one_after_another(
    tmp_path, capsys
):
    spared = []

    class Own(keras_tuner.HyperModel):
        def build(self, hp):
            return build(hp)

        def fit(self, hp, model, *args, **kwargs):
            spared.append(gc.get_freeze_count() > 1000)
            return model.fit(*args, batch_size=10, **kwargs)

    oracle = EvoOracle("val_loss", max_trials=2, seed=0)
    tuner = search(tmp_path, oracle, hypermodel=Own(), verbose=1)

    said = capsys.readouterr().out
    assert said.count("one after another: the hypermodel has its own") == 1
    assert spared == [True, True]
    for trial_id, trial in tuner.oracle.trials.items():
        (curves,) = tuner.learning_curves(trial_id)
        assert curves == alone(trial.hyperparameters, batch_size=10)
    assert len(tuner.get_best_models(2)) == 2


def test_callbacks_write_into_folders_of_their_trials(tmp_path):
    logs = tmp_path / "logs"
    tuner = search(
        tmp_path,
        fit={
            "callbacks": [
                keras.callbacks.CSVLogger(str(logs / "run.csv")),
                keras.callbacks.ModelCheckpoint(str(logs / "last.keras")),
                keras.callbacks.LearningRateScheduler(lambda epoch: 0.01),
            ]
        },
    )

    for trial_id in tuner.oracle.trials:
        folder = logs / trial_id / "execution0"
        (curves,) = tuner.learning_curves(trial_id)
        rows = np.genfromtxt(folder / "run.csv", delimiter=",", names=True)
        np.testing.assert_allclose(rows["val_loss"], curves["val_loss"])
        assert (folder / "last.keras").exists()


class NeverBuilt(keras.Model):
    """Makes its weights when it is trained, and has no `call`."""

    def __init__(self, units):
        super().__init__()
        self.part = keras.layers.Dense(units)

    def train_step(self, data):
        return {"loss": keras.ops.mean(self.part(data[0]))}

    def test_step(self, data):
        return self.train_step(data)


# Keras and the costs warn of such a model.
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_weights_that_cannot_be_loaded_say_why(tmp_path):
    def build_never(hp):
        model = NeverBuilt(hp.Int("units", 2, 9))
        model.compile("sgd")
        return model

    tuner = search(tmp_path, hypermodel=build_never)
    with pytest.raises(ValueError, match="which makes them when it is trained"):
        tuner.get_best_models()


def test_no_trial_goes_on_from_the_backup_of_another(tmp_path):
    backup = tmp_path / "backup"
    callback = keras.callbacks.BackupAndRestore(str(backup))
    tuner = search(
        tmp_path,
        EvoOracle("val_loss", max_trials=3, seed=0),
        cohort_size=2,
        fit={"callbacks": [callback]},
    )
    for trial_id, trial in tuner.oracle.trials.items():
        assert tuner.learning_curves(trial_id) == [alone(trial.hyperparameters)]
    assert not [path for path in backup.rglob("*") if path.is_file()]


@pytest.mark.slow
def test_tensorboard_and_nan_callbacks(tmp_path):
    tuner = search(
        tmp_path,
        EvoOracle("val_loss", max_trials=2, seed=0),
        cohort_size=2,
        fit={
            "callbacks": [
                keras.callbacks.TensorBoard(str(tmp_path / "board")),
                keras.callbacks.TerminateOnNaN(),
            ]
        },
    )

    for trial_id, trial in tuner.oracle.trials.items():
        assert tuner.learning_curves(trial_id) == [alone(trial.hyperparameters)]
        assert list((tmp_path / "board" / trial_id).rglob("events*"))


def test_a_callback_that_cannot_be_copied_is_named_before_training(tmp_path):
    class Holder(keras.callbacks.Callback):
        def __init__(self):
            super().__init__()
            self.file = sys.stdout

        def __deepcopy__(self, memo):
            raise TypeError("cannot copy an open file")

    oracle = EvoOracle("val_loss", max_trials=4, seed=0)
    with pytest.raises(TypeError, match="Holder, which cannot be copied"):
        search(tmp_path, oracle, fit={"callbacks": [Holder()]})
    assert not oracle.trials


@pytest.mark.parametrize("size", [0, -1, 1.5, "all", True])
def test_a_cohort_size_out_of_range_is_refused_at_once(tmp_path, size):
    with pytest.raises(ValueError, match="`cohort_size` must be a positive"):
        search(tmp_path, cohort_size=size)


@pytest.mark.parametrize("trainable", [True, False])
def test_weights_that_networks_share_are_warned_of(tmp_path, trainable):
    base = keras.layers.Dense(3, trainable=trainable, name="base")

    def build(hp):
        model = keras.Sequential([keras.Input((6,)), base])
        model.add(keras.layers.Dense(hp.Int("units", 3, 9)))
        model.compile("sgd", "sparse_categorical_crossentropy")
        return model

    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        search(tmp_path, hypermodel=build)
    said = {str(one.message) for one in seen}
    shared = [one for one in said if "weights of their own" in one]
    assert len(shared) == trainable


def test_unknown_arguments_and_objectives_are_refused(tmp_path):
    with pytest.raises(TypeError, match="`batchsize`, which `fit` does not"):
        search(tmp_path / "a", fit={"batchsize": 3})
    oracle = keras_tuner.oracles.RandomSearchOracle(max_trials=2)
    with pytest.raises(ValueError, match="Pass a name such as"):
        search(tmp_path / "b", oracle)
    oracle = keras_tuner.oracles.RandomSearchOracle("val_auc", max_trials=2)
    with pytest.raises(keras_tuner.errors.FatalValueError, match="val_auc"):
        search(tmp_path / "c", oracle)
    with pytest.raises(ValueError, match="keep_checkpoints='best'"):
        search(
            tmp_path / "d",
            keras_tuner.oracles.HyperbandOracle("val_loss"),
            keep_checkpoints="best",
        )


def test_a_dataset_that_ends_in_the_first_epoch_fails_its_trials(tmp_path):
    data = tf.data.Dataset.from_tensor_slices((X, Y)).batch(20)
    oracle = EvoOracle("loss", max_trials=2, seed=0)
    tuner = EvoTuner(oracle, build, directory=tmp_path, project_name="p")
    with (
        pytest.warns(UserWarning, match="ran out of data"),
        pytest.warns(UserWarning, match="None of 2 trials has completed"),
    ):
        tuner.search(data, steps_per_epoch=9, shuffle=False, verbose=0)

    for trial in oracle.trials.values():
        assert trial.status == "FAILED"
        assert "must give 9 batches" in trial.message


def test_the_shorthand_resumes_and_repeats(tmp_path):
    def run(folder, max_trials):
        tuner = EvolutionarySearch(
            build,
            "val_loss",
            max_trials,
            seed=4,
            directory=folder,
            project_name="p",
            cohort_size=2,
        )
        tuner.search(X, Y, **FIT)
        return [
            (trial_id, trial.hyperparameters.values, trial.score)
            for trial_id, trial in sorted(tuner.oracle.trials.items())
        ]

    half = run(tmp_path / "a", 2)
    whole = run(tmp_path / "a", 3)
    assert whole[:2] == half
    assert run(tmp_path / "a", 3) == whole
    assert run(tmp_path / "b", 3) == whole


def test_tuner_hooks_of_a_subclass_are_called(tmp_path):
    class Hooked(EvoTuner):
        def on_epoch_end(self, trial, model, epoch, logs=None):
            heard.append((trial.trial_id, epoch, logs["val_loss"]))

    heard = []
    oracle = EvoOracle("val_loss", max_trials=3, seed=0)
    tuner = Hooked(
        oracle, build, directory=tmp_path, project_name="p", cohort_size=3
    )
    tuner.search(X, Y, **FIT)

    assert sorted(heard) == [
        (trial_id, epoch, value)
        for trial_id in sorted(oracle.trials)
        for epoch, value in enumerate(
            tuner.learning_curves(trial_id)[0]["val_loss"]
        )
    ]


WORKER = """
import sys
sys.path.insert(0, sys.argv[1])
import test_tuner
from keras_evonas import EvoOracle
test_tuner.search(
    sys.argv[2], EvoOracle("val_loss", max_trials=5, seed=0), cohort_size=2
)
"""


@pytest.mark.slow
def test_it_is_a_worker_of_a_chief(tmp_path):
    here = str(pathlib.Path(__file__).parent)
    port = "48213"

    def start(name):
        return subprocess.Popen(
            [sys.executable, "-c", WORKER, here, str(tmp_path)],
            env={
                **os.environ,
                "KERASTUNER_ORACLE_IP": "127.0.0.1",
                "KERASTUNER_ORACLE_PORT": port,
                "KERASTUNER_TUNER_ID": name,
            },
        )

    processes = [start("chief"), start("worker")]
    assert [process.wait(timeout=500) for process in processes] == [0, 0]
    for path in pathlib.Path(tmp_path).glob("p/trial_*/trial.json"):
        trial = json.loads(path.read_text())
        assert trial["status"] == "COMPLETED"
    assert len(list(pathlib.Path(tmp_path).glob("p/trial_*"))) == 5


def test_a_seed_of_many_bits_trains_too(tmp_path):
    oracle = EvoOracle("val_loss", max_trials=1, seed=0)
    tuner = search(tmp_path, oracle, fit={"epochs": 1}, seed=2**40 + 5)
    assert tuner.oracle.trials
    for trial in tuner.oracle.trials.values():
        expected = alone(trial.hyperparameters, seed=5, epochs=1)
        assert tuner.learning_curves(trial.trial_id) == [expected]


def test_a_folder_of_another_space_is_refused(tmp_path):
    def hypermodel(names):
        def build_with(hp):
            for name in names:
                hp.Choice(name, [1, 2, 3])
            with hp.conditional_scope("a", [2]):
                hp.Boolean("deep")
            # In a loop without scopes, as most people write it.
            for i in range(hp.Int("layers", 1, 3)):
                hp.Int(f"units_{i}", 1, 9)
            return build(keras_tuner.HyperParameters())

        return build_with

    def go(names, trials):
        oracle = EvoOracle("val_loss", max_trials=trials, seed=0)
        search(tmp_path, oracle, hypermodel(names), fit={"epochs": 1})
        return len(oracle.end_order)

    assert go(["a", "b"], 1) == 1
    for names, message in [
        (["a", "c"], "'c' is new.*'b' is not asked for any more"),
        (["a"], "'b' is not asked for any more"),
        (["a", "b", "c"], "'c' is new"),
    ]:
        with pytest.raises(ValueError, match=message) as caught:
            go(names, 4)
        assert "overwrite=True" in str(caught.value)
    assert go(["a", "b"], 2) == 2
    assert go(["b", "a"], 3) == 3  # the order does not matter


def test_what_is_no_model_is_told_with_its_values(tmp_path):
    def none(hp):
        return build(hp) if hp.Boolean("whole", default=True) else None

    oracle = EvoOracle("val_loss", max_trials=9, seed=0)
    tuner = EvoTuner(oracle, none, directory=tmp_path)
    with pytest.raises(keras_tuner.errors.FatalTypeError) as caught:
        tuner.search(X, Y, **FIT)
    assert "None of type NoneType, for the values" in str(caught.value)
    assert "'whole': False" in str(caught.value)
