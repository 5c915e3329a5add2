"""Estimators that search: fitted, pickled, in pipelines, refused."""

import pickle

import keras
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from sklearn.datasets import load_iris
from sklearn.datasets import make_classification
from sklearn.datasets import make_regression
from sklearn.model_selection import GridSearchCV
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

from keras_evonas import at_most
from keras_evonas.models import Classification
from keras_evonas.models import ConvNetwork
from keras_evonas.models import DenseNetwork
from keras_evonas.models import Regression
from keras_evonas.sklearn import EvoClassifier
from keras_evonas.sklearn import EvoRegressor
from keras_evonas.sklearn.preparation import encoder_of

pytestmark = pytest.mark.keras

SMALL = {"max_trials": 1, "epochs": 2, "refit": False, "random_state": 0}
X, Y = make_classification(60, 4, n_classes=2, random_state=0)
FRAME = pd.DataFrame(X[:, :2], columns=["a", "b"])
NAMES = np.array(["no", "yes"])


def one_hot_model(outputs=3, width=8):
    model = keras.Sequential([keras.Input((4,))])
    model.add(keras.layers.Dense(width, activation="relu"))
    model.add(keras.layers.Dense(outputs, activation="softmax"))
    model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
    return model


def of_logits(outputs=2, activation=None):
    """A model that is not compiled."""
    model = keras.Sequential([keras.Input((4,))])
    model.add(keras.layers.Dense(8, activation="relu"))
    model.add(keras.layers.Dense(outputs, activation=activation))
    return model


def test_a_classifier_learns_names_and_predicts_the_same_after_pickling():
    x, y = load_iris(return_X_y=True)
    names = np.array(["setosa", "versicolor", "virginica"])[y]
    train, test = np.arange(0, 150, 2), np.arange(1, 150, 2)
    classifier = EvoClassifier(
        max_trials=2, epochs=60, batch_size=8, refit=2, random_state=0
    )
    assert classifier.fit(x[train], names[train]) is classifier
    assert classifier.score(x[test], names[test]) > 0.9
    probabilities = classifier.predict_proba(x[test])
    assert probabilities.shape == (75, 3)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    restored = pickle.loads(pickle.dumps(classifier))
    np.testing.assert_array_equal(
        restored.predict_proba(x[test]), probabilities
    )
    assert restored.predict(x[test][:1]).tolist() == ["setosa"]
    # What was tried, the best first by its rank.
    results = classifier.cv_results_
    assert len(results["params"]) == 2
    best = int(np.argmin(results["rank_test_score"]))
    assert results["params"][best] == classifier.best_params_
    assert results["mean_test_score"][best] == classifier.best_score_
    assert results["mean_test_score"].max() == classifier.best_score_
    # The model that predicts is the mean of networks of the best parameters.
    members = [
        m for m in classifier.model_.layers if isinstance(m, keras.Model)
    ]
    assert len(members) == 2
    inputs = classifier.encoder_.transform(x[test]).astype("float32")
    mean = np.mean([m.predict(inputs, verbose=0) for m in members], axis=0)
    np.testing.assert_allclose(mean, probabilities, atol=1e-6)


@pytest.mark.slow
def test_a_boolean_of_numpy_refits_as_one_of_python():
    x, y = load_iris(return_X_y=True)
    classifier = EvoClassifier(**{**SMALL, "refit": np.True_}).fit(x, y)
    members = [
        m for m in classifier.model_.layers if isinstance(m, keras.Model)
    ]
    assert len(members) == 5


@pytest.mark.slow
def test_a_regressor_predicts_in_the_scale_of_its_targets():
    x, y = make_regression(120, 3, noise=1.0, random_state=0)
    y = np.stack([y, -1000 * y + 500], axis=1)
    regressor = EvoRegressor(
        max_trials=1, epochs=80, batch_size=8, refit=1, random_state=0
    ).fit(x[:90], y[:90])
    assert regressor.predict(x[90:]).shape == (30, 2)
    assert regressor.score(x[90:], y[90:]) > 0.9
    assert 0.5 < regressor.best_score_ <= 1


@pytest.mark.slow
def test_the_same_random_state_predicts_the_same():
    first, second = (
        EvoClassifier(**{**SMALL, "refit": 2}).fit(X, Y) for _ in range(2)
    )
    np.testing.assert_array_equal(
        first.predict_proba(X), second.predict_proba(X)
    )


