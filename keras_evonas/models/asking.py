"""Hyperparameters as the hypermodels of this package ask for them."""

import contextlib
from collections.abc import Callable
from collections.abc import Sequence
from typing import TypeVar

import keras_tuner

Asked = TypeVar("Asked")
Value = TypeVar("Value", int, float, str)


def choice(
    hp: keras_tuner.HyperParameters,
    name: str,
    values: Sequence[Value],
    *,
    near: float | None = None,
) -> Value:
    """Asks for one of some values, unless there is only one.

    Args:
        hp: The hyperparameters to ask.
        name: String, the name of the hyperparameter.
        values: Numbers in increasing order, or strings.
        near: Number. The value next to it is the default; with `None` the
            first one is. Defaults to `None`.

    Returns:
        The value; `None` inside of a scope that is not active, where only
        the question counts.
    """
    if len(values) == 1:
        return values[0]
    default = values[0]
    if near is not None:
        default = min(values, key=lambda value: abs(float(value) - near))
    chosen: Value = hp.Choice(name, list(values), default=default)
    return chosen


def repeated(
    hp: keras_tuner.HyperParameters,
    name: str,
    bounds: tuple[int, int],
    ask: Callable[[int], Asked],
    *,
    prefix: str,
    default: int,
    absent: bool = True,
) -> list[Asked]:
    """Asks for a number of parts, and for the hyperparameters of each.

    Args:
        hp: The hyperparameters to ask.
        name: String, the name of the number.
        bounds: Pair of integers, the smallest and the largest number.
        ask: Function that asks for the hyperparameters of part `i`.
        prefix: String. Those of part `i` are named `prefix` and `i`, `/...`.
        default: Integer, the default number, if within the bounds.
        absent: Boolean, whether `ask` is called for absent parts too, where
            every answer is `None`: so their hyperparameters are in the search
            space from the first build on, but not active. Defaults to `True`.

    Returns:
        List of the results of `ask` for the parts that are present.
    """
    low, high = bounds
    count = choice(hp, name, range(low, high + 1), near=default) or 0
    asked = []
    for index in range(high):
        with contextlib.ExitStack() as scopes:
            if index >= low:
                numbers = list(range(index + 1, high + 1))
                scopes.enter_context(hp.conditional_scope(name, numbers))
            scopes.enter_context(hp.name_scope(f"{prefix}{index}"))
            if absent or index < count:
                asked.append(ask(index))
    return asked[:count]
