"""Searches that pay for epochs, on small tables with curves."""

import subprocess
import sys

import numpy as np
import pytest

from keras_evonas.benchmarks.curve_methods import curve_method
from keras_evonas.benchmarks.curve_methods import curve_method_names
from keras_evonas.benchmarks.curve_tables import BudgetSpentError
from keras_evonas.benchmarks.curve_tables import Trainer
from keras_evonas.benchmarks.curve_tables import read_curve_table
from keras_evonas.benchmarks.curves import run_curves
from keras_evonas.benchmarks.curves import tabulated
from keras_evonas.benchmarks.runs import Curve
from tests.benchmarks.curve_tables import write


@pytest.fixture
def table(tmp_path):
    return write(tmp_path / "small.npz")


def test_a_trainer_counts_epochs_and_keeps_the_best_epoch(table):
    problem = read_curve_table(table)
    trainer = Trainer(problem, 12)
    worst, best = {"x": 1, "y": 5}, {"x": 4, "y": 2}
    losses = trainer.train(worst, 0, 9)
    assert losses.shape == (9,)
    assert trainer.spent == 9
    np.testing.assert_allclose(losses[0], -0.5 * (0.9 - 0.02 * 18), rtol=1e-6)
    trainer.train(best, 0, 1)  # 0.45 after an epoch, less than 0.54.
    assert trainer.regrets[9] == problem.table.regret(worst)
    with pytest.raises(BudgetSpentError):
        trainer.train(best, 1, 9)
    assert trainer.spent == 12
    assert trainer.regrets[10] == problem.table.regret(best) == 0.0


def test_a_network_that_the_table_lacks_costs_nothing(tmp_path):
    keep = np.arange(24)
    whole = read_curve_table(write(tmp_path / "whole.npz"))
    genomes = np.array(list(whole.table.rows))[keep]
    path = write(
        tmp_path / "part.npz",
        genomes=genomes,
        observed=-whole.losses[keep, -1:],
        true=-whole.table.true[keep],
        curves=-whole.losses[keep],
    )
    trainer = Trainer(read_curve_table(path), 9)
    assert np.isinf(trainer.train({"x": 5, "y": 5}, 0, 3)).all()
    assert trainer.spent == 0


@pytest.mark.parametrize("name", curve_method_names())
def test_every_method_finds_a_good_network(table, name):
    if name.startswith("optuna"):
        pytest.importorskip("optuna")
    curves = run_curves([table], [name], range(3), trainings=10)
    for curve in curves:
        assert curve.regrets.shape == (10,)
        assert (np.diff(curve.regrets) <= 0).all()  # True and seen agree here.
    assert np.mean([curve.regrets[-1] for curve in curves]) < 0.6


def test_freeze_thaw_needs_fewer_epochs_than_random_search(table):
    curves = run_curves(
        [table], ["freeze_thaw", "random"], range(10), trainings=4
    )
    means = {
        name: np.mean([c.regrets for c in curves if c.method == name])
        for name in ("freeze_thaw", "random")
    }
    assert means["freeze_thaw"] < 0.8 * means["random"], means


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"curves": None}, "`curves` must have a row .* no such key"),
        ({"curves": np.zeros((3, 2))}, r"`curves` must have .* shape \(3, 2\)"),
        ({"curves": np.zeros((25, 0))}, r"`curves` must have"),
        ({"curves": np.full((25, 2), np.nan)}, "`curves` must be finite.* 50"),
    ],
)
def test_tables_that_must_be_mended(tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        read_curve_table(write(tmp_path / "bad.npz", **changes))


def test_unknown_methods_are_refused():
    with pytest.raises(ValueError, match="`methods` must be among"):
        curve_method("magic")


def test_tables_of_means_and_their_geometric_mean():
    curves = [
        Curve(problem, method, seed, np.array([start, end]))
        for problem, method, seed, start, end in (
            ("a", "x", 0, 0.4, 0.1),
            ("a", "x", 1, 0.6, 0.3),  # means 0.5 and 0.2, errors 0.1 and 0.1
            ("a", "y", 0, 0.9, 0.2),
            ("a", "y", 1, 0.9, 0.2),
            ("b", "x", 0, 0.02, 0.0),
            ("b", "x", 1, 0.02, 0.0),
            ("b", "y", 0, 0.1, 0.8),
            ("b", "y", 1, 0.1, 0.8),
        )
    ]
    lines = tabulated(curves, [1, 2]).splitlines()
    assert lines[0] == "| a | 1 | 2 |"
    assert lines[2] == "| x | **0.500 ± 0.100** | **0.200 ± 0.100** |"
    assert lines[3].startswith("| y | 0.900 ± 0.000 lost | ")
    # The roots of 0.5 * 0.02, 0.2 * 0.0001, 0.9 * 0.1 and 0.2 * 0.8.
    assert lines[-2] == "| x | **0.100** | **0.004** |"
    assert lines[-1] == "| y | 0.300 | 0.400 |"


def test_the_command_prints_its_tables(table):
    run = subprocess.run(
        [
            *(sys.executable, "-m", "keras_evonas.benchmarks", "curves"),
            *(f"--tables={table}", "--methods=asha,random", "--seeds=2"),
            *("--trainings=3", "--at=1,3,5"),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "| small | 1 | 3 |" in run.stdout
    assert "| geometric mean | 1 | 3 |" in run.stdout
    assert run.stdout.count("| asha | ") == run.stdout.count("| random | ") == 2


def test_a_seed_gives_the_same_search_of_optuna_again(table):
    pytest.importorskip("optuna")
    settings = ([table], ["optuna_tpe_hyperband"], range(6))
    first, again = (run_curves(*settings, trainings=6) for _ in range(2))
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one.regrets, other.regrets)