def test_frames_with_categories_dates_and_gaps_are_encoded():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "size": rng.normal(size=60),
            "colour": pd.Categorical(rng.choice(["red", "blue"], 60)),
            "town": rng.choice(["Ulm", "Bern"], 60),
            "day": pd.Timestamp("2020-01-01")
            + pd.to_timedelta(rng.integers(0, 900, 60), unit="D"),
            "open": rng.random(60) > 0.5,
        }
    )
    frame["there"] = frame["day"].dt.tz_localize("Asia/Tokyo")
    frame.loc[3, "size"] = np.nan
    frame.loc[4, "town"] = None
    frame["kind"] = frame["town"].astype("string")  # Its gap is `pandas.NA`.
    frame.loc[5, "day"] = pd.NaT
    classifier = EvoClassifier(**SMALL).fit(frame, NAMES[Y])
    assert classifier.feature_names_in_.tolist() == list(frame.columns)
    unknown = frame.assign(town="Oslo", size=np.nan)
    assert set(classifier.predict(unknown)) <= {"no", "yes"}
    with pytest.raises(ValueError, match="feature names should match"):
        classifier.predict(frame.rename(columns={"town": "city"}))
    with pytest.raises(ValueError, match=r"column 'day' of type .*to_datetime"):
        classifier.predict(frame.assign(day=frame["day"].astype(str)))
    with pytest.raises(ValueError, match=r"column 'town' with 60 different"):
        EvoClassifier(**SMALL).fit(
            frame.assign(town=[f"{i} Elm Street" for i in range(60)]), Y
        )


@pytest.mark.parametrize(
    ("fitted", "other", "message"),
    [
        (FRAME, FRAME.to_numpy(), "X does not have valid feature names, but"),
        (FRAME.to_numpy(), FRAME, "X has feature names, but"),
    ],
    ids=["frame", "array"],
)
def test_only_the_estimator_warns_of_names(fitted, other, message):
    classifier = EvoClassifier(**SMALL).fit(fitted, Y)
    expected = classifier.predict_proba(fitted)
    with pytest.warns(UserWarning, match="feature names") as warned:
        found = classifier.predict_proba(other)
    (only,) = (str(w.message) for w in warned if "names" in str(w.message))
    assert only.startswith(f"{message} EvoClassifier was fitted")
    np.testing.assert_array_equal(found, expected)
    with (
        pytest.warns(UserWarning, match="feature names"),
        pytest.raises(ValueError, match="contains NaN"),
    ):
        classifier.predict(np.nan * other)


def test_an_array_stands_for_the_frame_of_its_columns():
    frame = pd.DataFrame({0: X[:, 0], 1: pd.Categorical(Y)})
    classifier = EvoClassifier(**SMALL).fit(frame, Y)
    np.testing.assert_array_equal(
        classifier.predict_proba(frame.to_numpy()),
        classifier.predict_proba(frame),
    )
    with pytest.raises(ValueError, match=r"dim 3.*<= 2"):
        classifier.predict(np.zeros((3, 2, 2)))


@pytest.mark.parametrize("outputs", [1, 2])
def test_a_model_of_logits_is_compiled_as_one(outputs):
    """One that ends in probabilities, with the same weights, learns alike."""
    found = []
    for activation in (None, "softmax" if outputs == 2 else "sigmoid"):
        keras.utils.set_random_seed(1)
        model = of_logits(outputs, activation)
        classifier = EvoClassifier(model, **{**SMALL, "epochs": 20}).fit(X, Y)
        assert classifier.model_.loss.from_logits == (activation is None)
        found.append(classifier.predict_proba(X))
    np.testing.assert_allclose(*found, atol=1e-3)


@pytest.mark.parametrize("space", [DenseNetwork, ConvNetwork])
def test_ready_made_networks_are_checked_as_any_space(space):
    shape = (4,) if space is DenseNetwork else (8, 8, 1)
    x = np.random.default_rng(0).normal(size=(60, *shape))
    by_default = space(shape, Classification(classes=2))  # one-hot labels
    classifier = EvoClassifier(by_default, **SMALL).fit(x, Y)
    assert classifier.predict_proba(x).shape == (60, 2)
    for estimator, head in (
        (EvoClassifier, Classification(classes=5, labels="integer")),
        (EvoRegressor, Regression(outputs=2)),
    ):
        with pytest.raises(ValueError, match="must have one output of"):
            estimator(space(shape, head), **SMALL).fit(x, Y)


