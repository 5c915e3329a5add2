"""The benchmark of fronts, on a table whose front is known."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from keras_evonas.benchmarks import fronts


@pytest.fixture
def path(tmp_path):
    """Losses x + 1 and costs 9 - x, for ten values of x and two of y."""
    genomes = np.array([(x, y) for x in range(10) for y in range(2)])
    loss = genomes[:, 0] + 1.0 + genomes[:, 1]
    file = tmp_path / "small.npz"
    np.savez(
        file,
        genomes=genomes.astype(np.int8),
        sizes=np.array([10, 2]),
        ordinal=np.array([True, False]),
        names=np.array(["x", "y"]),
        values_json=json.dumps([list(range(10)), ["a", "b"]]),
        observed=loss[:, None],
        true=loss,
        direction="min",
        flops_millions=9.0 - genomes[:, 0],
        about="a toy",
    )
    return str(file)


def test_every_own_method_finds_the_whole_front_in_the_end(path):
    methods = ["default", "nsga2", "screened_nsga2", "random"]
    found = fronts.run_all([path], methods, [0], 20, "flops")
    goals = fronts.open_goals(path, "flops")
    for method in methods:
        rows = found[path, method, 0]
        assert sorted(rows) == list(range(20))
        for reference in ("worst", "median"):
            shares = goals.shares(rows, [5, 10, 20], reference)
            assert shares == sorted(shares)
            assert shares[-1] == pytest.approx(1.0)


def test_a_share_by_hand(path):
    goals = fronts.open_goals(path, "flops")
    # Loss from 1 to 11, cost from 0 to 9. Row 0 has loss 1 and cost 9, row 18
    # has loss 10 and cost 0: a tenth of the square. The front is the ten rows
    # with y = a: steps of a ninth, of depth 0.1, 0.2 ... 0.9 below 1.
    best = sum(k / 10 for k in range(1, 10)) / 9
    assert goals.shares([0, 18], [2], "worst") == pytest.approx([0.1 / best])


def test_a_cost_that_the_table_lacks(path):
    with pytest.raises(ValueError, match=r"`cost` must.*'flops_millions'"):
        fronts.run_all([path], ["random"], [0], 5, "latency")


def test_an_unknown_method(path):
    with pytest.raises(ValueError, match="`methods` must be among"):
        fronts.run_all([path], ["magic"], [0], 5, "flops")


def command(*arguments):
    environment = {**os.environ, "KERAS_EVONAS_TABLES": ""}
    return subprocess.run(
        [sys.executable, "-m", "keras_evonas.benchmarks", "pareto", *arguments],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )


def test_the_command_prints_a_table(path):
    folder = os.path.dirname(path)
    done = command(
        f"--tables={folder}",
        *("--names=small", "--methods=random", "--seeds=2", "--trials=8"),
    )
    assert done.returncode == 0, done.stderr
    assert "**small**, up to the worst loss" in done.stdout
    assert "**small**, up to the median loss" in done.stdout
    assert "| random | " in done.stdout


def test_without_tables_the_command_says_so():
    done = command()
    assert done.returncode != 0
    assert "`--tables` must name a folder" in done.stdout + done.stderr
