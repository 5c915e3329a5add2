"""The benchmark of how well shared weights foretell trainings alone."""

import subprocess
import sys

import keras_tuner
import numpy as np
import pytest

from keras_evonas.benchmarks import shared_ranks
from keras_evonas.benchmarks.datasets import Parts

RNG = np.random.default_rng(0)
IMAGES = (RNG.random((70, 14, 14, 1), "float32"), RNG.integers(0, 10, 70))


@pytest.fixture(autouse=True)
def flags():
    shared_ranks.FLAGS.values(["ranks"])


@pytest.mark.keras
def test_the_parameters_that_options_add_are_those_of_the_networks():
    build = shared_ranks.hypermodel(Parts(IMAGES, IMAGES, IMAGES), epochs=1)

    def parameters(network):
        hp = keras_tuner.HyperParameters()
        hp.values = shared_ranks.values_of(network)
        return build(hp).count_params()

    around = parameters(("skip",) * 6)
    for network in shared_ranks.drawn(0, 6):
        added = parameters(network) - around
        assert added == shared_ranks.parameters_of(network)


def test_networks_are_distinct_and_those_of_their_seed():
    networks = shared_ranks.drawn(3, 200)
    assert len(set(networks)) == 200
    assert networks == shared_ranks.drawn(3, 200)
    assert networks != shared_ranks.drawn(4, 200)


def test_what_scores_tell_given_the_sizes_is_the_partial_correlation():
    sizes, means = [1, 2, 3, 4, 5, 6], [2.0, 1.0, 3.0, 5.0, 4.0, 6.0]
    tau, partial = shared_ranks.foretold(means, sizes, means)
    assert (tau, partial) == pytest.approx((1.0, 1.0))
    # By Kendall's formula for the pairs of three orders.
    other = [3.0, 1.0, 2.0, 4.0, 6.0, 5.0]
    tau, partial = shared_ranks.foretold(other, sizes, means)
    pair = shared_ranks.tau
    a, b, c = pair(other, means), pair(other, sizes), pair(sizes, means)
    assert tau == a
    assert partial == pytest.approx(
        (a - b * c) / np.sqrt((1 - b * b) * (1 - c * c))
    )


@pytest.mark.keras
@pytest.mark.slow
def test_the_command_prints_a_row_for_each_sampler(tmp_path):
    path = tmp_path / "images.npz"
    x = RNG.integers(0, 256, (2200, 28, 28), np.uint8)
    y = RNG.integers(0, 10, 2200)
    np.savez(path, x_train=x, y_train=y, x_test=x[:100], y_test=y[:100])
    command = [sys.executable, "-m", "keras_evonas.benchmarks", "ranks"]
    command += [f"--images={path}", "--examples=128", "--epochs=1"]
    command += ["--epochs_alone=1", "--filters=2", "--networks=3"]
    command += ["--shortlist=1", "--seeds=1", "--samplers=uniform,fair"]
    command += [f"--alone={tmp_path / 'alone.json'}", "--scored=4"]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "| uniform | " in run.stdout
    assert "| fair | " in run.stdout
    assert "tau of" in run.stdout
