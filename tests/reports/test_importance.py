"""Gene importance, on functions whose answer is known."""

import dataclasses
import itertools
import pathlib

import numpy as np
import pytest

from keras_evonas import reports
from keras_evonas.evolution import Categorical
from keras_evonas.evolution import Condition
from keras_evonas.evolution import Engine
from keras_evonas.evolution import Gene
from keras_evonas.evolution import Grid
from keras_evonas.evolution import Interval
from keras_evonas.evolution import SearchSpace
from keras_evonas.evolution import genetic_algorithm
from keras_evonas.project.networks import networks_of
from keras_evonas.reports import features as features_lib
from keras_evonas.reports import importance as importance_lib
from keras_evonas.reports import shares
from keras_evonas.reports import trial_model
from keras_evonas.reports.figures import genes as genes_lib
from keras_evonas.reports.page import render

UNIT = Interval(0.0, 1.0)


def search_of(genes, found, direction="min"):
    """A search with a trial for each pair of a genome and a score."""
    trials = [
        reports.Trial(
            trial_id=str(number),
            number=number,
            status="COMPLETED",
            values=genome,
            scores=(float(score),),
        )
        for number, (genome, score) in enumerate(found)
    ]
    return reports.Search(
        folder=pathlib.Path("x"),
        objectives=(reports.Objective("score", direction),),
        trials=tuple(trials),
        space=SearchSpace(genes),
    )


def importance_of(genes, score, count=400, direction="min", seed=0):
    space = SearchSpace(genes)
    rng = np.random.default_rng(seed)
    genomes = [space.sample(rng) for _ in range(count)]
    found = [(genome, score(genome)) for genome in genomes]
    return reports.gene_importance(search_of(genes, found, direction))


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


CONDITIONAL = [
    Gene("kind", Categorical(("plain", "deep"))),
    Gene("depth", Grid((1, 2, 3)), (Condition("kind", ("deep",)),)),
    Gene("idle", UNIT, (Condition("kind", ("deep",)),)),
]


def test_a_gene_that_is_not_active_is_a_value_of_its_own():
    found = importance_of(CONDITIONAL, lambda g: g.get("depth", 0), 300)
    # Active in half of the networks: the values -, 1, 2, 3 weigh 3:1:1:1.
    values = dict(found.effects["depth"])
    assert set(values) == {1, 2, 3, None}
    assert values[None] < values[1] < values[2] < values[3]
    kind, depth, _ = features_lib.features(SearchSpace(CONDITIONAL), [{}])
    assert kind.options == ["plain", "deep"]
    assert depth.options == [1, 2, 3, None]


def test_a_gene_is_credited_with_what_it_switches_on():
    found = importance_of(CONDITIONAL, lambda g: g.get("depth", 0), 300)
    # The scores 0, 1, 2, 3 weigh 3:1:1:1: their variance is 4/3. `kind` alone
    # explains 1 (0 against 2). With depth v it changes the score by v: that is
    # the mean of v² / 4, or 7/6. The depths' own variance, 2/3, counts in the
    # half of networks that have one.
    assert found.main["kind"] == pytest.approx(3 / 4, abs=0.03)
    assert found.total["kind"] == pytest.approx(7 / 8, abs=0.03)
    assert found.total["depth"] == pytest.approx(1 / 4, abs=0.03)
    pair = found.interactions["kind", "depth"]
    assert pair == pytest.approx(7 / 8 - 3 / 4, abs=0.03)
    assert found.total["idle"] < found.total["depth"] / 3
    assert found.sure == ("kind", "depth")


def test_what_a_gene_switches_on_gets_no_credit_for_it():
    rng = np.random.default_rng(0)
    found = importance_of(
        CONDITIONAL,
        lambda g: (g["kind"] == "deep") + 0.3 * rng.normal(),
        60,
    )
    assert found.sure == ("kind",)
    assert found.total["depth"] < 0.05
    assert found.total["idle"] < 0.05


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
    rng = np.random.default_rng(0)
    genomes = [
        {"a": float(rng.random() ** 3), "b": float(rng.random())}
        for _ in range(1500)
    ]
    tried = [(genome, genome["a"] + 0.2 * genome["b"]) for genome in genomes]
    found = reports.gene_importance(search_of(genes, tried))
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


