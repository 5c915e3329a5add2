"""Cross-validation: folds are members of one cohort."""

import keras
import keras_tuner
import numpy as np
import pytest
import tensorflow as tf
from sklearn import model_selection

from keras_evonas import EvolutionarySearch
from keras_evonas import EvoTuner
from keras_evonas import reports
from keras_evonas.fresh_thread import with_fresh_keras
from keras_evonas.training import FitArguments
from keras_evonas.training.folds import check_cv
from keras_evonas.training.folds import folds_of

pytestmark = pytest.mark.keras

RNG = np.random.default_rng(0)
X = RNG.random((31, 4), "float32")
Y = np.arange(31) % 3


def build(hp):
    model = keras.Sequential([keras.Input((4,))])
    model.add(keras.layers.Dense(hp.Int("units", 2, 9), activation="relu"))
    model.add(keras.layers.Dropout(0.3))
    model.add(keras.layers.Dense(3, activation="softmax"))
    model.compile(
        "sgd", "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    return model


def tuner_in(folder, cv, **options):
    return EvolutionarySearch(
        options.pop("hypermodel", build),
        "val_loss",
        options.pop("max_trials", 2),
        seed=5,
        cv=cv,
        directory=folder,
        project_name="p",
        verbose=0,
        **options,
    )


def rows_of(fold):
    """The examples of a fold, by their place in the data."""
    places = {row.tobytes(): place for place, row in enumerate(X)}
    inputs, targets = fold.x, fold.y
    held_out, held_out_targets = fold.validation_data[:2]
    train = [places[row.tobytes()] for row in np.asarray(inputs)]
    test = [places[row.tobytes()] for row in np.asarray(held_out)]
    np.testing.assert_array_equal(np.asarray(targets), Y[train])
    np.testing.assert_array_equal(np.asarray(held_out_targets), Y[test])
    return train, test


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("number", [2, 3, 31])
def test_a_number_holds_every_example_out_once(seed, number):
    folds = folds_of(FitArguments(x=X, y=Y), number, seed=seed)
    held_out = []
    for fold in folds:
        train, test = rows_of(fold)
        assert sorted(train + test) == list(range(31))
        held_out += test
    assert sorted(held_out) == list(range(31))
    sizes = [len(fold.validation_data[0]) for fold in folds]
    assert len(sizes) == number
    assert max(sizes) - min(sizes) <= 1


def test_a_splitter_is_followed_also_for_one_hot_targets():
    splitter = model_selection.StratifiedKFold(3)
    expected = list(splitter.split(X, Y))
    for fold, (train, test) in zip(
        folds_of(FitArguments(x=X, y=Y), splitter, seed=0),
        expected,
        strict=True,
    ):
        assert rows_of(fold) == (list(train), list(test))
    one_hot = np.eye(3)[Y]
    folds = folds_of(FitArguments(x=X, y=one_hot), splitter, seed=0)
    for fold, (train, _) in zip(folds, expected, strict=True):
        np.testing.assert_array_equal(fold.x, X[train])


def test_structures_tensors_and_weights_are_split_alike():
    weight = np.arange(31.0)
    arguments = FitArguments(
        x={"a": X, "b": tf.constant(X)}, y=Y, sample_weight=weight
    )
    for fold in folds_of(
        arguments, check_cv(iter([(range(9), [20])] * 2)), seed=0
    ):
        np.testing.assert_array_equal(fold.x["a"], X[:9])
        np.testing.assert_array_equal(fold.x["b"], X[:9])
        np.testing.assert_array_equal(fold.sample_weight, weight[:9])
        inputs, target, held_out = fold.validation_data
        np.testing.assert_array_equal(inputs["a"], X[20:21])
        assert (target, held_out) == (Y[20], weight[20])


def test_a_trial_is_the_mean_of_its_folds_each_as_if_alone(tmp_path):
    cv = model_selection.KFold(2)
    tuner = tuner_in(tmp_path, cv, executions_per_trial=2, max_trials=1)
    tuner.search(X, Y, epochs=2)

    for trial_id, trial in tuner.oracle.trials.items():
        assert trial.status == "COMPLETED"
        curves = tuner.learning_curves(trial_id)
        best = [min(one["val_loss"]) for one in curves]
        assert len(best) == 4
        assert trial.score == pytest.approx(np.mean(best))
        spread = trial.metrics.get_best_value("val_loss_std")
        assert spread == pytest.approx(np.std(best, ddof=1))

    def alone(hp, train, test, seed):
        keras.utils.set_random_seed(seed)
        held_out = (X[test], Y[test])
        return (
            build(hp)
            .fit(X[train], Y[train], 32, 2, 0, validation_data=held_out)
            .history
        )

    trial = tuner.oracle.get_best_trials(1)[0]
    curves = tuner.learning_curves(trial.trial_id)
    splits = list(cv.split(X))
    for place, seed, fold in ((0, 5, 0), (3, 6, 1)):
        hp = trial.hyperparameters
        assert curves[place] == with_fresh_keras(
            lambda a=(hp, *splits[fold], seed): alone(*a)
        )
    best_loss = [min(one["val_loss"]) for one in curves]
    test = splits[np.argmin(best_loss) % 2][1]
    model = tuner.get_best_models()[0]
    loss, _ = model.evaluate(X[test], Y[test], verbose=0)
    assert loss == pytest.approx(min(best_loss), rel=1e-5)

    table = reports.load(tmp_path / "p").to_dataframe()
    assert table["metric.val_loss_std"].notna().all()


def test_a_search_that_goes_on_with_other_folds_says_so(tmp_path):
    def search(trials, cv):
        tuner_in(tmp_path, cv, max_trials=trials).search(X, Y, epochs=1)

    search(1, model_selection.KFold(2, shuffle=True, random_state=0))
    search(2, model_selection.KFold(2, shuffle=True, random_state=0))
    with pytest.warns(UserWarning, match="`splits of cv` has other values"):
        search(3, model_selection.KFold(2, shuffle=True, random_state=1))
    with pytest.warns(UserWarning, match="`cv` was 2, and is 3"):
        search(4, 3)


@pytest.mark.slow
def test_the_search_goes_on_with_a_number(tmp_path):
    tuner_in(tmp_path, 2, max_trials=1).search(X, Y, epochs=1)
    again = tuner_in(tmp_path, 2)
    again.search(X, Y, epochs=1)
    assert len(again.oracle.end_order) == 2


@pytest.mark.parametrize("cv", [1, 0, True, 2.5, "five", object()])
def test_what_is_no_split_is_refused_at_once(tmp_path, cv):
    with pytest.raises(ValueError, match="`cv` must be an integer"):
        tuner_in(tmp_path, cv)


@pytest.mark.parametrize(
    ("cv", "message"),
    [
        (40, "must not exceed the number of examples"),
        ([([0], [1])], "two folds or more"),
        ([([0], [40])] * 2, "fold 0 with an index beyond the 31 examples"),
        ([([0, 1], [1])] * 2, "examples to train on among those"),
        ([([0], [])] * 2, "a part that holds no indices"),
        ([([0], [1], [2])] * 2, "3 parts instead of two"),
        (model_selection.KFold(3, shuffle=True), "with a `random_state`"),
        (model_selection.ShuffleSplit(3), "with a `random_state`"),
    ],
)
def test_bad_splits_are_named(cv, message):
    with pytest.raises(ValueError, match=message):
        folds_of(FitArguments(x=X, y=Y), cv, seed=0)


@pytest.mark.parametrize(
    ("fit", "message"),
    [
        ({"validation_data": (X, Y)}, "cv and validation_data"),
        ({"validation_split": 0.2}, "cv and validation_split=0.2"),
        ({"x": tf.data.Dataset.from_tensor_slices(X)}, "must be arrays"),
        ({"y": None}, "no `x` or no `y`"),
        ({"y": Y[:-1]}, r"equally many .*'x': \[31\], 'y': \[30\]"),
    ],
)
def test_data_that_cannot_be_split_are_refused(tmp_path, fit, message):
    tuner = tuner_in(tmp_path, 2)
    with pytest.raises(ValueError, match=message):
        tuner.search(**{"x": X, "y": Y, **fit})
    assert not tuner.oracle.trials


def test_folds_need_networks_that_begin_anew_and_train_together(tmp_path):
    oracle = keras_tuner.oracles.HyperbandOracle("val_loss")
    with pytest.raises(ValueError, match="begin anew"):
        EvoTuner(oracle, build, cv=2, directory=tmp_path)

    class Own(keras_tuner.HyperModel):
        def build(self, hp):
            return build(hp)

        def fit(self, hp, model, *args, **kwargs):
            return model.fit(*args, **kwargs)

    tuner = tuner_in(tmp_path, 2, hypermodel=Own())
    with pytest.raises(ValueError, match="has its own `fit`"):
        tuner.search(X, Y)
