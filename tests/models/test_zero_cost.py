"""Scores of untrained networks, and a warm start by them."""

import math
import random
from typing import Any

import keras
import keras_tuner
import numpy as np
import pytest

from keras_evonas import EvoOracle
from keras_evonas.models import zero_cost
from keras_evonas.oracles.warm_start import capable
from keras_evonas.testing.laws import global_generators_untouched

pytestmark = pytest.mark.keras

RNG = np.random.default_rng(0)
X = RNG.normal(size=(6, 3)).astype("float32")
Y = RNG.normal(size=(6, 1)).astype("float32")


def _dense(output: str = "linear") -> keras.Model:
    keras.utils.set_random_seed(0)
    inside = keras.Sequential([keras.layers.Dense(5), keras.layers.ReLU()])
    model = keras.Sequential(
        [
            keras.Input((3,)),
            keras.layers.Dense(8, activation="relu"),
            keras.layers.Dropout(0.5),
            inside,  # a model inside of the model
            keras.layers.Dense(1 if output == "linear" else 3),
            keras.layers.Activation(output),
        ]
    )
    model.compile("sgd", "mse")
    return model


def _arrays(model: keras.Model) -> list[np.ndarray]:
    return [np.array(weight, "float64") for weight in model.weights]


def _hidden(model: keras.Model, x: np.ndarray) -> list[np.ndarray]:
    k1, b1, k2, b2, *_ = _arrays(model)
    first = np.maximum(x @ k1 + b1, 0)
    return [first, np.maximum(first @ k2 + b2, 0)]


def test_activation_overlap_agrees_with_loops() -> None:
    model = _dense()
    codes = np.concatenate(_hidden(model, X), axis=1) > 0
    kernel = np.zeros((6, 6))
    for i in range(6):
        for j in range(6):
            for unit in range(13):
                kernel[i, j] += codes[i, unit] == codes[j, unit]
    expected = np.linalg.slogdet(kernel)[1]
    found = zero_cost.activation_overlap(model, X)
    assert found == pytest.approx(expected, rel=1e-9)


def test_activation_overlap_of_what_sees_no_difference() -> None:
    model = _dense()
    assert zero_cost.activation_overlap(model, X[[0, 0]]) == -math.inf
    linear = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    assert zero_cost.activation_overlap(linear, X) == -math.inf


def test_activation_overlap_counts_convolutions() -> None:
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((5, 5, 1)), keras.layers.Conv2D(4, 3, activation="gelu")]
    )
    x = RNG.normal(size=(3, 5, 5, 1)).astype("float32")
    codes = np.asarray(model(x)).reshape(3, -1) > 0
    agree = (codes[:, None] == codes[None]).sum(-1)
    expected = np.linalg.slogdet(agree.astype(float))[1]
    assert zero_cost.activation_overlap(model, x) == pytest.approx(expected)


def test_gradient_norm_agrees_with_finite_differences() -> None:
    model = _dense()
    weights = _arrays(model)

    def loss() -> float:
        _, hidden = _hidden(model, X.astype("float64"))
        *_, kernel, bias = _arrays(model)
        return float(((hidden @ kernel + bias - Y) ** 2).mean())

    expected, step = 0.0, 2e-3
    for variable, value in zip(model.weights, weights, strict=True):
        gradient = np.zeros(value.shape)
        for place in np.ndindex(*value.shape):
            for sign in (1, -1):
                moved = value.copy()
                moved[place] += sign * step
                variable.assign(moved)
                gradient[place] += sign * loss() / (2 * step)
        variable.assign(value)
        expected += np.sqrt((gradient**2).sum())
    found = zero_cost.gradient_norm(model, X, Y)
    assert found == pytest.approx(expected, rel=1e-2)


@pytest.mark.parametrize("output", ["linear", "softmax"])
def test_synflow_agrees_with_the_paths(output: str) -> None:
    """Without biases it is the number of weights on a path times its flow."""
    model = _dense(output)
    for weight in model.weights:
        if len(weight.shape) == 1:
            weight.assign(np.zeros(weight.shape))
    k1, _, k2, _, k3, _ = (np.abs(array) for array in _arrays(model))
    total = 0.0
    for a in range(k1.shape[0]):
        for b in range(k1.shape[1]):
            for c in range(k2.shape[1]):
                for d in range(k3.shape[1]):
                    total += k1[a, b] * k2[b, c] * k3[c, d]
    # A sum over the weights of a layer counts each path once, and there are
    # three layers. (Biases of 0 add nothing.)
    assert zero_cost.synflow(model, X) == pytest.approx(3 * total, rel=1e-5)


