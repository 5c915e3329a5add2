"""Compound scaling: one number grows depth, width and resolution."""

import keras
import keras_tuner
import numpy as np
import pytest

from keras_evonas import EvolutionarySearch
from keras_evonas.models import CellNetwork
from keras_evonas.models import Classification
from keras_evonas.models import ConvNetwork
from keras_evonas.models import DenseNetwork
from keras_evonas.models import MobileNetwork
from keras_evonas.models import ScaledNetwork
from keras_evonas.models import compound_scale
from keras_evonas.models import compound_space
from keras_evonas.models import evolvable
from keras_evonas.models.costs import costs_of_build
from tests.models.architectures import residual

pytestmark = pytest.mark.keras

TEN = Classification(classes=10)
MOBILE = MobileNetwork(
    (8, 8, 1), TEN, stages=(1, 2), blocks=(1, 2), filters=(8, 16)
)
FOUND = {"stages": 2, "stem": 8, "stage_0/blocks": 2, "stage_1/filters": 16}


def test_the_numbers_are_those_of_the_paper():
    dense = DenseNetwork((8, 8), TEN, depth=(1, 2))
    values = {"depth": 2, "layer_0/units": 64, "layer_1/units": 20}
    grown = compound_scale(dense, values, 1)
    # 2 * 1.2 is 2.4, rounded up; 64 * 1.1 is 70.4, next to 72; 20 is no
    # multiple of 8 and becomes 22.
    assert grown.values["depth"] == 3
    assert grown.values["layer_0/units"] == 72
    assert grown.values["layer_1/units"] == 22
    assert grown.values["layer_2/units"] == 22
    sizes = [
        layer.units
        for layer in grown.model().layers
        if isinstance(layer, keras.layers.Dense)
    ]
    assert sizes == [72, 22, 22, 10]
    assert dense.depth == (1, 2)


def test_zero_is_the_network_itself():
    hp = keras_tuner.HyperParameters()
    hp.values = dict(FOUND)
    wanted = costs_of_build(lambda: MOBILE.build(hp))
    scaled = compound_scale(MOBILE, FOUND, 0)
    assert costs_of_build(scaled.model) == wanted
    assert scaled.values["stage_0/blocks"] == 2


@pytest.mark.slow
def test_each_step_costs_about_twice_as_much():
    flops = [
        costs_of_build(compound_scale(MOBILE, FOUND, phi).model).multiply_adds
        for phi in (-1, 0, 2, 4)
    ]
    assert flops == sorted(flops)
    # Rounding up a few small layers makes much of a difference.
    assert 2**4 / 3 < flops[3] / flops[1] < 2**4 * 3


@pytest.mark.slow
def test_images_are_resized_inside():
    grown = compound_scale(MOBILE, FOUND, 2).model()
    resizing = next(
        x for x in grown.layers if isinstance(x, keras.layers.Resizing)
    )
    assert grown.input_shape == (None, 8, 8, 1)
    # 8 * 1.15 ** 2 is 10.6.
    assert resizing.output.shape == (None, 11, 11, 1)
    x = np.zeros((2, 8, 8, 1), "float32")
    logs = grown.fit(x, np.eye(10)[:2], verbose=0).history
    assert set(logs) == {"loss", "accuracy"}


def test_cells_and_models_of_users_grow():
    cells = CellNetwork(
        (8, 8, 1), TEN, stages=2, cells=(1, 2), filters=(16, 32)
    )
    grown = compound_scale(cells, {"cells": 2, "filters": 16}, 3)
    # 2 * 1.728, and 16 * 1.331 next to a multiple of 8.
    assert (grown.values["cells"], grown.values["filters"]) == (4, 24)
    hypermodel = evolvable(residual(), widths=(1, 2))
    scaled = compound_scale(hypermodel, {}, 3)
    assert max(v for n, v in scaled.values.items() if "repeats" in n) == 2
    small, large = (
        costs_of_build(compound_scale(hypermodel, {}, phi).model).params
        for phi in (0, 3)
    )
    assert small < large


