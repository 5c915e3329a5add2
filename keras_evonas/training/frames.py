"""Frames of numbers as NumPy arrays, with the values that Keras would feed.

Keras cuts every batch out of a pandas object anew, and `fit` reads it through
Python. An array with the same values is converted once for all networks.
"""

import operator
import sys

import keras
import numpy as np

from keras_evonas.training.values import Values

# Keras (3.15) has adapters of its own for what these libraries make.
_WITH_ADAPTERS = ("jax", "jaxlib", "keras", "numpy", "tensorflow", "torch")


def as_arrays(data: Values) -> Values:
    """Turns frames, series and columns of numbers into NumPy arrays.

    A pandas Series becomes an array of shape `(n, 1)`, as in Keras. What has
    columns of strings, categories, dates or missing integers stays as it is,
    and so does a frame that Keras (3.15) feeds in another float type than
    `keras.config.floatx()`, which an array would not keep.
    """
    leaves = keras.tree.flatten(data)
    arrays = [_array_of(leaf) for leaf in leaves]
    if all(map(operator.is_, arrays, leaves)):
        return data
    return keras.tree.pack_sequence_as(data, arrays)


def is_frame(leaf: object) -> bool:
    """Returns whether it is a DataFrame or a Series of pandas."""
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(
        leaf, pandas.DataFrame | pandas.Series
    )


def _array_of(leaf: Values) -> Values:
    if is_frame(leaf):
        array = _frame_values(leaf) if leaf.ndim == 2 else _series_values(leaf)
        return leaf if array is None else array
    library = type(leaf).__module__.partition(".")[0]
    if library in _WITH_ADAPTERS or not hasattr(leaf, "__array__"):
        return leaf
    # For the rest, such as polars and h5py, Keras does the same.
    try:
        array = np.asarray(leaf)
    except Exception:
        return leaf  # Keras has the message.
    return array if array.ndim and array.dtype.kind in "fiub" else leaf


def _series_values(series: Values) -> np.ndarray | None:
    dtype = _numpy_dtype(series)
    if dtype is None:
        return None
    return np.expand_dims(series.to_numpy(dtype=dtype), axis=-1)


def _frame_values(frame: Values) -> np.ndarray | None:
    columns = [frame.iloc[:, place] for place in range(frame.shape[1])]
    dtypes = [_numpy_dtype(column) for column in columns]
    known = [dtype for dtype in dtypes if dtype is not None]
    if not dtypes or len(known) < len(dtypes):
        return None
    floatx = np.dtype(keras.config.floatx())
    if any(dtype.kind == "f" and dtype != floatx for dtype in known):
        # Keras casts all columns, each straight from its own type.
        return np.asarray(frame.astype(floatx).to_numpy())
    if len({dtype.kind == "b" for dtype in known}) > 1:
        return None  # Booleans beside numbers are objects in pandas.
    common = np.result_type(*known)
    if common.kind == "f" and common != floatx:
        return None
    return np.asarray(frame.to_numpy(dtype=common))


def _numpy_dtype(column: Values) -> np.dtype | None:
    """Returns the type of a column of numbers that lacks none, or `None`."""
    dtype = column.dtype
    if not isinstance(dtype, np.dtype):
        # `Int64`, `Float64` and `boolean`, which may hold missing values.
        dtype = getattr(dtype, "numpy_dtype", None)
        if dtype is None or column.isna().any():
            return None
        dtype = np.dtype(dtype)
    return dtype if dtype.kind in "fiub" else None
