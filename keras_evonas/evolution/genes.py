"""Genes: single choices of a network, with their values and conditions.

A gene has a name, a domain and conditions. There are three kinds of domain:

| domain | values | order |
|---|---|---|
| `Categorical` | a few, of any plain type | none |
| `Grid` | a few numbers | ordered, one step apart from each other |
| `Interval` | all numbers between two bounds | ordered, on a scale |

Ordered domains place each value at a *position* in `[0, 1]`, so that operators
and surrogates need no logarithms and no step sizes.

An interval that is continuous has a *resolution*: no two networks are proposed
whose values are all closer, since a second training would say nothing new. It
is 0.5 % of the interval on its scale: learning rates from 1e-4 to 1e-1 differ
by 3.5 %.
A gene with a step has that instead, and whole numbers are all told apart.
"""

import dataclasses
import functools
import math
from collections.abc import Iterator
from collections.abc import Mapping
from typing import ClassVar
from typing import TypeAlias

import numpy as np

from keras_evonas.evolution.randomness import Rng

Value: TypeAlias = bool | int | float | str
Genome: TypeAlias = Mapping[str, Value]

# The types that a value may have.
_PLAIN = (bool, int, float, str)
# A draft may hold NumPy's scalars instead.
_WHOLE = (int, np.integer)
_NUMBERS = (*_WHOLE, float, np.floating)
_SCALARS = (*_PLAIN, np.generic)

_SCALES = ("linear", "log", "reverse_log")
# Distances of neighbours, as shares of an interval: a short one to refine a
# value that is nearly right, and a longer one to leave it.
_NEIGHBOUR_STEPS = (0.02, 0.1)
# The resolution of a continuous interval, a share of it on its scale.
RESOLUTION = 0.005
# Draws from an interval before another value is found by a step. Only whole
# numbers need more than one: of two values, 100 draws miss one with 2**-100.
_DRAWS = 100


@dataclasses.dataclass(frozen=True)
class Categorical:
    """A choice among values that have no order.

    Args:
        values: Tuple of distinct values of any plain type.

    Raises:
        ValueError: If `values` is empty, or holds two equal values or one
            that is not of a plain type.
    """

    values: tuple[Value, ...]
    ordered: ClassVar[bool] = False

    def __post_init__(self) -> None:
        values = self.values
        # Exact types: NumPy's float64 is a float, but Keras takes Python's.
        odd = [value for value in values if type(value) not in _PLAIN]
        if odd:
            raise ValueError(
                "`values` must hold Python `bool`, `int`, `float` and `str`. "
                f"Received: {odd[0]!r} of type {type(odd[0])}. For a NumPy "
                "scalar pass its `.item()`."
            )
        if not values or len(set(values)) != len(values):
            raise ValueError(
                "`values` must be a tuple of distinct values, at least one. "
                f"Received: values={values}. Values that are equal in Python, "
                "such as `True`, `1` and `1.0`, cannot be told apart; use "
                "strings."
            )

    @functools.cached_property
    def _index(self) -> dict[Value, int]:
        return {value: index for index, value in enumerate(self.values)}

    @property
    def size(self) -> float:
        """Number of values."""
        return len(self.values)

    def __iter__(self) -> Iterator[Value]:
        return iter(self.values)

    def contains(self, value: object) -> bool:
        """Returns whether `value` equals one of the values, as 1.0 equals 1."""
        return isinstance(value, _SCALARS) and value in self._index

    def own(self, value: Value) -> Value:
        """Returns the equal value of the domain, which has the right type."""
        return self.values[self._index[value]]

    def index(self, value: Value) -> int:
        """Returns the index of `value` in `values`."""
        return self._index[value]

    def sample(self, rng: Rng) -> Value:
        """Draws a value uniformly."""
        return self.values[int(rng.integers(len(self.values)))]

    def step(self, value: Value, rng: Rng, scale: float) -> Value:
        """Draws another value, since without an order none is nearer."""
        del scale
        return resample(self, value, rng)

    def neighbours(self, value: Value) -> tuple[Value, ...]:
        """Returns all other values."""
        return tuple(other for other in self.values if other != value)


