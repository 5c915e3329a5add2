"""Means, their standard errors, and the cells of Markdown tables."""

from collections.abc import Iterable
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

# Means and their standard errors, two `(n,)` arrays or two numbers.
Summary = tuple[np.ndarray, np.ndarray]


def summary(values: Sequence[ArrayLike]) -> Summary:
    """Returns means and standard errors of values.

    They are `(searches, n)` or `(searches,)`. The errors of a single search are
    NaN.
    """
    array = np.asarray(values, dtype=float)
    if len(array) == 1:
        return array[0], np.full_like(array[0], np.nan)
    errors = array.std(axis=0, ddof=1) / np.sqrt(len(array))
    return array.mean(axis=0), errors


def mean_cell(values: Sequence[float]) -> str:
    """Returns the mean, and its standard error if there are several values."""
    mean, error = summary(values)
    return f"{mean:.4f}" + ("" if np.isnan(error) else f" ± {error:.4f}")


def compared(summaries: ArrayLike, *, digits: int, best: str) -> list[str]:
    """Returns the cells of `(n, 2)` means with their standard errors.

    The `best`, "min" or "max", is bold. A mean that is worse than it by more
    than two standard errors of the difference is marked as lost. A mean that
    is NaN is shown as "-".
    """
    means, errors = np.asarray(summaries, dtype=float).T
    if np.isnan(means).all():
        return ["-"] * len(means)
    find = np.nanargmin if best == "min" else np.nanargmax
    first = find(means)
    noise = np.hypot(errors, errors[first])
    lost = np.abs(means - means[first]) > 2 * noise
    cells = []
    for mean, error, is_lost in zip(means, errors, lost, strict=True):
        cell = f"{mean:.{digits}f} ± {error:.{digits}f}"
        cell += " lost" if is_lost else ""
        shown = bold(cell, mean == means[first])
        cells.append("-" if np.isnan(mean) else shown)
    return cells


def bold(cell: str, is_best: bool) -> str:
    """Returns the cell, bold if it is the best."""
    return f"**{cell}**" if is_best else cell


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Returns a Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
