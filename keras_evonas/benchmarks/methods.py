"""Search methods by name, of this package and of others."""

import dataclasses
import functools
import importlib
from collections.abc import Callable
from collections.abc import Mapping

from keras_evonas.benchmarks.searchers import EngineSearcher
from keras_evonas.benchmarks.searchers import Searcher
from keras_evonas.evolution import baselines
from keras_evonas.evolution import multiobjective
from keras_evonas.evolution import pareto_screening
from keras_evonas.evolution import strategies
from keras_evonas.evolution.defaults import default_pareto_strategy
from keras_evonas.evolution.defaults import default_strategy
from keras_evonas.evolution.engine import Engine
from keras_evonas.evolution.policy_gradient import policy_gradient
from keras_evonas.evolution.progressive import progressive_search
from keras_evonas.evolution.screening import screened_evolution
from keras_evonas.evolution.space import SearchSpace
from keras_evonas.evolution.strategies import Strategy

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
    "nsga2": multiobjective.nsga2,
    "screened_nsga2": pareto_screening.screened_nsga2,
    "random": baselines.random_search,
}


@dataclasses.dataclass(frozen=True)
class _Peer:
    """A method of another package.

    Args:
        kind: Name of a sampler of Optuna or of an oracle of keras-tuner.
        packages: The packages that it needs.
        is_pareto: Boolean, true if it is compared with two objectives, too.
    """

    kind: str
    packages: tuple[str, ...]
    is_pareto: bool = False


_PEERS = {
    "optuna_tpe": _Peer("TPESampler", ("optuna",), is_pareto=True),
    "optuna_gp": _Peer("GPSampler", ("optuna", "torch")),
    "optuna_nsga2": _Peer("NSGAIISampler", ("optuna",), is_pareto=True),
    "keras_tuner_random": _Peer("RandomSearchOracle", ("keras_tuner",)),
    "keras_tuner_bayesian": _Peer(
        "BayesianOptimizationOracle", ("keras_tuner", "sklearn")
    ),
}


def method(name: str, objectives: int = 1) -> Method:
    """Returns the method of a name.

    Args:
        name: One of `method_names(objectives)`.
        objectives: Integer, 1 or 2. Defaults to 1.

    Raises:
        ValueError: If there is no such method.
        ImportError: If its package is not installed; the error says how to
            install it.
    """
    if name not in method_names(objectives):
        raise ValueError(
            f"`methods` must be among {method_names(objectives)}. Received: "
            f"{name!r}."
        )
    if name not in _PEERS:
        return functools.partial(_own, _strategies(objectives)[name])
    check_installed(name)
    peer = _PEERS[name]
    if peer.packages[0] == "optuna":
        from keras_evonas.benchmarks.optuna_searcher import OptunaSearcher

        return functools.partial(OptunaSearcher, peer.kind, objectives)
    from keras_evonas.benchmarks.keras_tuner_searcher import KerasTunerSearcher

    return functools.partial(KerasTunerSearcher, peer.kind)


def method_names(objectives: int = 1) -> list[str]:
    """Returns the names of this package's strategies, then of the peers."""
    peers = [n for n, p in _PEERS.items() if objectives == 1 or p.is_pareto]
    return [*_strategies(objectives), *peers]


def check_installed(name: str) -> None:
    """Checks that the packages of a method are installed.

    Args:
        name: Name of a method.

    Raises:
        ImportError: If one is missing; the error says how to install it.
    """
    for package in _PEERS[name].packages if name in _PEERS else ():
        try:
            importlib.import_module(package)
        except ImportError as error:
            raise ImportError(
                "`methods` may name only methods whose packages are "
                f"installed. Received: one that needs `{package}`. Install it "
                "with pip install 'keras-evonas[benchmarks]', or leave the "
                "method out."
            ) from error


def _strategies(objectives: int) -> Mapping[str, Callable[[], Strategy]]:
    return _STRATEGIES if objectives == 1 else _PARETO_STRATEGIES


def _own(
    make: Callable[[], Strategy], space: SearchSpace, trials: int, seed: int
) -> EngineSearcher:
    strategy = make().configure(trials)
    return EngineSearcher(Engine(space, strategy, seed=seed))
