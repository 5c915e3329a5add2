"""Inputs as networks take them: numbers of mean 0 and deviation 1."""

import dataclasses
from numbers import Number
from typing import Any

import numpy as np
import sklearn.compose
import sklearn.impute
import sklearn.pipeline
import sklearn.preprocessing
from sklearn.utils import validation

# Rarer categories of a column than the most frequent so many count as one.
_MAX_CATEGORIES = 50
# A column of strings of which more than this share are distinct, in a table of
# some length, is text or a name, and no category.
_DISTINCT_SHARE = 0.5
_SOME_LENGTH = 50


def is_frame(x: object) -> bool:
    """Returns whether `x` is a DataFrame of pandas."""
    return hasattr(x, "iloc") and hasattr(x, "columns")


def as_frame(x: Any, names: np.ndarray | None) -> Any:  # noqa: ANN401
    """Returns a table as a DataFrame, with names for its columns if known."""
    import pandas  # Not installed by all who use arrays.

    return x if is_frame(x) else pandas.DataFrame(x, columns=names)


def takes_frames(encoder: object) -> bool:
    """Returns whether an encoder of `encoder_of` is one for a DataFrame."""
    return isinstance(encoder, sklearn.compose.ColumnTransformer)


def encoder_of(x: Any) -> Any:  # noqa: ANN401 (scikit-learn has no types)
    """Returns an unfitted transformer for inputs.

    Args:
        x: A DataFrame or an array of at least two dimensions.

    Returns:
        For an array, what scales it: each column of a table, all numbers of an
        image alike. For a DataFrame, what encodes each column by its kind:
        numbers are scaled, their gaps filled by the median and marked;
        categories, strings and Booleans become columns of zeros and ones; of
        dates the day, the month and the weekday are numbers.

    Raises:
        ValueError: If a column holds text, or something that is none of these,
            or if a DataFrame has no columns or fewer than two rows.
    """
    if not is_frame(x):
        if np.ndim(x) == 2:
            return sklearn.preprocessing.StandardScaler()
        return _ImageScaler()
    if len(x) < 2:
        raise ValueError(
            f"`X` must have at least two rows. Received: {len(x)}."
        )
    if not x.shape[1]:
        raise ValueError(
            "`X` must have at least one column. Received: X of shape "
            f"{x.shape}. Keep the columns that tell something about `y`."
        )
    if x.columns.nlevels > 1:
        raise ValueError(
            "`X` must have one name for each column. Received: columns of "
            f"{x.columns.nlevels} levels. Join them: "
            "`X.columns = X.columns.map('_'.join)`."
        )
    # By their places: names may be numbers, and a name may stand twice.
    kinds: dict[str, list[int]] = {"number": [], "date": [], "category": []}
    for place in range(x.shape[1]):
        kinds[_kind_of(x.iloc[:, place])].append(place)
    numbers = sklearn.pipeline.make_pipeline(
        sklearn.impute.SimpleImputer(
            strategy="median",
            add_indicator=True,
            keep_empty_features=True,
        ),
        sklearn.preprocessing.StandardScaler(),
    )
    dates = sklearn.pipeline.make_pipeline(
        sklearn.preprocessing.FunctionTransformer(parts_of_dates),
        sklearn.base.clone(numbers),
    )
    categories = sklearn.pipeline.make_pipeline(
        sklearn.preprocessing.FunctionTransformer(without_pandas_missing),
        sklearn.preprocessing.OneHotEncoder(
            handle_unknown="infrequent_if_exist",
            max_categories=_MAX_CATEGORIES,
            sparse_output=False,
        ),
    )
    return sklearn.compose.ColumnTransformer(
        [
            ("numbers", numbers, kinds["number"]),
            ("dates", dates, kinds["date"]),
            ("categories", categories, kinds["category"]),
        ]
    )


def checked_weights(weights: object, count: int) -> np.ndarray | None:
    """Checks weights of so many examples, and scales them to a mean of 1.

    So the loss of a network is as large as without weights, and its optimizer
    and its decay do as much.

    Raises:
        ValueError: If they are not one number for each example, none of them
            negative and not all zero.
    """
    if weights is None:
        return None
    checked = validation.check_array(
        weights, ensure_2d=False, dtype="float64", input_name="sample_weight"
    )
    if checked.shape != (count,):
        raise ValueError(
            "`sample_weight` must hold one number for each example. Received: "
            f"weights of shape {checked.shape} for {count} examples."
        )
    if checked.min() < 0 or not checked.any():
        raise ValueError(
            "`sample_weight` must hold no weight below zero, and some above. "
            f"Received: weights from {checked.min()} to {checked.max()}."
        )
    checked = checked / checked.max()
    return np.asarray(checked / checked.mean())


