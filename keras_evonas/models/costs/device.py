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


def device_memory() -> int | None:
    """Returns the bytes of the smallest GPU, of the host without a GPU.

    Returns:
        Number of bytes, or `None` if the system does not tell.
    """
    if tf.config.list_physical_devices("GPU"):
        return _gpu_memory()
    return _host_memory()


def _host_memory() -> int | None:
    if not hasattr(os, "sysconf"):  # Windows
        return None
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for path in map(pathlib.Path, _LIMITS):
        if path.exists():
            limit = path.read_text(encoding="ascii").strip()
            memory = min(memory, int(limit)) if limit.isdigit() else memory
    return memory


def _gpu_memory() -> int | None:
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
