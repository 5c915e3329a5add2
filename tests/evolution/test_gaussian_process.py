import numpy as np
import pytest
from scipy import optimize
from scipy import spatial

from keras_evonas.evolution.gaussian_process import Data
from keras_evonas.evolution.gaussian_process import GaussianProcess
from keras_evonas.evolution.gaussian_process import Posterior
from keras_evonas.evolution.gaussian_process import Prior
from keras_evonas.evolution.gaussian_process import squared_distances
from keras_evonas.evolution.randomness import rng_at

GENES_OF_FEATURES = np.array([0, 1, 1, 1, 2])


def some_data(seed, number=12):
    rng = rng_at(seed, 100)
    features = rng.random((number, 5))
    losses = np.sin(5 * features[:, 0]) + rng.normal(0, 0.1, number)
    losses = (losses - losses.mean()) / losses.std()
    return Data(features, losses, GENES_OF_FEATURES, 3)


def some_parameters(seed):
    # Relevances of 3 genes, the common scale, signal and noise.
    return rng_at(seed, 200).normal([0, 0, 0, 1, 0, -3], 0.7)


def naive_kernel(first, second, parameters):
    """Matérn 5/2 by its formula, one pair at a time, plus the constant 1."""
    weights = np.exp(parameters[:3] + parameters[3])
    squared = sum(
        weights[gene] * (first[k] - second[k]) ** 2
        for k, gene in enumerate(GENES_OF_FEATURES)
    )
    root = np.sqrt(5 * squared)
    shape = (1 + root + root**2 / 3) * np.exp(-root)
    return np.exp(parameters[4]) * shape + 1.0


def naive_matrix(first, second, parameters):
    return np.array(
        [[naive_kernel(a, b, parameters) for b in second] for a in first]
    )


@pytest.mark.parametrize("seed", range(20))
def test_prediction_agrees_with_the_textbook(seed):
    data, parameters = some_data(seed), some_parameters(seed)
    new = rng_at(seed, 300).random((4, 5))
    covariance = naive_matrix(data.features, data.features, parameters)
    covariance += (np.exp(parameters[5]) + 1e-8) * np.eye(len(covariance))
    cross = naive_matrix(new, data.features, parameters)
    inverse = np.linalg.inv(covariance)
    mean, variance = GaussianProcess(data, parameters).predict(new)
    np.testing.assert_allclose(mean, cross @ inverse @ data.losses, atol=1e-7)
    prior = naive_matrix(new, new, parameters)
    expected = np.diag(prior - cross @ inverse @ cross.T)
    np.testing.assert_allclose(variance, expected, atol=1e-7)


@pytest.mark.parametrize("seed", range(20))
def test_smoothed_is_the_prediction_of_its_own_data(seed):
    data = some_data(seed)
    process = GaussianProcess(data, some_parameters(seed))
    expected, _ = process.predict(data.features)
    np.testing.assert_allclose(process.smoothed(), expected, atol=1e-7)


@pytest.mark.thorough
def test_prediction_agrees_with_scikit_learn():
    gp = pytest.importorskip("sklearn.gaussian_process")
    kernels = gp.kernels
    data, parameters = some_data(1), some_parameters(1)
    weights = np.exp(parameters[:3] + parameters[3])[GENES_OF_FEATURES]
    kernel = kernels.ConstantKernel(np.exp(parameters[4]), "fixed")
    kernel *= kernels.Matern(1 / np.sqrt(weights), "fixed", nu=2.5)
    kernel += kernels.ConstantKernel(1.0, "fixed")
    theirs = gp.GaussianProcessRegressor(
        kernel, alpha=np.exp(parameters[5]) + 1e-8, optimizer=None
    ).fit(data.features, data.losses)
    new = rng_at(1, 300).random((50, 5))
    mean, deviation = theirs.predict(new, return_std=True)
    ours = GaussianProcess(data, parameters).predict(new)
    np.testing.assert_allclose(ours[0], mean, atol=1e-8)
    np.testing.assert_allclose(np.sqrt(ours[1]), deviation, atol=1e-7)


