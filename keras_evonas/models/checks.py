"""Checks of the arguments that hypermodels take."""

from collections.abc import Sequence
from typing import Any

import keras
import keras_tuner

WANTED_HYPERMODEL = (
    "must be a `keras_tuner.HyperModel`, or a function that takes "
    "hyperparameters and returns a compiled model."
)


def check_built(name: str, model: object) -> None:
    """Raises a `TypeError` unless a hypermodel returned a model."""
    if not isinstance(model, keras.Model):
        raise TypeError(
            f"`{name}` must return a `keras.Model`. Received: {model!r} of "
            f"type {type(model).__name__}. End the function with "
            "`return model`."
        )


def check_hypermodel(name: str, hypermodel: object) -> None:
    """Raises a `TypeError` unless it is a hypermodel or a function."""
    if isinstance(hypermodel, keras.Model):
        received = f"the model {hypermodel.name!r}. "
        way_out = "Pass `keras_evonas.models.evolvable(model)`."
    elif isinstance(hypermodel, type):
        received = f"the class {hypermodel.__name__}. "
        way_out = f"Pass an instance, `{hypermodel.__name__}()`."
        if not issubclass(hypermodel, keras_tuner.HyperModel):
            way_out = "Pass a function that builds a model."
    elif isinstance(hypermodel, keras_tuner.HyperModel) or callable(hypermodel):
        return
    else:
        received, way_out = f"{name}={hypermodel!r}.", ""
    message = f"`{name}` {WANTED_HYPERMODEL} Received: {received}{way_out}"
    raise TypeError(message)


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


def check_activations(names: Sequence[str]) -> tuple[Any, ...]:
    """Returns distinct names of Keras activations as a tuple."""
    chosen = check_choices("activations", names)
    for name in chosen:
        try:
            keras.activations.get(name)
        except ValueError as error:
            raise ValueError(
                "`activations` must be names of Keras activations, such as "
                f"'relu' or 'gelu'. Received: {name!r}."
            ) from error
    return chosen
