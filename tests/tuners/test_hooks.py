"""What a search tells: hooks, TensorBoard, its report, its oracle."""

import functools
import os
import threading

import keras
import keras_tuner
import numpy as np
import pytest
from tensorboard.backend.event_processing import event_accumulator
from tensorboard.plugins.hparams import plugin_data_pb2

from keras_evonas import EvolutionarySearch
from keras_evonas import EvoOracle
from keras_evonas import EvoTuner
from keras_evonas import reports
from keras_evonas.evolution import genetic_algorithm
from tests.marks import everyday

pytestmark = pytest.mark.keras

X = np.random.default_rng(0).random((24, 3), "float32")
Y = X.sum(axis=1)
FIT = {"validation_data": (X, Y), "epochs": 1, "verbose": 0}


def build(hp):
    units = hp.Int("units", 1, 40)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(units)])
    model.add(keras.layers.Dense(1))
    kind = hp.Choice("optimizer", ["sgd", "adam"])
    hp.Float("unused", 0.1, 1.0, sampling="log")
    model.compile(kind, "mse")
    return model


def tuner_in(folder, hypermodel=build, **options):
    return EvolutionarySearch(
        hypermodel,
        "val_loss",
        options.pop("max_trials", 4),
        seed=1,
        directory=folder,
        project_name="p",
        **options,
    )


def test_the_hook_is_told_of_every_ended_trial_once(tmp_path):
    told = []

    def fails(hp):
        if hp.Int("units", 1, 40) == 7 and ready:
            raise ValueError("seven")
        return build(hp)

    def hook(trial):
        assert threading.current_thread() is threading.main_thread()
        assert trial.trial_id in tuner.oracle.end_order
        told.append((trial.trial_id, trial.status, trial.score))

    ready = False
    tuner = tuner_in(
        tmp_path,
        fails,
        cohort_size=3,
        on_trial_end=hook,
        initial_population=[{"units": 7}, {"units": 3}],
    )
    ready = True
    tuner.search(X, Y, **FIT)
    trials = tuner.oracle.trials
    assert sorted(told, key=lambda one: one[0]) == [
        (trial_id, trials[trial_id].status, trials[trial_id].score)
        for trial_id in sorted(trials)
    ]
    assert ("0", "FAILED", None) in told


def often_fails(hp):
    model = build(hp)
    if hp.get("units") % 3 == 2:
        raise ValueError("no such network")
    return model


@pytest.mark.parametrize("retries", [0, 1])
@pytest.mark.parametrize("cut", everyday(5, of=[1, 2, 3, 4, 5, 6, 7, 8]))
def test_a_search_goes_on_that_was_cut_among_the_ends_of_a_cohort(
    tmp_path, cut, retries
):
    def run(folder, end_of=None):
        tuner = tuner_in(
            folder,
            often_fails if retries else build,
            max_trials=9,
            cohort_size=3,
            strategy=genetic_algorithm(population_size=2),
            max_retries_per_trial=retries,
            max_consecutive_failed_trials=9,
        )
        if end_of is not None:
            tuner.on_trial_end = functools.partial(end_of, tuner.on_trial_end)
        tuner.search(X, Y, **FIT)
        return [
            (one.trial_id, one.hyperparameters.values, one.score, one.status)
            for one in tuner.oracle.trials.values()
        ]

    ended = []

    def kill(end_trial, trial):
        end_trial(trial)
        ended.append(trial.status)
        if len(ended) == cut:
            raise KeyboardInterrupt

    whole = run(tmp_path / "whole")
    assert retries == ("FAILED" in [status for *_, status in whole])
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "cut", kill)
    assert len(ended) == cut
    assert run(tmp_path / "cut") == whole


def test_an_error_of_the_hook_ends_the_search_after_all_is_recorded(tmp_path):
    told = []

    def hook(trial):
        told.append(trial.trial_id)
        if len(told) < 3:
            raise OSError("the disk is full")

    options = {"cohort_size": 2, "on_trial_end": hook}
    tuner = tuner_in(tmp_path, **options)
    with pytest.raises(OSError, match="the disk is full"):
        tuner.search(X, Y, **FIT)
    assert told == tuner.oracle.end_order == ["0", "1"]
    again = tuner_in(tmp_path, **options)
    again.search(X, Y, **FIT)
    assert told == again.oracle.end_order == ["0", "1", "2", "3"]


def test_a_hook_must_be_callable(tmp_path):
    with pytest.raises(TypeError, match="`on_trial_end` must be a callable"):
        tuner_in(tmp_path, on_trial_end="print")


def hparams_in(folder):
    """What the HParams plugin finds in each run below a folder."""
    found = {}
    for place, _, files in os.walk(folder):
        if not any("tfevents" in name for name in files):
            continue
        events = event_accumulator.EventAccumulator(place)
        events.Reload()
        tags = events.summary_metadata
        starts = [
            plugin_data_pb2.HParamsPluginData.FromString(
                tags[name].plugin_data.content
            ).session_start_info
            for name in tags
            if name == "_hparams_/session_start_info"
        ]
        if starts:
            run = os.path.relpath(place, folder)
            found[run] = (
                starts[0].group_name,
                {key: str(value) for key, value in starts[0].hparams.items()},
            )
    return found


@pytest.mark.slow
def test_tensorboard_hparams_are_those_of_keras_tuner(tmp_path):
    def board(name):
        folder = str(tmp_path / name)
        callback = keras.callbacks.TensorBoard(folder, write_graph=False)
        return {**FIT, "callbacks": [callback]}

    def oracle():
        return keras_tuner.oracles.RandomSearchOracle(
            "val_loss", max_trials=2, seed=2
        )

    place = {"directory": tmp_path, "hypermodel": build}
    ours = EvoTuner(oracle(), project_name="ours", cohort_size=2, **place)
    ours.search(X, Y, **board("ours_board"))
    theirs = keras_tuner.Tuner(oracle(), project_name="theirs", **place)
    theirs.search(X, Y, **board("theirs_board"))

    expected = hparams_in(tmp_path / "theirs_board")
    assert len(expected) == 2
    assert hparams_in(tmp_path / "ours_board") == expected
    names = {"units", "optimizer", "unused"}
    assert all(names <= set(values) for _, values in expected.values())


def test_the_tuner_writes_its_report(tmp_path):
    tuner = tuner_in(tmp_path, max_trials=2)
    with pytest.raises(ValueError, match="must hold a search"):
        tuner.report()
    tuner.search(X, Y, **FIT)
    page = tuner.report()
    assert page.path == (tmp_path / "p" / "report.html").resolve()
    with open(page, encoding="utf-8") as file:
        assert "<!doctype html>" in file.read(100)
    html = page._repr_html_()
    assert page.path.as_uri() in html
    best = tuner.oracle.get_best_trials(1)[0]
    assert f"<td>{best.trial_id}</td>" in html
    assert tuner.report(tmp_path / "other.html").path.exists()


def test_an_oracle_shows_how_its_search_stands(tmp_path):
    assert "has not begun" in EvoOracle("val_loss", 2)._repr_html_()
    tuner = tuner_in(tmp_path, max_trials=2)
    assert "has not begun" in tuner.oracle._repr_html_()
    tuner.search(X, Y, **FIT)
    html = tuner.oracle._repr_html_()
    assert "val_loss" in html
    assert "2 completed" in html
    assert "<script" not in html
    assert reports.load(tmp_path / "p").completed
