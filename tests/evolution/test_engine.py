"""Ask and tell."""

import dataclasses
import itertools
import math
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from keras_evonas.evolution import Categorical
from keras_evonas.evolution import Draft
from keras_evonas.evolution import Engine
from keras_evonas.evolution import Gene
from keras_evonas.evolution import Grid
from keras_evonas.evolution import Individual
from keras_evonas.evolution import Interval
from keras_evonas.evolution import RandomSearch
from keras_evonas.evolution import SearchSpace
from keras_evonas.evolution import generational_genetic_algorithm
from keras_evonas.evolution import genetic_algorithm
from keras_evonas.evolution import local_search
from keras_evonas.evolution import random_search
from keras_evonas.evolution import regularized_evolution
from keras_evonas.evolution.history import best_first
from keras_evonas.testing import conditional_trap
from keras_evonas.testing import mixed_space

STRATEGIES = {
    "genetic_algorithm": genetic_algorithm(),
    "generational_genetic_algorithm": generational_genetic_algorithm(),
    "local_search": local_search(),
    "random_search": random_search(),
    "regularized_evolution": regularized_evolution(),
}


@pytest.fixture(params=STRATEGIES.values(), ids=STRATEGIES)
def strategy(request):
    return request.param


LINE = SearchSpace([Gene("x", Grid(tuple(range(10))))])


class CountingSpace(SearchSpace):
    """Counts the genomes that it enumerated."""

    enumerated = 0

    def enumerate(self):
        for genome in super().enumerate():
            self.enumerated += 1
            yield genome


class UnreadList(list):
    """A list that fails when something walks through it."""

    def __iter__(self):
        raise AssertionError("walks through all that ended")

    __getitem__ = __reversed__ = __contains__ = __iter__


def test_the_initial_population_is_born_first():
    space = conditional_trap(2).space
    initial = [
        {"depth": 2},
        {"layer_0/kind": "conv", "layer_0/kernel": 5},
        {"depth": 2},  # a duplicate
        {},
    ]
    engine = Engine(space, random_search(), seed=0, initial_population=initial)
    births = [engine.ask() for _ in range(4)]
    assert [one.genome for one in births[:3]] == [
        space.complete(initial[0]),
        space.complete(initial[1]),
        space.default,
    ]
    assert [one.operator for one in births] == ["initial"] * 3 + ["random"]


@pytest.mark.parametrize(
    ("member", "message"),
    [
        ({"layers": 2}, r"`initial_population` names \['layers'\]"),
        ({"depth": 3}, "'depth' may be Grid.*Received: depth=3"),
    ],
)
def test_an_initial_individual_outside_the_space_is_refused(member, message):
    with pytest.raises(ValueError, match=message):
        Engine(
            conditional_trap(2).space,
            random_search(),
            seed=0,
            initial_population=[member],
        )


@pytest.mark.parametrize("seed", [-1, 0.5, "0", True])
def test_what_is_no_seed_is_refused(seed):
    with pytest.raises(ValueError, match="`seed` must be"):
        Engine(mixed_space(), random_search(), seed=seed)


def test_an_automatic_setting_must_be_resolved():
    engine = Engine(mixed_space(), genetic_algorithm(), seed=0)
    with pytest.raises(RuntimeError, match=r"strategy\.configure"):
        engine.ask()


def test_losses_of_a_birth_that_is_not_pending_change_nothing():
    engine = Engine(mixed_space(), random_search(), seed=0)
    engine.ask()
    with pytest.raises(KeyError, match=r"\[0\] are pending"):
        engine.tell(1, (0.0,))
    engine.tell(0, (0.0,))
    with pytest.raises(KeyError, match=r"\[\] are pending"):
        engine.tell(0, (0.0,))
    assert len(engine.history.ended) == 1


def test_tell_returns_the_individual_with_its_losses():
    engine = Engine(LINE, random_search(), seed=0)
    born = engine.ask()
    ended = engine.tell(born.birth, (0.5,), violation=0.25)
    assert ended is engine.history.individual(born.birth)
    assert (ended.losses, ended.violation) == ((0.5,), 0.25)


