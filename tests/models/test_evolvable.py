"""Spaces made of models: the model in the middle, and children that build."""

import keras
import keras_tuner
import numpy as np
import pytest
import tensorflow as tf

from keras_evonas.evolution import Engine
from keras_evonas.evolution import genetic_algorithm
from keras_evonas.evolution import screened_evolution
from keras_evonas.evolution.encoding import has_chosen_default
from keras_evonas.hyperparameters import to_space
from keras_evonas.models import EvolvableModel
from keras_evonas.models import evolvable
from keras_evonas.models.costs import HypermodelCosts
from keras_evonas.models.costs.isolation import isolated
from keras_evonas.models.costs.isolation import without_allocation
from keras_evonas.models.layer_graph import graph_of
from tests.marks import everyday
from tests.models.architectures import ARCHITECTURES

pytestmark = pytest.mark.keras

SMALL = sorted({*ARCHITECTURES} - {"mobile_net"})


def shaken(model):
    """Gives a model weights as if it had been trained."""
    rng = np.random.default_rng(3)
    for weight in model.weights:
        weight.assign(rng.uniform(0.1, 0.5, weight.shape))
    return model


def data_for(model, count=4):
    rng = np.random.default_rng(5)

    def draw(tensor):
        shape = (count, *tensor.shape[1:])
        if tensor.dtype == "int32":
            return rng.integers(0, 20, shape).astype("int32")
        return rng.normal(size=shape).astype("float32")

    if isinstance(model, keras.Sequential):
        return draw(model.inputs[0])
    return keras.tree.map_structure(draw, model.input)


def space_of(hypermodel):
    hp = keras_tuner.HyperParameters()
    without_allocation(lambda: hypermodel.build(hp) and None)
    return hp, to_space(hp)


def test_added_layers_have_the_precision_of_those_they_belong_to():
    inputs = keras.Input((4,), dtype="float64")
    tensor = inputs
    for name in ("one", "two", "three"):
        tensor = keras.layers.Dense(
            8, activation="relu", dtype="float64", name=name
        )(tensor)
    outputs = keras.layers.Dense(1, dtype="float64")(tensor)
    hypermodel = evolvable(keras.Model(inputs, outputs))
    hp, space = space_of(hypermodel)
    kinds = set()
    for seed in range(20):
        asked = hp.copy()
        asked.values = dict(space.sample(np.random.default_rng(seed)))
        model = hypermodel.build(asked)
        kinds |= {type(layer).__name__ for layer in model.layers}
        assert {layer.dtype for layer in model.layers} == {"float64"}
    assert {"LayerNormalization", "Dropout", "Activation"} <= kinds


def count_builds(hypermodel, random, bred, seed=1):
    """Builds networks drawn at random, and bred ones; returns the genomes.

    With weights: small networks are built twice as fast as in a graph.
    """
    hp, space = space_of(hypermodel)
    engine = Engine(
        space,
        genetic_algorithm(population_size=random).configure(random + bred),
        seed=seed,
    )
    genomes = []

    def build(genome):
        asked = hp.copy()
        asked.values = dict(genome)
        model = hypermodel.build(asked)
        assert asked.values == dict(genome)
        assert len(asked.space) == len(hp.space)
        return model.count_params()

    for _ in range(random + bred):
        one = engine.ask()
        if one is None:
            break
        size = isolated(lambda genome=one.genome: build(genome))
        engine.tell(one.birth, (abs(size - 500.0),))
        genomes.append(one.genome)
    return genomes


@pytest.mark.parametrize("name", everyday(*SMALL, of=ARCHITECTURES))
def test_the_default_child_is_the_model(name):
    model = shaken(ARCHITECTURES[name]())
    before = [np.array(weight) for weight in model.weights]
    hypermodel = evolvable(model)
    assert isinstance(hypermodel, EvolvableModel)
    child = hypermodel.build(keras_tuner.HyperParameters())
    data = data_for(model)
    wanted, found = model(data), child(data)
    keras.tree.map_structure(
        lambda a, b: np.testing.assert_array_equal(a, b), wanted, found
    )
    assert child.count_params() == model.count_params()
    for weight, array in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(weight, array)
    # A child has weights of its own.
    for weight in child.trainable_weights:
        weight.assign(weight + 1.0)
    for weight, array in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(weight, array)


