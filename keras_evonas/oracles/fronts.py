"""How the front of several objectives grows in a search."""

from collections.abc import Mapping
from collections.abc import Sequence

import keras_tuner

from keras_evonas.evolution import pareto
from keras_evonas.project.objectives import SIGN

Losses = tuple[float, ...]


def corner(
    objectives: Sequence[keras_tuner.Objective],
    losses: Sequence[Losses],
    reference: Mapping[str, float] | None,
) -> list[float]:
    """Returns the corner up to which a front's volume is measured.

    Args:
        objectives: The objectives.
        losses: The losses of all trials that count.
        reference: Mapping of the names of the objectives to values, or `None`
            for the worst losses.

    Raises:
        ValueError: If `reference` lacks an objective.
    """
    if reference is None:
        return [max(column) for column in zip(*losses, strict=True)]
    missing = [x.name for x in objectives if x.name not in reference]
    if missing:
        raise ValueError(
            "`reference` must hold a value for each objective. Received: "
            f"reference={dict(reference)}, without {missing}."
        )
    return [SIGN[x.direction] * reference[x.name] for x in objectives]


def hypervolumes(
    ended: Sequence[Losses | None], corner: Sequence[float]
) -> list[float]:
    """Returns the volume that the front dominates after each end.

    Args:
        ended: The losses of trials in the order of their ends, `None` for one
            that adds nothing.
        corner: The corner up to which the volume is measured.
    """
    front: list[Losses] = []
    volumes: list[float] = []
    for losses in ended:
        if losses is not None:
            points = [*front, losses]
            ranks = pareto.ranks(points)
            front = [x for x, r in zip(points, ranks, strict=True) if r == 0]
        volumes.append(pareto.hypervolume(front, corner) if front else 0.0)
    return volumes
