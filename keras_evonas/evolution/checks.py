"""Checks of arguments, with errors that say how to mend them."""

from numbers import Integral
from numbers import Real
from typing import Literal
from typing import TypeAlias

import numpy as np

# A number that a strategy may choose by the number of trials.
Size: TypeAlias = int | Literal["auto"]


def check_boolean(name: str, value: object) -> None:
    """Raises a `TypeError` unless `value` is `True` or `False`."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(
            f"`{name}` must be `True` or `False`. Received: {name}={value!r}."
        )


def check_function(name: str, value: object) -> None:
    """Raises a `TypeError` unless `value` can be called and is no class."""
    if not callable(value) or isinstance(value, type):
        raise TypeError(
            f"`{name}` must be a function, or an instance of a class with a "
            f"method `__call__`. Received: {name}={value!r}."
        )


def check_positive_integer(name: str, value: object) -> None:
    """Raises a `ValueError` unless `value` is an integer of at least 1."""
    check_integer(name, value, lowest=1)


def check_integer(name: str, value: object, *, lowest: int) -> None:
    """Raises a `ValueError` unless `value` is an integer from `lowest` up."""
    if not _is_integer(value, lowest):
        raise ValueError(
            f"`{name}` must be an integer of at least {lowest}. Received: "
            f"{name}={value!r}."
        )


def check_size(name: str, size: object) -> None:
    """Raises a `ValueError` unless `size` is `"auto"` or at least 1."""
    is_auto = isinstance(size, str) and size == "auto"
    if not is_auto and not _is_integer(size, 1):
        raise ValueError(
            f"`{name}` must be a positive integer or 'auto'. Received: "
            f"{name}={size!r}."
        )


def _is_integer(value: object, lowest: int) -> bool:
    return (
        isinstance(value, Integral)
        and not isinstance(value, bool)
        and int(value) >= lowest
    )


def resolved(name: str, size: Size) -> int:
    """Returns a size, or raises a `RuntimeError` if it is still `"auto"`."""
    if size == "auto":
        raise RuntimeError(
            f"`{name}='auto'` is not resolved yet. Call "
            "`strategy.configure(max_trials)` first and use what it returns."
        )
    return size


def check_range(
    name: str,
    value: object,
    low: float,
    high: float,
    *,
    low_open: bool = False,
    high_open: bool = False,
) -> None:
    """Raises a `ValueError` unless `value` is a number from `low` to `high`."""
    fits = (
        isinstance(value, Real)
        and not isinstance(value, bool)
        and low <= float(value) <= high
        and not (low_open and value == low)
        and not (high_open and value == high)
    )
    if not fits:
        opening, closing = "(" if low_open else "[", ")" if high_open else "]"
        raise ValueError(
            f"`{name}` must be a number in {opening}{low}, {high}{closing}. "
            f"Received: {name}={value!r}."
        )