@pytest.mark.parametrize("name", SMALL)
def test_random_and_bred_children_build(name):
    genomes = count_builds(evolvable(ARCHITECTURES[name]()), 2, 2)
    assert len(genomes) == 4


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_300_random_and_300_bred_children_build(name):
    hypermodel = evolvable(ARCHITECTURES[name](), repeats=(0, 3))
    _, space = space_of(hypermodel)
    genomes = count_builds(hypermodel, 300, 300)
    assert len(genomes) == min(600, space.size)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_300_random_and_300_bred_mobile_nets_build(seed):
    # A MobileNetV2 takes seconds to build, so they come in four parts.
    hypermodel = evolvable(ARCHITECTURES["mobile_net"](), repeats=(0, 3))
    assert len(count_builds(hypermodel, 75, 75, seed)) == 150


def test_genes_are_those_of_the_table():
    _, space = space_of(evolvable(ARCHITECTURES["residual"]()))
    domains = {gene.name: tuple(gene.domain) for gene in space.genes}
    # Blocks two and four have shortcuts that are as wide as they are; the
    # widths of a stage are one gene.
    widths = {n: d for n, d in domains.items() if n.endswith("/filters")}
    assert sorted(map(len, widths.values())) == [6, 6, 6, 6, 6]
    repeats = [n for n in domains if n.endswith("/repeats")]
    assert {n.partition("/")[0].rstrip("_0123456789") for n in repeats} == {
        "conv2d",
        "add",
    }
    # The model's own come second, so that they count as chosen.
    assert domains["activation/relu"] == ("gelu", "relu", "tanh")
    assert domains["normalization/batch"] == ("none", "batch", "layer")
    assert domains[next(n for n in domains if n.endswith("dropout"))] == (
        *(0.0, 0.1, 0.2),
        *(0.3, 0.5),
    )


def test_absent_parts_have_no_genes():
    model = ARCHITECTURES["mlp"]()
    first = model.layers[0].name
    _, space = space_of(evolvable(model))
    rng = np.random.default_rng(0)
    genome = space.express({f"{first}/repeats": 0}, rng)
    assert f"{first}/units" not in genome
    genome = space.express({f"{first}/repeats": 2}, rng)
    assert f"{first}/units" in genome


def test_weights_stay_where_shapes_agree():
    model = shaken(ARCHITECTURES["mlp"]())
    first, _, second, head = model.layers
    hp = keras_tuner.HyperParameters()
    hp.values = {f"{first.name}/units": 16}
    child = evolvable(model).build(hp)
    kept = {layer.name: layer for layer in child.layers}
    assert kept[first.name].kernel.shape == (12, 16)
    assert kept[second.name].kernel.shape == (16, 8)
    np.testing.assert_array_equal(kept[second.name].bias, second.bias)
    np.testing.assert_array_equal(kept[head.name].kernel, head.kernel)
    fresh = evolvable(model, keep_weights=False).build(
        keras_tuner.HyperParameters()
    )
    assert np.abs(fresh.layers[-1].kernel - head.kernel).max() > 0


def test_repeated_and_removed_parts():
    model = ARCHITECTURES["residual"]()
    hypermodel = evolvable(model)
    hp, space = space_of(hypermodel)
    counts = {}
    for number in (0, 1, 2):
        genome = space.default
        for name in genome:
            if name.startswith("add") and name.endswith("/repeats"):
                genome[name] = number
        hp.values = space.complete(genome)
        child = hypermodel.build(hp)
        counts[number] = sum(
            isinstance(layer, keras.layers.Conv2D) for layer in child.layers
        )
    # Two of the three blocks keep the shape, with two convolutions each.
    assert counts == {0: 4, 1: 8, 2: 12}


