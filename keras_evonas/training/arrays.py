"""Data sets that lie in memory, and the order in which Keras reads them.

Batches of such data are cut out inside the graph, so that an epoch is one
call. The values, shapes and orders are those that `keras.Model.fit` (3.10 to
3.15) would feed; all other data goes through `fit` itself.
"""

import dataclasses
import math
import threading
from collections.abc import Hashable
from collections.abc import Iterable

import keras
import numpy as np
import tensorflow as tf

from keras_evonas.training.arguments import FitArguments
from keras_evonas.training.values import Values
from keras_evonas.training.values import leaves_of
from keras_evonas.training.values import map_leaves

DEFAULT_BATCH_SIZE = 32


@dataclasses.dataclass(frozen=True, eq=False)
class Arrays:
    """Examples in memory.

    Args:
        tensors: Structure of tensors as a train step takes it: `x`, `(x, y)` or
            `(x, y, sample_weight)`.
        size: Number of examples.
        batch_size: Number of examples in a batch, but for a smaller last one.
        shuffle: Boolean, whether each epoch has its own order.
    """

    tensors: Values
    size: int
    batch_size: int
    shuffle: bool = False

    @property
    def steps(self) -> int:
        """Number of batches in an epoch."""
        return math.ceil(self.size / self.batch_size)

    @property
    def static_batch_size(self) -> int | None:
        """The batch size, if all batches have the same."""
        return None if self.size % self.batch_size else self.batch_size

    @property
    def leaves(self) -> list[tf.Tensor]:
        """The tensors, without the structure that they are in."""
        return leaves_of(self.tensors)

    @property
    def form(self) -> tuple[Hashable, ...]:
        """All but the values: equal for data that the same program can take."""
        leaves = iter(range(len(self.leaves)))
        return (
            self.size,
            self.batch_size,
            str(map_leaves(lambda _: next(leaves), self.tensors)),
            *((tuple(leaf.shape), leaf.dtype.name) for leaf in self.leaves),
        )

    def with_leaves(self, leaves: Iterable[tf.Tensor]) -> "Arrays":
        """Returns data of the same structure with other tensors in it."""
        others = iter(leaves)
        tensors = map_leaves(lambda _: next(others), self.tensors)
        return dataclasses.replace(self, tensors=tensors)

    def gather(self, indices: tf.Tensor) -> Values:
        """The examples at some indices."""
        return map_leaves(
            lambda tensor: tf.gather(tensor, indices), self.tensors
        )

    def cut(self, step: tf.Tensor | int) -> Values:
        """The batch of a step, in the order of the data."""
        start = step * self.batch_size
        return map_leaves(
            lambda tensor: tensor[start : start + self.batch_size], self.tensors
        )


class Orders:
    """The order of the examples in each epoch, drawn as Keras draws it.

    After `keras.utils.set_random_seed(seed)`, `fit` shuffles with TensorFlow
    operations whose results depend on the seed alone, whatever the model.
    """

    def __init__(self, seed: int, size: int, *, shuffle: bool) -> None:
        self._lock = threading.Lock()
        self._drawn: list[tf.Tensor] = []

        def draw(_: tf.Tensor) -> tf.Tensor:
            indices = tf.range(size, dtype=tf.int64)
            return tf.random.shuffle(indices) if shuffle else indices

        # The seed is taken when the function is traced, in this line.
        tf.random.set_seed(seed)
        self._epochs = tf.data.Dataset.range(1).map(draw).prefetch(1)

    def of_epoch(self, number: int) -> tf.Tensor:
        """The order of an epoch of the training, counted from 0."""
        with self._lock:
            while len(self._drawn) <= number:
                order = next(iter(self._epochs))
                # TensorFlow (2.21) draws the same order in every epoch after
                # a global seed was set; it is kept once.
                same = self._drawn and np.array_equal(
                    order.numpy(), self._drawn[-1].numpy()
                )
                self._drawn.append(self._drawn[-1] if same else order)
            return self._drawn[number]


