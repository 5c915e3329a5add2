"""Gene importance, on functions whose answer is known."""

import itertools
import pathlib

import numpy as np
import pytest

from keras_evonas import reports
from keras_evonas.evolution import Categorical
from keras_evonas.evolution import Condition
from keras_evonas.evolution import Gene
from keras_evonas.evolution import Grid
from keras_evonas.evolution import Interval
from keras_evonas.evolution import SearchSpace
from keras_evonas.reports import encoding
from keras_evonas.reports import importance as importance_lib

ensemble = pytest.importorskip("sklearn.ensemble")

UNIT = Interval(0.0, 1.0)


def importance_of(genes, score, count=400, direction="min", seed=0):
    space = SearchSpace(genes)
    rng = np.random.default_rng(seed)
    genomes = [space.sample(rng) for _ in range(count)]
    trials = [
        reports.Trial(
            trial_id=str(number),
            number=number,
            status="COMPLETED",
            values=genome,
            scores=(float(score(genome)),),
        )
        for number, genome in enumerate(genomes)
    ]
    return reports.gene_importance(
        reports.Search(
            folder=pathlib.Path("x"),
            objectives=(reports.Objective("score", direction),),
            trials=tuple(trials),
            space=space,
        )
    )


def test_a_sum_is_shared_by_the_squares_of_its_weights():
    genes = [Gene(name, UNIT) for name in "abc"]
    found = importance_of(genes, lambda g: 2 * g["a"] + g["b"], 1000)
    # Var(2a) : Var(b) = 4 : 1, and nothing is left for the pair and for c.
    assert found.names[:2] == ("a", "b")
    assert found.main["a"] == pytest.approx(0.8, abs=0.03)
    assert found.main["b"] == pytest.approx(0.2, abs=0.03)
    assert found.total["c"] < 0.02
    assert max(found.interactions.values()) < 0.03
    assert found.fit > 0.95
    assert found.reliable


def test_a_product_of_signs_is_all_interaction():
    genes = [Gene(name, Categorical((-1, 1))) for name in "abc"]
    found = importance_of(genes, lambda g: g["a"] * g["b"], 200)
    # E[ab | a] = 0 for both values of a: neither explains anything alone.
    assert found.main["a"] == pytest.approx(0.0, abs=0.02)
    assert found.main["b"] == pytest.approx(0.0, abs=0.02)
    assert found.total["a"] == pytest.approx(1.0, abs=0.05)
    assert found.total["b"] == pytest.approx(1.0, abs=0.05)
    assert next(iter(found.interactions)) in {("a", "b"), ("b", "a")}
    assert next(iter(found.interactions.values())) > 0.9


def test_a_sum_with_a_product_has_the_shares_of_its_expansion():
    genes = [Gene(name, Categorical((-1, 1))) for name in "ab"]
    found = importance_of(
        genes, lambda g: 2 * g["a"] + g["b"] + 2 * g["a"] * g["b"], 200
    )
    # The terms are orthogonal with variances 4, 1 and 4 of 9 in all.
    assert found.main["a"] == pytest.approx(4 / 9, abs=0.05)
    assert found.main["b"] == pytest.approx(1 / 9, abs=0.05)
    assert found.interactions["a", "b"] == pytest.approx(4 / 9, abs=0.05)
    assert found.total["a"] == pytest.approx(8 / 9, abs=0.05)
    assert found.total["b"] == pytest.approx(5 / 9, abs=0.05)


def test_a_gene_that_is_not_active_is_a_value_of_its_own():
    genes = [
        Gene("kind", Categorical(("plain", "deep"))),
        Gene("depth", Grid((1, 2, 3)), (Condition("kind", ("deep",)),)),
        Gene("idle", UNIT, (Condition("kind", ("deep",)),)),
    ]

    def score(genome):
        return genome.get("depth", 0)

    found = importance_of(genes, score, 300)
    # Active in half of the networks: the values -, 1, 2, 3 weigh 3:1:1:1.
    values = dict(found.effects["depth"])
    assert set(values) == {1, 2, 3, None}
    assert values[None] < values[1] < values[2] < values[3]
    weights = encoding.features(SearchSpace(genes), [{}])[1].support[1]
    assert weights.sum() == pytest.approx(1.0)
    # Five standard deviations of a share of one half among 500 draws.
    assert weights[-1] == pytest.approx(0.5, abs=5 * 0.5 / 500**0.5)
    assert found.names[0] == "depth"
    # That it is there at all tells of `kind`, so a tree may ask it instead.
    assert found.total["idle"] < found.total["depth"] / 3


@pytest.mark.parametrize("scale", ["linear", "log"])
def test_what_is_best_does_not_depend_on_the_scale(scale):
    domain = Interval(1e-4, 1.0, scale=scale)
    genes = [Gene("rate", domain), Gene("other", UNIT)]
    found = importance_of(
        genes, lambda g: abs(domain.position(g["rate"]) - 0.5), 600
    )
    best, _ = min(found.effects["rate"], key=lambda pair: pair[1])
    assert domain.position(best) == pytest.approx(0.5, abs=0.08)
    assert found.main["rate"] > 0.95


