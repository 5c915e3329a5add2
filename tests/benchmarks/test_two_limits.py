"""The benchmark of one supernet for several limits."""

import math
import subprocess
import sys

import numpy as np
import pytest

from keras_evonas.benchmarks import two_limits
from keras_evonas.benchmarks.two_limits import Run
from keras_evonas.benchmarks.two_limits import Trial


@pytest.fixture(autouse=True)
def flags():
    two_limits.FLAGS.values(["limits"])


TRIALS = [
    Trial(seconds=2.0, score=0.5, tested=60.0),
    Trial(seconds=3.0, score=0.4),
    Trial(seconds=7.0, score=0.6, tested=55.0),
    Trial(seconds=8.0, score=0.7, tested=70.0),
]


def test_the_network_of_a_time_is_the_best_by_validation_until_then():
    found = [two_limits.tested_at(TRIALS, t) for t in (2.0, 6.9, 7.0, 99.0)]
    assert found == [60.0, 60.0, 55.0, 70.0]
    assert math.isnan(two_limits.tested_at(TRIALS, 1.9))


def test_trainings_until_a_search_is_as_good():
    found = [two_limits.trainings_until(TRIALS, x) for x in (60, 61, 70, 71)]
    assert found == ["1", "4", "4", ">4"]


def test_each_limit_has_an_equal_part_of_the_seconds():
    shortlists = [TRIALS[:1], TRIALS[:2]]
    run = Run(
        supernet=10.0,
        scoring=[1.0, 2.0],
        shortlists=shortlists,
        searches=[TRIALS, TRIALS],
    )
    assert run.seconds == (10.0 + 1.0 + 2.0 + 2.0 + 3.0) / 2
    text = two_limits.report([0.25, 0.5], [run, run])
    first, second = text.splitlines()[2:4]
    assert first.startswith("| 25% | 60.00 ± 0.00 lost | 60.00 ± 0.00 lost | ")
    assert first.endswith("**70.00 ± 0.00** | 1, 1 |")
    assert second.startswith("| 50% |")
    assert "10 s, as long as 5.0 trainings alone of 2.0 s" in text


@pytest.mark.keras
@pytest.mark.slow
def test_the_command_measures_each_seed_once(tmp_path):
    rng = np.random.default_rng(0)
    path = tmp_path / "images.npz"
    x = rng.integers(0, 256, (2200, 28, 28), np.uint8)
    y = rng.integers(0, 10, 2200)
    np.savez(path, x_train=x, y_train=y, x_test=x[:100], y_test=y[:100])
    command = [sys.executable, "-m", "keras_evonas.benchmarks", "limits"]
    command += [f"--images={path}", "--examples=128", "--epochs=1"]
    command += ["--epochs_alone=1", "--filters=2", "--scored=4", "--seeds=1"]
    command += ["--shortlist=2", f"--out={tmp_path / 'out'}"]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "| 25% | " in run.stdout
    again = subprocess.run(command, capture_output=True, text=True, check=True)
    assert again.stdout == run.stdout
