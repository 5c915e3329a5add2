"""Objectives: the one place where scores turn into losses."""

import math
from collections.abc import Mapping
from typing import Any

import keras_tuner

# What turns a score into a loss.
SIGN = {"min": 1.0, "max": -1.0}


class StrictObjective(keras_tuner.Objective):
    """An objective that is missed when absent, and never met by NaN.

    With keras-tuner 1.4.8 an objective that never appears fails one trial
    after another with a bare `KeyError`, a first epoch of NaN hides all that
    follow, and an infinite one beats them.

    Args:
        name: String, the name of the metric.
        direction: String, `"min"` or `"max"`.

    Raises:
        ValueError: If `direction` is neither.
    """

    def __init__(self, name: str, direction: str) -> None:
        if direction not in SIGN:
            raise ValueError(
                f"`objective` must have a direction of {sorted(SIGN)}. "
                f"Received: objective='{name}' with direction={direction!r}. "
                f"Pass `keras_tuner.Objective('{name}', direction='min')` or "
                "'max'."
            )
        super().__init__(name, direction)

    def get_value(self, logs: Mapping[str, Any]) -> Any:
        """Returns the objective's value.

        Raises:
            keras_tuner.errors.FatalValueError: If `logs` lack it, which ends
                the search.
        """
        if self.name not in logs:
            raise keras_tuner.errors.FatalValueError(
                f"`objective` must name a metric that training reports. "
                f"Received: objective='{self.name}', and training reported "
                f"{sorted(logs)}. Name one of these, compile the model with "
                "the metric, or pass `validation_data` to `search` for those "
                "that begin with 'val_'."
            )
        return logs[self.name]

    def better_than(self, a: float, b: float) -> bool:
        """Whether `a` is better than `b`; no finite number is the worst."""
        if math.isfinite(a) and math.isfinite(b):
            return super().better_than(a, b)
        return math.isfinite(a)


def strict(objective: keras_tuner.Objective) -> keras_tuner.Objective:
    """Returns a plain objective as a `StrictObjective`."""
    if type(objective) is keras_tuner.Objective:
        return StrictObjective(objective.name, objective.direction)
    return objective


def describe(objective: keras_tuner.Objective) -> list[list[str]]:
    """Returns names and directions, as JSON can hold them."""
    parts = getattr(objective, "objectives", [objective])
    return [[part.name, part.direction] for part in parts]


def losses_of(
    objective: keras_tuner.Objective, score: float | None
) -> tuple[float, ...] | None:
    """Turns a score into losses, lower is better.

    Args:
        objective: The objective that the score belongs to.
        score: What the trial reached, or `None`.

    Returns:
        Tuple of losses, or `None` if there is no finite score.
    """
    if score is None or not math.isfinite(score):
        return None
    return (SIGN[objective.direction] * float(score),)
