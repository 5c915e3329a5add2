"""`OneShotTuner`: searches over a supernet, killed, taken up again, ended."""

import functools
import multiprocessing
import os
import shutil
import signal

import keras
import keras_tuner
import numpy as np
import pytest
import tensorflow as tf
from keras_tuner.engine import trial as trial_lib
from scipy import stats

from keras_evonas import EvoOracle
from keras_evonas import OneShotTuner
from keras_evonas import at_most
from keras_evonas import reports
from keras_evonas.evolution import random_search
from keras_evonas.evolution import successive_halving
from keras_evonas.execution import Processes
from keras_evonas.models import layer_choice
from keras_evonas.models.costs import HypermodelCosts
from keras_evonas.supernets import FrozenPath
from keras_evonas.supernets import single_path
from tests.supernets.spaces import X_VAL
from tests.supernets.spaces import Y_VAL
from tests.supernets.spaces import X
from tests.supernets.spaces import Y
from tests.supernets.spaces import branched
from tests.supernets.spaces import chain
from tests.supernets.spaces import compiled

pytestmark = pytest.mark.keras
FIT = {"batch_size": 32, "validation_data": (X_VAL, Y_VAL), "verbose": 0}


def rated(hp):
    """A chain that asks for a learning rate, too."""
    rate = hp.Float("rate", 1e-3, 1.0, sampling="log", default=0.1)
    return chain(hp, lambda: keras.optimizers.SGD(rate, momentum=0.9))


def tuner_in(folder, build=rated, *, max_trials=6, oracle=None, **kwargs):
    oracle = oracle or EvoOracle("val_accuracy", max_trials, seed=0)
    return OneShotTuner(
        oracle=oracle,
        hypermodel=build,
        sharing=kwargs.pop("sharing", single_path(2)),
        directory=folder,
        project_name="search",
        **kwargs,
    )


def trials_of(tuner):
    return [
        (t.trial_id, t.hyperparameters.values, t.score)
        for t in tuner.oracle.trials.values()
    ]


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    folder = tmp_path_factory.mktemp("one_shot")
    build = rated
    size = HypermodelCosts(build)(keras_tuner.HyperParameters()).params
    limit = at_most("params", size + 12)
    oracle = EvoOracle("val_accuracy", 6, seed=0, constraints=[limit])
    tuner = tuner_in(folder, build, oracle=oracle)
    tuner.search(X, Y, **FIT)
    return folder, tuner, limit


def test_trials_have_scores_of_the_shared_weights_and_keep_limits(searched):
    _, tuner, limit = searched
    trials = list(tuner.oracle.trials.values())
    assert [trial.status for trial in trials] == ["COMPLETED"] * 6
    for trial in trials:
        assert trial.hyperparameters.values["rate"] == 0.1  # It is held.
        costs = HypermodelCosts(rated)(trial.hyperparameters)
        assert trial.metrics.get_best_value("params") == costs.params
        assert costs.params <= limit.bound
    assert len({trial.score for trial in trials}) > 1


def test_a_supernet_that_is_read_scores_as_the_one_that_was_trained(
    searched, tmp_path
):
    folder, tuner, limit = searched
    shutil.copytree(
        folder / "search" / "supernet", tmp_path / "search" / "supernet"
    )
    oracle = EvoOracle("val_accuracy", 6, seed=0, constraints=[limit])
    again = tuner_in(tmp_path, oracle=oracle)
    again.search(X, Y, **FIT)
    assert trials_of(again) == trials_of(tuner)


def test_best_models_score_what_their_trials_say(searched):
    _, tuner, _ = searched
    models = tuner.get_best_models(3)
    for trial, model in zip(
        tuner.oracle.get_best_trials(3), models, strict=True
    ):
        _, accuracy = model.evaluate(X_VAL, Y_VAL, verbose=0)
        assert accuracy == pytest.approx(trial.score, abs=1e-6)
        same = tuner.load_model(trial.trial_id)
        for one, other in zip(same.weights, model.weights, strict=True):
            np.testing.assert_array_equal(one, other)


