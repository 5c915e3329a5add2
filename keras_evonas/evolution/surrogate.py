"""Surrogates: predictions for genomes from the losses of individuals."""

import abc
import dataclasses
import functools
import weakref
from collections.abc import Callable
from collections.abc import Sequence
from typing import NamedTuple
from typing import TypeAlias

import numpy as np
from scipy import special

from keras_evonas.evolution import gaussian_process as gp
from keras_evonas.evolution.encoding import Encoding
from keras_evonas.evolution.genes import Gene
from keras_evonas.evolution.history import History
from keras_evonas.evolution.history import Individual
from keras_evonas.evolution.history import best_first
from keras_evonas.evolution.history import single_losses
from keras_evonas.evolution.space import SearchSpace

# Least size of a population to learn from: two losses say nothing, since any
# two are 1 and -1 when standardised.
LEAST_DATA = 3
# Most individuals that a prediction and a fit of the parameters are based on,
# and most computations of a fit. Each of these costs the cube of the number of
# individuals, so that together they bound the time of a proposal. Parameters
# need fewer than predictions, and these a sample only where losses are bad.
MAX_DATA = 200
MAX_FIT_DATA = 80
FIT_EVALUATIONS = 16
# Number of ended individuals up to which parameters are fitted again after each
# one, and beyond which only after each 5 % more; see `fitted_number`.
FIT_ALWAYS = 40
_FIT_STEPS = 20
# Number of samples of the parameters, shared among the views, up to a number of
# ended individuals. Beyond the last there is one sample for each view: with
# more data the samples differ less.
SAMPLES = ((60, 4), (120, 2))
PRIOR = gp.Prior()
# Largest distance of a loss from the median, in root mean squares of the better
# half's distances. It only bounds losses that diverged.
_FAR = 30.0
# Differences of larger losses have squares that overflow.
_LARGEST = 1e150
# A search is stuck after this many evaluations without an improvement, if noise
# is at most this share of the variance of losses. The share need not be exact:
# it is below 0.1 in the tables of NAS-Bench-201, where searches got stuck, and
# 0.25 to 0.6 in those of perceptrons (docs/benchmarks.md).
_PATIENCE = 20
_LITTLE_NOISE = 0.1
_LOG_SQRT_2PI = 0.5 * np.log(2 * np.pi)


# A view puts an `(n,)` array of losses on a scale with mean 0 and, unless they
# are all equal, variance 1.
View: TypeAlias = Callable[[np.ndarray], np.ndarray]


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Surrogate(abc.ABC):
    """Predicts the gain of trials from the individuals that have ended."""

    encoding: Encoding
    codes: np.ndarray  # `(n, size)`, the genomes of the individuals.
    active: np.ndarray  # `(n, size)`, their active genes.
    expected: np.ndarray  # `(n, ...)`, their expected losses.
    individuals: Sequence[Individual]  # From which the surrogate learnt.
    # Rank correlation of losses with predictions that were made without them.
    trust: float

    @abc.abstractmethod
    def elites(self, count: int) -> np.ndarray:
        """Returns the indices of the individuals that are expected best."""

    def is_stuck(self, ended: int) -> bool:
        """Returns whether the search is stuck after so many evaluations.

        It is not, as long as something may be gained without a better best
        loss, such as by a front that grows or by networks that were begun.
        """
        del ended
        return False

    @abc.abstractmethod
    def worth(self, codes: np.ndarray) -> np.ndarray:
        """Returns the logarithms of the expected gains of `(m, size)` codes."""

    def sound_first(self) -> np.ndarray:
        """Returns the indices of `sound` individuals, expected best first."""
        order = np.argsort(self.expected, kind="stable")
        return order[sound(self.individuals)[order]]

    def features(self, codes: np.ndarray) -> np.ndarray:
        """Returns the `(m, f)` array of features of `(m, size)` codes."""
        return self.encoding.features(codes, self.encoding.activity(codes))


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class LossSurrogate(Surrogate):
    """Predicts the first loss; its gain is an improvement of that loss."""

    # Of equal weight, with the pending individuals as they predict them, and
    # for each the least loss that it expects of an individual that has ended.
    models: Sequence[gp.GaussianProcess]
    bests: Sequence[float]
    noise: float  # The share of the losses' variance that genes do not explain.

    def elites(self, count: int) -> np.ndarray:
        """Returns indices of feasible individuals, or if none is, of viable."""
        return self.sound_first()[:count]

    def is_stuck(self, ended: int) -> bool:
        """Returns whether there was no improvement in 20 evaluations."""
        # If much of the variance of losses is noise, the best individual may
        # have been lucky, and no improvement means little.
        if self.noise > _LITTLE_NOISE:
            return False
        return ended - best_first(self.individuals)[0].birth > _PATIENCE

    def worth(self, codes: np.ndarray) -> np.ndarray:
        """Returns the log of the expected improvement; see `Surrogate`."""
        features = self.features(codes)
        logs = [
            log_expected_improvement(*model.predict(features), best)
            for model, best in zip(self.models, self.bests, strict=True)
        ]
        # The mean over the models, up to a constant that makes no difference.
        return np.asarray(np.logaddexp.reduce(logs, axis=0))


