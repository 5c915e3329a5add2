"""Recommendation: which networks to expect the most of, luck aside.

The best score of many is lucky, too, and the more the noisier trainings are.
The Gaussian process of `keras_evonas.evolution.surrogate` weighs each score
against those of similar networks instead.
"""

import dataclasses
import operator
from collections.abc import Sequence

from keras_evonas.evolution.history import History
from keras_evonas.evolution.history import Individual
from keras_evonas.evolution.space import SearchSpace
from keras_evonas.evolution.surrogate import surrogate_of

# Of fewer, the best score is the better guess: after 10 trials it was ahead of
# the surrogate's, after 25 behind it (docs/benchmarks.md).
_FEWEST = 20


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
        20 are sorted by their losses.
    """
    viable = [one for one in ended if one.viable]
    if viable and not any(one.feasible for one in viable):
        return _least_violating_first(space, viable)
    if len(viable) < _FEWEST:
        feasible = [one for one in viable if one.feasible]
        # Sorting is stable: in a tie the first to end is first.
        return sorted(feasible, key=_losses_of)
    history = History()
    history.ended = list(ended)
    surrogate = surrogate_of(space, history)
    return [surrogate.individuals[i] for i in surrogate.elites(len(ended))]


def _least_violating_first(
    space: SearchSpace, viable: Sequence[Individual]
) -> list[Individual]:
    """Sorts individuals of which none is feasible.

    Losses decide among those that violate the least, and among those that
    violate equally.
    """
    least = min(one.violation for one in viable)
    nearest = {one.birth: one for one in viable if one.violation == least}
    alike = [dataclasses.replace(x, violation=0.0) for x in nearest.values()]
    others = [one for one in viable if one.birth not in nearest]
    others.sort(key=lambda one: (one.violation, one.losses))
    return [*(nearest[x.birth] for x in recommended(space, alike)), *others]


_losses_of = operator.attrgetter("losses")
