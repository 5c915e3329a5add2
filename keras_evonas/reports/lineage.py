"""The ancestors of a network, step by step."""

import dataclasses
from collections.abc import Mapping

from keras_evonas.evolution.genes import Value
from keras_evonas.project.search import Search
from keras_evonas.project.search import Trial


@dataclasses.dataclass(frozen=True)
class Change:
    """A gene with its values in a parent and a child, `None` if inactive."""

    name: str
    before: Value | None
    after: Value | None


@dataclasses.dataclass(frozen=True)
class Step:
    """An edge of a family tree, with the genes that it changed.

    `gain` is by how much the child is better in the first objective, negative
    if it is worse, `None` if either has no score, or was trained for longer.
    """

    parent: Trial
    child: Trial
    changes: tuple[Change, ...]
    gain: float | None


def changes(
    before: Mapping[str, Value], after: Mapping[str, Value]
) -> tuple[Change, ...]:
    """Returns the differences of two genomes, in the order of their genes."""
    return tuple(
        Change(name, before.get(name), after.get(name))
        for name in dict.fromkeys([*before, *after])
        if name not in before
        or name not in after
        or before[name] != after[name]
    )


def family(search: Search, trial: Trial) -> tuple[Step, ...]:
    """Returns all edges between a trial and its ancestors, in birth order."""
    return tuple(
        _step(search, parent, child)
        for child in search.lineage(trial.trial_id)
        for parent in search.parents(child)
    )


def descent(search: Search, trial: Trial) -> tuple[Step, ...]:
    """Returns the line from the oldest ancestor to a trial, one parent each.

    Of two parents it follows the one with which the child shares more genes.
    """
    steps: list[Step] = []
    known = {trial.trial_id}
    while True:
        options = [
            _step(search, parent, trial)
            for parent in search.parents(trial)
            if parent.trial_id not in known
        ]
        if not options:
            return tuple(reversed(steps))
        steps.append(min(options, key=lambda step: len(step.changes)))
        trial = steps[-1].parent
        known.add(trial.trial_id)


def _step(search: Search, parent: Trial, child: Trial) -> Step:
    gain = None
    if parent.completed and child.completed and parent.rung == child.rung:
        gain = search.losses(parent)[0] - search.losses(child)[0]
    return Step(parent, child, changes(parent.genes, child.genes), gain)