def test_copies_have_names_of_their_own():
    # Keras counts layers: a copy of `dense` must not be called `dense_1`.
    model = keras.Sequential([keras.Input((4,))])
    for name in ("a", "a_2", "a_copy_2"):
        model.add(keras.layers.Dense(4, "relu", name=name))
    model.add(keras.layers.Dense(1))
    hp = keras_tuner.HyperParameters()
    hp.values = {f"{name}/repeats": 2 for name in ("a", "a_2", "a_copy_2")}
    child = evolvable(model).build(hp)
    assert len({layer.name for layer in child.layers}) == 8


def test_what_is_fixed_stays():
    model = shaken(ARCHITECTURES["cnn"]())
    conv = model.layers[0]
    frozen = model.layers[-1]
    frozen.trainable = False
    hypermodel = evolvable(model, fixed=[conv])
    hp, space = space_of(hypermodel)
    names = {gene.name.partition("/")[0] for gene in space.genes}
    assert not names & {conv.name, frozen.name}
    rng = np.random.default_rng(2)
    for _ in range(3):
        hp.values = space.sample(rng)
        child = hypermodel.build(hp)
        layers = {layer.name: layer for layer in child.layers}
        np.testing.assert_array_equal(layers[conv.name].kernel, conv.kernel)
        assert layers[frozen.name].trainable is False


def test_a_frozen_backbone_stays_and_stays_frozen():
    model = shaken(ARCHITECTURES["frozen_backbone"]())
    backbone = next(x for x in model.layers if isinstance(x, keras.Model))
    hypermodel = evolvable(model)
    hp, space = space_of(hypermodel)
    hp.values = space.sample(np.random.default_rng(0))
    child = hypermodel.build(hp)
    kept = child.get_layer(backbone.name)
    assert kept is not backbone
    assert kept.trainable_weights == []
    for weight, other in zip(backbone.weights, kept.weights, strict=True):
        np.testing.assert_array_equal(weight, other)


class _SumOfWhatIsThere(keras.layers.Layer):
    def call(self, first, second=None):
        return first if second is None else first + second

    def compute_output_shape(self, first_shape, second_shape=None):
        return first_shape


def test_inputs_that_may_lack_may_lack_in_children():
    first = keras.Input((4,), name="first")
    # Its number is not that of its place in the dictionary.
    second = keras.Input((4,), name="a_second", optional=True)
    x = _SumOfWhatIsThere()(first, second)
    x = keras.layers.Dense(16, activation="relu")(x)
    model = keras.Model(
        {"first": first, "a_second": second}, keras.layers.Dense(2)(x)
    )
    hypermodel = evolvable(shaken(model))
    hp, space = space_of(hypermodel)
    for seed in range(3):
        hp.values = space.sample(np.random.default_rng(seed))
        child = hypermodel.build(hp)
        given = {"first": np.ones((2, 4)), "a_second": None}
        assert child(given).shape == (2, 2)
        inputs = {x.name: x for x in child.layers if not x.weights}
        assert inputs["a_second"].optional
        assert not inputs["first"].optional


def test_children_are_compiled_as_the_model_is():
    model = ARCHITECTURES["mlp"]()
    model.compile(keras.optimizers.SGD(0.25), "mse", metrics=["mae"])
    child = evolvable(model).build(keras_tuner.HyperParameters())
    logs = child.fit(np.ones((4, 12)), np.ones((4, 3)), verbose=0).history
    assert set(logs) == {"loss", "mae"}
    assert float(child.optimizer.learning_rate) == 0.25
    bare = evolvable(ARCHITECTURES["mlp"]())
    assert not bare.build(keras_tuner.HyperParameters()).compiled

    def compile_model(child, hp):
        child.compile(keras.optimizers.SGD(hp.Choice("rate", [0.5])), "mse")

    decay = keras.optimizers.AdamW()
    decay.exclude_from_weight_decay(var_names=["bias"])
    model.compile(decay, "mse")
    child = evolvable(model).build(keras_tuner.HyperParameters())
    child.optimizer.build(child.trainable_variables)
    assert {
        weight.name
        for weight in child.trainable_variables
        if not child.optimizer._use_weight_decay(weight)
    } == {"bias"}

    own = evolvable(ARCHITECTURES["mlp"](), compile_model=compile_model)
    hp = keras_tuner.HyperParameters()
    assert float(own.build(hp).optimizer.learning_rate) == 0.5
    assert hp.get("rate") == 0.5


