"""Helpers that open conditional scopes, for hypermodels that exist already.

A loop `for i in range(hp.Int("depth", 1, 4))` leaves the hyperparameters of
absent layers in the search: equal networks count as different ones, and
mutations change nothing. Inside of `hp.conditional_scope` they are inactive,
and these helpers open the scopes.

The helpers take functions that make layers, and call a function only if the
network has its layers. The hyperparameters that it asks for get the name of
the helper before their own.
"""

from collections.abc import Callable
from collections.abc import Mapping
from typing import Any
from typing import TypeVar
from typing import cast

import keras
import keras_tuner

from keras_evonas.models import asking
from keras_evonas.models import checks
from keras_evonas.models.shared import Sharing

Made = TypeVar("Made")


def layer_choice(
    hp: keras_tuner.HyperParameters,
    name: str,
    options: Mapping[str, Callable[[], Made]],
    *,
    default: str | None = None,
) -> Made:
    """Asks for one of several options, and builds it.

    Args:
        hp: The hyperparameters to ask.
        name: String, the name of the choice. Hyperparameters of option `o`
            are named `name/o/...`.
        options: Mapping from names to functions without arguments.
        default: String, the default option. Defaults to the first.

    Returns:
        The result of the function of the chosen option; `None` inside of a
        scope that is not active.

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
    if isinstance(hp, Sharing):
        shared: Made = hp.share_options(name, options, default or names[0])
        return shared
    chosen = hp.Choice(name, names, default=default or names[0])
    made: Any = None  # It stays so in a scope that is not active.
    for option, make in options.items():
        # The scopes of other options are opened too, so that keras-tuner
        # enters them when a tuner is made.
        with hp.conditional_scope(name, [option]):
            if option == chosen:
                with hp.name_scope(name), hp.name_scope(option):
                    made = make()
    return cast(Made, made)


def repeated(
    hp: keras_tuner.HyperParameters,
    name: str,
    min_value: int,
    max_value: int,
    make: Callable[[int], Made],
    *,
    default: int | None = None,
) -> list[Made]:
    """Asks for a number of parts, and builds them.

    Args:
        hp: The hyperparameters to ask.
        name: String, the name of the number. Hyperparameters of part `i` are
            named `name/i/...`.
        min_value: Integer of at least 0, the smallest number.
        max_value: Integer, the largest number.
        make: Function of the index, from 0 on.
        default: Integer, the default number. Defaults to `min_value`.

    Returns:
        List of the results of `make`.

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
    bounds = checks.check_bounds(
        "(min_value, max_value)", (min_value, max_value), 0
    )
    default = bounds[0] if default is None else default
    if isinstance(hp, Sharing) and bounds[0] < bounds[1]:
        return hp.share_parts(name, bounds, make, default)
    return asking.repeated(
        hp,
        name,
        bounds,
        make,
        prefix=f"{name}/",
        default=default,
        absent=False,
    )


def block(
    hp: keras_tuner.HyperParameters,
    name: str,
    make: Callable[[], Made],
    *,
    default: bool = True,
) -> Made | keras.layers.Identity:
    """Asks whether the network has a part, and builds it if so.

    Args:
        hp: The hyperparameters to ask.
        name: String, the name of the question. Hyperparameters of the part
            are named `name/...`.
        make: Function without arguments.
        default: Boolean, the default answer. Defaults to `True`.

    Returns:
        The result of `make` or, without the part, a `keras.layers.Identity`.

    Example:

    ```python
    x = block(hp, "dropout", lambda: Dropout(hp.Float("rate", 0.1, 0.5)))(x)
    ```
    """
    if isinstance(hp, Sharing):
        shared: Made = hp.share_block(name, make, default)
        return shared
    present = hp.Boolean(name, default=default)
    with hp.conditional_scope(name, [True]):
        if present:
            with hp.name_scope(name):
                return make()
    return keras.layers.Identity()
