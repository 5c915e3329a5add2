"""Continuous genes: values that are closer than the resolution are one."""

import itertools
import math

import pytest

from keras_evonas.evolution import Condition
from keras_evonas.evolution import Engine
from keras_evonas.evolution import Gene
from keras_evonas.evolution import Grid
from keras_evonas.evolution import History
from keras_evonas.evolution import Individual
from keras_evonas.evolution import Interval
from keras_evonas.evolution import SearchSpace
from keras_evonas.evolution import genetic_algorithm
from keras_evonas.evolution import local_search
from keras_evonas.evolution import random_search
from keras_evonas.evolution import screened_evolution
from keras_evonas.evolution.engine import CROWDED
from keras_evonas.evolution.genes import RESOLUTION

RATE = Gene("rate", Interval(1e-4, 1.0, scale="log"))
LINE = SearchSpace([RATE])
PLANE = SearchSpace([RATE, Gene("momentum", Interval(0.5, 0.99))])
LAYERS = Gene("layers", Grid((1, 2)))
DROPOUT = Gene("dropout", Interval(0.0, 0.5), (Condition("layers", (2,)),))
MIXED = SearchSpace([LAYERS, RATE, DROPOUT])

STRATEGIES = {
    "genetic_algorithm": genetic_algorithm(),
    "local_search": local_search(),
    "random_search": random_search(),
    "screened_evolution": screened_evolution(),
}


def loss(genome):
    return abs(math.log10(genome["rate"]) + 1.3) + genome.get("momentum", 0)


def search(strategy, space, trials, seed=0, **options):
    engine = Engine(space, strategy.configure(trials), seed=seed, **options)
    for _ in range(trials):
        one = engine.ask()
        engine.tell(one.birth, (loss(one.genome),))
    return engine


def distance(space, first, second):
    """Returns how far genomes are apart in the gene that differs most."""
    apart = [0.0]
    for gene in space.genes:
        if (gene.name in first) != (gene.name in second):
            return math.inf
        if gene.name not in first:
            continue
        places = [
            gene.domain.position(one[gene.name]) for one in (first, second)
        ]
        if isinstance(gene.domain, Grid) and places[0] != places[1]:
            return math.inf
        apart.append(abs(places[0] - places[1]))
    return max(apart)


@pytest.mark.parametrize("strategy", STRATEGIES.values(), ids=STRATEGIES)
@pytest.mark.parametrize("space", [LINE, PLANE, MIXED])
def test_no_two_genomes_are_closer_than_the_resolution(strategy, space):
    genomes = [o.genome for o in search(strategy, space, 60).history.ended]
    for first, second in itertools.combinations(genomes, 2):
        assert distance(space, first, second) > 0.999 * RESOLUTION


def test_a_full_space_is_explored_and_says_so():
    engine = search(random_search(), LINE, 230)
    ended = engine.history.ended
    assert len({one.genome["rate"] for one in ended}) == 230
    crowded = [one.operator == CROWDED for one in ended]
    # Places at least one resolution apart, none of which fits between others:
    # there are 100 at the least.
    assert not any(crowded[:100])
    assert all(crowded[201:])
    replayed = Engine(LINE, random_search(), seed=0)
    for one in ended[:215]:
        replayed.record(Individual(birth=one.birth, genome=one.genome))
        replayed.tell(one.birth, one.losses)
    assert replayed.ask().genome == ended[215].genome


def test_what_a_user_gives_may_be_as_close_as_it_likes():
    near = [{"rate": 0.01}, {"rate": 0.010001}, {"rate": 0.01}]
    engine = search(random_search(), LINE, 3, initial_population=near)
    first, second, third = engine.history.ended
    assert [first.genome, second.genome] == near[:2]
    assert distance(LINE, second.genome, third.genome) > RESOLUTION


def test_a_small_feasible_region_is_searched_on():
    def violation(genome):  # Less than a resolution is feasible.
        away = abs(RATE.domain.position(genome["rate"]) - 0.3)
        return max(0.0, away - 0.4 * RESOLUTION)

    engine = search(random_search(), LINE, 5, violation_of=violation)
    assert len({one.genome["rate"] for one in engine.history.ended}) == 5
    operators = [one.operator for one in engine.history.ended]
    assert operators[1:] == [CROWDED] * 4


def test_the_history_measures_distances_in_resolutions():
    history = History()
    history.begin(
        Individual(birth=0, genome={"layers": 1, "rate": 0.01}), MIXED
    )
    # 4 decades in 200 resolutions, 50 of them each.
    for factor, expected in ((1, 0), (10**0.01, 0.5), (10**0.05, 2.5)):
        key = MIXED.key({"layers": 1, "rate": 0.01 * factor})
        assert history.distance(key) == pytest.approx(expected)
        assert history.seen(key) == (expected < 1)
        assert history.born(key) == (factor == 1)
    other = MIXED.key({"layers": 2, "rate": 0.01, "dropout": 0.0})
    assert history.distance(other) == math.inf
    # Only the network itself can be trained further.
    near = MIXED.key({"layers": 1, "rate": 0.01 * 10**0.01})
    assert not history.seen(near, rung=1)


def test_whole_numbers_and_steps_are_told_apart():
    space = SearchSpace(
        [
            Gene("units", Interval(1, 10_000, integer=True)),
            Gene("rate", Grid((0.1, 0.1001))),
        ]
    )
    keys = {
        space.key({"units": units, "rate": rate})
        for units in (5000, 5001)
        for rate in (0.1, 0.1001)
    }
    assert len(keys) == 4
    assert not space.is_continuous


def test_the_gene_that_is_active_says_what_is_continuous():
    space = SearchSpace(
        [
            LAYERS,
            Gene("x", Interval(0.0, 1.0), (Condition("layers", (1,)),)),
            Gene("x", Grid((0.5, 0.501)), (Condition("layers", (2,)),)),
        ]
    )
    near = (
        space.key({"layers": 1, "x": 0.5}),
        space.key({"layers": 1, "x": 0.501}),
    )
    assert near[0].choices == near[1].choices
    steps = (
        space.key({"layers": 2, "x": 0.5}),
        space.key({"layers": 2, "x": 0.501}),
    )
    assert steps[0].choices != steps[1].choices
