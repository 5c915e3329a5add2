"""Numbers that were read from files, which may hold anything."""

import math
from typing import Any


def finite(values: Any) -> bool:
    """Whether all are finite numbers."""
    return all(
        isinstance(value, int | float) and math.isfinite(value)
        for value in values
    )
