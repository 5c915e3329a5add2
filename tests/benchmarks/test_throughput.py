"""The benchmark of throughput, in the process that measures."""

import json
import subprocess
import sys

import pytest

pytestmark = [pytest.mark.keras, pytest.mark.slow]


def test_the_time_of_a_search_is_taken_stage_by_stage():
    command = [sys.executable, "-m", "keras_evonas.benchmarks", "throughput"]
    command += ["--case=digits_mlp", "--trials=2", "--measure=EvoTuner"]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    found = json.loads(run.stdout.splitlines()[-1])
    assert set(found["ms"]) == {
        *("propose", "build", "prepare", "trace", "train", "validate"),
        *("costs", "write", "report"),
    }
    assert all(ms > 0 for ms in found["ms"].values())
    one_after_another = ("propose", "build", "prepare", "trace", "write")
    together = sum(found["ms"][stage] for stage in one_after_another)
    assert together * found["trials"] < 1000 * found["seconds"]
    assert found["shared"] == 0  # Their dropout differs.