def surrogate_of(
    space: SearchSpace, history: History, views: Sequence[View] | None = None
) -> LossSurrogate:
    """Makes a surrogate of a history with at least one viable individual.

    It depends on its arguments only. Failures count as the worst loss, and
    individuals that violate a constraint as worse than all others, by how much
    they violate it (Deb, 2000).

    Each view, by default `half_ranked` and `capped`, is a scale of the losses
    with Gaussian processes of its own.
    """
    views = views or (half_ranked, capped)
    encoding = encoding_of(space.genes)
    fits = _fitted(encoding, space.genes, history, tuple(views))
    kept = thinned(history.ended, MAX_DATA)
    codes, active = _encoded(encoding, kept, history)
    pending = [one.genome for one in history.pending.values()]
    busy = encoding.features(*encoding.encode(pending))
    models, bests, means = [], [], []
    for view, fit in zip(views, fits, strict=True):
        data = _data(encoding, kept, codes, active, view)
        for values in fit.samples:
            model = gp.GaussianProcess(data, values)
            mean = model.smoothed()
            means.append(mean)
            bests.append(float(mean.min()))
            models.append(model.believing(busy))
    return LossSurrogate(
        encoding=encoding,
        models=models,
        bests=bests,
        codes=codes,
        active=active,
        expected=np.mean(means, axis=0),
        individuals=kept,
        trust=float(np.mean([fit.trust for fit in fits])),
        noise=float(np.exp([values[-1] for values in fits[0].samples]).mean()),
    )


@functools.lru_cache(maxsize=8)
def encoding_of(genes: tuple[Gene, ...]) -> Encoding:
    """Makes the encoding of a space, once for each space."""
    return Encoding(SearchSpace(genes))


class _Fit(NamedTuple):
    """Samples of the parameters, and the trust in those of largest density."""

    samples: Sequence[np.ndarray]
    trust: float


# The last fits of each history. They follow from the history alone and are kept
# only to save time.
_FITS: weakref.WeakKeyDictionary[History, tuple[object, list[_Fit]]] = (
    weakref.WeakKeyDictionary()
)


