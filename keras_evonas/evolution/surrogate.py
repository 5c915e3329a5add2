"""What the evaluated networks say about those that were not."""

import dataclasses
import functools
import weakref
from collections.abc import Callable
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from scipy import special

from keras_evonas.evolution.acquisition import log_expected_improvement
from keras_evonas.evolution.encoding import Encoding
from keras_evonas.evolution.gaussian_process import Data
from keras_evonas.evolution.gaussian_process import GaussianProcess
from keras_evonas.evolution.gaussian_process import Posterior
from keras_evonas.evolution.gaussian_process import Prior
from keras_evonas.evolution.genes import Gene
from keras_evonas.evolution.history import History
from keras_evonas.evolution.history import Individual
from keras_evonas.evolution.history import best_first
from keras_evonas.evolution.history import single_losses
from keras_evonas.evolution.space import SearchSpace

# So many individuals a surrogate learns from at most, and its parameters
# from so many. Together with the evaluations they bound the time of a proposal.
MAX_DATA = 200
MAX_FIT_DATA = 80
FIT_EVALUATIONS = 16
# Parameters are fitted at each end up to so many, later at each twentieth.
FIT_ALWAYS = 40
# Number of samples of the parameters up to a number of ends, shared among the
# views, and 1 for each later: the more is known, the less the samples differ.
SAMPLES = ((60, 4), (120, 2))
PRIOR = Prior()
# So many times as far from the median as the better half is, on average.
_FAR = 30.0
# So many evaluations without a better one are long, and a share of the variance
# that is little noise.
_PATIENCE = 20
_LITTLE_NOISE = 0.1


# Puts losses on a scale with mean 0 and variance 1.
View: TypeAlias = Callable[[np.ndarray], np.ndarray]


@dataclasses.dataclass(frozen=True, eq=False)
class Surrogate:
    """Predicts losses, on a scale of its own, and what is worth a trial.

    Args:
        encoding: Encodes the genomes.
        models: Gaussian processes of equal weight, pending individuals
            included.
        bests: For each of them the least loss that it expects of an
            individual that was evaluated.
        codes: `(n, size)` array, the individuals it learnt from.
        active: `(n, size)` boolean array, their active genes.
        expected: `(n,)` array, their expected losses.
        individuals: The individuals it learnt from.
        trust: Float, rank correlation of losses with their predictions by
            all others.
        noise: Float, the variance of losses, which is 1, that no gene
            explains.
    """

    encoding: Encoding
    models: Sequence[GaussianProcess]
    bests: Sequence[float]
    codes: np.ndarray
    active: np.ndarray
    expected: np.ndarray
    individuals: Sequence[Individual]
    trust: float
    noise: float

    def elites(self, count: int) -> np.ndarray:
        """Indices of individuals that are expected to be best.

        They are feasible, or at least viable as long as nobody is feasible.
        """
        sound = np.array([one.feasible for one in self.individuals])
        if not sound.any():
            sound = np.array([one.viable for one in self.individuals])
        order = np.argsort(self.expected, kind="stable")
        return order[sound[order]][:count]

    def is_stuck(self, ended: int) -> bool:
        """Whether nothing better was found for long, where runs are reliable.

        Then it may err about what it has not seen. Where they are noisy, the
        best one may just have been lucky.

        Args:
            ended: Integer, the number of evaluations so far.
        """
        if self.noise > _LITTLE_NOISE:
            return False
        best = best_first(self.individuals)[0]
        return ended - best.birth > _PATIENCE

    def worth(self, codes: np.ndarray) -> np.ndarray:
        """Log of the expected improvement, averaged over the models.

        Args:
            codes: `(m, size)` array.

        Returns:
            `(m,)` array.
        """
        active = self.encoding.activity(codes)
        features = self.encoding.features(codes, active)
        logs = [
            log_expected_improvement(*model.predict(features), best)
            for model, best in zip(self.models, self.bests, strict=True)
        ]
        return np.asarray(np.logaddexp.reduce(logs, axis=0))


