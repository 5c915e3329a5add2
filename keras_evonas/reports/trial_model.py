"""A Gaussian process on the trials of a search: losses predicted from genes.

The process and its prior are those of the search's own surrogate
(`keras_evonas.evolution.surrogate`). Its view of losses is not: ranks hide by
how much the first, random networks were worse than what a search then refines,
and that is most of what its trials say about genes. Losses are capped instead,
so that networks that diverged do not hide the others.
"""

import collections
import dataclasses
from collections.abc import Mapping
from collections.abc import Sequence

import numpy as np

from keras_evonas.evolution.encoding import Encoding
from keras_evonas.evolution.gaussian_process import Data
from keras_evonas.evolution.gaussian_process import GaussianProcess
from keras_evonas.evolution.gaussian_process import Posterior
from keras_evonas.evolution.gaussian_process import Prior
from keras_evonas.evolution.genes import Gene
from keras_evonas.evolution.genes import Value
from keras_evonas.evolution.space import SearchSpace

# Trials that parameters are fitted to, and that predictions rest on. The time
# of a fit grows with their cube, and a page needs some hundred fits.
_FITTED = 100
_KNOWN = 240
# The surrogate stops at 16 evaluations, which is far from converged: enough to
# choose among candidates, too little to compare densities. After 30 further
# evaluations gain less than 0.01 nats.
_EVALUATIONS = 30
_FOLDS = 5
_DRAWS = 8
_SHUFFLES = 10
# Fewer do where each gives so many times the evidence that is asked for.
_FEWEST_SHUFFLES = 3
_BEYOND_DOUBT = 3.0


class _Places:
    """Places of genomes in the space of the process.

    As in the encoding, but an inactive gene is in the middle of its values
    and not apart from them: that it is inactive follows from other genes, and
    only they shall be credited with what that does.
    """

    def __init__(self, space: SearchSpace) -> None:
        # By themselves genes are never inactive, and have no place for it.
        domains = [gene.domain for gene in space.genes]
        alone = [Gene(str(i), domain) for i, domain in enumerate(domains)]
        self._encoding = Encoding(SearchSpace(alone))
        self.gene_of_feature = self._encoding.gene_of_feature
        middle = [
            0.5 if domain.ordered else 1 / (domain.size * np.sqrt(2.0))
            for domain in domains
        ]
        self._middle = np.array(middle)[self.gene_of_feature]

    def of(self, codes: np.ndarray, active: np.ndarray) -> np.ndarray:
        """`(m, f)` array, the places of `(m, size)` codes."""
        found = self._encoding.features(codes, active)
        return np.where(active[:, self.gene_of_feature], found, self._middle)


@dataclasses.dataclass(frozen=True, eq=False)
class Trials:
    """Genomes as `(n, size)` codes and activity, and `(n,)` capped losses.

    `places` is how the process sees codes.
    """

    encoding: Encoding
    codes: np.ndarray
    active: np.ndarray
    losses: np.ndarray
    places: _Places

    @property
    def data(self) -> Data:
        """The trials as data of a Gaussian process, losses standardized."""
        centred = self.losses - self.losses.mean()
        return Data(
            self.places.of(self.codes, self.active),
            np.asarray(centred / (self.losses.std() or 1.0)),
            self.places.gene_of_feature,
            self.encoding.size,
        )

    def spaced(self, limit: int) -> "Trials":
        """Returns `limit` trials at most, evenly spaced."""
        count = len(self.losses)
        chosen = np.linspace(0, count - 1, min(count, limit)).round()
        rows = chosen.astype(int)
        return dataclasses.replace(
            self,
            codes=self.codes[rows],
            active=self.active[rows],
            losses=self.losses[rows],
        )

    def shuffled(self, genes: np.ndarray, rng: np.random.Generator) -> "Trials":
        """Returns trials with each of some genes exchanged among the active."""
        codes = self.codes.copy()
        for gene in genes:
            rows = np.flatnonzero(self.active[:, gene])
            codes[rows, gene] = self.codes[rng.permutation(rows), gene]
        return dataclasses.replace(self, codes=codes)