ADAPTED = {
    "normalization": (keras.layers.Normalization, 50.0),
    "discretization": (lambda: keras.layers.Discretization(num_bins=4), 50.0),
    "lookup": (keras.layers.IntegerLookup, 0),
    "text": (
        lambda: keras.layers.TextVectorization(output_sequence_length=3),
        "",
    ),
}


def after_adapting(name, is_inside):
    """A model that begins with a layer that looked at data, and the data.

    The layer may be inside of an inner model.
    """
    make, example = ADAPTED[name]
    first = make()
    if isinstance(example, str):
        data = np.array([["a b b"], ["c a"], ["b c c"]])
    else:
        data = np.arange(12).reshape(3, 4) * 7 + example
    first.adapt(data)
    kind = {"f": "float32", "i": "int64", "U": "string"}[data.dtype.kind]
    inputs = keras.Input(data.shape[1:], dtype=kind)
    if is_inside:
        first = keras.Sequential(
            [keras.Input(data.shape[1:], dtype=kind), first], name="inside"
        )
    x = first(inputs)
    if name != "normalization":
        x = keras.layers.Flatten()(keras.layers.Embedding(20, 3)(x))
    model = keras.Model(inputs, keras.layers.Dense(2)(x))
    return model, first, tf.convert_to_tensor(data)


@pytest.mark.parametrize("name", ADAPTED)
@pytest.mark.parametrize("is_inside", [False, True])
@pytest.mark.parametrize("is_fixed", [False, True])
def test_what_a_layer_has_adapted_to_is_kept(name, is_fixed, is_inside):
    model, first, data = after_adapting(name, is_inside)
    fixed = [first.name] if is_fixed else []
    hypermodel = evolvable(model, fixed=fixed)
    child = hypermodel.build(keras_tuner.HyperParameters())
    np.testing.assert_allclose(child(data), model(data), rtol=1e-5)
    costs = HypermodelCosts(hypermodel)(keras_tuner.HyperParameters())
    assert costs.params == model.count_params()


class Subclassed(keras.Model):
    def call(self, inputs):
        return inputs


class Functionally(keras.Model):
    def train_step(self, data):
        raise NotImplementedError


class Configless(keras.layers.Layer):
    def __init__(self, function):
        super().__init__(name="configless")
        self._function = function

    def build(self, shape):
        self.scale = self.add_weight(shape=(shape[-1],))

    def call(self, inputs):
        return self._function(inputs) * self.scale


class Doubled(type(ARCHITECTURES["residual"]())):
    """A functional model with a `call` of its own."""

    def __init__(self):
        inputs = keras.Input((4,))
        super().__init__(inputs, keras.layers.Dense(4)(inputs), name="doubled")

    def call(self, inputs, training=None, mask=None):
        return 2 * super().call(inputs)


class Silent(keras.layers.Layer):
    """A layer whose error has no message."""

    def __init__(self):
        super().__init__(name="silent")

    def call(self, inputs):
        return 2 * inputs

    def get_config(self):
        raise ValueError


def with_layer(layer, calls=1):
    inputs = keras.Input((4,))
    x = keras.layers.Dense(4, activation="relu")(inputs)
    for _ in range(calls):
        x = layer(x)
    return keras.Model(inputs, keras.layers.Dense(2)(x))


def test_bad_models_are_named_with_a_way_out():
    with pytest.raises(TypeError, match="`model` must be a"):
        evolvable("model")
    with pytest.raises(ValueError, match=r"Subclassed.*mark it fixed"):
        evolvable(Subclassed())
    inputs = keras.Input((2,))
    own = Functionally(inputs, keras.layers.Dense(1)(inputs))
    with pytest.raises(ValueError, match=r"class Functionally.*keras.Model"):
        evolvable(own)
    with pytest.raises(ValueError, match=r"not built.*keras.Input"):
        evolvable(keras.Sequential([keras.layers.Dense(2)]))
    shared = keras.layers.Dense(4, name="twin")
    with pytest.raises(ValueError, match=r"'twin'.*2 calls.*fixed=\['twin'\]"):
        evolvable(with_layer(shared, calls=2))
    silent = with_layer(Silent())
    with pytest.raises(ValueError, match=r"'silent'.*ValueError: .*fixed="):
        evolvable(silent)
    custom = with_layer(Configless(lambda x: 2 * x))
    with pytest.raises(ValueError, match=r"'configless'.*get_config.*fixed="):
        evolvable(custom)
    with pytest.raises(ValueError, match="trainable = False"):
        evolvable(custom, fixed=["configless"])
    with pytest.raises(ValueError, match=r"'doubled'.*get_config"):
        evolvable(with_layer(Doubled()))


