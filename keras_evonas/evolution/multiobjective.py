"""Strategies for several objectives.

Every strategy can be used with several objectives, since individuals are
sorted by the crowded comparison (see `best_first`). Those here are made for it.
"""

from keras_evonas.evolution.checks import Size
from keras_evonas.evolution.crossover import BlockCrossover
from keras_evonas.evolution.mutation import Step
from keras_evonas.evolution.replacement import WorstDies
from keras_evonas.evolution.selection import Tournament
from keras_evonas.evolution.strategies import Evolution


def nsga2(
    *, population_size: Size = "auto", crossover_rate: float = 0.9
) -> Evolution:
    """Returns NSGA-II (Deb et al., 2002) in its steady-state form.

    Parents win binary tournaments by their rank, in a tie by their crowding
    distance. Of the population and a child the most crowded individual of the
    worst front is removed. Individuals that violate a constraint are worse than
    all others, and the worse the more they violate it. Deviations from the
    paper: children are born one at a time, so that no worker waits (Durillo et
    al., 2009); of equal individuals the earlier born wins instead of a random
    one; and crossover and mutation are those for genes of every type.

    Args:
        population_size: Integer or `"auto"`; see `Evolution`.
        crossover_rate: Float in `[0, 1]`, share of the children that have two
            parents. Defaults to 0.9, as in the paper.

    Returns:
        The strategy.
    """
    return Evolution(
        population_size=population_size,
        select=Tournament(size=2),
        crossover=BlockCrossover(),
        crossover_rate=crossover_rate,
        mutate=Step(),
        replace=WorstDies(),
    )