def test_models_with_dropout_score_what_their_trials_say(tmp_path):
    """Moving averages are those of the very dropout that was scored."""

    def build(hp):
        inputs = keras.Input((6,))
        tensor = keras.layers.Dropout(0.5)(keras.layers.Dense(8)(inputs))
        tensor = keras.layers.BatchNormalization()(tensor)
        dense = {
            name: functools.partial(keras.layers.Dense, 4, name)
            for name in ("relu", "tanh")
        }
        return compiled(inputs, layer_choice(hp, "kind", dense)(tensor))

    oracle = EvoOracle("val_loss", 2, seed=0)
    tuner = tuner_in(tmp_path, build, oracle=oracle)
    tuner.search(X, Y, **FIT)
    for trial in oracle.trials.values():
        loss, _ = tuner.load_model(trial).evaluate(X_VAL, Y_VAL, verbose=0)
        assert loss == pytest.approx(trial.score, abs=1e-6)


@pytest.mark.parametrize(
    ("trial", "error", "message"),
    [
        ("9", ValueError, "Received: '9', and there are \\['0', '1'"),
        (3, TypeError, "Received: 3 of type int"),
    ],
)
def test_a_model_that_there_is_not_says_so(searched, trial, error, message):
    _, tuner, _ = searched
    with pytest.raises(error, match=message):
        tuner.load_model(trial)


def test_pages_and_tables_show_the_search(searched):
    folder, tuner, _ = searched
    search = reports.load(folder / "search")
    best = tuner.oracle.get_best_trials(1)[0]
    assert search.ranking[0].trial_id == best.trial_id
    said = "shared weights of a supernet that was trained for 2 epochs"
    assert any(said in note for note in search.notes)
    with open(tuner.report(), encoding="utf-8") as page:
        assert said in page.read()


def test_finalize_trains_a_shortlist_from_scratch(searched):
    _, tuner, _ = searched
    finals = tuner.finalize(
        X,
        Y,
        validation_data=(X_VAL[::-1].copy() + 1, Y_VAL),
        epochs=1,
        top_k=2,
        repeats=1,
        verbose=0,
    )
    assert sum(len(one.honest_scores) for one in finals.finalists) >= 2
    assert finals.load_model().predict(X[:2], verbose=0).shape == (2, 3)


def test_a_rank_check_compares_with_trainings_alone(searched):
    _, tuner, limit = searched
    fit = {"epochs": 1, "verbose": 0}
    unseen = (X_VAL + 1, Y_VAL)
    found = tuner.rank_check(X, Y, validation_data=unseen, networks=4, **fit)
    assert len({str(one.values) for one in found.networks}) == 4
    alone = [one.alone for one in found.networks]
    shared = [one.shared for one in found.networks]
    expected = stats.kendalltau(shared, alone).statistic
    assert found.tau == pytest.approx(expected, nan_ok=True)
    for one in found.networks:
        hp = keras_tuner.HyperParameters()
        hp.values = dict(one.values)
        assert HypermodelCosts(rated)(hp).params == one.params <= limit.bound
        _, accuracy = _cut(tuner, hp).evaluate(X_VAL, Y_VAL, verbose=0)
        assert accuracy == pytest.approx(one.shared, abs=1e-6)
    with pytest.raises(ValueError, match="at least 2"):
        tuner.rank_check(X, Y, validation_data=unseen, networks=1, **fit)


def test_a_rank_check_says_why_too_few_were_trained(searched):
    def fail(epoch, logs=None):
        raise RuntimeError("no more disk")

    callback = keras.callbacks.LambdaCallback(on_epoch_begin=fail)
    _, tuner, _ = searched
    with pytest.raises(RuntimeError, match=r"(?s)2 networks 0.*no more disk"):
        tuner.rank_check(
            X,
            Y,
            validation_data=(X_VAL + 1, Y_VAL),
            networks=2,
            epochs=1,
            verbose=0,
            callbacks=[callback],
        )


def _cut(tuner, hp):
    return tuner.load_model(trial_lib.Trial(hyperparameters=hp))


def test_a_search_goes_on_with_its_supernet(searched, capsys):
    folder, tuner, _ = searched
    before = trials_of(tuner)
    oracle = EvoOracle(
        "val_accuracy", 8, seed=0, constraints=tuner.oracle.constraints
    )
    again = tuner_in(folder, oracle=oracle)
    with pytest.raises(ValueError, match="`search` must be called"):
        again.get_best_models()
    again.search(X, Y, **{**FIT, "verbose": 1})
    assert "Supernet: epoch" not in capsys.readouterr().out
    assert trials_of(again)[:6] == before
    assert len(again.oracle.trials) == 8


