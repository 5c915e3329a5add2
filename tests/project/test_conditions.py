"""What a project folder keeps of how its networks are trained."""

import numpy as np
import pytest

from keras_evonas.project.conditions import FILE_NAME
from keras_evonas.project.conditions import Changes
from keras_evonas.project.conditions import changes
from keras_evonas.project.conditions import described
from keras_evonas.project.conditions import keep

X = np.arange(12000.0).reshape(3000, 4)
LABELS = np.arange(3000) % 3
TRAINING = {"x": X, "y": LABELS, "epochs": 3, "validation_data": (X[:9], 1.0)}

NONE = Changes(0, [])


def reversed_rows():
    return {**TRAINING, "x": X[::-1]}


@pytest.mark.parametrize(
    ("other", "named"),
    [
        ({**TRAINING, "epochs": 4}, ["`epochs` was 3, and is 4"]),
        ({**TRAINING, "batch_size": 8}, ["was not given, and is 8"]),
        (reversed_rows(), ["`x` has other values"]),
        (
            {**TRAINING, "x": X.astype("float32")},
            ["was float64 of (3000, 4), and is float32 of"],
        ),
        ({**TRAINING, "x": X[1:]}, ["(2999, 4)"]),
        ({**TRAINING, "y": 2 - LABELS}, ["`y` has other values"]),
        (
            {**TRAINING, "validation_data": (X[:9] + 1, 1.0)},
            ["`validation_data[0]` has other values"],
        ),
        ({"x": X, "epochs": 5}, ["`y`", "`epochs`", "data[0]`", "data[1]`"]),
    ],
)
def test_each_difference_is_told(tmp_path, other, named):
    keep(tmp_path, described(TRAINING), 0)
    assert changes(tmp_path, described(TRAINING), 2) == NONE
    found = changes(tmp_path, described(other), 2)
    assert found.trials == 2
    assert len(found.differences) == len(named)
    for one in named:
        assert any(one in text for text in found.differences)
    keep(tmp_path, described(other), 0)  # No trial had ended before.
    assert changes(tmp_path, described(other), 2) == NONE


def test_the_trials_that_differ_are_counted_over_all_runs(tmp_path):
    """Against a list that names the training of each trial."""
    rng = np.random.default_rng(0)
    trained = []
    for _ in range(60):
        now = {"epochs": int(rng.integers(1, 4))}
        found = changes(tmp_path, now, len(trained))
        others = [one for one in trained if one != now]
        assert found.trials == len(others)
        if others:
            last = others[-1]["epochs"]
            said = f"`epochs` was {last}, and is {now['epochs']}"
            assert found.differences == [said]
        for _ in range(rng.integers(0, 3)):  # Cohorts of a run.
            keep(tmp_path, now, len(trained))
            trained += [now] * int(rng.integers(0, 3))


def test_a_note_of_the_last_training_alone_is_read(tmp_path):
    (tmp_path / FILE_NAME).write_text('{"epochs": 3}')
    assert changes(tmp_path, {"epochs": 4}, 5).trials == 5
    keep(tmp_path, {"epochs": 4}, 5)
    assert changes(tmp_path, {"epochs": 4}, 7).trials == 5
    assert changes(tmp_path, {"epochs": 3}, 7).trials == 2


def test_equal_trainings_differ_in_nothing(tmp_path):
    keep(tmp_path, described(TRAINING), 0)
    pair = [X[:9].copy(), 1.0]
    again = {"epochs": 3, "validation_data": pair, "y": LABELS * 1, "x": X + 0}
    assert changes(tmp_path, described(again), 1) == NONE


def test_what_no_file_can_hold_is_left_out(tmp_path):
    rows = [[0.0, 1.0]] * 100
    odd = {"x": (row for row in rows), "y": rows, "callbacks": [object()]}
    odd |= {"class_weight": {0: 1.0, 1: 2.0}, "shuffle": None}
    odd["sample_weight"] = np.array([None, "a"])
    found = described(odd)
    assert found == {"class_weight[0]": 1.0, "class_weight[1]": 2.0}
    keep(tmp_path, found, 0)
    assert changes(tmp_path, found, 1) == NONE


@pytest.mark.parametrize("text", ["{", '{"runs": [{}]}', '{"runs": 3}'])
def test_a_damaged_note_is_written_anew(tmp_path, text):
    (tmp_path / FILE_NAME).write_text(text)
    assert changes(tmp_path, described(TRAINING), 3) == NONE
    keep(tmp_path, described(TRAINING), 3)
    other = {**TRAINING, "epochs": 4}
    assert changes(tmp_path, described(other), 5).trials == 2
