"""Domains, conditions and genes."""

import itertools
import json

import numpy as np
import pytest

from keras_evonas.evolution import Categorical
from keras_evonas.evolution import Condition
from keras_evonas.evolution import Gene
from keras_evonas.evolution import Grid
from keras_evonas.evolution import Interval
from keras_evonas.evolution import SearchSpace
from keras_evonas.evolution.genes import resample

# Legal values of another type, and the values that the domain makes of them.
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
def test_a_default_is_a_value_of_the_domain(domain, value, own):
    default = Gene("gene", domain, default=value).default
    assert default == own
    assert type(default) is type(own)


@pytest.mark.parametrize("low", [1e-12, 1e-8, 1.0])
@pytest.mark.parametrize("ratio", [1.0, 10.0, 1e16, 1e24])
@pytest.mark.parametrize("scale", ["log", "reverse_log"])
def test_bounds_far_apart_have_places(low, ratio, scale):
    domain = Interval(low, low * ratio, scale)
    for value in (low, low * ratio, *(domain.at(x / 8) for x in range(9))):
        assert 0 <= domain.position(value) <= 1
        assert domain.contains(value)


@pytest.mark.parametrize("size", [2, 3, 7])
@pytest.mark.parametrize("scale", [0.15, 1.0, 5.0])
def test_a_step_on_a_grid_is_always_one(size, scale):
    grid, rng = Grid(tuple(range(size))), np.random.default_rng(size)
    for value in grid:
        steps = {grid.step(value, rng, scale) for _ in range(300)}
        assert value not in steps
        assert steps <= set(grid)


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


INTERVALS = [
    Interval(0.0, 1.0),
    Interval(-3.0, 5.0),
    Interval(1e-5, 1e-1, scale="log"),
    Interval(0.5, 0.999, scale="reverse_log"),
    Interval(-2, 7, integer=True),
    Interval(1, 1000, scale="log", integer=True),
    Interval(1, 1000, scale="reverse_log", integer=True),
    Interval(3, 4, integer=True),
    # Two neighbouring floats, the narrowest interval there is.
    Interval(1.0, np.nextafter(1.0, 2.0).item()),
]
ORDERED = [*INTERVALS, Grid((16, 32, 64, 128)), Grid((1, 2)), Grid((3, 1, 2))]
DOMAINS = [*ORDERED, Categorical(("a", "b", "c")), Categorical((False, True))]
CONSTANTS = [
    Interval(2.0, 2.0),
    Interval(2, 2, integer=True),
    Grid((2,)),
    Categorical((2,)),
]


@pytest.mark.parametrize("domain", DOMAINS)
@pytest.mark.parametrize("change", ["resample", "step", "tiny step"])
def test_a_change_gives_another_value_of_the_domain(domain, change):
    rng = np.random.default_rng(0)
    scale = 1e-12 if change == "tiny step" else 0.2
    for _ in range(100):
        value = domain.sample(rng)
        if change == "resample":
            changed = resample(domain, value, rng)
        else:
            changed = domain.step(value, rng, scale)
        assert domain.contains(value)
        assert domain.contains(changed)
        assert changed != value
        assert type(changed) is type(value)


@pytest.mark.parametrize("domain", CONSTANTS)
def test_a_constant_stays(domain):
    rng = np.random.default_rng(0)
    assert domain.size == 1
    assert list(domain) == [domain.sample(rng)] == [2]
    assert resample(domain, 2, rng) == domain.step(2, rng, 0.1) == 2
    assert domain.neighbours(2) == ()


def test_a_tiny_step_among_whole_numbers_is_one_up_or_down_alike():
    domain = Interval(0, 300, integer=True)
    rng = np.random.default_rng(0)
    draws = 2000
    steps = [domain.step(150, rng, 1e-6) - 150 for _ in range(draws)]
    assert set(steps) == {-1, 1}
    # A fair coin's mean has the standard deviation 1 / sqrt(draws).
    assert abs(np.mean(steps)) < 5 / draws**0.5


@pytest.mark.parametrize(
    "domain",
    [
        Interval(1, 5, integer=True),
        Grid((1, 2, 3, 4, 5)),
        Categorical((1, 2, 3, 4, 5)),
    ],
)
def test_resample_is_uniform_among_the_others(domain):
    rng = np.random.default_rng(0)
    draws = 20_000
    values = [resample(domain, 2, rng) for _ in range(draws)]
    bound = 5 * (draws * 0.25 * 0.75) ** 0.5  # binomial, p = 1/4
    for value in (1, 3, 4, 5):
        assert abs(values.count(value) - draws / 4) < bound


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"low": 2, "high": 1}, "in order"),
        ({"low": 0, "high": float("inf")}, "finite"),
        ({"low": -1e308, "high": 1e308}, "less far apart"),
        ({"low": 1e-300, "high": 1e300, "scale": "log"}, "less far apart"),
        ({"low": float("nan"), "high": 1}, "finite"),
        ({"low": 0.5, "high": 3, "integer": True}, "whole numbers"),
        ({"low": 0, "high": 1, "scale": "log"}, "positive"),
        ({"low": -1, "high": 1, "scale": "reverse_log"}, "positive"),
        ({"low": 0, "high": 1, "scale": "ln"}, "`scale` must be one of"),
    ],
)
def test_intervals_that_make_no_sense_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Interval(**arguments)


