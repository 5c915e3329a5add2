"""Which individuals are expected to be best, if trained again."""

import numpy as np
import pytest

from keras_evonas.evolution import Engine
from keras_evonas.evolution import Gene
from keras_evonas.evolution import Interval
from keras_evonas.evolution import SearchSpace
from keras_evonas.evolution import random_search
from keras_evonas.evolution import recommended
from keras_evonas.evolution import rng_at

PLANE = SearchSpace([Gene(x, Interval(0.0, 1.0, integer=False)) for x in "ab"])


def bowl(genome):
    return (genome["a"] - 0.3) ** 2 + (genome["b"] - 0.6) ** 2


def ended(seed, count, noise=0.0, **told):
    """Random genomes, each with one noisy loss."""
    engine = Engine(PLANE, random_search(), seed=seed)
    rng = rng_at(seed, 8)
    for birth in range(count):
        loss = bowl(engine.ask().genome) + rng.normal(0, noise)
        engine.tell(birth, (loss,), **{k: f(birth) for k, f in told.items()})
    return engine.history.ended


def test_it_is_better_than_the_luckiest():
    gains = []
    for seed in range(12):
        individuals = ended(seed, 40, noise=0.1)
        luckiest = min(individuals, key=lambda one: one.losses)
        named = recommended(PLANE, individuals)[0]
        gains.append(bowl(luckiest.genome) - bowl(named.genome))
    error = np.std(gains) / np.sqrt(len(gains))
    assert np.mean(gains) > 2 * error, gains


@pytest.mark.parametrize("seed", range(3))
def test_without_noise_it_is_the_best_score(seed):
    individuals = ended(seed, 30)
    best = min(individuals, key=lambda one: one.losses)
    assert recommended(PLANE, individuals)[0] is best


@pytest.mark.parametrize("count", [20, 50])
def test_all_viable_ones_have_a_place_and_equal_data_gives_equal_places(count):
    individuals = ended(0, count, noise=0.1)
    found = recommended(PLANE, individuals)
    assert sorted(one.birth for one in found) == list(range(count))
    assert recommended(PLANE, list(individuals)) == found


@pytest.mark.parametrize("count", [0, 1, 2, 19])
def test_a_few_are_sorted_by_their_losses(count):
    individuals = ended(1, count, noise=0.1)
    by_loss = sorted(individuals, key=lambda one: one.losses)
    assert recommended(PLANE, individuals) == by_loss


@pytest.mark.parametrize("feasible", [{7}, {7, 12}, {0, 3, 7, 12}])
def test_only_feasible_ones_if_there_are_any(feasible):
    found = ended(0, 24, violation=lambda birth: float(birth not in feasible))
    assert {one.birth for one in recommended(PLANE, found)} == feasible
    assert {one.birth for one in recommended(PLANE, found[7:9])} == {7}


@pytest.mark.parametrize("least", [1.0, np.inf])
@pytest.mark.parametrize("count", [12, 24])
def test_losses_decide_among_those_that_violate_equally(least, count):
    found = ended(0, count, violation=lambda _: least)
    best = min(found, key=lambda one: one.losses)
    assert recommended(PLANE, found)[0] is best
    worse = ended(0, count, violation=lambda birth: 1.0 + birth // 20)
    named = recommended(PLANE, worse)
    assert [one.birth // 20 for one in named] == sorted(
        one.birth // 20 for one in worse
    )


def test_failures_have_no_place():
    engine = Engine(PLANE, random_search(), seed=0)
    for birth in range(50):
        loss = bowl(engine.ask().genome)
        engine.tell(birth, (loss,) if birth % 2 else None)
    for count in (9, 50):
        found = recommended(PLANE, engine.history.ended[:count])
        assert {one.birth for one in found} == set(range(1, count, 2))
    assert recommended(PLANE, engine.history.ended[:1]) == []


def test_of_very_many_the_best_has_a_place():
    individuals = ended(3, 300)
    best = min(individuals, key=lambda one: one.losses)
    found = recommended(PLANE, individuals)
    assert found[0] is best
    assert len(found) == 200
