"""Trainings that end early, on a small table with curves."""

import subprocess
import sys

import numpy as np
import pytest

from keras_evonas.benchmarks.hopeless import Run
from keras_evonas.benchmarks.hopeless import run_searches
from keras_evonas.benchmarks.hopeless import tabulated
from tests.benchmarks.curve_tables import write


@pytest.fixture
def table(tmp_path):
    return write(tmp_path / "small.npz")


def test_stopping_saves_epochs_and_nothing_is_stopped_without_it(table):
    runs = run_searches([table], [0, 0.05], range(5), trials=15)
    whole, ended = runs[:5], runs[5:]
    assert {run.epochs for run in whole} == {1.0}
    assert not any(run.winner_stopped for run in whole)
    assert np.mean([run.epochs for run in ended]) < 0.9
    assert all(run.epochs > 5 / 15 for run in ended)  # Five are never judged.
    assert [run.regret for run in whole] == [run.regret for run in ended]


def test_a_winner_that_is_stopped_is_counted(tmp_path):
    genomes = [(x, y) for x in range(5) for y in range(5)]
    height = 0.5 + 0.01 * np.sum(genomes, axis=1)
    curves = height[:, None] * (1 - 0.5 ** np.arange(1, 10))
    curves[0, -1] = 0.9  # The worst until its last epoch.
    path = write(
        tmp_path / "late.npz",
        curves=curves,
        observed=curves[:, -1:],
        true=curves[:, -1],
    )
    runs = run_searches([path], [0.5], range(3), trials=25)
    assert any(run.winner_stopped for run in runs)
    for run in runs:
        assert (run.regret > 0) == run.winner_stopped


def test_a_table_of_means():
    runs = [
        Run("a", 0.0, 1.0, False, 0.5),
        Run("a", 0.01, 0.4, True, 0.5),
        Run("b", 0.0, 1.0, False, 0.1),
        Run("b", 0.01, 0.6, False, 0.3),
    ]
    lines = tabulated(runs).splitlines()
    assert lines[2] == "| a | 0 | 1.00 | 0.000 | 0.5000 |"
    assert lines[-1] == "| all | 0.01 | 0.50 | 0.500 | 0.4000 ± 0.1000 |"


def test_bad_arguments_are_named(table):
    with pytest.raises(ValueError, match="`--tables` must name"):
        run_searches([], [0.01], range(1), trials=3)
    with pytest.raises(ValueError, match="`chances` must be"):
        run_searches([table], [0.7], range(1), trials=3)


def test_the_command_prints_its_table(table):
    run = subprocess.run(
        [
            *(sys.executable, "-m", "keras_evonas.benchmarks", "hopeless"),
            *(f"--tables={table}", "--seeds=1", "--trials=8", "--chances=0.1"),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "| small | 0.1 | " in run.stdout
