"""Gaussian processes that predict the losses of genomes.

The kernel is Matérn 5/2 (Rasmussen & Williams, 2006, equation 4.17) with a
length scale for each gene, plus a constant for the unknown mean. A fit finds
the parameters of the largest posterior density by L-BFGS with exact gradients
from a fixed start, so that it depends on its data only. The uncertainty of the
parameters follows from the curvature there (Laplace's approximation). What is
cited below without a source is in the same book.
"""

import dataclasses
import functools

import numpy as np
from scipy import linalg
from scipy import optimize

# Keeps a covariance of equal points invertible, where a variance is about 1.
_JITTER = 1e-8
# Variance of the unknown mean of standardised losses. A constant mean with a
# normal prior adds its variance to every covariance.
_CONSTANT = 1.0
# Bounds of the logarithms of parameters; beyond, exponentials of sums of them
# overflow or vanish beside the jitter.
_LOG_LIMIT = 12.0
# Of the forward differences of the exact gradient that give the curvature.
_GRADIENT_STEP = 1e-3
# Least curvature of the posterior, in units of the prior's. Data adds to the
# curvature of the prior, which is 1, except where the likelihood bends the
# other way. Samples then spread by 1.2 deviations of the prior at most.
_LEAST_CURVATURE = 0.7


@dataclasses.dataclass(frozen=True)
class Prior:
    """Means and standard deviations of the logarithms of the parameters."""

    # Squared distance of two random genomes in units of the length scales. Near
    # 1 for any number of genes, so that neither all genomes look alike nor each
    # one different from all others. Hvarfner et al. (2024) reach the same by
    # length scales that grow with the root of the dimension.
    distance: tuple[float, float] = (0.0, 1.0)
    # Weight of a gene in this distance, relative to others. One deviation makes
    # a gene 3.3 times as important as the median one.
    relevance: tuple[float, float] = (0.0, 1.2)
    # Variance of the losses, about 1 as standardised, that the genes explain.
    signal: tuple[float, float] = (0.0, 0.7)
    # Variance of the losses that they do not explain. The median, 2 %, is that
    # of BoTorch since version 0.12, which has a deviation of 1. This one is
    # wider, 0.1 to 37 % within two deviations, as noise is below 10 % in some
    # benchmarks and 60 % in others.
    noise: tuple[float, float] = (-4.0, 1.5)

    def pairs(self, genes: int) -> list[tuple[float, float]]:
        """Returns those of all parameters, in their order."""
        others = (self.distance, self.signal, self.noise)
        return [*[self.relevance] * genes, *others]


@dataclasses.dataclass(frozen=True, eq=False)
class Data:
    """Genomes and their losses, as the input of a Gaussian process."""

    features: np.ndarray  # `(n, f)`, a row for each genome.
    losses: np.ndarray  # `(n,)`, standardised.
    gene_of_feature: np.ndarray  # `(f,)`, integers below `genes`.
    genes: int

    def rows(self, indices: np.ndarray) -> "Data":
        """Returns the data of some of the genomes."""
        return dataclasses.replace(
            self, features=self.features[indices], losses=self.losses[indices]
        )


