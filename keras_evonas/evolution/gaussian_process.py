"""A Gaussian process on genomes: what a network like this one would score.

The kernel is Matérn 5/2 with a length scale for each gene (Rasmussen &
Williams, 2006, section 4.2), plus a constant for the unknown mean. A fit finds
the parameters of the largest posterior density by L-BFGS with exact gradients
from a fixed start, so that it depends on nothing but its data. How sure they
are is known from the curvature there (Laplace's approximation).
"""

import dataclasses
import functools

import numpy as np
from scipy import linalg
from scipy import optimize

# Keeps a covariance of equal points invertible.
_JITTER = 1e-8
# Variance of the unknown mean of standardised losses.
_CONSTANT = 1.0
_LOG_LIMIT = 12.0
_GRADIENT_STEP = 1e-3
# Curvature of a log density relative to that of its prior, at least.
_LEAST_CURVATURE = 0.7


@dataclasses.dataclass(frozen=True)
class Prior:
    """Normal distributions of the logarithms of the parameters.

    Each parameter is given as a pair of mean and standard deviation.

    Args:
        distance: The squared distance of two random genomes, in units of the
            length scales.
        relevance: How much more than others a gene matters.
        signal: The variance of what the genes explain.
        noise: The variance of what they do not explain.
    """

    distance: tuple[float, float] = (0.0, 1.0)
    relevance: tuple[float, float] = (0.0, 1.2)
    signal: tuple[float, float] = (0.0, 0.7)
    noise: tuple[float, float] = (-4.0, 1.5)


