"""Distributions become genes and values come back as they were."""

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution

from keras_evonas.evolution.genes import Categorical
from keras_evonas.evolution.genes import Condition
from keras_evonas.evolution.genes import Gene
from keras_evonas.evolution.genes import Grid
from keras_evonas.evolution.genes import Interval
from keras_evonas.evolution.space import SearchSpace
from keras_evonas.optuna.conditions import learned_space
from keras_evonas.optuna.parameters import distributions_of
from keras_evonas.optuna.parameters import fitting
from keras_evonas.optuna.parameters import parameter_of

DISTRIBUTIONS = [
    FloatDistribution(0.0, 1.0),
    FloatDistribution(1e-5, 1e-1, log=True),
    FloatDistribution(0.0, 0.5, step=0.1),
    IntDistribution(1, 8),
    IntDistribution(8, 256, log=True),
    IntDistribution(2, 11, step=3),
    CategoricalDistribution([16, 32, 64]),
    CategoricalDistribution([64, 32, 16]),
    CategoricalDistribution(np.logspace(-3, -1, 3)),
    CategoricalDistribution(["sgd", "adam", None]),
    CategoricalDistribution([True, False]),
    CategoricalDistribution([None, 0.1, "x", 3]),
]


@pytest.mark.parametrize("distribution", DISTRIBUTIONS, ids=str)
def test_values_come_back_and_lie_in_the_distribution(distribution):
    parameter = parameter_of("name", distribution)
    rng = np.random.default_rng(0)
    for _ in range(200):
        value = parameter.decode(parameter.domain.sample(rng))
        assert distribution._contains(distribution.to_internal_repr(value))
        again = parameter.decode(parameter.encode(value))
        assert again == value
        assert type(again) is type(value)
    assert parameter.domain.contains(parameter.default)


@pytest.mark.parametrize("distribution", DISTRIBUTIONS, ids=str)
def test_every_value_of_a_small_domain_is_there(distribution):
    parameter = parameter_of("name", distribution)
    if parameter.domain.size > 20:
        pytest.skip("has no few values")
    values = [parameter.decode(value) for value in parameter.domain]
    if isinstance(distribution, CategoricalDistribution):
        assert values == list(distribution.choices)
    else:
        low, high = distribution.low, distribution.high
        count = round((high - low) / distribution.step) + 1
        np.testing.assert_allclose(values, np.linspace(low, high, count))


def test_ascending_numbers_have_an_order_and_others_none():
    def is_ordered(choices):
        distribution = CategoricalDistribution(choices)
        return parameter_of("name", distribution).domain.ordered

    assert is_ordered([16, 32, 64])
    assert is_ordered([0.1, 1])
    assert not is_ordered([64, 32])
    assert not is_ordered([16, None])
    assert not is_ordered([False, True])
    assert not is_ordered([16, 16])


def test_a_value_of_an_earlier_range_is_the_nearest_one():
    assert parameter_of("n", IntDistribution(4, 8)).encode(2) == 4
    assert parameter_of("n", FloatDistribution(0, 1)).encode(7.5) == 1.0
    choices = parameter_of("n", CategoricalDistribution(["a", "b"]))
    assert choices.decode(choices.encode("gone")) == "a"


@pytest.mark.filterwarnings("ignore:.*deprecated:FutureWarning")
@pytest.mark.parametrize(
    "make",
    [
        lambda d: d.UniformDistribution(0.0, 1.0),
        lambda d: d.LogUniformDistribution(1e-3, 1.0),
        lambda d: d.DiscreteUniformDistribution(0.0, 1.0, 0.25),
        lambda d: d.IntUniformDistribution(1, 9, 2),
        lambda d: d.IntLogUniformDistribution(1, 64),
    ],
)
def test_distributions_that_optuna_deprecated(make):
    parameter = parameter_of("name", make(optuna.distributions))
    value = parameter.decode(parameter.domain.sample(np.random.default_rng(0)))
    assert parameter.encode(value) == value


def test_an_unknown_kind_of_distribution_is_named():
    class Odd(optuna.distributions.BaseDistribution):
        to_internal_repr = single = _contains = None

    with pytest.raises(ValueError, match="of 'odd' must be a FloatDistr"):
        parameter_of("odd", Odd())


# Learning conditions.


def _learned(trials, distributions):
    parameters = {n: parameter_of(n, d) for n, d in distributions.items()}
    encoded = [
        {name: parameters[name].encode(value) for name, value in trial.items()}
        for trial in trials
    ]
    space = learned_space(parameters, encoded)
    return {gene.name: gene.conditions for gene in space.genes}