class GaussianProcess:
    """A Gaussian process with known parameters, given data.

    Args:
        data: The data.
        parameters: `(genes + 3,)` array of logarithms: the relevance of each
            gene, the common scale, the signal and the noise.
    """

    def __init__(self, data: Data, parameters: np.ndarray) -> None:
        self._data = data
        self._parameters = parameters
        weights, self._signal, self._noise = _natural(data, parameters)
        self._roots = np.sqrt(weights)
        self._scaled = data.features * self._roots
        # Algorithm 2.1, here and in `predict`: the Cholesky factor `L` of the
        # covariance, noise included, and `alpha`, its inverse times losses.
        covariance = self._covariance(self._scaled)
        self._lower = factored(covariance, self._noise + _JITTER)
        self._alpha = solved(self._lower, data.losses)

    def _covariance(self, scaled: np.ndarray) -> np.ndarray:
        distances = squared_distances(scaled, self._scaled)
        return self._signal * _matern(distances) + _CONSTANT

    def predict(self, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns the means and variances of the losses of `(m, f)` features.

        The variances are those without the noise of a training.
        """
        cross = self._covariance(features * self._roots)
        mean = cross @ self._alpha
        # LAPACK's own function, as SciPy's checks take longer than the work.
        explained, _ = linalg.lapack.dtrtrs(self._lower, cross.T, lower=1)
        variance = self._signal + _CONSTANT - (explained**2).sum(axis=0)
        return mean, np.maximum(variance, _JITTER)

    def smoothed(self) -> np.ndarray:
        """Returns the `(n,)` array of means that `predict` has for the data.

        With the covariance `K` without noise, `(K + noise) alpha` are the
        losses, so that `K alpha`, the means, are the losses less `noise alpha`.
        """
        return self._data.losses - (self._noise + _JITTER) * self._alpha

    def believing(self, features: np.ndarray) -> "GaussianProcess":
        """Adds `(m, f)` features whose losses are taken to be as predicted.

        The predicted means stay as they are, and the variances near these
        genomes fall, as they will once their trials end. Ginsbourger et al.
        (2010) call this the Kriging believer.
        """
        if not len(features):
            return self
        mean, _ = self.predict(features)
        data = dataclasses.replace(
            self._data,
            features=np.concatenate([self._data.features, features]),
            losses=np.concatenate([self._data.losses, mean]),
        )
        return GaussianProcess(data, self._parameters)

    def leave_one_out(self) -> np.ndarray:
        """Returns the `(n,)` array of losses, each as predicted by all others.

        Follows section 5.4.2, which needs no further fit.
        """
        inverse = solved(self._lower, np.eye(len(self._alpha)))
        return self._data.losses - self._alpha / inverse.diagonal()


class Posterior:
    """The negative log posterior density of parameters, up to a constant."""

    def __init__(self, data: Data, prior: Prior) -> None:
        self._data = data
        self._squares = data.features**2
        varied = max(1, len(np.unique(data.gene_of_feature)))
        self.mean, self.deviation = np.array(prior.pairs(data.genes)).T.copy()
        # Two random values of a gene are at a squared distance near a half: of
        # two values 1/2, of many without order 1, of many ordered ones 1/6.
        # With this mean the squared distance of two random genomes is near 1.
        self.mean[data.genes] -= np.log(0.5 * varied)

    def __call__(self, parameters: np.ndarray) -> tuple[float, np.ndarray]:
        """Returns the negative log density and its gradient.

        Follows equations 5.8 and 5.9, with the prior's density added.
        """
        value, gradient = self._likelihood(parameters)
        if gradient is None:
            return value, np.zeros_like(parameters)
        offset = (parameters - self.mean) / self.deviation
        value += 0.5 * offset @ offset
        return float(value), gradient + offset / self.deviation

    def _likelihood(
        self, parameters: np.ndarray
    ) -> tuple[float, np.ndarray | None]:
        """Returns the negative log likelihood and its gradient, if any."""
        data, genes = self._data, self._data.genes
        weights, signal, noise = _natural(data, parameters)
        scaled = data.features * np.sqrt(weights)
        root = np.sqrt(5 * squared_distances(scaled, scaled))
        decay = signal * np.exp(-root)
        kernel = (1 + root + root**2 / 3) * decay
        covariance = kernel + _CONSTANT
        covariance[np.diag_indices_from(covariance)] += noise + _JITTER
        value, slope = density(covariance, data.losses)
        if slope is None:
            return value, None
        # With `root = sqrt(5 d)` for the squared distance `d`, the kernel's
        # derivative by `d` is `-5/6 (1 + root) exp(-root)`.
        by_distance = slope * (1 + root) * decay * (-5 / 6)
        gradient = np.zeros_like(parameters)
        # All parameters are logarithms: a derivative by the parameter itself is
        # multiplied by the parameter.
        gradient[: genes + 1] = self._by_relevance(weights, by_distance)
        gradient[genes + 1] = (slope * kernel).sum()
        gradient[genes + 2] = noise * slope.trace()
        return value, gradient

    def _by_relevance(
        self, weights: np.ndarray, by_distance: np.ndarray
    ) -> np.ndarray:
        """Returns the derivatives by the relevances and by the common scale.

        They follow from those by the squared distance of each pair.
        """
        data = self._data
        # The sum over pairs of `by_distance (x_i - x_j)**2`, halved and written
        # out, so that no array of all pairs and features is needed.
        by_feature = by_distance.sum(axis=1) @ self._squares
        by_feature -= (data.features * (by_distance @ data.features)).sum(0)
        gradient = np.zeros(data.genes + 1)
        np.add.at(gradient, data.gene_of_feature, 2 * weights * by_feature)
        gradient[-1] = gradient[:-1].sum()
        return gradient

    def _bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns the least and the largest value of each parameter."""
        high = np.full_like(self.mean, _LOG_LIMIT)
        return -high, high

    def fit(self, evaluations: int) -> np.ndarray:
        """Finds the parameters of the largest density, from the prior's mean.

        It computes the density so many times at most.
        """
        found = optimize.minimize(
            self,
            self.mean,
            jac=True,
            method="L-BFGS-B",
            bounds=list(zip(*self._bounds(), strict=True)),
            options={"maxfun": evaluations, "maxiter": evaluations},
        )
        return np.asarray(found.x)

    def sample(self, centre: np.ndarray, count: int) -> list[np.ndarray]:
        """Draws parameters from Laplace's approximation of the posterior.

        Its centre is what `fit` returned.
        """
        _, base = self(centre)
        steps = _GRADIENT_STEP * np.eye(len(centre))
        slopes = [self(centre + step)[1] for step in steps]
        rows = [(slope - base) / _GRADIENT_STEP for slope in slopes]
        # In units of the prior's deviations, where the prior's curvature is 1.
        curvature = self.deviation[:, None] * np.array(rows) * self.deviation
        if not np.isfinite(curvature).all():
            # Losses beyond what doubles can square: the prior's curvature.
            curvature = np.eye(len(centre))
        values, axes = np.linalg.eigh((curvature + curvature.T) / 2)
        spread = axes / np.sqrt(np.maximum(values, _LEAST_CURVATURE))
        # Antithetic pairs, whose mean is the centre, from a fixed sequence, so
        # that equal data gives equal samples.
        draws = _normal_draws((count + 1) // 2, len(centre))
        draws = np.concatenate([draws, -draws])[:count]
        moved = centre + self.deviation * (draws @ spread.T)
        return list(np.clip(moved, -_LOG_LIMIT, _LOG_LIMIT))


def squared_distances(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Returns the `(n, m)` array of squared distances of rows to rows."""
    # By one product of matrices, without an array of all differences. Rounding
    # may make the distance of equal rows negative.
    distances = (-2 * first) @ second.T
    distances += (first**2).sum(axis=1)[:, None]
    distances += (second**2).sum(axis=1)
    return np.maximum(distances, 0.0, out=distances)


def _natural(
    data: Data, parameters: np.ndarray
) -> tuple[np.ndarray, float, float]:
    """Returns the weight of each feature and the two variances."""
    signal, noise = np.exp(parameters[data.genes + 1 :])
    return feature_weights(data, parameters), float(signal), float(noise)


def feature_weights(data: Data, parameters: np.ndarray) -> np.ndarray:
    """Returns the `(f,)` weights of features in squared distances."""
    genes = data.genes
    weights = np.exp(parameters[:genes] + parameters[genes])
    return weights[data.gene_of_feature]


def factored(covariance: np.ndarray, noise: float) -> np.ndarray:
    """Returns the lower Cholesky factor of a covariance with noise added."""
    covariance[np.diag_indices_from(covariance)] += noise
    return linalg.cholesky(
        covariance, lower=True, overwrite_a=True, check_finite=False
    )


def solved(lower: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Returns the inverse of what was factored times the right side."""
    return linalg.cho_solve((lower, True), right, check_finite=False)


def _matern(squared: np.ndarray) -> np.ndarray:
    # Equation 4.17. In place, since a prediction spends most of its time here.
    root = np.sqrt(np.multiply(squared, 5, out=squared), out=squared)
    values = root / 3
    values += 1
    values *= root
    values += 1
    np.negative(root, out=root)
    values *= np.exp(root, out=root)
    return values


def density(
    covariance: np.ndarray, losses: np.ndarray
) -> tuple[float, np.ndarray | None]:
    """Returns the negative log density of losses, less its constant.

    The second is its derivative by each entry of the covariance: half of the
    inverse less `alpha alpha^T` (equation 5.9). Where the covariance has no
    factor, the value is so bad that a line search takes a shorter step, and the
    derivative is `None`.
    """
    lower, failed = linalg.lapack.dpotrf(covariance, lower=1)
    if failed:
        return 1e10, None
    alpha, _ = linalg.lapack.dpotrs(lower, losses, lower=1)
    value = 0.5 * losses @ alpha + np.log(lower.diagonal()).sum()
    # `dpotri` returns the lower half of the inverse.
    slope = _symmetric(linalg.lapack.dpotri(lower, lower=1)[0])
    slope -= alpha[:, None] * alpha
    slope *= 0.5
    return float(value), slope


def _symmetric(lower: np.ndarray) -> np.ndarray:
    """Returns the symmetric matrix that has a lower triangle."""
    full = lower + lower.T
    full[np.diag_indices_from(full)] *= 0.5
    return full


@functools.lru_cache(maxsize=16)
def _normal_draws(count: int, size: int) -> np.ndarray:
    rng = np.random.Generator(np.random.PCG64(0))
    return rng.standard_normal((count, size))