def arrays_of(arguments: FitArguments) -> tuple[Arrays, Arrays | None] | None:
    """Takes training and validation data (or `None`) into memory.

    It returns `None` if they must go through `fit`, since they are no plain
    arrays or are not read batch by batch to their end.
    """
    if (
        arguments.steps_per_epoch is not None
        or arguments.validation_steps is not None
        or not isinstance(arguments.shuffle, bool)
    ):
        return None
    data = (arguments.x, arguments.y, arguments.sample_weight)
    if not in_memory(data) or arguments.x is None:
        return None
    validation = arguments.validation_data
    if validation is None and arguments.validation_split:
        data, validation = _split(data, arguments.validation_split)
    elif validation is not None:
        # Only pairs and triples: anything else is for Keras to understand.
        is_tuple = isinstance(validation, tuple | list)
        if not (
            is_tuple and in_memory(validation) and len(validation) in (2, 3)
        ):
            return None
        validation = (*validation, None)[:3]
    if arguments.class_weight is not None:
        if data[2] is not None or keras.tree.is_nested(data[1]):
            return None  # Keras has the error message.
        weights = _weights_of_classes(data[1], arguments.class_weight)
        data = (data[0], data[1], weights)
    batch_size = arguments.batch_size or DEFAULT_BATCH_SIZE
    training = _packed(data, batch_size, shuffle=arguments.shuffle)
    held_out = None
    if validation is not None:
        batch_size = arguments.validation_batch_size or batch_size
        held_out = _packed(validation, batch_size, shuffle=False)
    is_whole = (held_out is None) == (validation is None)
    return (training, held_out) if training and is_whole else None


def in_memory(structure: Values) -> bool:
    """Returns whether a structure is made of arrays of numbers, or empty."""

    def is_array(leaf: Values) -> bool:
        if isinstance(leaf, np.ndarray):
            return leaf.ndim > 0 and leaf.dtype.kind in "fiub"
        is_tensor = isinstance(leaf, tf.Tensor) and hasattr(leaf, "numpy")
        return is_tensor and leaf.shape.rank != 0

    return all(map(is_array, leaves_of(structure)))


def _packed(data: Values, batch_size: int, *, shuffle: bool) -> Arrays | None:
    x, y, sample_weight = data
    if sample_weight is not None and keras.tree.is_nested(y):
        if keras.tree.is_nested(sample_weight):
            return None
        sample_weight = keras.tree.map_structure(lambda _: sample_weight, y)
    packed = keras.utils.pack_x_y_sample_weight(x, y, sample_weight)
    sizes = {leaf.shape[0] for leaf in keras.tree.flatten(packed)}
    if len(sizes) != 1 or 0 in sizes:
        return None
    tensors = _tuples(keras.tree.map_structure(tensor_of, packed))
    return Arrays(tensors, sizes.pop(), batch_size, shuffle)


def _split(data: Values, share: float) -> tuple[Values, Values]:
    size = leaves_of(data)[0].shape[0]
    at = math.floor(size * (1.0 - share))
    return (
        map_leaves(lambda leaf: leaf[:at], data),
        map_leaves(lambda leaf: leaf[at:], data),
    )


def _weights_of_classes(y: Values, class_weight: Values) -> np.ndarray:
    classes = np.asarray(y)
    if classes.ndim > 1:
        last = classes.shape[-1]
        classes = classes[..., 0] if last == 1 else classes.argmax(axis=-1)
    found, places = np.unique(
        np.round(classes).astype("int32"), return_inverse=True
    )
    weights = [class_weight.get(int(name), 1.0) for name in found]
    return np.asarray(weights, keras.config.floatx())[places.reshape(-1)]


def tensor_of(leaf: Values) -> tf.Tensor:
    """Converts an array as Keras does before it cuts batches out of it."""
    floatx = keras.config.floatx()
    dtype = keras.backend.standardize_dtype(leaf.dtype)
    if keras.backend.is_float_dtype(dtype) and dtype != floatx:
        is_array = isinstance(leaf, np.ndarray)
        leaf = leaf.astype(floatx) if is_array else tf.cast(leaf, floatx)
    return tf.convert_to_tensor(leaf)


def _tuples(structure: Values) -> Values:
    """Turns lists into tuples, as a data set would."""
    if isinstance(structure, list | tuple):
        return tuple(_tuples(part) for part in structure)
    if isinstance(structure, dict):
        return {key: _tuples(structure[key]) for key in structure}
    return structure
