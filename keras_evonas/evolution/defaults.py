"""The strategy that a search gets when none is named."""

from keras_evonas.evolution.multiobjective import nsga2
from keras_evonas.evolution.strategies import Strategy
from keras_evonas.evolution.strategies import genetic_algorithm


def default_strategy() -> Strategy:
    """Returns the strategy that does best in the benchmarks."""
    return genetic_algorithm()


def default_pareto_strategy() -> Strategy:
    """Returns the strategy that finds the best fronts in the benchmarks."""
    return nsga2()
