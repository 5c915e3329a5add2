"""Hopeless trainings: those that will hardly become the best of a search.

The model is that of `keras_evonas.evolution.curve_process`. It is asked after
some shares of a training what the network will have reached at its end, given
its genome, its own losses so far, and the curves of the trainings that have
ended. What was stopped before counts with what it had reached by then, and with
nothing beyond: the model knows that the rest was not seen.
"""

import dataclasses
import functools
from collections.abc import Sequence

import numpy as np
from scipy import stats

from keras_evonas.evolution.checks import check_range
from keras_evonas.evolution.curve_process import CurveData
from keras_evonas.evolution.curve_process import CurvePosterior
from keras_evonas.evolution.curve_process import CurveProcess
from keras_evonas.evolution.curve_process import soft_logarithm
from keras_evonas.evolution.genes import Genome
from keras_evonas.evolution.space import SearchSpace
from keras_evonas.evolution.surrogate import encoding_of

# Shares of a training after which it is judged. Figures for these and for the
# numbers below are in docs/benchmarks.md.
_SHARES = (1 / 9, 1 / 4, 1 / 2, 3 / 4)
# Whole trainings before any is judged.
_FEWEST = 5
# Most trainings that a prediction, and observations that a fit, is based on,
# and most computations of a fit; see `curve_surrogate`.
_MOST = 75
_FITTED = 100
_EVALUATIONS = 16
_OWN = -1  # The network that is judged.


@dataclasses.dataclass(frozen=True, kw_only=True)
class Training:
    """A training that has ended, with the genome of its network."""

    genome: Genome
    losses: tuple[float, ...]  # After each epoch, lower is better; or NaN.
    whole: bool = True  # False if it was stopped as hopeless.


@dataclasses.dataclass(frozen=True, kw_only=True)
class Outlook:
    """Judges a training by what is known when it begins.

    Args:
        space: The search space.
        genome: The genome of the network.
        known: The trainings that have ended.
        chance: Float between 0 and 0.5: a training is hopeless if its chance
            to become better than all that are known is less.

    Raises:
        ValueError: If `chance` is out of range.
    """

    space: SearchSpace
    genome: Genome
    known: tuple[Training, ...]
    chance: float

    def __post_init__(self) -> None:
        check_range("chance", self.chance, 0, 0.5, low_open=True)

    def is_hopeless(self, losses: Sequence[float], epochs: int) -> bool:
        """Returns whether a training should end after an epoch.

        It goes on if it is the best so far, if it has not come to a share of
        its epochs after which trainings are judged, if fewer than five whole
        trainings are known, or if there is no finite loss yet.

        Args:
            losses: The losses so far, as in `Training`.
            epochs: Integer, the epochs of the whole training.
        """
        rungs = _rungs(epochs)
        if len(losses) not in rungs[:-1]:
            return False
        model = self._model(epochs)
        own = _observed(losses, rungs, whole=False)
        if model is None or not own or own[-1][1] <= model.best:
            return False
        return model.chance(self.genome, own) < self.chance

    @functools.cached_property
    def _models(self) -> "dict[int, _Model | None]":
        return {}

    def _model(self, epochs: int) -> "_Model | None":
        if epochs not in self._models:
            self._models[epochs] = _model_of(self.space, self.known, epochs)
        return self._models[epochs]


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class _Model:
    """Predicts what a network will have reached at the end of its training."""

    space: SearchSpace
    data: CurveData
    parameters: np.ndarray
    best: float
    spread: float
    mean: float
    deviation: float
    whole: int

    def scaled(self, losses: np.ndarray) -> np.ndarray:
        values = soft_logarithm(losses, self.best, self.spread)
        return (values - self.mean) / self.deviation

    def chance(self, genome: Genome, own: list[tuple[int, float]]) -> float:
        """Returns the chance of a network to become the best.

        The deviation is estimated from few trainings, hence Student's
        distribution and not the normal one.
        """
        encoding = encoding_of(self.space.genes)
        features = encoding.features(*encoding.encode([genome]))
        rungs, losses = map(np.array, zip(*own, strict=True))
        known = self.data.joined(
            np.repeat(features, len(own), axis=0),
            np.full(len(own), _OWN),
            rungs,
            self.scaled(losses),
        )
        mean, variance = CurveProcess(known, self.parameters).predict(
            features, np.array([_OWN]), np.array([known.highest])
        )
        ahead = self.scaled(np.array([self.best])) - mean
        return float(stats.t.cdf(ahead / np.sqrt(variance), self.whole - 1)[0])


def _model_of(
    space: SearchSpace, known: Sequence[Training], epochs: int
) -> _Model | None:
    """Makes the model, `None` if too little is known."""
    rungs = _rungs(epochs)
    seen = [_observed(one.losses, rungs, whole=one.whole) for one in known]
    kept = _thinned([one[-1][1] if one else np.nan for one in seen])
    known, seen = [known[i] for i in kept], [seen[i] for i in kept]
    whole = sum(one.whole for one in known)
    ends = np.array([one[-1][1] for one in seen])
    if whole < _FEWEST:
        return None
    best = float(ends.min())
    spread = float(np.median(ends)) - best
    if spread <= 0:
        return None
    networks = np.repeat(np.arange(len(seen)), [len(one) for one in seen])
    flat = [pair for one in seen for pair in one]
    losses = np.array([loss for _, loss in flat])
    losses = soft_logarithm(losses, best, spread)
    mean, deviation = float(losses.mean()), float(losses.std())
    encoding = encoding_of(space.genes)
    features = encoding.features(
        *encoding.encode([one.genome for one in known])
    )
    data = CurveData(
        features=features[networks],
        networks=networks,
        rungs=np.array([rung for rung, _ in flat]),
        losses=(losses - mean) / deviation,
        gene_of_feature=encoding.gene_of_feature,
        genes=encoding.size,
        highest=len(rungs) - 1,
    )
    few = np.linspace(0, len(flat) - 1, min(len(flat), _FITTED)).astype(int)
    return _Model(
        space=space,
        data=data,
        parameters=CurvePosterior(data.rows(few)).fit(_EVALUATIONS),
        best=best,
        spread=spread,
        mean=mean,
        deviation=deviation,
        whole=whole,
    )


def _rungs(epochs: int) -> list[int]:
    """Returns the epochs after which a training is judged, and its last."""
    early = {max(1, round(share * epochs)) for share in _SHARES}
    return sorted({*early, epochs})


def _observed(
    losses: Sequence[float], rungs: Sequence[int], *, whole: bool
) -> list[tuple[int, float]]:
    """Returns the rungs that a training has passed, and its least losses.

    A whole training that ended early by itself has reached the last rung.
    """
    finite = np.where(np.isfinite(losses), losses, np.inf)
    least = np.minimum.accumulate(finite) if len(finite) else finite
    found = [
        (rung, float(least[epochs - 1]))
        for rung, epochs in enumerate(rungs)
        if epochs <= len(least)
    ]
    if whole and 0 < len(least) < rungs[-1]:
        found.append((len(rungs) - 1, float(least[-1])))
    return [(rung, loss) for rung, loss in found if np.isfinite(loss)]


def _thinned(ends: Sequence[float]) -> list[int]:
    """Returns the indices of the best trainings and of the last ones."""
    sound = [i for i, end in enumerate(ends) if np.isfinite(end)]
    if len(sound) <= _MOST:
        return sound
    best = sorted(sound, key=lambda i: (ends[i], i))[: _MOST // 2]
    last = [i for i in sound if i not in best][len(best) - _MOST :]
    return sorted(best + last)
