"""`ablate`: genes put back to their defaults, and what that costs."""

import json

import keras
import keras_tuner
import numpy as np
import pytest

from keras_evonas import EvolutionarySearch
from keras_evonas import at_least
from keras_evonas import reports
from keras_evonas.fresh_thread import with_fresh_keras
from keras_evonas.tuners import ablation
from tests.folders import Project

pytestmark = pytest.mark.keras

RNG = np.random.default_rng(0)
X = RNG.random((40, 4), "float32")
Y = X.sum(axis=1, keepdims=True)
VALIDATION = (X[:20] + 1.0, Y[:20] + 4.0)
HONEST = (X[20:] + 2.0, Y[20:] + 8.0)
WINNER = {"hidden": True, "units": 8, "rate": 0.02, "momentum": 0.5}
DEFAULT = {"hidden": False, "rate": 0.01, "momentum": 0.0}


def build(hp):
    model = keras.Sequential([keras.Input((4,))])
    hidden = hp.Boolean("hidden", default=False)
    with hp.conditional_scope("hidden", [True]):
        units = hp.Int("units", 2, 8, default=4)
    if hidden:
        model.add(keras.layers.Dense(units, activation="relu"))
    model.add(keras.layers.Dense(1))
    rate = hp.Float("rate", 1e-3, 1e-1, sampling="log", default=0.01)
    momentum = hp.Float("momentum", 0.0, 0.9, default=0.0)
    model.compile(keras.optimizers.SGD(rate, momentum), "mse")
    return model