def test_a_parameter_of_one_branch():
    # "momentum" is there where "kind" is sgd, the first choice, index "0".
    distributions = {
        "kind": CategoricalDistribution(["sgd", "adam"]),
        "momentum": FloatDistribution(0, 1),
    }
    trials = [{"kind": "sgd", "momentum": 0.5}, {"kind": "adam"}]
    assert _learned(trials, distributions) == {
        "kind": (),
        "momentum": (Condition("kind", ("0",)),),
    }


def test_layers_by_depth_take_numbers_between_and_beyond_those_seen():
    # Seen with "b": 3 and 6; without: 1. What is nearer to 1, or as near, has
    # no "b"? 2 is as near to 1 as to 3, and goes with those that have it.
    distributions = {"n": IntDistribution(1, 8), "b": IntDistribution(1, 9)}
    trials = [{"n": 3, "b": 1}, {"n": 6, "b": 2}, {"n": 1}]
    learned = _learned(trials, distributions)
    assert learned["b"] == (Condition("n", (2, 3, 4, 5, 6, 7, 8)),)


def test_two_conditions_that_must_both_hold():
    distributions = {
        "a": CategoricalDistribution([0, 1]),
        "b": CategoricalDistribution([0, 1]),
        "c": FloatDistribution(0, 1),
    }
    trials = [
        {"a": a, "b": b, **({"c": 0.5} if a and b else {})}
        for a in (0, 1)
        for b in (0, 1)
    ]
    found = set(_learned(trials, distributions)["c"])
    assert found == {Condition("a", (1,)), Condition("b", (1,))}


def test_what_no_value_explains_is_asked_for_always():
    distributions = {
        "rate": FloatDistribution(0, 1),
        "late": FloatDistribution(0, 1),
    }
    trials = [{"rate": 0.1, "late": 1.0}, {"rate": 0.9}]
    assert _learned(trials, distributions)["late"] == ()


def test_without_trials_there_are_no_conditions():
    learned = _learned([], {"a": IntDistribution(1, 3)})
    assert learned == {"a": ()}


@pytest.mark.parametrize("seed", range(30))
def test_the_genomes_of_a_learned_space_are_those_of_the_true_one(seed):
    """Of random trees of conditions, with all combinations tried."""
    rng = np.random.default_rng(seed)
    genes = []
    for index in range(6):
        parent = genes[int(rng.integers(len(genes)))] if genes else None
        conditions = ()
        if parent is not None and rng.random() < 0.7:
            count = int(rng.integers(1, len(parent.domain.values)))
            values = rng.permutation(parent.domain.values)[:count]
            conditions = (Condition(parent.name, tuple(map(str, values))),)
        values = tuple(map(str, range(int(rng.integers(2, 4)))))
        genes.append(Gene(f"g{index}", Categorical(values), conditions))
    true = SearchSpace(genes)
    genomes = list(true.enumerate())
    parameters = {
        gene.name: parameter_of(
            gene.name, CategoricalDistribution(list(gene.domain.values))
        )
        for gene in genes
    }
    learned = learned_space(parameters, genomes)
    found = {learned.key(genome) for genome in learned.enumerate()}
    assert found == {true.key(genome) for genome in genomes}


# Spaces as distributions.


def test_genes_become_distributions_that_hold_their_values():
    space = SearchSpace(
        [
            Gene("kind", Categorical(("a", "b"))),
            Gene("units", Grid((16, 32, 64))),
            Gene("rate", Interval(1e-4, 1.0, scale="log")),
            Gene("layers", Interval(1, 5, integer=True)),
            # One name under two conditions: both ranges are in it.
            Gene("x", Interval(0, 1), (Condition("kind", ("a",)),)),
            Gene("x", Grid((5, 7)), (Condition("kind", ("b",)),)),
        ]
    )
    assert distributions_of(space) == {
        "kind": CategoricalDistribution(["a", "b"]),
        "units": CategoricalDistribution([16, 32, 64]),
        "rate": FloatDistribution(1e-4, 1.0, log=True),
        "layers": IntDistribution(1, 5),
        "x": FloatDistribution(0, 7),
    }


def test_values_that_no_distribution_holds_are_left_out():
    distributions = {
        "kind": CategoricalDistribution(["a", "b"]),
        "rate": FloatDistribution(0, 1),
    }
    values = {"kind": "gone", "rate": 0.5, "unknown": 1}
    assert fitting(values, distributions) == {"rate": 0.5}
    assert fitting({"rate": 2.0}, distributions) == {}
