"""The benchmark of how long a supernet takes."""

import re
import subprocess
import sys

import numpy as np
import pytest

pytestmark = [pytest.mark.keras, pytest.mark.slow]


def test_the_command_prints_times_that_are_positive(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (2200, 16, 16), np.uint8)
    y = rng.integers(0, 10, 2200)
    path = tmp_path / "images.npz"
    np.savez(path, x_train=x, y_train=y, x_test=x[:10], y_test=y[:10])
    command = [sys.executable, "-m", "keras_evonas.benchmarks", "shared_times"]
    command += [f"--images={path}", "--examples=128", "--alone=1", "--scored=2"]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    rows = re.findall(r"^\| (\S.*) \| ([\d.]+) \|$", run.stdout, re.MULTILINE)
    assert len(rows) == 6
    assert all(float(seconds) > 0 for _, seconds in rows)
