"""Recommendation: which networks to expect the most of, luck aside.

The best score of many is lucky, too, and the more the noisier trainings are.
The Gaussian process of `keras_evonas.evolution.surrogate` weighs each score
against those of similar networks instead.
"""

from collections.abc import Sequence

from keras_evonas.evolution.history import History
from keras_evonas.evolution.history import Individual
from keras_evonas.evolution.history import best_first
from keras_evonas.evolution.space import SearchSpace
from keras_evonas.evolution.surrogate import LEAST_DATA
from keras_evonas.evolution.surrogate import surrogate_of


def recommended(
    space: SearchSpace, ended: Sequence[Individual]
) -> list[Individual]:
    """Sorts individuals by the loss to expect if they were trained again.

    Only the first loss counts.

    Args:
        space: The search space, which contains their genomes.
        ended: Individuals that have ended, in their order, all of them trained
            for equally long.

    Returns:
        The feasible individuals, or if none is, the viable ones, the best
        first. Of more than 200 some are left out, none of the best. Fewer than
        three are sorted by their losses.
    """
    if sum(one.viable for one in ended) < LEAST_DATA:
        ranked = best_first(ended)
        return [one for one in ranked if one.feasible] or ranked
    history = History()
    history.ended = list(ended)
    surrogate = surrogate_of(space, history)
    return [surrogate.individuals[i] for i in surrogate.elites(len(ended))]
