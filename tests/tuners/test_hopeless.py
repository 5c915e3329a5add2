"""Trainings that are stopped as hopeless: in cohorts, alone and after cuts."""

import pathlib
from typing import Any
from typing import Literal

import keras
import keras_tuner
import numpy as np
import pytest

from keras_evonas import EvolutionarySearch
from keras_evonas import EvoOracle
from keras_evonas import EvoTuner
from keras_evonas import at_most
from keras_evonas import reports
from keras_evonas.evolution import random_search
from keras_evonas.evolution import successive_halving
from keras_evonas.project.curves import ENDED_EARLY
from keras_evonas.training.hopeless import StopHopeless
from tests.marks import everyday

pytestmark = pytest.mark.keras

EPOCHS = 9
_RNG = np.random.default_rng(0)
X = _RNG.normal(size=(60, 4)).astype("float32")
Y = (X @ [1.0, -2.0, 3.0, 0.5]).astype("float32")


def build(hp: keras_tuner.HyperParameters) -> keras.Model:
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    rate = hp.Float("rate", 1e-4, 1e-1, sampling="log")
    model.compile(keras.optimizers.SGD(rate), "mse")
    return model


def _tuner(folder: pathlib.Path, **arguments: Any) -> EvolutionarySearch:
    settings: dict[str, Any] = {
        "objective": "val_loss",
        "max_trials": 14,
        "strategy": random_search(),
        "seed": 0,
        "cohort_size": 1,
        "stop_hopeless": 0.1,
        "verbose": 0,
        "keep_checkpoints": "none",
        "directory": folder.parent,
        "project_name": folder.name,
    }
    hypermodel = arguments.pop("hypermodel", build)
    return EvolutionarySearch(hypermodel, **settings | arguments)


def _search(tuner: EvoTuner, **fit: Any) -> reports.Search:
    fit = {"epochs": EPOCHS, "validation_data": (X, Y), **fit}
    tuner.search(X, Y, **fit)
    return reports.load(tuner.project_dir)


def _facts(search: reports.Search) -> list[Any]:
    return [
        (t.trial_id, t.scores, t.epochs, t.ended_early, t.curves["val_loss"])
        for t in search.trials
    ]


class _CutError(Exception):
    """Stands for whatever ends a program."""


def test_hopeless_trainings_end_and_a_cut_changes_nothing(
    tmp_path: pathlib.Path,
) -> None:
    tuner = _tuner(tmp_path / "whole")
    whole = _search(tuner)
    early = [t for t in whole.trials if t.ended_early]
    assert early
    assert all(t.completed and t.epochs < EPOCHS for t in early)
    others = [t for t in whole.trials if not t.ended_early]
    assert {t.epochs for t in others} == {EPOCHS}
    # Five are trained in full before any is judged.
    assert not any(t.ended_early for t in whole.trials[:5])
    # Those that ended early come last, here and in the oracle, and say so.
    ranked = [t.ended_early for t in whole.ranking]
    assert ranked == sorted(ranked)
    assert len(ranked) == 14
    best = [t.trial_id for t in tuner.oracle.get_best_trials(14)]
    assert best == [t.trial_id for t in whole.ranking]
    assert f"{len(early)} ended early" in whole.headline()
    assert "(ended early)" in whole.describe(early[0])
    # Each stays worse than the best of those before it.
    for trial in early:
        before = whole.trials[: trial.number]
        assert trial.score > min(t.score for t in before)

    ended: list[str] = []

    def cut(trial: keras_tuner.engine.trial.Trial) -> None:
        ended.append(trial.trial_id)
        if len(ended) in (3, 7, 8, 11):
            raise _CutError

    for _ in range(4):
        with pytest.raises(_CutError):
            _search(_tuner(tmp_path / "cut", on_trial_end=cut))
    again = _search(_tuner(tmp_path / "cut"))
    assert _facts(again) == _facts(whole)


class _Alone(keras_tuner.HyperModel):
    """A hypermodel with a `fit` of its own."""

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        return build(hp)

    def fit(
        self,
        hp: keras_tuner.HyperParameters,
        model: keras.Model,
        *args: Any,
        **kwargs: Any,
    ) -> Any:
        history = model.fit(*args, **kwargs)
        self.fitted = True
        return history


class _Unreported(_Alone):
    """Its `fit` reports no epochs."""

    def fit(
        self,
        hp: keras_tuner.HyperParameters,
        model: keras.Model,
        x: Any,
        y: Any,
        **_: Any,
    ) -> float:
        return float(model.fit(x, y, epochs=2).history["loss"][-1])


class _Numbers(_Alone):
    """Its `fit` returns the best value of the objective."""

    def fit(
        self,
        hp: keras_tuner.HyperParameters,
        model: keras.Model,
        *args: Any,
        **kwargs: Any,
    ) -> float:
        history = super().fit(hp, model, *args, **kwargs).history
        return float(min(history["val_loss"]))


@pytest.mark.slow
@pytest.mark.parametrize("hypermodel", [_Alone(), _Numbers()])
def test_networks_that_train_alone_end_early_too(
    hypermodel: keras_tuner.HyperModel, tmp_path: pathlib.Path
) -> None:
    alone = _search(_tuner(tmp_path / "alone", hypermodel=hypermodel))
    together = _search(_tuner(tmp_path / "together"))
    assert any(t.ended_early for t in alone.trials)
    for one, other in zip(alone.trials, together.trials, strict=True):
        assert one.epochs == other.epochs
        assert one.score == other.score
        assert one.curves["val_loss"] == other.curves["val_loss"]


