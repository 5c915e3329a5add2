"""Mutations: laws beyond those of their conformance suite."""

import math

import numpy as np
import pytest

from keras_evonas.evolution import Draft
from keras_evonas.evolution import Gene
from keras_evonas.evolution import Grid
from keras_evonas.evolution import Interval
from keras_evonas.evolution import Resample
from keras_evonas.evolution import ResampleOne
from keras_evonas.evolution import SearchSpace
from keras_evonas.evolution import SelfAdaptive
from keras_evonas.evolution import Step
from keras_evonas.evolution import rng_at


@pytest.mark.parametrize(
    ("make", "arguments", "message"),
    [
        (Resample, {"rate": 1.5}, "`rate` must be"),
        (Resample, {"rate": float("nan")}, "`rate` must be"),
        (Step, {"rate": -0.1}, "`rate` must be"),
        (Step, {"scale": 0.0}, "`scale` must be"),
        (Step, {"resample": 2}, "`resample` must be"),
        (SelfAdaptive, {"learning_rate": 0}, "`learning_rate` must be"),
        (SelfAdaptive, {"highest": 0}, "`highest` must be"),
        (SelfAdaptive, {"mutation": ResampleOne()}, "must have a `rate`"),
    ],
)
def test_settings_that_make_no_sense_are_refused(make, arguments, message):
    with pytest.raises(ValueError, match=message):
        make(**arguments)


TEN = SearchSpace([Gene(f"g{i}", Grid(tuple(range(9)))) for i in range(10)])
START = Draft(genome=dict.fromkeys((g.name for g in TEN.genes), 4))


def _changes(mutation, draws=400):
    """Counts the changed ones of ten genes in each of many draws."""
    children = [mutation(START, TEN, rng_at(seed)) for seed in range(draws)]
    return [
        sum(value != 4 for value in child.genome.values()) for child in children
    ]


def test_resample_one_changes_exactly_one():
    assert set(_changes(ResampleOne())) == {1}


@pytest.mark.thorough
@pytest.mark.parametrize("mutation", [Resample, Step])
@pytest.mark.parametrize("rate", [None, 0.0, 0.3, 1.0])
def test_genes_change_at_the_given_rate(mutation, rate):
    changes = _changes(mutation(rate=rate))
    chance = 0.1 if rate is None else rate
    # Binomial, except that one gene changes if none is drawn.
    mean = 10 * chance + (1 - chance) ** 10
    assert abs(np.mean(changes) - mean) <= 5 * np.std(changes) / 20
    assert min(changes) >= 1


def test_every_gene_and_value_is_in_reach():
    for mutation in (ResampleOne(), Step(), SelfAdaptive()):
        children = [mutation(START, TEN, rng_at(s)) for s in range(1000)]
        for gene in TEN.genes:
            found = {child.genome[gene.name] for child in children}
            assert found == set(range(9))


def test_step_moves_ordered_genes_by_its_scale():
    space = SearchSpace([Gene("rate", Interval(1e-4, 1.0, scale="log"))])
    mutation = Step(scale=0.05, resample=0.0)
    draft = Draft(genome={"rate": 1e-2})
    moved = [
        math.log10(mutation(draft, space, rng_at(s)).genome["rate"]) + 2
        for s in range(1000)
    ]
    # 0.05 of four decades; a normal sample's deviation varies by this much.
    assert abs(np.std(moved) - 0.2) < 5 * 0.2 / (2 * 1000) ** 0.5


def test_the_name_of_a_mutation_is_added_once():
    draft = Draft(genome=START.genome, operator="block")
    once = Step()(draft, TEN, rng_at(0))
    twice = Step()(once, TEN, rng_at(1))
    assert once.operator == twice.operator == "block+step"
    assert Resample()(once, TEN, rng_at(1)).operator == "block+step+resample"


def test_a_carried_rate_mutates_within_its_bounds():
    mutation = SelfAdaptive(learning_rate=2.0, highest=0.4)
    rates = []
    draft = START
    for seed in range(300):
        draft = mutation(draft, TEN, rng_at(seed))
        rates.append(draft.traits["mutation_rate"])
    assert min(rates) == 0.1  # one over the number of genes
    assert max(rates) == 0.4
    assert len(set(rates)) > 50


def test_a_carried_rate_starts_low_and_is_used():
    mutation = SelfAdaptive(mutation=Resample(), highest=1.0)
    carried = Draft(genome=START.genome, traits={"mutation_rate": 0.9})
    changes = [
        sum(v != 4 for v in mutation(carried, TEN, rng_at(s)).genome.values())
        for s in range(200)
    ]
    assert np.mean(changes) > 6
    assert mutation(START, TEN, rng_at(0)).traits["mutation_rate"] < 0.2


def test_no_gene_to_change_leaves_the_draft():
    space = SearchSpace([Gene("classes", Grid((10,)))])
    draft = Draft(genome={"classes": 10})
    for mutation in (ResampleOne(), Resample(), Step(), SelfAdaptive()):
        assert mutation(draft, space, rng_at(0)).genome == draft.genome
