"""Search spaces: `express` and all that depends on it."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from keras_evonas.evolution import Categorical
from keras_evonas.evolution import Condition
from keras_evonas.evolution import Gene
from keras_evonas.evolution import Grid
from keras_evonas.evolution import Interval
from keras_evonas.evolution import SearchSpace
from keras_evonas.evolution import rng_at
from keras_evonas.evolution import space as space_lib
from keras_evonas.testing import conditional_trap
from keras_evonas.testing import example_spaces
from keras_evonas.testing import mixed_space

SPACES = example_spaces()
# A kernel for convolutions only; its parent comes first.
KIND = Gene("kind", Categorical(("dense", "conv")))
KERNEL = Gene("kernel", Grid((1, 3)), (Condition("kind", ("conv",)),))
SMALL = SearchSpace([KIND, KERNEL])


@pytest.fixture(params=SPACES.values(), ids=SPACES)
def space(request):
    return request.param


@st.composite
def conditional_spaces(draw):
    """Draws spaces of up to 6 genes with conditions, some names twice."""
    genes = []
    for _ in range(draw(st.integers(1, 6))):
        conditions = []
        for _ in range(draw(st.integers(0, 2)) if genes else 0):
            parent = draw(st.sampled_from(genes))
            some = st.lists(st.sampled_from(range(4)), min_size=1, unique=True)
            conditions.append(Condition(parent.name, tuple(draw(some))))
        values = draw(st.lists(st.integers(0, 3), min_size=1, unique=True))
        kind = draw(st.sampled_from([Categorical, Grid]))
        name = draw(st.sampled_from("abcdef"))
        genes.append(Gene(name, kind(tuple(values)), tuple(conditions)))
    return SearchSpace(genes)


@pytest.mark.thorough
@given(conditional_spaces(), st.integers(0, 2**32))
@settings(max_examples=50, deadline=None, derandomize=True)
def test_laws_of_any_conditional_space(space, seed):
    genomes = list(space.enumerate())
    keys = {space.key(genome) for genome in genomes}
    assert len(genomes) == len(keys) == space.size

    rng = np.random.default_rng(seed)
    for _ in range(20):
        genome = space.sample(rng)
        assert space.key(genome) in keys
        assert space.contains(genome)
        assert space.express(genome, rng) == genome
        draft = {name: int(rng.integers(4)) for name in "abcdefg"}
        expressed = space.express(draft, rng)
        assert space.contains(expressed)
        for gene in space.active(expressed):
            if gene.domain.contains(draft[gene.name]):
                assert expressed[gene.name] == draft[gene.name]


@given(conditional_spaces(), st.integers(0, 2**32))
@settings(max_examples=30, deadline=None, derandomize=True)
def test_conditions_are_asked_gene_by_gene(space, seed):
    # By their definition, without the blocks of genes that share conditions.
    rng = rng_at(seed)
    draft = {name: int(rng.integers(4)) for name in "abcdef"}
    genome, owners = {}, []
    for gene in space.genes:
        if gene.name not in genome and gene.is_active(genome):
            legal = gene.domain.contains(draft[gene.name])
            genome[gene.name] = draft[gene.name] if legal else gene.default
            owners.append(gene)
    assert space.complete(draft) == genome
    assert space.active(genome) == tuple(owners)


@given(conditional_spaces(), st.integers(0, 2**32))
@settings(max_examples=30, deadline=None, derandomize=True)
def test_keys_are_equal_only_for_equal_genomes(space, seed):
    rng = np.random.default_rng(seed)
    first, second = space.sample(rng), space.sample(rng)
    assert (space.key(first) == space.key(second)) == (first == second)
    shuffled = dict(reversed(first.items()))
    assert space.key(shuffled) == space.key(first)


def test_samples_are_legal_and_stay_as_they_are(space):
    for seed in range(200):
        rng = rng_at(seed)
        genome = space.sample(rng)
        assert space.contains(genome)
        assert space.express(genome, rng) == genome
        assert space.complete(genome) == genome
        assert list(genome) == [gene.name for gene in space.active(genome)]


def test_neighbours_differ_in_one_step(space):
    for seed in range(20):
        rng = rng_at(seed)
        genome = space.sample(rng)
        for draft in space.neighbours(genome):
            changed = [name for name in genome if draft[name] != genome[name]]
            assert len(changed) == 1
            assert space.contains(space.express(draft, rng))


@pytest.mark.parametrize(
    ("draft", "genome"),
    [
        ({}, {"kind": "dense"}),
        ({"kind": "conv"}, {"kind": "conv", "kernel": 1}),
        ({"kind": "conv", "kernel": 3}, {"kind": "conv", "kernel": 3}),
        ({"kind": "dense", "kernel": 3}, {"kind": "dense"}),  # Inactive.
        ({"kernel": 3, "kind": "conv"}, {"kind": "conv", "kernel": 3}),
        ({"kind": "conv", "kernel": 5}, {"kind": "conv", "kernel": 1}),
        ({"kind": "pool", "depth": 2}, {"kind": "dense"}),  # unknown
    ],
)
def test_complete_by_hand(draft, genome):
    assert SMALL.complete(draft) == genome


def test_the_first_active_gene_owns_a_shared_name():
    space = mixed_space()
    sgd = space.complete({"optimizer": "sgd", "learning_rate": 0.05})
    adam = space.complete({"optimizer": "adam", "learning_rate": 0.05})
    assert sgd["learning_rate"] == 0.05
    assert adam["learning_rate"] == 1e-5  # 0.05 is too much for adam
    owner = {gene.name: gene for gene in space.active(adam)}["learning_rate"]
    assert owner.domain.high == 1e-2


def test_conditions_see_the_owners_of_a_name_that_stand_before():
    bits = Categorical((0, 1))
    genes = [
        Gene("which", bits),
        Gene("shared", bits, (Condition("which", (0,)),)),
        Gene("child", bits, (Condition("shared", (1,)),)),
        Gene("shared", bits, (Condition("which", (1,)),)),
    ]
    space, rng = SearchSpace(genes), np.random.default_rng(0)
    first = {"which": 0, "shared": 1, "child": 0}
    second = {"which": 1, "shared": 1}
    assert space.complete(first) == first
    assert space.complete({**first, "which": 1}) == second
    for draft in space.neighbours(second):
        assert space.contains(space.express(draft, rng))


def test_contains_requires_all_active_genes_and_no_others():
    assert SMALL.contains({"kind": "conv", "kernel": 3})
    assert not SMALL.contains({"kind": "conv"})
    assert not SMALL.contains({"kind": "dense", "kernel": 3})
    assert not SMALL.contains({"kind": "conv", "kernel": 5})


@pytest.mark.parametrize(
    ("space", "size"),
    [
        (SearchSpace([]), 1),
        (SMALL, 3),  # dense, conv with 1, conv with 3
        (conditional_trap(1).space, 25),  # dense 5 + conv 5 * 4
        (conditional_trap(2).space, 25 + 25**2),
        (conditional_trap(8).space, sum(25**depth for depth in range(1, 9))),
        (SPACES["unordered"], 5**6),
        (SPACES["continuous"], math.inf),
        (SearchSpace([Gene("x", Interval(1, 10**6, integer=True))]), 10**6),
        # An open interval of one of two kinds makes the whole infinite.
        (
            SearchSpace(
                [KIND, Gene("x", Interval(0, 1), KERNEL.conditions), KERNEL]
            ),
            math.inf,
        ),
    ],
)
def test_size_by_hand(space, size):
    assert space.size == size


def test_size_gives_up_on_more_states_than_it_can_count(monkeypatch):
    monkeypatch.setattr(space_lib, "_MAX_COUNTED_STATES", 100)
    wide = [Gene(f"x{i}", Categorical((0, 1))) for i in range(20)]
    asks = [
        Gene(f"y{i}", Categorical((0, 1)), (Condition(f"x{i}", (1,)),))
        for i in range(20)
    ]
    assert SearchSpace(wide + asks).size == math.inf
    paired = [gene for pair in zip(wide, asks, strict=True) for gene in pair]
    assert SearchSpace(paired).size == 3**20


def test_enumerate_goes_through_an_infinite_space_without_end():
    space = mixed_space()
    some = list(itertools.islice(space.enumerate(), 500))
    assert len({space.key(genome) for genome in some}) == 500
    assert all(space.contains(genome) for genome in some)


def test_a_space_may_have_thousands_of_genes():
    space = SearchSpace(
        [Gene(f"x{i}", Categorical((0, 1))) for i in range(3000)]
    )
    first, second = itertools.islice(space.enumerate(), 2)
    assert set(first.values()) == {0}
    assert sum(second.values()) == second["x2999"] == 1


def test_parents_stand_before_their_children():
    with pytest.raises(ValueError, match=r"gene 'kernel'.*no gene 'kind'"):
        SearchSpace([KERNEL, KIND])
    with pytest.raises(ValueError, match="parents before their children"):
        SearchSpace([Gene("a", Grid((1, 2)), (Condition("a", (1,)),))])


def test_the_parent_of_a_gene_is_in_its_last_condition():
    space = mixed_space()
    parents = {gene.name: space.parent_of(gene) for gene in space.genes}
    assert parents["momentum"] == "nesterov"
    assert parents["optimizer"] is None


def test_adopt_completes_the_values_of_a_user():
    assert SMALL.adopt({"kind": "conv"}, "start") == {
        "kind": "conv",
        "kernel": 1,
    }
    assert SMALL.adopt({"kind": "dense", "kernel": 9}, "start") == {
        "kind": "dense"  # Values of inactive genes do not matter.
    }


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"units": 3}, r"`start` names \['units'\].*\['kernel', 'kind'\]"),
        ({"kind": "conv", "kernel": 5}, "'kernel' may be Grid.*kernel=5"),
    ],
)
def test_adopt_refuses_values_outside_the_space(values, message):
    with pytest.raises(ValueError, match=message):
        SMALL.adopt(values, "start")


def test_spaces_are_equal_when_their_genes_are():
    assert mixed_space() == mixed_space()
    assert mixed_space() != SMALL
    assert "kernel" in repr(SMALL)
