"""Frames of numbers are arrays with the values that Keras would feed."""

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from keras_evonas.fresh_thread import with_fresh_keras
from keras_evonas.training import Data
from keras_evonas.training import Execution
from keras_evonas.training import FitArguments
from keras_evonas.training import Task
from keras_evonas.training import evaluate
from keras_evonas.training.arrays import in_memory
from keras_evonas.training.folds import folds_of
from keras_evonas.training.frames import as_arrays

pytestmark = pytest.mark.keras

RNG = np.random.default_rng(0)
BITS = RNG.integers(0, 2, (20, 3))
NUMBERS = {
    name: pd.DataFrame(BITS).astype(name)
    for name in (
        *("float64", "float32", "float16", "bool"),
        *("int64", "int32", "int8", "uint8", "uint64"),
    )
} | {
    "integers beside doubles": pd.DataFrame(
        # Rounded once or twice, these integers are not the same.
        {"a": 2**60 + RNG.integers(0, 2**40, 20), "b": RNG.random(20)}
    ),
    "small integers beside floats": pd.DataFrame(
        {"a": BITS[:, 0].astype("int8"), "b": RNG.random(20, "float32")}
    ),
    "booleans beside doubles": pd.DataFrame(
        {"a": BITS[:, 0].astype(bool), "b": RNG.random(20)}
    ),
    "one name twice": pd.DataFrame(BITS, columns=["a", "a", "b"]),
    "a view": pd.DataFrame(RNG.random((40, 6))).iloc[::2, ::2],
}
NULLABLE = {
    name: (pd.DataFrame(BITS).astype(name), pd.DataFrame(BITS).astype(plain))
    for name, plain in {
        "Int64": "int64",
        "UInt8": "uint8",
        "Float64": "float64",
        "Float32": "float32",
        "boolean": "bool",
    }.items()
}
NULLABLE["Int64 beside doubles"] = (
    NUMBERS["integers beside doubles"].astype({"a": "Int64"}),
    NUMBERS["integers beside doubles"],
)
LEFT = {
    "category": pd.DataFrame(BITS).astype("category"),
    "string": pd.DataFrame(BITS).astype("string"),
    "object": pd.DataFrame(BITS).astype(object),
    "dates": pd.DataFrame(BITS.astype("datetime64[s]")),
    "missing": pd.DataFrame(BITS).astype("Int64").mask(BITS == 1),
    "numbers beside strings": pd.DataFrame({"a": [1, 2], "b": ["a", "b"]}),
    # Keras feeds it as doubles, which it casts arrays of doubles from.
    "integers beside floats": pd.DataFrame(
        {"a": BITS[:, 0], "b": RNG.random(20, "float32")}
    ),
    "booleans beside integers": pd.DataFrame(
        {"a": BITS[:, 0].astype(bool), "b": BITS[:, 1]}
    ),
    "no columns": pd.DataFrame(index=range(20)),
}


class Recorder(keras.Model):
    """Keeps the batches that Keras feeds."""

    def train_step(self, data):
        self.batches.append((data.dtype, data.numpy()))
        return {"loss": tf.zeros(())}


def fed(x):
    model = Recorder()
    model.batches = []
    model.compile(run_eagerly=True)
    model.fit(x, batch_size=7, shuffle=False, verbose=0)
    return model.batches


def assert_fed_alike(one, other):
    for (dtype, values), (expected, others) in zip(
        fed(one), fed(other), strict=True
    ):
        assert dtype == expected
        np.testing.assert_array_equal(values, others)


@pytest.mark.parametrize("name", NUMBERS)
def test_the_values_are_those_that_keras_feeds(name):
    frame = NUMBERS[name]
    for data in (frame, frame.iloc[:, 0]):
        array = as_arrays(data)

        assert in_memory(array)
        assert_fed_alike(array, data)


@pytest.mark.parametrize("name", NULLABLE)
def test_columns_that_lack_no_value_are_numbers(name):
    frame, plain = NULLABLE[name]
    for data, numbers in ((frame, plain), (frame.iloc[:, 0], plain.iloc[:, 0])):
        assert_fed_alike(as_arrays(data), numbers)


@pytest.mark.parametrize("name", LEFT)
def test_other_frames_stay_as_they_are(name):
    frame = LEFT[name]
    data = {"a": [frame, BITS]}

    assert as_arrays(frame) is frame
    assert as_arrays(data) is data


def test_frames_of_other_libraries_are_read_as_keras_reads_them():
    class Column:
        """Has what Keras asks for, as those of polars do."""

        shape, dtype = (20,), np.dtype("float64")

        def __array__(self, dtype=None, copy=None):
            return column

    column = RNG.random(20)
    assert_fed_alike(as_arrays(Column()), Column())
    assert as_arrays(Column()) is column


@pytest.mark.parametrize("data", [BITS, tf.constant(BITS), [1, "a"], None])
def test_what_is_no_frame_is_the_same_object(data):
    assert as_arrays(data) is data
    assert as_arrays(structure := (data, {"b": data})) is structure


FRAME = pd.DataFrame(RNG.random((50, 3)), columns=list("abc"))
LABELS = pd.Series(RNG.integers(0, 2, 50), index=RNG.permutation(50))
WEIGHTS = pd.Series(RNG.random(50))
CALLS = {
    "everything": {
        "x": FRAME,
        "y": LABELS,
        "sample_weight": WEIGHTS,
        "validation_data": (FRAME[:20], LABELS[:20], WEIGHTS[:20]),
    },
    "a split": {
        "x": FRAME,
        "y": LABELS.to_frame(),
        "validation_split": 0.3,
        "class_weight": {0: 2.0, 1: 0.5},
    },
    "columns by name": {
        "x": dict(FRAME),
        "y": LABELS,
        "validation_data": (dict(FRAME[:20]), LABELS[:20]),
    },
    "a frame beside an array": {"x": FRAME.to_numpy(), "y": LABELS},
}


def build(*, by_name):
    if by_name:
        inputs = {name: keras.Input((1,), name=name) for name in FRAME}
        features = keras.layers.Concatenate()(list(inputs.values()))
    else:
        inputs = features = keras.Input((3,))
    hidden = keras.layers.Dense(4, activation="tanh")(features)
    outputs = keras.layers.Dense(1, activation="sigmoid")(hidden)
    model = keras.Model(inputs, outputs)
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    return model


@pytest.mark.parametrize("name", CALLS)
def test_every_epoch_is_that_of_fit_with_the_frames(name):
    call = {**CALLS[name], "epochs": 2}
    by_name = isinstance(call["x"], dict)

    def alone():
        keras.utils.set_random_seed(0)
        return build(by_name=by_name).fit(**call, verbose=0).history

    task = Task(
        build=lambda _: build(by_name=by_name),
        data=Data(FitArguments.of(**call)),
        objective=[("loss", "min")],
    )
    (outcome,) = evaluate([Execution(name="0", seed=0)], task)

    assert outcome.message is None
    assert outcome.history == with_fresh_keras(alone)


def test_folds_of_frames_are_those_of_their_values():
    arrays = FitArguments.of(
        FRAME.to_numpy("float32"), LABELS.to_numpy()[:, None]
    )

    for fold, other in zip(
        folds_of(FitArguments.of(FRAME, LABELS), 3, seed=0),
        folds_of(arrays, 3, seed=0),
        strict=True,
    ):
        for name in ("x", "y", "validation_data"):
            for one, two in zip(
                keras.tree.flatten(getattr(fold, name)),
                keras.tree.flatten(getattr(other, name)),
                strict=True,
            ):
                np.testing.assert_array_equal(one, two)
