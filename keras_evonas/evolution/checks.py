"""Checks of arguments, with errors that say how to mend them."""

from numbers import Integral


def check_positive_integer(name: str, value: object) -> None:
    """Raises a `ValueError` unless `value` is an integer of at least 1."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < 1:
        raise ValueError(
            f"`{name}` must be an integer of at least 1. Received: "
            f"{name}={value!r}."
        )


def check_range(
    name: str,
    value: object,
    low: float,
    high: float,
    *,
    low_open: bool = False,
) -> None:
    """Raises a `ValueError` unless `value` is a number from `low` to `high`."""
    fits = (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and low <= value <= high
        and not (low_open and value == low)
    )
    if not fits:
        opening = "(" if low_open else "["
        raise ValueError(
            f"`{name}` must be a number in {opening}{low}, {high}]. Received: "
            f"{name}={value!r}."
        )
