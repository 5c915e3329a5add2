"""Default strategies, for searches that name none."""

from keras_evonas.evolution.pareto_screening import screened_nsga2
from keras_evonas.evolution.screening import screened_evolution
from keras_evonas.evolution.strategies import Strategy

_STRATEGY_METHODS = ("configure", "begin", "absorb", "propose", "vary")


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
    is_strategy = all(hasattr(strategy, name) for name in _STRATEGY_METHODS)
    if isinstance(strategy, type) or not is_strategy:
        raise TypeError(
            "`strategy` must be a strategy such as `genetic_algorithm()` of "
            f"keras_evonas.evolution. Received: strategy={strategy!r}. Call "
            "the function that makes it, or write a class with the methods "
            f"{_STRATEGY_METHODS}."
        )
    return strategy
