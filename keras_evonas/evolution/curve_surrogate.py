"""Surrogates of learning curves: what networks will reach, begun or not."""

import dataclasses
import weakref
from collections.abc import Sequence

import numpy as np

from keras_evonas.evolution.curve_process import CurveData
from keras_evonas.evolution.curve_process import CurvePosterior
from keras_evonas.evolution.curve_process import CurveProcess
from keras_evonas.evolution.curve_process import soft_logarithm
from keras_evonas.evolution.encoding import Encoding
from keras_evonas.evolution.genes import Genome
from keras_evonas.evolution.history import History
from keras_evonas.evolution.history import Individual
from keras_evonas.evolution.history import single_losses
from keras_evonas.evolution.pursuit import fairest
from keras_evonas.evolution.space import SearchSpace
from keras_evonas.evolution.surrogate import Surrogate
from keras_evonas.evolution.surrogate import encoding_of
from keras_evonas.evolution.surrogate import fitted_number
from keras_evonas.evolution.surrogate import log_expected_improvement
from keras_evonas.evolution.surrogate import sound
from keras_evonas.evolution.surrogate import thinned

# Most individuals that a prediction and a fit are based on, and most
# computations of a fit; see the same numbers of `surrogate`.
MAX_DATA = 300
MAX_FIT_DATA = 100
FIT_EVALUATIONS = 16
# Number of ended individuals up to which parameters are fitted again after each
# one, and beyond which only after each 10 % more.
_FIT_ALWAYS = 20
_FIT_STEPS = 10


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class CurveSurrogate(Surrogate):
    """Predicts the first loss of networks on the highest rung.

    Its `trust` is not measured, and is NaN.
    """

    process: CurveProcess  # With the pending individuals as it predicts them.
    best: float  # The least loss of an individual, on the process's scale.
    costs: np.ndarray  # `(rungs,)`, the epochs from each rung to the next.
    open: np.ndarray  # Indices of those whose training can go on, by rung.
    networks: np.ndarray  # `(n,)`, integers, the network of each individual.

    def elites(self, count: int) -> np.ndarray:
        """Returns indices of sound individuals, each of another network."""
        order = self.sound_first()
        _, first = np.unique(self.networks[order], return_index=True)
        return np.asarray(order[np.sort(first)[:count]])

    def worth(self, codes: np.ndarray) -> np.ndarray:
        """Returns the log of the expected improvement; see `Surrogate`."""
        count, highest = len(codes), len(self.costs) - 1
        mean, variance = self.process.predict(
            self.features(codes), np.full(count, -1), np.full(count, highest)
        )
        return log_expected_improvement(mean, variance, self.best)

    def to_go_on_with(self, genome: Genome | None) -> Individual | None:
        """Returns the individual whose training is the best to go on with.

        It is `None` if nothing can go on, or if the best new genome, which may
        be `None`, promises more for each epoch than all that were begun.
        """
        begun = [self.individuals[index] for index in self.open]
        candidates: list[Individual | None] = [*begun]
        codes, active = self.codes[self.open], self.active[self.open]
        networks = self.networks[self.open]
        lowest = np.array([one.rung + 1 for one in begun], int)
        if genome is not None:
            candidates = [None, *begun]
            new, new_active = self.encoding.encode([genome])
            codes = np.concatenate([new, codes])
            active = np.concatenate([new_active, active])
            networks = np.concatenate([[-1], networks])
            lowest = np.concatenate([[0], lowest])
        if not candidates:
            return None
        features = self.encoding.features(codes, active)
        means = np.zeros(len(candidates))
        # By candidate and stage; 0 for the stages that are passed.
        revealed = np.zeros((len(candidates), len(self.costs)))
        costs = np.zeros_like(revealed)
        for rung in np.unique(lowest):
            here = lowest == rung
            means[here], revealed[here, rung:] = self.process.stages(
                features[here], networks[here], rung
            )
            costs[here, rung:] = self.costs[rung:]
        return candidates[fairest(means, revealed, costs, self.best)]