@dataclasses.dataclass(frozen=True, eq=False)
class Data:
    """Genomes and their losses, as a Gaussian process sees them.

    Args:
        features: `(n, f)` array, one row a genome.
        losses: `(n,)` array, standardised.
        gene_of_feature: `(f,)` array of integers below `genes`.
        genes: Integer, number of genes.
    """

    features: np.ndarray
    losses: np.ndarray
    gene_of_feature: np.ndarray
    genes: int

    def rows(self, indices: np.ndarray) -> "Data":
        """Returns a part of the genomes."""
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
        covariance = self._covariance(self._scaled)
        covariance[np.diag_indices_from(covariance)] += self._noise + _JITTER
        self._lower = linalg.cholesky(
            covariance, lower=True, overwrite_a=True, check_finite=False
        )
        self._solved = linalg.cho_solve(
            (self._lower, True), data.losses, check_finite=False
        )

    def _covariance(self, scaled: np.ndarray) -> np.ndarray:
        distances = squared_distances(scaled, self._scaled)
        return self._signal * _matern(distances) + _CONSTANT

    def predict(self, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Predicts the losses of genomes, without the noise of a run.

        Args:
            features: `(m, f)` array.

        Returns:
            `(m,)` array of means and `(m,)` array of variances.
        """
        cross = self._covariance(features * self._roots)
        mean = cross @ self._solved
        explained, _ = linalg.lapack.dtrtrs(self._lower, cross.T, lower=1)
        variance = self._signal + _CONSTANT - (explained**2).sum(axis=0)
        return mean, np.maximum(variance, _JITTER)

    def smoothed(self) -> np.ndarray:
        """`(n,)` array, what `predict` expects of the data's own genomes."""
        return self._data.losses - (self._noise + _JITTER) * self._solved

    def believing(self, features: np.ndarray) -> "GaussianProcess":
        """Takes its own predictions for the losses of more genomes.

        The means stay what they are and the variances around the genomes
        fall, which is what is known of networks that are being trained.

        Args:
            features: `(m, f)` array.

        Returns:
            The Gaussian process given both.
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
        """`(n,)` array, each loss as the others predict it.

        Follows Rasmussen & Williams (2006), equation 5.12.
        """
        identity = np.eye(len(self._solved))
        inverse = linalg.cho_solve(
            (self._lower, True), identity, check_finite=False
        )
        return self._data.losses - self._solved / inverse.diagonal()


class Posterior:
    """Negative log posterior density of the parameters, up to a constant.

    Args:
        data: The data.
        prior: The prior.
    """

    def __init__(self, data: Data, prior: Prior) -> None:
        self._data = data
        self._squares = data.features**2
        varied = max(1, len(np.unique(data.gene_of_feature)))
        names = ("distance", "signal", "noise")
        pairs = [prior.relevance] * data.genes
        pairs += [getattr(prior, name) for name in names]
        self.mean, self.deviation = np.array(pairs).T.copy()
        # Two random values of a gene are at a squared distance near a half.
        self.mean[data.genes] -= np.log(0.5 * varied)

    def __call__(self, parameters: np.ndarray) -> tuple[float, np.ndarray]:
        """Returns the negative log density and its gradient."""
        data, genes = self._data, self._data.genes
        weights, signal, noise = _natural(data, parameters)
        scaled = data.features * np.sqrt(weights)
        root = np.sqrt(5 * squared_distances(scaled, scaled))
        decay = signal * np.exp(-root)
        kernel = (1 + root + root**2 / 3) * decay
        covariance = kernel + _CONSTANT
        covariance[np.diag_indices_from(covariance)] += noise + _JITTER
        lower, failed = linalg.lapack.dpotrf(covariance, lower=1)
        if failed:
            return 1e10, np.zeros_like(parameters)
        solved, _ = linalg.lapack.dpotrs(lower, data.losses, lower=1)
        value = 0.5 * data.losses @ solved + np.log(lower.diagonal()).sum()

        # What a change of each entry of the covariance does to the value.
        slope = _symmetric(linalg.lapack.dpotri(lower, lower=1)[0])
        slope -= solved[:, None] * solved
        slope *= 0.5
        by_distance = slope * (1 + root) * decay * (-5 / 6)
        by_feature = by_distance.sum(axis=1) @ self._squares
        by_feature -= (data.features * (by_distance @ data.features)).sum(0)
        gradient = np.zeros_like(parameters)
        np.add.at(gradient, data.gene_of_feature, 2 * weights * by_feature)
        gradient[genes] = gradient[:genes].sum()
        gradient[genes + 1] = (slope * kernel).sum()
        gradient[genes + 2] = noise * slope.trace()

        offset = (parameters - self.mean) / self.deviation
        value += 0.5 * offset @ offset
        return float(value), gradient + offset / self.deviation

    def fit(self, evaluations: int) -> np.ndarray:
        """Climbs from the prior's mean to the densest parameters.

        Args:
            evaluations: How often the density is computed at most.

        Returns:
            `(genes + 3,)` array.
        """
        bounds = [(-_LOG_LIMIT, _LOG_LIMIT)] * len(self.mean)
        options = {"maxfun": evaluations, "maxiter": evaluations}
        found = optimize.minimize(
            self,
            self.mean,
            jac=True,
            method="L-BFGS-B",
            bounds=bounds,
            options=options,
        )
        return np.asarray(found.x)

    def sample(self, centre: np.ndarray, count: int) -> list[np.ndarray]:
        """Draws parameters around the densest ones.

        The draws are a fixed sequence in pairs of opposites, so that equal
        data gives equal samples.

        Args:
            centre: What `fit` returned.
            count: How many.

        Returns:
            List of `(genes + 3,)` arrays.
        """
        _, base = self(centre)
        rows = []
        for index in range(len(centre)):
            moved = centre.copy()
            moved[index] += _GRADIENT_STEP
            rows.append((self(moved)[1] - base) / _GRADIENT_STEP)
        curvature = self.deviation[:, None] * np.array(rows) * self.deviation
        values, axes = np.linalg.eigh((curvature + curvature.T) / 2)
        spread = axes / np.sqrt(np.maximum(values, _LEAST_CURVATURE))
        draws = _normal_draws((count + 1) // 2, len(centre))
        draws = np.concatenate([draws, -draws])[:count]
        moved = centre + self.deviation * (draws @ spread.T)
        return list(np.clip(moved, -_LOG_LIMIT, _LOG_LIMIT))


def squared_distances(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """`(n, m)` array, squared Euclidean distances of rows to rows."""
    distances = (-2 * first) @ second.T
    distances += (first**2).sum(axis=1)[:, None]
    distances += (second**2).sum(axis=1)
    return np.maximum(distances, 0.0, out=distances)


def _natural(
    data: Data, parameters: np.ndarray
) -> tuple[np.ndarray, float, float]:
    """Weight of each feature, signal variance and noise variance."""
    genes = data.genes
    weights = np.exp(parameters[:genes] + parameters[genes])
    signal, noise = np.exp(parameters[genes + 1 :])
    return weights[data.gene_of_feature], float(signal), float(noise)


def _matern(squared: np.ndarray) -> np.ndarray:
    # In place: most of the time of a prediction is spent here.
    root = np.sqrt(np.multiply(squared, 5, out=squared), out=squared)
    values = root / 3
    values += 1
    values *= root
    values += 1
    np.negative(root, out=root)
    values *= np.exp(root, out=root)
    return values


def _symmetric(lower: np.ndarray) -> np.ndarray:
    """The symmetric matrix of a lower triangle."""
    full = lower + lower.T
    full[np.diag_indices_from(full)] *= 0.5
    return full


@functools.lru_cache(maxsize=16)
def _normal_draws(count: int, size: int) -> np.ndarray:
    return np.random.Generator(np.random.PCG64(0)).standard_normal(
        (count, size)
    )