def surrogate_of(
    space: SearchSpace, history: History, views: Sequence[View] | None = None
) -> Surrogate:
    """Learns from a history.

    Failures count as the worst loss, and what violates a constraint as worse
    than all that does not, by how much it violates (Deb, 2000).

    Args:
        space: The space.
        history: The history, at least one individual viable.
        views: Ways to look at the losses, each with Gaussian processes of its
            own. Defaults to `half_ranked` and `capped`.

    Returns:
        The surrogate. It depends on its arguments only.
    """
    views = views or (half_ranked, capped)
    encoding = encoding_of(space.genes)
    fits = _fitted(encoding, space.genes, history, tuple(views))
    kept = _kept(history.ended, MAX_DATA)
    codes, active = _encoded(encoding, kept, _rows_of(history))
    pending = [one.genome for one in history.pending.values()]
    busy = encoding.features(*encoding.encode(pending))
    models, bests, means = [], [], []
    for view, fit in zip(views, fits, strict=True):
        data = _data(encoding, kept, codes, active, view)
        for values in fit.samples:
            model = GaussianProcess(data, values)
            mean = model.smoothed()
            means.append(mean)
            bests.append(float(mean.min()))
            models.append(model.believing(busy))
    return Surrogate(
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
    """The encoding of a space, made once."""
    return Encoding(SearchSpace(genes))


@dataclasses.dataclass(frozen=True, eq=False)
class _Fit:
    """Samples of the parameters, and how well the densest ones predict."""

    samples: Sequence[np.ndarray]
    trust: float


# The last fits of each history. They follow from the history alone and only
# save time.
_FITS: weakref.WeakKeyDictionary[History, tuple[object, list[_Fit]]] = (
    weakref.WeakKeyDictionary()
)


def _fitted(
    encoding: Encoding,
    genes: tuple[Gene, ...],
    history: History,
    views: tuple[View, ...],
) -> list[_Fit]:
    """A fit for each view.

    With much data they change little, so they are fitted again only when a
    twentieth more has come in.
    """
    number = _fitted_number(len(history.ended))
    key = (number, genes, views)
    known = _FITS.get(history)
    if known is not None and known[0] == key:
        return known[1]
    kept = _kept(history.ended[:number], MAX_FIT_DATA)
    codes, active = _encoded(encoding, kept, _rows_of(history))
    count = next((c for limit, c in SAMPLES if number <= limit), 1)
    fits = [
        _fit(
            _data(encoding, kept, codes, active, view),
            max(1, count // len(views)),
        )
        for view in views
    ]
    _FITS[history] = (key, fits)
    return fits


def _fit(data: Data, count: int) -> _Fit:
    posterior = Posterior(data, PRIOR)
    densest = posterior.fit(FIT_EVALUATIONS)
    samples = posterior.sample(densest, count) if count > 1 else [densest]
    predicted = GaussianProcess(data, densest).leave_one_out()
    return _Fit(samples, _rank_correlation(data.losses, predicted))


def _rank_correlation(first: np.ndarray, second: np.ndarray) -> float:
    ranks = [_standardised(_normal_ranks(one)) for one in (first, second)]
    return float(np.mean(ranks[0] * ranks[1]))


def _fitted_number(ended: int) -> int:
    """How many of the ends to fit to: all of few, else steps of 5 %."""
    number = min(ended, FIT_ALWAYS)
    while (following := number + max(1, number // 20)) <= ended:
        number = following
    return number


def _kept(ended: Sequence[Individual], limit: int) -> list[Individual]:
    """The better half and an even sample of the others, in order."""
    if len(ended) <= limit:
        return list(ended)
    order = np.argsort(single_losses(ended), kind="stable")
    best = limit // 2
    others = np.linspace(best, len(ended) - 1, limit - best).round()
    chosen = np.concatenate([order[:best], order[others.astype(int)]])
    return [ended[index] for index in np.sort(chosen)]


_Rows = dict[tuple[Encoding, int], tuple[np.ndarray, np.ndarray]]
# Codes of the individuals of each history, since they stay what they are.
_ROWS: weakref.WeakKeyDictionary[History, _Rows] = weakref.WeakKeyDictionary()


def _rows_of(history: History) -> _Rows:
    return _ROWS.setdefault(history, {})


def _encoded(
    encoding: Encoding, individuals: Sequence[Individual], rows: _Rows
) -> tuple[np.ndarray, np.ndarray]:
    """Encodes those individuals that were not encoded before."""
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
) -> Data:
    features = encoding.features(codes, active)
    losses = view(single_losses(individuals))
    return Data(features, losses, encoding.gene_of_feature, encoding.size)


def half_ranked(losses: np.ndarray) -> np.ndarray:
    """Keeps the better half of losses as they are and ranks the worse half.

    How bad a bad network is says little, and one that diverged would flatten
    all differences that matter. So losses above the median become quantiles
    of a normal distribution whose lower half has the spread of the better
    half, as in Vizier (Song et al., 2024).

    Args:
        losses: `(n,)` array.

    Returns:
        `(n,)` array with mean 0 and, unless all are equal, variance 1.
    """
    middle = np.median(losses)
    better = losses <= middle
    spread = np.sqrt(np.mean((losses[better] - middle) ** 2))
    ranks = _normal_ranks(losses)
    if spread > 0:
        kept = (losses - middle) / spread
        ranks = np.where(better, kept, np.maximum(ranks, 0.0))
    return _standardised(ranks)


def capped(losses: np.ndarray) -> np.ndarray:
    """Keeps losses as they are, but for those that are far off.

    What is bad is told from what is worse here, which ranks do not tell.

    Args:
        losses: `(n,)` array.

    Returns:
        `(n,)` array with mean 0 and, unless all are equal, variance 1.
    """
    middle = np.median(losses)
    better = losses[losses <= middle]
    spread = np.sqrt(np.mean((better - middle) ** 2))
    if spread > 0:
        losses = np.minimum(losses, middle + _FAR * spread)
    return _standardised(losses)


def _normal_ranks(losses: np.ndarray) -> np.ndarray:
    """Quantiles of a normal distribution by rank, equal for equal losses."""
    _, inverse, counts = np.unique(
        losses, return_inverse=True, return_counts=True
    )
    last = np.cumsum(counts)
    middle = last - counts / 2
    return special.ndtri(middle[inverse] / len(losses))


def _standardised(losses: np.ndarray) -> np.ndarray:
    centred = losses - losses.mean()
    deviation = centred.std()
    return centred / deviation if deviation > 0 else centred