@pytest.mark.parametrize(
    "score",
    [
        lambda model: zero_cost.activation_overlap(model, X),
        lambda model: zero_cost.gradient_norm(model, X, Y),
        lambda model: zero_cost.synflow(model, X),
    ],
    ids=["activation_overlap", "gradient_norm", "synflow"],
)
def test_a_score_leaves_the_model_as_it_was(score: Any) -> None:
    model = _dense()
    weights, predictions = _arrays(model), np.asarray(model(X))
    with global_generators_untouched():
        first = score(model)
    assert score(model) == first
    assert all(map(np.array_equal, _arrays(model), weights))
    assert np.array_equal(np.asarray(model(X)), predictions)
    for layer in model.layers:
        assert "call" not in vars(layer)
    assert [layer.activation.__name__ for layer in model.layers[::4]] == [
        "relu",
        "linear",
    ]


def test_synflow_of_a_model_without_shapes_yet() -> None:
    model = keras.Sequential([keras.layers.Dense(2)])
    model_score = zero_cost.synflow(model, X)
    kernel = np.abs(np.array(model.weights[0]))
    assert model_score == pytest.approx(kernel.sum(), rel=1e-6)


# A warm start.


def _build(hp: keras_tuner.HyperParameters) -> keras.Model:
    model = keras.Sequential([keras.Input((3,))])
    units = hp.Int("units", 1, 64)
    model.add(keras.layers.Dense(units, activation="relu"))
    second = hp.Boolean("second")
    with hp.conditional_scope("second", [True]):
        if second:
            model.add(keras.layers.Dense(hp.Int("more", 1, 64)))
    model.add(keras.layers.Dense(1))
    model.compile("sgd", "mse")
    return model


def _size(model: keras.Model) -> float:
    return float(model.count_params())


@pytest.mark.slow
def test_the_capable_are_the_best_of_random_ones() -> None:
    everyone = capable(_build, _size, count=99, draws=30, seed=0)
    networks = {repr(sorted(values.items())) for values in everyone}
    assert 20 < len(networks) == len(everyone) <= 30
    sizes = []
    for values in everyone:
        hp = keras_tuner.HyperParameters()
        hp.values = dict(values)
        sizes.append(_size(_build(hp)))
        assert ("more" in values) == values["second"]
    assert sizes == sorted(sizes, reverse=True)
    assert len({values["units"] for values in everyone}) > 10
    assert len({values.get("more") for values in everyone}) > 5
    assert capable(_build, _size, count=4, draws=30, seed=0) == everyone[:4]
    assert capable(_build, _size, count=4, draws=30, seed=1) != everyone[:4]


def test_initial_weights_follow_from_the_seed() -> None:
    def score(model: keras.Model) -> float:
        return zero_cost.activation_overlap(model, X)

    random.seed(1)
    first = capable(_build, score, count=5, draws=8, seed=3)
    random.seed(2)
    keras.utils.set_random_seed(5)
    assert capable(_build, score, count=5, draws=8, seed=3) == first


def test_it_leaves_no_trace() -> None:
    keras.backend.clear_session()
    names = keras.layers.Dense(1).name
    with global_generators_untouched():
        capable(_build, _size, count=2, draws=3, seed=0)
    following = keras.layers.Dense(1).name
    keras.backend.clear_session()
    assert names == keras.layers.Dense(1).name
    assert following == keras.layers.Dense(1).name  # the next one, not later


def test_networks_without_a_score_are_passed_over() -> None:
    def build(hp: keras_tuner.HyperParameters) -> keras.Model:
        if hp.Int("units", 1, 64) > 32:
            raise keras_tuner.errors.FailedTrialError("too large")
        return _build(hp)

    def odd(model: keras.Model) -> bool:
        return bool(model.count_params() % 2)

    def score(model: keras.Model) -> float:
        return math.nan if odd(model) else _size(model)

    found = capable(build, score, count=99, draws=40, seed=0)
    assert 0 < len(found) < 40
    for values in found:
        assert values["units"] <= 32
        hp = keras_tuner.HyperParameters()
        hp.values = dict(values)
        assert not odd(_build(hp))


@pytest.mark.slow
def test_an_oracle_begins_with_them(tmp_path: Any) -> None:
    initial = capable(_build, _size, count=3, draws=10, seed=0)
    oracle = EvoOracle("loss", max_trials=3, initial_population=initial, seed=0)
    tuner = keras_tuner.Tuner(oracle, _build, directory=tmp_path)
    tuner.search(X, Y, epochs=1, verbose=0)
    proposed = [t.hyperparameters.values for t in oracle.trials.values()]
    assert proposed == initial


@pytest.mark.parametrize(
    "argument", [{"count": 0}, {"draws": 1.5}, {"seed": -1}]
)
def test_bad_numbers(argument: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"`{next(iter(argument))}` must be"):
        capable(_build, _size, **argument)
