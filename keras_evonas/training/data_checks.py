"""Checks of the training data and the validation data."""

import inspect
import types
import warnings
from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from keras_evonas.fresh_thread import with_fresh_keras
from keras_evonas.training.arrays import in_memory
from keras_evonas.training.frames import is_frame
from keras_evonas.training.parts import Part
from keras_evonas.training.values import Values
from keras_evonas.training.values import leaves_of
from keras_evonas.training.values import map_leaves

_STRINGS = (
    "Encode strings, for example with `keras.layers.StringLookup`; a network "
    'with an input of dtype "string" takes them as `tf.constant(array)`.'
)
# By the kind of an array's type.
_WAYS_OUT = {
    "O": "Rows of unequal length need `keras.utils.pad_sequences`, numbers "
    '`array.astype("float32")`. ' + _STRINGS,
    "US": _STRINGS,
    "mM": 'Turn dates into numbers: `array.astype("int64")`.',
}


def check_part(part: Part) -> None:
    """Checks that Keras can read data, and read them for every network."""
    if part.is_validation and len(part.given) not in (1, 2, 3):
        raise ValueError(
            "`validation_data` must be a pair `(x_val, y_val)`, a triple with "
            "sample weights, or a data set. Received: a tuple of "
            f"{len(part.given)}."
        )
    if all(value is None for value in part.given.values()):
        raise ValueError(
            f"`{part.name}` must be data. Received: {part.given}. Pass arrays, "
            "a tf.data.Dataset or a keras.utils.PyDataset."
        )
    if part.kind is None:
        _check_lengths(part)
        _ask_keras(part)
        return
    _check_alone(part)
    x, *_ = part.data
    if isinstance(x, types.GeneratorType):
        _check_generator(part)
    elif isinstance(x, tf.data.Dataset):
        _check_cardinality(part, int(x.cardinality()), x.element_spec)
        _ask_keras(part)
    elif isinstance(x, keras.utils.PyDataset):
        _check_py_dataset(part, x)


def check_batch(part: Part, batch: Sequence[Values]) -> None:
    """Checks that a batch, or its specification, is a triple at most."""
    if len(batch) not in (1, 2, 3):
        raise ValueError(
            f"`{part.name}` must give `x`, `(x, y)` or `(x, y, sample_weight)` "
            f"in each batch. Received: {part.kind} that gives {len(batch)} "
            "parts. Put several inputs into one tuple or dictionary: "
            "`((x1, x2), y)`."
        )


def _check_lengths(part: Part) -> None:
    """Checks that arrays have examples, equally many of each."""
    if not in_memory(tuple(part.given.values())):
        return
    lengths = {
        name: [len(leaf) for leaf in leaves_of(structure)]
        for name, structure in part.given.items()
        if structure is not None
    }
    several = {length for found in lengths.values() for length in found}
    if len(several) > 1:
        raise ValueError(
            f"`{part.name}` and what belongs to it must have equally many "
            f"examples. Received: {lengths}."
        )
    if several == {0}:
        raise ValueError(
            f"`{part.name}` must have examples. Received: arrays of length 0. "
            "If a filter or a split has left none, loosen it."
        )


def _check_alone(part: Part) -> None:
    """Checks that data sets have their labels and weights in them."""
    for name, value in zip(part.names[1:], part.data[1:], strict=True):
        if value is not None and part.kind != "a function":
            raise ValueError(
                f"`{name}` must be left out if `{part.names[0]}` is "
                f"{part.kind}, which gives `(x, y)` or `(x, y, sample_weight)` "
                f"itself. Received: {name} of type {type(value).__name__}. Put "
                "it into the batches, with `tf.data.Dataset.zip` for example."
            )


def _check_generator(part: Part) -> None:
    if inspect.getgeneratorstate(part.data[0]) == inspect.GEN_CLOSED:
        raise ValueError(
            f"`{part.name}` must have batches to read. Received: a generator "
            "that has ended. Call the function that makes it again."
        )
    if part.steps is None:
        raise ValueError(
            f"`{part.name}` must be data that can be read again for every "
            "network. Received: a generator, which the first network would "
            "read to its end. Pass arrays, a tf.data.Dataset or a "
            f"keras.utils.PyDataset, or `{part.steps_name}` too if it never "
            "ends."
        )


