"""Data that the search never saw: checks, measurements and digests."""

import contextlib
import hashlib
import logging
import math
import weakref
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any

import keras
import keras_tuner
import numpy as np

from keras_evonas.oracles import objectives
from keras_evonas.training.values import Values


def metric_of(name: str) -> str:
    """Returns the name that `evaluate` gives to an objective."""
    return name.removeprefix("val_")


def score_of(
    objective: keras_tuner.Objective, results: Mapping[str, float]
) -> float:
    """Returns the objective's value in the results of `evaluate`."""
    names = [name for name, _ in objectives.lead_of(objective)]
    missing = [name for name in names if metric_of(name) not in results]
    if missing:
        raise ValueError(
            "`objective` must be something that `evaluate` measures. "
            f"Received: {metric_of(missing[0])!r}, and it measured "
            f"{sorted(results)}. Compile the model with the metric."
        )
    if len(names) == 1:
        return results[metric_of(names[0])]
    # keras-tuner's list of objectives, which is a sum.
    return float(objective.get_value({n: results[metric_of(n)] for n in names}))


def finite(value: object) -> bool:
    """Returns whether a value is a finite number."""
    return isinstance(value, int | float) and math.isfinite(value)


def measured(
    model: keras.Model, data: object, batch_size: int | None
) -> dict[str, float]:
    """Evaluates a model on a tuple, in batches of that size, or a data set."""
    options: dict[str, Any] = {}
    given: tuple[Any, ...] = (data,)
    if isinstance(data, tuple | list):
        x, y, sample_weight = (*data, None)[:3]
        options = {"sample_weight": sample_weight, "batch_size": batch_size}
        given = (x, y)
    with _no_advice_on_tracing():
        found = model.evaluate(*given, verbose=0, return_dict=True, **options)
    return {name: float(value) for name, value in found.items()}


def examples(data: Values, number: int) -> Values:
    """Returns the first inputs: `number` of a tuple, a batch of others."""
    if isinstance(data, tuple | list):
        return keras.tree.map_structure(lambda leaf: leaf[:number], data[0])
    batch = data[0] if hasattr(data, "__getitem__") else next(iter(data))
    return keras.utils.unpack_x_y_sample_weight(batch)[0]


def digest(text: str, data: object) -> str:
    """Returns a digest of a text and of what is in arrays.

    Data that are no arrays count by the shapes of their examples.
    """
    made = hashlib.blake2b(text.encode(), digest_size=12)
    for leaf in keras.tree.flatten(data):
        _add(made, leaf)
    return made.hexdigest()


def check(unseen: object, x: object, seen: "Seen") -> None:
    """Checks that there are data that nothing was chosen by.

    They are not those of the search or of the training `x`: neither the same
    objects, nor arrays that share their memory.
    """
    way_out = (
        "Hold out a part of the data before the search, for example with "
        "`sklearn.model_selection.train_test_split`, and pass it here as "
        "`validation_data=(x_unseen, y_unseen)`."
    )
    if unseen is None:
        raise ValueError(
            "`validation_data` must be data that the search never saw, "
            "neither to train nor to compare networks. Received: None. "
            f"{way_out}"
        )
    inputs = keras.tree.flatten(unseen)[0]
    known = keras.tree.flatten([x, *seen.leaves()])
    if any(_is_part_of(inputs, one) for one in known if one is not None):
        raise ValueError(
            "`validation_data` must be data that the search never saw. "
            "Received: the very data, or a part of them, that networks were "
            f"trained on or compared by. {way_out}"
        )


def _is_part_of(data: object, other: object) -> bool:
    if data is other:
        return True
    if not isinstance(data, np.ndarray) or not isinstance(other, np.ndarray):
        return False
    try:
        # NumPy's stubs know two values of `max_work` only.
        return np.shares_memory(data, other, max_work=10_000)  # type: ignore[arg-type]
    except np.exceptions.TooHardError:
        return False  # Strides of both are odd, as those of no slice are.


class Seen:
    """The arrays and data sets that a search was given, held weakly."""

    def __init__(self, *data: object) -> None:
        self._references = [
            _reference(leaf)
            for leaf in keras.tree.flatten(data)
            if leaf is not None
            and getattr(type(leaf), "__weakrefoffset__", None)
        ]

    def __getstate__(self) -> dict[str, Any]:
        # In another process there is nothing that could be the same.
        return {"_references": []}

    def leaves(self) -> list[Any]:
        """Those that are still there."""
        return [reference() for reference in self._references]


def _reference(leaf: object) -> Callable[[], object]:
    """Refers to an object weakly, and to a slice as long as its array lives."""
    if not isinstance(leaf, np.ndarray):
        return weakref.ref(leaf)
    base = leaf.base
    if not isinstance(base, np.ndarray) or not base.flags.c_contiguous:
        return weakref.ref(leaf)
    owner, (address, _) = weakref.ref(base), leaf.__array_interface__["data"]
    offset = address - base.__array_interface__["data"][0]
    shape, dtype, strides = leaf.shape, leaf.dtype, leaf.strides

    def again() -> np.ndarray | None:
        array = owner()
        if array is None:
            return None
        return np.ndarray(shape, dtype, array, offset, strides)

    return again


@contextlib.contextmanager
def _no_advice_on_tracing() -> Iterator[None]:
    # TensorFlow 2.21 takes the functions of several models for one function
    # that is traced again and again, and warns.
    logger = logging.getLogger("tensorflow")

    def is_other(record: logging.LogRecord) -> bool:
        return "triggered tf.function retracing" not in record.getMessage()

    logger.addFilter(is_other)
    try:
        yield
    finally:
        logger.removeFilter(is_other)


def _add(digest: hashlib.blake2b, leaf: object) -> None:
    if hasattr(leaf, "numpy") and not hasattr(leaf, "element_spec"):
        leaf = leaf.numpy()
    if isinstance(leaf, np.ndarray) and leaf.dtype.kind != "O":
        digest.update(f"{leaf.shape} {leaf.dtype}".encode())
        digest.update(np.ascontiguousarray(leaf).view(np.uint8).data)
    elif isinstance(leaf, int | float | str | None):
        digest.update(repr(leaf).encode())
    else:
        spec = getattr(leaf, "element_spec", type(leaf).__qualname__)
        digest.update(repr(spec).encode())
