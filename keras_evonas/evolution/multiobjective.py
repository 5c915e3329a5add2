"""Strategies for several objectives.

Every strategy copes with several: whatever sorts individuals does so by the
crowded comparison (see `best_first`). Those here are made for it.
"""

from keras_evonas.evolution.crossover import BlockCrossover
from keras_evonas.evolution.mutation import Step
from keras_evonas.evolution.replacement import WorstDies
from keras_evonas.evolution.selection import Tournament
from keras_evonas.evolution.strategies import Evolution
from keras_evonas.evolution.strategies import Size


def nsga2(
    *, population_size: Size = "auto", crossover_rate: float = 0.9
) -> Evolution:
    """NSGA-II, steady-state (Deb et al., 2002).

    Parents win binary tournaments by rank, then by loneliness; of parents and
    child the most crowded of the worst front dies. Individuals that violate a
    constraint are worse than all others, by how much they do. Deviations from
    the paper: one child at a time, so that nobody waits (Durillo et al.,
    2009); of equals the earlier born wins instead of one by chance; and
    crossover and mutation are those for genes of every type.

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
