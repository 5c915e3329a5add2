"""The two data sets in a call of `fit`, and the shapes of their first batch.

Nothing here reads more than one batch, and nothing reads from a generator.
"""

import dataclasses
import inspect
import math
import types
from typing import TypeAlias

import keras
import numpy as np
import tensorflow as tf

from keras_evonas.training.arguments import FitArguments
from keras_evonas.training.arrays import DEFAULT_BATCH_SIZE
from keras_evonas.training.arrays import tensor_of
from keras_evonas.training.frames import is_frame
from keras_evonas.training.values import Values
from keras_evonas.training.values import leaves_of
from keras_evonas.training.values import map_leaves

# Of `x`, `y` and `sample_weight`: structures of tensors or specifications.
Batch: TypeAlias = tuple[Values, Values, Values]


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Part:
    """The training data or the validation data.

    Args:
        name: `"x"` or `"validation_data"`, the argument that holds the data.
        given: The data by the names that messages give them.
        batch_size: Number of examples in a batch of arrays, or `None`.
        steps: Number of steps that are read, or `None`.
        class_weight: The class weights, or `None`.
    """

    name: str
    given: dict[str, Values]
    batch_size: int | None = None
    steps: int | None = None
    class_weight: Values = None

    @property
    def is_validation(self) -> bool:
        """True if these are the validation data."""
        return self.name != "x"

    @property
    def names(self) -> tuple[str, str, str]:
        """The names of `x`, `y` and `sample_weight` in messages."""
        if self.is_validation:
            x, y, weight = (f"validation_data[{place}]" for place in range(3))
            return x, y, weight
        return "x", "y", "sample_weight"

    @property
    def data(self) -> tuple[Values, Values, Values]:
        """The triple of `x`, `y` and `sample_weight`."""
        x, y, weight, *_ = [*self.given.values(), None, None, None]
        return x, y, weight

    @property
    def kind(self) -> str | None:
        """The kind of `x` if it brings its own batches, for messages."""
        return kind_of(self.data[0])

    @property
    def steps_name(self) -> str:
        """The name of the argument that says how many steps are read."""
        return "validation_steps" if self.is_validation else "steps_per_epoch"

    def batch(self) -> Batch | None:
        """Reads the first batch, or returns `None` if that would use it up."""
        x, *_ = self.data
        if isinstance(x, keras.utils.PyDataset):
            batch = map_leaves(tf.convert_to_tensor, _unpacked(x[0]))
        elif isinstance(x, tf.data.Dataset):
            batch = _unpacked(next(iter(x)))
        elif self.kind is None:
            rows = self._rows()
            batch = map_leaves(lambda leaf: _tensor_of(leaf[:rows]), self.data)
        else:
            return None
        return self._weighted(batch)

    def batch_spec(self) -> Batch | None:
        """Returns what the first batch looks like, in `keras.KerasTensor`.

        It is `None` if that is unknown until a data set or a generator is read.
        """
        x, *_ = self.data
        rows = None if self.kind else self._rows()
        if isinstance(x, tf.data.Dataset):
            batch = _unpacked(x.element_spec)
        elif isinstance(x, keras.utils.PyDataset):
            batch = _unpacked(x[0])
        elif self.kind is None:
            batch = self.data
        else:
            return None
        try:
            spec = map_leaves(lambda leaf: _spec_of(leaf, rows), batch)
        except (TypeError, ValueError):
            return None
        return self._weighted(spec)

    def _rows(self) -> int:
        """Returns how many rows Keras cuts out of arrays."""
        leaves = leaves_of(self.data)
        shapes = [getattr(leaf, "shape", None) for leaf in leaves]
        size = next((int(shape[0]) for shape in shapes if shape), 0)
        share = math.ceil(size / self.steps) if self.steps else None
        return min(self.batch_size or share or DEFAULT_BATCH_SIZE, size)

    def _weighted(self, batch: Batch) -> Batch:
        """Gives a batch the weights that Keras makes of those of `fit`."""
        x, y, weight = batch
        if keras.tree.is_nested(y):
            is_shared = weight is not None and not keras.tree.is_nested(weight)
            if is_shared and self.kind is None:
                weight = keras.tree.map_structure(lambda _: weight, y)
            return x, y, weight
        if self.class_weight is None or y is None:
            return batch
        floatx = keras.config.floatx()
        if isinstance(y, keras.KerasTensor):
            weight = keras.KerasTensor(y.shape[:1], floatx)
        else:
            weight = tf.ones(y.shape[:1], floatx)
        return x, y, weight


def parts_of(arguments: FitArguments) -> list[Part]:
    """Returns the training data and, if they are given, the validation data."""
    training = Part(
        name="x",
        given={
            "x": arguments.x,
            "y": arguments.y,
            "sample_weight": arguments.sample_weight,
        },
        batch_size=arguments.batch_size,
        steps=arguments.steps_per_epoch,
        class_weight=arguments.class_weight,
    )
    values = arguments.validation_data
    if values is None:
        return [training]
    if not isinstance(values, tuple | list):
        values = (values,)
    held_out = Part(
        name="validation_data",
        given={f"validation_data[{i}]": each for i, each in enumerate(values)},
        batch_size=arguments.validation_batch_size or arguments.batch_size,
        steps=arguments.validation_steps,
    )
    return [training, held_out]


def kind_of(data: Values) -> str | None:
    """Names the kind of data that come in batches of their own, or `None`."""
    kinds = {
        "a tf.data.Dataset": tf.data.Dataset,
        "a keras.utils.PyDataset": keras.utils.PyDataset,
        "a generator": types.GeneratorType,
    }
    for kind, of in kinds.items():
        if isinstance(data, of):
            return kind
    if inspect.isfunction(data):  # Makes the data in each process.
        return "a function"
    library = type(data).__module__.partition(".")[0]
    if library in ("grain", "torch") and not hasattr(data, "shape"):
        return f"a {type(data).__name__}"
    return None


def _unpacked(batch: Values) -> Batch:
    x, y, weight = keras.utils.unpack_x_y_sample_weight(batch)
    return x, y, weight


def _is_object(leaf: Values) -> bool:
    return isinstance(leaf, np.ndarray) and leaf.dtype == object


def _tensor_of(leaf: Values) -> tf.Tensor:
    # Strings are the only objects that Keras reads.
    if _is_object(leaf):
        return tf.convert_to_tensor(leaf, "string")
    return tensor_of(leaf)


def _spec_of(leaf: Values, rows: int | None) -> keras.KerasTensor:
    """Returns what Keras makes of a leaf, or of some rows of an array.

    Raises:
        TypeError: If its shape is unknown.
        ValueError: If Keras has no such type of numbers.
    """
    shape: Values = getattr(leaf, "shape", None)
    is_ragged = isinstance(leaf, tf.RaggedTensor | tf.RaggedTensorSpec)
    is_unknown = shape is None or getattr(shape, "rank", 0) is None
    if is_ragged or is_unknown or is_frame(leaf):
        raise TypeError(f"{type(leaf).__name__} has no known shape.")
    shape = tuple(shape)
    dtype = "string"
    if not _is_object(leaf):
        dtype = keras.backend.standardize_dtype(leaf.dtype)
    if rows is not None:
        shape = (rows, *shape[1:])
        if keras.backend.is_float_dtype(dtype):
            dtype = keras.config.floatx()
    is_sparse = isinstance(leaf, tf.SparseTensor | tf.SparseTensorSpec)
    is_sparse |= type(leaf).__module__.startswith("scipy.sparse")
    return keras.KerasTensor(shape, dtype, sparse=is_sparse)
