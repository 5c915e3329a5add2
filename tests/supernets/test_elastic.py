"""Elastic widths and kernels: the laws of masks, and what has none."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_evonas.models import Classification
from keras_evonas.models import ConvNetwork
from keras_evonas.models import DenseNetwork
from keras_evonas.models import MobileNetwork
from keras_evonas.models import layer_choice
from keras_evonas.supernets import Supernet
from keras_evonas.supernets import UniformPaths
from keras_evonas.supernets import calibrate
from keras_evonas.supernets.held import Plan
from keras_evonas.supernets.held import plan
from keras_evonas.supernets.masks import indexes_of
from keras_evonas.supernets.scoring import Scorer
from keras_evonas.training.arrays import Arrays
from tests.marks import everyday
from tests.supernets.spaces import compiled
from tests.supernets.spaces import number_added_up

pytestmark = pytest.mark.keras
L = keras.layers
TEN = Classification(classes=10, labels="integer")
RNG = np.random.default_rng(0)
IMAGES = RNG.normal(size=(24, 7, 8, 2)).astype("float32")
LABELS = RNG.integers(3, size=24)


def images(hp):
    """All layers that can be masked, in branches of different widths."""
    tensor = inputs = keras.Input((7, 8, 2))
    filters = hp.Choice("filters", [4, 8, 12])
    kernel = hp.Choice("kernel", [5, 1, 3])
    tensor = L.Conv2D(filters, kernel, padding="same", strides=2)(tensor)
    tensor = L.Activation("sigmoid")(L.BatchNormalization()(tensor))
    tensor = L.SeparableConv2D(
        hp.Int("wide", 2, 6, step=2), 3, padding="same", depth_multiplier=2
    )(L.Dropout(0.3)(tensor))
    shortcut = tensor = L.BatchNormalization()(tensor)
    tensor = L.DepthwiseConv2D(kernel, padding="same")(tensor)
    tensor = layer_choice(
        hp, "activation", {"relu": L.ReLU, "skip": L.Identity}
    )(L.Add()([tensor, shortcut]))
    tensor = L.Concatenate()([tensor, L.Conv2D(filters, 1)(tensor)])
    tensor = L.Flatten()(L.MaxPooling2D()(tensor))
    units = hp.Int("units", 4, 16, step=2, sampling="log")
    tensor = L.BatchNormalization()(L.Dense(units, "tanh")(tensor))
    optimizer = keras.optimizers.AdamW(0.01, weight_decay=0.1)
    return compiled(inputs, tensor, optimizer)


def scrambled(supernet):
    """Gives weights values by which wrong ones are seen."""
    for number, weight in enumerate(supernet.network.weights):
        low = -0.5 if "kernel" in weight.path else 0.5
        weight.assign(keras.random.uniform(weight.shape, low, 1.0, seed=number))
    return supernet


@pytest.fixture(scope="module")
def supernet():
    keras.utils.set_random_seed(1)
    return scrambled(Supernet(images))


def paths_of(supernet, number):
    """Returns random paths, after the smallest and the largest one."""
    sizes = np.array(supernet.sizes)
    drawn = np.random.default_rng(0).integers(0, sizes, (number, len(sizes)))
    return np.concatenate([[0 * sizes, sizes - 1], drawn])


def test_widths_and_kernels_are_found_with_their_kinds(supernet):
    kinds = {gene.name: (gene.kind, gene.values) for gene in supernet.genes}
    assert kinds == {
        "activation": ("options", ("relu", "skip")),
        "filters": ("width", (4, 8, 12)),
        "kernel": ("kernel", (1, 3, 5)),
        "wide": ("width", (2, 4, 6)),
        "units": ("width", (4, 8, 16)),
    }
    assert not supernet.refused
    assert not supernet.held


SPACES = {
    "dense": lambda: DenseNetwork(
        (3, 2), TEN, units=(4, 16), depth=(1, 3), normalizations=("none",)
    ),
    "conv": lambda: ConvNetwork(
        (4, 4, 1),
        TEN,
        stages=(2, 2),
        filters=(2, 4),
        blocks=(1, 1),
        kernels=(1, 3),
        normalizations=("batch",),
    ),
    "mobile": lambda: MobileNetwork(
        (6, 4, 1),
        TEN,
        stages=(1, 1),
        filters=(2, 4),
        blocks=(1, 2),
        expansions=(1, 2),
        kernels=(3,),
        squeeze_excites=(0.25,),
    ),
}
ELASTIC = {
    "dense": ["layer_0/units", "layer_1/units", "layer_2/units"],
    "conv": ["stage_0/filters", "stage_1/filters"],
    "mobile": ["stem", "stage_0/filters"],
}


def check_networks(supernet, number):
    shape = supernet.network.input_shape[1:]
    x = np.random.default_rng(0).normal(size=(8, *shape)).astype("float32")
    predict = tf.function(lambda path: (supernet.take(path), supernet(x))[1])
    outputs = set()
    for path in paths_of(supernet, number):
        model = supernet.subnet(supernet.values_of(path))
        expected = model(x).numpy()
        shared = predict(tf.constant(supernet.called(path))).numpy()
        np.testing.assert_allclose(shared, expected, rtol=1e-4, atol=1e-6)
        outputs.add(expected.tobytes())
    assert len(outputs) > 4  # Paths do matter.
    assert predict.experimental_get_tracing_count() == 1


def test_a_mask_equals_the_slice(supernet):
    check_networks(supernet, 30)


@pytest.mark.parametrize("name", everyday("conv", "dense", of=list(SPACES)))
def test_widths_of_ready_made_networks_are_searched(name):
    keras.utils.set_random_seed(1)
    made = scrambled(Supernet(SPACES[name]()))
    widths = [gene.name for gene in made.genes if gene.kind == "width"]
    assert widths == ELASTIC[name]
    check_networks(made, 20)


LARGER = {
    "dense": lambda: DenseNetwork(
        (3, 2), TEN, units=(4, 32), normalizations=("none", "batch")
    ),
    "conv": lambda: ConvNetwork((8, 8, 1), TEN, filters=(4, 16)),
    "mobile": lambda: MobileNetwork(
        (16, 15, 3), TEN, stages=(2, 2), blocks=(1, 2), filters=(4, 16)
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", LARGER)
def test_a_mask_equals_the_slice_in_larger_spaces(name):
    keras.utils.set_random_seed(1)
    made = scrambled(Supernet(LARGER[name]()))
    assert any(gene.kind == "width" for gene in made.genes)
    check_networks(made, 50)


def elements_on(supernet, path, weight):
    """Returns the indices of a weight's elements that are on a path."""
    if not any(weight is one for one in supernet.weights_on(path)):
        return None
    axes = supernet._axes.get(id(weight))
    shape = tuple(weight.shape)
    if axes is None:
        return tuple(np.indices(shape, sparse=True))
    return indexes_of(axes, shape, supernet.index_of(path))


