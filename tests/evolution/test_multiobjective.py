"""Searches with several objectives, and with constraints."""

import math

import numpy as np
import pytest

from keras_evonas.evolution import Engine
from keras_evonas.evolution import Gene
from keras_evonas.evolution import Grid
from keras_evonas.evolution import Individual
from keras_evonas.evolution import Interval
from keras_evonas.evolution import SearchSpace
from keras_evonas.evolution import WorstDies
from keras_evonas.evolution import genetic_algorithm
from keras_evonas.evolution import nsga2
from keras_evonas.evolution import pareto
from keras_evonas.evolution import random_search
from keras_evonas.evolution.history import best_first

GRID = tuple(range(21))
SPACE = SearchSpace([Gene(f"x{i}", Grid(GRID)) for i in range(6)])


def zdt1(genome):
    x = np.array([genome[f"x{i}"] for i in range(6)]) / 20
    g = 1 + 9 * x[1:].mean()
    return float(x[0]), float(g * (1 - math.sqrt(x[0] / g)))


def run(strategy, seed, trials=120, **arguments):
    engine = Engine(SPACE, strategy.configure(trials), seed=seed, **arguments)
    for _ in range(trials):
        individual = engine.ask()
        engine.tell(individual.birth, zdt1(individual.genome))
    return engine


def individual(birth, losses, violation=0.0):
    return Individual(
        birth=birth, genome={}, losses=losses, violation=violation
    )


def births(individuals):
    return [one.birth for one in individuals]


def test_best_first_with_one_objective_goes_by_loss():
    some = [individual(0, (2.0,)), individual(1, (1.0,)), individual(2, (1.0,))]
    assert births(best_first(some)) == [1, 2, 0]


def test_best_first_compares_fronts_then_crowding_then_age():
    some = [
        individual(5, (1.0, 1.0)),  # on the front, in the middle
        individual(4, (0.0, 2.0)),  # an end of it
        individual(3, (2.0, 2.0)),  # dominated
        individual(2, (2.0, 0.0)),  # the other end, born before
        individual(1, (math.nan, 0.0)),  # half a result is none
        individual(0, None),
    ]
    assert births(best_first(some)) == [2, 4, 5, 3]


@pytest.mark.parametrize("losses", [[(3.0,), (1.0,)], [(3, 3), (1, 1)]])
def test_feasible_individuals_come_before_better_ones(losses):
    some = [
        individual(0, losses[1], violation=0.5),
        individual(1, losses[1], violation=math.inf),
        individual(2, losses[0]),
        individual(3, losses[0], violation=0.1),
    ]
    assert births(best_first(some)) == [2, 3, 0, 1]


def test_the_most_crowded_of_the_worst_front_is_removed():
    front = [individual(i, (float(i), 4.0 - i)) for i in range(5)]
    crowd = individual(5, (1.1, 2.9))  # its neighbours are near
    survivors = WorstDies()(front, [crowd], 5)
    # Of spans of 4: 1 has (1.1 - 0) + (4 - 2.9), 2 has (3 - 1.1) + (2.9 - 1),
    # 3 has 2 + 2, and 5 the least: (2 - 1) + (3 - 2).
    assert births(survivors) == [0, 1, 2, 3, 4]


def test_the_population_keeps_both_extremes_of_all_that_was_seen():
    engine = run(nsga2(population_size=10), seed=0)
    seen = np.array([one.losses for one in engine.history.ended])
    kept = np.array([one.losses for one in engine.state.population])
    assert len(kept) == 10
    assert kept.min(axis=0).tolist() == seen.min(axis=0).tolist()


@pytest.mark.thorough
@pytest.mark.slow
def test_nsga2_beats_random_search_on_discrete_zdt1():
    def volumes(strategy):
        return np.array(
            [
                pareto.hypervolume(
                    [one.losses for one in run(strategy, s).history.ended],
                    [1.1, 10],
                )
                for s in range(12)
            ]
        )

    ours, random = volumes(nsga2()), volumes(random_search())
    gain = ours - random
    margin = 5 * gain.std(ddof=1) / math.sqrt(len(gain))
    assert gain.mean() > margin, (ours, random)


