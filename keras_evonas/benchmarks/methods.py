"""Search methods by name, of this package and of others."""

import functools
import importlib
from collections.abc import Callable
from collections.abc import Mapping

from keras_evonas.benchmarks.searchers import EngineSearcher
from keras_evonas.benchmarks.searchers import Searcher
from keras_evonas.evolution import baselines
from keras_evonas.evolution import pareto_screening
from keras_evonas.evolution import strategies
from keras_evonas.evolution.defaults import default_pareto_strategy
from keras_evonas.evolution.defaults import default_strategy
from keras_evonas.evolution.policy_gradient import policy_gradient
from keras_evonas.evolution.progressive import progressive_search
from keras_evonas.evolution.screening import screened_evolution
from keras_evonas.evolution.space import SearchSpace
from keras_evonas.evolution.strategies import Strategy
from keras_evonas.installation import how_to_install

# Begins a search of a space, given its number of trials and its seed.
Method = Callable[[SearchSpace, int, int], Searcher]

# Dong & Yang (2020) searched NAS-Bench-201 with these sizes.
_regularized_evolution = functools.partial(
    strategies.regularized_evolution, population_size=10, sample_size=3
)
_STRATEGIES: Mapping[str, Callable[[], Strategy]] = {
    "default": default_strategy,
    "genetic_algorithm": strategies.genetic_algorithm,
    "generational_genetic_algorithm": (
        strategies.generational_genetic_algorithm
    ),
    "local_search": baselines.local_search,
    "policy_gradient": policy_gradient,
    "progressive_search": progressive_search,
    "random": baselines.random_search,
    "regularized_evolution": _regularized_evolution,
    "screened_evolution": screened_evolution,
}
_PARETO_STRATEGIES: Mapping[str, Callable[[], Strategy]] = {
    "default": default_pareto_strategy,
    "nsga2": strategies.nsga2,
    "screened_nsga2": pareto_screening.screened_nsga2,
    "random": baselines.random_search,
}
# Samplers for Optuna, our own first, and oracles of keras-tuner, with the
# packages they need.
_PEERS = {
    "optuna_evo": ("EvoSampler", "optuna"),
    "optuna_tpe": ("TPESampler", "optuna"),
    "optuna_gp": ("GPSampler", "optuna", "torch"),
    "optuna_nsga2": ("NSGAIISampler", "optuna"),
    "keras_tuner_random": ("RandomSearchOracle", "keras_tuner"),
    "keras_tuner_bayesian": (
        "BayesianOptimizationOracle",
        "keras_tuner",
        "sklearn",
    ),
}
_PARETO_PEERS = ("optuna_nsga2", "optuna_tpe")


def method(name: str, objectives: int = 1) -> Method:
    """Returns the method of a name, for one objective or two.

    Raises `ValueError` if there is none, and `ImportError` if its package is
    not installed.
    """
    if name not in method_names(objectives):
        raise ValueError(
            f"`methods` must be among {method_names(objectives)}. Received: "
            f"{name!r}."
        )
    if name not in _PEERS:
        make = _strategies(objectives)[name]
        return functools.partial(EngineSearcher, make)
    check_installed(name)
    kind, package, *_ = _PEERS[name]
    if package == "optuna":
        from keras_evonas.benchmarks.optuna_searcher import OptunaSearcher

        return functools.partial(OptunaSearcher, kind, objectives)
    from keras_evonas.benchmarks.keras_tuner_searcher import KerasTunerSearcher

    return functools.partial(KerasTunerSearcher, kind)


def method_names(objectives: int = 1) -> list[str]:
    """Returns the names of this package's strategies, then of the peers."""
    peers = _PEERS if objectives == 1 else _PARETO_PEERS
    return [*_strategies(objectives), *peers]


def check_installed(name: str) -> None:
    """Checks that the packages of a method are installed."""
    for package in _PEERS.get(name, ())[1:]:
        try:
            importlib.import_module(package)
        except ImportError as error:
            raise ImportError(
                "`methods` may name only methods whose packages are "
                f"installed. Received: one that needs `{package}`. Install it "
                f"with {how_to_install('benchmarks')}, or leave the method out."
            ) from error


def _strategies(objectives: int) -> Mapping[str, Callable[[], Strategy]]:
    return _STRATEGIES if objectives == 1 else _PARETO_STRATEGIES