class _Cut(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 1:
            raise KeyboardInterrupt


def test_a_supernet_that_was_cut_goes_on_without_a_seed(tmp_path):
    """Before the first trial nothing else tells which seed was drawn."""
    sharing = single_path(3)
    tuner = tuner_in(tmp_path, oracle=EvoOracle("val_loss", 2), sharing=sharing)
    with pytest.raises(KeyboardInterrupt):
        tuner.search(X, Y, **FIT, callbacks=[_Cut()])
    again = tuner_in(tmp_path, oracle=EvoOracle("val_loss", 2), sharing=sharing)
    assert again._training_seed == tuner._training_seed
    again.search(X, Y, **FIT)
    assert len(again.oracle.trials) == 2
    other = tuner_in(tmp_path, oracle=EvoOracle("val_loss", 2), seed=1)
    assert other._training_seed == 1


@pytest.mark.slow
def test_a_second_search_reads_the_supernet_of_the_first(
    searched, tmp_path, capsys
):
    folder, _, _ = searched
    place = tmp_path / "search" / "supernet"
    shutil.copytree(folder / "search" / "supernet", place)
    oracle = EvoOracle("val_loss", 3, seed=1)
    tuner = tuner_in(tmp_path, oracle=oracle, seed=0)
    tuner.search(X, Y, **{**FIT, "verbose": 1})
    assert "Supernet: epoch" not in capsys.readouterr().out
    assert len(tuner.oracle.trials) == 3


@pytest.mark.slow
def test_the_path_of_one_task_does_not_move_in_another(searched, tmp_path):
    _, tuner, _ = searched
    best = tuner.oracle.get_best_trials(1)[0]
    values = best.hyperparameters.values
    network = tuner.load_model(best)
    frozen = FrozenPath(values=values, network=network)
    expected = network.get_weights()
    second = tuner_in(tmp_path, max_trials=3, frozen=frozen)
    second.search(X, (Y + 1) % 3, **FIT)
    path = second.supernet.path_of(values)
    found = [w.numpy() for w in second.supernet.weights_on(path)]
    for value, own in zip(found[:-2], expected[:-2], strict=True):
        assert (value == own).all()
    assert (found[-2] != expected[-2]).any()  # The head is new.
    for trial in second.oracle.trials.values():
        cut = second.load_model(trial).evaluate(X_VAL, Y_VAL, verbose=0)
        assert cut[1] == pytest.approx(trial.score, abs=1e-6)
        loss = trial.metrics.get_best_value("val_loss")
        assert cut[0] == pytest.approx(loss, abs=1e-6)
    # Without the path, or with another one, its supernet is another.
    third = tuner_in(tmp_path, max_trials=4)
    with pytest.raises(ValueError, match="holds another training"):
        third.search(X, (Y + 1) % 3, **FIT)


def _search_in(folder):
    tuner_in(folder, branched, sharing=single_path(4)).search(X, Y, **FIT)


@pytest.mark.slow
def test_a_search_that_is_killed_ends_as_one_that_is_not(tmp_path):
    whole = tuner_in(tmp_path / "whole", branched, sharing=single_path(4))
    whole.search(X, Y, **FIT)
    folder = tmp_path / "killed"
    context = multiprocessing.get_context("spawn")
    ended = False
    for _ in range(20):
        marks = (
            folder / "search" / "supernet" / "supernet.json",
            folder / "search" / "trial_2" / "trial.json",
        )
        process = context.Process(target=_search_in, args=(folder,))
        known = [mark.exists() and mark.stat().st_mtime_ns for mark in marks]
        process.start()
        while process.is_alive():
            now = [mark.exists() and mark.stat().st_mtime_ns for mark in marks]
            if now != known:  # Something was written: now it dies.
                os.kill(process.pid, signal.SIGKILL)
            process.join(0.01)
        if process.exitcode == 0:
            ended = True
            break
    assert ended
    again = tuner_in(folder, branched, sharing=single_path(4))
    again.search(X, Y, **FIT)
    assert trials_of(again) == trials_of(whole)


BAD_TUNERS = {
    "executor": ({"executor": Processes(workers=2)}, TypeError, "'executor'"),
    "cv": ({"cv": 3}, TypeError, "takes no 'cv'.*EvoTuner"),
    "sharing": ({"sharing": "uniform"}, TypeError, "made by `single_path"),
    "frozen": ({"frozen": {"kind": "a"}}, TypeError, "`frozen`.*FrozenPath"),
    "rungs": (
        {
            "oracle": EvoOracle(
                "val_accuracy", 5, strategy=successive_halving(max_epochs=9)
            )
        },
        ValueError,
        "must not have rungs",
    ),
    "inherits": (
        {"oracle": EvoOracle("val_accuracy", 5, inherit_weights=True)},
        ValueError,
        "inherit weights",
    ),
    "no hypermodel": ({"build": None}, ValueError, "`hypermodel` must be"),
}


@pytest.mark.parametrize("name", BAD_TUNERS)
def test_what_does_not_go_with_a_supernet_is_refused(tmp_path, name):
    given, error, message = BAD_TUNERS[name]
    with pytest.raises(error, match=f"(?s){message}"):
        tuner_in(tmp_path, **given)


BAD_SEARCHES = {
    "epochs": ({"epochs": 3}, "`epochs` of the supernet are those of"),
    "no validation": ({"validation_data": None}, "`validation_data`"),
    "feasible": ({}, "an oracle without any.*sampler='uniform'"),
    "shapes": ({"validation_data": (X_VAL[:, :2], Y_VAL)}, "validation_data"),
    "saves all": (
        {"callbacks": [keras.callbacks.ModelCheckpoint("best.keras")]},
        "`callbacks` must not save whole models",
    ),
}


@pytest.mark.parametrize("name", BAD_SEARCHES)
def test_bad_calls_of_search_cost_no_trial(tmp_path, name):
    given, message = BAD_SEARCHES[name]
    sampler = "feasible" if name == "feasible" else "uniform"
    tuner = tuner_in(tmp_path, sharing=single_path(2, sampler=sampler))
    with pytest.raises(ValueError, match=message):
        tuner.search(X, Y, **{**FIT, **given})
    assert not tuner.oracle.trials


@pytest.mark.slow
def test_limits_that_no_network_keeps_cost_no_training(tmp_path):
    for bound in (10, 400):
        limit = at_most("params", bound)
        oracle = EvoOracle("val_accuracy", 2, seed=0, constraints=[limit])
        tuner = tuner_in(tmp_path, oracle=oracle, sharing=single_path(1))
        if bound == 10:
            with pytest.raises(ValueError, match=r"nothing to search.*skip"):
                tuner.search(X, Y, **FIT)
            assert not (tmp_path / "search" / "supernet").exists()
        else:  # Loosened, in the same folder.
            tuner.search(X, Y, **FIT)
    assert len(tuner.oracle.trials) == 2


def test_memory_is_judged_by_the_batches_of_a_data_set(tmp_path):
    hp = keras_tuner.HyperParameters()
    hp.values = {"layer_0": "skip", "layer_1": "skip"}
    small = HypermodelCosts(rated, batch_size=32)(hp).training_bytes
    limit = at_most("training_bytes", small)
    oracle = EvoOracle("val_accuracy", 2, seed=0, constraints=[limit])
    tuner = tuner_in(tmp_path, oracle=oracle, sharing=single_path(1))
    batches = tf.data.Dataset.from_tensor_slices((X, Y)).batch(64)
    with pytest.raises(ValueError, match=r"nothing to search.*training_bytes"):
        tuner.search(batches, validation_data=(X_VAL, Y_VAL), verbose=0)


def test_networks_that_may_not_be_proposed_are_not_trained(tmp_path):
    build = rated
    small = keras_tuner.HyperParameters()
    small.values = {"layer_0": "skip", "layer_1": "skip"}
    # Room for "tanh" twice, but for no "dense".
    limit = at_most("params", HypermodelCosts(build)(small).params + 32)
    oracle = EvoOracle("val_accuracy", 3, seed=0, constraints=[limit])
    sharing = single_path(2, sampler="feasible")
    tuner = tuner_in(tmp_path, build, oracle=oracle, sharing=sharing)
    tuner.search(X, Y, **FIT)
    means = [
        np.array(weight)
        for weight in tuner.supernet.network.weights
        if weight.name == "moving_mean"  # of the two "dense"
    ]
    assert len(means) == 2
    assert not np.any(means)


@pytest.mark.slow
def test_scores_of_a_supernet_trained_longer_are_told_apart(tmp_path):
    tuner_in(tmp_path, max_trials=1).search(X, Y, **FIT)
    tuner = tuner_in(tmp_path, max_trials=2, sharing=single_path(3))
    with pytest.warns(UserWarning, match="`sharing.epochs` was 2, and is 3"):
        tuner.search(X, Y, **FIT)


@pytest.mark.parametrize("objective", ["val_acuracy", "accuracy"])
def test_an_objective_that_scores_lack_costs_no_training(tmp_path, objective):
    objective = keras_tuner.Objective(objective, "max")
    oracle = EvoOracle(objective, 2, seed=0)
    tuner = tuner_in(tmp_path, oracle=oracle)
    with pytest.raises(ValueError, match=r"reported.*'val_accuracy', 'val_l"):
        tuner.search(X, Y, **FIT)
    assert not (tmp_path / "search" / "supernet").exists()
    assert not oracle.trials


@pytest.mark.slow
@pytest.mark.parametrize("number", [1, 2])
def test_any_oracle_of_keras_tuner_searches_a_supernet(tmp_path, number):
    names = [("val_accuracy", "max"), ("val_loss", "min")][:number]
    objective = [keras_tuner.Objective(*one) for one in names]
    oracle = keras_tuner.oracles.RandomSearchOracle(
        objective if number > 1 else objective[0], max_trials=3, seed=0
    )
    tuner = tuner_in(tmp_path, oracle=oracle, sharing=single_path(1))
    tuner.search(X, Y, **FIT)
    trials = tuner.oracle.trials.values()
    assert [one.status for one in trials] == ["COMPLETED"] * 3


@pytest.mark.slow
def test_several_objectives_make_a_front(tmp_path):
    oracle = EvoOracle(
        ["val_accuracy", "params"], 8, strategy=random_search(), seed=1
    )
    tuner = tuner_in(tmp_path, oracle=oracle, sharing=single_path(1))
    tuner.search(X, Y, **FIT)
    front = oracle.get_pareto_trials()
    sizes = [trial.metrics.get_best_value("params") for trial in front]
    assert sizes == sorted(sizes, reverse=True)
    assert np.isfinite(sizes).all()


def widths(hp):
    """A chain behind a layer of elastic width."""
    inputs = keras.Input((6,))
    tensor = keras.layers.Dense(hp.Int("units", 2, 8, step=2), "relu")(inputs)
    tensor = keras.layers.BatchNormalization()(tensor)
    tensor = keras.layers.Dense(hp.Choice("top", [4, 3]))(tensor)
    tensor = keras.layers.LayerNormalization()(tensor)
    return compiled(inputs, tensor, "adam")


@pytest.mark.slow
def test_widths_are_searched_under_a_limit(tmp_path, capsys):
    limit = at_most("params", 90)
    oracle = EvoOracle("val_accuracy", 2, seed=0, constraints=[limit])
    sharing = single_path(4, sampler="shrinking", distillation=0.5)
    tuner = tuner_in(tmp_path, widths, oracle=oracle, sharing=sharing)
    tuner.search(X, Y, **{**FIT, "verbose": 1})
    said = capsys.readouterr().out
    assert "'units' is elastic: a width from 2 to 8." in said
    assert "'top' is held, as the layer 'layer_normalization'" in said
    trials = tuner.oracle.get_best_trials(2)
    for trial in trials:
        values = trial.hyperparameters.values
        assert values["top"] == 4
        exact = HypermodelCosts(widths)(trial.hyperparameters).params
        assert trial.metrics.get_best_value("params") == exact <= 90
        assert values["units"] in (2, 4)
    models = tuner.get_best_models(len(trials))
    for trial, model in zip(trials, models, strict=True):
        assert model.layers[1].units == trial.hyperparameters.values["units"]
        _, accuracy = model.evaluate(X_VAL, Y_VAL, verbose=0)
        assert accuracy == pytest.approx(trial.score, abs=1e-6)
