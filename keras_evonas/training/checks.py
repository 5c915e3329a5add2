"""Checks of the arguments of `fit` that all networks of a search share.

A call that fails for one network fails for all of them alike, so it is refused
before any is trained. What Keras ignores is warned of; the rest is accepted.
"""

import inspect
import math
import numbers
import operator
import warnings
from collections.abc import Mapping

import keras
import numpy as np

from keras_evonas.training.arguments import FitArguments
from keras_evonas.training.data_checks import check_part
from keras_evonas.training.parts import Part
from keras_evonas.training.parts import parts_of
from keras_evonas.training.values import Values
from keras_evonas.training.values import leaves_of


def check_fit(arguments: FitArguments) -> None:
    """Checks the arguments of `fit` that all networks share.

    It reads one batch of a `PyDataset`, and nothing of other data sets and
    generators.

    Raises:
        ValueError: If no network could be trained with them, with the way out.
    """
    parts = parts_of(arguments)
    _check_numbers(arguments)
    _check_order(arguments)
    _check_callbacks(arguments.callbacks)
    _check_schedule(arguments)
    _check_split(arguments, parts[0])
    _check_class_weight(parts[0])
    for part in parts:
        check_part(part)
    _warn_of_ignored(arguments, parts[0])
    _warn_of_missing("x", arguments.x)
    _warn_of_missing("y", arguments.y)


def check_own(arguments: FitArguments) -> None:
    """Checks epochs, steps and sizes of batches that are a network's own.

    Raises:
        ValueError: If it could not be trained with them.
    """
    _check_numbers(arguments)
    if "epochs" in arguments.named:  # A `fit` of its own has another default.
        _check_order(arguments)


def _check_numbers(arguments: FitArguments) -> None:
    parts = parts_of(arguments)
    validates = len(parts) > 1 or bool(arguments.validation_split)
    all_examples = "Leave it out to read all examples."
    by_default = "Leave it out for batches of 32."
    # Data sets come in batches, and Keras ignores what is said about them.
    for name, counts, least, way_out in (
        ("epochs", True, None, "Pass an `int`."),
        ("initial_epoch", True, None, "Pass an `int`."),
        ("steps_per_epoch", True, 1, all_examples),
        ("validation_steps", validates, 1, all_examples),
        ("batch_size", parts[0].kind is None, 1, by_default),
        # Keras reads 0 as `None` here: the validation takes `batch_size`.
        (
            "validation_batch_size",
            validates and parts[-1].kind is None,
            0,
            by_default,
        ),
    ):
        value = getattr(arguments, name)
        if counts and not _is_integer(value, least):
            kind = {None: "an", 0: "a non-negative", 1: "a positive"}[least]
            raise ValueError(
                f"`{name}` must be {kind} integer. Received: {name}={value!r} "
                f"of type {type(value).__name__}. {way_out}"
            )


def _check_order(arguments: FitArguments) -> None:
    epochs, first = arguments.epochs, arguments.initial_epoch
    if not epochs > first:
        raise ValueError(
            "`epochs` must be greater than `initial_epoch`, or nothing is "
            f"trained. Received: epochs={epochs}, initial_epoch={first}."
        )


def _is_integer(value: Values, least: int | None) -> bool:
    """Returns whether it is one; `None` is allowed beside a least value."""
    if value is None:
        return least is not None
    try:
        number = operator.index(value)
    except TypeError:
        return False
    return least is None or number >= least


def _check_callbacks(callbacks: Values) -> None:
    if isinstance(callbacks, keras.callbacks.CallbackList):
        return
    for callback in keras.tree.flatten(callbacks or []):
        if inspect.isclass(callback):
            received = f"the class {callback.__name__}"
            way_out = f"Pass an instance: `{callback.__name__}(...)`."
        elif not hasattr(callback, "set_model"):
            received = f"{callback!r} of type {type(callback).__name__}"
            way_out = (
                "Pass for example `keras.callbacks.EarlyStopping()`, and a "
                "function as `keras.callbacks.LambdaCallback(...)`."
            )
        else:
            continue
        raise ValueError(
            "`callbacks` must be instances of `keras.callbacks.Callback`. "
            f"Received: {received}. {way_out}"
        )


def _check_schedule(arguments: FitArguments) -> None:
    """Checks when there is a validation, and the order of the examples."""
    if isinstance(arguments.shuffle, str) and arguments.shuffle != "batch":
        raise ValueError(
            "`shuffle` must be a boolean. Received: "
            f"shuffle={arguments.shuffle!r}, which Keras would take for "
            "`True`. Pass `True` or `False`."
        )
    if arguments.validation_data is None and not arguments.validation_split:
        return
    frequency = arguments.validation_freq
    is_number = isinstance(frequency, int) and frequency > 0
    if not is_number and not isinstance(frequency, list):
        raise ValueError(
            "`validation_freq` must be a positive `int`, the number of epochs "
            "from one validation to the next, or a `list` of epochs counted "
            f"from 1. Received: validation_freq={frequency!r} of type "
            f"{type(frequency).__name__}. Convert other types with `int(...)` "
            "or `list(...)`."
        )


