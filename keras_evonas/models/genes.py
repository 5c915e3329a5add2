"""Hyperparameters as the hypermodels of this package ask for them."""

from collections.abc import Callable
from collections.abc import Sequence
from typing import Any
from typing import TypeVar

import keras_tuner

Asked = TypeVar("Asked")


def choice(
    hp: keras_tuner.HyperParameters,
    name: str,
    values: Sequence[Any],
    *,
    near: float | None = None,
) -> Any:
    """Asks for one of `values`; a single one is no question.

    Args:
        hp: The hyperparameters to ask.
        name: String, the name of the hyperparameter.
        values: Numbers, which are ordered then, or strings.
        near: Number; the value next to it is the default. Defaults to `None`,
            which makes the first value the default.

    Returns:
        The value, or `None` inside of a scope that is not active.
    """
    if len(values) == 1:
        return values[0]
    default = values[0]
    if near is not None:
        default = min(values, key=lambda value: abs(value - near))
    return hp.Choice(name, list(values), default=default)


def repeated(
    hp: keras_tuner.HyperParameters,
    name: str,
    bounds: tuple[int, int],
    ask: Callable[[int], Asked],
    *,
    default: int,
) -> list[Asked]:
    """Asks how many there are, and for each what it is.

    The hyperparameters of those that are not there are known to the search
    from the first build on, but are not active.

    Args:
        hp: The hyperparameters to ask.
        name: String, the name of the number.
        bounds: Pair of integers, the smallest and the largest number.
        ask: Function that asks for all that belongs to the number `i`. Called
            for absent ones too, where every answer is `None`.
        default: Integer, the number to start from, if within the bounds.

    Returns:
        List of what `ask` returned for those that are there.
    """
    low, high = bounds
    count = choice(hp, name, range(low, high + 1), near=default)
    asked = []
    for index in range(high):
        if index < low:
            asked.append(ask(index))
            continue
        with hp.conditional_scope(name, list(range(index + 1, high + 1))):
            asked.append(ask(index))
    return asked[: count or 0]


def powers_of_two(name: str, bounds: Any) -> tuple[int, ...]:
    """Returns the powers of two within a pair of bounds.

    Raises:
        ValueError: If it is no such pair, or there is none.
    """
    low, high = check_bounds(name, bounds, 1)
    powers = tuple(2**k for k in range(63) if low <= 2**k <= high)
    if not powers:
        raise ValueError(
            f"`{name}` must span a power of two. Received: {name}={bounds!r}. "
            "Try (16, 1024)."
        )
    return powers


def check_bounds(name: str, bounds: Any, lowest: int) -> tuple[int, int]:
    """Returns a pair of integers `(low, high)`.

    Raises:
        ValueError: If it is no such pair, not in order, or below `lowest`.
    """
    is_pair = isinstance(bounds, tuple | list) and len(bounds) == 2
    if not (
        is_pair
        and all(type(bound) is int for bound in bounds)
        and lowest <= bounds[0] <= bounds[1]
    ):
        raise ValueError(
            f"`{name}` must be a pair of integers (low, high), at least "
            f"{lowest} and in order. Received: {name}={bounds!r}."
        )
    return bounds[0], bounds[1]


def check_shape(shape: Any, rank: int | None = None) -> tuple[int, ...]:
    """Returns the shape of one example as a tuple.

    Raises:
        ValueError: If it is not made of positive integers, or not of `rank`.
    """
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
    name: str, values: Any, allowed: Sequence[Any] | None = None
) -> tuple[Any, ...]:
    """Returns distinct choices as a tuple.

    Raises:
        ValueError: If it is empty, a string, holds a value twice, or one that
            is not allowed.
    """
    what = "names" if allowed is None else f"{tuple(allowed)}"
    is_list = isinstance(values, tuple | list | range) and len(values) > 0
    if (
        not is_list
        or len(set(values)) != len(values)
        or any(allowed is not None and value not in allowed for value in values)
    ):
        raise ValueError(
            f"`{name}` must be a tuple of distinct {what}, at least one. "
            f"Received: {name}={values!r}."
        )
    return tuple(values)


def check_rates(name: str, rates: Any) -> tuple[float, ...]:
    """Returns rates of dropout as a tuple of floats.

    Raises:
        ValueError: If it is empty, or holds something outside of `[0, 1)`.
    """
    checked = check_choices(name, rates)
    if any(
        isinstance(rate, bool)
        or not isinstance(rate, int | float)
        or not 0 <= rate < 1
        for rate in checked
    ):
        raise ValueError(
            f"`{name}` must hold numbers from 0 to below 1. Received: "
            f"{name}={rates!r}."
        )
    return tuple(float(rate) for rate in checked)