def check_scaled(name: str, scaled: np.ndarray) -> None:
    """Raises a `ValueError` if scaled numbers are too large for float32."""
    if not np.isfinite(scaled).all():
        raise ValueError(
            f"`{name}` must have values that can be scaled to a mean of 0 and "
            "a deviation of 1 in single precision. Received: values so large "
            "that they become infinite or NaN. Divide them first."
        )


def without_pandas_missing(frame: Any) -> Any:  # noqa: ANN401 (a DataFrame)
    """Returns objects with NaN where a value is missing, `pandas.NA` too."""
    return frame.astype(object).where(frame.notna(), np.nan)


def parts_of_dates(frame: Any) -> np.ndarray:  # noqa: ANN401 (a DataFrame)
    """Returns the day, the month and the weekday of each column of dates."""
    columns = []
    for place in range(frame.shape[1]):
        column = frame.iloc[:, place]
        if column.dtype.kind != "M":
            raise ValueError(
                "`X` must have dates where it had them in `fit`. Received: "
                f"the column '{column.name}' of type {column.dtype}. Convert "
                "it: `pd.to_datetime(X[name])`."
            )
        dates = column.dt.tz_localize(None)  # as a clock there shows
        days = (dates - np.datetime64("1970-01-01")) / np.timedelta64(1, "D")
        columns += [days, dates.dt.month, dates.dt.day_of_week]
    return np.stack([np.asarray(c, float) for c in columns], axis=1)


def _kind_of(column: Any) -> str:  # noqa: ANN401 (a Series)
    kind = getattr(column.dtype, "kind", "O")
    if kind in "iuf":
        return "number"
    if kind == "O" and _holds_numbers(column):
        raise ValueError(
            "`X` must hold numbers, categories and dates. Received: the column "
            f"'{column.name}' of type {column.dtype} that holds numbers. "
            "Convert it, `X[name].astype(float)`, or say that it is a "
            "category: `X[name].astype('category')`."
        )
    if kind == "M":
        return "date"
    if kind in "bOU" or str(column.dtype) in ("category", "str", "string"):
        known = column.dropna()
        if not _are_alike(known):
            kinds = sorted({type(value).__name__ for value in known})
            raise ValueError(
                "`X` must hold one kind of value in each column. Received: "
                f"the column '{column.name}' with {', '.join(kinds)}. Convert "
                "it: `X[name].astype(str)`."
            )
        distinct = known.nunique()
        if (
            str(column.dtype) != "category"
            and len(known) >= _SOME_LENGTH
            and distinct > _DISTINCT_SHARE * len(known)
        ):
            raise ValueError(
                f"`X` must hold numbers, categories and dates. Received: the "
                f"column '{column.name}' with {distinct} different values in "
                f"{len(known)} rows, which is text or a name. Drop it, encode "
                "it first (for example by `TfidfVectorizer` and `TruncatedSVD` "
                "in a `Pipeline`), or say that it is a category: "
                "`X[name].astype('category')`."
            )
        return "category"
    raise ValueError(
        "`X` must hold numbers, categories and dates. Received: the column "
        f"'{column.name}' of type {column.dtype}."
    )


def _holds_numbers(column: Any) -> bool:  # noqa: ANN401 (a Series)
    known = column.dropna() if column.dtype == object else ()
    return len(known) > 0 and all(
        isinstance(value, Number) and not isinstance(value, bool)
        for value in known
    )


def _are_alike(values: Any) -> bool:  # noqa: ANN401 (a Series)
    """Returns whether categories can be sorted: all text, or all numbers."""
    return any(
        all(isinstance(value, kind) for value in values)
        for kind in (str, Number, np.bool_)
    )


@dataclasses.dataclass
class _ImageScaler:
    """Scales all numbers of images alike, as their pixels are of one kind."""

    mean: float = 0.0
    scale: float = 1.0

    def fit(self, x: np.ndarray) -> "_ImageScaler":
        """Measures the mean and the standard deviation."""
        self.mean = float(np.mean(x))
        self.scale = float(np.std(x)) or 1.0
        return self

    def transform(self, x: np.ndarray) -> np.ndarray:
        """Returns scaled images."""
        return (x - self.mean) / self.scale