@pytest.mark.parametrize("passes", everyday(1, of=[1, 2]))
def test_what_is_off_the_path_does_not_move(passes):
    keras.utils.set_random_seed(0)
    supernet = Supernet(images)
    paths = UniformPaths().paths(supernet.sizes, 12, (0,))
    supernet.set_paths(paths)
    supernet.fit(IMAGES, LABELS, batch_size=8, epochs=1, verbose=0)
    supernet.set_paths(np.zeros((1, passes, len(supernet.genes)), int))
    optimizer = supernet.network.optimizer
    variables = [*supernet.network.variables, *optimizer.variables]
    weight_of = {w.path.replace("/", "_"): w for w in supernet.network.weights}
    moved = 0
    for path in paths_of(supernet, 3)[[0, 2, 3]]:
        before = [variable.numpy() for variable in variables]
        both = np.stack([path, 0 * path])[:passes]
        supernet.set_paths(both[None])
        supernet.fit(IMAGES, LABELS, batch_size=24, epochs=1, verbose=0)
        for value, variable in zip(before, variables, strict=True):
            name = variable.path.rpartition("/")[2]
            owner = next(
                (w for n, w in weight_of.items() if name.startswith(n)),
                variable,
            )
            if "seed" in variable.path or not value.shape:
                continue  # The number of the step.
            off = np.ones(value.shape, bool)
            for one in both:
                on = elements_on(supernet, one, owner)
                if on is not None:
                    off[on] = False
            now = variable.numpy()
            assert (now[off] == value[off]).all(), variable.path
            moved += (now[~off] != value[~off]).sum()
    assert moved > 1000


@pytest.mark.slow
def test_a_score_is_that_of_the_network_cut_out_and_calibrated(supernet):
    data = Arrays((tf.constant(IMAGES), tf.constant(LABELS)), 24, 12)
    scorer = Scorer(supernet, data, data)
    for path in paths_of(supernet, 2):
        model = supernet.subnet(supernet.values_of(path))
        dropouts = [x for x in model.layers if isinstance(x, L.Dropout)]
        assert len(dropouts) == 1
        score = scorer.score(path)
        plain = model.evaluate(IMAGES, LABELS, verbose=0)[0]
        calibrate(model, [IMAGES[:12], IMAGES[12:]])
        expected = model.evaluate(IMAGES, LABELS, batch_size=12, verbose=0)[0]
        # Dropout draws other numbers, but scales to the same mean.
        assert abs(score["loss"] - expected) < 0.5 * abs(plain - expected)


