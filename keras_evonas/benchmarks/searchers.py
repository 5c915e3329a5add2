"""Searches that return genomes to evaluate and take their losses."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Protocol

from keras_evonas.evolution.engine import Engine
from keras_evonas.evolution.genes import Genome
from keras_evonas.evolution.space import SearchSpace
from keras_evonas.evolution.strategies import Strategy

Losses = tuple[float, ...]


@dataclasses.dataclass(frozen=True)
class Question:
    """A genome to evaluate, and what takes its losses, `None` if it failed."""

    genome: Genome
    tell: Callable[[Losses | None], object]


class Searcher(Protocol):
    """A search, of this package or of another one."""

    def ask(self) -> Question | None:
        """Returns what to evaluate next, `None` if the space is exhausted."""


class EngineSearcher:
    """A search by one of this package's strategies; see `Searcher`."""

    def __init__(
        self,
        make: Callable[[], Strategy],
        space: SearchSpace,
        trials: int,
        seed: int,
    ) -> None:
        self._engine = Engine(space, make().configure(trials), seed=seed)

    def ask(self) -> Question | None:
        """Asks the engine; see `Searcher`."""
        individual = self._engine.ask()
        if individual is None:
            return None
        tell = functools.partial(self._engine.tell, individual.birth)
        return Question(individual.genome, tell)


def run_trials(
    searcher: Searcher,
    evaluate: Callable[[Genome, int], Losses | None],
    *,
    trials: int,
    batch: int = 1,
) -> list[tuple[Genome, Losses | None]]:
    """Returns genomes and losses, fewer if the space is exhausted before.

    `evaluate` is given a genome and the number of the evaluation. `batch`
    genomes are asked for before the search gets their losses.
    """
    found: list[tuple[Genome, Losses | None]] = []
    is_exhausted = False
    while len(found) < trials and not is_exhausted:
        asked = [searcher.ask() for _ in range(min(batch, trials - len(found)))]
        is_exhausted = None in asked
        for question in asked:
            if question is not None:
                losses = evaluate(question.genome, len(found))
                question.tell(losses)
                found.append((question.genome, losses))
    return found