class Stubborn(RandomSearch):
    """Proposes 0 every time, and varies by adding 1."""

    def propose(self, state, space, history, rng):
        return Draft(genome={"x": 0}, operator="proposed")

    def vary(self, draft, space, rng):
        x = (draft.genome["x"] + 1) % 10
        return Draft(genome={"x": x}, operator="varied")


def test_a_genome_that_was_born_before_is_varied_until_it_is_new():
    engine = Engine(LINE, Stubborn(), seed=0)
    born = [engine.ask() for _ in range(4)]
    assert [(one.genome["x"], one.operator) for one in born] == [
        (0, "proposed"),
        (1, "varied"),
        (2, "varied"),
        (3, "varied"),
    ]


def test_an_infeasible_genome_is_proposed_anew_and_not_varied():
    # If it were varied, 1 would be born.
    engine = Engine(
        LINE, Stubborn(), seed=0, violation_of=lambda g: float(g["x"] == 0)
    )
    assert engine.ask().operator == "proposed+step"


@dataclasses.dataclass(frozen=True)
class InTurn(RandomSearch):
    """Proposes values in turn, each by an operator that names it."""

    values: Iterator[int]

    def propose(self, state, space, history, rng):
        x = next(self.values)
        return Draft(genome={"x": x}, operator=f"from {x}")


@dataclasses.dataclass(frozen=True)
class Constant(RandomSearch):
    """Proposes one genome."""

    genome: dict

    def propose(self, state, space, history, rng):
        return Draft(genome=self.genome)


@pytest.mark.parametrize("first", [9, 2])
def test_the_least_infeasible_child_is_repaired(first):
    values = itertools.chain([first, 3], itertools.repeat(9))
    engine = Engine(
        LINE, InTurn(values=values), seed=0, violation_of=lambda g: g["x"]
    )
    born = engine.ask()
    assert born.genome == {"x": 0}
    assert born.operator == f"from {min(first, 3)}+step"


def test_a_repair_that_meets_nothing_new_is_given_up():
    genes = [Gene("x", Grid(range(3))), Gene("rate", Interval(0.0, 1.0))]
    checked = []

    def violation(genome):  # Of the rate nothing depends, as with costs.
        checked.append(genome)
        return 1 + genome["x"]

    space = SearchSpace(genes)
    engine = Engine(space, random_search(), seed=0, violation_of=violation)
    assert engine.ask() is None
    assert engine.closest[0] == 1
    assert len(checked) < 300


def test_one_gene_of_many_that_must_change_is_found():
    names = [f"x{number}" for number in range(9)]
    genes = [Gene(name, Categorical(tuple("abcde"))) for name in names]
    space = SearchSpace([*genes, Gene("rate", Interval(0.0, 1.0))])
    first = {name: "b" for name in names} | {"rate": 0.5}
    for seed in range(40):
        engine = Engine(
            space,
            Constant(first),
            seed=seed,
            violation_of=lambda genome: float(genome["x0"] != "a"),
        )
        assert engine.ask().genome["x0"] == "a"


def test_a_child_of_unknown_violation_is_repaired_if_all_are():
    engine = Engine(
        LINE, random_search(), seed=0, violation_of=lambda g: math.inf
    )
    assert engine.ask() is None
    assert engine.closest[0] == math.inf


def test_the_closest_genome_is_an_infeasible_one():
    engine = Engine(LINE, random_search(), seed=0, violation_of=lambda g: 0.0)
    for _ in range(10):
        engine.ask()
        assert engine.closest is None
    assert engine.ask() is None
    assert engine.closest is None  # the space is exhausted, not limited


def test_initial_individuals_grow_with_the_space():
    """They grow even if the search is resumed before they are born."""
    small = SearchSpace([Gene("a", Grid((0, 1, 2, 3)))])
    large = SearchSpace([*small.genes, Gene("b", Interval(0.0, 1.0))])
    initial = [{"a": 3}, {"a": 2}]
    uncut = Engine(small, random_search(), seed=0, initial_population=initial)
    first = uncut.ask()
    uncut.grow(large)
    resumed = Engine(large, random_search(), seed=0, initial_population=initial)
    resumed.record(first)
    assert uncut.ask() == resumed.ask()
    assert uncut.history.individual(1).genome == {"a": 2, "b": 0.0}


