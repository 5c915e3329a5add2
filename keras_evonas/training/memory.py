"""The memory of the machine, and the executions that fit into it."""

import pathlib
from collections.abc import Callable
from collections.abc import Sequence
from typing import TypeVar

Item = TypeVar("Item")

# What is left to the data pipeline, the libraries and other programs.
_SHARE = 0.7


def usable_bytes(root: str = "/") -> int | None:
    """Bytes of the main memory that training may take.

    Args:
        root: Where to look for the system's files; for tests.

    Returns:
        A share of what is available now to this process and its container,
        or `None` where the system does not tell (anything but Linux).
    """
    found = [
        size
        for size in (
            _available(pathlib.Path(root)),
            _left_to_container(pathlib.Path(root)),
        )
        if size is not None
    ]
    return int(_SHARE * min(found)) if found else None


def _available(root: pathlib.Path) -> int | None:
    path = root / "proc/meminfo"
    if not path.exists():
        return None
    for line in path.read_text().splitlines():
        name, _, value = line.partition(":")
        if name == "MemAvailable":
            return int(value.split()[0]) * 1024
    return None


def _left_to_container(root: pathlib.Path) -> int | None:
    folder = root / "sys/fs/cgroup"
    limit, used = folder / "memory.max", folder / "memory.current"
    if not (limit.exists() and used.exists()):
        return None
    most = limit.read_text().strip()
    if most == "max":
        return None
    # Cached files are given back when memory runs short.
    cached = 0
    if (folder / "memory.stat").exists():
        for line in (folder / "memory.stat").read_text().splitlines():
            if line.startswith("inactive_file "):
                cached = int(line.split()[1])
    return max(0, int(most) - int(used.read_text()) + cached)


def cohorts_of(
    items: Sequence[Item],
    bytes_of: Callable[[Item], int | None] | None,
    memory: int | None,
    size: int,
) -> tuple[list[list[Item]], list[tuple[Item, int]]]:
    """Divides items into cohorts that fit into the memory.

    Args:
        items: What to divide.
        bytes_of: Returns the bytes that an item takes, or `None` if they are
            unknown. `None` if they are for every item.
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
