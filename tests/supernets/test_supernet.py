"""The laws of a supernet: its networks are those of the hypermodel."""

import functools
import itertools

import keras
import keras_tuner
import numpy as np
import pytest
import tensorflow as tf

from keras_evonas.models import block
from keras_evonas.models import layer_choice
from keras_evonas.models import repeated
from keras_evonas.models.costs import HypermodelCosts
from keras_evonas.models.layer_graph import graph_of
from keras_evonas.supernets import FairPaths
from keras_evonas.supernets import FeasiblePaths
from keras_evonas.supernets import Supernet
from keras_evonas.supernets import UniformPaths
from keras_evonas.supernets import calibrate
from keras_evonas.supernets.costs import SupernetCosts
from keras_evonas.supernets.held import plan
from tests.marks import everyday
from tests.supernets.spaces import SPACES
from tests.supernets.spaces import X
from tests.supernets.spaces import Y
from tests.supernets.spaces import branched
from tests.supernets.spaces import chain
from tests.supernets.spaces import compiled
from tests.supernets.spaces import number_added_up
from tests.supernets.spaces import paths_of

pytestmark = pytest.mark.keras
L = keras.layers
L2 = keras.regularizers.L2


@pytest.fixture(scope="module", params=SPACES)
def supernet(request):
    build, shape = SPACES[request.param]
    keras.utils.set_random_seed(1)
    made = Supernet(build)
    made.x = np.random.default_rng(0).normal(size=(16, *shape))
    # Statistics that differ, so that wrong ones are seen.
    for number, weight in enumerate(made.network.weights):
        drawn = keras.random.uniform(weight.shape, 0.5, 1.0, seed=number)
        weight.assign(drawn)
    return made


def test_a_network_cut_out_predicts_what_the_supernet_predicts(supernet):
    predict = tf.function(lambda path, x: (supernet.take(path), supernet(x))[1])
    outputs = set()
    for path in paths_of(supernet, 15):
        model = supernet.subnet(supernet.values_of(path))
        expected = model(supernet.x).numpy()
        shared = predict(tf.constant(path, tf.int32), supernet.x).numpy()
        np.testing.assert_allclose(shared, expected, rtol=1e-5, atol=1e-7)
        outputs.add(expected.tobytes())
    assert len(outputs) > 2  # Paths do matter.
    assert predict.experimental_get_tracing_count() == 1


def words(hp, **options):
    """Sequences of several lengths, of which a mask tells the end."""
    inputs = keras.Input((None,), dtype="int32")
    tensor = L.Embedding(9, 4, mask_zero=True)(inputs)
    options = options or {
        "dense": lambda: L.Dense(4, "relu"),
        "gated": lambda: L.GRU(4, return_sequences=True),
        "skip": L.Identity,
    }
    tensor = layer_choice(hp, "layer", options)(tensor)
    if len(tensor.shape) == 3:
        tensor = L.GlobalAveragePooling1D()(tensor)
    return compiled(inputs, tensor)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {
            "gated": lambda: L.GRU(4),
            "mean": lambda: L.GlobalAveragePooling1D(),
        },
    ],
    ids=["passed on", "used"],
)
def test_a_mask_reaches_what_is_behind_a_choice(options):
    supernet = Supernet(lambda hp: words(hp, **options))
    x = np.arange(35).reshape(5, 7) % 8 + 1
    x[np.arange(7) > np.arange(2, 7)[:, None]] = 0
    unmasked = {
        name: supernet.subnet({"layer": name}).predict(x[:, :3], verbose=0)
        for name in supernet.genes[0].values
    }
    for index, name in enumerate(supernet.genes[0].values):
        supernet.take([index])
        expected = supernet.subnet({"layer": name}).predict(x, verbose=0)
        shared = supernet.predict(x, verbose=0)
        np.testing.assert_allclose(shared, expected, rtol=1e-5, atol=1e-6)
        # The first has three words.
        np.testing.assert_allclose(shared[0], unmasked[name][0], rtol=1e-4)