def test_a_genome_from_before_the_space_grew_is_not_born_again():
    """It has the defaults of the new genes, unless `tell` gave a genome."""
    small = SearchSpace([Gene("a", Grid((0, 1)))])
    large = SearchSpace([*small.genes, Gene("b", Grid((5, 6)))])
    engine = Engine(small, random_search(), seed=0)
    first, second = engine.ask(), engine.ask()
    assert engine.ask() is None
    engine.grow(large)
    engine.tell(first.birth, (0.0,), genome={**first.genome, "b": 6})
    born = [engine.ask().genome, engine.ask().genome]
    assert engine.ask() is None
    assert {(one["a"], one["b"]) for one in born} == {
        (first.genome["a"], 5),
        (second.genome["a"], 6),
    }
    assert engine.ask() is None
    engine.tell(second.birth, (0.0,), genome=second.genome)
    assert engine.ask() is None


def test_a_small_space_is_walked_once(strategy):
    genes = [Gene(name, Grid(tuple(range(12)))) for name in "ab"]
    space = CountingSpace(genes)
    engine = Engine(space, strategy.configure(None), seed=0)
    for _ in range(144):
        one = engine.ask()
        engine.tell(one.birth, (one.genome["a"],), genome=one.genome)
    assert engine.history.distinct == space.size == 144
    assert engine.ask() is None
    assert space.enumerated <= space.size


@pytest.mark.thorough
def test_asking_costs_no_more_after_thousands_of_births(strategy):
    early, late = (_calls_of_asking(strategy, births) for births in (200, 2000))
    assert late < 1.5 * early


def _calls_of_asking(strategy, births):
    """Counts the calls of 20 asks and tells after a number of births."""
    space = mixed_space()
    engine = Engine(space, strategy.configure(20_000), seed=0)
    for birth in range(births):
        genome = {**space.default, "dropout": 0.5 * birth / births}
        engine.record(Individual(birth=birth, genome=genome))
        engine.tell(birth, (float(birth % 97),))
    engine.history.ended = UnreadList(engine.history.ended)
    calls = 0

    def count(frame, event, argument):
        nonlocal calls
        calls += 1

    sys.setprofile(count)
    try:
        for _ in range(20):
            engine.tell(engine.ask().birth, (50.0,))
    finally:
        sys.setprofile(None)
    return calls


_PRINT_SEARCH = """
from keras_evonas import evolution
from keras_evonas.testing import conditional_trap
space, loss = conditional_trap(3)
for make in (
    evolution.genetic_algorithm,
    evolution.generational_genetic_algorithm,
    evolution.local_search,
    evolution.random_search,
    evolution.regularized_evolution,
):
    engine = evolution.Engine(space, make().configure(40), seed=0)
    for _ in range(40):
        one = engine.ask()
        engine.tell(one.birth, (loss(one.genome),))
    print(engine.history.ended)
"""


def test_the_last_genome_is_proposed_again_until_it_is_born():
    space = SearchSpace([Gene("a", Grid(tuple(range(2000))))])
    engine = Engine(space, random_search(), seed=0)
    for _ in range(1999):
        engine.ask()
    addresses = (1999, 1999, 5000)
    found = [engine.propose(at).genome for at in addresses]
    assert found[0] == found[1] == found[2] == engine.ask().genome
    assert engine.ask() is None


def test_a_violation_that_is_not_known_is_the_worst():
    engine = Engine(mixed_space(), random_search(), seed=0)
    for violation in (math.nan, 7.0, 0.0):
        engine.tell(engine.ask().birth, (1.0,), violation=violation)
    unknown, far, kept = engine.history.ended
    assert best_first([unknown, far, kept]) == [kept, far, unknown]


@pytest.mark.thorough
def test_the_seed_of_pythons_hashes_does_not_matter():
    outputs = {
        subprocess.run(
            [sys.executable, "-c", _PRINT_SEARCH],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hash_seed in ("0", "1")
    }
    (output,) = outputs
    assert output.count("Individual") == 5 * 40
