"""Gaussian processes of genome and rung: what each network will reach.

An observation is the least loss of a network up to a rung. Two observations are
the closer related the more alike their genomes are and the nearer their rungs,
as in MOBSTER (Klein et al., 2020); two of one network are related by more than
its genome, since its own initial weights and batches stay with it, as in
freeze-thaw optimisation (Swersky et al., 2014). For genomes `x`, networks `i`
and rungs `r`, the covariance is

    signal(r, r') matern(x, x') + own(r, r') [i = i'] + mean(r, r')

where `signal` and `own` decay with the distance of the rungs and change with
their height, and `mean` is that of an unknown mean loss on the lowest rung and
of an unknown gain from each rung to the next. Unlike freeze-thaw's kernel of
exponential decays and unlike power laws, this one assumes no shape of a curve:
between a few rungs there is none to see.

The parameters are fitted as in `keras_evonas.evolution.gaussian_process`.
"""

import dataclasses

import numpy as np
from scipy import linalg
from scipy import optimize

from keras_evonas.evolution.gaussian_process import density
from keras_evonas.evolution.gaussian_process import squared_distances

_JITTER = 1e-6
# Variance of the unknown mean on the lowest rung, and of each gain.
_CONSTANT = 1.0
# Bounds of the parameters, in deviations of the prior.
_LIMIT = 5.0
# Mean and deviation of the logarithm of each parameter, but of its value for
# the two growths. The prior of the genes is that of `gaussian_process.Prior`.
_RELEVANCE = (0.0, 1.2)
_DISTANCE = (0.0, 1.0)
_SIGNAL = (0.0, 0.7)
# Between one rung and the next genomes keep a correlation of 0.8, and what a
# network has of its own one of a half.
_DECAY = (-1.5, 1.0)
_GROWTH = (0.0, 0.3)
_OWN = (-3.0, 1.2)
_OWN_DECAY = (-0.4, 1.0)
_OWN_GROWTH = (0.0, 0.3)
_NOISE = (-4.6, 1.0)


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class CurveData:
    """Observations of networks on rungs.

    Args:
        features: `(n, f)` array, the features of each network's genome.
        networks: `(n,)` array of integers, which network it is.
        rungs: `(n,)` array of integers, from 0 to `highest`.
        losses: `(n,)` array, standardised.
        gene_of_feature: `(f,)` array of integers below `genes`.
        genes: Integer, number of genes.
        highest: Integer, the highest rung.
    """

    features: np.ndarray
    networks: np.ndarray
    rungs: np.ndarray
    losses: np.ndarray
    gene_of_feature: np.ndarray
    genes: int
    highest: int

    def rows(self, indices: np.ndarray) -> "CurveData":
        """Returns some of the observations."""
        return dataclasses.replace(
            self,
            features=self.features[indices],
            networks=self.networks[indices],
            rungs=self.rungs[indices],
            losses=self.losses[indices],
        )


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class _Tables:
    """Everything that depends on rungs alone, as tables of two rungs.

    Args:
        signal: `(k, k)` array, the factor of the genomes' covariance.
        own: `(k, k)` array, the covariance of a network with itself.
        mean: `(k, k)` array, the covariance of unknown means.
        apart: `(k, k)` array, the distance of the rungs.
        below: `(k, k)` array, minus how far both are below the highest.
    """

    signal: np.ndarray
    own: np.ndarray
    mean: np.ndarray
    apart: np.ndarray
    below: np.ndarray


def _tables(parameters: np.ndarray, genes: int, highest: int) -> _Tables:
    signal, decay, growth, own, own_decay, own_growth = parameters[
        genes + 1 : -1
    ]
    rungs = np.arange(highest + 1.0)
    apart = np.abs(rungs[:, None] - rungs)
    below = rungs[:, None] + rungs - 2 * highest
    return _Tables(
        signal=np.exp(signal - np.exp(decay) * apart + growth * below),
        own=np.exp(own - np.exp(own_decay) * apart + own_growth * below),
        mean=_CONSTANT * (1 + np.minimum(rungs[:, None], rungs)),
        apart=apart,
        below=below,
    )