@pytest.mark.filterwarnings("ignore::UserWarning")  # Keras warns as well.
def test_options_of_which_some_lose_a_mask_are_refused():
    options = {
        "dense": lambda: L.Dense(4),
        "wide": lambda: L.Conv1D(4, 3, padding="same"),
    }
    with pytest.raises(ValueError, match="'dense' with a mask, 'wide' without"):
        Supernet(lambda hp: words(hp, **options))


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        (np.zeros((2, 2)), r"shape \(2, 2\)"),
        (np.zeros((2, 1, 3), int), "2 genes"),
        (np.full((2, 1, 2), 3), r"to \[2, 2\]. Received: places from \[3, 3\]"),
        (np.full((2, 1, 2), -1), "Received: places from"),
    ],
)
def test_paths_of_another_space_are_refused(paths, message):
    with pytest.raises(ValueError, match=message):
        Supernet(chain).set_paths(paths)


@pytest.mark.parametrize("regularizer", ["l1", "l2", "orthogonal"])
def test_options_may_regularize_their_weights(regularizer):
    if regularizer == "orthogonal":
        regularizer = keras.regularizers.OrthogonalRegularizer(0.1)

    def build(hp):
        options = {
            "dense": lambda: L.Dense(4, kernel_regularizer=regularizer),
            "skip": L.Identity,
        }
        inputs = keras.Input((4,))
        return compiled(inputs, layer_choice(hp, "layer", options)(inputs))

    supernet = Supernet(build)
    supernet.set_paths(np.zeros((1, 1, 1), int))
    history = supernet.fit(X[:, :4], Y, epochs=1, verbose=0).history
    assert np.isfinite(history["loss"]).all()


def test_values_and_paths_are_the_same_thing(supernet):
    for path in paths_of(supernet, 20):
        values = supernet.values_of(path)
        assert (supernet.path_of(values) == path).all()
        held = {**supernet.held, "tuner/epochs": 3}
        assert (supernet.path_of({**values, **held}) == path).all()


@pytest.mark.parametrize("left_out", ["all", "some"])
def test_values_that_are_left_out_are_the_defaults(left_out):
    """As in a search around some hyperparameters alone."""

    def build(hp):
        tensor = inputs = keras.Input((6,))
        tensor = dense(0)(tensor)
        for layer in repeated(hp, "depth", 1, 3, dense, default=2):
            tensor = layer(tensor)
        width = hp.Choice("width", [2, 4, 8], default=8)
        tensor = dense(0)(L.Dense(width)(tensor))
        kind = {"relu": L.ReLU, "dense": lambda: L.Dense(4)}
        tensor = layer_choice(hp, "kind", kind, default="dense")(tensor)
        tensor = block(hp, "block", lambda: dense(0), default=True)(tensor)
        return compiled(inputs, tensor)

    def dense(_):
        return L.Dense(4, use_bias=False)

    values = {} if left_out == "all" else {"block": False}
    hp = keras_tuner.HyperParameters()
    hp.values = dict(values)
    expected = build(hp).count_params()
    supernet = Supernet(build)
    assert supernet.subnet(values).count_params() == expected
    plan_, names = plan(build, elastic=True), ["params"]
    hp = keras_tuner.HyperParameters()
    hp.values = dict(values)
    for _ in range(2):
        costs = SupernetCosts(HypermodelCosts(build), plan_, names)(hp)
        assert costs.params == expected


@pytest.mark.parametrize("name", everyday("branched", of=SPACES))
def test_costs_of_a_supernet_are_those_of_each_network(name):
    build, _ = SPACES[name]
    planned = plan(build)
    names = ["params", "multiply_adds", "flops", "weight_bytes"]
    added_up = number_added_up(build, planned, names)
    assert added_up > 2 or name == "branched"


def test_the_memory_for_training_is_counted_for_each_network():
    """It is a sum for all networks but that with two large layers."""
    widths = (8, 9, 10, 11, 12, 4096)

    def build(hp):
        tensor = inputs = keras.Input((6,))
        tensor = L.Dense(4)(L.Dense(64)(tensor))
        for name in ("first", "second"):
            options = {
                f"wide_{width}": lambda width=width: keras.Sequential(
                    [L.Dense(width), L.Dense(4)]
                )
                for width in widths
            }
            tensor = layer_choice(hp, name, options)(tensor)
        return compiled(inputs, tensor)

    exact = HypermodelCosts(build)
    planned = plan(build)
    costs = SupernetCosts(exact, planned, ["training_bytes"])
    hp = planned.space.copy()
    for first, second in itertools.product(widths, widths):
        hp.values = {"first": f"wide_{first}", "second": f"wide_{second}"}
        assert costs(hp) == exact(hp)


