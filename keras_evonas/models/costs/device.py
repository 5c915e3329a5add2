"""How much memory the device has that models are trained on."""

import os
import pathlib
import subprocess

import tensorflow as tf

# Where Linux keeps the limit of a container, in its two versions.
_LIMITS = (
    "/sys/fs/cgroup/memory.max",
    "/sys/fs/cgroup/memory/memory.limit_in_bytes",
)
_NVIDIA_SMI = ("nvidia-smi", "--query-gpu=memory.total")


# What one training may take. In the host's memory its network stands beside the
# one before, the copies that are saved, other workers, the data set and the
# libraries: a search of networks of 1.5 GB took 3.7 GB at its peak.
_SHARE_OF_HOST = 16
_SHARE_OF_GPU = 4


def memory_for_training() -> int | None:
    """Returns the bytes that the training of one network may take.

    A quarter of the smallest GPU; without a GPU a sixteenth of the memory of
    the host, or of its container.

    Returns:
        Number of bytes, or `None` if the system does not tell.
    """
    is_gpu = bool(tf.config.list_physical_devices("GPU"))
    memory = gpu_bytes() if is_gpu else _host_memory()
    if memory is None:
        return None
    return memory // (_SHARE_OF_GPU if is_gpu else _SHARE_OF_HOST)


def _host_memory() -> int | None:
    if not hasattr(os, "sysconf"):  # Windows
        return None
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for path in map(pathlib.Path, _LIMITS):
        if path.exists():
            limit = path.read_text(encoding="ascii").strip()
            memory = min(memory, int(limit)) if limit.isdigit() else memory
    return memory


def gpu_bytes() -> int | None:
    """Bytes of the smallest GPU, or `None` if NVIDIA's tool does not tell."""
    # TensorFlow (2.21) tells what it has taken of a GPU, not what there is.
    try:
        listed = subprocess.run(
            [*_NVIDIA_SMI, "--format=csv,noheader,nounits"],
            capture_output=True,
            text=True,
            check=True,
        )
    except (FileNotFoundError, subprocess.CalledProcessError):
        return None
    return min(int(line) * 2**20 for line in listed.stdout.split())
