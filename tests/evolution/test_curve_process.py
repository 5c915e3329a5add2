"""Gaussian processes of genome and rung, against naive references."""

import numpy as np
import pytest

from keras_evonas.evolution.curve_process import CurveData
from keras_evonas.evolution.curve_process import CurvePosterior
from keras_evonas.evolution.curve_process import CurveProcess

GENES, HIGHEST = 3, 2


def _data(seed, networks=6):
    """Makes networks whose trainings ended on different rungs."""
    rng = np.random.default_rng(seed)
    last = rng.integers(0, HIGHEST + 1, size=networks)
    features = rng.random((networks, 4))
    ids = np.repeat(np.arange(networks), last + 1)
    rungs = np.concatenate([np.arange(one + 1) for one in last])
    return CurveData(
        features=features[ids],
        networks=ids,
        rungs=rungs,
        losses=rng.standard_normal(len(ids)),
        gene_of_feature=np.array([0, 1, 1, 2]),
        genes=GENES,
        highest=HIGHEST,
    )


def _parameters(data, seed):
    posterior = CurvePosterior(data)
    rng = np.random.default_rng(seed)
    moves = 0.5 * posterior.deviation * rng.standard_normal(GENES + 8)
    return posterior.mean + moves


def _covariance(one, other, parameters, data):
    """The formula in the module's docstring, for one pair."""
    (x, i, r), (y, j, q) = one, other
    relevance, scale = parameters[:GENES], parameters[GENES]
    signal, decay, growth, own, own_decay, own_growth = parameters[
        GENES + 1 : -1
    ]
    distance = sum(
        np.exp(relevance[gene] + scale) * (a - b) ** 2
        for gene, a, b in zip(data.gene_of_feature, x, y, strict=True)
    )
    root = (5 * distance) ** 0.5
    matern = (1 + root + root**2 / 3) * np.exp(-root)
    apart, below = abs(r - q), r + q - 2 * HIGHEST
    value = np.exp(signal - np.exp(decay) * apart + growth * below) * matern
    if i == j:
        value += np.exp(own - np.exp(own_decay) * apart + own_growth * below)
    return value + 1 + min(r, q)


def _joint(queries, data, parameters):
    """Conditions the joint normal distribution by the textbook."""
    known = list(zip(data.features, data.networks, data.rungs, strict=True))

    def matrix(left, right):
        return np.array(
            [[_covariance(a, b, parameters, data) for b in right] for a in left]
        )

    noise = (np.exp(parameters[-1]) + 1e-6) * np.eye(len(known))
    cross = matrix(queries, known)
    weights = np.linalg.solve(matrix(known, known) + noise, cross.T).T
    mean = weights @ data.losses
    return mean, matrix(queries, queries) - weights @ cross.T


@pytest.mark.parametrize("seed", range(20))
def test_gradient_is_that_of_differences(seed):
    data = _data(seed)
    posterior = CurvePosterior(data)
    parameters = _parameters(data, seed)
    _, gradient = posterior(parameters)
    step = 1e-5
    differences = [
        (posterior(parameters + move)[0] - posterior(parameters - move)[0])
        / (2 * step)
        for move in step * np.eye(len(parameters))
    ]
    np.testing.assert_allclose(gradient, differences, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("seed", range(10))
def test_predictions_are_those_of_the_textbook(seed):
    data = _data(seed)
    parameters = _parameters(data, seed)
    process = CurveProcess(data, parameters)
    new = np.random.default_rng(seed).random((2, 4))
    features = np.concatenate([new, data.features[:1]])
    networks, rungs = np.array([-1, -1, data.networks[0]]), np.array([0, 2, 2])
    mean, variance = process.predict(features, networks, rungs)
    for index in range(3):
        # Each new network is another one, though both have the number -1.
        number = networks[index] if networks[index] >= 0 else 100 + index
        query = [(features[index], number, rungs[index])]
        expected, covariance = _joint(query, data, parameters)
        np.testing.assert_allclose(mean[index], expected[0], rtol=1e-6)
        np.testing.assert_allclose(
            variance[index], max(covariance[0, 0], 1e-6), rtol=1e-4
        )


@pytest.mark.parametrize("lowest", range(HIGHEST + 1))
def test_stages_reveal_the_variance_bit_by_bit(lowest):
    data = _data(3)
    parameters = _parameters(data, 3)
    process = CurveProcess(data, parameters)
    genome = np.full((1, 4), 0.3)
    mean, revealed = process.stages(genome, np.array([-1]), lowest)
    rungs = range(lowest, HIGHEST + 1)
    queries = [(genome[0], 100, rung) for rung in rungs]
    expected, covariance = _joint(queries, data, parameters)
    np.testing.assert_allclose(mean, expected[-1:], rtol=1e-6)
    left = covariance[-1, -1]
    for count in range(1, len(queries) + 1):
        # The variance that is left once the first rungs are known.
        known = covariance[:count, :count] + 1e-9 * np.eye(count)
        cross = covariance[-1, :count]
        after = covariance[-1, -1] - cross @ np.linalg.solve(known, cross)
        found = revealed[0, count - 1] ** 2
        np.testing.assert_allclose(found, left - after, rtol=1e-3, atol=1e-4)
        left = after


def test_what_is_believed_changes_no_prediction_but_its_variance():
    data = _data(5)
    process = CurveProcess(data, _parameters(data, 5))
    genome, network, rung = np.full((1, 4), 0.5), np.array([-1]), np.array([0])
    believing = process.believing(genome, np.array([100]), rung)
    before, variance = process.predict(genome, network, np.array([2]))
    after, less = believing.predict(genome, network, np.array([2]))
    np.testing.assert_allclose(after, before, atol=1e-3)
    assert less < variance
    nothing = np.zeros((0, 4)), np.zeros(0, int), np.zeros(0, int)
    assert process.believing(*nothing) is process


def test_learns_that_first_epochs_tell_little():
    """If they are pure noise, they say far less of genomes than the end."""
    rng = np.random.default_rng(0)
    features = rng.random((40, 1))
    late, early = features[:, 0], rng.random(40)
    data = CurveData(
        features=np.repeat(features, 2, axis=0),
        networks=np.repeat(np.arange(40), 2),
        rungs=np.tile([0, 1], 40),
        losses=np.stack([early, late], axis=1).ravel() * 3,
        gene_of_feature=np.array([0]),
        genes=1,
        highest=1,
    )
    process = CurveProcess(data, CurvePosterior(data).fit(30))
    genomes, new = np.array([[0.1], [0.9]]), np.array([-1, -1])
    gaps = [
        float(np.diff(process.predict(genomes, new, np.full(2, rung))[0])[0])
        for rung in range(2)
    ]
    assert gaps[1] > 2.0  # It is 2.4 in truth, and 0 on the lowest rung.
    assert abs(gaps[0]) < 0.6 * gaps[1]
