"""What a project folder keeps of how its networks are trained."""

import numpy as np
import pytest

from keras_evonas.project.conditions import FILE_NAME
from keras_evonas.project.conditions import changes
from keras_evonas.project.conditions import described
from keras_evonas.project.conditions import keep

X = np.arange(12000.0).reshape(3000, 4)
LABELS = np.arange(3000) % 3
TRAINING = {"x": X, "y": LABELS, "epochs": 3, "validation_data": (X[:9], 1.0)}


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
    keep(tmp_path, described(TRAINING))
    assert changes(tmp_path, described(TRAINING)) == []
    found = changes(tmp_path, described(other))
    assert len(found) == len(named)
    for one in named:
        assert any(one in text for text in found)
    keep(tmp_path, described(other))
    assert changes(tmp_path, described(other)) == []


def test_equal_trainings_differ_in_nothing(tmp_path):
    keep(tmp_path, described(TRAINING))
    pair = [X[:9].copy(), 1.0]
    again = {"epochs": 3, "validation_data": pair, "y": LABELS * 1, "x": X + 0}
    assert changes(tmp_path, described(again)) == []


def test_what_no_file_can_hold_is_left_out(tmp_path):
    rows = [[0.0, 1.0]] * 100
    odd = {"x": (row for row in rows), "y": rows, "callbacks": [object()]}
    odd |= {"class_weight": {0: 1.0, 1: 2.0}, "shuffle": None}
    odd["sample_weight"] = np.array([None, "a"])
    found = described(odd)
    assert found == {"class_weight[0]": 1.0, "class_weight[1]": 2.0}
    keep(tmp_path, found)
    assert changes(tmp_path, found) == []


def test_a_damaged_note_is_written_anew(tmp_path):
    (tmp_path / FILE_NAME).write_text("{")
    assert changes(tmp_path, described(TRAINING)) == []
    keep(tmp_path, described(TRAINING))
    assert changes(tmp_path, described({**TRAINING, "epochs": 4})) != []
