"""Searches that return genomes to evaluate and take their losses."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Protocol

from keras_evonas.evolution.engine import Engine
from keras_evonas.evolution.genes import Genome

Losses = tuple[float, ...]


@dataclasses.dataclass(frozen=True)
class Question:
    """A genome that a search asks to evaluate.

    Args:
        genome: The genome.
        tell: Function that tells the search its losses, `None` if the
            evaluation failed.
    """

    genome: Genome
    tell: Callable[[Losses | None], object]


class Searcher(Protocol):
    """A search, of this package or of another one."""

    def ask(self) -> Question | None:
        """Returns what to evaluate next, `None` if the space is exhausted."""


@dataclasses.dataclass
class EngineSearcher:
    """A search by one of this package's strategies; see `Searcher`."""

    engine: Engine

    def ask(self) -> Question | None:
        """Asks the engine; see `Searcher`."""
        individual = self.engine.ask()
        if individual is None:
            return None
        tell = functools.partial(self.engine.tell, individual.birth)
        return Question(individual.genome, tell)


def run_trials(
    searcher: Searcher,
    evaluate: Callable[[Genome, int], Losses | None],
    *,
    trials: int,
    batch: int = 1,
) -> list[tuple[Genome, Losses | None]]:
    """Runs a search.

    Args:
        searcher: The search.
        evaluate: Function of a genome and the number of the evaluation.
        trials: Integer, number of evaluations.
        batch: Integer, number of genomes that are asked for before their
            search gets their losses. Defaults to 1.

    Returns:
        The genomes and their losses, in order; fewer than `trials` if the
        space is exhausted before.
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