def _check_split(arguments: FitArguments, training: Part) -> None:
    """Checks that something is left on both sides of the split."""
    split = arguments.validation_split
    if not split or arguments.validation_data is not None:
        return
    if training.kind not in (None, "a function"):
        raise ValueError(
            "`validation_split` must be left out unless `x` is made of "
            f"arrays. Received: validation_split={split!r}, and `x` is "
            f"{training.kind}. Pass a part of it as `validation_data`, such as "
            "`x.skip(n)` and `x.take(n)` of a tf.data.Dataset."
        )
    if not isinstance(split, numbers.Real):
        raise ValueError(
            "`validation_split` must be a number between 0 and 1. Received: "
            f"validation_split={split!r} of type {type(split).__name__}."
        )
    shapes = [getattr(leaf, "shape", None) for leaf in leaves_of(arguments.x)]
    size = next((int(shape[0]) for shape in shapes if shape), None)
    if size is None:
        return
    if not 0 < split < 1 or math.floor(size * (1 - split)) in (0, size):
        raise ValueError(
            "`validation_split` must leave examples to train on and to "
            f"validate. Received: validation_split={split} of {size} examples."
        )


def _check_class_weight(training: Part) -> None:
    """Checks that class weights are numbers, for the labels of one output."""
    weights, kind = training.class_weight, training.kind
    if weights is None:
        return
    if not isinstance(weights, Mapping):
        raise ValueError(
            "`class_weight` must be a dictionary from the number of a class to "
            f"its weight. Received: {type(weights).__name__}. Pass "
            "`dict(enumerate(class_weight))` if it lists the weights of the "
            "classes 0, 1, 2 and so on."
        )
    # `1.0` is equal to 1 as a key, but is no index for a data set.
    integer = numbers.Real if kind is None else numbers.Integral
    bad = {
        name: weight
        for name, weight in weights.items()
        if not (isinstance(name, integer) and float(name).is_integer())
        or not (isinstance(weight, numbers.Real) and float(weight) >= 0)
    }
    if bad or (kind is not None and not weights):
        raise ValueError(
            "`class_weight` must map classes, which are integers, to weights, "
            f"which are numbers of 0 or more. Received: {bad or weights}. "
            "Number the classes from 0, as in `{0: 1.0, 1: 2.5}`."
        )
    _, y, sample_weight = training.data
    reason = None
    if sample_weight is not None:
        reason = "`sample_weight` too. Multiply the weights of the examples"
    elif kind == "a generator":
        reason = "a generator as `x`. Let it return the weights of the examples"
    elif kind is None and y is None:
        reason = "no `y`. Pass labels"
    elif kind is None and keras.tree.is_nested(y):
        reason = "several outputs in `y`. Pass one `sample_weight` for each"
    if reason is not None:
        raise ValueError(
            "`class_weight` must come with the labels of one output, and "
            f"without other weights. Received: class_weight and {reason}, or "
            "leave `class_weight` out."
        )


def _warn_of_ignored(arguments: FitArguments, training: Part) -> None:
    ignored = []
    has_batches = training.kind not in (None, "a function")
    if has_batches and arguments.batch_size is not None:
        ignored.append(
            f"batch_size={arguments.batch_size}, since `x` is "
            f"{training.kind} and comes in batches of its own"
        )
    if arguments.validation_data is None and not arguments.validation_split:
        ignored += [
            f"{name}={value}, since there are no validation data"
            for name in ("validation_steps", "validation_batch_size")
            if (value := getattr(arguments, name)) is not None
        ]
    for one in ignored:
        warnings.warn(f"Keras ignores {one}. Leave it out.", stacklevel=3)


def _warn_of_missing(name: str, values: Values) -> None:
    for leaf in keras.tree.flatten(values):
        is_float = isinstance(leaf, np.ndarray) and leaf.dtype.kind == "f"
        if not is_float or not leaf.size:
            continue
        # Both are NaN if any value is, and take no memory.
        if not np.isfinite([leaf.min(), leaf.max()]).all():
            missing = int((~np.isfinite(leaf)).sum())
            warnings.warn(
                f"`{name}` must hold finite numbers. Received: NaN or infinity "
                f"in {missing} of {leaf.size} places. Most losses are NaN once "
                "they meet one, and networks learn nothing. "
                f"{_WITHOUT_MISSING[name]}.",
                stacklevel=3,
            )


_WITHOUT_MISSING = {
    "x": "Fill them in, or drop those examples",
    "y": "Drop those examples, or mask them in the loss",
}
