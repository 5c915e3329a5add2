"""Strategies: their composition, their arguments and their populations."""

import dataclasses
import json
import math

import numpy as np
import pytest

from keras_evonas.evolution import Draft
from keras_evonas.evolution import Engine
from keras_evonas.evolution import Evolution
from keras_evonas.evolution import Generational
from keras_evonas.evolution import Individual
from keras_evonas.evolution import LocalSearch
from keras_evonas.evolution import Tournament
from keras_evonas.evolution import generational_genetic_algorithm
from keras_evonas.evolution import genetic_algorithm
from keras_evonas.evolution import local_search
from keras_evonas.evolution import nsga2
from keras_evonas.evolution import random_search
from keras_evonas.evolution import regularized_evolution
from keras_evonas.testing import conditional_trap
from keras_evonas.testing import example_spaces


@pytest.mark.parametrize(
    ("make", "arguments", "message"),
    [
        (genetic_algorithm, {"population_size": 0}, "`population_size` must"),
        (genetic_algorithm, {"population_size": 1.5}, "`population_size` must"),
        (genetic_algorithm, {"population_size": True}, "`population_size` mu"),
        (genetic_algorithm, {"population_size": "Auto"}, "`population_size` m"),
        (genetic_algorithm, {"crossover_rate": 1.1}, "`crossover_rate` must"),
        (genetic_algorithm, {"tournament_size": 0}, "`tournament_size`"),
        (
            genetic_algorithm,
            {"population_size": 4, "tournament_size": 5},
            "tournament_size=5, population_size=4. Lower the tournament",
        ),
        (
            regularized_evolution,
            {"population_size": 4, "sample_size": 5},
            "tournament_size=5, population_size=4. Lower the tournament",
        ),
        (
            generational_genetic_algorithm,
            {"population_size": 4, "elites": 4},
            "elites=4, population_size=4. Keep fewer elites",
        ),
        (generational_genetic_algorithm, {"elites": -1}, "`elites` must be"),
        (generational_genetic_algorithm, {"elites": 0.5}, "`elites` must be"),
        (Evolution, {"brood_size": 0}, "`brood_size` must be"),
        (local_search, {"initial_size": 0}, "`initial_size` must be"),
    ],
)
def test_settings_that_make_no_sense_are_refused(make, arguments, message):
    with pytest.raises(ValueError, match=message):
        make(**arguments)


@pytest.mark.parametrize(
    ("part", "own", "message"),
    [
        ("mutate", lambda draft, *_: None, "`mutate` must return.*forget"),
        ("mutate", lambda draft, *_: draft.genome, "`mutate` must return a"),
        ("crossover", lambda *_: None, "`crossover` must return.*forget"),
        ("select", lambda people, *_: people[:1], "1 instead of 2"),
        (
            "mutate",
            lambda draft, *_: Draft(parents=("first",)),
            "`parents` are integers.*'first'",
        ),
        (
            "mutate",
            lambda draft, *_: Draft(traits={"rate": [1]}),
            "`traits` have numbers.*list",
        ),
    ],
)
def test_a_part_that_returns_something_else_is_named(part, own, message):
    evolution = genetic_algorithm(population_size=4, crossover_rate=1.0)
    evolution = dataclasses.replace(evolution, **{part: own})
    engine = Engine(conditional_trap().space, evolution, seed=0)
    for number in range(4):
        engine.tell(engine.ask().birth, (float(number),))
    with pytest.raises((TypeError, ValueError), match=message):
        engine.ask()


def test_numbers_of_numpy_in_a_draft_become_numbers_that_files_hold():
    def mutate(draft, space, rng):
        parents = tuple(np.array(draft.parents, int))
        return Draft(
            genome=space.sample(rng),
            parents=parents,
            operator="own",
            traits={"rate": np.float32(0.5)},
        )

    evolution = genetic_algorithm(population_size=4)
    evolution = dataclasses.replace(evolution, mutate=mutate)
    engine = Engine(conditional_trap().space, evolution, seed=0)
    for number in range(4):
        engine.tell(engine.ask().birth, (float(number),))
    child = engine.ask()
    assert child.parents
    assert json.loads(json.dumps([child.parents, child.traits])) == [
        list(child.parents),
        {"rate": 0.5},
    ]


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (
            genetic_algorithm(
                population_size=7, tournament_size=3, crossover_rate=0.25
            ),
            (7, 3, 0.25),
        ),
        (
            generational_genetic_algorithm(
                population_size=7, tournament_size=5, crossover_rate=0.25
            ),
            (7, 5, 0.25),
        ),
        (nsga2(population_size=7, crossover_rate=0.25), (7, 2, 0.25)),
    ],
)
def test_makers_hand_their_settings_on(made, expected):
    settings = made.population_size, made.select.size, made.crossover_rate
    assert settings == expected


def test_regularized_evolution_has_the_sizes_that_it_is_given():
    made = regularized_evolution(population_size=7, sample_size=3)
    assert (made.population_size, made.select) == (7, Tournament(size=3))