def test_the_way_out_works():
    shared = keras.layers.Dense(4, name="twin")
    custom = Configless(lambda x: 2 * x)
    for layer, calls in ((shared, 2), (custom, 1), (Doubled(), 1)):
        model = with_layer(layer, calls)
        layer.trainable = layer is shared
        hypermodel = evolvable(model, fixed=[layer])
        child = hypermodel.build(keras_tuner.HyperParameters())
        x = np.ones((3, 4), "float32")
        np.testing.assert_array_equal(child(x), model(x))
        assert len(count_builds(hypermodel, 3, 3)) == 6


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"fixed": ["nobody"]}, "nobody"),
        ({"fixed": "dense"}, "brackets"),
        ({"widths": (1.5, 2)}, "`widths`"),
        ({"repeats": (2, 3)}, "`repeats`"),
        ({"kernels": (3, 1)}, "`kernels`"),
        ({"normalizations": ["group"]}, "`normalizations`"),
        ({"dropouts": [1.0]}, "`dropouts`"),
    ],
)
def test_bad_arguments_are_named(arguments, words):
    with pytest.raises(ValueError, match=words):
        evolvable(ARCHITECTURES["mlp"](), **arguments)


def test_a_search_begins_with_the_model():
    """Whatever its genes are, the default counts as chosen."""
    model = keras.Sequential([keras.Input((4,))])
    model.add(keras.layers.Dense(8, activation="relu"))
    model.add(keras.layers.Dense(2))
    model.compile("sgd", "mse")
    _, space = space_of(evolvable(model, widths=(1, 2), repeats=(1, 2)))
    assert any(map(has_chosen_default, space.genes))
    engine = Engine(space, screened_evolution().configure(30), seed=0)
    assert engine.ask().genome == space.default


def child_with(model, **values):
    hp = keras_tuner.HyperParameters()
    hp.values = {name.replace("__", "/"): x for name, x in values.items()}
    return evolvable(model).build(hp)


def test_a_dropout_shared_by_two_blocks_has_one_gene():
    inputs = x = keras.Input((4,))
    shared = keras.layers.Dropout(0.2, name="drop")
    for name in ("one", "two"):
        y = shared(keras.layers.Dense(4)(x))
        x = keras.layers.Add(name=name)([x, y])
    model = keras.Model(inputs, keras.layers.Dense(2)(x))
    hp, _ = space_of(evolvable(model))
    asked = [part for part in hp.space if part.name == "drop/dropout"]
    assert [part.conditions for part in asked] == [[]]
    for absent in ("one__repeats", "two__repeats"):
        child = child_with(model, drop__dropout=0.5, **{absent: 0})
        assert child.get_layer("drop").rate == 0.5


def test_a_relu_shared_with_an_output_stays():
    inputs = keras.Input((4,))
    shared = keras.layers.ReLU()
    x = shared(keras.layers.Dense(4)(inputs))
    model = keras.Model(inputs, shared(keras.layers.Dense(2)(x)))
    _, space = space_of(evolvable(model))
    assert not any(gene.name.startswith("activation/") for gene in space.genes)


def test_outputs_keep_their_names():
    inputs = keras.Input((4,))
    x = keras.layers.Dense(4, activation="relu")(inputs)
    kept = keras.layers.Dropout(0.5, name="kept")(x)
    scaled = keras.layers.BatchNormalization(name="scaled")(x)
    model = keras.Model(inputs, [kept, scaled])
    model.compile("sgd", {"kept": "mse", "scaled": "mae"})
    values = {"normalization__batch": "none", "kept__dropout": 0.0}
    child = child_with(model, **values)
    assert child.output_names == ["kept", "scaled"]
    y = np.zeros((4, 4))
    child.fit(y, {"kept": y, "scaled": y}, verbose=0)
    kinds = [
        type(child.get_layer(name)).__name__ for name in child.output_names
    ]
    assert kinds == ["Identity", "Identity"]


