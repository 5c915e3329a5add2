"""Networks of a search: the trials of one training that was continued.

With rungs a training that goes on is another trial. Reports and tables show
each network once, with all the epochs that it had.
"""

import collections
import dataclasses
from collections.abc import Sequence
from typing import TypeVar

from keras_evonas.project.trials import Curve
from keras_evonas.project.trials import Trial

_Number = TypeVar("_Number", int, float)


def networks_of(trainings: Sequence[Trial]) -> tuple[Trial, ...]:
    """Returns one trial for each network, in the order of beginnings.

    It is the last trial that completed, as in `project.ranking`, with the
    epochs, seconds and curves of all, and with the parents of the first.
    """
    chains: dict[str, list[Trial]] = {}
    chain_of: dict[str, list[Trial]] = {}
    for trial in trainings:
        chain = chain_of.get(trial.continues or "")
        if chain is None:
            chain = chains[trial.trial_id] = []
        chain.append(trial)
        chain_of[trial.trial_id] = chain
    return tuple(
        _network(chain, number) for number, chain in enumerate(chains.values())
    )


def _network(trainings: Sequence[Trial], number: int) -> Trial:
    completed = [trial for trial in trainings if trial.completed]
    first, last = trainings[0], (completed or trainings)[-1]
    if len(trainings) == 1:
        return dataclasses.replace(last, number=number)
    return dataclasses.replace(
        last,
        number=number,
        birth=first.birth,
        parents=first.parents,
        operator=first.operator,
        continues=None,
        epochs=_sum([trial.epochs for trial in trainings]),
        seconds=_sum([trial.seconds for trial in trainings]),
        curves=_joined(trainings),
        trainings=tuple(trial.trial_id for trial in trainings),
    )


def _sum(numbers: Sequence[_Number | None]) -> _Number | None:
    known = [number for number in numbers if number is not None]
    return sum(known[1:], start=known[0]) if known else None


def _joined(trainings: Sequence[Trial]) -> dict[str, Curve]:
    found: dict[str, dict[float, float]] = collections.defaultdict(dict)
    for trial in trainings:
        for name, curve in trial.curves.items():
            # A training that goes on repeats no epoch's number; should one be
            # there twice, the later one counts.
            found[name].update(curve)
    return {
        name: tuple(sorted(points.items())) for name, points in found.items()
    }