# Constraints that are known before a trial.


def small(genome):
    """Returns the excess of the sum of genes over 12, 0 in one of 30 000."""
    return max(0.0, sum(genome.values()) / 12 - 1)


@pytest.mark.thorough
@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize(
    "strategy", [nsga2(), genetic_algorithm(), random_search()]
)
def test_only_feasible_genomes_are_born_however_rare(strategy, seed):
    engine = run(strategy, seed, trials=40, violation_of=small)
    born = [one.genome for one in engine.history.ended]
    assert len(born) == 40
    assert all(small(genome) == 0 for genome in born)
    assert len({SPACE.key(genome) for genome in born}) == 40


def test_an_infeasible_initial_genome_is_repaired():
    engine = Engine(
        SPACE,
        nsga2().configure(40),
        seed=0,
        initial_population=[{"x0": 20, "x1": 20}],
        violation_of=small,
    )
    first = engine.ask()
    assert first.operator.startswith("initial+")
    assert small(first.genome) == 0


@pytest.mark.thorough
def test_constraints_keep_a_resumed_search_exact():
    whole = run(nsga2(), 3, trials=60, violation_of=small)
    for cut in (0, 1, 17, 59):
        engine = Engine(
            SPACE, nsga2().configure(60), seed=3, violation_of=small
        )
        for one in whole.history.ended[:cut]:
            engine.record(one)
            engine.tell(one.birth, one.losses)
        for one in whole.history.ended[cut:]:
            asked = engine.ask()
            assert asked.genome == one.genome
            engine.tell(asked.birth, zdt1(asked.genome))


def test_a_space_without_a_feasible_genome_names_the_closest():
    def hopeless(genome):
        return 1.0 + sum(genome.values())

    engine = Engine(SPACE, nsga2().configure(40), seed=0, violation_of=hopeless)
    assert engine.ask() is None
    violation, genome = engine.closest
    assert violation == hopeless(genome)
    assert violation == 1.0  # repair went all the way down
    assert engine.history.births == 0


def test_the_repair_of_many_genes_has_as_many_more_steps():
    genes = [Gene(f"x{n}", Grid(tuple(range(8)))) for n in range(200)]
    genes.append(Gene("y", Interval(0.0, 1.0)))  # There is no enumeration.

    def heavy(genome):
        return max(0.0, sum(genome.values()) - 230)  # 700 on average

    engine = Engine(
        SearchSpace(genes),
        nsga2().configure(40),
        seed=0,
        violation_of=heavy,
    )
    assert heavy(engine.ask().genome) == 0


def test_nothing_feasible_is_left():
    space = SearchSpace([Gene("x", Grid(tuple(range(1000))))])
    engine = Engine(
        space,
        nsga2().configure(40),
        seed=0,
        violation_of=lambda genome: float(max(0, genome["x"] - 4)),
    )
    found = [engine.ask().genome["x"] for _ in range(5)]
    assert sorted(found) == [0, 1, 2, 3, 4]
    assert engine.ask() is None


def test_a_genome_of_unknown_violation_is_not_born():
    def partly_impossible(genome):
        return math.inf if genome["x0"] > 2 else 0.0

    engine = run(nsga2(), 0, trials=30, violation_of=partly_impossible)
    assert all(one.genome["x0"] <= 2 for one in engine.history.ended)


# Constraints that are known only after a trial.


@pytest.mark.parametrize("strategy", [nsga2(), genetic_algorithm()])
def test_parents_become_feasible(strategy):
    engine = Engine(SPACE, strategy.configure(200), seed=1)
    for _ in range(200):
        one = engine.ask()
        engine.tell(
            one.birth, zdt1(one.genome)[1:], violation=small(one.genome)
        )
    early = [one.violation for one in engine.history.ended[:20]]
    assert min(early) > 0  # No random one was feasible.
    assert all(one.violation == 0 for one in engine.state.population)