@pytest.mark.slow
def test_an_elastic_path_trains_as_its_network_does_alone():
    def build(hp):
        tensor = inputs = keras.Input((7, 8, 2))
        filters = hp.Choice("filters", [3, 6])
        # A bias before a normalization has gradients of rounding errors alone.
        tensor = L.Conv2D(filters, 3, padding="same", use_bias=False)(tensor)
        tensor = L.ReLU()(L.BatchNormalization()(tensor))
        tensor = L.GlobalAveragePooling2D()(tensor)
        optimizer = keras.optimizers.Adam(0.01)
        return compiled(inputs, L.Dense(8, "relu")(tensor), optimizer)

    keras.utils.set_random_seed(0)
    supernet = Supernet(build)
    alone = supernet.subnet({"filters": 3})
    supernet.set_paths(np.zeros((1, 1, 1), int))
    for model in (supernet, alone):
        keras.utils.set_random_seed(7)
        model.fit(IMAGES, LABELS, batch_size=8, epochs=2, verbose=0)
    again = supernet.subnet({"filters": 3})
    for mine, own in zip(again.weights, alone.weights, strict=True):
        np.testing.assert_allclose(
            mine.numpy(), own.numpy(), rtol=1e-3, atol=1e-5, err_msg=own.path
        )


@pytest.mark.parametrize("name", everyday("dense", of=["images", *SPACES]))
def test_costs_are_those_of_each_network(name):
    hypermodel = images if name == "images" else SPACES[name]()
    planned = plan(hypermodel, elastic=True)
    names = ["params", "trainable_params", "multiply_adds", "weight_bytes"]
    assert number_added_up(hypermodel, planned, names) > 2


KERNELS = {
    "odd": ((1, 3, 5), 8),
    "mixed": ((3, 4, 7), 5),
    "even": ((2, 4), 8),
    "small": ((1, 3, 5), 5),
}


@pytest.mark.parametrize("name", everyday("odd", of=KERNELS))
def test_a_smaller_kernel_lies_where_padding_puts_it(name):
    sizes, side = KERNELS[name]

    def build(hp):
        inputs = keras.Input((side, side, 2))
        kernel = hp.Choice("kernel", list(sizes))
        tensors = [
            L.DepthwiseConv2D(kernel, strides, padding="same")(inputs)
            for strides in (1, 2, 3)
        ]
        dilation = 2 if name == "odd" else 1
        layer = L.Conv2D(2, kernel, padding="same", dilation_rate=dilation)
        pooled = map(L.GlobalMaxPooling2D(), [*tensors, layer(inputs)])
        return compiled(inputs, L.Concatenate()(list(pooled)))

    supernet = Supernet(build)
    assert [gene.kind for gene in supernet.genes] == ["kernel"]
    x = np.resize(IMAGES, (8, side, side, 2))
    for path in range(len(sizes)):
        supernet.take([path])
        model = supernet.subnet(supernet.values_of([path]))
        np.testing.assert_allclose(supernet(x), model(x), rtol=1e-4, atol=1e-6)


def _normal(hp, layer):
    inputs = keras.Input((6,))
    tensor = L.Dense(hp.Choice("units", [2, 4]))(inputs)
    skip = layer_choice(hp, "kind", {"a": L.Identity, "b": L.ReLU})
    return compiled(inputs, skip(layer(tensor)))


def _residual(hp):
    inputs = keras.Input((6,))
    one, other = (L.Dense(hp.Choice(n, [2, 4]))(inputs) for n in ("a", "b"))
    return compiled(inputs, L.ReLU()(L.Add()([one, other])))


def _pair(hp):
    inputs = keras.Input((6,))
    units = hp.Choice("a", [2, 4]) * hp.Choice("b", [1, 2])
    return compiled(inputs, L.Dense(units)(inputs))


