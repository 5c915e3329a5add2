import numpy as np
import pytest
from scipy import special

from keras_evonas.evolution.encoding import Encoding
from keras_evonas.evolution.gaussian_process import squared_distances
from keras_evonas.evolution.genes import Categorical
from keras_evonas.evolution.genes import Condition
from keras_evonas.evolution.genes import Gene
from keras_evonas.evolution.genes import Grid
from keras_evonas.evolution.genes import Interval
from keras_evonas.evolution.randomness import rng_at
from keras_evonas.evolution.space import SearchSpace
from keras_evonas.testing import example_spaces

SPACES = {
    **example_spaces(),
    "condition on an interval": SearchSpace(
        [
            Gene("rate", Interval(0.0, 1.0)),
            Gene("depth", Interval(1, 6, integer=True)),
            Gene("off", Grid((1, 2)), (Condition("rate", (0.0, 1.0)),)),
            Gene("deep", Grid((1, 2)), (Condition("depth", (5, 6)),)),
            Gene("seed", Interval(0, 10**9, integer=True)),
        ]
    ),
    "nested": SearchSpace(
        [
            Gene("which", Grid((0, 1, 2))),
            Gene("shared", Grid((0, 1)), (Condition("which", (0,)),)),
            Gene("child", Grid((0, 1)), (Condition("shared", (1,)),)),
            Gene("shared", Grid((1, 2)), (Condition("which", (1, 2)),)),
            Gene("late", Grid((0, 1)), (Condition("shared", (1,)),)),
            Gene(
                "inner",
                Grid((0, 1, 2)),
                (Condition("shared", (1,)), Condition("late", (1,))),
            ),
            Gene(
                "innermost",
                Grid((0, 1)),
                (
                    Condition("shared", (1,)),
                    Condition("late", (1,)),
                    Condition("inner", (0, 2)),
                ),
            ),
        ]
    ),
}
spaces = pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)


@spaces
def test_decoding_reverses_encoding(space):
    encoding, rng = Encoding(space), rng_at(0, 1)
    genomes = [space.sample(rng) for _ in range(50)]
    codes, active = encoding.encode(genomes)
    assert codes.shape == active.shape == (50, len(space.genes))
    for row, genome in zip(codes, genomes, strict=True):
        back = encoding.decode(row)
        assert back.keys() == genome.keys()
        for name, value in genome.items():
            assert back[name] == pytest.approx(value)
            assert type(back[name]) is type(value)


@spaces
def test_activity_agrees_with_the_space(space):
    encoding, rng = Encoding(space), rng_at(0, 2)
    codes = encoding.sample(50, rng)
    active = encoding.activity(codes)
    for row, mask in zip(codes, active, strict=True):
        genome = encoding.decode(row)
        assert space.contains(genome)
        owners = space.active(genome)
        assert [gene in owners for gene in space.genes] == mask.tolist()
    genomes = [encoding.decode(row) for row in codes]
    np.testing.assert_array_equal(encoding.encode(genomes)[1], active)


@spaces
def test_neighbours_differ_in_one_active_gene(space):
    encoding, rng = Encoding(space), rng_at(0, 3)
    for codes in encoding.sample(10, rng):
        active = encoding.activity(codes[None])[0]
        near = encoding.neighbours(codes, active, rng)
        if not len(near):
            assert not space.mutable(encoding.decode(codes))
            continue
        different = (near != codes) & active
        np.testing.assert_array_equal(different.sum(axis=1), 1)
        for row in near:
            assert space.contains(encoding.decode(row))


def test_neighbours_hold_every_value_of_a_short_list():
    space = SPACES["unordered"]
    encoding = Encoding(space)
    codes = np.zeros(6)
    near = encoding.neighbours(codes, np.ones(6, bool), rng_at(0, 4))
    assert len({tuple(row) for row in near}) == len(near) == 6 * 4


def test_a_tiny_step_on_a_long_list_goes_to_the_value_before_or_after():
    space = SearchSpace([Gene("x", Grid(tuple(range(500))))])
    (column,) = Encoding(space).columns
    assert column.others(250.0, (-1e-6, 1e-6)) == [249.0, 251.0]


