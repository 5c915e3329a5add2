"""The search spaces of networks, built and trained for real."""

import json

import keras
import keras_tuner
import numpy as np
import pytest

from keras_evonas.evolution import Engine
from keras_evonas.evolution import genetic_algorithm
from keras_evonas.hyperparameters import to_space
from keras_evonas.models import Binary
from keras_evonas.models import Classification
from keras_evonas.models import ConvNetwork
from keras_evonas.models import DenseNetwork
from keras_evonas.models import MultiLabel
from keras_evonas.models import Regression
from keras_evonas.models import tuned_adam
from keras_evonas.models import tuned_sgd_or_adam
from keras_evonas.models.costs.isolation import without_allocation
from tests.marks import everyday
from tests.models.test_evolvable import count_builds

pytestmark = pytest.mark.keras

TEN = Classification(classes=10)
SPACES = {
    "dense": lambda: DenseNetwork((8, 8), TEN),
    "dense_deep": lambda: DenseNetwork(
        (5,), Regression(outputs=2), depth=(2, 6), optimizer=tuned_sgd_or_adam
    ),
    "conv_digits": lambda: ConvNetwork((8, 8, 1), TEN),
    "conv_large": lambda: ConvNetwork(
        (33, 48, 3), Binary(), stages=(1, 5), optimizer=tuned_adam
    ),
    "conv_thin": lambda: ConvNetwork((1, 6, 2), TEN, blocks=(2, 3)),
    "conv_pixel": lambda: ConvNetwork((1, 1, 3), TEN, stages=(1, 4)),
}
SMALL = ("dense", "dense_deep", "conv_digits", "conv_pixel")


def space_of(hypermodel):
    hp = keras_tuner.HyperParameters()
    without_allocation(lambda: hypermodel.build(hp) and None)
    return hp, to_space(hp)


def description(hypermodel, hp, genome):
    """All that a network with these values consists of, but for names."""
    asked = hp.copy()
    asked.values = dict(genome)

    def build():
        model = hypermodel.build(asked)
        sizes = [
            size
            for layer in model.layers
            for tensor in keras.tree.flatten(layer.output)
            for size in tensor.shape[1:]
        ]
        assert min(sizes) >= 1
        return json.dumps(model.get_config(), default=str, sort_keys=True)

    optimizer = hypermodel.optimizer(asked).get_config()
    del optimizer["name"]
    text = without_allocation(build) + json.dumps(optimizer)
    assert asked.values == dict(genome)
    assert len(asked.space) == len(hp.space)
    return text


@pytest.mark.parametrize("name", everyday(*SMALL, of=SPACES))
def test_random_and_bred_networks_build_and_use_exactly_their_genes(name):
    hypermodel = SPACES[name]()
    hp, space = space_of(hypermodel)
    engine = Engine(
        space, genetic_algorithm(population_size=8).configure(12), seed=3
    )
    for _ in range(12):
        individual = engine.ask()
        text = description(hypermodel, hp, individual.genome)
        engine.tell(individual.birth, (float(len(text)),))


@pytest.mark.slow
@pytest.mark.parametrize("name", SPACES)
def test_300_random_and_300_bred_networks_build(name):
    assert len(count_builds(SPACES[name](), 300, 300)) == 600


@pytest.mark.parametrize("name", everyday(*SMALL, of=SPACES))
def test_every_active_gene_matters(name):
    """Another value of any active gene is another network."""
    hypermodel = SPACES[name]()
    hp, space = space_of(hypermodel)
    rng = np.random.default_rng(5)
    genome = space.sample(rng)
    base = description(hypermodel, hp, genome)
    assert description(hypermodel, hp, genome) == base
    for gene in space.mutable(genome):
        other = gene.domain.neighbours(genome[gene.name])[0]
        changed = space.express({**genome, gene.name: other}, rng)
        assert description(hypermodel, hp, changed) != base, gene.name


def test_how_to_read_a_single_pixel_is_no_question():
    def features(shape, stages):
        network = ConvNetwork(shape, TEN, stages=stages)
        _, space = space_of(network)
        low, high = network.stages
        seen = {}
        for n in range(low, high + 1):
            genome = space.express({"stages": n}, np.random.default_rng(0))
            seen[n] = "features" in genome
        return seen

    assert features((8, 8, 1), (1, 4)) == {1: True, 2: True, 3: False}
    assert features((28, 28, 1), (1, 4)) == dict.fromkeys((1, 2, 3, 4), True)
    assert features((4, 8, 1), (2, 3)) == {2: True, 3: False}
    assert features((8, 8, 1), (3, 3)) == {3: False}
    assert features((1, 1, 3), (1, 1)) == {1: False}


def test_defaults_are_what_the_documentation_says():
    hp, space = space_of(DenseNetwork((8, 8), TEN))
    assert space.default["depth"] == 2
    assert space.default["layer_0/units"] == 64
    assert space.default["sgd/learning_rate"] == 0.01
    assert space.default["sgd/momentum"] == 0.9
    # 64 inputs, two layers of 64 units, 10 outputs, with biases.
    model = DenseNetwork((8, 8), TEN).build(hp)
    assert model.count_params() == 2 * (64 * 64 + 64) + 64 * 10 + 10


