import sys

import numpy as np
import pytest
from absl import app

from keras_evonas.benchmarks import regrets
from keras_evonas.benchmarks.methods import method
from keras_evonas.benchmarks.methods import method_names
from keras_evonas.benchmarks.regrets import FLOOR
from keras_evonas.benchmarks.regrets import Comparison
from keras_evonas.benchmarks.runs import Curve
from keras_evonas.benchmarks.runs import run_all
from keras_evonas.benchmarks.runs import run_one
from keras_evonas.benchmarks.toys import TOYS
from keras_evonas.benchmarks.toys import Toy
from keras_evonas.evolution.baselines import random_search
from keras_evonas.evolution.engine import Engine
from keras_evonas.evolution.genes import Gene
from keras_evonas.evolution.genes import Interval
from keras_evonas.evolution.randomness import rng_at
from keras_evonas.evolution.recommendation import recommended
from keras_evonas.evolution.space import SearchSpace
from tests.benchmarks.flags import flags_set

STRATEGIES = [name for name in method_names() if "_tuner" not in name]
STRATEGIES = [name for name in STRATEGIES if "optuna" not in name]


@pytest.mark.parametrize("name", TOYS)
def test_half_of_random_genomes_have_a_regret_below_one(name):
    toy = TOYS[name]()
    rng = rng_at(0, 1)
    samples = [toy.regret(toy.space.sample(rng)) for _ in range(500)]
    assert min(samples) > 0
    # Half of them are below 1: 5 standard deviations of a count of 500.
    below = sum(regret < 1 for regret in samples)
    assert abs(below - 250) < 5 * np.sqrt(500) / 2 + 1


def test_the_layers_toy_has_30_genes_of_all_kinds_most_conditional():
    genes = TOYS["layers"]().space.genes
    assert len(genes) == 30
    assert sum(bool(gene.conditions) for gene in genes) == 25
    intervals = [g.domain for g in genes if isinstance(g.domain, Interval)]
    assert any(domain.integer for domain in intervals)
    assert any(domain.scale == "log" for domain in intervals)
    others = [g.domain for g in genes if not isinstance(g.domain, Interval)]
    assert any(domain.values == (False, True) for domain in others)


def test_the_optimum_of_layers_is_zero():
    toy = TOYS["layers"]()
    best = {
        "optimizer": "adam",
        "learning_rate": 10**-3.1,
        "weight_decay": 1e-4,
        "batch_size": 64,
        "depth": 4,
    }
    for index, units in enumerate((256, 181, 128, 91)):
        best[f"layer_{index}/units"] = units
        best[f"layer_{index}/activation"] = ("relu", "gelu")[index % 2]
        best[f"layer_{index}/dropout"] = True
        best[f"layer_{index}/rate"] = 0.3
    assert toy.regret(toy.space.complete(best)) == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize("name", STRATEGIES)
@pytest.mark.parametrize("batch", [1, 4])
def test_regret_never_rises_without_noise(name, batch):
    curve = run_one(TOYS["layers"](), name, 0, trials=20, batch=batch)
    assert curve.regrets.shape == (20,)
    assert (np.diff(curve.regrets) <= 0).all()


def test_the_incumbent_may_be_what_is_recommended():
    space = SearchSpace([Gene("x", Interval(0.0, 1.0, integer=False))])
    toy = Toy("parabola", space, lambda one: (one["x"] - 0.3) ** 2, noise=0.1)
    engine = Engine(space, random_search().configure(30), seed=3)
    expected = []
    for trial in range(30):
        one = engine.ask()
        engine.tell(one.birth, (toy.evaluate(one.genome, 3, trial),))
        best = recommended(space, engine.history.ended)[0]
        expected.append(toy.regret(best.genome))
    curve = run_one(toy, "random+recommended", 3, trials=30)
    assert curve.regrets.tolist() == expected
    assert expected != run_one(toy, "random", 3, trials=30).regrets.tolist()


def test_a_search_behind_a_study_of_optuna():
    pytest.importorskip("optuna")
    curve = run_one(TOYS["layers"](), "optuna_evo", 0, trials=12)
    assert np.isfinite(curve.regrets).all()
    assert (np.diff(curve.regrets) <= 0).all()


def test_the_same_seed_gives_the_same_curve_in_any_process():
    toys = ["layers_noisy", "conditional_trap"]
    alone = run_all(toys, ["random"], range(2), trials=8)
    spread = run_all(toys, ["random"], range(2), trials=8, jobs=2)
    for first, second in zip(alone, spread, strict=True):
        assert first.seed == second.seed
        np.testing.assert_array_equal(first.regrets, second.regrets)


def test_an_unknown_method_lists_the_known_ones():
    with pytest.raises(ValueError, match=r"among \['default'.*Received: 'x'"):
        method("x")


def test_an_absent_package_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ImportError, match=r'`optuna`.*pip install -e "\.\[b'):
        method("optuna_tpe")


def curves():
    regrets = {
        ("a", "first"): [[1.0, 0.2], [1.0, 0.4]],
        ("a", "second"): [[1.0, 0.8], [1.0, 0.8]],
        ("b", "first"): [[1.0, 0.0], [1.0, 0.0]],
        ("b", "second"): [[1.0, 0.5], [1.0, 0.5]],
    }
    return [
        Curve(problem, name, seed, np.array(values))
        for (problem, name), runs in regrets.items()
        for seed, values in enumerate(runs)
    ]


def test_means_errors_and_geometric_means():
    comparison = Comparison(curves())
    assert comparison.problems == ["a", "b"]
    assert comparison.methods == ["first", "second"]
    means, errors = comparison.summaries["a", "first"]
    np.testing.assert_allclose(means, [1, 0.3])
    # deviation of 0.2 and 0.4: 0.1414; over the root of 2: 0.1
    np.testing.assert_allclose(errors, [0, 0.1])
    np.testing.assert_allclose(
        comparison.geometric_means("first"), [1, np.sqrt(0.3 * FLOOR)]
    )
    np.testing.assert_allclose(
        comparison.geometric_means("second"), [1, np.sqrt(0.8 * 0.5)]
    )


def test_markdown_shows_the_best_and_the_losses():
    table = Comparison(curves()).markdown([2])
    assert "| a | **0.3000 ± 0.1000** | 0.8000 ± 0.0000 lost |" in table
    assert "geometric mean" in table


def test_the_command_writes_tables_and_a_plot(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    with flags_set(
        regrets,
        toys=["conditional_trap", "layers"],
        methods=["genetic_algorithm", "random"],
        seeds=2,
        trials=6,
        jobs=1,
        markdown=str(tmp_path / "table.md"),
        plot=str(tmp_path / "plot.png"),
    ):
        regrets.main()
    written = (tmp_path / "table.md").read_text(encoding="utf-8")
    assert written.strip() == capsys.readouterr().out.strip()
    assert "conditional_trap" in written
    assert (tmp_path / "plot.png").read_bytes()[1:4] == b"PNG"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "must name something to search"),
        ({"toys": ["x"]}, "toy among"),
        ({"tables": ["absent.npz"]}, "absent.npz"),
        ({"toys": ["layers"], "methods": ["x"]}, "`methods` must be among"),
    ],
)
def test_bad_flags_are_usage_errors(given, message):
    with flags_set(regrets, **given), pytest.raises(app.UsageError) as error:
        regrets.main()
    assert message in str(error.value)
