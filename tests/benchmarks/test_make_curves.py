"""A table with curves that is made by training, and what cannot be made."""

import numpy as np
import pytest

from keras_evonas.benchmarks.curve_tables import read_curve_table
from keras_evonas.benchmarks.datasets import Parts
from keras_evonas.benchmarks.make_curves import make_curve_table

pytestmark = pytest.mark.keras


def _parts():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 4)).astype("float32")
    y = (x[:, 0] > 0).astype("int64")
    return Parts((x[:30], y[:30]), (x[30:45], y[30:45]), (x[45:], y[45:]))


def _build(hp):
    import keras

    units = hp.Int("units", 2, 4, step=2)
    activation = hp.Choice("activation", ["relu", "tanh"])
    model = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(units, activation),
            keras.layers.Dense(2, "softmax"),
        ]
    )
    loss = "sparse_categorical_crossentropy"
    model.compile("sgd", loss, metrics=["accuracy"])
    return model


@pytest.mark.slow
def test_every_network_is_in_the_table(tmp_path):
    path = str(tmp_path / "small.npz")
    assert make_curve_table(_build, _parts(), path, epochs=3) == 4
    problem = read_curve_table(path)
    assert problem.epochs == 3
    assert len(problem.table.rows) == 4
    genome = {"units": 4, "activation": "tanh"}
    row = problem.table.row(genome)
    assert problem.losses[row].shape == (3,)
    assert ((problem.table.true >= -1) & (problem.table.true <= 0)).all()
    # A second run trains nothing again, and writes the same.
    make_curve_table(_build, _parts(), path, epochs=3)
    np.testing.assert_array_equal(read_curve_table(path).losses, problem.losses)


@pytest.mark.parametrize("kind", ["a continuous range", "a condition"])
def test_a_space_that_cannot_be_listed(tmp_path, kind):
    def build(hp):
        if kind == "a condition":
            hp.Choice("kind", ["a", "b"])
            with hp.conditional_scope("kind", ["a"]):
                hp.Choice("only", [1, 2])
        else:
            hp.Float("rate", 0.1, 1.0)
        return _build(hp)

    with pytest.raises(ValueError, match=f"`hypermodel` must.* with {kind}"):
        make_curve_table(build, _parts(), str(tmp_path / "x.npz"), epochs=1)


def test_a_metric_that_is_not_validated(tmp_path):
    with pytest.raises(ValueError, match="objective='accuracy'"):
        make_curve_table(
            _build,
            _parts(),
            str(tmp_path / "x.npz"),
            epochs=1,
            objective="accuracy",
        )
