"""What is wrong with the data is said before a network is trained."""

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from keras_evonas.training import FitArguments
from keras_evonas.training.checks import check_fit

pytestmark = pytest.mark.keras

X = np.zeros((10, 3))
INFINITE = np.where(np.arange(30).reshape(X.shape) == 7, -np.inf, X)
Y = np.zeros(10)


def generator():
    yield X, Y


GOOD = {
    "arrays": {"x": X, "y": Y, "validation_data": (X[:4], Y[:4])},
    "split": {"x": [X, X], "y": Y, "validation_split": 0.1},
    "structures": {"x": {"a": X, "b": [X, Y]}, "y": (Y, X)},
    "pandas": {"x": pd.DataFrame(X), "y": pd.Series(Y)},
    "strings": {"x": np.array(["a"] * 10, object), "y": Y},
    "data set": {"x": tf.data.Dataset.from_tensors((X, Y))},
    "a function": {"x": generator},
    "no end": {"x": generator(), "steps_per_epoch": 3},
    "no targets": {"x": X},
}
BAD = {
    "`epochs` must be greater": [
        {"x": X, "epochs": 0},
        {"x": X, "epochs": 2, "initial_epoch": 2},
    ],
    "`validation_split` must leave examples": [
        {"x": X, "y": Y, "validation_split": 1.0},
        {"x": X, "y": Y, "validation_split": -0.5},
        {"x": X[:1], "y": Y[:1], "validation_split": 0.2},
    ],
    "`x` must be data that can be read again": [{"x": generator()}],
    "`validation_data` must be data that can be read again": [
        {"x": X, "y": Y, "validation_data": generator()},
        {"x": X, "validation_data": generator(), "steps_per_epoch": 1},
    ],
    "equally many examples.*'x': .10., 'y': .4.": [{"x": X, "y": Y[:4]}],
    "equally many examples.*'x': .10, 3.": [{"x": [X, X[:3]], "y": Y}],
    "equally many examples.*'sample_weight': .2.": [
        {"x": X, "y": Y, "sample_weight": Y[:2]}
    ],
    r"equally many examples.*'validation_data\[1\]': .4.": [
        {"x": X, "y": Y, "validation_data": (X, Y[:4])}
    ],
    "`x` and what belongs to it must be arrays.*'y': 'list'": [
        {"x": X.tolist(), "y": Y.tolist()},
        {"x": X, "y": ["a"] * 10},
    ],
    "equally many examples.*'x': .10., 'y': .4., 'sample": [
        {"x": pd.DataFrame(X), "y": Y[:4], "sample_weight": Y},
    ],
    "equally many examples.*'x': 'DataFrame of str": [
        {"x": pd.DataFrame({"a": ["a"] * 10}), "y": Y[:4]}
    ],
    "arrays of numbers.*'x': 'ndarray of <U1'.*Encode strings": [
        {"x": np.array(["a"] * 10), "y": Y}
    ],
    r"`validation_data` .*'validation_data\[0\]': 'list'": [
        {"x": X, "y": Y, "validation_data": (X.tolist(), Y)}
    ],
}


@pytest.mark.parametrize("name", GOOD)
def test_what_keras_reads_is_accepted(name):
    assert check_fit(FitArguments.of(**GOOD[name])) is None


@pytest.mark.parametrize("message", BAD)
def test_what_no_network_could_train_with_is_refused(message):
    for arguments in BAD[message]:
        with pytest.raises(ValueError, match=message):
            check_fit(FitArguments.of(**arguments))


WARNED = {
    "Keras ignores batch_size=8, since `x` is a tf.data.Dataset": {
        "x": tf.data.Dataset.from_tensors((X, Y)),
        "batch_size": 8,
    },
    "Keras ignores validation_steps=2, since there are no": {
        "x": X,
        "y": Y,
        "validation_steps": 2,
    },
    "`x` must hold finite.* in 30 of 30": {"x": X * np.nan, "y": Y},
    "`y` must hold finite.* in 10 of 10": {"x": X, "y": Y * np.nan},
    "`x` must hold finite.* in 1 of 30": {"x": INFINITE, "y": Y},
}


@pytest.mark.parametrize("message", WARNED)
def test_what_keras_ignores_is_warned_of(message):
    with pytest.warns(UserWarning, match=message):
        check_fit(FitArguments.of(**WARNED[message]))


def test_checking_reads_nothing_from_a_generator():
    data = generator()
    check_fit(FitArguments.of(data, steps_per_epoch=1))
    assert next(data)[0] is X