@pytest.mark.parametrize("seed", range(10))
def test_density_agrees_with_the_textbook(seed):
    data = some_data(seed)
    posterior = Posterior(data, Prior())

    def naive(parameters):
        covariance = naive_matrix(data.features, data.features, parameters)
        covariance += (np.exp(parameters[5]) + 1e-8) * np.eye(len(covariance))
        fit = data.losses @ np.linalg.solve(covariance, data.losses)
        offset = (parameters - posterior.mean) / posterior.deviation
        logdet = np.linalg.slogdet(covariance)[1]
        return 0.5 * (fit + logdet + offset @ offset)

    points = [some_parameters(seed), some_parameters(seed + 100)]
    ours = [posterior(point)[0] for point in points]
    theirs = [naive(point) for point in points]
    assert ours[0] - ours[1] == pytest.approx(theirs[0] - theirs[1])


@pytest.mark.parametrize("seed", range(20))
def test_gradient_agrees_with_finite_differences(seed):
    posterior = Posterior(some_data(seed), Prior())
    parameters = some_parameters(seed)
    _, gradient = posterior(parameters)
    differences = optimize.approx_fprime(
        parameters, lambda point: posterior(point)[0], 1e-6
    )
    np.testing.assert_allclose(gradient, differences, rtol=1e-3, atol=1e-3)


def test_fit_is_a_function_of_the_data():
    first, second = (Posterior(some_data(3), Prior()) for _ in range(2))
    densest = first.fit(30)
    np.testing.assert_array_equal(densest, second.fit(30))
    for one, other in zip(
        first.sample(densest, 5), second.sample(densest, 5), strict=True
    ):
        np.testing.assert_array_equal(one, other)


def test_fit_finds_the_gene_that_matters():
    data = some_data(0, number=40)  # Losses depend on feature 0, gene 0.
    densest = Posterior(data, Prior()).fit(50)
    assert densest[0] > densest[1] + 1
    assert densest[0] > densest[2] + 1


def test_samples_surround_the_densest_parameters():
    posterior = Posterior(some_data(2, number=30), Prior())
    densest = posterior.fit(200)
    samples = np.array(posterior.sample(densest, 400))
    np.testing.assert_allclose(samples.mean(axis=0), densest, atol=1e-6)
    # Nothing is less certain than under the prior, up to the floor.
    floor = posterior.deviation / np.sqrt(0.7)
    assert (samples.std(axis=0) < 1.2 * floor).all()


def test_believing_keeps_means_and_lowers_variances():
    data, parameters = some_data(4), some_parameters(4)
    new = rng_at(4, 300).random((6, 5))
    before = GaussianProcess(data, parameters)
    after = before.believing(new[:2])
    means = [one.predict(new)[0] for one in (before, after)]
    variances = [one.predict(new)[1] for one in (before, after)]
    np.testing.assert_allclose(means[0], means[1], atol=1e-6)
    assert (variances[1] <= variances[0] + 1e-9).all()
    assert (variances[1][:2] < 0.9 * variances[0][:2]).all()
    assert before.believing(new[:0]) is before


def test_leave_one_out_agrees_with_leaving_each_out():
    data, parameters = some_data(5), some_parameters(5)
    expected = []
    for index in range(len(data.losses)):
        rest = data.rows(np.delete(np.arange(len(data.losses)), index))
        mean, _ = GaussianProcess(rest, parameters).predict(
            data.features[[index]]
        )
        expected.append(mean[0])
    predicted = GaussianProcess(data, parameters).leave_one_out()
    np.testing.assert_allclose(predicted, expected, atol=1e-6)


def test_equal_points_and_equal_losses_are_no_trouble():
    features = np.tile([[0.2, 0.4, 0.1, 0.0, 1.0]], (6, 1))
    data = Data(features, np.zeros(6), GENES_OF_FEATURES, 3)
    posterior = Posterior(data, Prior())
    densest = posterior.fit(20)
    assert np.isfinite(densest).all()
    mean, variance = GaussianProcess(data, densest).predict(features + 0.1)
    np.testing.assert_allclose(mean, 0.0)
    assert (variance > 0).all()


def test_squared_distances():
    rng = rng_at(0, 400)
    first, second = rng.random((7, 3)), rng.random((5, 3))
    np.testing.assert_allclose(
        squared_distances(first, second),
        spatial.distance.cdist(first, second, "sqeuclidean"),
        atol=1e-12,
    )
