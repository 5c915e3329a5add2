"""Domains, conditions and genes."""

import json

import numpy as np
import pytest

from keras_evonas.evolution import Categorical
from keras_evonas.evolution import Condition
from keras_evonas.evolution import Gene
from keras_evonas.evolution import Grid
from keras_evonas.evolution import Interval
from keras_evonas.evolution import SearchSpace

# What is legal beside the domain's own form, and what the domain makes of it.
EQUAL_VALUES = [
    (Categorical((False, True)), 1, True),
    (Categorical((1, 2)), True, 1),
    (Categorical((0.1, 0.2)), np.float64(0.1), 0.1),
    (Categorical(("relu", "gelu")), np.str_("gelu"), "gelu"),
    (Grid((16, 32)), np.int64(32), 32),
    (Grid((16, 32)), 32.0, 32),
    (Interval(0.0, 2.0), 1, 1.0),
    (Interval(0.0, 2.0), np.float32(0.5), 0.5),
    (Interval(1, 9, integer=True), np.int32(4), 4),
]


@pytest.mark.parametrize(("domain", "value", "own"), EQUAL_VALUES)
def test_a_genome_holds_the_values_of_the_domain(domain, value, own):
    space = SearchSpace([Gene("gene", domain)])
    genome = space.complete({"gene": value})
    assert genome == {"gene": own}
    assert type(genome["gene"]) is type(own)
    assert json.loads(json.dumps(genome)) == genome


@pytest.mark.parametrize(
    ("domain", "value"),
    [
        (Categorical((1, 2)), "1"),
        (Categorical((1, 2)), None),
        (Categorical((1, 2)), [1]),
        (Grid((16, 32)), 17),
        (Interval(0.0, 2.0), True),
        (Interval(0.0, 2.0), "1.0"),
        (Interval(0.0, 2.0), float("nan")),
        (Interval(0.0, 2.0), 2.0000001),
        (Interval(1, 9, integer=True), 4.0),
        (Interval(1, 9, integer=True), 10),
    ],
)
def test_other_values_are_outside(domain, value):
    assert domain.contains(value) is False


@pytest.mark.parametrize("kind", [Categorical, Grid])
@pytest.mark.parametrize(
    ("values", "message"),
    [
        ((), "at least one"),
        ((16, 32, 16), "distinct values"),
        ((True, 1), "use strings"),
        ((0, False), "use strings"),
        ((1, 1.0), "use strings"),
        ((np.int64(1), np.int64(2)), r"pass its `\.item\(\)`"),
        ((1, None), "Received: None of type"),
    ],
)
def test_values_that_cannot_be_told_apart_are_refused(kind, values, message):
    with pytest.raises(ValueError, match=message):
        kind(values)
