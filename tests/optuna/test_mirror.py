"""Searches in an Optuna storage, where its dashboard shows them."""

import datetime
import subprocess
import sys

import keras
import keras_tuner
import numpy as np
import optuna
import pytest

from keras_evonas import EvolutionarySearch
from keras_evonas.evolution import nsga2
from keras_evonas.optuna import OptunaMirror
from keras_evonas.optuna.mirror import mirror
from keras_evonas.reports import load
from tests.searches import oracle_in

optuna.logging.set_verbosity(optuna.logging.ERROR)

pytestmark = pytest.mark.keras

X = np.random.default_rng(0).random((24, 3), "float32")
Y = X.sum(axis=1)


def build(hp):
    units = hp.Int("units", 1, 40)
    if units == 7:
        raise ValueError("seven")
    kind = hp.Choice("optimizer", ["sgd", "adam"])
    with hp.conditional_scope("optimizer", ["sgd"]):
        if kind == "sgd":
            hp.Float("momentum", 0.1, 0.9)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(units)])
    model.add(keras.layers.Dense(1))
    model.compile(kind, "mse")
    return model


def searched(folder, hook, max_trials=5, **options):
    """Searches in a folder with a mirror, and returns the tuner.

    The hook may be the URL of a storage.
    """
    if isinstance(hook, str):
        hook = OptunaMirror(hook)
    tuner = EvolutionarySearch(
        build,
        "val_loss",
        max_trials,
        seed=1,
        directory=folder,
        project_name="digits",
        initial_population=[{"units": 3}, {"units": 7}],
        on_trial_end=hook,
        verbose=0,
        **options,
    )
    tuner.search(X, Y, validation_data=(X, Y), epochs=3, verbose=0)
    return tuner


