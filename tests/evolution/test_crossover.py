"""Crossovers: the parent that each gene comes from."""

import math

import pytest

from keras_evonas.evolution import BlockCrossover
from keras_evonas.evolution import Categorical
from keras_evonas.evolution import Condition
from keras_evonas.evolution import Gene
from keras_evonas.evolution import Individual
from keras_evonas.evolution import PointCrossover
from keras_evonas.evolution import SearchSpace
from keras_evonas.evolution import UniformCrossover
from keras_evonas.evolution import rng_at

DRAWS = 20_000
SIX = SearchSpace([Gene(f"g{i}", Categorical((1, 2))) for i in range(6)])


def _parents(space):
    """Makes a parent of the first and one of the second value of all genes."""
    return [
        Individual(
            birth=birth,
            genome={gene.name: birth + 1 for gene in space.genes},
            traits={"rate": float(birth)},
        )
        for birth in range(2)
    ]


def _givers(operator, space, seed):
    """Returns the parent of each gene, for example `"112212"`."""
    draft = operator(*_parents(space), space, rng_at(seed))
    return "".join(str(draft.genome[gene.name]) for gene in space.genes)


def _rate(count, draws):
    return pytest.approx(count, abs=5 * math.sqrt(draws * 0.25))


@pytest.mark.thorough
@pytest.mark.parametrize("operator", [UniformCrossover(), BlockCrossover()])
@pytest.mark.parametrize("swap", [0.0, 0.2, 0.5, 1.0])
def test_genes_are_swapped_at_the_given_rate(operator, swap):
    operator = type(operator)(swap=swap)
    children = [_givers(operator, SIX, seed) for seed in range(DRAWS // 10)]
    genes = "".join(children)
    # Every gene is an independent draw, with the deviation of a binomial.
    bound = 5 * math.sqrt(len(genes) * swap * (1 - swap))
    assert abs(genes.count("2") - len(genes) * swap) <= bound


@pytest.mark.parametrize(
    ("points", "children"),
    [
        # A cut after each of the first five genes, never at an end: there it
        # would be a clone.
        (1, {"122222", "112222", "111222", "111122", "111112"}),
        # Two different cuts of the five; the second parent is in the middle.
        (
            2,
            {
                "1" * i + "2" * (j - i) + "1" * (6 - j)
                for i in range(1, 6)
                for j in range(i + 1, 6)
            },
        ),
    ],
)
def test_points_cut_the_order_of_genes(points, children):
    operator = PointCrossover(points=points)
    found = {_givers(operator, SIX, seed) for seed in range(400)}
    assert found == children


@pytest.mark.parametrize("points", [1, 2])
@pytest.mark.parametrize("number", [1, 2])
def test_points_find_room_among_few_genes(points, number):
    space = SearchSpace(SIX.genes[:number])
    found = {_givers(PointCrossover(points=points), space, s) for s in range(9)}
    assert found == {"12"[:number]}


# A layer with its settings, and one gene without conditions.
_THERE = (Condition("layer", (1, 2)),)
LAYERS = SearchSpace(
    [
        Gene("alone", Categorical((1, 2))),
        Gene("layer", Categorical((1, 2))),
        Gene("units", Categorical((1, 2)), _THERE),
        Gene(
            "kernel", Categorical((1, 2)), (*_THERE, Condition("units", (1, 2)))
        ),
    ]
)


def test_linked_genes_move_together():
    found = {_givers(BlockCrossover(linkage=1.0), LAYERS, s) for s in range(99)}
    assert found == {"1111", "1222", "2111", "2222"}


def test_linkage_is_the_chance_to_follow():
    operator = BlockCrossover(linkage=0.6)
    draws = DRAWS // 10
    children = [_givers(operator, LAYERS, seed) for seed in range(draws)]
    together = sum(child[1] == child[2] for child in children)
    # Follows with 0.6, and else agrees by chance: 0.6 + 0.4 / 2.
    chance = 0.8
    bound = 5 * math.sqrt(draws * chance * (1 - chance))
    assert abs(together - draws * chance) <= bound


def test_a_gene_that_one_parent_lacks_comes_from_the_other():
    first = Individual(birth=4, genome={"g0": 1})
    second = Individual(birth=7, genome={"g0": 2, "g1": 2})
    for operator in (UniformCrossover(), PointCrossover(), BlockCrossover()):
        for seed in range(20):
            draft = operator(first, second, SIX, rng_at(seed))
            assert draft.genome["g1"] == 2
            assert draft.parents == (4, 7)


def test_the_first_parent_hands_down_its_traits():
    for operator in (UniformCrossover(), PointCrossover(), BlockCrossover()):
        draft = operator(*_parents(SIX), SIX, rng_at(0))
        assert draft.traits == {"rate": 0.0}


@pytest.mark.parametrize(
    ("operator", "name"),
    [
        (UniformCrossover(), "uniform"),
        (PointCrossover(points=1), "one_point"),
        (PointCrossover(points=2), "two_point"),
        (BlockCrossover(), "block"),
    ],
)
def test_a_child_names_the_crossover_that_made_it(operator, name):
    assert operator(*_parents(SIX), SIX, rng_at(0)).operator == name


@pytest.mark.parametrize(
    ("make", "arguments", "message"),
    [
        (UniformCrossover, {"swap": -0.1}, "`swap` must be"),
        (BlockCrossover, {"swap": 1.1}, "`swap` must be"),
        (BlockCrossover, {"linkage": 2}, "`linkage` must be"),
        (PointCrossover, {"points": 3}, "`points` must be 1 or 2.*Uniform"),
        (PointCrossover, {"points": 0}, "`points` must be 1 or 2"),
    ],
)
def test_settings_that_make_no_sense_are_refused(make, arguments, message):
    with pytest.raises(ValueError, match=message):
        make(**arguments)