def curve_surrogate_of(
    space: SearchSpace, history: History, epochs: Sequence[int]
) -> CurveSurrogate:
    """Makes a surrogate of a history with at least one viable individual.

    It depends on its arguments only, of which `epochs` are those of each rung.
    Losses count as in `surrogate_of`, the first one of several.
    """
    encoding, highest = encoding_of(space.genes), len(epochs) - 1
    kept = thinned(history.ended, MAX_DATA)
    codes, active = encoding.encode([one.genome for one in kept])
    features = encoding.features(codes, active)
    data = _data(encoding, features, kept, history, highest)
    parameters = _fitted(space, encoding, history, highest)
    process = CurveProcess(data, parameters)
    expected, _ = process.predict(
        features, data.networks, np.full(len(kept), highest)
    )
    busy = list(history.pending.values())
    process = process.believing(
        encoding.features(*encoding.encode([one.genome for one in busy])),
        np.array([_network(one, history) for one in busy], int),
        np.array([one.rung for one in busy], int),
    )
    return CurveSurrogate(
        encoding=encoding,
        codes=codes,
        active=active,
        expected=expected,
        individuals=kept,
        trust=float("nan"),
        process=process,
        best=float(data.losses.min()),
        costs=np.diff(epochs, prepend=0).astype(float),
        open=_open(kept, space, history, highest),
        networks=data.networks,
    )


def _open(
    kept: Sequence[Individual],
    space: SearchSpace,
    history: History,
    highest: int,
) -> np.ndarray:
    """Returns the indices of those whose training can go on, by rung."""
    can_go_on = [
        one.rung < highest
        and one.birth not in history.continued
        # Genomes may have become equal when the space grew.
        and not history.seen(
            space.key(space.complete(one.genome)), one.rung + 1
        )
        for one in kept
    ]
    found = np.flatnonzero(sound(kept) & can_go_on)
    rungs = np.array([one.rung for one in kept])
    return found[np.argsort(rungs[found], kind="stable")]


# The last fit of each history. It follows from the history alone and is kept
# only to save time.
_FITS: weakref.WeakKeyDictionary[History, tuple[object, np.ndarray]] = (
    weakref.WeakKeyDictionary()
)


def _fitted(
    space: SearchSpace, encoding: Encoding, history: History, highest: int
) -> np.ndarray:
    number = fitted_number(len(history.ended), _FIT_ALWAYS, _FIT_STEPS)
    key = (number, space.genes, highest)
    known = _FITS.get(history)
    if known is not None and known[0] == key:
        return known[1]
    kept = thinned(history.ended[:number], MAX_FIT_DATA)
    features = encoding.features(*encoding.encode([one.genome for one in kept]))
    data = _data(encoding, features, kept, history, highest)
    parameters = CurvePosterior(data).fit(FIT_EVALUATIONS)
    _FITS[history] = (key, parameters)
    return parameters


def _network(one: Individual, history: History) -> int:
    """Returns the birth with which the training of an individual began."""
    while one.continues is not None:
        one = history.individual(one.continues)
    return one.birth


def _data(
    encoding: Encoding,
    features: np.ndarray,
    kept: Sequence[Individual],
    history: History,
    highest: int,
) -> CurveData:
    losses = single_losses(kept)
    networks = np.array([_network(one, history) for one in kept], int)
    least: dict[int, float] = {}
    for index in np.argsort([one.rung for one in kept], kind="stable"):
        if kept[index].feasible:  # The best epoch of a training counts.
            network = int(networks[index])
            losses[index] = min(losses[index], least.get(network, np.inf))
            least[network] = float(losses[index])
    return CurveData(
        features=features,
        networks=networks,
        rungs=np.array([one.rung for one in kept], int),
        losses=softly_logarithmic(losses),
        gene_of_feature=encoding.gene_of_feature,
        genes=encoding.size,
        highest=highest,
    )


def softly_logarithmic(losses: np.ndarray) -> np.ndarray:
    """Spreads the losses near the best one, and compresses the bad ones.

    It is the logarithm of the distance from the best loss, in units of that of
    the median, plus 0.3: what an error rate needs to be halved again and
    again, and what losses that diverged cannot flatten.

    Args:
        losses: `(n,)` array.

    Returns:
        `(n,)` array with mean 0 and, unless all are equal, variance 1.
    """
    best = losses.min()
    spread = np.median(losses) - best
    if spread <= 0:  # More than half are the best: the mean tells them apart.
        spread = losses.mean() - best
    if spread <= 0:
        return np.zeros_like(losses)
    values = soft_logarithm(losses, best, spread)
    centred = values - values.mean()
    return np.asarray(centred / centred.std())