def _inverse(hp):
    inputs = keras.Input((6,))
    return compiled(inputs, L.Dense(12 // hp.Choice("units", [2, 4]))(inputs))


def _scaled(hp):
    inputs = keras.Input((6,))
    units = hp.Choice("units", [2, 4])
    tensor = L.Dense(3)(L.Dense(units)(inputs))
    return compiled(inputs, tensor * (1 / units))


def _clipped(hp):
    inputs = keras.Input((6,))
    units = hp.Choice("units", [2, 4])
    tensor = L.Dense(3)(L.Dense(units)(inputs))
    return compiled(inputs, keras.ops.clip(tensor, 0, units))


def _valid(hp):
    inputs = keras.Input((6, 6, 1))
    layer = L.Conv2D(2, hp.Choice("kernel", [1, 3]))
    return compiled(inputs, L.GlobalMaxPooling2D()(layer(inputs)))


def _shifted(hp):
    inputs = keras.Input((6, 6, 1))
    kernel = hp.Choice("kernel", [4, 7])
    layer = L.Conv2D(2, kernel, padding="same", dilation_rate=2)
    return compiled(inputs, L.GlobalMaxPooling2D()(layer(inputs)))


def _output(hp):
    inputs = keras.Input((6,))
    model = keras.Model(inputs, L.Dense(hp.Choice("units", [2, 4]))(inputs))
    model.compile("sgd", "mse")
    return model


def _dense(hp, then=None, optimizer="sgd", **settings):
    inputs = keras.Input((6,))
    units = hp.Choice("units", [4, 8], default=8)
    tensor = L.Dense(units, name="first", **settings)(inputs)
    tensor = L.Dense(4, name="second", **(then or {}))(tensor)
    return compiled(inputs, tensor, optimizer)


REFUSED = {
    "constraint": (
        lambda hp: _dense(hp, kernel_constraint=keras.constraints.MaxNorm(1)),
        {"units": "the kernel_constraint of 'first' looks at all channels"},
    ),
    "constraint behind": (
        lambda hp: _dense(hp, then={"kernel_constraint": "unit_norm"}),
        {"units": "the kernel_constraint of 'second' looks at all channels"},
    ),
    "regularizer": (
        lambda hp: _dense(hp, kernel_regularizer="orthogonal_regularizer"),
        {"units": "the kernel_regularizer of 'first' looks at all channels"},
    ),
    "optimizer": (
        lambda hp: _dense(hp, optimizer=keras.optimizers.Lamb()),
        {"units": "the optimizer Lamb looks at all channels of a weight"},
    ),
    "layer normalization": (
        lambda hp: _normal(hp, L.LayerNormalization()),
        {"units": "'layer_normalization' of LayerNormalization mixes the chan"},
    ),
    "group normalization": (
        lambda hp: _normal(hp, L.GroupNormalization(2)),
        {"units": "'group_normalization' of GroupNormalization mixes the chan"},
    ),
    "softmax": (
        lambda hp: _normal(hp, L.Activation("softmax")),
        {"units": "'activation' of Activation has the activation 'softmax'"},
    ),
    "two widths": (
        _residual,
        {"a": "the network cannot be built with {'a': 2} alone"},
    ),
    "two genes": (_pair, {"b": "'a' changes the layer 'dense', too"}),
    "inverse": (_inverse, {"units": "is not the largest at the largest value"}),
    "scaled": (_scaled, {"units": "what layers or operations are called with"}),
    "clipped": (_clipped, {"units": "what layers or operations are called"}),
    "valid padding": (_valid, {"kernel": 'without `padding="same"`'}),
    "shifted": (_shifted, {"kernel": "is no part of the largest one"}),
    "output": (_output, {"units": "must keep its shape"}),
}


def test_penalties_of_elements_may_be_elastic():
    for penalty in ("l1", "l2", keras.regularizers.L1L2(0.1, 0.1)):
        build = functools.partial(_dense, kernel_regularizer=penalty)
        assert not plan(build, elastic=True).elastic.refused


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_masked_is_held_and_says_why(name):
    build, reasons = REFUSED[name]
    try:
        planned = plan(build, elastic=True)
    except ValueError as error:  # There is nothing else to share.
        said = str(error)
        assert "must have a choice to share" in said
        for gene, why in reasons.items():
            assert f"'{gene}' is held: " in said
            assert why in said
        return
    refused = planned.elastic.refused
    assert refused.keys() >= reasons.keys()
    for gene, why in reasons.items():
        assert why in refused[gene]
        assert planned.held[gene] == 1 if gene == "b" else 2
        assert any(why in line for line in planned.lines())


def test_a_width_that_is_held_is_not_elastic():
    supernet = Supernet(images, held={"filters": 8, "wide": 4, "units": 8})
    assert [gene.name for gene in supernet.genes] == ["activation", "kernel"]
    widths = {
        layer.filters
        for layer in supernet.network.layers
        if isinstance(layer, L.Conv2D)
    }
    assert widths == {8}


def test_what_does_not_fit_into_the_memory_is_refused_before_it_is_built():
    def build(hp):
        tensor = inputs = keras.Input((6,))
        for name in ("first", "second"):
            tensor = L.Dense(hp.Choice(name, [4, 2_000_000]))(tensor)
        return compiled(inputs, tensor, "adam")

    # Three times 4 bytes for each of 2e6 x 2e6 weights and more.
    with pytest.raises(MemoryError, match=r"take 48,\d{3},\d{3},\d{3},\d{3} b"):
        Supernet(build)


def test_a_state_fits_as_long_as_there_is_room():
    planned = Plan(genes=(), held={}, space=None, state_bytes=100)
    planned.check_memory(100)
    with pytest.raises(MemoryError, match=r"take 100 bytes, where 99 are"):
        planned.check_memory(99)