def test_a_single_value_is_not_a_question():
    hp, space = space_of(
        DenseNetwork(
            (4,),
            Binary(),
            depth=(2, 2),
            units=(16, 16),
            activations=("relu",),
            normalizations=("none",),
            dropouts=(0.0,),
        )
    )
    del hp
    assert {gene.name for gene in space.genes} == {
        "sgd/learning_rate",
        "sgd/momentum",
    }


def test_stages_are_capped_by_the_image():
    assert ConvNetwork((28, 28, 1), TEN, stages=(1, 9)).stages == (1, 4)
    assert ConvNetwork((1, 1, 1), TEN).stages == (1, 1)


def test_an_image_with_a_side_of_few_pixels_is_halved_along_the_other():
    hypermodel = ConvNetwork((2, 12, 1), TEN, stages=(3, 3))
    hp = keras_tuner.HyperParameters()
    hypermodel.build(hp)
    chosen = {"pooling": "strided", "convolution": "separable"}
    for one in hp.space:
        kind = one.name.rpartition("/")[2]
        hp.values[one.name] = chosen.get(kind, hp.values.get(one.name))
    model = hypermodel.build(hp)
    kinds = {type(layer).__name__ for layer in model.layers}
    assert {"SeparableConv2D", "AveragePooling2D"} <= kinds
    assert model(np.zeros((1, 2, 12, 1))).shape == (1, 10)


@pytest.mark.parametrize("space", [DenseNetwork, ConvNetwork])
@pytest.mark.parametrize(
    ("head", "targets"),
    [
        (Classification(classes=3), np.eye(3, dtype="float32")),
        (
            Classification(classes=3, labels="integer"),
            np.arange(3, dtype="int64"),
        ),
        (Binary(), np.array([0.0, 1.0, 1.0], dtype="float32")),
        (MultiLabel(labels=2), np.ones((3, 2), dtype="float32")),
        (Regression(outputs=2), np.ones((3, 2), dtype="float32")),
    ],
    ids=lambda value: type(value).__name__,
)
def test_every_head_trains(space, head, targets):
    x = np.random.default_rng(0).random((3, 4, 4, 1), dtype="float32")
    model = space((4, 4, 1), head).build(keras_tuner.HyperParameters())
    logs = model.fit(x, targets, epochs=2, verbose=0).history
    metric = "accuracy"
    if isinstance(head, Regression):
        metric = "mean_absolute_error"
    assert set(logs) == {"loss", metric}
    assert np.isfinite(logs["loss"]).all()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"head": 3}, r"`head`.*head=3.*Classification\(classes"),
        ({"head": TEN, "optimizer": "adam"}, "`optimizer`.*tuned_adam"),
    ],
)
def test_parts_that_cannot_be_called_are_named(given, words):
    with pytest.raises(TypeError, match=words):
        DenseNetwork((4,), **given)


def test_outputs_are_in_full_precision_under_a_mixed_policy():
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = DenseNetwork((4,), TEN).build(keras_tuner.HyperParameters())
    finally:
        keras.config.set_dtype_policy(policy)
    assert model.output.dtype == "float32"
    assert model.layers[2].compute_dtype == "float16"


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: DenseNetwork((), TEN), "`input_shape`"),
        (lambda: DenseNetwork((8, None), TEN), "`input_shape`"),
        (lambda: ConvNetwork((8, 8), TEN), r"x\[\.\.\., None\]"),
        (lambda: DenseNetwork((8,), TEN, units=(17, 31)), "power of two"),
        (lambda: DenseNetwork((8,), TEN, units=(64, 16)), "in order"),
        (lambda: DenseNetwork((8,), TEN, depth=(0, 2)), "at least 1"),
        (lambda: DenseNetwork((8,), TEN, depth=3), "`depth`"),
        (lambda: DenseNetwork((8,), TEN, activations="relu"), "distinct"),
        (lambda: DenseNetwork((8,), TEN, activations=()), "at least one"),
        (lambda: DenseNetwork((8,), TEN, activations=["reluu"]), "'reluu'"),
        (
            lambda: DenseNetwork((8,), TEN, normalizations=("group",)),
            "'none', 'batch', 'layer'",
        ),
        (lambda: DenseNetwork((8,), TEN, dropouts=(0.5, 1.0)), "below 1"),
        (lambda: ConvNetwork((8, 8, 1), TEN, kernels=(2, 3)), "`kernels`"),
        (lambda: ConvNetwork((4, 4, 1), TEN, stages=(3, 4)), "`stages`"),
        (lambda: Classification(classes=1), "Binary"),
        (lambda: Classification(classes=3, labels="sparse"), "'integer'"),
        (lambda: MultiLabel(labels=0), "`labels`"),
        (lambda: Regression(outputs=0), "`outputs`"),
    ],
)
def test_bad_arguments_are_named(make, words):
    with pytest.raises(ValueError, match=words):
        make()