@dataclasses.dataclass(frozen=True)
class Grid(Categorical):
    """A choice among ordered numbers, each one step away from the next.

    Args:
        values: Tuple of distinct numbers, in their order.

    Raises:
        ValueError: As `Categorical`.
    """

    ordered: ClassVar[bool] = True

    def position(self, value: Value) -> float:
        """Returns the place of `value` in `[0, 1]`, in steps of equal width."""
        if len(self.values) == 1:
            return 0.5
        return self._index[value] / (len(self.values) - 1)

    def at(self, position: float) -> Value:
        """Returns the value nearest to a position in `[0, 1]`."""
        return self.values[round(position * (len(self.values) - 1))]

    def step(self, value: Value, rng: Rng, scale: float) -> Value:
        """Moves by a normal step, at least to the next value if there is one.

        Its standard deviation is the share `scale` of the grid.
        """
        last = len(self.values) - 1
        if not last:
            return value
        index = self._index[value]
        move = max(1, round(abs(rng.normal(0.0, scale)) * last))
        move = min(move, last)  # So that it is within, up or down.
        if rng.random() < 0.5:
            move = -move
        if not 0 <= index + move <= last:
            move = -move
        return self.values[min(max(index + move, 0), last)]

    def neighbours(self, value: Value) -> tuple[Value, ...]:
        """Returns the values before and after."""
        index = self._index[value]
        before = self.values[max(index - 1, 0) : index]
        return before + self.values[index + 1 : index + 2]


@dataclasses.dataclass(frozen=True)
class Interval:
    """All numbers between two bounds, both included.

    Args:
        low: Number, the smallest value.
        high: Number, the largest value.
        scale: One of `"linear"`, `"log"` (equal ratios are equally far apart)
            and `"reverse_log"` (finer near `high`). Defaults to `"linear"`.
        integer: Boolean, whether it holds only whole numbers. Defaults to
            `False`.

    Raises:
        ValueError: If the bounds are not finite, not in order, or not whole
            for whole numbers, if their difference (or ratio, on logarithmic
            scales) is not finite, or if a logarithmic scale starts at zero or
            below.
    """

    low: float
    high: float
    scale: str = "linear"
    integer: bool = False
    ordered: ClassVar[bool] = True

    def __post_init__(self) -> None:
        low, high, scale = self.low, self.high, self.scale
        received = f"Received: low={low}, high={high}, scale={scale!r}."
        if not (math.isfinite(low) and math.isfinite(high) and low <= high):
            wanted = "`low` and `high` must be finite and in order."
        elif self.integer and (low % 1 or high % 1):
            wanted = "`low` and `high` must be whole numbers for integer=True."
        elif scale not in _SCALES:
            wanted = f"`scale` must be one of {_SCALES}."
        elif scale != "linear" and low <= 0:
            wanted = f"`low` must be positive for scale={scale!r}."
            received += " Raise `low` or use scale='linear'."
        elif not self._is_measurable():
            wanted = "`low` and `high` must be less far apart."
        else:
            return
        raise ValueError(f"{wanted} {received}")

    def _is_measurable(self) -> bool:
        """Returns whether floating point can tell how wide it is."""
        try:
            if self.scale == "linear":
                return math.isfinite(float(self.high) - float(self.low))
            return math.isfinite(float(self.high) / float(self.low))
        except OverflowError:
            return False

    @property
    def size(self) -> float:
        """Number of values, infinite unless `integer`."""
        if self.integer:
            return int(self.high) - int(self.low) + 1
        return 1 if self.low == self.high else math.inf

    def __iter__(self) -> Iterator[Value]:
        """Yields all values, of a continuous interval ever finer ones."""
        if self.integer:
            yield from range(int(self.low), int(self.high) + 1)
            return
        yield float(self.low)
        count = 1
        while self.low < self.high:
            yield self.at(_van_der_corput(count))
            count += 1

    def contains(self, value: object) -> bool:
        """Returns whether `value` is within the bounds and of the kind."""
        kinds = _WHOLE if self.integer else _NUMBERS
        if isinstance(value, bool) or not isinstance(value, kinds):
            return False
        return bool(self.low <= value <= self.high)

    def own(self, value: Value) -> Value:
        """Returns the value as the domain's type, a Python `int` or `float`."""
        return int(value) if self.integer else float(value)

    @property
    def is_continuous(self) -> bool:
        """True if values count as one that are closer than the resolution."""
        return self.size == math.inf

    @property
    def _top(self) -> float:
        # Each whole number takes the stretch from itself up to the next, so
        # that a uniform position makes all numbers of a linear scale equally
        # likely, the last one included.
        return self.high + 1 if self.integer else self.high

    def position(self, value: Value) -> float:
        """Returns the place of `value` in `[0, 1]`, measured on the scale."""
        if self.low == self.high:
            return 0.5
        low, top = self.low, self._top
        place = float(value) + (0.5 if self.integer else 0.0)
        if self.scale == "log":
            return math.log(place / low) / math.log(top / low)
        if self.scale == "reverse_log":
            return 1 - math.log((top - place + low) / low) / math.log(top / low)
        return (place - low) / (top - low)

    def at(self, position: float) -> Value:
        """Returns the value at a position in `[0, 1]`."""
        low, top = self.low, self._top
        if self.scale == "log":
            value = low * (top / low) ** position
        elif self.scale == "reverse_log":
            value = top + low - low * (top / low) ** (1 - position)
        else:
            value = low + position * (top - low)
        if self.integer:
            return int(min(max(math.floor(value), self.low), self.high))
        return float(min(max(value, self.low), self.high))

    def sample(self, rng: Rng) -> Value:
        """Draws a value uniformly on the scale."""
        return self.at(rng.random())

    def step(self, value: Value, rng: Rng, scale: float) -> Value:
        """Moves by a normal step on the scale, reflected at the bounds.

        Its standard deviation is the share `scale` of the interval. The value
        changes, unless the interval has only one.
        """
        if self.size == 1:
            return value
        move = rng.normal(0.0, scale)
        moved = self.position(value) + move
        # `abs` reflects at 0 and `1 - abs(1 - ...)` at 1.
        child = self.at(min(max(1 - abs(1 - abs(moved)), 0.0), 1.0))
        if child != value:
            return child
        return self._next(value, upwards=move > 0)

    def _next(self, value: Value, *, upwards: bool) -> Value:
        """Returns the nearest value on one side, or else on the other."""
        if self.integer:
            near = int(value) + (1 if upwards else -1)
            return near if self.contains(near) else 2 * int(value) - near
        target = self.high if upwards else self.low
        if value == target:
            target = self.low if upwards else self.high
        return math.nextafter(float(value), target)

    def neighbours(self, value: Value) -> tuple[Value, ...]:
        """Returns values a small and a larger step away in both directions."""
        centre = self.position(value)
        moved = [
            self.at(min(max(centre + sign * step, 0.0), 1.0))
            for step in _NEIGHBOUR_STEPS
            for sign in (-1, 1)
        ]
        if self.integer:
            nearest = (int(value) - 1, int(value) + 1)
            moved += [near for near in nearest if self.contains(near)]
        return tuple(dict.fromkeys(near for near in moved if near != value))