@pytest.mark.parametrize(
    "case",
    everyday(
        "own fit without epochs",
        of=["a single epoch", "scored at the end", "own fit without epochs"],
    ),
)
def test_what_cannot_be_judged_trains_in_full(
    tmp_path: pathlib.Path, case: str
) -> None:
    hypermodel, fit = {
        "a single epoch": (build, {"epochs": 1}),
        "scored at the end": (build, {"validation_freq": EPOCHS}),
        "own fit without epochs": (_Unreported(), {}),
    }[case]
    tuner = _tuner(
        tmp_path / "search",
        hypermodel=hypermodel,
        max_trials=8,
        stop_hopeless=0.5,
    )
    search = _search(tuner, **fit)
    assert len(search.completed) == 8
    assert not any(t.ended_early for t in search.trials)


def test_callbacks_that_stop_by_themselves_are_no_early_end(
    tmp_path: pathlib.Path,
) -> None:
    stop = keras.callbacks.EarlyStopping("val_loss", min_delta=1e9, patience=2)
    search = _search(
        _tuner(tmp_path / "search", max_trials=7, cohort_size=4),
        callbacks=[stop],
    )
    assert {t.epochs for t in search.trials if not t.ended_early} == {3}


@pytest.mark.parametrize("stops", [False, True])
def test_who_stops_in_the_epoch_that_is_judged_ends_the_training(
    stops: bool,
) -> None:
    model = build(keras_tuner.HyperParameters())
    judge = StopHopeless(lambda losses, _: len(losses) == 2, [("loss", "min")])
    stop = keras.callbacks.EarlyStopping("loss", min_delta=1e9, patience=1)
    callbacks = [stop, judge] if stops else [judge]
    found = model.fit(X, Y, epochs=9, verbose=0, callbacks=callbacks)
    assert len(found.history["loss"]) == 2
    assert (ENDED_EARLY in found.history) != stops


class _Units(keras.metrics.Metric):
    """A metric that says how many units a network has."""

    def __init__(self, units: int) -> None:
        super().__init__(name="units")
        self._units = float(units)

    def update_state(self, *args: object, **kwargs: object) -> None:
        """Takes no notice."""

    def result(self) -> Any:
        """Returns the number."""
        return keras.ops.convert_to_tensor(self._units)


def _sized(hp: keras_tuner.HyperParameters) -> keras.Model:
    """The less a network has learnt, the more units it has."""
    learns = hp.Int("learns", 0, 9)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    rate = 1e-3 * learns
    model.compile(keras.optimizers.SGD(rate), "mse", metrics=[_Units(learns)])
    return model


@pytest.mark.parametrize("policy", ["best", "top_k"])
def test_the_best_within_limits_keep_their_weights(
    tmp_path: pathlib.Path, policy: Literal["best", "top_k"]
) -> None:
    """A limit that only training tells, which better networks break."""
    tuner = _tuner(
        tmp_path / "search",
        hypermodel=_sized,
        stop_hopeless=None,
        keep_checkpoints=policy,
        top_k=3,
        constraints=[at_most("units", 4)],
        # The first are the best ones, and outside of the limit.
        initial_population=[{"learns": n} for n in (9, 8, 7, 4, 2, 1)],
        max_trials=6,
        max_consecutive_failed_trials=7,
    )
    ranking = _search(tuner, epochs=2).ranking
    assert [t.values["learns"] for t in ranking] == [4, 2, 1, 7, 8, 9]
    kept = 1 if policy == "best" else 3
    for place, trial in enumerate(ranking):
        folder = tmp_path / "search" / f"trial_{trial.trial_id}"
        has_weights = (folder / "checkpoint.weights.h5").exists()
        assert has_weights == (place < kept)
    assert len(tuner.get_best_models(kept)) == kept


def test_networks_beyond_a_limit_are_no_bar_to_those_within(
    tmp_path: pathlib.Path,
) -> None:
    tuner = _tuner(
        tmp_path / "search",
        hypermodel=_sized,
        constraints=[at_most("units", 4)],
        # The first are better than all that keep the limit.
        initial_population=[{"learns": n} for n in range(9, -1, -1)],
        max_trials=10,
        max_consecutive_failed_trials=11,
    )
    found = _search(tuner).trials
    assert [t.violation > 0 for t in found] == [True] * 5 + [False] * 5
    assert not any(t.ended_early for t in found)


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ({"stop_hopeless": 0.9}, "must be a number in"),
        ({"stop_hopeless": True}, "must be a number in"),
        ({"objective": ["val_loss", "params"]}, "one objective"),
        ({"strategy": successive_halving(max_epochs=9)}, "begin anew"),
        ({"inherit_weights": True}, "begin anew"),
        ({"executions_per_trial": 2}, "one training for each trial"),
        ({"cv": 3}, "one training for each trial"),
    ],
)
def test_what_does_not_go_together(
    tmp_path: pathlib.Path, arguments: dict[str, Any], part: str
) -> None:
    arguments = {"keep_checkpoints": None, **arguments}
    with pytest.raises(ValueError, match="`stop_hopeless`") as caught:
        _tuner(tmp_path / "search", **arguments)
    assert part in str(caught.value)


def test_an_oracle_of_keras_tuner_records_too_little() -> None:
    oracle = keras_tuner.oracles.RandomSearchOracle("val_loss", max_trials=3)
    with pytest.raises(ValueError, match="needs an `EvoOracle`"):
        EvoTuner(oracle=oracle, hypermodel=build, stop_hopeless=0.01)
    oracle = EvoOracle("val_loss", 3)
    tuner = EvoTuner(oracle=oracle, hypermodel=build, stop_hopeless=0.01)
    assert tuner.stop_hopeless == 0.01
