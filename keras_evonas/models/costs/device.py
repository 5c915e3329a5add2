"""The memory of this machine, of its container and of its GPUs.

`root` is where the system's files are.
"""

import pathlib
import subprocess

import psutil
import tensorflow as tf

# Where the two versions of Linux's control groups keep the limit of a
# container, what it uses, its statistics, and the name of the statistic of
# cached files, which the system gives back when memory runs short.
_CONTROL_GROUPS = (
    ("memory.max", "memory.current", "memory.stat", "inactive_file"),
    (
        *("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
        *("memory/memory.stat", "total_inactive_file"),
    ),
)
_NVIDIA_SMI = ("nvidia-smi", "--query-gpu=memory.total")

# The part of the memory that one training may take, as a divisor. In main
# memory a network stands beside the one before, saved copies, other workers,
# the data set and the libraries: a search of networks of 1.5 GB took 3.7 GB at
# its peak.
_SHARE_OF_HOST = 16
_SHARE_OF_GPU = 4
# The rest is left to the data pipeline, the libraries and other programs.
_USABLE = 0.7


def total_bytes(root: str | pathlib.Path = "/") -> int:
    """Returns the main memory of this machine or, if less, of its container."""
    limits = [limit for limit, _ in _containers(pathlib.Path(root))]
    return min([int(psutil.virtual_memory().total), *limits])


def available_bytes(root: str | pathlib.Path = "/") -> int:
    """Returns the memory that machine and container can still give."""
    left = [max(0, n - used) for n, used in _containers(pathlib.Path(root))]
    return min([int(psutil.virtual_memory().available), *left])


def usable_bytes(root: str | pathlib.Path = "/") -> int:
    """Returns the available memory that training may take."""
    return int(_USABLE * available_bytes(root))


def memory_for_training() -> int | None:
    """Returns the bytes that the training of one network may take.

    They are a quarter of the smallest GPU, or `None` if its size is not known;
    without a GPU a sixteenth of the main memory.
    """
    if not tf.config.list_physical_devices("GPU"):
        return total_bytes() // _SHARE_OF_HOST
    memory = gpu_bytes()
    return None if memory is None else memory // _SHARE_OF_GPU


def gpu_bytes() -> int | None:
    """Returns the memory of the smallest GPU, if `nvidia-smi` knows it."""
    # TensorFlow (2.21) reports what it has taken of a GPU, not its size.
    try:
        listed = subprocess.run(
            [*_NVIDIA_SMI, "--format=csv,noheader,nounits"],
            capture_output=True,
            text=True,
            check=True,
        )
    except (FileNotFoundError, subprocess.CalledProcessError):
        return None
    # A GPU that shares the main memory has "[N/A]".
    sizes = [int(size) for size in listed.stdout.split() if size.isdigit()]
    return min(sizes) * 2**20 if sizes else None


def _containers(root: pathlib.Path) -> list[tuple[int, int]]:
    """Returns limit and use of each container with a limit, in bytes.

    psutil (7.2) reads the memory of the machine only.
    """
    found = []
    for *names, cached in _CONTROL_GROUPS:
        limit, used, statistics = (
            _read(root / "sys/fs/cgroup" / name) for name in names
        )
        if limit.isdigit():
            lines = dict(x.split() for x in statistics.splitlines())
            freed = int(lines.get(cached, 0))
            found.append((int(limit), int(used or 0) - freed))
    return found


def _read(path: pathlib.Path) -> str:
    return path.read_text(encoding="ascii").strip() if path.exists() else ""
