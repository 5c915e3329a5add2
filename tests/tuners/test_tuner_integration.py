"""EvoOracle in keras-tuner's own tuners."""

import functools
import pathlib
import random
from typing import Any

import keras
import keras_tuner
import numpy as np
import pytest

from keras_evonas import EvoOracle
from keras_evonas import EvoTuner
from keras_evonas.evolution import random_search
from keras_evonas.hyperparameters import to_space
from keras_evonas.models.costs.isolation import without_allocation
from tests.marks import everyday

pytestmark = pytest.mark.keras


def _build(hp: keras_tuner.HyperParameters) -> keras.Model:
    model = keras.Sequential([keras.Input((4,))])
    kind = hp.Choice("kind", ["narrow", "wide"])
    with hp.conditional_scope("kind", ["wide"]):
        if kind == "wide":
            model.add(keras.layers.Dense(hp.Int("units", 4, 8)))
    model.add(keras.layers.Dense(1))
    rate = hp.Float("rate", 1e-3, 1e-1, sampling="log")
    model.compile(keras.optimizers.SGD(rate), "mse")
    return model


def _data() -> dict[str, Any]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(32, 4)).astype("float32")
    y = x.sum(axis=1, keepdims=True)
    return {
        "x": x,
        "y": y,
        "validation_data": (x, y),
        "epochs": 2,
        "verbose": 0,
    }


def _tuner(
    folder: pathlib.Path,
    build: Any = _build,
    *,
    overwrite: bool = False,
    **arguments: Any,
) -> keras_tuner.Tuner:
    settings = {"objective": "val_loss", "max_trials": 4, "seed": 0}
    return keras_tuner.Tuner(
        oracle=EvoOracle(**{**settings, **arguments}),
        hypermodel=build,
        directory=folder,
        project_name="search",
        overwrite=overwrite,
    )


