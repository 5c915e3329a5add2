"""Generators from addresses, and seeds."""

import random

import numpy as np
import pytest

from keras_evonas.evolution import rng_at
from keras_evonas.evolution.randomness import check_seed


def test_an_address_gives_the_same_stream_wherever_it_is_asked():
    rng_at(0, 16).random(1000)
    assert rng_at(0, 17, 2).random() == rng_at(0, 17, 2).random()
    assert rng_at(2**40, 3).random() == rng_at(2**40, 3).random()


def test_streams_of_different_addresses_differ():
    addresses = [
        (seed, birth, attempt)
        for seed in range(10)
        for birth in range(10)
        for attempt in range(10)
    ]
    first = {rng_at(*address).random() for address in addresses}
    assert len(first) == len(addresses)


def test_streams_of_neighbours_are_independent():
    births = 2000
    draws = np.array([rng_at(0, birth).random() for birth in range(births)])
    # The correlation of independent draws has the deviation 1 / sqrt(n).
    correlation = np.corrcoef(draws[:-1], draws[1:])[0, 1]
    assert abs(correlation) < 5 / births**0.5
    assert abs(draws.mean() - 0.5) < 5 / (12 * births) ** 0.5


@pytest.mark.parametrize("seed", [0, 1, 2**63, np.int64(7), np.uint8(7)])
def test_a_seed_is_kept(seed):
    checked = check_seed(seed)
    assert checked == seed
    assert type(checked) is int


@pytest.mark.parametrize("seed", [-1, 1.0, True, "0", [0], np.float64(3)])
def test_what_is_no_seed_is_refused(seed):
    with pytest.raises(ValueError, match="Pass for example `seed=0`"):
        check_seed(seed)


def test_no_seed_is_a_random_one_that_leaves_the_global_generators_alone():
    random.seed(1)
    before = random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002
    drawn = {check_seed(None) for _ in range(20)}
    after = random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002
    assert len(drawn) > 1
    assert before == after
