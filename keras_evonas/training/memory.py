"""Cohorts that fit into the memory."""

from collections.abc import Callable
from collections.abc import Sequence
from typing import TypeVar

Item = TypeVar("Item")


def cohorts_of(
    items: Sequence[Item],
    bytes_of: Callable[[Item], int | None] | None,
    memory: int | None,
    size: int,
) -> tuple[list[list[Item]], list[tuple[Item, int]]]:
    """Divides items into cohorts that fit into the memory.

    Args:
        items: What to divide.
        bytes_of: Tells what an item takes, or `None` if nobody knows. `None`
            to ask for no item.
        memory: Integer, the bytes that a cohort may take, or `None`.
        size: Integer, how many items a cohort may have.

    Returns:
        Pair of the cohorts, which keep the order, and of the items that do
        not fit even alone with what they take.
    """
    cohorts: list[list[Item]] = []
    oversized: list[tuple[Item, int]] = []
    taken = 0
    for item in items:
        needed = 0
        if bytes_of is not None and memory is not None:
            needed = bytes_of(item) or 0
            if needed > memory:
                oversized.append((item, needed))
                continue
        is_full = not cohorts or len(cohorts[-1]) == size
        if is_full or (memory is not None and taken + needed > memory):
            cohorts.append([])
            taken = 0
        cohorts[-1].append(item)
        taken += needed
    return cohorts, oversized