@pytest.mark.parametrize(
    ("max_trials", "size"),
    [
        (None, 20),
        (1, 8),  # at least 8
        (40, 8),  # 40 / 5
        (60, 12),  # 60 / 5
        (100, 20),  # 100 / 5
        (299, 20),  # 299 // 15 = 19 is still less than 20
        (600, 40),  # 600 // 15
        (20_000, 50),  # at most 50
    ],
)
def test_the_population_follows_the_number_of_trials(max_trials, size):
    assert genetic_algorithm().configure(max_trials).population_size == size


def test_an_automatic_population_holds_its_tournament_and_elites():
    large = Evolution(select=Tournament(size=30)).configure(40)
    assert large.population_size == 30
    kept = Evolution(replace=Generational(elites=30)).configure(40)
    assert kept.population_size == 31
    given = genetic_algorithm(population_size=5)
    assert given.configure(40) is given


SPACE = conditional_trap(2).space


def _ended(losses, first=0):
    return [
        Individual(birth=first + place, genome=SPACE.default, losses=(loss,))
        for place, loss in enumerate(losses)
    ]


def _absorb(strategy, individuals):
    state = strategy.begin()
    for one in individuals:
        state = strategy.absorb(state, one)
    return state


def _births(individuals):
    return [one.birth for one in individuals]


def test_a_steady_state_lets_each_good_child_in_at_once():
    strategy = genetic_algorithm(population_size=3, tournament_size=2)
    state = _absorb(strategy, _ended([5, 4, 6, 1]))
    # 5, 4 and 6 found it; 1 takes the place of 6.
    assert _births(state.population) == [0, 1, 3]
    assert state.brood == ()
    # 9 is worse than all.
    assert strategy.absorb(state, *_ended([9], first=4)) == state


def test_a_generation_is_as_many_children_as_the_population():
    strategy = generational_genetic_algorithm(population_size=3)
    state = _absorb(strategy, _ended([5, 4, 6, 9, 8]))
    assert _births(state.population) == [0, 1, 2]
    assert _births(state.brood) == [3, 4]
    state = strategy.absorb(state, *_ended([7], first=5))
    # The elite 4, and of the brood 9, 8, 7 the better two.
    assert _births(state.population) == [1, 4, 5]
    assert state.brood == ()


def test_regularized_evolution_forgets_the_oldest():
    strategy = regularized_evolution(population_size=3, sample_size=2)
    state = _absorb(strategy, _ended([0, 4, 6, 9, 8]))
    assert _births(state.population) == [2, 3, 4]


def test_failures_join_neither_population_nor_brood():
    failed = [
        Individual(birth=birth, genome=SPACE.default, losses=losses)
        for birth, losses in enumerate([None, (float("nan"),), (math.inf,)])
    ]
    for strategy in (
        genetic_algorithm(population_size=3),
        generational_genetic_algorithm(population_size=3),
        regularized_evolution(population_size=3),
        local_search(),
    ):
        ended = [*failed, *_ended([1, 2, 3, 4], first=3)]
        assert _absorb(strategy, ended) == _absorb(strategy, ended[3:])


def test_the_first_population_is_random():
    engine = Engine(SPACE, genetic_algorithm(population_size=5), seed=0)
    for _ in range(30):
        one = engine.ask()
        assert bool(one.parents) == (one.birth >= 5)
        engine.tell(one.birth, (float(one.birth),))


def test_no_worker_waits_while_the_first_population_is_evaluated():
    engine = Engine(SPACE, genetic_algorithm(population_size=3), seed=0)
    births = [engine.ask() for _ in range(10)]
    assert not any(one.parents for one in births)  # None has ended yet.
    engine.tell(4, (1.0,))
    assert engine.ask().parents == (4,)


def test_local_search_tries_all_neighbours_of_the_best():
    space = example_spaces()["unordered"]
    engine = Engine(space, local_search(initial_size=1), seed=0)
    first = engine.ask()
    engine.tell(first.birth, (0.0,))
    tried = []
    while (one := engine.ask()).parents == (0,) and one.operator == "neighbour":
        tried.append(one)
        engine.tell(one.birth, (1.0,))
    assert sorted(repr(one.genome) for one in tried) == sorted(
        repr(neighbour) for neighbour in space.neighbours(first.genome)
    )


def test_local_search_moves_to_a_better_neighbour_at_once():
    engine = Engine(SPACE, local_search(initial_size=1), seed=0)
    engine.tell(engine.ask().birth, (1.0,))
    better = engine.ask()
    engine.tell(better.birth, (0.5,))
    assert engine.ask().parents == (better.birth,)


def test_local_search_remembers_the_best():
    state = _absorb(LocalSearch(memory=3), _ended([5, 1, 4, 2, 3]))
    assert _births(state) == [1, 3, 4]


def test_random_search_has_no_parents():
    engine = Engine(SPACE, random_search(), seed=0)
    for _ in range(50):
        one = engine.ask()
        engine.tell(one.birth, (0.0,))
        assert one.parents == ()
        assert one.operator == "random"


def test_a_composition_needs_no_crossover():
    strategy = Evolution(crossover=None, population_size=4)
    engine = Engine(SPACE, strategy, seed=0)
    for _ in range(40):
        one = engine.ask()
        engine.tell(one.birth, (0.0,))
        assert len(one.parents) <= 1
