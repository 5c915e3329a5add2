"""Cells with hand-counted parameters, and the mobile space."""

import keras_tuner
import numpy as np
import pytest

from keras_evonas.models import CellNetwork
from keras_evonas.models import Classification
from keras_evonas.models import MobileNetwork
from keras_evonas.models.costs.isolation import without_allocation
from tests.marks import everyday
from tests.models.test_evolvable import count_builds
from tests.models.test_evolvable import space_of

pytestmark = pytest.mark.keras

TEN = Classification(classes=10)
SPACES = {
    "cells": lambda: CellNetwork((8, 8, 1), TEN),
    "reduction": lambda: CellNetwork(
        (9, 7, 3),
        TEN,
        reduction="cell",
        operations=("none", "skip", "separable_3x3", "max_pool_3x3"),
        nodes=3,
        filters=(4, 16),
    ),
    "mobile": lambda: MobileNetwork((16, 12, 3), TEN, filters=(8, 32)),
    "mobile_pixel": lambda: MobileNetwork((1, 1, 2), TEN, filters=(4, 8)),
}

# One stage of one cell: a stem of 9 * 2 * 4 = 72 weights and 4 * 4 = 16 of
# batch normalization, 16 before the head, and a head of 4 * 10 + 10 = 50.
SKELETON = 72 + 16 + 16 + 50
ONE = 4 * 4 + 16  # a 1 x 1 convolution with batch normalization
THREE = 9 * 4 * 4 + 16  # a 3 x 3 one
N, S, A, B, P = ("none", "skip", "conv_1x1", "conv_3x3", "average_pool_3x3")
# Edges 0-1, 0-2, 1-2, 0-3, 1-3, 2-3 of cells of four nodes.
COUNTED = [
    ((S, S, S, S, S, S), 0),
    ((N, N, N, N, N, N), 0),  # unreachable, so the identity
    ((A, A, A, A, A, A), 6 * ONE),
    ((B, B, B, B, B, B), 6 * THREE),
    ((P, P, P, P, P, P), 0),
    ((N, N, N, B, N, N), THREE),
    # Node 1 leads nowhere: its convolution is not part of the network.
    ((B, N, N, A, N, N), ONE),
    # Nothing reaches node 1, so what leaves it is not there either.
    ((N, A, B, N, B, S), ONE),
    # A chain through all nodes.
    ((B, N, A, N, N, B), 2 * THREE + ONE),
    ((A, B, S, P, A, S), 2 * ONE + THREE),
]


def edges(operations, kind="cell"):
    names = ("0_1", "0_2", "1_2", "0_3", "1_3", "2_3")
    return {
        f"{kind}/edge_{name}": operation
        for name, operation in zip(names, operations, strict=True)
    }


def params(hypermodel, values):
    hp = keras_tuner.HyperParameters()
    hp.values = dict(values)
    return without_allocation(lambda: hypermodel.build(hp).count_params())


@pytest.mark.parametrize(("operations", "count"), COUNTED)
def test_cells_have_the_parameters_that_a_hand_counts(operations, count):
    hypermodel = CellNetwork(
        (8, 8, 2), TEN, stages=1, cells=(1, 1), filters=(4, 4)
    )
    assert params(hypermodel, edges(operations)) == SKELETON + count
    twice = CellNetwork((8, 8, 2), TEN, stages=1, cells=(2, 2), filters=(4, 4))
    assert params(twice, edges(operations)) == SKELETON + 2 * count


# A block has 9 * 4 * 8 and 9 * 8 * 8 weights with 32 of batch normalization
# each, and 4 * 8 beside.
@pytest.mark.parametrize(
    ("reduction", "between"),
    [("block", 288 + 32 + 576 + 32 + 32), ("convolution", 288 + 32)],
)
def test_stages_have_the_parameters_that_a_hand_counts(reduction, between):
    hypermodel = CellNetwork(
        (8, 8, 2),
        TEN,
        stages=2,
        cells=(1, 1),
        filters=(4, 4),
        reduction=reduction,
    )
    # Stem 72 + 16. The cell has one 3 x 3 convolution: 9 * 16 + 16 and
    # 9 * 64 + 32. Then 32, and 8 * 10 + 10.
    cells = 144 + 16 + 576 + 32
    wanted = 72 + 16 + between + cells + 32 + 90
    assert params(hypermodel, edges((N, N, N, B, N, N))) == wanted


def test_a_mobile_block_has_the_parameters_that_a_hand_counts():
    hypermodel = MobileNetwork(
        (8, 8, 2), TEN, stages=(1, 1), filters=(8, 8), blocks=(2, 2)
    )
    values = {
        "stage_0/expansion": 3,
        "stage_0/kernel": 5,
        "stage_0/squeeze_excite": 0.25,
    }
    # 8 channels become 24: 192 + 96, depthwise 25 * 24 + 96, squeezed to 6
    # and back 24 * 6 + 6 + 6 * 24 + 24, and narrowed 192 + 32.
    block = 288 + 696 + 318 + 224
    # Stem 9 * 2 * 8 + 32, top 8 * 32 + 128, head 32 * 10 + 10.
    assert params(hypermodel, values) == 176 + 2 * block + 384 + 330


SMALL = {
    "cells": lambda: CellNetwork((8, 8, 1), TEN, stages=2, cells=(1, 2)),
    "reduction": lambda: CellNetwork(
        (9, 7, 3), TEN, stages=2, cells=(1, 1), reduction="cell", nodes=3
    ),
    "mobile": lambda: MobileNetwork(
        (5, 4, 3), TEN, stages=(1, 2), blocks=(1, 2), filters=(8, 16)
    ),
}


@pytest.mark.parametrize("name", SMALL)
def test_random_and_bred_networks_build(name):
    assert len(count_builds(SMALL[name](), 2, 2)) == 4


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", SPACES)
def test_300_random_and_300_bred_networks_build(name, seed):
    # Cells take up to a second to build, so they come in four parts.
    assert len(count_builds(SPACES[name](), 75, 75, seed)) == 150


def test_sizes_of_the_spaces():
    # NAS-Bench-201 has 5 ** 6 cells.
    _, space = space_of(
        CellNetwork((8, 8, 1), TEN, cells=(2, 2), optimizer=lambda hp: "sgd")
    )
    assert space.size == 5**6


@pytest.mark.parametrize(
    "name", everyday("reduction", of=["reduction", "mobile"])
)
def test_networks_train(name):
    hypermodel = SMALL[name]()
    model = hypermodel.build(keras_tuner.HyperParameters())
    x = np.zeros((4, *hypermodel.input_shape), "float32")
    logs = model.fit(x, np.eye(10)[:4], verbose=0).history
    assert np.isfinite(logs["loss"]).all()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: CellNetwork((8, 8), TEN), "`input_shape`"),
        (lambda: CellNetwork((8, 8, 1), TEN, nodes=1), "`nodes` must be an"),
        (lambda: CellNetwork((8, 8, 1), TEN, operations=["x"]), "`operations`"),
        (lambda: CellNetwork((8, 8, 1), TEN, reduction="no"), "`reduction`"),
        (lambda: MobileNetwork((8, 8, 1), TEN, kernels=(4,)), "`kernels`"),
        (lambda: MobileNetwork((8, 8, 1), TEN, expansions=()), "`expansions`"),
    ],
)
def test_bad_arguments_are_named(make, words):
    with pytest.raises(ValueError, match=words):
        make()
