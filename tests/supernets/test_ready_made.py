"""Supernets of the ready-made hypermodels."""

import itertools

import keras
import keras_tuner
import numpy as np
import pytest
import tensorflow as tf

from keras_evonas.models import CellNetwork
from keras_evonas.models import Classification
from keras_evonas.models import ConvNetwork
from keras_evonas.models import DenseNetwork
from keras_evonas.models import MobileNetwork
from keras_evonas.supernets import Supernet
from keras_evonas.supernets import UniformPaths
from keras_evonas.supernets.held import plan
from tests.marks import everyday
from tests.supernets.spaces import number_added_up

pytestmark = pytest.mark.keras
TEN = Classification(classes=10, labels="integer")
SPACES = {
    "cell": lambda: CellNetwork(
        (4, 4, 1), TEN, stages=1, cells=(1, 1), filters=(4, 4)
    ),
    "cells": lambda: CellNetwork(
        (8, 8, 1), TEN, stages=2, cells=(1, 2), filters=(4, 8), nodes=3
    ),
    # Without "skip", which a cell is that nothing reaches.
    "reduction": lambda: CellNetwork(
        (9, 7, 3),
        TEN,
        reduction="cell",
        operations=("conv_1x1", "separable_3x3", "none", "max_pool_3x3"),
        stages=2,
        cells=(1, 1),
        filters=(4, 4),
    ),
    "mobile": lambda: MobileNetwork(
        (8, 6, 3), TEN, stages=(1, 2), blocks=(1, 3), filters=(4, 8)
    ),
    "mobile_pixel": lambda: MobileNetwork(
        (1, 1, 2), TEN, stages=(2, 3), blocks=(2, 3), filters=(4, 4)
    ),
    "conv": lambda: ConvNetwork((8, 8, 1), TEN, filters=(4, 8)),
    "conv_residual": lambda: ConvNetwork(
        (8, 8, 1), TEN, stages=(1, 1), blocks=(1, 3), filters=(4, 4)
    ),
    "dense": lambda: DenseNetwork((3, 2), TEN, units=(4, 8)),
}
HELD = {
    "conv_residual": {"stage_0/residual": True, "stage_0/pooling": "strided"},
    "mobile": {"activation": "silu", "stages": 1},
}


def supernet_of(name):
    keras.utils.set_random_seed(1)
    supernet = Supernet(SPACES[name](), held=HELD.get(name))
    # Statistics and offsets that differ, so that wrong ones are seen.
    for number, weight in enumerate(supernet.network.weights):
        low = -0.5 if "kernel" in weight.path else 0.5
        weight.assign(keras.random.uniform(weight.shape, low, 1.0, seed=number))
    return supernet


@pytest.mark.parametrize("name", everyday("cell", of=SPACES))
def test_a_network_cut_out_predicts_what_the_supernet_predicts(name):
    supernet = supernet_of(name)
    shape = supernet.network.input_shape[1:]
    x = np.random.default_rng(0).normal(size=(8, *shape)).astype("float32")

    def call(path, training):
        supernet.take(path)
        return supernet(x, training=training)

    called = [tf.function(lambda p, t=t: call(p, t)) for t in (False, True)]
    drawn = np.random.default_rng(0).integers
    outputs = set()
    number = 6 if name == "cell" else 50
    paths = drawn(0, supernet.sizes, (number, len(supernet.sizes)))
    for path in paths:
        model = supernet.subnet(supernet.values_of(path))
        place = tf.constant(supernet.called(path))
        for training, predict in enumerate(called):
            expected = model(x, training=bool(training)).numpy()
            shared = predict(place).numpy()
            np.testing.assert_allclose(shared, expected, rtol=1e-4, atol=1e-6)
        outputs.add(expected.tobytes())
    assert len(outputs) > 2  # Paths do matter.


@pytest.mark.slow
def test_all_cells_of_a_space_are_cut_out():
    """Every reachable, dead and unreachable edge of three nodes."""
    hypermodel = CellNetwork(
        (4, 4, 1),
        TEN,
        nodes=3,
        operations=("conv_1x1", "none", "skip"),
        stages=1,
        cells=(1, 1),
        filters=(2, 2),
    )
    supernet = Supernet(hypermodel)
    x = np.random.default_rng(0).normal(size=(8, 4, 4, 1)).astype("float32")
    predict = tf.function(lambda path: (supernet.take(path), supernet(x))[1])
    for path in itertools.product(range(3), repeat=3):
        model = supernet.subnet(supernet.values_of(path))
        shared = predict(tf.constant(supernet.called(path))).numpy()
        np.testing.assert_allclose(shared, model(x), rtol=1e-4, atol=1e-6)


