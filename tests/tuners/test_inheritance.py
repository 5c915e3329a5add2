"""Children that inherit: recorded, in cohorts, and taken up again."""

import keras
import keras_tuner
import numpy as np
import pytest

from keras_evonas import EvolutionarySearch
from keras_evonas import EvoOracle
from keras_evonas.evolution import Evolution
from keras_evonas.evolution import genetic_algorithm
from keras_evonas.evolution import successive_halving
from keras_evonas.models import inherit_weights
from keras_evonas.oracles.fidelity import INHERITS
from tests.searches import Search

pytestmark = pytest.mark.keras

TRIALS = 5


def data():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(64, 6)).astype("float32")
    return x, (x[:, :1] * x[:, 1:2] > 0).astype("float32")


def build(hp):
    model = keras.Sequential([keras.Input((6,))])
    for i in range(hp.Int("depth", 1, 2)):
        model.add(keras.layers.Dense(hp.Choice(f"units_{i}", [4, 8, 16])))
        model.add(keras.layers.ReLU())
    model.add(keras.layers.Dense(1, activation="sigmoid"))
    model.compile(
        keras.optimizers.SGD(hp.Choice("rate", [0.01, 0.05]), 0.9),
        "binary_crossentropy",
        metrics=["accuracy"],
    )
    return model


def searched(folder, **arguments):
    settings = {
        "objective": keras_tuner.Objective("val_loss", "min"),
        "max_trials": TRIALS,
        "strategy": Evolution(population_size=2),
        "inherit_weights": True,
        "seed": 0,
        "directory": folder,
        "project_name": "search",
        "verbose": 0,
    }
    tuner = EvolutionarySearch(build, **{**settings, **arguments})
    x, y = data()
    tuner.search(x, y, epochs=3, validation_data=(x, y))
    return tuner


def results(tuner):
    oracle = tuner.oracle
    return {
        trial_id: (trial.hyperparameters.values, trial.score)
        for trial_id, trial in sorted(oracle.trials.items())
    }


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    return searched(tmp_path_factory.mktemp("alone"), cohort_size=1)


def test_the_record_says_who_inherited(alone):
    oracle = alone.oracle
    heirs = 0
    for trial_id, trial in oracle.trials.items():
        one = oracle.individual(trial_id)
        parent = trial.hyperparameters.values.get(INHERITS)
        expected = one.parents and oracle.start_order[one.parents[0]]
        assert (parent or ()) == expected
        heirs += parent is not None
    assert heirs >= 2


def test_training_is_what_follows_inheriting(alone):
    trial = next(
        trial
        for trial in alone.oracle.trials.values()
        if INHERITS in trial.hyperparameters.values
    )
    hp = trial.hyperparameters
    parent = alone.load_model(alone.oracle.get_trial(hp.values[INHERITS]))
    keras.utils.set_random_seed(0)
    child = build(hp)
    inherit_weights(parent, child, seed=0)
    x, y = data()
    logs = child.fit(x, y, epochs=3, verbose=0).history
    (curves,) = alone.learning_curves(trial.trial_id)
    assert curves["loss"] == logs["loss"]


@pytest.mark.slow
def test_a_cohort_inherits_as_one_alone_does(tmp_path):
    # The same trials, so what they are told is the same.
    settings = {"executions_per_trial": 2, "max_trials": 3}
    one = searched(tmp_path / "one", cohort_size=1, **settings)
    two = searched(tmp_path / "two", cohort_size=2, **settings)
    assert results(one) == results(two)
    assert any(INHERITS in values for values, _ in results(two).values())


@pytest.mark.slow
def test_a_search_that_was_cut_goes_on_inheriting(alone, tmp_path):
    short = searched(tmp_path, cohort_size=1, max_trials=3)
    assert len(results(short)) == 3
    longer = searched(tmp_path, cohort_size=1)
    assert results(longer) == results(alone)


@pytest.mark.slow
def test_the_budget_is_shared(tmp_path):
    tuner = searched(tmp_path, inherited_epochs=1, max_trials=4)
    lengths = {
        (
            INHERITS in trial.hyperparameters.values,
            len(tuner.learning_curves(trial_id)[0]["loss"]),
        )
        for trial_id, trial in tuner.oracle.trials.items()
    }
    assert lengths == {(False, 3), (True, 1)}


def test_promoted_trials_go_on_from_their_own_weights(tmp_path):
    strategy = successive_halving(
        genetic_algorithm(population_size=4), max_epochs=9
    )
    search = Search(
        tmp_path / "a", strategy=strategy, inherit_weights=True
    ).finish()
    oracle = search.oracle
    kinds = set()
    for trial_id, values in search.proposed.items():
        one = oracle.individual(trial_id)
        assert ("tuner/trial_id" in values) == (one.continues is not None)
        assert (INHERITS in values) == (
            one.continues is None and bool(one.parents)
        )
        kinds.add((one.continues is not None, bool(one.parents)))
    assert len(kinds) == 3


def test_cut_after_every_trial_inherits_the_same(
    tmp_path,
):
    settings = {
        "strategy": Evolution(population_size=4),
        "inherit_weights": True,
        "failing": True,
        "max_trials": 14,
    }
    uncut = Search(tmp_path / "uncut", **settings)
    cuts = []
    while uncut.step():
        cuts.append(uncut.cut(tmp_path / f"cut{len(cuts)}"))
    assert any(INHERITS in values for values in uncut.proposed.values())
    for cut in cuts:
        assert cut.finish().proposed == uncut.proposed


def test_another_way_of_inheriting_is_another_search(tmp_path):
    Search(tmp_path / "a", inherit_weights=True, max_trials=2).finish()
    with pytest.raises(ValueError, match="`inheritance` was"):
        Search(tmp_path / "a", max_trials=2).finish()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"inherited_epochs": 3}, "inherit_weights=True"),
        ({"inherit_weights": True, "inherited_epochs": 0}, "at least 1"),
        (
            {
                "inherit_weights": True,
                "inherited_epochs": 2,
                "strategy": successive_halving(max_epochs=9),
            },
            "Leave it out",
        ),
    ],
)
def test_bad_arguments_are_named(arguments, words):
    with pytest.raises(ValueError, match=words):
        EvoOracle("val_loss", 5, **arguments)
