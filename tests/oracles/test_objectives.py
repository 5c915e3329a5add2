"""Scores and losses, and objectives that are not met."""

import math
import pathlib

import keras_tuner
import pytest

from keras_evonas import EvoOracle
from keras_evonas.oracles import objectives
from keras_evonas.oracles.host import Trial
from tests.searches import oracle_in

pytestmark = pytest.mark.keras

_NO_NUMBERS = (math.nan, math.inf, -math.inf)


@pytest.mark.parametrize("direction", ["min", "max"])
def test_better_than_by_direction(direction: str) -> None:
    objective = objectives.StrictObjective("score", direction)
    assert objective.better_than(1.0, 2.0) == (direction == "min")
    assert objective.better_than(2.0, 1.0) == (direction == "max")
    assert not objective.better_than(1.0, 1.0)
    for odd in _NO_NUMBERS:
        assert objective.better_than(1.0, odd)
        assert not objective.better_than(odd, 1.0)
        assert not any(objective.better_than(odd, two) for two in _NO_NUMBERS)


scores_and_losses = pytest.mark.parametrize(
    ("direction", "score", "losses"),
    [
        ("min", 0.5, (0.5,)),
        ("max", 0.5, (-0.5,)),
        ("max", None, None),
        *(
            (direction, odd, None)
            for direction in ("min", "max")
            for odd in _NO_NUMBERS
        ),
    ],
)


@scores_and_losses
def test_a_score_makes_losses(
    direction: str, score: float | None, losses: tuple[float, ...] | None
) -> None:
    objective = objectives.StrictObjective("score", direction)
    assert objectives.losses_of(objective, score) == losses


@scores_and_losses
def test_metrics_make_losses(
    direction: str, score: float | None, losses: tuple[float, ...] | None
) -> None:
    objective = keras_tuner.Objective("score", direction)
    metrics = Trial(keras_tuner.HyperParameters()).metrics
    if score is not None:
        metrics.register("score", direction)
        metrics.update("score", score, step=3)
    assert objectives.losses_at(objective, metrics, 3) == losses


def test_only_plain_objectives_become_strict() -> None:
    plain = keras_tuner.Objective("score", "max")
    strict = objectives.strict(plain)
    assert strict == plain
    assert objectives.strict(strict) is strict
    assert objectives.describe(strict) == [["score", "max"]]


def test_a_missing_objective_says_what_was_reported() -> None:
    objective = objectives.StrictObjective("val_score", "max")
    assert objective.get_value({"val_score": 2.0}) == 2.0
    with pytest.raises(keras_tuner.errors.FatalValueError) as caught:
        objective.get_value({"loss": 1.0, "acc": 2.0})
    for part in ("'val_score'", "['acc', 'loss']", "validation_data"):
        assert part in str(caught.value)


@pytest.mark.parametrize("direction", ["maximize", None, ""])
def test_a_direction_that_is_none(direction: str | None) -> None:
    with pytest.raises(ValueError, match="`objective` must have a direction"):
        objectives.StrictObjective("score", direction)


@pytest.mark.parametrize("before", ["", "val_"])
@pytest.mark.parametrize("output", ["reg", "head_2", "mean", "val", "loss"])
@pytest.mark.parametrize(
    ("metric", "direction"),
    [
        *((name, "min") for name in ("loss", "mae", "mean_squared_error")),
        *((name, "min") for name in ("mape", "categorical_crossentropy")),
        *((name, "max") for name in ("acc", "accuracy", "auc", "recall")),
        *((name, "max") for name in ("top_k_categorical_accuracy", "AUC")),
    ],
)
def test_the_direction_of_an_outputs_metric_is_known(
    before: str, output: str, metric: str, direction: str
) -> None:
    name = f"{before}{output}_{metric}"
    objective = EvoOracle(name, max_trials=1).objective
    assert (objective.name, objective.direction) == (name, direction)


_NEED_ARGUMENTS = ["mean_io_u", "precision_at_recall", "mean_metric_wrapper"]


@pytest.mark.parametrize("name", [f"val_{one}" for one in _NEED_ARGUMENTS])
def test_a_metric_that_needs_arguments_is_like_any_other(
    name: str, tmp_path: pathlib.Path
) -> None:
    if "recall" not in name:  # Which could be an output's recall.
        with pytest.raises(ValueError, match=rf"Objective\('{name}', dire"):
            EvoOracle(name, max_trials=1)
    oracle = oracle_in(tmp_path / "search")
    trial = oracle.create_trial("tuner")
    oracle.update_trial(trial.trial_id, {"score": 2.0, name: 0.5})
    metrics = oracle.trials[trial.trial_id].metrics
    assert metrics.get_last_value(name) == 0.5


@pytest.mark.parametrize("metric", ["f1_score", "r2_score", "sum", "goodness"])
def test_a_direction_that_cannot_be_known_is_asked_for(metric: str) -> None:
    # keras-tuner takes the first three for better if smaller.
    with pytest.raises(ValueError, match="Could not infer optimization"):
        EvoOracle(f"val_reg_{metric}", max_trials=1)