def _fitted(
    encoding: Encoding,
    genes: tuple[Gene, ...],
    history: History,
    views: tuple[View, ...],
) -> list[_Fit]:
    """Fits the parameters of each view.

    With many individuals the parameters change little, so they are fitted again
    only after 5 % more individuals.
    """
    number = fitted_number(len(history.ended), FIT_ALWAYS, _FIT_STEPS)
    key = (number, genes, views)
    known = _FITS.get(history)
    if known is not None and known[0] == key:
        return known[1]
    kept = thinned(history.ended[:number], MAX_FIT_DATA)
    codes, active = _encoded(encoding, kept, history)
    count = next((c for limit, c in SAMPLES if number <= limit), 1)
    count = max(1, count // len(views))
    fits = [
        _fit(_data(encoding, kept, codes, active, view), count)
        for view in views
    ]
    _FITS[history] = (key, fits)
    return fits


def _fit(data: gp.Data, count: int) -> _Fit:
    posterior = gp.Posterior(data, PRIOR)
    densest = posterior.fit(FIT_EVALUATIONS)
    samples = posterior.sample(densest, count) if count > 1 else [densest]
    predicted = gp.GaussianProcess(data, densest).leave_one_out()
    return _Fit(samples, _rank_correlation(data.losses, predicted))


def _rank_correlation(first: np.ndarray, second: np.ndarray) -> float:
    ranks = [_standardised(_normal_ranks(one)) for one in (first, second)]
    return float(np.mean(ranks[0] * ranks[1]))


def fitted_number(ended: int, always: int, steps: int) -> int:
    """Returns how many individuals to fit to: all of few, else in steps.

    Beyond `always` a step adds one individual for each of so many `steps`.
    """
    # From the beginning, so that the steps are the same after a resume.
    number = min(ended, always)
    while (following := number + max(1, number // steps)) <= ended:
        number = following
    return number


def sound(individuals: Sequence[Individual]) -> np.ndarray:
    """Returns a mask of the feasible ones, or if none is, of the viable."""
    feasible = np.array([one.feasible for one in individuals], bool)
    viable = np.array([one.viable for one in individuals], bool)
    return feasible if feasible.any() else viable


def thinned(ended: Sequence[Individual], limit: int) -> list[Individual]:
    """Keeps the best individuals and an even sample of the others, in order."""
    if len(ended) <= limit:
        return list(ended)
    order = np.argsort(single_losses(ended), kind="stable")
    best = limit // 2
    others = np.linspace(best, len(ended) - 1, limit - best).round()
    chosen = np.concatenate([order[:best], order[others.astype(int)]])
    return [ended[index] for index in np.sort(chosen)]


_Rows = dict[tuple[Encoding, int], tuple[np.ndarray, np.ndarray]]
# Codes of the individuals of each history, which never change.
_ROWS: weakref.WeakKeyDictionary[History, _Rows] = weakref.WeakKeyDictionary()


def _encoded(
    encoding: Encoding, individuals: Sequence[Individual], history: History
) -> tuple[np.ndarray, np.ndarray]:
    """Encodes individuals, each only once."""
    rows = _ROWS.setdefault(history, {})
    new = [one for one in individuals if (encoding, one.birth) not in rows]
    if new:
        codes, active = encoding.encode([one.genome for one in new])
        for one, row, mask in zip(new, codes, active, strict=True):
            rows[encoding, one.birth] = row, mask
    found = [rows[encoding, one.birth] for one in individuals]
    return np.array([row for row, _ in found]), np.array([m for _, m in found])


def _data(
    encoding: Encoding,
    individuals: Sequence[Individual],
    codes: np.ndarray,
    active: np.ndarray,
    view: View,
) -> gp.Data:
    features = encoding.features(codes, active)
    losses = view(single_losses(individuals))
    return gp.Data(features, losses, encoding.gene_of_feature, encoding.size)


def half_ranked(losses: np.ndarray) -> np.ndarray:
    """Keeps the better half of losses as they are and ranks the worse half.

    How bad a bad loss is says little, and one that diverged would flatten all
    differences that matter. So losses above the median become quantiles of a
    normal distribution whose lower half has the spread of the better half, as
    Vizier's half-rank warping does (Song et al., 2024).
    """
    losses = _scaled(losses)
    middle = np.median(losses)
    better = losses <= middle
    spread = np.sqrt(np.mean((losses[better] - middle) ** 2))
    ranks = _normal_ranks(losses)
    if spread > 0:
        kept = (losses - middle) / spread
        ranks = np.where(better, kept, np.maximum(ranks, 0.0))
    return _standardised(ranks)


def capped(losses: np.ndarray) -> np.ndarray:
    """Keeps losses as they are, except that very large ones are cut off.

    Unlike ranks this view keeps the differences within the worse half.
    """
    losses = _scaled(losses)
    middle = np.median(losses)
    better = losses[losses <= middle]
    spread = np.sqrt(np.mean((better - middle) ** 2))
    if spread > 0:
        losses = np.minimum(losses, middle + _FAR * spread)
    return _standardised(losses)


def _scaled(losses: np.ndarray) -> np.ndarray:
    """Divides losses that are too large to be squared."""
    largest = np.abs(losses).max(initial=0.0)
    return losses / largest if largest > _LARGEST else losses


def _normal_ranks(losses: np.ndarray) -> np.ndarray:
    """Returns normal quantiles by rank, equal ones for equal losses."""
    _, inverse, counts = np.unique(
        losses, return_inverse=True, return_counts=True
    )
    # Equal losses share the middle of their ranks. The least of n losses is the
    # quantile of 0.5 / n, so that none is infinite.
    middle = np.cumsum(counts) - counts / 2
    return special.ndtri(middle[inverse] / len(losses))


def _standardised(losses: np.ndarray) -> np.ndarray:
    centred = losses - losses.mean()
    deviation = centred.std()
    return centred / deviation if deviation > 0 else centred


def log_expected_improvement(
    mean: np.ndarray, variance: np.ndarray, best: float
) -> np.ndarray:
    """Returns the logarithm of the expected improvement.

    The improvement of a loss is how far it falls below `best`, 0 if it does
    not. The logarithm is computed directly (Ament et al., 2023), so that
    candidates can be compared even where the improvement itself underflows.
    """
    deviation = np.sqrt(variance)
    return np.log(deviation) + _log_h((best - mean) / deviation)


def _log_h(z: np.ndarray) -> np.ndarray:
    """Returns `log(phi(z) + z Phi(z))` of the standard normal distribution.

    Follows Ament et al. (2023), equation 9. Below -1 the sum cancels; there it
    is `phi(z) (1 - t)` with `t = -z Phi(z) / phi(z)`.
    """
    # `np.where` computes both branches for all, so each gets arguments that it
    # can cope with.
    near = np.maximum(z, -1.0)
    direct = np.log(
        np.exp(-0.5 * near**2 - _LOG_SQRT_2PI) + near * special.ndtr(near)
    )
    far = np.minimum(z, -1.0)
    # `t`, without the quotient of two numbers that underflow: `erfcx(x)` is
    # `exp(x**2) erfc(x)`, and `Phi(z)` is `erfc(-z / sqrt(2)) / 2`.
    ratio = np.sqrt(np.pi / 2) * special.erfcx(-far / np.sqrt(2)) * -far
    # The difference `1 - t` falls like `1 / z**2`, its first term for large
    # `-z`. At -1e4 it is 1e-8 and has half of its digits left. The paper, which
    # computes it from `log(t)`, switches at `-1 / sqrt(eps)`.
    rest = np.where(
        far > -1e4, np.log(np.maximum(1 - ratio, 1e-300)), -2 * np.log(-far)
    )
    tail = -0.5 * far**2 - _LOG_SQRT_2PI + rest
    return np.where(z > -1, direct, tail)
