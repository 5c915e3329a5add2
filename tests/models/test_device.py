"""The memory of the machine, its container and its GPUs."""

import os

import psutil
import pytest

from keras_evonas.models.costs.device import available_bytes
from keras_evonas.models.costs.device import gpu_bytes
from keras_evonas.models.costs.device import memory_for_training
from keras_evonas.models.costs.device import total_bytes
from keras_evonas.models.costs.device import usable_bytes

pytestmark = pytest.mark.keras

VERSIONS = {
    2: ("", "memory.max", "memory.current", "inactive_file"),
    1: (
        "memory",
        "memory.limit_in_bytes",
        "memory.usage_in_bytes",
        "total_inactive_file",
    ),
}


@pytest.fixture
def machine(monkeypatch):
    """A machine with 9 kB, of which 8 kB are available."""
    memory = psutil.virtual_memory()._replace(total=9216, available=8192)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)


@pytest.mark.parametrize("version", VERSIONS)
def test_memory_is_what_machine_and_container_leave(machine, tmp_path, version):
    def sizes():
        return (
            total_bytes(tmp_path),
            available_bytes(tmp_path),
            usable_bytes(tmp_path),
        )

    assert sizes() == (9216, 8192, int(0.7 * 8192))

    folder, limit, used, cached = VERSIONS[version]
    folder = tmp_path / "sys/fs/cgroup" / folder
    folder.mkdir(parents=True)
    no_limit = "max\n" if version == 2 else f"{2**63 - 4096}\n"
    (folder / limit).write_text(no_limit)
    (folder / used).write_text("3000\n")
    assert sizes() == (9216, 8192, int(0.7 * 8192))

    (folder / limit).write_text("5000\n")
    assert sizes() == (5000, 2000, int(0.7 * 2000))

    # Cached files do not count as used.
    (folder / "memory.stat").write_text(f"anon 7\n{cached} 1000\n")
    assert sizes() == (5000, 3000, int(0.7 * 3000))

    # A container may be over its limit for a moment.
    (folder / used).write_text("7000\n")
    assert sizes() == (5000, 0, 0)


def test_memory_of_this_machine():
    memory = psutil.virtual_memory()
    assert 0 < usable_bytes() < total_bytes() <= memory.total
    limit = memory_for_training()
    assert limit is None or 0 < limit < max(memory.total, 2**40)


@pytest.mark.skipif(os.name == "nt", reason="the program is a shell script")
@pytest.mark.parametrize(
    ("listed", "size"),
    [
        ("24564\\n12288\\n", 12288 * 2**20),
        ("[N/A]\\n", None),
        ("[N/A]\\n8192\\n", 8192 * 2**20),
        ("", None),
    ],
)
def test_memory_of_gpus(monkeypatch, tmp_path, listed, size):
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\nprintf '{listed}'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert gpu_bytes() == size
    monkeypatch.setenv("PATH", "")
    assert gpu_bytes() is None
