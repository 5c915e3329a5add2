"""Importance of genes: variance of a Gaussian process on the trials, by gene.

A Gaussian process learns losses from genes. Two questions are put to it:

* *Is a gene's influence sure?* As in permutation importance (Breiman, 2001;
  Altmann et al., 2010) its values are shuffled among the trials, but what
  falls is the log density of the fit. A gene is sure if that falls in every
  shuffle, and on average by `log(genes / 0.05)` nats: a likelihood ratio
  against chance exceeds `x` with a probability of `1 / x` at most, so chance
  names any gene in 5 of 100 searches at most. Fitted densities keep to it only
  approximately, so the tests measure it.
* *How much does it matter?* The variance of what the process predicts over
  random networks is divided among genes and pairs of genes, as in functional
  analysis of variance (Hutter, Hoos & Leyton-Brown, "An Efficient Approach for
  Assessing Hyperparameter Importance", 2014).

Deviations from Hutter et al.: a Gaussian process takes the place of their
random forest: with tens of trials it predicts as well or better, and far better
where genes interact. What they sum over leaves is averaged over networks, in
which a gene varies only where it is active, and what it switches on with it.
The *total* effect of a gene (Sobol', 2001) is computed too, because a gene may
matter only together with another.
"""

import collections
import dataclasses
import itertools
import math
import operator
from collections.abc import Mapping

import numpy as np

from keras_evonas.blas import one_blas_thread
from keras_evonas.evolution.space import SearchSpace
from keras_evonas.project.search import Search
from keras_evonas.reports import features as features_lib
from keras_evonas.reports import trial_model
from keras_evonas.reports.features import Feature
from keras_evonas.reports.shares import Effect
from keras_evonas.reports.shares import Networks

METHOD = "functional analysis of variance of a Gaussian process"
FEWEST_TRIALS = 10

# Probability to name any gene where no gene matters.
_FALSE_ALARM = 0.05
# Random networks that genes are varied in, and those of each draw.
_NETWORKS = 256
_DRAWN_NETWORKS = 64
# Interactions are looked for among so many genes of the largest effect.
_PAIRED_GENES = 5


@dataclasses.dataclass(frozen=True, kw_only=True)
class Importance:
    """Shares of the differences between networks that each gene explains.

    Args:
        total: Share of the variance that a gene explains, alone or together
            with others; the most important first. These overlap, so that
            their sum may exceed 1.
        main: Share that it explains alone.
        spread: Standard deviation of `total` over draws of the model.
        interactions: Share that two genes explain only together, the largest
            first.
        effects: For each gene, pairs of a value and of the loss that is
            expected with it; `None` stands for not active.
        fit: R² on trials that the model had not seen; at 0 and below the
            shares mean nothing.
        num_trials: How many trials it was computed from.
        evidence: For each gene, by how many nats its values explain the
            trials better than shuffled ones, 0 if not in every shuffle.
        sure: The genes whose influence is sure, the most important first.
    """

    total: Mapping[str, float]
    main: Mapping[str, float]
    spread: Mapping[str, float]
    interactions: Mapping[tuple[str, str], float]
    effects: Mapping[str, Effect]
    fit: float
    num_trials: int
    evidence: Mapping[str, float] = dataclasses.field(default_factory=dict)
    sure: tuple[str, ...] = ()

    @property
    def reliable(self) -> bool:
        """True if the influence of any gene is sure."""
        return bool(self.sure)

    @property
    def has_shares(self) -> bool:
        """True if genes are sure, and it can be told how much they matter."""
        return self.reliable and self.fit > 0

    @property
    def names(self) -> tuple[str, ...]:
        """The genes, the most important first."""
        return tuple(self.total)


def gene_importance(search: Search, objective: int = 0) -> Importance | None:
    """Returns how much each gene mattered for an objective.

    Where trainings stop on rungs, a network counts with what its loss would be
    on the highest one, if it gained there what others did in the median.

    Losses far worse than most (more than one and a half times the spread
    between the quartiles beyond the worse one) count as no worse than that,
    so that diverged networks do not decide.

    Args:
        search: The search.
        objective: Index of the objective. Defaults to the first.

    Returns:
        The importance, or `None` with fewer than `FEWEST_TRIALS` completed
        trials, no gene that differs, or scores that are all equal.
    """
    completed = search.completed
    if len(completed) < FEWEST_TRIALS or search.space is None:
        return None
    genomes = [trial.genes for trial in completed]
    features = features_lib.features(search.space, genomes)
    losses = losses_on_the_highest_rung(search, objective)
    if not features or np.ptp(losses) == 0:
        return None
    space = features_lib.covering(search.space, genomes)
    trials = trial_model.trials_of(space, genomes, losses)
    with one_blas_thread():
        return _importance(space, features, trials)


def losses_on_the_highest_rung(
    search: Search, objective: int = 0
) -> np.ndarray:
    """Returns losses of the completed networks as if all had got there.

    Each gains on the rungs above it what others did in the median. Otherwise
    the differences between rungs would hide those between genes.
    """
    gains: dict[int, list[float]] = collections.defaultdict(list)
    trials = {one.trial_id: one for one in search.recorded if one.completed}
    for trial in trials.values():
        before = trials.get(trial.continues or "")
        if before is not None:
            pair = (search.losses(one)[objective] for one in (before, trial))
            gains[before.rung].append(operator.sub(*pair))
    completed = search.completed
    rungs = np.array([trial.rung for trial in completed])
    losses = np.array([search.losses(one)[objective] for one in completed])
    for rung, known in gains.items():
        losses[rungs <= rung] -= np.median(known)
    return losses


def _importance(
    space: SearchSpace, features: list[Feature], trials: trial_model.Trials
) -> Importance:
    networks = Networks(space, trials.encoding, _NETWORKS)
    model, draws = trial_model.models(trials)
    variance = networks.variance(model)
    shares = {
        one.name: networks.shares(model, one, variance) for one in features
    }
    names = sorted(shares, key=lambda name: -shares[name].total)
    features = sorted(features, key=lambda one: names.index(one.name))
    wanted = math.log(len(features) / _FALSE_ALARM)
    evidence = trial_model.evidence(
        trials, [networks.indices(name) for name in names], wanted
    )
    few = Networks(space, trials.encoding, _DRAWN_NETWORKS)
    totals = []
    for draw in draws:
        drawn = few.variance(draw)
        totals.append([few.shares(draw, one, drawn).total for one in features])
    pairs = {
        (one.name, two.name): networks.interaction(model, one, two, variance)
        for one, two in itertools.combinations(features[:_PAIRED_GENES], 2)
    }
    found = zip(names, evidence, strict=True)
    return Importance(
        total={name: shares[name].total for name in names},
        main={name: shares[name].main for name in names},
        spread=dict(zip(names, np.std(totals, axis=0).tolist(), strict=True)),
        interactions=dict(sorted(pairs.items(), key=lambda item: -item[1])),
        effects={name: shares[name].effect for name in names},
        fit=trial_model.held_out_fit(trials),
        num_trials=len(trials.losses),
        evidence=dict(zip(names, evidence, strict=True)),
        sure=tuple(name for name, nats in found if nats >= wanted),
    )