def test_genes_of_one_name_have_one_importance_and_all_values():
    genes = [
        Gene("kind", Categorical(("small", "large"))),
        Gene("units", Grid((1, 2, 3)), (Condition("kind", ("small",)),)),
        Gene("units", Grid((10, 20)), (Condition("kind", ("large",)),)),
    ]
    found = importance_of(genes, lambda g: g["units"], 60)
    assert found.sure == ("kind", "units")
    for value, loss in found.effects["units"]:
        assert loss == pytest.approx(value, abs=0.5)


def test_genes_and_values_that_the_space_lacks_are_no_obstacle():
    rng = np.random.default_rng(0)
    found = []
    for number in range(40):
        genome = {**SearchSpace(MIXED).sample(rng), "added": number % 3}
        if number % 5 == 0:
            genome |= {"rate": 7.0, "norm": "removed"}
        found.append((genome, number % 3 + 0.1 * rng.normal()))
    result = reports.gene_importance(search_of(MIXED, found))
    assert result.sure == ("added",)
    for value, loss in result.effects["added"]:
        assert loss == pytest.approx(value, abs=0.1)


@pytest.mark.parametrize("seed", range(6))
def test_shares_agree_with_a_table_of_all_networks(seed):
    """Shares of sampled networks against averages over the whole space."""
    rng = np.random.default_rng(seed)
    space = SearchSpace(
        [
            Gene("a", Grid((1, 2, 3, 4))),
            Gene("b", Categorical(("x", "y", "z"))),
            Gene("c", Grid((1, 2)), (Condition("b", ("x", "y")),)),
        ]
    )
    genomes = [space.sample(rng) for _ in range(20)]
    trials = trial_model.trials_of(space, genomes, rng.normal(size=20))
    model, _ = trial_model.models(trials)
    networks = shares.Networks(space, trials.encoding, 2000)

    shape = [4, 3, 2]  # of the table of all codes
    codes = np.array(list(itertools.product(*map(range, shape))), float)
    f = model.losses(codes).reshape(shape)
    f = f - f.mean()
    variance = (f**2).mean()

    def explained(kept):
        """Variance of the mean over all genes that are not kept."""
        others = tuple(g for g in range(3) if g not in kept)
        return (f.mean(axis=others) ** 2).mean() / variance

    columns = features_lib.features(space, genomes)
    # A share of 2 000 networks: its standard deviation is below 0.02.
    near = 5 * 0.02
    assert networks.variance(model) == pytest.approx(variance, rel=near)
    for gene, column in enumerate(columns):
        rest = [other for other in range(3) if other != gene]
        found = networks.shares(model, column, variance)
        assert found.main == pytest.approx(explained([gene]), abs=near)
        assert found.total == pytest.approx(1 - explained(rest), abs=near)
    for first, second in itertools.combinations(range(3), 2):
        pair = explained([first, second])
        alone = explained([first]) + explained([second])
        found = networks.interaction(
            model, columns[first], columns[second], variance
        )
        assert found == pytest.approx(pair - alone, abs=near)


MIXED = [
    Gene("rate", Interval(1e-4, 1.0, scale="log")),
    Gene("units", Grid((16, 32, 64, 128))),
    Gene("norm", Categorical(("none", "batch", "layer"))),
    Gene("optimizer", Categorical(("sgd", "adam"))),
    Gene("momentum", UNIT, (Condition("optimizer", ("sgd",)),)),
    *(Gene(f"idle_{n}", UNIT) for n in range(3)),
]


def digits(genome, rng):
    """A loss as of small networks: two genes matter, and some diverge."""
    if genome["rate"] > 0.5:
        return 0.9
    away = np.log10(genome["rate"]) + 2
    worse = 0.04 * (genome["norm"] == "none")
    return 0.03 + 0.02 * away**2 + worse + 0.004 * rng.normal()