def tuner_in(folder, hypermodel=build, **options):
    return EvolutionarySearch(
        hypermodel,
        keras_tuner.Objective("val_loss", "min"),
        options.pop("max_trials", 2),
        initial_population=[WINNER, "default"],
        seed=3,
        directory=folder,
        project_name="p",
        verbose=options.pop("verbose", 0),
        **options,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ablation")
    tuner = tuner_in(folder)
    tuner.search(X, Y, epochs=1, validation_data=VALIDATION)
    return folder


def ablate(tuner, **options):
    data = {"validation_data": HONEST, "epochs": 1, "trial_id": "0"}
    return tuner.ablate(X, Y, **{**data, "repeats": 2, **options})


def alone(tuner, values, seed):
    hp = tuner.oracle.get_space()
    hp.values = dict(values)

    def run():
        keras.utils.set_random_seed(seed)
        model = build(hp)
        model.fit(X, Y, epochs=1, verbose=0)
        return model.evaluate(*HONEST, verbose=0)

    return with_fresh_keras(run)


def test_a_gain_is_what_the_default_loses_under_the_same_seed(folder):
    tuner = tuner_in(folder)
    result = ablate(tuner, overwrite=True)

    changed = {
        "hidden": {"hidden": False, "rate": 0.02, "momentum": 0.5},
        "units": {**WINNER, "units": 4},
        "rate": {**WINNER, "rate": 0.01},
        "momentum": {**WINNER, "momentum": 0.0},
    }
    assert {one.gene for one in result.effects} == set(changed)
    assert result.skipped == ()
    whole = [alone(tuner, WINNER, seed) for seed in (4, 5)]
    assert result.scores == pytest.approx(whole)
    effects = {one.gene: one for one in result.effects}
    for gene in ("hidden", "rate"):
        put_back = [alone(tuner, changed[gene], seed) for seed in (4, 5)]
        gains = np.subtract(put_back, whole)
        one = effects[gene]
        assert one.gains == pytest.approx(gains, abs=1e-6)
        assert (one.value, one.default) == (WINNER[gene], DEFAULT[gene])
        assert one.mean == pytest.approx(gains.mean(), abs=1e-6)
        assert one.spread == pytest.approx(gains.std(ddof=1), abs=1e-6)
    means = [one.mean for one in result.effects]
    assert means == sorted(means, reverse=True)

    search = reports.load(folder / "p")
    assert search.ablation.effects == result.effects
    for text in (repr(result), result._repr_html_()):
        assert all(gene in text for gene in changed)


def test_what_it_costs_is_told_before_it_begins(folder, capsys):
    tuner = tuner_in(folder, verbose=1)
    plan = tuner.plan_ablation(trial_id="0", repeats=2, epochs=10)
    assert plan.genes == ("hidden", "units", "rate", "momentum")
    assert plan.num_trainings == 10
    trial = tuner.oracle.get_trial("0")
    each = trial.metrics.get_best_value("train_seconds")  # One epoch's.
    assert plan.seconds == pytest.approx(10 * 10 * each)
    assert tuner.plan_ablation(trial_id="0").seconds is None

    ablate(tuner, genes=["rate"], repeats=1, batch_size=8)
    lines = capsys.readouterr().out.splitlines()
    told = next(i for i, line in enumerate(lines) if "Ablation of" in line)
    assert "1 gene of 4" in lines[told]
    assert "2 trainings, about" in lines[told]
    assert lines[told + 1].startswith("[1/2] trial 0, seed 4: unseen val_loss")


def test_trainings_can_be_limited_and_nothing_is_trained_twice(folder, capsys):
    tuner = tuner_in(folder, verbose=1)
    few = ablate(tuner, max_trainings=5, batch_size=16)
    assert [one.gene for one in few.effects] == ["hidden"]
    assert few.skipped == ("units", "rate", "momentum")
    assert capsys.readouterr().out.count("\n[") == 4
    more = ablate(tuner, genes=["hidden", "rate"], batch_size=16)
    assert {one.gene for one in more.effects} == {"hidden", "rate"}
    assert capsys.readouterr().out.count("\n[") == 2
    one = ablate(tuner, genes="rate", batch_size=16)
    assert one.effects == more.effects
    assert "\n[" not in capsys.readouterr().out


def test_the_genes_that_mattered_most_come_first(tmp_path):
    genes = ["units", "learning_rate"]
    few = Project(tmp_path / "few").run(3)
    assert ablation._by_importance(few, genes) == genes
    # The learning rate makes nearly all the difference there.
    many = Project(tmp_path / "many").run(40)
    assert ablation._by_importance(many, genes) == genes[::-1]


def test_the_chosen_finalist_is_explained(folder):
    tuner = tuner_in(folder)
    entry = {"name": "x", "search_score": 1.0, "honest_scores": [1.0]}
    path = folder / "p" / "finalists.json"
    path.write_text(json.dumps([{**entry, "trial_id": "0", "chosen": True}]))
    plan = tuner.plan_ablation()
    assert (plan.network.name, plan.default_is_better) == ("trial 0", False)
    path.unlink()
    # Without finalists it is the best of the search; trial 1 is the default.
    best = tuner.oracle.get_best_trials(1)[0].trial_id
    plan = tuner.plan_ablation()
    assert plan.network.name == "trial 0"
    assert plan.default_is_better == (best == "1")


@pytest.mark.parametrize("trial_id", ["1", None])
def test_where_the_default_won_the_next_best_is_explained(folder, trial_id):
    tuner = tuner_in(folder)
    entry = {"search_score": 1.0, "honest_scores": [1.0]}
    path = folder / "p" / "finalists.json"
    default = {**entry, "name": "the default", "trial_id": trial_id}
    other = {**entry, "name": "trial 0", "trial_id": "0"}
    path.write_text(json.dumps([{**default, "chosen": True}, other]))
    plan = tuner.plan_ablation()
    path.unlink()
    assert plan.network.name == "trial 0"
    assert plan.default_is_better
    assert str(plan).startswith("The network with all genes at their defaults")


def test_a_search_of_nothing_but_the_default_has_nothing_to_explain(tmp_path):
    tuner = EvolutionarySearch(
        build,
        keras_tuner.Objective("val_loss", "min"),
        1,
        initial_population=["default"],
        directory=tmp_path,
        verbose=0,
    )
    tuner.search(X, Y, epochs=1, validation_data=VALIDATION)
    with pytest.raises(ValueError, match="nothing can be put back"):
        tuner.plan_ablation()


def test_a_variant_that_fails_is_told_and_comes_last(folder):
    def fails(hp):
        if not exploring and not hp.get("hidden"):
            raise ValueError("too simple")
        return build(hp)

    exploring = True
    tuner = tuner_in(folder, fails)
    exploring = False
    options = {"repeats": 1, "overwrite": True}
    result = ablate(tuner, genes=["hidden", "rate"], **options)
    assert [one.gene for one in result.effects] == ["rate", "hidden"]
    assert "too simple" in result.effects[1].message
    assert result.effects[1].mean is None
    assert "then failed" in repr(result)
    assert reports.write_report(folder / "p").exists()


@pytest.mark.parametrize("trial_id", [None, "0"])
def test_a_search_without_a_trial_cannot_be_explained(tmp_path, trial_id):
    with pytest.raises(ValueError, match="must be a completed trial to expl"):
        tuner_in(tmp_path).plan_ablation(trial_id=trial_id)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"trial_id": "7"}, "`trial_id` must be that of a completed trial"),
        ({"trial_id": "1"}, "nothing can be put back"),
        ({"genes": ["width"]}, "`genes` must be genes of the network"),
        ({"genes": []}, "`genes` must be genes of the network"),
        ({"max_trainings": 3}, "which needs 4"),
        ({"max_trainings": 0}, "`max_trainings`"),
        ({"repeats": 0}, "`repeats`"),
        ({"validation_data": None}, "the search never saw"),
    ],
)
def test_bad_arguments_are_refused(folder, change, message):
    with pytest.raises(ValueError, match=message):
        ablate(tuner_in(folder), **change)


def test_a_default_that_breaks_a_constraint_is_not_trained(tmp_path):
    tuner = tuner_in(tmp_path, constraints=[at_least("params", 30)])
    tuner.search(X, Y, epochs=1, validation_data=VALIDATION)
    plan = tuner.plan_ablation(trial_id="0")
    # `hidden=False` has 5 parameters and `units=4` 25.
    assert plan.infeasible == ("hidden", "units")
    assert plan.genes == ("rate", "momentum")
    assert "breaks a constraint: hidden, units." in str(plan)
    result = ablate(tuner, repeats=1)
    assert {one.gene for one in result.effects} == {"rate", "momentum"}
    assert result.skipped == ("hidden", "units")
    with pytest.raises(ValueError, match="keeps the constraints"):
        tuner.plan_ablation(trial_id="0", genes=["units"])
