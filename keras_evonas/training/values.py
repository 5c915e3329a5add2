"""The data that `keras.Model.fit` takes, and their leaves."""

from collections.abc import Callable
from collections.abc import Mapping
from typing import Any
from typing import TypeAlias

import keras

# Data in any form that Keras reads: arrays, tensors, frames, nested structures
# of them, data sets and generators. Keras decides by what they can do.
Values: TypeAlias = Any


def map_leaves(function: Callable[..., Values], structure: Values) -> Values:
    """Applies a function to the leaves of a structure that are not `None`."""
    return keras.tree.map_structure(
        lambda leaf: None if leaf is None else function(leaf), structure
    )


def leaves_of(structure: Values) -> list[Values]:
    """Returns the leaves of a structure that are not `None`."""
    return [x for x in keras.tree.flatten(structure) if x is not None]


def flat(logs: Mapping[str, object]) -> dict[str, object]:
    """Returns logs with the entries of dictionaries among the others."""
    found: dict[str, object] = {}
    for name, value in logs.items():
        found |= flat(value) if isinstance(value, Mapping) else {name: value}
    return found