@pytest.mark.parametrize(
    "names", [[1, 0, 7], [0.5, 2.5, -1.5], [True, False, 2]]
)
def test_columns_are_told_by_their_places(names):
    rng = np.random.default_rng(0)
    columns = (
        pd.Series(rng.normal(size=60)),
        pd.Series(rng.choice(["red", "blue", "green"], 60), dtype="category"),
        pd.Series(pd.date_range("2020", periods=60)),
    )
    frame, plain = (
        pd.concat(columns, axis=1, keys=range(3)).set_axis(list(n), axis=1)
        for n in (names, "xyz")
    )
    expected = encoder_of(plain).fit_transform(plain)
    assert expected.shape == (60, 1 + 3 + 3)
    np.testing.assert_array_equal(
        encoder_of(frame).fit_transform(frame), expected
    )


@pytest.mark.slow
def test_images_of_four_dimensions_take_convolutions():
    images = np.random.default_rng(0).random((24, 8, 8, 1))
    classifier = EvoClassifier(**SMALL).fit(images, np.arange(24) % 2)
    kinds = {type(layer).__name__ for layer in classifier.model_.layers}
    assert "Conv2D" in kinds
    assert classifier.predict(images).shape == (24,)
    with pytest.raises(ValueError, match=r"two dimensions .* or four"):
        EvoClassifier(**SMALL).fit(images[..., 0], np.arange(24) % 2)


def test_a_keras_model_is_the_first_trial_with_its_weights():
    model = one_hot_model()
    model.optimizer.learning_rate.assign(0.0)
    x, y = load_iris(return_X_y=True)
    classifier = EvoClassifier(model, **SMALL)
    classifier.fit(x, y)
    inputs = classifier.encoder_.transform(x).astype("float32")
    np.testing.assert_allclose(
        classifier.predict_proba(x), model.predict(inputs, verbose=0), atol=1e-5
    )
    # Trained on: its relatives have its parts to change.
    assert any(name.endswith("/units") for name in classifier.best_params_)


@pytest.mark.slow
def test_it_works_in_pipelines_and_grids_that_share_a_directory(tmp_path):
    classifier = EvoClassifier(**SMALL, directory=tmp_path)
    pipeline = make_pipeline(MinMaxScaler(), classifier)
    grid = GridSearchCV(pipeline, {"evoclassifier__batch_size": [8, 16]}, cv=2)
    grid.fit(X, Y)
    assert grid.predict(X).shape == (60,)
    # Each pair of data and arguments has a search of its own: 2 x 2, and one
    # more on all data.
    assert len(list(tmp_path.iterdir())) == 5
    trained = sorted(tmp_path.rglob("trial.json"))
    grid.best_estimator_.fit(X, Y)  # Goes on behind its last trial.
    assert sorted(tmp_path.rglob("trial.json")) == trained


class Halves:
    """A splitter without a name of its own, as its address is another."""

    def __init__(self, parts):
        self.parts = parts

    def split(self, x, y=None, groups=None):
        for part in (0, 1):
            yield tuple(
                np.flatnonzero((self.parts == part) ^ i) for i in (1, 0)
            )


def test_splits_that_differ_do_not_share_a_search(tmp_path):
    first = np.arange(60) % 2
    second = np.repeat([0, 1], 30)
    splitters = [Halves(first), Halves(second), Halves(first)]
    lists = [[*Halves(first).split(X)], Halves(second).split(X)]
    for cv in (*splitters, *lists):
        EvoClassifier(**SMALL, cv=cv, directory=tmp_path).fit(X, Y)
    assert len(list(tmp_path.iterdir())) == 2


def test_spaces_of_one_name_do_not_share_a_search(tmp_path):
    def space(width):
        def build(hp):
            model = one_hot_model(2, width)
            model.optimizer.learning_rate = hp.Float("rate", 1e-3, 1e-1)
            return model

        return build

    for width in (3, 5, 3):
        classifier = EvoClassifier(space(width), **SMALL, directory=tmp_path)
        hidden = classifier.fit(X, Y).model_.layers[-2]
        assert hidden.units == width
    assert len(list(tmp_path.iterdir())) == 2


def test_a_space_of_the_user_is_searched_within_constraints():
    space = DenseNetwork((4,), Regression(), units=(4, 64), depth=(1, 1))
    regressor = EvoRegressor(
        space, **SMALL, cv=2, constraints=[at_most("params", 100)]
    ).fit(X, X[:, 0])
    assert regressor.model_.count_params() <= 100
    assert regressor.predict(X).shape == (60,)