Domain: TypeAlias = Categorical | Grid | Interval


@dataclasses.dataclass(frozen=True)
class Condition:
    """A condition that holds if another gene has one of some values.

    Args:
        parent: Name of the other gene.
        values: Tuple of the values for which the condition holds.
    """

    parent: str
    values: tuple[Value, ...]

    def holds(self, genome: Genome) -> bool:
        """Returns whether it holds, `False` if the other gene is inactive."""
        return self.parent in genome and genome[self.parent] in self.values


@dataclasses.dataclass(frozen=True)
class Gene:
    """One choice of a network.

    Args:
        name: Name, unique among the genes that can be active together.
        domain: The values it may take.
        conditions: Tuple of conditions; the gene is active when all hold.
        default: The default value. Defaults to the first of the domain.

    Raises:
        ValueError: If `default` is outside the domain.
    """

    name: str
    domain: Domain
    conditions: tuple[Condition, ...] = ()
    default: Value | None = None

    def __post_init__(self) -> None:
        default = self.default
        if default is None:
            default = next(iter(self.domain))
        if not self.domain.contains(default):
            raise ValueError(
                f"`default` of gene '{self.name}' must be in its domain "
                f"{self.domain}. Received: default={default!r}."
            )
        object.__setattr__(self, "default", self.domain.own(default))

    def is_active(self, genome: Genome) -> bool:
        """Returns whether it is active in a genome, by its conditions."""
        if not self.conditions:  # most genes, asked most often
            return True
        return all(condition.holds(genome) for condition in self.conditions)


def resample(domain: Domain, value: Value, rng: Rng) -> Value:
    """Draws from `domain` a value other than `value`, if there is one."""
    if isinstance(domain, Interval):
        if domain.size == 1:
            return value
        for _ in range(_DRAWS):
            drawn = domain.sample(rng)
            if drawn != value:
                return drawn
        return domain.step(value, rng, 0.1)
    others = domain.size - 1
    if not others:
        return value
    index = int(rng.integers(int(others)))
    return domain.values[index + (index >= domain.index(value))]


def _van_der_corput(count: int) -> float:
    """Returns the term of van der Corput's sequence: 1/2, 1/4, 3/4, 1/8 ..."""
    # It mirrors the bits of `count` at the binary point.
    position, base = 0.0, 0.5
    while count:
        position += base * (count & 1)
        count, base = count >> 1, base / 2
    return position
