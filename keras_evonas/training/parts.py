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
        """Reads the first batch.

        Returns:
            Triple of `x`, `y` and `sample_weight`, each a structure of
            tensors or `None`; or `None` if it cannot be read again.
        """
        x, *_ = self.data
        if isinstance(x, keras.utils.PyDataset):
            batch = _map(tf.convert_to_tensor, _unpacked(x[0]))
        elif isinstance(x, tf.data.Dataset):
            batch = _unpacked(next(iter(x)))
        elif self.kind is None:
            rows = self._rows()
            batch = _map(lambda leaf: _tensor_of(leaf[:rows]), self.data)
        else:
            return None
        return self._weighted(batch)

    def batch_spec(self) -> Batch | None:
        """Returns what the first batch looks like.

        Returns:
            Triple of `x`, `y` and `sample_weight`, each a structure of
            `keras.KerasTensor` or `None`. Or `None` if that is unknown until
            a data set or a generator is read.
        """
        x, *_ = self.data
        if isinstance(x, tf.data.Dataset):
            batch = _unpacked(x.element_spec)
        elif isinstance(x, keras.utils.PyDataset):
            batch = _unpacked(x[0])
        elif self.kind is None:
            batch = self.data
        else:
            return None
        rows = None if self.kind else self._rows()
        try:
            spec = _map(lambda leaf: _spec_of(leaf, rows), batch)
        except (TypeError, ValueError):
            return None
        return self._weighted(spec)

    def _rows(self) -> int:
        leaves = keras.tree.flatten(self.data)
        shapes = [getattr(leaf, "shape", None) for leaf in leaves]
        size = next((int(shape[0]) for shape in shapes if shape), 0)
        default = DEFAULT_BATCH_SIZE
        if self.steps:
            default = math.ceil(size / self.steps)
        return min(self.batch_size or default, size)

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
    """Returns the training data and, if there are any, the validation data.

    Validation data that `validation_split` cuts off are not listed.

    Args:
        arguments: The arguments of `fit`.
    """
    names = ("x", "y", "sample_weight")
    parts = [
        Part(
            name="x",
            given={name: getattr(arguments, name) for name in names},
            batch_size=arguments.batch_size,
            steps=arguments.steps_per_epoch,
            class_weight=arguments.class_weight,
        )
    ]
    held_out = arguments.validation_data
    if held_out is not None:
        if not isinstance(held_out, tuple | list):
            held_out = (held_out,)
        parts.append(
            Part(
                name="validation_data",
                given={
                    f"validation_data[{place}]": value
                    for place, value in enumerate(held_out)
                },
                batch_size=arguments.validation_batch_size
                or arguments.batch_size,
                steps=arguments.validation_steps,
            )
        )
    return parts


def kind_of(data: Values) -> str | None:
    """Names the kind of data that come in batches of their own.

    Returns:
        A noun with its article, or `None` for arrays and all else.
    """
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


def _map(function: Values, structure: Values) -> Values:
    return keras.tree.map_structure(
        lambda leaf: None if leaf is None else function(leaf), structure
    )


def _is_object(leaf: Values) -> bool:
    return isinstance(leaf, np.ndarray) and leaf.dtype == object


def _tensor_of(leaf: Values) -> tf.Tensor:
    # Strings are the only objects that Keras reads.
    if _is_object(leaf):
        return tf.convert_to_tensor(leaf, "string")
    return tensor_of(leaf)


def _spec_of(leaf: Values, rows: int | None) -> keras.KerasTensor:
    """Returns what Keras makes of an array, a tensor or its specification.

    Args:
        leaf: The array, tensor or specification.
        rows: Integer, how many rows a batch has that Keras cuts out of it, or
            `None` if it is a batch.

    Raises:
        TypeError: If that is unknown.
        ValueError: If Keras has no such type of numbers.
    """
    if isinstance(leaf, tf.RaggedTensor | tf.RaggedTensorSpec) or is_frame(
        leaf
    ):
        raise TypeError(f"The shape of {type(leaf).__name__} varies.")
    shape = getattr(leaf, "shape", None)
    if shape is None or getattr(shape, "rank", 0) is None:
        raise TypeError(f"{type(leaf).__name__} has no known shape.")
    shape = tuple(shape)
    if rows is not None:
        shape = (rows, *shape[1:])
    dtype = "string"
    if not _is_object(leaf):
        dtype = keras.backend.standardize_dtype(leaf.dtype)
    if rows is not None and keras.backend.is_float_dtype(dtype):
        dtype = keras.config.floatx()
    is_sparse = isinstance(leaf, tf.SparseTensor | tf.SparseTensorSpec)
    is_sparse |= type(leaf).__module__.startswith("scipy.sparse")
    return keras.KerasTensor(shape, dtype, sparse=is_sparse)
