"""Cross-validation: the same data, split several ways."""

from collections.abc import Iterator
from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from keras_evonas.training.arguments import FitArguments
from keras_evonas.training.values import Values
from keras_evonas.training.values import leaves_of
from keras_evonas.training.values import map_leaves

Split = tuple[np.ndarray, ...]


def check_cv(cv: Values) -> Values:
    """Returns a number of folds, a splitter or a list of splits, to keep.

    Raises:
        ValueError: If it is none of these.
    """
    is_number = isinstance(cv, int) and not isinstance(cv, bool)
    if cv is None or (is_number and cv >= 2):
        return cv
    is_text = isinstance(cv, str | bytes)
    if not isinstance(cv, str | bytes | type) and hasattr(cv, "split"):
        return cv
    if not is_text and isinstance(cv, Iterator | Sequence):
        splits = list(cv)
        if all(isinstance(pair, Sequence | np.ndarray) for pair in splits):
            return splits
        cv = splits
    raise ValueError(
        "`cv` must be an integer of 2 or more, a splitter of scikit-learn such "
        "as `StratifiedKFold(5)`, or a list of pairs of index arrays. "
        f"Received: cv={cv!r}."
    )


def folds_of(
    arguments: FitArguments, cv: Values, *, seed: int
) -> list[FitArguments]:
    """Splits the data of `fit` into training and validation data.

    Args:
        arguments: The arguments of `fit`, whose data are structures of arrays
            with one row an example.
        cv: What `check_cv` returns. A number shuffles the examples and cuts
            them into so many parts, which differ in size by one at most.
        seed: Integer, from which a number draws its order.

    Raises:
        ValueError: If the data cannot be split, if there are validation data
            already, or if the splits are none.
    """
    if arguments.validation_data is not None or arguments.validation_split:
        given = "validation_data"
        if arguments.validation_data is None:
            given = f"validation_split={arguments.validation_split}"
        raise ValueError(
            f"`cv` splits the data itself. Received: cv and {given}. Pass all "
            "data as `x` and `y`, or leave `cv` out."
        )
    data = (arguments.x, arguments.y, arguments.sample_weight)
    folds = []
    for train, test in splits_of(data, cv, seed=seed):
        x, y, weight = _take(data, train)
        held_out = _take(data, test)
        folds.append(
            arguments.with_changes(
                x=x,
                y=y,
                sample_weight=weight,
                validation_data=held_out[: 2 if weight is None else 3],
            )
        )
    return folds


def splits_of(data: Values, cv: Values, *, seed: int) -> list[Split]:
    """Returns the indices to train and to validate on, for each fold.

    Args:
        data: Inputs, targets and sample weights, as in `folds_of`.
        cv: As in `folds_of`.
        seed: As in `folds_of`.

    Raises:
        ValueError: If the data cannot be split, or if the splits are none.
    """
    size = _size(data)
    splits = _splits(cv, size, data[1], seed)
    if not _are_equal(splits, _splits(cv, size, data[1], seed)):
        raise ValueError(
            "`cv` must split the same data in the same way each time, or "
            "networks would not be compared on equal terms. Received: "
            f"cv={cv!r}. Pass a splitter with a `random_state`."
        )
    _check(splits, size)
    return splits


def _size(data: Values) -> int:
    bad = [leaf for leaf in leaves_of(data) if not _is_table(leaf)]
    if bad or data[0] is None or data[1] is None:
        found = type(bad[0]).__name__ if bad else "no `x` or no `y`"
        raise ValueError(
            "`x` and `y` must be arrays for `cv` to split them. Received: "
            f"{found}. Turn a data set into arrays, and a sparse matrix by "
            "its `toarray()`, or leave `cv` out and pass `validation_data`."
        )
    names = ("x", "y", "sample_weight")
    sizes = {
        name: [int(leaf.shape[0]) for leaf in keras.tree.flatten(part)]
        for name, part in zip(names, data, strict=True)
        if part is not None
    }
    if len({size for several in sizes.values() for size in several}) > 1:
        raise ValueError(
            "`x`, `y` and `sample_weight` must have equally many examples. "
            f"Received: {sizes}."
        )
    return sizes["x"][0]


def _is_table(leaf: Values) -> bool:
    if isinstance(leaf, np.ndarray | tf.Tensor):
        return len(leaf.shape) > 0
    return hasattr(leaf, "iloc")  # pandas


def _splits(cv: Values, size: int, y: Values, seed: int) -> list[Split]:
    if isinstance(cv, int):
        if cv > size:
            raise ValueError(
                "`cv` must not exceed the number of examples. Received: "
                f"cv={cv} for {size} examples."
            )
        order = np.random.default_rng(seed).permutation(size)
        parts = np.array_split(order, cv)
        return [
            (np.concatenate(parts[:i] + parts[i + 1 :]), parts[i])
            for i in range(cv)
        ]
    pairs = cv
    try:
        if hasattr(cv, "split"):
            pairs = cv.split(np.zeros((size, 1)), _labels(y))
        return [tuple(np.asarray(part) for part in pair) for pair in pairs]
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"`cv` must split {size} examples. Received: cv={cv!r}, which "
            f"raises: {error} Pass the pairs of indices instead, as a splitter "
            "that needs groups gives them: `list(cv.split(x, y, groups))`."
        ) from error


def _labels(y: Values) -> Values:
    """Returns targets as scikit-learn's splitters take them."""
    if keras.tree.is_nested(y):
        return None
    y = np.asarray(y)
    if y.ndim == 2 and y.shape[1] > 1:
        is_one_hot = np.isin(y, (0, 1)).all() and (y.sum(axis=1) == 1).all()
        return y.argmax(axis=1) if is_one_hot else y
    return y.reshape(len(y)) if y.ndim == 2 else y


def _are_equal(one: list[Split], other: list[Split]) -> bool:
    return len(one) == len(other) and all(
        np.array_equal(a, b)
        for left, right in zip(one, other, strict=True)
        for a, b in zip(left, right, strict=True)
    )


def _check(splits: list[Split], size: int) -> None:
    for number, pair in enumerate(splits):
        wrong = None
        if len(pair) != 2:
            wrong = f"{len(pair)} parts instead of two"
        elif not all(part.size and part.dtype.kind in "iu" for part in pair):
            wrong = "a part that holds no indices"
        elif max(part.max() for part in pair) >= size or (
            min(part.min() for part in pair) < 0
        ):
            wrong = f"an index beyond the {size} examples"
        elif np.intersect1d(*pair).size:
            wrong = "examples to train on among those to validate on"
        if wrong is not None:
            raise ValueError(
                "`cv` must give pairs of indices to train and to validate on. "
                f"Received: fold {number} with {wrong}."
            )
    if len(splits) < 2:
        raise ValueError(
            "`cv` must give two folds or more. Received: "
            f"{len(splits)}. Pass `validation_data` instead."
        )


def _take(data: Values, indices: np.ndarray) -> Values:
    def rows(leaf: Values) -> Values:
        if hasattr(leaf, "iloc"):
            return leaf.iloc[indices]
        if isinstance(leaf, tf.Tensor):
            return tf.gather(leaf, indices)
        return leaf[indices]

    return map_leaves(rows, data)