def test_a_maximized_score_gives_the_mirrored_effects():
    genes = [Gene(name, UNIT) for name in "ab"]
    low = importance_of(genes, lambda g: g["a"])
    high = importance_of(genes, lambda g: -g["a"], direction="max")
    assert low.total == pytest.approx(high.total)
    for (_, one), (_, other) in zip(
        low.effects["a"], high.effects["a"], strict=True
    ):
        assert one == pytest.approx(other)


def test_effects_are_expected_losses_even_where_few_were_tried():
    """Evolution tries good values most; that must not lift the others."""
    genes = [Gene("a", UNIT), Gene("b", UNIT)]
    space = SearchSpace(genes)
    rng = np.random.default_rng(0)
    genomes = [
        {"a": float(rng.random() ** 3), "b": float(rng.random())}
        for _ in range(1500)
    ]
    trials = tuple(
        reports.Trial(
            trial_id=str(number),
            number=number,
            status="COMPLETED",
            values=genome,
            scores=(genome["a"] + 0.2 * genome["b"],),
        )
        for number, genome in enumerate(genomes)
    )
    found = reports.gene_importance(
        reports.Search(
            folder=pathlib.Path("x"),
            objectives=(reports.Objective("score", "min"),),
            trials=trials,
            space=space,
        )
    )
    for value, loss in found.effects["a"]:
        assert loss == pytest.approx(value + 0.2 * 0.5, abs=0.05)


def test_noise_is_not_taken_for_importance():
    genes = [Gene(name, UNIT) for name in "abcd"]
    rng = np.random.default_rng(0)
    found = importance_of(genes, lambda _: rng.normal(), 100)
    assert not found.reliable


def test_one_diverged_network_does_not_decide():
    genes = [Gene(name, UNIT) for name in "ab"]
    calm = importance_of(genes, lambda g: g["a"])
    wild = importance_of(genes, lambda g: 1e9 if g["b"] > 0.997 else g["a"])
    assert wild.names[0] == "a"
    assert wild.main["a"] == pytest.approx(calm.main["a"], abs=0.1)


def test_too_little_to_tell():
    genes = [Gene("a", UNIT)]
    few = importance_lib.FEWEST_TRIALS - 1
    assert importance_of(genes, lambda g: g["a"], few) is None
    assert importance_of(genes, lambda g: 1.0) is None
    rng = np.random.default_rng(0)
    fixed = [Gene("a", Categorical(("only",)))]
    assert importance_of(fixed, lambda g: rng.random(), 20) is None


@pytest.mark.parametrize("seed", range(6))
def test_shares_of_a_tree_agree_with_a_table_of_all_networks(seed):
    """The sums over leaves against plain averages over the whole space."""
    rng = np.random.default_rng(seed)
    columns = [
        encoding.Feature("a", Grid((1, 2, 3, 4))),
        encoding.Feature("b", Categorical(("x", "y", "z"))),
        encoding.Feature("c", Grid((1, 2)), inactive=0.3),
    ]
    supports = [column.support for column in columns]
    table = list(itertools.product(*(places for places, _ in supports)))
    x = np.array(
        [
            [c.encode(v) for c, v in zip(columns, row, strict=True)]
            for row in table
        ]
    )
    forest = ensemble.RandomForestRegressor(
        n_estimators=1, max_leaf_nodes=9, random_state=seed
    ).fit(x, rng.normal(size=len(x)))
    tree = importance_lib._Tree(forest.estimators_[0].tree_, columns)

    shape = [len(places) for places, _ in supports]
    f = forest.estimators_[0].predict(x).reshape(shape)
    weights = [weights for _, weights in supports]
    w = np.einsum("i,j,k->ijk", *weights)
    f = f - (w * f).sum()
    variance = (w * f**2).sum()

    def explained(kept):
        """Variance of the mean over all genes that are not kept."""
        others = tuple(g for g in range(3) if g not in kept)
        over = np.ones(shape)
        for gene in others:
            index = [1, 1, 1]
            index[gene] = -1
            over = over * weights[gene].reshape(index)
        mean = (over * f).sum(axis=others, keepdims=True)
        return (w * mean**2).sum() / variance

    assert tree.variance == pytest.approx(variance)
    for gene in range(3):
        rest = [other for other in range(3) if other != gene]
        assert tree.mains()[gene] == pytest.approx(explained([gene]))
        assert tree.totals()[gene] == pytest.approx(1 - explained(rest))
    for first, second in itertools.combinations(range(3), 2):
        pair = explained([first, second])
        alone = explained([first]) + explained([second])
        assert tree.interaction(first, second) == pytest.approx(pair - alone)


def test_integers_weigh_as_much_as_they_take_of_their_scale():
    linear = encoding.Feature("n", Interval(1, 5, integer=True))
    assert linear.places == [1, 2, 3, 4, 5]
    np.testing.assert_allclose(linear.support[1], 0.2)
    log = encoding.Feature("n", Interval(1, 7, scale="log", integer=True))
    shares = np.diff(np.log([1, 2, 3, 4, 5, 6, 7, 8])) / np.log(8)
    np.testing.assert_allclose(log.support[1], shares, atol=0.01)


def test_values_that_the_space_does_not_know_are_encoded_apart():
    grid = encoding.Feature("g", Categorical(("a", "b")))
    assert len({grid.encode(v) for v in ("a", "b", "new", None)}) == 4
    interval = encoding.Feature("i", UNIT)
    assert interval.encode(7.0) == 1.0