class Plain(keras_tuner.HyperModel):
    """A user's hypermodel that declares how it is scaled."""

    def build(self, hp):
        side = hp.Int("side", 8, 64, default=16)
        model = keras.Sequential([keras.Input((side, side, 1))])
        for _ in range(hp.Int("layers", 1, 3, default=2)):
            model.add(keras.layers.Conv2D(hp.Int("size", 8, 32), 1))
        return model

    def scaled(self, values, scale):
        values["layers"] = scale.depth_of(values["layers"])
        values["size"] = scale.width_of(values["size"])
        values["side"] = scale.resolution_of(values["side"])
        return ScaledNetwork(self, values)


def test_a_hypermodel_grows_as_it_declares():
    grown = compound_scale(Plain(), {"layers": 3, "size": 32}, 2)
    # 3 * 1.44, 32 * 1.21 next to a multiple of 8, and 16 * 1.3225.
    assert grown.values == {"layers": 5, "size": 40, "side": 21}
    assert len(grown.model().layers) == 5


@pytest.mark.parametrize("hypermodel", [Plain().build, lambda hp: None])
def test_what_declares_nothing_is_refused_with_the_way_out(hypermodel):
    with pytest.raises(TypeError, match=r"(?s)declare.*method `scaled\(self"):
        compound_scale(hypermodel, {}, 1)


@pytest.mark.parametrize(
    ("hypermodel", "values"),
    [
        (DenseNetwork((8, 8), TEN), {"depth": 3}),
        pytest.param(
            ConvNetwork((8, 8, 1), TEN),
            {"stages": 2, "stage_0/blocks": 2},
            marks=pytest.mark.slow,
        ),
        pytest.param(
            CellNetwork((8, 8, 1), TEN, stages=2),
            {"cells": 2, "cell/edge_0_1": "skip", "cell/edge_0_3": "conv_3x3"},
            marks=pytest.mark.slow,
        ),
        (MOBILE, FOUND),
    ],
    ids=lambda one: type(one).__name__,
)
def test_the_hypermodel_stays_and_only_sizes_change(hypermodel, values):
    def attributes():
        return {
            name: value
            for name, value in vars(hypermodel).items()
            if name not in ("build", "_build")
        }

    before = attributes()
    same = compound_scale(hypermodel, values, 0).values
    grown = compound_scale(hypermodel, values, 3).values
    assert attributes() == before
    sizes = {hypermodel.DEPTH, *hypermodel.WIDTHS}
    for name, value in same.items():
        if name.rpartition("/")[2] in sizes:
            assert grown[name] >= value
        else:
            assert grown[name] == value, name
    small, large = (
        costs_of_build(compound_scale(hypermodel, values, phi).model)
        for phi in (0, 3)
    )
    assert small.params < large.params
    assert small.depth < large.depth


@pytest.mark.slow
def test_repeats_grow_beyond_the_range():
    hypermodel = evolvable(residual(), repeats=(0, 2))
    depths = [
        costs_of_build(compound_scale(hypermodel, {}, phi).model).depth
        for phi in (0, 3, 7)
    ]
    # Repeats are 1, then 2, then 4.
    assert depths[0] < depths[1] < depths[2]


@pytest.mark.slow
def test_phi_is_a_gene_that_cohorts_and_a_cut_search_know(tmp_path):
    dense = DenseNetwork((4,), TEN, units=(8, 8), depth=(1, 2))
    x = np.random.default_rng(0).normal(size=(16, 4)).astype("float32")
    y = np.eye(10)[np.arange(16) % 10]

    def searched(folder, trials):
        tuner = EvolutionarySearch(
            compound_space(dense, {"depth": 1}, phis=(0, 1, 2)),
            "val_loss",
            trials,
            seed=0,
            cohort_size=2,
            directory=tmp_path,
            project_name=folder,
            verbose=0,
        )
        tuner.search(x, y, validation_data=(x, y))
        return [
            (t.hyperparameters.values["phi"], t.score)
            for t in tuner.oracle.trials.values()
        ]

    uncut = searched("uncut", 3)
    assert sorted(phi for phi, _ in uncut) == [0, 1, 2]
    searched("cut", 2)
    assert searched("cut", 3) == uncut


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match=r"`beta`.*negative `phi`"):
        compound_scale(MOBILE, FOUND, 1, beta=0.9)
    with pytest.raises(ValueError, match="`phis`"):
        compound_space(MOBILE, FOUND, phis=())
