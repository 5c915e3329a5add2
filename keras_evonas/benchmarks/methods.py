"""Search methods by name, our own and peers, all asked in the same way."""

import dataclasses
import functools
from collections.abc import Callable
from collections.abc import Mapping
from typing import Any
from typing import Protocol

from keras_evonas.benchmarks import peers
from keras_evonas.evolution import baselines
from keras_evonas.evolution import strategies
from keras_evonas.evolution.defaults import default_strategy
from keras_evonas.evolution.engine import Engine
from keras_evonas.evolution.genes import Genome
from keras_evonas.evolution.policy_gradient import policy_gradient
from keras_evonas.evolution.progressive import progressive_search
from keras_evonas.evolution.screening import screened_evolution
from keras_evonas.evolution.space import SearchSpace
from keras_evonas.evolution.strategies import Strategy


class Searcher(Protocol):
    """A search that is asked for configurations and told their losses."""

    def ask(self) -> tuple[Any, Genome] | None:
        """Returns a token and a configuration, `None` if there is no more."""

    def tell(self, token: Any, loss: float | None) -> None:
        """Takes the loss of what was asked, `None` if it failed."""


Method = Callable[[SearchSpace, int, int], Searcher]


@dataclasses.dataclass
class EngineSearcher:
    """One of our strategies; see `Searcher`."""

    engine: Engine

    def ask(self) -> tuple[int, Genome] | None:
        """Asks the engine; see `Searcher`."""
        individual = self.engine.ask()
        return individual and (individual.birth, individual.genome)

    def tell(self, token: int, loss: float | None) -> None:
        """Tells the engine; see `Searcher`."""
        self.engine.tell(token, None if loss is None else (loss,))


def _ours(
    make: Callable[[], Strategy], space: SearchSpace, trials: int, seed: int
) -> EngineSearcher:
    strategy = make().configure(trials)
    return EngineSearcher(Engine(space, strategy, seed=seed))


def _paper_regularized_evolution() -> Strategy:
    """The sizes that NAS-Bench-201 was searched with (Dong & Yang, 2020)."""
    return strategies.regularized_evolution(population_size=10, sample_size=3)


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
    "regularized_evolution": _paper_regularized_evolution,
    "screened_evolution": screened_evolution,
}


def method(name: str) -> Method:
    """Returns the method of a name.

    Args:
        name: One of `method_names()`.

    Returns:
        Function of a space, the number of trials and a seed that begins a
        search.

    Raises:
        ValueError: If there is no such method.
        ImportError: If its package is not installed; the error says how to
            install it.
    """
    if name in _STRATEGIES:
        return functools.partial(_ours, _STRATEGIES[name])
    if name in peers.PEERS:
        peers.check_installed(name)
        return peers.PEERS[name]
    raise ValueError(
        f"`methods` must be among {method_names()}. Received: {name!r}."
    )


def method_names() -> list[str]:
    """Names of our strategies, then of the peers."""
    return [*_STRATEGIES, *peers.PEERS]
