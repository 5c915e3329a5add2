"""Checks of the arguments that hypermodels take."""

from collections.abc import Sequence
from typing import Any


def check_count(name: str, value: object, lowest: int, hint: str = "") -> int:
    """Returns an integer that is at least `lowest`, or raises an error."""
    if type(value) is not int or value < lowest:
        message = (
            f"`{name}` must be an integer of at least {lowest}. Received: "
            f"{name}={value!r}. {hint}"
        )
        raise ValueError(message.rstrip())
    return value


def check_bounds(
    name: str, bounds: Sequence[int], lowest: int
) -> tuple[int, int]:
    """Returns a pair of integers in order, or raises an error."""
    is_pair = isinstance(bounds, tuple | list) and len(bounds) == 2
    are_integers = is_pair and all(type(bound) is int for bound in bounds)
    if not (are_integers and lowest <= bounds[0] <= bounds[1]):
        raise ValueError(
            f"`{name}` must be a pair of integers (low, high), at least "
            f"{lowest} and in order. Received: {name}={bounds!r}."
        )
    return bounds[0], bounds[1]


def powers_of_two(name: str, bounds: Sequence[int]) -> tuple[int, ...]:
    """Returns the powers of two within a pair of bounds, or raises an error."""
    low, high = check_bounds(name, bounds, 1)
    powers = tuple(2**k for k in range(63) if low <= 2**k <= high)
    if not powers:
        raise ValueError(
            f"`{name}` must span a power of two. Received: {name}={bounds!r}. "
            "Try (16, 1024)."
        )
    return powers


def check_shape(
    shape: Sequence[int], rank: int | None = None
) -> tuple[int, ...]:
    """Returns the shape of one example as a tuple, or raises an error."""
    is_shape = isinstance(shape, tuple | list) and len(shape) > 0
    if not is_shape or any(type(size) is not int or size < 1 for size in shape):
        raise ValueError(
            "`input_shape` must be a tuple of positive integers, the shape of "
            f"one example without the batch. Received: input_shape={shape!r}."
        )
    if rank is not None and len(shape) != rank:
        raise ValueError(
            "`input_shape` must be (height, width, channels). Received: "
            f"input_shape={shape!r}. Give images without channels one with "
            "`x[..., None]`."
        )
    return tuple(shape)


def check_choices(
    name: str, values: Sequence[object], allowed: Sequence[object] | None = None
) -> tuple[Any, ...]:
    """Returns distinct choices as a tuple, or raises an error."""
    is_list = isinstance(values, tuple | list | range) and len(values) > 0
    if (
        not is_list
        or len(set(values)) != len(values)
        or any(allowed is not None and value not in allowed for value in values)
    ):
        what = "names" if allowed is None else f"{tuple(allowed)}"
        raise ValueError(
            f"`{name}` must be a tuple of distinct {what}, at least one. "
            f"Received: {name}={values!r}."
        )
    return tuple(values)


def check_rates(name: str, rates: Sequence[float]) -> tuple[float, ...]:
    """Returns rates from 0 to below 1 as floats, or raises an error."""
    for rate in check_choices(name, rates):
        is_number = isinstance(rate, int | float) and type(rate) is not bool
        if not is_number or not 0 <= rate < 1:
            raise ValueError(
                f"`{name}` must hold numbers from 0 to below 1. Received: "
                f"{name}={rates!r}."
            )
    return tuple(map(float, rates))
