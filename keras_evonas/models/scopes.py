"""Helpers that write conditional scopes, for hypermodels that exist already.

A loop `for i in range(hp.Int("depth", 1, 4))` leaves the hyperparameters of
absent layers in the search: networks that are the same count as different
ones, and mutations change nothing. Inside `hp.conditional_scope` they are
silent, and these helpers open the scopes.

What they are given are functions that make layers. A function runs only if
what it makes is in the network; what it asks `hp` for gets the helper's name
before its own.
"""

from collections.abc import Callable
from collections.abc import Mapping
from typing import TypeVar

import keras
import keras_tuner

from keras_evonas.models import genes

Made = TypeVar("Made")


def layer_choice(
    hp: keras_tuner.HyperParameters,
    name: str,
    options: Mapping[str, Callable[[], Made]],
    *,
    default: str | None = None,
) -> Made:
    """Asks which of several things is built, and builds it.

    Args:
        hp: The hyperparameters to ask.
        name: String, the name of the choice. What option `o` asks for is
            named `name/o/...`.
        options: Mapping from names to functions without arguments.
        default: String, the option to start from. Defaults to the first.

    Returns:
        What the function of the chosen option returns.

    Raises:
        ValueError: If there is no option, or `default` is none of them.

    Example:

    ```python
    layer = layer_choice(hp, "mixer", {
        "conv": lambda: Conv2D(hp.Choice("filters", [16, 32]), 3),
        "pool": lambda: MaxPooling2D(),
    })
    ```
    """
    if not isinstance(options, Mapping) or not options:
        raise ValueError(
            "`options` must be a dictionary from names to functions, at least "
            f"one. Received: options={options!r}."
        )
    names = list(options)
    if default is not None and default not in options:
        raise ValueError(
            f"`default` must be one of {names}. Received: default={default!r}."
        )
    if len(names) == 1:
        with hp.name_scope(name), hp.name_scope(names[0]):
            return options[names[0]]()
    chosen = hp.Choice(name, names, default=default or names[0])
    made = None
    for option, make in options.items():
        # The scopes of the others are opened too: keras-tuner notes them, and
        # builds each once when a tuner is made.
        with hp.conditional_scope(name, [option]):
            if option == chosen:
                with hp.name_scope(name), hp.name_scope(option):
                    made = make()
    return made


def repeated(
    hp: keras_tuner.HyperParameters,
    name: str,
    min_value: int,
    max_value: int,
    make: Callable[[int], Made],
    *,
    default: int | None = None,
) -> list[Made]:
    """Asks how many there are, and builds them.

    Args:
        hp: The hyperparameters to ask.
        name: String, the name of the number. What number `i` asks for is
            named `name/i/...`.
        min_value: Integer of at least 0, the smallest number.
        max_value: Integer, the largest number.
        make: Function of the index, from 0 on.
        default: Integer, the number to start from. Defaults to `min_value`.

    Returns:
        List of what `make` returned.

    Raises:
        ValueError: If the numbers are out of order.

    Example:

    ```python
    for layer in repeated(
        hp, "hidden", 1, 4, lambda i: Dense(hp.Choice("units", [16, 64]))
    ):
        x = layer(x)
    ```
    """
    low, high = genes.check_bounds(
        "(min_value, max_value)", (min_value, max_value), 0
    )

    def build(index: int) -> Made:
        with hp.name_scope(name), hp.name_scope(str(index)):
            return make(index)

    start = low if default is None else default
    count = genes.choice(hp, name, range(low, high + 1), near=start)
    made = [build(index) for index in range(min(low, count or 0))]
    for index in range(low, high):
        with hp.conditional_scope(name, list(range(index + 1, high + 1))):
            if count is not None and index < count:
                made.append(build(index))
    return made


def block(
    hp: keras_tuner.HyperParameters,
    name: str,
    make: Callable[[], Made],
    *,
    default: bool = True,
) -> Made | keras.layers.Identity:
    """Asks whether something is there, and builds it if so.

    Args:
        hp: The hyperparameters to ask.
        name: String, the name of the question. What the block asks for is
            named `name/...`.
        make: Function without arguments.
        default: Boolean, the answer to start from. Defaults to `True`.

    Returns:
        What `make` returns, or a `keras.layers.Identity`, so that the result
        can be called in either case.

    Example:

    ```python
    x = block(hp, "dropout", lambda: Dropout(hp.Float("rate", 0.1, 0.5)))(x)
    ```
    """
    there = hp.Boolean(name, default=default)
    with hp.conditional_scope(name, [True]):
        if there:
            with hp.name_scope(name):
                return make()
    return keras.layers.Identity()