def trials_of(
    space: SearchSpace,
    genomes: Sequence[Mapping[str, Value]],
    losses: np.ndarray,
) -> Trials:
    """Encodes genomes with their `(n,)` losses, lower is better.

    Values that the space does not hold, which may have changed since, count as
    inactive.
    """
    encoding = Encoding(space)
    domains = collections.defaultdict(list)
    for gene in space.genes:
        domains[gene.name].append(gene.domain)
    known = [
        {
            name: value
            for name, value in genome.items()
            if any(one.contains(value) for one in domains[name])
        }
        for genome in genomes
    ]
    codes, active = encoding.encode(known)
    capped = without_outliers(losses)
    return Trials(encoding, codes, active, capped, _Places(space))


class Model:
    """Predicts losses of networks that were not tried from those that were."""

    def __init__(self, trials: Trials, parameters: np.ndarray) -> None:
        self._trials = trials
        self._process = GaussianProcess(trials.data, parameters)

    def losses(self, codes: np.ndarray) -> np.ndarray:
        """`(m,)` array, the losses expected of `(m, size)` codes."""
        active = self._trials.encoding.activity(codes)
        features = self._trials.places.of(codes, active)
        found, _ = self._process.predict(features)
        known = self._trials.losses
        return np.asarray(found * known.std() + known.mean())


def models(trials: Trials) -> tuple[Model, list[Model]]:
    """Returns the most probable model, and draws that show its uncertainty.

    The draws are of the parameters, by Laplace's approximation of their
    posterior.
    """
    few = trials.spaced(_FITTED)
    posterior = Posterior(few.data, Prior())
    densest = posterior.fit(_EVALUATIONS)
    drawn = posterior.sample(densest, _DRAWS)
    best = Model(trials.spaced(_KNOWN), densest)
    return best, [Model(few, parameters) for parameters in drawn]


def held_out_fit(trials: Trials) -> float:
    """Returns R² of predictions of trials by models that have not seen them."""
    # Targets of the whole, so that all folds are on the same scale.
    whole = trials.spaced(_FITTED).data
    everything = np.arange(len(whole.losses))
    errors = whole.losses.copy()
    for fold in range(_FOLDS):
        left_out = everything % _FOLDS == fold
        data = whole.rows(everything[~left_out])
        parameters = Posterior(data, Prior()).fit(_EVALUATIONS)
        process = GaussianProcess(data, parameters)
        errors[left_out] -= process.predict(whole.features[left_out])[0]
    return float(1 - np.mean(errors**2) / np.var(whole.losses))


def evidence(
    trials: Trials, genes: Sequence[np.ndarray], wanted: float
) -> list[float]:
    """Measures how much better genes explain losses than shuffled ones do.

    For each gene, given by its indices in the space, it is by how many nats
    the log density of the best model falls on average when the gene's values
    are shuffled among the trials where it is active; 0 if it did not fall in
    each shuffle. `wanted` is the evidence from which on a gene counts.
    """
    few = trials.spaced(_FITTED)
    whole = _density(few)
    return [_evidence(few, whole, indices, wanted) for indices in genes]


def _evidence(
    trials: Trials, whole: float, indices: np.ndarray, wanted: float
) -> float:
    rng = np.random.default_rng(int(indices[0]))
    falls: list[float] = []
    for _ in range(_SHUFFLES):
        falls.append(whole - _density(trials.shuffled(indices, rng)))
        if falls[-1] <= 0:
            return 0.0
        enough = len(falls) >= _FEWEST_SHUFFLES
        if enough and min(falls) > _BEYOND_DOUBT * wanted:
            break
    return float(np.mean(falls))


def _density(trials: Trials) -> float:
    posterior = Posterior(trials.data, Prior())
    return -posterior(posterior.fit(_EVALUATIONS))[0]


def without_outliers(losses: np.ndarray) -> np.ndarray:
    """Caps losses at Tukey's upper fence (1977), 1.5 quartile ranges off."""
    low, high = np.quantile(losses, [0.25, 0.75])
    if low == high:
        return losses
    return np.asarray(np.minimum(losses, high + 1.5 * (high - low)))
