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

from keras_evonas.evolution import gaussian_process as gp

_JITTER = 1e-6
# Variance of the unknown mean on the lowest rung, and of each gain.
_CONSTANT = 1.0
# Bounds of the parameters, in deviations of the prior.
_LIMIT = 5.0
# Share of the spread of losses below which differences from the best one fade
# on the logarithmic scale.
_SOFT = 0.3


@dataclasses.dataclass(frozen=True)
class _Prior(gp.Prior):
    """The prior of the genes, of both covariances and of the noise.

    That of the two growths is of their values, not of logarithms.
    """

    # Between one rung and the next genomes keep a correlation of 0.8, and what
    # a network has of its own one of a half.
    decay: tuple[float, float] = (-1.5, 1.0)
    growth: tuple[float, float] = (0.0, 0.3)
    own: tuple[float, float] = (-3.0, 1.2)
    own_decay: tuple[float, float] = (-0.4, 1.0)
    own_growth: tuple[float, float] = (0.0, 0.3)
    noise: tuple[float, float] = (-4.6, 1.0)

    def pairs(self, genes: int) -> list[tuple[float, float]]:
        return [
            *[self.relevance] * genes,
            *(self.distance, self.signal, self.decay, self.growth),
            *(self.own, self.own_decay, self.own_growth, self.noise),
        ]


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class CurveData(gp.Data):
    """Observations of networks on rungs, a row for each observation."""

    networks: np.ndarray  # `(n,)`, integers, negative for a new network.
    rungs: np.ndarray  # `(n,)`, integers from 0 to `highest`.
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

    def joined(
        self,
        features: np.ndarray,
        networks: np.ndarray,
        rungs: np.ndarray,
        losses: np.ndarray,
    ) -> "CurveData":
        """Returns these observations and others after them."""
        return dataclasses.replace(
            self,
            features=np.concatenate([self.features, features]),
            networks=np.concatenate([self.networks, networks]),
            rungs=np.concatenate([self.rungs, rungs]),
            losses=np.concatenate([self.losses, losses]),
        )


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class _Tables:
    """Everything that depends on rungs alone, in `(k, k)` tables of two."""

    signal: np.ndarray  # The factor of the genomes' covariance.
    own: np.ndarray  # The covariance of a network with itself.
    mean: np.ndarray  # The covariance of unknown means.
    apart: np.ndarray  # The distance of the rungs.
    below: np.ndarray  # Minus how far both are below the highest.


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
        self._roots = np.sqrt(gp.feature_weights(data, parameters))
        self._tables = _tables(parameters, data.genes, data.highest)
        self._scaled = data.features * self._roots
        covariance = self._covariance(data.features, data.networks, data.rungs)
        self._lower = gp.factored(covariance, np.exp(parameters[-1]) + _JITTER)
        self._alpha = gp.solved(self._lower, data.losses)

    def _covariance(
        self, features: np.ndarray, networks: np.ndarray, rungs: np.ndarray
    ) -> np.ndarray:
        data, tables = self._data, self._tables
        kernel, _, _ = _matern(
            gp.squared_distances(features * self._roots, self._scaled)
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
        """Returns the means and variances of the losses of networks on rungs.

        The arguments are those of `CurveData`. The variances are without the
        noise of an observation but with all that networks have of their own.
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
            features: As in `CurveData`, `m` rows.
            networks: As in `CurveData`.
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
        """Adds observations of `CurveData` that are taken to be as predicted.

        See `GaussianProcess.believing`.
        """
        if not len(features):
            return self
        means, _ = self.predict(features, networks, rungs)
        data = self._data.joined(features, networks, rungs, means)
        return CurveProcess(data, self._parameters)


class CurvePosterior(gp.Posterior):
    """The negative log posterior density of a `CurveProcess`.

    The parameters that `fit` finds are a `(genes + 8,)` array.
    """

    _data: CurveData

    def __init__(self, data: CurveData) -> None:
        super().__init__(data, _Prior())
        self._pairs = np.ix_(data.rungs, data.rungs)
        self._same = data.networks[:, None] == data.networks

    def _likelihood(
        self, parameters: np.ndarray
    ) -> tuple[float, np.ndarray | None]:
        data, genes = self._data, self._data.genes
        weights = gp.feature_weights(data, parameters)
        tables = _tables(parameters, genes, data.highest)
        scaled = data.features * np.sqrt(weights)
        kernel, root, decay = _matern(gp.squared_distances(scaled, scaled))
        factor = tables.signal[self._pairs]
        kernel *= factor
        own = np.where(self._same, tables.own[self._pairs], 0.0)
        covariance = kernel + own + tables.mean[self._pairs]
        noise = np.exp(parameters[-1])
        covariance[np.diag_indices_from(covariance)] += noise + _JITTER
        value, slope = gp.density(covariance, data.losses)
        if slope is None:
            return value, None
        # As in `gp.Posterior`, but that growths are no logarithms.
        by_distance = slope * factor * (1 + root) * decay * (-5 / 6)
        gradient = np.zeros_like(parameters)
        gradient[: genes + 1] = self._by_relevance(weights, by_distance)
        apart, below = tables.apart[self._pairs], tables.below[self._pairs]
        for start, part in ((genes + 1, kernel), (genes + 4, own)):
            weighted = slope * part
            faster = -np.exp(parameters[start + 1])
            gradient[start] = weighted.sum()
            gradient[start + 1] = faster * (weighted * apart).sum()
            gradient[start + 2] = (weighted * below).sum()
        gradient[-1] = noise * slope.trace()
        return value, gradient

    def _bounds(self) -> tuple[np.ndarray, np.ndarray]:
        width = _LIMIT * self.deviation
        return self.mean - width, self.mean + width


def _matern(
    squared: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns Matérn 5/2 of squared distances, its root and its decay."""
    root = np.sqrt(5 * squared)
    decay = np.exp(-root)
    return (1 + root + root**2 / 3) * decay, root, decay


def soft_logarithm(
    losses: np.ndarray, best: float, spread: float
) -> np.ndarray:
    """Returns the logarithm of losses' distances from the best one, softened.

    What an error rate needs to be halved again and again.
    """
    distances = np.maximum(losses - best, 0) / spread
    return np.asarray(np.log(distances + _SOFT))
