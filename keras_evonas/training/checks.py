"""Errors that every network would have, raised before any is trained."""

import math
import types
from typing import Any

import keras
import tensorflow as tf

from keras_evonas.training.arguments import FitArguments
from keras_evonas.training.arrays import in_memory
from keras_evonas.training.threads import as_if_first


def check_fit(arguments: FitArguments) -> None:
    """Checks the arguments of `fit` that all networks share.

    Args:
        arguments: The arguments of `fit`.

    Raises:
        ValueError: If there is no epoch to train; if the data can be read only
            once, are of no kind that Keras reads, or differ in length.
    """
    epochs, first = arguments.epochs, arguments.initial_epoch
    if not epochs > first:
        raise ValueError(
            "`epochs` must be greater than `initial_epoch`, or nothing is "
            f"trained. Received: epochs={epochs}, initial_epoch={first}."
        )
    _check_split(arguments)
    names = ("x", "y", "sample_weight")
    training = {name: getattr(arguments, name) for name in names}
    _check_data("x", training, steps="steps_per_epoch", arguments=arguments)
    held_out = arguments.validation_data
    if not isinstance(held_out, tuple | list):
        held_out = (held_out,)
    validation = {
        f"validation_data[{i}]": part for i, part in enumerate(held_out)
    }
    _check_data(
        "validation_data",
        validation,
        steps="validation_steps",
        arguments=arguments,
    )


def _check_split(arguments: FitArguments) -> None:
    """Checks that something is left on both sides of the split."""
    split, leaves = arguments.validation_split, keras.tree.flatten(arguments.x)
    if not split or arguments.validation_data is not None:
        return
    if not in_memory(arguments.x) or arguments.x is None:
        return
    size = len(leaves[0])
    if not 0 < split < 1 or math.floor(size * (1 - split)) in (0, size):
        raise ValueError(
            "`validation_split` must leave examples to train on and to "
            f"validate. Received: validation_split={split} of {size} examples."
        )


def _check_data(
    name: str, parts: dict[str, Any], *, steps: str, arguments: FitArguments
) -> None:
    data = next(iter(parts.values()), None)
    if data is None or callable(data):
        return  # A function makes the data in each process.
    if isinstance(data, tf.data.Dataset | keras.utils.PyDataset):
        return
    if isinstance(data, types.GeneratorType):
        if getattr(arguments, steps) is None:
            raise ValueError(
                f"`{name}` must be data that can be read again for every "
                "network. Received: a generator, which the first network "
                "would read to its end. Pass arrays, a tf.data.Dataset or a "
                f"keras.utils.PyDataset, or `{steps}` too if it never ends."
            )
    elif in_memory(tuple(parts.values())):
        _check_lengths(name, parts)
    else:
        _check_kind(name, parts)


def _check_lengths(name: str, parts: dict[str, Any]) -> None:
    lengths = {
        part: [len(leaf) for leaf in keras.tree.flatten(structure)]
        for part, structure in parts.items()
        if structure is not None
    }
    if len({length for several in lengths.values() for length in several}) > 1:
        raise ValueError(
            f"`{name}` and what belongs to it must have equally many examples. "
            f"Received: {lengths}."
        )


def _check_kind(name: str, parts: dict[str, Any]) -> None:
    """Lets Keras look at data that are neither streams nor plain arrays."""
    x, y, sample_weight, *_ = [*parts.values(), None, None]

    def read() -> None:
        reader = keras.Model()
        reader.compile(run_eagerly=True)
        reader.fit(x, y, sample_weight=sample_weight, epochs=0, verbose=0)

    try:
        as_if_first(read)  # It takes no name from the networks.
    except ValueError as error:
        # Others are about the reader, which has no layers.
        if not str(error).startswith(("Unrecognized data", "Data cardinality")):
            return
        kinds = {part: type(value).__name__ for part, value in parts.items()}
        raise ValueError(
            f"`{name}` and what belongs to it must be arrays of numbers with "
            "equally many examples, structures of them, a tf.data.Dataset or "
            f"a keras.utils.PyDataset. Received: {kinds}."
        ) from error