@pytest.mark.parametrize("refit", [False, 2])
@pytest.mark.parametrize("outputs", [1, 2])
def test_logits_of_a_space_of_the_user_become_probabilities(outputs, refit):
    losses = {
        1: keras.losses.BinaryCrossentropy(from_logits=True),
        2: keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    }

    def loss(y_true, y_pred):  # Does not say what it takes.
        return losses[outputs](y_true, y_pred)

    def build(hp):
        # With -3 the classes are not told apart by the sign of a logit.
        start = keras.initializers.Constant(-3.0)
        units = hp.Choice("units", [4, 8])
        model = keras.Sequential([keras.Input((4,))])
        model.add(keras.layers.Dense(units, activation="relu"))
        model.add(keras.layers.Dense(outputs, bias_initializer=start))
        own = loss if refit else losses[outputs]
        model.compile("adam", own, metrics=["accuracy"])
        return model

    classifier = EvoClassifier(build, **{**SMALL, "refit": refit}).fit(X, Y)
    inputs = classifier.encoder_.transform(X)
    logits = classifier.model_.predict(inputs, verbose=0).astype("float64")
    odds = logits[:, -1] - (logits[:, 0] if outputs == 2 else 0)
    found = classifier.predict_proba(X)
    np.testing.assert_allclose(found[:, 1], 1 / (1 + np.exp(-odds)), rtol=1e-5)
    np.testing.assert_allclose(found.sum(axis=1), 1)
    assert classifier.predict(X).tolist() == (odds > 0).tolist()


@pytest.mark.parametrize(
    "loss",
    [
        keras.losses.CategoricalCrossentropy(name="own"),
        keras.losses.CategoricalFocalCrossentropy(),
    ],
)
def test_losses_that_take_one_hot_labels_get_them(loss):
    model = one_hot_model(2)
    model.compile("adam", loss, metrics=["accuracy"])
    classifier = EvoClassifier(model, **SMALL).fit(X, Y)
    assert set(classifier.predict(X)) <= {0, 1}


@pytest.mark.slow
def test_constant_columns_and_rare_classes_do_no_harm():
    constant = np.zeros((20, 2))
    labels = [0] * 19 + [1]
    classifier = EvoClassifier(**{**SMALL, "refit": 2}).fit(constant, labels)
    assert np.isfinite(classifier.predict_proba(constant)).all()
    assert classifier.classes_.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("arguments", "x", "y", "error", "message"),
    [
        ({}, X, np.zeros(60), ValueError, r"at least two classes.*\[0.0\]"),
        ({}, np.full((60, 2), np.nan), Y, ValueError, "contains NaN"),
        ({}, 1e200 * X, Y, ValueError, "`X` must have values that can be sc"),
        ({}, np.full((60, 1), "text"), Y, ValueError, "bytes/strings"),
        ({"max_trials": 0}, X, Y, ValueError, "`max_trials`.*=0"),
        ({"epochs": 1.5}, X, Y, ValueError, r"`epochs`.*=1\.5"),
        ({"refit": 0.5}, X, Y, ValueError, r"`refit`.*=0\.5"),
        ({"batch_size": 0}, X, Y, ValueError, "`batch_size`.*=0"),
        ({"validation_fraction": 1.0}, X, Y, ValueError, r"fraction`.*\(0"),
        ({"cv": 1}, X, Y, ValueError, "`cv`.*=1"),
        ({"space": "dense"}, X, Y, TypeError, "`space`.*'dense'"),
        ({"space": keras.Model}, X, Y, TypeError, "`space`.*class Model"),
        ({"space": lambda hp: None}, X, Y, TypeError, "`space`.*None"),
        ({}, FRAME, np.array(["a", None] * 30), ValueError, "`y`.*NoneType"),
        (
            {},
            FRAME,
            np.array(["a", np.nan] * 30, object),
            ValueError,
            "of.*NaN",
        ),
        (
            {},
            FRAME,
            np.array(["a", 1] * 30, object),
            ValueError,
            r"`y` must have labels that are all text.*int, str.*astype\(str\)",
        ),
        (
            {"cv": GroupKFold(3)},
            X,
            Y,
            ValueError,
            r"cv=GroupKFold.*groups.*list\(cv\.split\(x, y, groups\)\)",
        ),
        ({}, FRAME.assign(a=[1, "b"] * 30), Y, ValueError, "'a'.*int, str"),
        (
            {"space": of_logits()},
            X[:, :3],
            Y,
            ValueError,
            "`x` must suit",
        ),
        (
            {"space": one_hot_model(3)},
            X,
            Y,
            ValueError,
            "output of 2 units.*, 3\\)",
        ),
        ({}, FRAME[[]], Y, ValueError, r"`X`.*one column.*\(60, 0\).*Keep"),
        (
            {"constraints": at_most("params", 1000)},
            X,
            Y,
            TypeError,
            r"`constraints` must be a list.*=Constraint\(",
        ),
        ({"constraints": "params"}, X, Y, TypeError, "constraints='params'"),
    ],
)
def test_what_cannot_be_searched_is_refused(arguments, x, y, error, message):
    with pytest.raises(error, match=message):
        EvoClassifier(**{**SMALL, **arguments}).fit(x, y)