OPTIMIZERS = {
    "momentum": lambda: keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True),
    "adam": lambda: keras.optimizers.Adam(0.01),
    "adamw": lambda: keras.optimizers.AdamW(0.01, weight_decay=0.1),
    "decayed": lambda: keras.optimizers.SGD(
        0.1, momentum=0.9, weight_decay=0.1, clipnorm=1.0
    ),
    "rmsprop": lambda: keras.optimizers.RMSprop(0.01, centered=True),
}


@pytest.mark.parametrize("name", everyday("adamw", of=OPTIMIZERS))
def test_what_is_off_the_path_does_not_move(name):
    keras.utils.set_random_seed(0)
    supernet = Supernet(lambda hp: chain(hp, OPTIMIZERS[name]))
    rng = np.random.default_rng(0)
    supernet.set_paths(UniformPaths().paths(supernet.sizes, 3, (0,)))
    supernet.fit(X, Y, epochs=1, verbose=0)  # Momentum for all of them.
    optimizer = supernet.network.optimizer
    for _ in range(8):
        path = rng.integers(0, 3, 2)
        before = [v.numpy() for v in supernet.network.variables]
        slots = [v.numpy() for v in optimizer.variables]
        supernet.set_paths(path[None, None])
        supernet.fit(X[:32], Y[:32], epochs=1, verbose=0)
        on_path = {id(v) for v in supernet.weights_on(path)}
        for value, variable in zip(
            before, supernet.network.variables, strict=True
        ):
            moved = (value != variable.numpy()).any()
            is_weight = any(variable is w for w in supernet.network.weights)
            if id(variable) in on_path:
                # A moving variance may round to what it was.
                assert moved or "moving" in variable.path, variable.path
            elif is_weight:
                assert not moved, variable.path
        off = [w for w in supernet.network.weights if id(w) not in on_path]
        names = [w.path.replace("/", "_") for w in off]
        for value, slot in zip(slots, optimizer.variables, strict=True):
            if any(slot.path.rpartition("/")[2].startswith(n) for n in names):
                assert (value == slot.numpy()).all(), slot.path


@pytest.mark.parametrize("name", everyday("adamw", of=OPTIMIZERS))
def test_one_path_trains_as_its_network_does_alone(name):
    def build(hp):
        return chain(hp, OPTIMIZERS[name])

    keras.utils.set_random_seed(0)
    supernet = Supernet(build)
    path = [0, 1]
    alone = supernet.subnet(supernet.values_of(path))
    supernet.set_paths(np.array(path)[None, None])
    histories = []
    for model in (supernet, alone):
        keras.utils.set_random_seed(7)
        fitted = model.fit(X, Y, batch_size=32, epochs=2, verbose=0)
        histories.append(fitted.history)
    assert histories[0] == histories[1]
    pairs = zip(supernet.weights_on(path), alone.weights, strict=True)
    for mine, own in pairs:
        assert (mine.numpy() == own.numpy()).all(), own.path


@pytest.mark.parametrize("clip", ["clipnorm", "global_clipnorm"])
def test_clipping_sees_the_path_alone(clip):
    def build(hp):
        def option(units):
            return keras.Sequential(
                [
                    L.Dense(units, "relu", kernel_regularizer=L2(10.0)),
                    L.Dense(4, kernel_regularizer=L2(10.0)),
                ]
            )

        inputs = keras.Input((6,))
        options = {str(n): lambda n=n: option(n) for n in (3, 5, 7)}
        tensor = layer_choice(hp, "layer", options)(inputs)
        optimizer = keras.optimizers.SGD(0.1, **{clip: 0.5})
        return compiled(inputs, tensor, optimizer)

    keras.utils.set_random_seed(0)
    supernet = Supernet(build)
    alone = supernet.subnet(supernet.values_of([1]))
    supernet.set_paths(np.array([1])[None, None])
    for model in (supernet, alone):
        keras.utils.set_random_seed(7)
        model.fit(X, Y, batch_size=32, verbose=0)
    pairs = zip(supernet.weights_on([1]), alone.weights, strict=True)
    for mine, own in pairs:
        np.testing.assert_allclose(mine, own, rtol=1e-5, atol=1e-7)


def test_a_fit_that_is_given_no_paths_trains_all_options():
    keras.utils.set_random_seed(0)
    supernet = Supernet(chain)
    before = [w.numpy() for w in supernet.network.trainable_weights]
    supernet.fit(X, Y, batch_size=8, epochs=1, verbose=0)
    pairs = zip(before, supernet.network.trainable_weights, strict=True)
    for value, weight in pairs:
        assert (value != weight.numpy()).any(), weight.path