def _check_cardinality(part: Part, batches: int, batch: Values) -> None:
    if batches == 0:
        raise ValueError(
            f"`{part.name}` must have batches to read. Received: {part.kind} "
            "without any. If `batch(..., drop_remainder=True)` has dropped "
            "all examples, make the batches smaller."
        )
    if batches == tf.data.INFINITE_CARDINALITY and part.steps is None:
        raise ValueError(
            f"`{part.steps_name}` must say how many batches to read from "
            f"`{part.name}`. Received: {part.steps_name}=None, and {part.kind} "
            "without end. Pass it, or leave out `.repeat()`."
        )
    has_weights = isinstance(batch, tuple | list) and len(batch) == 3
    if part.class_weight is not None and has_weights:
        raise ValueError(
            "`class_weight` must be left out if the batches have sample "
            f"weights. Received: class_weight, and {part.kind} that gives "
            "triples. Multiply the weights of the examples."
        )


def _check_py_dataset(part: Part, data: keras.utils.PyDataset) -> None:
    try:
        number = data.num_batches
        batch = None if number == 0 else data[0]
    except Exception as error:
        raise ValueError(
            f"`{part.name}` must give batches. Received: a "
            "keras.utils.PyDataset whose `num_batches` or first batch raises "
            f"{type(error).__name__}: {error}."
        ) from error
    if number is None:
        number = tf.data.INFINITE_CARDINALITY
    _check_cardinality(part, number, batch)
    if not isinstance(batch, dict | np.ndarray | list | tuple):
        raise ValueError(
            f"`{part.name}` must give tuples or dictionaries as batches. "
            "Received: a keras.utils.PyDataset whose first batch is of type "
            f"{type(batch).__name__}. Return `(x, y)`."
        )
    if isinstance(batch, tuple | list):
        check_batch(part, batch)


def _ask_keras(part: Part) -> None:
    """Lets Keras look at data, of arrays at the first example."""
    x, y, weight = data = part.data
    if in_memory(data):
        x, y, weight = map_leaves(lambda leaf: leaf[:1], data)

    def read() -> None:
        reader = keras.Model()
        reader.compile(run_eagerly=True)
        reader.fit(
            x,
            y,
            sample_weight=weight,
            class_weight=part.class_weight,
            epochs=0,
            shuffle=False,
            verbose=0,
        )

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with_fresh_keras(read)  # It takes no name from the networks.
    except Exception as error:
        if part.kind is not None:
            raise ValueError(
                f"`{part.name}` must be such that Keras can read it. Received: "
                f"{part.kind}, of which Keras says: {error}"
            ) from error
        kinds = {name: _words_of(value) for name, value in part.given.items()}
        way_out = _way_out(part) or f"Keras says: {error}"
        raise ValueError(
            f"`{part.name}` and what belongs to it must be arrays of numbers "
            "with equally many examples, structures of them, a tf.data.Dataset "
            f"or a keras.utils.PyDataset. Received: {kinds}. {way_out}"
        ) from error


def _words_of(value: Values) -> str:
    name = type(value).__name__
    if is_frame(value):
        dtypes = value.dtypes.unique() if value.ndim == 2 else [value.dtype]
        return f"{name} of {', '.join(map(str, dtypes))}"
    if isinstance(value, np.ndarray):
        return f"{name} of {value.dtype}" + " scalar" * (value.ndim == 0)
    return name


def _way_out(part: Part) -> str | None:
    """Returns how to mend data that Keras does not read, if that is known."""
    leaves = leaves_of(tuple(part.given.values()))
    kinds = {x.dtype.kind for x in leaves if isinstance(x, np.ndarray)}
    _, y, _ = part.data
    if any(isinstance(np.asarray(x).flat[0], str) for x in leaves_of(y)):
        return (
            f"Number the classes of `{part.names[1]}`, for example with "
            "`numpy.unique(labels, return_inverse=True)`."
        )
    if any(is_frame(leaf) for leaf in leaves):
        return (
            "Encode columns of categories and strings, and fill in what is "
            'missing: `frame.astype("float32")` must succeed.'
        )
    for letters, way_out in _WAYS_OUT.items():
        if kinds & set(letters):
            return way_out
    if any(isinstance(leaf, int | float | str) for leaf in leaves):
        return "Turn lists into arrays with `numpy.array`."
    return None