@pytest.mark.parametrize("seed", range(4))
def test_genes_that_matter_are_named_though_some_networks_diverge(seed):
    rng = np.random.default_rng(100 + seed)
    found = importance_of(MIXED, lambda g: digits(g, rng), 40, seed=seed)
    assert set(found.sure) == {"rate", "norm"}
    assert found.fit > 0.5


@pytest.mark.parametrize("seed", range(3))
def test_genes_that_matter_are_named_after_evolution(seed):
    """Trials of a search lie close to each other, and are not independent."""
    rng = np.random.default_rng(seed)
    engine = Engine(
        SearchSpace(MIXED),
        genetic_algorithm(population_size=12).configure(60),
        seed=seed,
    )
    found = []
    for _ in range(60):
        one = engine.ask()
        found.append((one.genome, digits(one.genome, rng)))
        engine.tell(one.birth, (found[-1][1],))
    result = reports.gene_importance(search_of(MIXED, found))
    assert set(result.sure) == {"rate", "norm"}


def test_a_network_counts_with_what_its_whole_training_would_reach():
    """With gains that are all the same, rungs change nothing."""
    rng = np.random.default_rng(0)
    genomes = [SearchSpace(MIXED).sample(rng) for _ in range(40)]
    found = [(genome, digits(genome, rng)) for genome in genomes]
    whole = search_of(MIXED, found)
    trials = []
    for number, (_, loss) in enumerate(found):
        for rung in range(1 + (number % 3 == 0) + (number % 9 == 0)):
            one = dataclasses.replace(
                whole.trials[number],
                trial_id=f"{number}.{rung}",
                scores=(loss + (0.5, 0.2, 0.0)[rung],),
                rung=rung,
                continues=f"{number}.{rung - 1}" if rung else None,
            )
            trials.append(one)
    rungs = dataclasses.replace(
        whole, trials=networks_of(trials), recorded=tuple(trials)
    )
    assert len(rungs.trials) == 40
    expected = reports.gene_importance(whole)
    result = reports.gene_importance(rungs)
    assert result.sure == expected.sure == ("rate", "norm")
    assert dict(result.total) == pytest.approx(dict(expected.total), rel=1e-3)
    for name in result.sure:  # So do the points behind what is expected.
        drawn = [_drawn(search, name) for search in (whole, rungs)]
        assert drawn[1] == pytest.approx(drawn[0], abs=1e-5)
    said = "if they had gained as others did"  # The page says what it shows.
    assert said in render(rungs)
    assert said not in render(whole)


def _drawn(search, name):
    result = reports.gene_importance(search)
    genomes = [trial.genes for trial in search.completed]
    features = features_lib.features(search.space, genomes)
    feature = next(one for one in features if one.name == name)
    figure = genes_lib.values(search, result, feature)
    return figure.data[0]["y"]


@pytest.mark.slow
@pytest.mark.parametrize("count", [30, 60])
@pytest.mark.parametrize("genes", [MIXED, CONDITIONAL], ids=["mixed", "deep"])
def test_noise_names_a_gene_in_at_most_5_of_100_searches(genes, count):
    named = []
    for seed in range(100):
        rng = np.random.default_rng(1000 + seed)
        found = importance_of(
            genes, lambda _, rng=rng: rng.normal(), count, seed=seed
        )
        named.append(found.reliable)
    assert sum(named) <= 5


def test_integers_weigh_as_much_as_they_take_of_their_scale():
    linear = features_lib.Feature("n", Interval(1, 5, integer=True))
    assert linear.places == [1, 2, 3, 4, 5]
    np.testing.assert_allclose(linear.weights, 0.2)
    log = features_lib.Feature("n", Interval(1, 7, scale="log", integer=True))
    shares = np.diff(np.log([1, 2, 3, 4, 5, 6, 7, 8])) / np.log(8)
    np.testing.assert_allclose(log.weights, shares, atol=0.01)


def test_genes_that_only_genomes_have_come_last_with_their_values():
    tried = [{"kind": "deep", "new": 3}, {"kind": "plain", "new": 5, "a": 1}]
    found = features_lib.features(SearchSpace(CONDITIONAL), tried)
    assert [one.name for one in found[3:]] == ["a", "new"]
    assert [one.options for one in found[3:]] == [[1, None], [3, 5]]