def test_fact_1_a_plain_tuner_trains(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tuner = _tuner(tmp_path, max_trials=3)
    tuner.search(**_data())
    trials = list(tuner.oracle.trials.values())
    assert [trial.status for trial in trials] == ["COMPLETED"] * 3
    tuner.results_summary()
    assert "Showing 10 best trials" in capsys.readouterr().out
    best = tuner.oracle.get_best_trials(4)
    assert [t.score for t in best] == sorted(t.score for t in trials)
    hyperparameters = tuner.get_best_hyperparameters(9)
    assert [hp.values for hp in hyperparameters] == [
        trial.hyperparameters.values for trial in best
    ]
    models = tuner.get_best_models(2)
    for model, trial in zip(models, best, strict=False):
        loss = model.evaluate(*_data()["validation_data"], verbose=0)
        assert loss == pytest.approx(trial.score, rel=1e-5)

    # The same program again has nothing to do; a longer one goes on.
    again = _tuner(tmp_path, max_trials=3)
    again.search(**_data())
    assert again.oracle.stop_reason == "max_trials=3 reached"
    assert (
        again.get_best_hyperparameters()[0].values
        == best[0].hyperparameters.values
    )
    longer = _tuner(tmp_path, max_trials=4)
    longer.search(**_data())
    assert list(longer.oracle.trials) == ["0", "1", "2", "3"]
    assert [t.score for t in longer.oracle.trials.values()][:3] == [
        trial.score for trial in trials
    ]

    # Another space in the same folder is refused, and begun anew on request.
    def other(hp: keras_tuner.HyperParameters) -> keras.Model:
        hp.Float("rate", 1e-2, 1.0, sampling="log")
        return _build(hp)

    changed = _tuner(tmp_path, other, max_trials=6)
    with pytest.raises(ValueError, match="'rate' was Float") as caught:
        changed.search(**_data())
    assert "overwrite=True" in str(caught.value)
    assert len(_tuner(tmp_path, max_trials=6).oracle.end_order) == 4
    anew = _tuner(tmp_path, other, max_trials=1, overwrite=True)
    anew.search(**_data())
    assert list(anew.oracle.trials) == ["0"]


def test_overwrite_removes_searches_alone(tmp_path: pathlib.Path) -> None:
    _tuner(tmp_path, max_trials=1).search(**_data())
    names = sorted(one.name for one in tmp_path.iterdir())
    for project_name in ("..", str(tmp_path)):
        with pytest.raises(ValueError, match="hold a search or nothing"):
            EvoTuner(
                EvoOracle("val_loss", 1),
                _build,
                directory=tmp_path / "search",
                project_name=project_name,
                overwrite=True,
            )
    assert sorted(one.name for one in tmp_path.iterdir()) == names


def test_a_build_that_raises_is_recorded(tmp_path: pathlib.Path) -> None:
    def build(hp: keras_tuner.HyperParameters) -> keras.Model:
        model = _build(hp)
        if hp.get("kind") == "wide" and not exploring:
            raise RuntimeError("wide networks do not fit")
        return model

    exploring = True  # the tuner builds the model to learn its space
    tuner = _tuner(
        tmp_path,
        build,
        max_trials=8,
        strategy=random_search(),
        max_consecutive_failed_trials=8,
    )
    exploring = False
    tuner.search(**{**_data(), "epochs": 1})
    failed = {
        trial_id: trial.message
        for trial_id, trial in tuner.oracle.trials.items()
        if trial.hyperparameters.values["kind"] == "wide"
    }
    assert 0 < len(failed) < 8
    for trial_id, trial in tuner.oracle.trials.items():
        is_failed = trial_id in failed
        assert trial.status == ("FAILED" if is_failed else "COMPLETED")
        assert is_failed == ("do not fit" in (trial.message or ""))
    assert len(tuner.oracle.get_best_trials(8)) == 8 - len(failed)


def test_failures_in_a_row_stop_the_tuner(tmp_path: pathlib.Path) -> None:
    def build(hp: keras_tuner.HyperParameters) -> keras.Model:
        hp.Int("units", 1, 9)
        if not exploring:
            raise RuntimeError("nothing fits")
        return _build(hp)

    exploring = True
    tuner = _tuner(tmp_path, build)
    exploring = False
    with pytest.raises(RuntimeError, match="nothing fits"):
        tuner.search(**_data())
    exploring = True
    # The tuner had not saved itself yet.
    again = _tuner(tmp_path, build)
    again.search(**_data())
    statuses = [trial.status for trial in again.oracle.trials.values()]
    assert statuses == ["FAILED"] * 3 + ["COMPLETED"]


def test_an_objective_that_never_appears(tmp_path: pathlib.Path) -> None:
    tuner = _tuner(tmp_path, objective="val_accuracy")
    with pytest.raises(ValueError, match="`objective` must name") as caught:
        tuner.search(**_data())
    assert "'val_accuracy'" in str(caught.value)
    assert "['loss', 'val_loss']" in str(caught.value)
    assert not tuner.oracle.end_order


def test_epochs_that_are_no_numbers_hide_nothing(
    tmp_path: pathlib.Path,
) -> None:
    class Odd(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            logs["val_loss"] = [np.nan, 3.0, -np.inf, 4.0][epoch]

    tuner = _tuner(tmp_path, max_trials=1)
    tuner.search(**{**_data(), "epochs": 4, "callbacks": [Odd()]})
    (trial,) = tuner.oracle.get_best_trials(2)
    assert (trial.score, trial.best_step) == (3.0, 1)


def test_a_space_in_run_trial(tmp_path: pathlib.Path) -> None:
    class Parabola(keras_tuner.Tuner):
        def run_trial(self, trial: Any, *args: Any, **kwargs: Any) -> float:
            return (trial.hyperparameters.Float("x", -2.0, 2.0) - 1) ** 2

    def tuner(max_trials: int) -> keras_tuner.Tuner:
        return Parabola(
            oracle=EvoOracle(max_trials=max_trials, seed=0),
            directory=tmp_path,
            project_name="search",
        )

    tuner(10).search(verbose=0)
    search = tuner(30)
    search.search(verbose=0)
    assert len(search.oracle.trials) == 30
    assert search.oracle.get_best_trials()[0].score < 0.1


def test_a_hypermodel_without_hyperparameters(tmp_path: pathlib.Path) -> None:
    def build(hp: keras_tuner.HyperParameters) -> keras.Model:
        return _build(keras_tuner.HyperParameters())

    tuner = _tuner(tmp_path, build)
    with pytest.raises(ValueError, match="must have hyperparameters"):
        tuner.search(**_data())


def test_registered_values_override_the_model_and_resume(
    tmp_path: pathlib.Path,
) -> None:
    fixed = keras_tuner.HyperParameters()
    fixed.Fixed("rate", 0.05)
    for max_trials in (1, 2):
        tuner = _tuner(tmp_path, max_trials=max_trials, hyperparameters=fixed)
        tuner.search(**_data())
    rates = [t.hyperparameters["rate"] for t in _values(tuner)]
    assert rates == [0.05, 0.05]


def _values(tuner: keras_tuner.Tuner) -> list[Any]:
    return list(tuner.oracle.trials.values())


# keras-tuner's own hypermodels.


_APPLICATIONS = {
    "HyperResNet": {"classes": 10},
    "HyperXception": {"classes": 10},
    "HyperEfficientNet": {"classes": 10},
    "HyperImageAugment": {},
}


@pytest.mark.parametrize("name", everyday(of=_APPLICATIONS))
def test_spaces_of_applications(
    name: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    application = getattr(keras_tuner.applications, name)
    if name == "HyperEfficientNet":  # it would download its weights
        untrained = functools.partial(
            keras.applications.EfficientNetB0, weights=None
        )
        models = application.build.__globals__["EFFICIENTNET_MODELS"]
        monkeypatch.setitem(models, "B0", untrained)
    hypermodel = application(input_shape=(32, 32, 3), **_APPLICATIONS[name])
    hp = keras_tuner.HyperParameters()
    without_allocation(lambda: hypermodel.build(hp) and None)
    assert hp.space
    before = random.getstate()
    oracle = EvoOracle("val_loss", 200, hyperparameters=hp, seed=0)
    oracle.verbose = 0
    oracle._set_project_dir(tmp_path, "search")
    seen = set()
    while (trial := oracle.create_trial("tuner0")).status == "RUNNING":
        values = trial.hyperparameters.values
        _check_legal(trial.hyperparameters)
        seen.add(tuple(values.items()))
        numbers = [v for v in values.values() if isinstance(v, int | float)]
        oracle.update_trial(trial.trial_id, {"val_loss": float(sum(numbers))})
        trial.status = "COMPLETED"
        oracle.end_trial(trial)
    assert len(seen) == min(200, to_space(hp).size)
    assert random.getstate() == before


def _check_legal(hp: keras_tuner.HyperParameters) -> None:
    active = [entry for entry in hp.space if hp.is_active(entry)]
    assert set(hp.values) == {entry.name for entry in active}
    for entry in active:
        value = hp.values[entry.name]
        assert type(value) in (bool, int, float, str)
        low = getattr(entry, "min_value", None)
        if low is None:
            assert value in entry.values
        elif entry.step is None:
            assert low <= value <= entry.max_value
        else:
            assert value in list(entry.values)


def test_one_of_the_applications_trains(tmp_path: pathlib.Path) -> None:
    hypermodel = keras_tuner.applications.HyperImageAugment((8, 8, 3))

    def build(hp: keras_tuner.HyperParameters) -> keras.Model:
        model = keras.Sequential(
            [
                keras.Input((8, 8, 3)),
                hypermodel.build(hp),
                keras.layers.Flatten(),
                keras.layers.Dense(1),
            ]
        )
        # keras-tuner 1.4.8 makes its layers anew in every call.
        model.compile("sgd", "mse", run_eagerly=True)
        return model

    x = np.zeros((4, 8, 8, 3), "float32")
    y = np.zeros((4, 1), "float32")
    tuner = _tuner(tmp_path, build, max_trials=1)
    tuner.search(x, y, validation_data=(x, y), verbose=0)
    assert [trial.status for trial in _values(tuner)] == ["COMPLETED"]
