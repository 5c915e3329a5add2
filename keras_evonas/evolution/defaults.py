"""Default strategies, for searches that name none."""

from keras_evonas.evolution.pareto_screening import screened_nsga2
from keras_evonas.evolution.screening import screened_evolution
from keras_evonas.evolution.strategies import Strategy
from keras_evonas.evolution.strategies import check_strategy


def default_strategy() -> Strategy:
    """Returns the strategy that does best in the benchmarks.

    docs/benchmarks.md has the figures. The choice does not depend on the number
    of trials, so that a finished search may be prolonged.
    """
    return screened_evolution()


def default_pareto_strategy() -> Strategy:
    """Returns the strategy that finds the best fronts in the benchmarks."""
    return screened_nsga2()


def checked_strategy(
    strategy: Strategy | None, several_objectives: bool
) -> Strategy:
    """Returns the strategy, or the default one for `None`.

    Args:
        strategy: What the user passed.
        several_objectives: Whether a front is searched for.

    Raises:
        TypeError: If it is not a strategy.
    """
    if strategy is None and several_objectives:
        return default_pareto_strategy()
    if strategy is None:
        return default_strategy()
    check_strategy("strategy", strategy)
    return strategy