def trials_of(url, name="digits"):
    return optuna.load_study(study_name=name, storage=url).trials


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A search with a failure, its folder and its mirror."""
    folder = tmp_path_factory.mktemp("search")
    url = f"sqlite:///{folder / 'search.db'}"
    began = datetime.datetime.now()
    searched(folder, url)
    return folder / "digits", url, began


def test_every_trial_is_in_the_study(finished):
    folder, url, began = finished
    search = load(folder)
    found = {t.user_attrs["trial_id"]: t for t in trials_of(url)}
    assert len(found) == len(trials_of(url)) == len(search.trials) == 5
    for trial in search.trials:
        mirrored = found[trial.trial_id]
        assert mirrored.params == dict(trial.values)
        curve = dict(trial.curves.get("val_loss", ()))
        assert mirrored.intermediate_values == curve
        assert began < mirrored.datetime_start <= mirrored.datetime_complete
        if trial.completed:
            assert mirrored.state.name == "COMPLETE"
            assert mirrored.values == list(trial.scores)
            assert len(curve) == 3
            assert mirrored.user_attrs["metric.loss"] == trial.metrics["loss"]
        else:
            assert mirrored.state.name == "FAIL"
            assert "seven" in mirrored.user_attrs["message"]
    study = optuna.load_study(study_name="digits", storage=url)
    assert study.direction.name == "MINIMIZE"
    assert study.metric_names == ["val_loss"]
    best = study.best_trial.user_attrs["trial_id"]
    assert best == search.best.trial_id


@pytest.mark.slow
def test_a_search_that_goes_on_writes_no_trial_twice(finished, tmp_path):
    url = f"sqlite:///{tmp_path / 'search.db'}"
    searched(tmp_path, url, max_trials=3)
    # As if the process was killed between the record and the mirror.
    optuna.delete_study(study_name="digits", storage=url)
    searched(tmp_path, url, max_trials=5)
    ids = [trial.user_attrs["trial_id"] for trial in trials_of(url)]
    assert sorted(ids) == ["0", "1", "2", "3", "4"]
    assert searched(tmp_path, url, max_trials=5)
    assert len(trials_of(url)) == 5


def test_a_study_of_another_search_is_refused(tmp_path):
    url = f"sqlite:///{tmp_path / 'search.db'}"
    folders = []
    for name in ("a", "b"):
        oracle = oracle_in(tmp_path / name / "same", seed=len(folders))
        for number in range(3):
            trial = oracle.create_trial("tuner0")
            oracle.update_trial(
                trial.trial_id, {"score": len(folders) + number}
            )
            trial.status = "COMPLETED"
            oracle.end_trial(trial)
        folders.append(tmp_path / name / "same")
    assert mirror(load(folders[0]), url) == 3
    with pytest.raises(ValueError, match=r"holds another search.*Pass another"):
        mirror(load(folders[1]), url)
    (study,) = optuna.get_all_study_summaries(url)
    assert study.user_attrs["project_folder"] == str(folders[0])
    assert mirror(load(folders[1]), url, "other") == 3


def test_a_storage_that_is_gone_costs_no_trial(tmp_path):
    path = tmp_path / "search.db"
    url = f"sqlite:///{path}"
    hook = OptunaMirror(url)
    ended = []

    def breaks_in_the_middle(trial):
        ended.append(trial.trial_id)
        if len(ended) == 2:
            path.rename(tmp_path / "moved.db")
            path.mkdir()
        hook(trial)
        if len(ended) == 2:
            path.rmdir()
            (tmp_path / "moved.db").rename(path)

    breaks_in_the_middle.on_search_begin = hook.on_search_begin
    tuner = EvolutionarySearch(
        build,
        "val_loss",
        4,
        seed=1,
        directory=tmp_path,
        project_name="digits",
        on_trial_end=breaks_in_the_middle,
        verbose=0,
    )
    with pytest.warns(UserWarning, match="could not be written.*--optuna=URL"):
        tuner.search(X, Y, validation_data=(X, Y), epochs=1, verbose=0)
    assert len(load(tmp_path / "digits").completed) >= 3
    assert len(trials_of(url)) == len(ended)


def test_a_storage_that_cannot_be_used_is_an_error_before_any_trial(tmp_path):
    url = f"sqlite:///{tmp_path / 'search.db'}"
    searched(tmp_path, url, max_trials=2)
    optuna.delete_study(study_name="digits", storage=url)
    optuna.create_study(storage=url, study_name="digits", direction="maximize")
    with pytest.raises(ValueError, match="`study_name` must name a study of"):
        searched(tmp_path, url, max_trials=4)
    assert len(load(tmp_path / "digits").trials) == 2


def test_a_storage_that_cannot_be_opened_is_found_out_at_once(tmp_path):
    for url in ("", f"sqlite:///{tmp_path / 'no folder' / 'search.db'}"):
        with pytest.raises(ValueError, match="`storage` must be the URL"):
            OptunaMirror(url).on_search_begin(tmp_path)


def test_a_mirror_that_knows_no_folder_says_what_to_do():
    trial = keras_tuner.engine.trial.Trial(keras_tuner.HyperParameters())
    with pytest.raises(ValueError, match="pass it as their `on_trial_end`"):
        OptunaMirror("sqlite:///never.db")(trial)


def test_the_command_writes_a_folder_once(finished, tmp_path):
    folder, _, _ = finished
    url = f"sqlite:///{tmp_path / 'export.db'}"
    command = [sys.executable, "-m", "keras_evonas", "export", str(folder)]
    for added in (5, 0):
        done = subprocess.run(
            [*command, f"--optuna={url}"], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        assert f"wrote {added} trials" in done.stdout
    assert len(trials_of(url)) == 5


@pytest.mark.slow
def test_several_objectives(tmp_path):
    oracle = oracle_in(
        tmp_path,
        objective=[
            keras_tuner.Objective("score", "min"),
            keras_tuner.Objective("other", "max"),
        ],
        strategy=nsga2(population_size=6),
        max_trials=6,
    )
    for number in range(6):
        trial = oracle.create_trial("tuner")
        metrics = {"score": 1.5, "other": float(number)}
        oracle.update_trial(trial.trial_id, metrics)
        trial.status = "COMPLETED"
        oracle.end_trial(trial)
    url = f"sqlite:///{tmp_path / 'front.db'}"
    assert mirror(load(tmp_path), url, "front") == 6
    study = optuna.load_study(study_name="front", storage=url)
    assert [d.name for d in study.directions] == ["MINIMIZE", "MAXIMIZE"]
    assert [trial.values for trial in study.best_trials] == [[1.5, 5.0]]


def test_a_folder_that_names_no_objective(tmp_path):
    (tmp_path / "oracle.json").write_text("{}")
    with pytest.raises(ValueError, match="must name an objective"):
        mirror(load(tmp_path), f"sqlite:///{tmp_path / 'x.db'}")