@pytest.mark.parametrize("cv", [None, 2])
def test_networks_follow_the_examples_of_large_weight(cv):
    """Of two that contradict each other, the one that counts is learnt."""
    x, y = np.tile(X, (2, 1)), np.concatenate([Y, 1 - Y])
    weights = np.where(np.arange(len(y)) < len(Y), 1.0, 1e-3)
    arguments = {**SMALL, "epochs": 40, "batch_size": 8, "cv": cv}
    model = DenseNetwork(
        (4,), Classification(classes=2), units=(16, 16), depth=(1, 1)
    )
    classifier = EvoClassifier(model, **arguments).fit(x, y, weights)
    assert classifier.score(X, Y) > 0.7
    classifier = EvoClassifier(model, **arguments).fit(x, y, weights[::-1])
    assert classifier.score(X, 1 - Y) > 0.7


def test_weights_are_told_apart_by_their_ratios(tmp_path):
    weights = np.random.default_rng(0).random(60)
    first, second, other = (
        EvoRegressor(**{**SMALL, "refit": 1}, directory=tmp_path)
        .fit(FRAME, X[:, 2], w)
        .predict(FRAME)
        for w in (weights, 4 * weights, weights[::-1])
    )
    np.testing.assert_array_equal(first, second)
    assert not np.allclose(first, other)
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("x", [X, FRAME], ids=["array", "frame"])
@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.ones(59), r"one number for each example.*\(59,\) for 60"),
        (np.ones((60, 1)), r"one number for each example.*\(60, 1\)"),
        (-np.ones(60), r"no weight below zero.*from -1\.0 to -1\.0"),
        (np.zeros(60), r"some above\..*from 0\.0 to 0\.0"),
        (np.full(60, np.nan), "sample_weight contains NaN"),
    ],
)
def test_weights_that_cannot_be_are_refused(x, weights, message):
    with pytest.raises(ValueError, match=message):
        EvoClassifier(**SMALL).fit(x, Y, weights)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("size", [1e160, 1e200, 1e300])
def test_targets_that_cannot_be_scaled_are_refused(size):
    with pytest.raises(ValueError, match="`y` must have values that can be s"):
        EvoRegressor(**SMALL).fit(X, size * X[:, 0])


def test_sparse_targets_are_refused():
    y = scipy.sparse.csr_matrix(X[:, :2])
    with pytest.raises(ValueError, match=r"`y` must be dense.*toarray"):
        EvoRegressor(**SMALL).fit(X, y)


@pytest.mark.parametrize("x", [X, FRAME], ids=["array", "frame"])
@pytest.mark.parametrize("estimator", [EvoClassifier, EvoRegressor])
def test_examples_without_targets_are_refused(estimator, x):
    with pytest.raises(ValueError, match=r"requires y .* target y is None"):
        estimator(**SMALL).fit(x, None)


def test_a_column_of_numbers_among_objects_is_named():
    frame = pd.DataFrame({"a": X[:, 0], "b": X[:, 1].astype(object)})
    with pytest.raises(ValueError, match=r"'b' of type object.*astype"):
        EvoClassifier(**SMALL).fit(frame, Y)


def test_a_search_without_a_network_says_what_the_last_trial_said():
    def build(hp):
        if hp.values:  # Not for what its default has for outputs.
            raise RuntimeError("no such luck")
        hp.Int("units", 1, 3)
        return one_hot_model(2)

    with (
        pytest.warns(UserWarning, match="None of 1 trials"),
        pytest.raises(RuntimeError, match=r"None of 1 [\s\S]*no such luck"),
    ):
        EvoClassifier(build, **SMALL).fit(X, Y)
