"""Checks how well shared weights foretell which networks are better alone."""

import dataclasses
import math
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import stats

from keras_evonas.oracles import objectives
from keras_evonas.project.retrained import Network
from keras_evonas.project.retrained import Repeat
from keras_evonas.project.retrained import Score
from keras_evonas.tuners.retraining import EndedSearch
from keras_evonas.tuners.retraining import Retraining

_FOLDER = "rank_check"
# Draws before a search for distinct networks is given up.
_DRAWS = 1000


@dataclasses.dataclass(frozen=True, kw_only=True)
class CheckedNetwork:
    """A network that was scored with shared weights and trained alone.

    Args:
        values: Its hyperparameters.
        shared: Float, its score with shared weights.
        alone: Float, its mean score on unseen data when trained alone.
        params: Integer, the number of its parameters.
    """

    values: Mapping[str, Any]
    shared: float
    alone: float
    params: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class RankCheck:
    """The result of `OneShotTuner.rank_check`.

    Args:
        networks: The networks that were trained alone.
        tau: Float, Kendall's rank correlation of scores with shared weights
            with those alone, from -1 to 1: 1 if both rank alike. NaN if all
            scores are equal.
        tau_of_params: Float, the same of the numbers of parameters. Where it
            is as high, shared weights tell no more than the size does.
    """

    networks: tuple[CheckedNetwork, ...]
    tau: float
    tau_of_params: float

    def __str__(self) -> str:
        by_size = f"does so with {self.tau_of_params:.2f}"
        if math.isnan(self.tau_of_params):
            by_size = "is the same for all"
        return (
            f"Over {len(self.networks)} random networks, scores with shared "
            f"weights rank as trainings alone do with Kendall's tau "
            f"{self.tau:.2f}; the number of parameters {by_size}."
        )


def drawn(search: EndedSearch, number: int, seed: int) -> list[Network]:
    """Draws distinct networks that keep the limits known before training."""
    rng = np.random.default_rng(seed)
    found: dict[tuple[Any, ...], Network] = {}
    for _ in range(_DRAWS):
        if len(found) == number:
            break
        genome = search.space.sample(rng)
        key = tuple(sorted(genome.items()))
        if key not in found and search.may_be_trained(genome):
            name = f"network {len(found)}"
            found[key] = Network(name=name, values=genome)
    if len(found) < 2:
        raise ValueError(
            "`constraints` must leave two networks or more to compare. "
            f"Received: {len(found)} in {_DRAWS} random ones. Loosen them."
        )
    return list(found.values())


def run(
    search: EndedSearch,
    training: Retraining,
    networks: Sequence[Network],
    *,
    repeats: int,
    shared_metrics: Callable[[Mapping[str, Any]], Mapping[str, float]],
) -> RankCheck:
    """Trains networks alone, and compares their ranks.

    Args:
        search: The search.
        training: Trains and judges.
        networks: The networks.
        repeats: Integer, how often each is trained.
        shared_metrics: Returns what a trial of some values reports.

    Raises:
        RuntimeError: If fewer than two networks could be trained.
    """
    objective = search.oracle.objective
    name = objectives.parts_of(objective)[0].name
    shared = {one.name: shared_metrics(one.values) for one in networks}
    scores: dict[str, dict[int, float]] = {one.name: {} for one in networks}
    messages: list[str | None] = []

    def keep(repeat: Repeat, score: Score) -> None:
        if score.score is not None:
            scores[repeat.network.name][repeat.seed] = score.score
        else:
            messages.append(score.message)

    trainings = [
        Repeat(network=one, folder=_FOLDER, seed=seed)
        for one in networks
        for seed in search.seeds(repeats)
    ]
    progress = training.progress(len(trainings), 0)
    training.run(trainings, on_score=keep, progress=progress)
    checked = tuple(
        CheckedNetwork(
            values=one.values,
            shared=shared[one.name][name],
            alone=float(np.mean(list(scores[one.name].values()))),
            params=int(shared[one.name]["params"]),
        )
        for one in networks
        if scores[one.name]
    )
    if len(checked) < 2:
        raise RuntimeError(
            f"Of {len(networks)} networks {len(checked)} could be trained "
            "alone, too few to compare ranks. The first that failed did so "
            f"with:\n{messages[0]}"
        )
    alone = [one.alone for one in checked]
    result = RankCheck(
        networks=checked,
        tau=_tau([one.shared for one in checked], alone),
        # More parameters are expected to be better: a lower loss.
        tau_of_params=_tau([one.params for one in checked], alone)
        * -objectives.SIGN[objective.direction],
    )
    progress.say(str(result))
    return result


def _tau(one: Sequence[float], other: Sequence[float]) -> float:
    return float(stats.kendalltau(one, other).statistic)