def test_inactive_genes_of_neighbours_are_drawn():
    space = SPACES["conditional"]
    encoding, rng = Encoding(space), rng_at(0, 5)
    codes, active = encoding.encode(
        [{"depth": 1, "layer_0/kind": "dense", "layer_0/units": 8}]
    )
    near = encoding.neighbours(codes[0], active[0], rng)
    grown = [g for g in map(encoding.decode, near) if g["depth"] > 1]
    assert len({repr(sorted(g.items())) for g in grown}) == len(grown) > 1


def distance(space, first, second):
    encoding = Encoding(space)
    features = encoding.features(*encoding.encode([first, second]))
    return squared_distances(features, features)[0, 1]


def test_distances():
    there = Condition("kind", ("conv",))
    space = SearchSpace(
        [
            Gene("kind", Categorical(("dense", "conv", "none"))),
            Gene("units", Grid((8, 16, 32))),
            Gene("rate", Interval(1e-4, 1.0, "log")),
            Gene("kernel", Grid((1, 3, 5)), (there,)),
        ]
    )
    base = {"kind": "dense", "units": 8, "rate": 1e-4}
    assert distance(space, base, base) == 0
    assert distance(space, base, {**base, "kind": "none"}) == (
        pytest.approx(1.0)
    )
    assert distance(space, base, {**base, "units": 32}) == pytest.approx(1.0)
    assert distance(space, base, {**base, "units": 16}) == pytest.approx(0.25)
    assert distance(space, base, {**base, "rate": 0.01}) == pytest.approx(0.25)
    conv = {**base, "kind": "conv", "kernel": 3}
    # 1 for the kind, 0.5 for a kernel in the middle against none.
    assert distance(space, base, conv) == pytest.approx(1.5)
    assert distance(space, conv, {**conv, "kernel": 5}) == pytest.approx(0.25)


def test_a_name_that_two_genes_share():
    space = SPACES["mixed"]
    encoding = Encoding(space)
    codes = encoding.sample(200, rng_at(0, 6))
    active = encoding.activity(codes)
    owners = [
        index
        for index, gene in enumerate(space.genes)
        if gene.name == "learning_rate"
    ]
    np.testing.assert_array_equal(active[:, owners].sum(axis=1), 1)
    assert active[:, owners].any(axis=0).all()


def test_genomes_from_before_the_space_grew():
    small = SearchSpace([Gene("a", Grid((1, 2, 3)))])
    large = SearchSpace([*small.genes, Gene("b", Grid((1, 2)))])
    codes, active = Encoding(large).encode([{"a": 2}])
    assert active.tolist() == [[True, False]]
    drawn = {
        Encoding(large).filled(codes, active, rng_at(seed))[0, 1]
        for seed in range(20)
    }
    assert drawn == {0.0, 1.0}


def test_inner_draws_avoid_the_ends_of_genes_of_four_values_or_more():
    space = SearchSpace(
        [
            Gene("three", Grid((1, 2, 3))),
            Gene("kind", Categorical("abcde")),
            Gene("five", Grid((1, 2, 3, 4, 5))),
            Gene("chosen", Grid((1, 2, 3, 4, 5)), default=4),
            Gene("rate", Interval(1e-4, 1.0, scale="log")),
        ]
    )
    encoding, count = Encoding(space), 20_000
    codes = encoding.sample_inner(count, rng_at(0, 8))
    # The ends of five values are the eighths of the range that are outermost.
    end = special.betainc(3, 3, 1 / 8)
    near_chosen = special.betainc(4, 2, 7 / 8) - special.betainc(4, 2, 5 / 8)
    for name, share, expected in (
        ("three", codes[:, 0] == 0, 1 / 3),
        ("kind", codes[:, 1] == 0, 1 / 5),
        ("first of five", codes[:, 2] == 0, end),
        ("last of five", codes[:, 2] == 4, end),
        # With a mode at 3 / 4, the parameters are 1 + 3 and 1 + 1.
        ("chosen", codes[:, 3] == 3, near_chosen),
        ("rate", codes[:, 4] < 1 / 8, end),
    ):
        bound = 5 * np.sqrt(expected * (1 - expected) / count)
        assert abs(share.mean() - expected) < bound, name
