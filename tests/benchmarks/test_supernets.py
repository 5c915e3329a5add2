"""The benchmark of supernets: its judge, its equal seconds, and its table."""

import itertools
import json
import subprocess
import sys

import numpy as np
import pytest

from keras_evonas.benchmarks.cell_judge import cell_judge
from keras_evonas.benchmarks.cell_judge import genome_of
from keras_evonas.benchmarks.cell_judge import values_of
from keras_evonas.benchmarks.gradient_cells import METHODS
from keras_evonas.benchmarks.stand_alone import Trained
from keras_evonas.benchmarks.stand_alone import best_within
from keras_evonas.benchmarks.stand_alone import search_alone

OPERATIONS = (
    *("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3"),
    "avg_pool_3x3",
)
EDGES = [f"edge_{end}_{start}" for end in range(1, 4) for start in range(end)]
# The multiply-adds of an operation; the skeleton has 5 more.
COSTS = np.array([0.0, 0.0, 1.0, 9.0, 0.0])


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    path = tmp_path_factory.mktemp("table") / "cells.npz"
    genomes = np.array(list(itertools.product(range(5), repeat=6)), np.int8)
    true = np.random.default_rng(0).uniform(50, 95, len(genomes))
    np.savez(
        path,
        genomes=genomes,
        sizes=np.full(6, 5),
        ordinal=np.zeros(6, bool),
        names=np.array(EDGES),
        values_json=np.array(json.dumps([OPERATIONS] * 6)),
        observed=true[:, None],
        true=true,
        direction=np.array("max"),
        flops_millions=5 + COSTS[genomes].sum(1),
    )
    return path


def test_the_limit_is_half_of_the_largest_cell_which_a_path_must_reach(table):
    judge = cell_judge(str(table))
    cell = dict.fromkeys(EDGES, "none")
    assert not judge.allows(cell)  # Nothing reaches its output.
    assert judge.allows({**cell, "edge_3_0": "nor_conv_3x3"})
    # The largest cell costs 5 + 6 * 9 = 59.
    two = {**cell, "edge_1_0": "nor_conv_3x3", "edge_3_1": "nor_conv_3x3"}
    assert judge.allows(two)  # 5 + 18 = 23
    assert not judge.allows({**two, "edge_2_1": "nor_conv_3x3"})  # 32 > 29.5
    assert judge.allows(judge.largest())
    values = values_of(two)
    assert values["cell/edge_1_3"] == "conv_3x3"
    assert genome_of(judge, values) == two
    shares = judge.shares()["cell/edge_1_3"]
    assert shares["skip"] == shares["none"] == 0
    assert shares["conv_1x1"] == pytest.approx(1 / 54)
    assert shares["conv_3x3"] == pytest.approx(1 / 6)


def test_the_best_alone_is_that_of_the_seconds_that_others_took():
    cells = [{"n": n} for n in range(3)]
    trained = [
        Trained(10.0, cells[0], 0.5),
        Trained(20.0, cells[1], 0.2),
        Trained(30.0, cells[2], 0.1),
    ]
    assert best_within(trained, 25.0) == cells[1]
    assert best_within(trained, 30.0) == cells[2]
    assert best_within(trained, 1.0) == cells[0]  # The first, as none ended.


def test_a_search_alone_trains_allowed_cells_only(table):
    judge = cell_judge(str(table))

    def evaluate(genome):
        return -judge.accuracy(genome) if judge.allows(genome) else None

    space = judge.table.space
    trained = search_alone(space, evaluate, seconds=60, seed=0, trials=20)
    assert len(trained) == 20
    assert all(judge.allows(one.genome) for one in trained)
    times = [one.seconds for one in trained]
    assert times == sorted(times)


@pytest.mark.keras
@pytest.mark.slow
def test_the_table_has_every_method_and_what_it_is_compared_with(
    table, tmp_path
):
    rng = np.random.default_rng(0)
    images = tmp_path / "images.npz"
    pixels = rng.integers(0, 255, (2200, 8, 8, 3), np.uint8)
    labels = np.arange(2200) % 10
    np.savez(
        images, x_train=pixels, y_train=labels, x_test=pixels[:20],
        y_test=labels[:20],
    )  # fmt: skip
    methods = ["policy", *METHODS]
    command = [sys.executable, "-m", "keras_evonas.benchmarks", "supernets"]
    command += [f"--table={table}", f"--images={images}", "--seeds=1"]
    command += ["--examples=200", "--epochs=2", "--trials=12", "--filters=4"]
    command += ["--epochs_alone=1", "--epochs_final=1"]
    command += [f"--methods={','.join(methods)}"]
    command += [f"--markdown={tmp_path / 'table.md'}", "--stages=1"]
    subprocess.run(command, capture_output=True, check=True)
    text = (tmp_path / "table.md").read_text()
    rows = [line.split(" | ")[:2] for line in text.splitlines()]
    scored = [
        "evolution",
        "evolution near the limit",
        "best of 12, trained alone",
        "random search",
    ]
    kinds = {"policy": scored}
    for name in methods:
        for kind in kinds.get(name, ["likeliest"]):
            assert [f"| {name}", kind] in rows
        assert [f"| alone, as long as {name}", "best trained"] in rows
