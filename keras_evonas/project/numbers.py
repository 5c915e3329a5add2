"""Numbers that were read from files, which may hold anything."""

import math
from collections.abc import Iterable


def finite(values: Iterable[object]) -> bool:
    """Returns whether all values are finite numbers."""
    return all(
        isinstance(value, int | float) and math.isfinite(value)
        for value in values
    )