def test_paths_are_no_reason_to_trace_again():
    supernet = Supernet(chain)
    for epoch in range(4):
        paths = UniformPaths().paths(supernet.sizes, 3, (0, epoch))
        supernet.set_paths(paths)
        supernet.fit(X, Y, batch_size=32, epochs=1, verbose=0)
        if epoch == 0:
            first = supernet.train_function
    assert supernet.train_function is first


def test_a_step_of_several_paths_takes_the_mean_gradient_of_each_weight():
    def build(hp):
        return chain(hp, lambda: keras.optimizers.SGD(1.0))

    keras.utils.set_random_seed(0)
    supernet = Supernet(build)
    passes = np.array([[0, 1], [1, 1], [0, 2]])
    x, y = X[:32], Y[:32]
    before = {id(w): w.numpy() for w in supernet.network.trainable_weights}
    gradients = {key: [] for key in before}
    for path in passes:
        supernet.take(path)
        with tf.GradientTape() as tape:
            outputs = supernet.network(x, training=True)
            loss = supernet.network.compute_loss(x, y, outputs)
        weights = supernet.network.trainable_weights
        on_path = {id(w) for w in supernet.weights_on(path)}
        found = tape.gradient(loss, [w.value for w in weights])
        for weight, gradient in zip(weights, found, strict=True):
            if id(weight) in on_path:
                gradients[id(weight)].append(gradient.numpy())
    supernet.set_paths(passes[None])
    supernet.fit(x, y, batch_size=32, epochs=1, verbose=0, shuffle=False)
    for weight in supernet.network.trainable_weights:
        expected = before[id(weight)]
        if gradients[id(weight)]:
            expected = expected - np.mean(gradients[id(weight)], axis=0)
        np.testing.assert_allclose(
            weight.numpy(), expected, rtol=1e-4, atol=1e-6, err_msg=weight.path
        )


SIZES = (2, 3, 5)


def test_uniform_paths_have_every_value_equally_often():
    paths = UniformPaths().paths(SIZES, 6000, (0, 1))
    assert paths.shape == (6000, 1, 3)
    for gene, size in enumerate(SIZES):
        counts = np.bincount(paths[:, 0, gene], minlength=size)
        assert len(counts) == size
        assert abs(counts / 6000 - 1 / size).max() < 0.03


def test_fair_paths_have_every_value_in_every_step():
    paths = FairPaths().paths(SIZES, 400, (3, 4))
    assert paths.shape == (400, 5, 3)
    for gene, size in enumerate(SIZES):
        for step in paths[:, :, gene]:
            counts = np.bincount(step, minlength=size)
            assert counts.max() - counts.min() <= 1
    # A place among the passes says nothing about the value.
    first = np.bincount(paths[:, 0, 2], minlength=5)
    assert abs(first / 400 - 0.2).max() < 0.08


@pytest.mark.parametrize("sampler", [UniformPaths(), FairPaths()])
def test_a_sampler_draws_from_its_address_alone(sampler):
    one, same = (sampler.paths(SIZES, 20, (5, 2)) for _ in range(2))
    other = sampler.paths(SIZES, 20, (5, 3))
    assert (one == same).all()
    assert (one != other).any()


# What cannot be a supernet.


def _two(hp, options):
    inputs = keras.Input((6,))
    return compiled(inputs, layer_choice(hp, "kind", options)(inputs))


def _no_choice(hp):
    inputs = keras.Input((6,))
    return compiled(inputs, L.Dropout(hp.Float("rate", 0.1, 0.4))(inputs))


def _loop(hp):
    tensor = inputs = keras.Input((6,))
    for _ in range(hp.Int("depth", 1, 3)):
        tensor = L.Dense(4)(tensor)
    skip = layer_choice(hp, "kind", {"a": L.Identity, "b": L.ReLU})
    return compiled(inputs, skip(tensor))


def _shared_layer(hp):
    one = L.Dense(6)
    return _two(hp, {"a": lambda: one, "b": lambda: one})


def _shared_by_choices(hp):
    one = L.Dense(6)
    tensor = inputs = keras.Input((6,))
    for name in ("first", "second"):
        options = {"same": lambda: one, "skip": L.Identity}
        tensor = layer_choice(hp, name, options)(tensor)
    return compiled(inputs, tensor)


def _shared_outside(hp):
    one = L.Dense(6, name="both")
    options = {"same": lambda: one, "skip": L.Identity}
    inputs = keras.Input((6,))
    tensor = layer_choice(hp, "kind", options)(one(inputs))
    return compiled(inputs, tensor)