@pytest.mark.parametrize("domain", ORDERED)
def test_positions_lead_back_to_their_values(domain):
    rng = np.random.default_rng(0)
    values = [domain.sample(rng) for _ in range(100)]
    for value in values:
        position = domain.position(value)
        assert 0 <= position <= 1
        assert domain.at(position) == pytest.approx(value, rel=1e-9)
    assert domain.contains(domain.at(0.0))
    assert domain.contains(domain.at(1.0))


@pytest.mark.parametrize(
    ("domain", "value", "position"),
    [
        (Interval(0.0, 4.0), 1.0, 0.25),
        (Interval(1e-4, 1.0, scale="log"), 1e-2, 0.5),  # 2 of 4 decades
        # Mirrored: 7 is to 8 as 2 to 1, one doubling of three.
        (Interval(1.0, 8.0, scale="reverse_log"), 7.0, 2 / 3),
        # Each of 4 whole numbers owns a quarter; its middle is its place.
        (Interval(1, 4, integer=True), 2, 0.375),
        (Grid((16, 32, 64)), 32, 0.5),
        (Grid((16,)), 16, 0.5),
    ],
)
def test_positions_by_hand(domain, value, position):
    assert domain.position(value) == pytest.approx(position)


@pytest.mark.parametrize(
    ("domain", "value", "neighbours"),
    [
        (Categorical(("a", "b", "c")), "b", {"a", "c"}),
        (Grid((16, 32, 64, 128)), 32, {16, 64}),
        (Grid((16, 32, 64, 128)), 16, {32}),
        (Grid((16, 32, 64, 128)), 128, {64}),
        (Interval(0.0, 10.0), 5.0, {4.0, 4.8, 5.2, 6.0}),  # 0.1 and 0.02 of 10
        (Interval(0.0, 10.0), 0.0, {0.2, 1.0}),
        (Interval(1, 4, integer=True), 2, {1, 3}),
        (Interval(1, 4, integer=True), 1, {2}),
    ],
)
def test_neighbours_by_hand(domain, value, neighbours):
    assert sorted(domain.neighbours(value)) == [
        near if isinstance(near, str) else pytest.approx(near)
        for near in sorted(neighbours)
    ]


def test_steps_are_as_wide_as_their_scale():
    domain = Interval(0.0, 1.0)
    rng = np.random.default_rng(0)
    draws = 20_000
    steps = [domain.step(0.5, rng, 0.05) - 0.5 for _ in range(draws)]
    # The deviation of a normal sample varies by scale / sqrt(2 draws).
    assert abs(np.std(steps) - 0.05) < 5 * 0.05 / (2 * draws) ** 0.5


@pytest.mark.parametrize("scale", ["linear", "log", "reverse_log"])
def test_samples_are_uniform_on_the_scale(scale):
    domain = Interval(0.001, 1.0, scale=scale)
    rng = np.random.default_rng(0)
    draws = 2000
    places = [domain.position(domain.sample(rng)) for _ in range(draws)]
    # A uniform mean has the standard deviation 1 / sqrt(12 draws).
    assert abs(np.mean(places) - 0.5) < 5 / (12 * draws) ** 0.5
    assert np.quantile(places, 0.9) == pytest.approx(0.9, abs=0.05)


def test_an_interval_yields_ever_finer_values():
    values = itertools.islice(Interval(0.0, 1.0), 1000)
    first = [0.0, 0.5, 0.25, 0.75, 0.125, 0.625]
    assert list(itertools.islice(Interval(0.0, 1.0), 6)) == first
    assert len(set(values)) == 1000
    assert list(Interval(-1, 2, integer=True)) == [-1, 0, 1, 2]


def test_a_condition_holds_only_while_its_parent_is_active():
    condition = Condition("depth", (2, 3))
    assert condition.holds({"depth": 3})
    assert not condition.holds({"depth": 1})
    assert not condition.holds({})


def test_a_gene_is_active_when_all_conditions_hold():
    gene = Gene(
        "kernel",
        Grid((3, 5)),
        (Condition("kind", ("conv",)), Condition("depth", (2,))),
    )
    assert gene.is_active({"kind": "conv", "depth": 2})
    assert not gene.is_active({"kind": "conv", "depth": 1})
    assert not gene.is_active({"depth": 2})


def test_a_gene_starts_from_its_default():
    assert Gene("units", Grid((16, 32))).default == 16
    assert Gene("units", Grid((16, 32)), default=32).default == 32
    assert Gene("rate", Interval(0.1, 0.5)).default == 0.1
    with pytest.raises(ValueError, match=r"gene 'units'.*default=8"):
        Gene("units", Grid((16, 32)), default=8)


@pytest.mark.parametrize("domain", [*DOMAINS, *CONSTANTS])
def test_domains_are_values(domain):
    copy = eval(repr(domain))  # the repr names everything
    assert copy == domain
    assert hash(copy) == hash(domain)