# Edges 0-1, 0-2, 1-2, 0-3, 1-3, 2-3, and those that are on the path.
N, S, A, B, P = ("none", "skip", "conv_1x1", "conv_3x3", "average_pool_3x3")
EDGES = ("0_1", "0_2", "1_2", "0_3", "1_3", "2_3")
CALLED = [
    ((A, A, A, A, A, A), (A, A, A, A, A, A)),
    ((B, N, N, A, N, N), (N, N, N, A, N, N)),  # node 1 leads nowhere
    ((N, A, B, N, B, S), (N, A, N, N, N, S)),  # nothing reaches node 1
    ((B, A, P, N, N, N), (N, N, N, S, N, N)),  # the cell is a skip
    ((N, N, N, N, N, N), (N, N, N, S, N, N)),
    ((B, N, A, N, N, B), (B, N, A, N, N, B)),
]


def test_edges_that_lead_nowhere_are_not_called():
    supernet = Supernet(SPACES["cell"]())
    names = [gene.name for gene in supernet.genes]
    assert names == [f"cell/edge_{e}" for e in EDGES]
    paths = [
        supernet.path_of(dict(zip(names, cell, strict=True)))
        for cell, _ in CALLED
    ]
    called = [
        list(supernet.values_of(p).values()) for p in supernet.called(paths)
    ]
    assert called == [list(cell) for _, cell in CALLED]


@pytest.mark.slow
def test_what_is_not_on_the_path_of_a_cell_does_not_move():
    supernet = Supernet(SPACES["cell"](), held={"sgd/learning_rate": 0.1})
    x = np.random.default_rng(0).normal(size=(32, 4, 4, 1)).astype("float32")
    y = np.random.default_rng(1).integers(10, size=32)
    supernet.set_paths(UniformPaths().paths(supernet.sizes, 8, (0,)))
    supernet.fit(x, y, epochs=8, verbose=0)
    names = [gene.name for gene in supernet.genes]
    for cell, _ in CALLED[1:4]:
        path = supernet.path_of(dict(zip(names, cell, strict=True)))
        on_path = {id(weight) for weight in supernet.weights_on(path)}
        before = [weight.numpy() for weight in supernet.network.weights]
        supernet.set_paths(path[None, None])
        supernet.fit(x, y, epochs=1, verbose=0)
        for value, weight in zip(before, supernet.network.weights, strict=True):
            if id(weight) not in on_path:
                assert (value == weight.numpy()).all(), weight.path


@pytest.mark.parametrize("name", everyday(of=SPACES))
def test_costs_of_a_supernet_are_those_of_each_network(name):
    hypermodel = SPACES[name]()
    planned = plan(hypermodel, HELD.get(name))
    names = ["params", "multiply_adds"]
    assert number_added_up(hypermodel, planned, names) > 2


@pytest.mark.slow
def test_a_cost_that_is_no_sum_is_counted():
    hypermodel = SPACES["cells"]()
    names = ["depth"]  # of the longest path
    assert not number_added_up(hypermodel, plan(hypermodel), names)


def test_what_a_supernet_of_ready_made_networks_shares():
    planned = plan(SPACES["dense"](), {"layer_0/dropout": 0.5})
    assert [gene.name for gene in planned.genes] == ["normalization", "depth"]
    assert planned.held["layer_0/dropout"] == 0.5
    assert planned.held["layer_3/units"] == 8


@pytest.mark.slow
def test_a_number_of_stages_is_held():
    planned = plan(SPACES["mobile"](), {"stages": 1})
    asked = [gene.name.partition("/")[2] for gene in planned.genes]
    assert asked == ["blocks", "expansion", "kernel", "squeeze_excite"]


@pytest.mark.parametrize("name", everyday("dense", of=SPACES))
def test_the_space_of_a_supernet_is_that_of_its_hypermodel(name):
    """The same names, values, defaults and conditions as in a plain build."""
    plain = keras_tuner.HyperParameters()
    hypermodel = SPACES[name]()
    hypermodel.build(plain)
    space = plan(hypermodel).space.space
    assert [one.get_config() for one in space] == [
        one.get_config() for one in plain.space
    ]
