"""Constraints: hard limits on what a network may cost or must reach."""

import dataclasses
import difflib
import math
from collections.abc import Iterable
from numbers import Real

from keras_evonas.project.objectives import COSTS


@dataclasses.dataclass(frozen=True)
class Constraint:
    """A limit on a number that belongs to a network.

    Made by `at_most` and `at_least`.

    Args:
        name: String, a cost or a metric of the training.
        bound: Finite number, the limit, which itself is allowed.
        is_upper: Boolean, whether larger numbers violate it.
    """

    name: str
    bound: float
    is_upper: bool = True

    def __post_init__(self) -> None:
        _check_name(self.name)
        is_number = isinstance(self.bound, Real) and not isinstance(
            self.bound, bool
        )
        if not is_number or not math.isfinite(self.bound):
            raise ValueError(
                "`bound` must be a finite number. Received: "
                f"bound={self.bound!r} for '{self.name}'. Pass for example "
                "`at_most('params', 1_000_000)`."
            )

    def __str__(self) -> str:
        return f"{self.name} {'<=' if self.is_upper else '>='} {self.bound:g}"

    def violation(self, value: float) -> float:
        """Returns how far a value is beyond the bound, as a share of it.

        So constraints of different units compare. It is infinite for NaN.
        """
        if math.isnan(value):
            return math.inf
        excess = value - self.bound if self.is_upper else self.bound - value
        return max(0.0, excess) / (abs(self.bound) or 1.0)


def at_most(name: str, bound: float) -> Constraint:
    """Limits a cost or a metric from above.

    Args:
        name: String. Known before training: `"params"`, `"trainable_params"`,
            `"multiply_adds"`, `"flops"`, `"weight_bytes"`,
            `"training_bytes"`, `"depth"`, and what the `costs` of `EvoOracle`
            return by names of their own. Measured after it: `"latency_ms"`,
            `"train_seconds"` and every metric that training reports.
        bound: Finite number, the largest value allowed.

    Returns:
        The constraint, for `EvoOracle(..., constraints=[...])`.

    Raises:
        ValueError: If `bound` is not a finite number, or if `name` is a
            misspelt cost.
    """
    return Constraint(name, bound)


def at_least(name: str, bound: float) -> Constraint:
    """Limits a cost or a metric from below; otherwise as `at_most`."""
    return Constraint(name, bound, is_upper=False)


def checked_constraints(
    constraints: Iterable[Constraint] | None,
) -> tuple[Constraint, ...]:
    """Returns what the user wrote as a tuple, if it is in order."""
    if constraints is None:
        return ()
    found = [constraints] if isinstance(constraints, str) else constraints
    is_list = isinstance(found, Iterable)
    checked = tuple(found) if is_list else ()
    if not is_list or not all(isinstance(one, Constraint) for one in checked):
        raise TypeError(
            "`constraints` must be a list of constraints with a bound, such "
            "as `[at_most('params', 1_000_000)]`. Received: "
            f"constraints={constraints!r}."
        )
    sides = [(one.name, one.is_upper) for one in checked]
    twice = sorted({name for name, up in sides if sides.count((name, up)) > 1})
    if twice:
        raise ValueError(
            "`constraints` must limit each name once from above and once from "
            f"below. Received: {list(map(str, checked))}. Keep the tighter "
            f"one of {twice}."
        )
    return checked


def _check_name(name: object) -> None:
    if not isinstance(name, str) or not name:
        raise ValueError(
            f"`name` must be the name of a cost or metric. Received: {name!r}."
        )
    near = difflib.get_close_matches(name.lower(), COSTS, n=1, cutoff=0.8)
    if name not in COSTS and near:
        raise ValueError(
            f"`name` must be the name of a cost or metric. Received: "
            f"'{name}'. Did you mean '{near[0]}'? Costs are {list(COSTS)}."
        )
