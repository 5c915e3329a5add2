"""Folders of a search by gradients: page, summary and status."""

import json
import math

import pytest

from keras_evonas import reports
from keras_evonas.commands import resume
from keras_evonas.commands import status
from keras_evonas.project import wording
from keras_evonas.project.files import write_json
from keras_evonas.reports.figures import options
from tests.reports.test_page import EVIL
from tests.reports.test_page import figures_of
from tests.reports.test_page import page_of

OPTIONS = {"layer_0": ["conv", EVIL, "skip"], "depth": [1, 2]}


def softmax(row):
    total = sum(map(math.exp, row))
    return [math.exp(value) / total for value in row]


def write(folder, *, length=4, **changes):
    """A search whose first choice falls for its skip, and prunes one option."""
    rows = [
        {
            "layer_0": softmax([1.0, 0.5, 0.5 * epoch]),
            "depth": softmax([0.0, 0.2 * epoch]),
        }
        for epoch in range(length)
    ]
    for row in rows[2:]:
        row["layer_0"][1] = 0.0
    content = {
        "version": 1,
        "seed": 3,
        "genes": OPTIONS,
        "skips": {"layer_0": [2], "depth": [0]},
        "planned": 4,
        "epochs": rows,
    }
    write_json(folder / "architecture.json", {**content, **changes})
    return folder


def test_a_page_draws_the_weights_of_options(tmp_path):
    pytest.importorskip("plotly")
    page = page_of(write(tmp_path), tmp_path)
    assert "Search by gradients: 4 of 4 epochs, 2 choices." in page.words
    assert "In 1 of 2 choices a skip weighs most" in page.words
    assert "no trial has been recorded" not in page.words
    first, second = figures_of(page)
    assert [len(first.data), len(second.data)] == [3, 2]
    assert [trace.line.dash for trace in first.data] == [None, None, "dot"]
    assert first.data[1].y[2:] == (None, None)  # It was left out.
    assert second.data[1].y[0] == 0.5
    assert EVIL not in json.dumps(page.json)


def test_summary_and_status_name_what_weighs_most(tmp_path, capsys):
    folder = write(tmp_path)
    summary = reports.load(folder).summary()
    assert "layer_0 = skip" in summary
    depth = f"depth = 2 ({wording.percent(0.646)})"  # 1 / (1 + exp(-0.6))
    assert depth in summary
    said = status.status_of(str(folder))
    assert said.splitlines()[0] == "Finished."
    resume.main(folder)
    assert capsys.readouterr().out == "Finished.\n"
    assert depth in said
    write(folder, length=3)
    said = status.status_of(str(folder))
    assert said.startswith("Running, or interrupted: call `search` again")
    assert "3 of 4 epochs" in said


def test_what_cannot_be_read_is_noted(tmp_path):
    search = reports.load(write(tmp_path, genes=3))
    assert search.option_weights is None
    assert any("could not be understood" in note for note in search.notes)
    assert reports.load(write(tmp_path, length=0)).option_weights is None


def test_many_choices_are_cut(tmp_path):
    names = [f"edge_{number}" for number in range(30)]
    write(
        tmp_path,
        genes={name: [0, 1] for name in names},
        epochs=[{name: [0.4, 0.6] for name in names}],
        planned=None,
        skips={},
    )
    weights = reports.load(tmp_path).option_weights
    assert len(options.weights(weights)) == options.MOST_CHOICES
    assert not weights.ended
