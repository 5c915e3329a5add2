"""Stages in which options are left out, and the networks that are likeliest.

All of it is arithmetic on probabilities: `{gene: [one of each value]}`.
"""

import heapq
import itertools
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

Probabilities: TypeAlias = Mapping[str, Sequence[float]]
Places: TypeAlias = dict[str, list[int]]


def kept_after(size: int, stage: int, stages: int) -> int:
    """Returns how many of a gene's values go on after a stage.

    As many are left out after each stage, and two at least go on: of 8 in 3
    stages 5 and 3, as in P-DARTS (Chen et al., 2019, arXiv:1904.12760).

    Args:
        size: Integer, the number of values.
        stage: Integer, the number of stages that have ended.
        stages: Integer, the number of all stages.
    """
    return min(size, max(2, round(size * (stages - stage) / stages)))


def pruned(
    probabilities: Probabilities, kept: Mapping[str, Sequence[int]], ended: int,
    stages: int,
) -> Places:  # fmt: skip
    """Returns the places of the values that go on after a stage.

    Args:
        probabilities: Those at the end of the stage.
        kept: The places of the values that were in it.
        ended: Integer, the number of stages that have ended.
        stages: Integer, the number of all stages.
    """
    found = {}
    for name, places in kept.items():
        count = kept_after(len(probabilities[name]), ended, stages)
        row = np.asarray(probabilities[name])[list(places)]
        best = np.argsort(-row, kind="stable")[:count]
        found[name] = sorted(places[index] for index in best)
    return found


def limit_skips(
    probabilities: Probabilities,
    skips: Mapping[str, Sequence[int]],
    max_skips: int,
) -> dict[str, list[float]]:
    """Leaves skips in some genes only, so that no network has more of them.

    P-DARTS, section 3.3: the skips with the largest weights stay.

    Args:
        probabilities: Those of all values.
        skips: The places of the values that are skips.
        max_skips: Integer, in how many genes they stay.

    Returns:
        The probabilities, zero for the skips of all other genes.
    """
    weight_of = {}
    for name, places in skips.items():
        others = set(range(len(probabilities[name]))) - set(places)
        if places and any(probabilities[name][v] > 0 for v in others):
            weight_of[name] = max(probabilities[name][v] for v in places)
    stay = sorted(weight_of, key=lambda name: -weight_of[name])[:max_skips]
    found = {name: list(row) for name, row in probabilities.items()}
    for name in set(weight_of) - set(stay):
        for place in skips[name]:
            found[name][place] = 0.0
    return found


def likeliest(
    probabilities: Probabilities,
    active: Callable[[dict[str, int]], frozenset[str]],
) -> Iterator[dict[str, int]]:
    """Yields networks from the likeliest on, each of them once.

    The first has the best value of every gene. The others follow by the
    product of all genes' probabilities, where genes that are not active count
    with their best.

    Args:
        probabilities: Those of all values. Zero leaves a value out.
        active: Returns the names of the genes that are active in a network.

    Yields:
        The places of all genes' values.
    """
    names = list(probabilities)
    ranked = {}
    for name in names:
        row = np.asarray(probabilities[name])
        order = np.argsort(-row, kind="stable")
        ranked[name] = [int(v) for v in order if row[v] > 0]

    def loss(ranks: tuple[int, ...]) -> float:
        return -sum(
            float(np.log(probabilities[name][ranked[name][rank]]))
            for name, rank in zip(names, ranks, strict=True)
        )

    def network(ranks: tuple[int, ...]) -> dict[str, int]:
        pairs = zip(names, ranks, strict=True)
        return {name: ranked[name][rank] for name, rank in pairs}

    counter = itertools.count()
    best = (0,) * len(names)
    seen = {best}
    heap = [(loss(best), next(counter), best)]
    while heap:
        _, _, ranks = heapq.heappop(heap)
        found = network(ranks)
        yield found
        searched = active(found)
        for place, name in enumerate(names):
            rank = ranks[place] + 1
            if name not in searched or rank == len(ranked[name]):
                continue
            raised = (*ranks[:place], rank, *ranks[place + 1 :])
            on = active(network(raised))
            # Genes that are silent now have their best value.
            pairs = zip(names, raised, strict=True)
            raised = tuple(r if name in on else 0 for name, r in pairs)
            if raised not in seen:
                seen.add(raised)
                heapq.heappush(heap, (loss(raised), next(counter), raised))