def test_blocks_that_end_with_a_plus_are_repeated_too():
    inputs = keras.Input((4,))
    y = keras.layers.Dense(4, activation="relu")(2 * inputs)
    total = inputs + keras.layers.Dense(4, name="last")(y)
    model = keras.Model(inputs, keras.layers.Dense(2)(total))
    (name,) = (
        node.layer.name
        for node in graph_of(model).nodes
        if "add" in node.layer.name
    )
    counts = []
    for number in (0, 1, 2):
        child = child_with(model, **{f"{name}__repeats": number})
        layers = [type(layer).__name__ for layer in child.layers]
        counts.append(layers.count("Dense"))
    assert counts == [1, 3, 5]
    hp, _ = space_of(evolvable(model, fixed=[name]))
    assert f"{name}/repeats" not in {part.name for part in hp.space}


def test_what_makes_numbers_of_integers_stays():
    inputs = keras.Input((4,), dtype="int32")
    x = keras.layers.Dense(4, activation="relu", name="first")(inputs)
    x = keras.layers.Dense(4, activation="relu", name="second")(x)
    model = keras.Model(inputs, keras.layers.Dense(2)(x))
    _, space = space_of(evolvable(model))
    domains = {gene.name: tuple(gene.domain) for gene in space.genes}
    assert domains["first/repeats"] == (1, 2)
    assert domains["second/repeats"] == (0, 1, 2)


def test_layers_with_channels_first_get_no_normalization():
    inputs = keras.Input((2, 8, 8))
    options = {"padding": "same", "data_format": "channels_first"}
    x = keras.layers.Conv2D(4, 3, **options)(inputs)
    x = keras.layers.Flatten()(x)
    _, space = space_of(
        evolvable(keras.Model(inputs, keras.layers.Dense(2)(x)))
    )
    names = {gene.name for gene in space.genes}
    assert "conv2d" in str(names)
    assert not any(name.startswith("normalization/") for name in names)


def test_widths_reach_their_bounds():
    model = with_layer(keras.layers.Dense(10, name="wide"))
    _, space = space_of(evolvable(model, widths=(0.6, 1.4)))
    domains = {gene.name: tuple(gene.domain) for gene in space.genes}
    assert domains["wide/units"] == (6, 8, 10, 12, 14)


def test_quantized_layers_keep_their_weights():
    model = with_layer(keras.layers.Dense(4, name="inner"))
    shaken(model).get_layer("inner").quantize("float8")
    child = child_with(model)
    x = np.random.default_rng(0).normal(size=(6, 4)).astype("float32")
    np.testing.assert_array_equal(child(x), model(x))


def test_exclusions_by_variables_need_a_function_that_compiles():
    model = with_layer(keras.layers.Dense(4))
    model.compile("adamw", "mse")
    model.optimizer.exclude_from_weight_decay(var_list=model.weights[:1])
    with pytest.raises(ValueError, match=r"`compile_model`.*`var_names`"):
        evolvable(model)


def test_what_changes_images_of_any_size_stays():
    inputs = keras.Input((None, None, 3))
    x = keras.layers.Conv2D(4, 3, padding="same")(inputs)
    down = keras.layers.Conv2D(4, 3, strides=2, padding="same")(x)
    cut = keras.layers.Conv2D(4, 3)(down)
    point = keras.layers.Conv2D(4, 1)(cut)
    x = keras.layers.GlobalAveragePooling2D()(point)
    model = keras.Model(inputs, keras.layers.Dense(2)(x))
    model.compile("sgd", "mse")
    _, space = space_of(evolvable(model))
    removable = [
        gene.name.endswith("/repeats") and 0 in gene.domain
        for gene in space.genes
        if gene.name.endswith("/repeats")
    ]
    assert removable == [True, False, False, True]