class CurveProcess:
    """A Gaussian process with known parameters, given observations.

    Args:
        data: The observations.
        parameters: `(genes + 8,)` array, as `CurvePosterior.fit` returns it.
    """

    def __init__(self, data: CurveData, parameters: np.ndarray) -> None:
        self._data = data
        self._parameters = parameters
        genes = data.genes
        weights = np.exp(parameters[:genes] + parameters[genes])
        self._roots = np.sqrt(weights[data.gene_of_feature])
        self._tables = _tables(parameters, genes, data.highest)
        self._scaled = data.features * self._roots
        covariance = self._covariance(data.features, data.networks, data.rungs)
        noise = np.exp(parameters[-1]) + _JITTER
        covariance[np.diag_indices_from(covariance)] += noise
        self._lower = linalg.cholesky(
            covariance, lower=True, overwrite_a=True, check_finite=False
        )
        self._alpha = linalg.cho_solve(
            (self._lower, True), data.losses, check_finite=False
        )

    def _covariance(
        self, features: np.ndarray, networks: np.ndarray, rungs: np.ndarray
    ) -> np.ndarray:
        data, tables = self._data, self._tables
        kernel, _, _ = _matern(
            squared_distances(features * self._roots, self._scaled)
        )
        pairs = np.ix_(rungs, data.rungs)
        kernel *= tables.signal[pairs]
        kernel += tables.mean[pairs]
        return kernel + np.where(
            networks[:, None] == data.networks, tables.own[pairs], 0.0
        )

    def predict(
        self, features: np.ndarray, networks: np.ndarray, rungs: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Predicts the losses of networks on rungs.

        Args:
            features: `(m, f)` array.
            networks: `(m,)` array of integers, negative for a new network.
            rungs: `(m,)` array of integers.

        Returns:
            `(m,)` array of means and `(m,)` array of variances, without the
            noise of an observation but with all that networks have of their
            own.
        """
        cross = self._covariance(features, networks, rungs)
        explained, _ = linalg.lapack.dtrtrs(self._lower, cross.T, lower=1)
        tables = self._tables
        prior = (tables.signal + tables.own + tables.mean).diagonal()[rungs]
        variance = prior - (explained**2).sum(axis=0)
        return cross @ self._alpha, np.maximum(variance, _JITTER)

    def stages(
        self, features: np.ndarray, networks: np.ndarray, lowest: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Predicts where networks end, and when how much of it is known.

        The variance of a network's loss on the highest rung is split into what
        its result on each rung from `lowest` on will reveal: in the Cholesky
        factor of the covariance of these results it is the square of the last
        row.

        Args:
            features: `(m, f)` array.
            networks: `(m,)` array of integers, negative for a new network.
            lowest: Integer, the first rung that the networks have not ended.

        Returns:
            `(m,)` array of expected losses on the highest rung, and the
            `(m, k)` array of standard deviations that each rung reveals.
        """
        rungs = np.arange(lowest, self._data.highest + 1)
        count, steps = len(features), len(rungs)
        cross = self._covariance(
            np.repeat(features, steps, axis=0),
            np.repeat(networks, steps),
            np.tile(rungs, count),
        )
        explained, _ = linalg.lapack.dtrtrs(self._lower, cross.T, lower=1)
        explained = explained.reshape(-1, count, steps)
        tables, pairs = self._tables, np.ix_(rungs, rungs)
        prior = (tables.signal + tables.own + tables.mean)[pairs]
        covariance = prior - np.einsum("nmk,nml->mkl", explained, explained)
        covariance += 10 * _JITTER * np.eye(steps)
        revealed = np.linalg.cholesky(covariance)[:, -1]
        means = (cross @ self._alpha).reshape(count, steps)[:, -1]
        return means, np.maximum(revealed, 1e-6)

    def believing(
        self, features: np.ndarray, networks: np.ndarray, rungs: np.ndarray
    ) -> "CurveProcess":
        """Adds observations that are taken to be as predicted.

        Args:
            features: `(m, f)` array.
            networks: `(m,)` array of integers.
            rungs: `(m,)` array of integers.

        Returns:
            The Gaussian process of all observations.
        """
        if not len(features):
            return self
        means, _ = self.predict(features, networks, rungs)
        known = self._data
        data = dataclasses.replace(
            known,
            features=np.concatenate([known.features, features]),
            networks=np.concatenate([known.networks, networks]),
            rungs=np.concatenate([known.rungs, rungs]),
            losses=np.concatenate([known.losses, means]),
        )
        return CurveProcess(data, self._parameters)


class CurvePosterior:
    """The negative log posterior density of the parameters, up to a constant.

    Args:
        data: The observations.
    """

    def __init__(self, data: CurveData) -> None:
        self._data = data
        self._squares = data.features**2
        self._pairs = np.ix_(data.rungs, data.rungs)
        self._same = data.networks[:, None] == data.networks
        varied = max(1, len(np.unique(data.gene_of_feature)))
        pairs = [_RELEVANCE] * data.genes
        pairs += [_DISTANCE, _SIGNAL, _DECAY, _GROWTH]
        pairs += [_OWN, _OWN_DECAY, _OWN_GROWTH, _NOISE]
        self.mean, self.deviation = np.array(pairs).T.copy()
        # As in `gaussian_process.Posterior`.
        self.mean[data.genes] -= np.log(0.5 * varied)

    def __call__(self, parameters: np.ndarray) -> tuple[float, np.ndarray]:
        """Returns the negative log density and its gradient.

        Follows Rasmussen & Williams (2006), equations 5.8 and 5.9, with the
        prior's density added.
        """
        data, genes = self._data, self._data.genes
        weights = np.exp(parameters[:genes] + parameters[genes])
        weights = weights[data.gene_of_feature]
        tables = _tables(parameters, genes, data.highest)
        scaled = data.features * np.sqrt(weights)
        kernel, root, decay = _matern(squared_distances(scaled, scaled))
        factor = tables.signal[self._pairs]
        kernel *= factor
        own = np.where(self._same, tables.own[self._pairs], 0.0)
        covariance = kernel + own + tables.mean[self._pairs]
        noise = np.exp(parameters[-1])
        covariance[np.diag_indices_from(covariance)] += noise + _JITTER
        value, slope = density(covariance, data.losses)
        if slope is None:
            return value, np.zeros_like(parameters)
        # See `gaussian_process.Posterior`.
        by_distance = slope * factor * (1 + root) * decay * (-5 / 6)
        by_feature = by_distance.sum(axis=1) @ self._squares
        by_feature -= (data.features * (by_distance @ data.features)).sum(0)
        gradient = np.zeros_like(parameters)
        np.add.at(gradient, data.gene_of_feature, 2 * weights * by_feature)
        gradient[genes] = gradient[:genes].sum()
        apart, below = tables.apart[self._pairs], tables.below[self._pairs]
        for start, part in ((genes + 1, kernel), (genes + 4, own)):
            weighted = slope * part
            faster = -np.exp(parameters[start + 1])
            gradient[start] = weighted.sum()
            gradient[start + 1] = faster * (weighted * apart).sum()
            gradient[start + 2] = (weighted * below).sum()
        gradient[-1] = noise * slope.trace()

        offset = (parameters - self.mean) / self.deviation
        value += 0.5 * offset @ offset
        return float(value), gradient + offset / self.deviation

    def fit(self, evaluations: int) -> np.ndarray:
        """Finds the parameters of the largest density, from the prior's mean.

        Args:
            evaluations: Integer, the most computations of the density.

        Returns:
            `(genes + 8,)` array.
        """
        low = self.mean - _LIMIT * self.deviation
        high = self.mean + _LIMIT * self.deviation
        found = optimize.minimize(
            self,
            self.mean,
            jac=True,
            method="L-BFGS-B",
            bounds=list(zip(low, high, strict=True)),
            options={"maxfun": evaluations, "maxiter": evaluations},
        )
        return np.asarray(found.x)


def _matern(
    squared: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns Matérn 5/2 of squared distances, its root and its decay."""
    root = np.sqrt(5 * squared)
    decay = np.exp(-root)
    return (1 + root + root**2 / 3) * decay, root, decay
