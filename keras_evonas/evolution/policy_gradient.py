"""Policy gradient: a distribution of genomes that learns from rewards."""

import dataclasses
import math

import numpy as np

from keras_evonas.evolution import labels
from keras_evonas.evolution.checks import check_integer
from keras_evonas.evolution.checks import check_range
from keras_evonas.evolution.genes import Domain
from keras_evonas.evolution.genes import Gene
from keras_evonas.evolution.genes import Interval
from keras_evonas.evolution.genes import Value
from keras_evonas.evolution.history import Draft
from keras_evonas.evolution.history import History
from keras_evonas.evolution.history import Individual
from keras_evonas.evolution.history import single_losses
from keras_evonas.evolution.randomness import Rng
from keras_evonas.evolution.replacement import Population
from keras_evonas.evolution.space import SearchSpace
from keras_evonas.evolution.strategies import Strategy

_POLICY = labels.define("policy", "drawn from the learnt policy")

# Advantages are measured in standard deviations of the losses and cut off here:
# one loss that diverged would else settle the policy for good.
_LARGEST = 3.0
# Losses are cut off at so many times the distance from the best to the median,
# beyond the median: the deviation would be theirs alone.
_FARTHEST = 10.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class PolicyGradient(Strategy):
    """REINFORCE (Williams, 1992) over the genes, as in Zoph & Le (2017).

    A genome is drawn gene by gene from the softmax of preferences. Once its
    trial has ended, the preferences for its values rise if its loss is below
    the moving average of the losses before, and fall if it is above.

    Deviations from Zoph & Le: each gene has a table of preferences, instead of
    a recurrent network for all; the conditions of the space decide which genes
    are drawn. Losses are divided by their moving deviation, so that the
    learning rate does not depend on their unit. Continuous genes are drawn from
    one of `bins` equal parts, evenly within it. Of several losses only the
    first counts. A failure counts as a loss of one deviation above the
    baseline.

    Args:
        learning_rate: Float, the step of the preferences for a loss that is one
            deviation below the baseline. Defaults to 0.5.
        decay: Float in `[0, 1)`, the weight of the past in the moving averages.
            Defaults to 0.8.
        bins: Integer of at least 2, the parts of an interval. Defaults to 8.

    Raises:
        ValueError: If a number is out of range.
    """

    learning_rate: float = 0.5
    decay: float = 0.8
    bins: int = 8

    def __post_init__(self) -> None:
        check_range(
            "learning_rate", self.learning_rate, 0.0, 100.0, low_open=True
        )
        check_range("decay", self.decay, 0.0, 0.999)
        check_integer("bins", self.bins, lowest=2)

    def begin(self) -> Population:
        """Returns an empty tuple; see `Strategy`."""
        return ()

    def absorb(self, state: Population, individual: Individual) -> Population:
        """Keeps all individuals that ended, in order; see `Strategy`."""
        if not individual.viable:
            individual = dataclasses.replace(individual, losses=None)
        return (*state, individual)

    def propose(
        self, state: Population, space: SearchSpace, history: History, rng: Rng
    ) -> Draft:
        """Draws a genome from the policy; see `Strategy`."""
        del history
        preferences = self.preferences(state, space)
        genome: dict[str, Value] = {}
        for gene in space.genes:
            if gene.name in genome or not gene.is_active(genome):
                continue
            chances = _softmax(preferences[gene])
            index = int(rng.choice(len(chances), p=chances))
            genome[gene.name] = _value_of(gene.domain, index, len(chances), rng)
        return Draft(genome=genome, operator=_POLICY)

    def preferences(
        self, state: Population, space: SearchSpace
    ) -> dict[Gene, np.ndarray]:
        """Returns for each gene a preference for each value, or each bin.

        They are computed from the start each time, since the space may have
        grown.
        """
        preferences = {
            gene: np.zeros(_levels(gene.domain, self.bins))
            for gene in space.genes
        }
        for one, advantage in zip(state, self._advantages(state), strict=True):
            if advantage == 0:
                continue
            for gene in space.active(one.genome):
                # The space may have grown since.
                value = one.genome.get(gene.name)
                if value is None or not gene.domain.contains(value):
                    continue
                table = preferences[gene]
                # The gradient of the log of a softmax: 1 at the value drawn,
                # less all chances.
                gradient = -_softmax(table)
                gradient[_index_of(gene.domain, value, len(table))] += 1.0
                table += self.learning_rate * advantage * gradient
        return preferences

    def _advantages(self, state: Population) -> list[float]:
        """Returns how far each loss is below the baseline, in deviations."""
        baseline, variance, number = 0.0, 0.0, 0
        advantages = []
        losses = single_losses(state)
        seen = losses[[one.losses is not None for one in state]]
        if len(seen):
            # What diverged would hide all differences between the others.
            middle = float(np.median(seen))
            spread = middle - float(seen.min()) or math.inf
            losses = np.minimum(losses, middle + _FARTHEST * spread)
        for one, loss in zip(state, losses, strict=True):
            if one.losses is None:
                advantages.append(-1.0)
                continue
            if not number:
                baseline = loss
            gain = baseline - loss
            # The plain mean of the first few losses, and with more of them the
            # exponential moving average. The variance is that around the
            # baseline before this loss.
            number += 1
            weight = max(1.0 / number, 1.0 - self.decay)
            variance += weight * (gain**2 - variance)
            deviation = variance**0.5
            advantage = gain / deviation if deviation > 0 else 0.0
            advantages.append(max(-_LARGEST, min(advantage, _LARGEST)))
            baseline -= weight * gain
        return advantages


def policy_gradient(
    *, learning_rate: float = 0.5, decay: float = 0.8
) -> PolicyGradient:
    """Returns REINFORCE over the genes; see `PolicyGradient`."""
    return PolicyGradient(learning_rate=learning_rate, decay=decay)


def _softmax(table: np.ndarray) -> np.ndarray:
    # Less the largest, which changes no chance, so that no power overflows.
    powers = np.exp(table - table.max())
    return np.asarray(powers / powers.sum())


def _levels(domain: Domain, bins: int) -> int:
    if isinstance(domain, Interval):
        return int(min(domain.size, bins))
    return len(domain.values)


def _index_of(domain: Domain, value: Value, levels: int) -> int:
    if isinstance(domain, Interval):
        return min(int(domain.position(value) * levels), levels - 1)
    return domain.index(value)


def _value_of(domain: Domain, index: int, levels: int, rng: Rng) -> Value:
    if isinstance(domain, Interval):
        return domain.at((index + rng.random()) / levels)
    return domain.values[index]