def _same_name_of_int(hp):
    hp.Int("kind", 1, 3)
    return _two(hp, {"a": lambda: L.Dense(6), "b": L.Identity})


def _not_compiled(hp):
    model = branched(hp)
    return keras.Model(model.inputs, model.outputs)


BAD = {
    "shapes": (
        lambda hp: _two(
            hp, {"wide": lambda: L.Dense(8), "narrow": lambda: L.Dense(4)}
        ),
        r"'kind'.*one shape.*'wide' \(None, 8\), 'narrow' \(None, 4\)",
    ),
    "tensors": (
        lambda hp: _two(
            hp,
            {"a": lambda: L.Dense(6), "b": lambda: keras.ops.ones((1, 6))},
        ),
        r"'kind'.*must return layers.*'b'.*without calling it",
    ),
    "stateful": (
        lambda hp: _two(
            hp,
            {
                "a": lambda: L.Dense(6),
                "b": lambda: keras.Sequential(
                    [
                        L.Reshape((1, 6)),
                        L.LSTM(6, stateful=True),
                    ]
                ),
            },
        ),
        r"'kind'.*state between batches.*lstm.*stateful=False",
    ),
    "no choice": (_no_choice, r"must have a choice.*\['rate'\].*layer_choice"),
    "topology": (_loop, r"'depth' changes which layers.*repeated.*held="),
    "shared": (_shared_layer, r"layers of its own.*'a' of 'kind' and 'b'"),
    "shared by choices": (
        _shared_by_choices,
        r"layers of its own.*'same' of '\w+' and 'same' of '\w+'",
    ),
    "shared outside": (
        _shared_outside,
        r"layers of its own.*'both' of Dense in an option of 'kind' and outs",
    ),
    "several tensors": (
        lambda hp: _two(
            hp,
            {
                "a": lambda: keras.Sequential(
                    [L.Reshape((1, 6)), L.LSTM(6, return_state=True)]
                ),
                "b": lambda: L.Dense(6),
            },
        ),
        r"'kind' must return one tensor.*Received: \w+ from 'a'",
    ),
    "a name twice": (_same_name_of_int, r"'kind'.*one hyperp.*Int\(name"),
    "not compiled": (_not_compiled, r"compiled model"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_a_supernet_says_why(name):
    build, message = BAD[name]
    with pytest.raises(ValueError, match=f"(?s){message}"):
        Supernet(build)


class Loss(L.Layer):
    """Adds a loss of its own."""

    def call(self, x):
        self.add_loss(keras.ops.mean(x))
        return x


def test_an_option_adds_no_loss():
    supernet = Supernet(
        lambda hp: _two(hp, {"a": lambda: L.Dense(6), "b": Loss})
    )
    with pytest.raises(ValueError, match="the option 'b', which calls `add_l"):
        supernet.fit(X, Y, verbose=0)


class Pick(L.Layer):
    """Takes one of several tensors."""

    def __init__(self, name):
        super().__init__()
        self.taken = name

    def call(self, x):
        return x[self.taken]


def test_a_choice_takes_several_tensors_by_name():
    def build(hp):
        inputs = {name: keras.Input((6,), name=name) for name in "ab"}
        options = {name: functools.partial(Pick, name) for name in "ab"}
        return compiled(inputs, layer_choice(hp, "taken", options)(inputs))

    supernet = Supernet(build)
    x = {"a": X, "b": -X}
    for taken in "ab":
        model = supernet.subnet({"taken": taken})
        supernet.take(supernet.path_of({"taken": taken}))
        np.testing.assert_array_equal(
            model.predict(x, verbose=0), supernet.network.predict(x, verbose=0)
        )


def test_what_changes_the_layers_may_be_held():
    supernet = Supernet(_loop, held={"depth": 2})
    assert supernet.held == {"depth": 2}
    assert len(graph_of(supernet.subnet({"kind": "b"})).weighted) == 3


HELPERS = {
    "layer_choice": lambda hp: [
        layer_choice(hp, "kind", {"a": lambda: L.Dense(4), "b": L.Identity})
    ],
    "repeated": lambda hp: repeated(hp, "kind", 0, 2, lambda _: L.Dense(4)),
    "block": lambda hp: [block(hp, "kind", lambda: L.Dense(4))],
}


@pytest.mark.parametrize("name", HELPERS)
@pytest.mark.parametrize("is_active", [False, True])
def test_a_helper_is_shared_where_its_scope_is_active(name, is_active):
    def build(hp):
        tensor = inputs = keras.Input((6,))
        tensor = L.Dense(4)(tensor)
        tensor = block(hp, "first", lambda: L.Dense(4))(tensor)
        more = hp.Boolean("more")
        with hp.conditional_scope("more", [True]):
            made = HELPERS[name](hp)
        if more:
            for layer in made:
                tensor = layer(tensor)
        return compiled(inputs, tensor)

    supernet = Supernet(build, held={"more": is_active})
    shared = ["first", "kind"] if is_active else ["first"]
    assert [gene.name for gene in supernet.genes] == shared
    for path in paths_of(supernet, 4):
        model = supernet.subnet(supernet.values_of(path))
        supernet.take(path)
        np.testing.assert_allclose(supernet(X), model(X), rtol=1e-5)
    with pytest.raises(ValueError, match=r"'more' changes which layers"):
        Supernet(build)


def _chosen(hp):
    dense = {"relu": lambda: L.Dense(4, "relu"), "linear": lambda: L.Dense(4)}
    return layer_choice(hp, "kind", dense)


def _early_exits(hp, tensor):
    exits = []
    for layer in repeated(hp, "depth", 1, 3, lambda _: L.Dense(4)):
        tensor = layer(tensor)
        exits.append(tensor)
    return exits[0] if len(exits) == 1 else L.Average()(exits)


def _by_number(hp, tensor):
    parts = repeated(hp, "depth", 1, 3, lambda _: L.Dense(4))
    for layer in parts:
        tensor = layer(tensor)
    return tensor * (1 / len(parts))


def _read_again(hp, tensor):
    tensor = _chosen(hp)(tensor)
    return L.Dropout(0.1)(tensor) if hp.get("kind") == "relu" else tensor


def _setting(hp, tensor):
    tensor = _chosen(hp)(tensor)
    return L.Dropout({"relu": 0.1, "linear": 0.2}[hp.get("kind")])(tensor)


def _same_name(hp, tensor):
    tensor = _chosen(hp)(tensor)
    return L.Activation(hp.Choice("kind", ["relu", "linear"]))(tensor)


@pytest.mark.parametrize(
    "behind",
    [_early_exits, _by_number, _read_again, _setting, _same_name],
)
def test_choices_that_are_read_in_other_ways_are_refused(behind):
    """Else other networks would be scored than are built."""

    def build(hp):
        inputs = keras.Input((6,))
        return compiled(inputs, behind(hp, inputs))

    with pytest.raises(ValueError, match=r"alone for \{'(kind|dep)"):
        Supernet(build)


@pytest.mark.parametrize(
    ("held", "message"),
    [
        ({"kind": "a"}, "'kind', which is shared"),
        ({"no": 1}, "is not asked"),
        ({"depth": 9}, r"\['depth'\]` must be a value.*Received: 9, of Int"),
        ({"depth": 1.5}, r"Received: 1.5, of Int"),
        ({"depth": "a"}, r"Received: 'a', of Int"),
    ],
)
def test_only_what_is_not_shared_can_be_held(held, message):
    with pytest.raises(ValueError, match=f"(?s)`held.*{message}"):
        Supernet(_loop, held=held)


def test_values_of_another_space_are_refused():
    supernet = Supernet(chain)
    with pytest.raises(ValueError, match="'layer_0' must be one of"):
        supernet.path_of({"layer_0": "conv"})
    with pytest.raises(ValueError, match=r"of this supernet.*depth=3"):
        supernet.path_of({"depth": 3})
    with pytest.raises(TypeError, match=r"`values` must be.*Received: 'a'"):
        supernet.subnet("a")
    with pytest.raises(ValueError, match="`share` must be a number"):
        supernet.distill(2)
    for path in ([0], ["a", 0], [0.5, 1], 3):
        with pytest.raises(ValueError, match="`paths` must be integers"):
            supernet.called(path)
    with pytest.raises(ValueError, match=r"Received: places from \[0, 9\]"):
        supernet.values_of([0, 9])
    with pytest.raises(TypeError, match="`batches` must be a list of batches"):
        calibrate(supernet.subnet({}), X)
    with pytest.raises(TypeError, match="`model` must be a built"):
        calibrate("a", [X])
    with pytest.raises(TypeError, match="`keeps` must be a function"):
        FeasiblePaths(keeps=3)
