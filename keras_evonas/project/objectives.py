"""Objectives and costs by their names, and how scores turn into losses."""

import dataclasses

# What turns a score into a loss, which is better the lower it is, and back.
SIGN = {"min": 1.0, "max": -1.0}

# Known before a network is trained, from its shapes alone; the fields of
# `keras_evonas.models.costs.Costs`.
STATIC_COSTS = (
    *("params", "trainable_params", "multiply_adds", "flops", "weight_bytes"),
    *("training_bytes", "depth"),
)
# Known when a network has been trained. `EvoTuner` reports the seconds, a
# cohort's divided among its members, and measures the latency if an objective
# or a constraint names it.
LATENCY, TRAIN_SECONDS = "latency_ms", "train_seconds"
MEASURED_COSTS = (LATENCY, TRAIN_SECONDS)
COSTS = (*STATIC_COSTS, *MEASURED_COSTS)


@dataclasses.dataclass(frozen=True)
class Objective:
    """What the search optimizes.

    Args:
        name: The metric.
        direction: `"min"` or `"max"`.
    """

    name: str
    direction: str

    def loss(self, score: float) -> float:
        """Turns a score into a loss, lower is better, or one back again."""
        return SIGN[self.direction] * score
