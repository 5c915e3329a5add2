"""Searches by gradients: both orders, stages, resume, results, bad input."""

import contextlib
import json

import keras
import keras_tuner
import numpy as np
import pytest
import tensorflow as tf

from keras_evonas import EvoOracle
from keras_evonas.models import layer_choice
from keras_evonas.models import repeated
from keras_evonas.supernets import BinaryGates
from keras_evonas.supernets import DifferentiableSearch
from keras_evonas.supernets import GumbelGates
from keras_evonas.supernets import SoftmaxGates
from keras_evonas.supernets import differentiable
from keras_evonas.supernets import measured_costs
from keras_evonas.supernets.architecture import Architecture
from keras_evonas.supernets.bilevel import EpochPlan
from keras_evonas.supernets.bilevel import MixedNetwork
from keras_evonas.supernets.held import plan
from keras_evonas.supernets.history import History
from keras_evonas.supernets.mixed import MixedLayer
from keras_evonas.training.arrays import Arrays
from tests.marks import everyday
from tests.supernets.spaces import Cut
from tests.supernets.spaces import Intruding
from tests.supernets.spaces import what_another_process_hears

pytestmark = pytest.mark.keras
L = keras.layers
RNG = np.random.default_rng(0)
X = RNG.normal(size=(80, 5))
Y = RNG.integers(3, size=80)


def compiled(inputs, tensor):
    model = keras.Model(inputs, L.Dense(3, "softmax")(tensor))
    model.compile(
        keras.optimizers.SGD(0.1, momentum=0.9),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model


def chain(hp):
    """Two choices of five smooth options."""
    tensor = inputs = keras.Input((5,))
    tensor = L.Dense(4, "tanh")(tensor)
    for number in range(2):
        tensor = layer_choice(
            hp,
            f"layer_{number}",
            {
                "tanh": lambda: L.Dense(4, "tanh"),
                "normal": L.BatchNormalization,
                "linear": lambda: L.Dense(4, use_bias=False),
                "soft": lambda: L.Dense(4, "softplus"),
                "skip": L.Identity,
            },
        )(tensor)
    return compiled(inputs, tensor)


def nested(hp):
    """A depth with several mixed layers, and a choice inside of a choice."""
    tensor = inputs = keras.Input((5,))
    tensor = L.Dense(4, "tanh")(tensor)
    for layer in repeated(hp, "depth", 0, 2, lambda _: L.Dense(4, "tanh")):
        tensor = layer(tensor)

    def inner():
        return layer_choice(
            hp,
            "inner",
            {"a": lambda: L.Dense(4, "tanh"), "b": L.BatchNormalization},
        )

    both = {"plain": L.Identity, "more": inner}
    return compiled(inputs, layer_choice(hp, "outer", both)(tensor))


def mixed(build, gates, *, order=1, kept=None, seed=0):
    """A mixture on the first 40 examples for weights, the others held out."""
    keras.utils.set_random_seed(seed)
    planned = plan(build)
    floatx = keras.config.floatx()
    data = Arrays((tf.constant(X, floatx), tf.constant(Y)), 80, 20)
    made = Architecture(planned.genes, gates, kept=kept)
    optimizer = keras.optimizers.Adam(0.01, beta_1=0.5)
    return MixedNetwork(
        build, planned, made, optimizer, data, data, steps=2,
        second_order=order == 2,
    )  # fmt: skip


def epoch(network, seed=0, *, searching=True):
    rng = np.random.default_rng(seed)
    orders = [rng.permutation(40), 40 + rng.permutation(40)]
    size = network.architecture.size
    return EpochPlan(
        orders=np.array(orders),
        noise=rng.gumbel(size=(2, 2, 2, size)),
        searching=searching,
        temperature=0.7,
        skip_rate=0.0,
        skip_seed=1,
    )


@pytest.fixture
def in_double_precision():
    before, policy = keras.config.floatx(), keras.config.dtype_policy()
    keras.config.set_floatx("float64")
    # It is not float64 by itself if an earlier test has asked for it.
    keras.config.set_dtype_policy("float64")
    yield
    keras.config.set_floatx(before)
    keras.config.set_dtype_policy(policy)


@pytest.mark.parametrize(
    ("build", "gates"),
    [
        (nested, SoftmaxGates()),
        pytest.param(chain, GumbelGates(), marks=pytest.mark.slow),
        pytest.param(chain, SoftmaxGates(), marks=pytest.mark.slow),
        pytest.param(nested, GumbelGates(), marks=pytest.mark.slow),
    ],
)
def test_both_orders_are_finite_differences_of_the_bilevel_loss(
    build, gates, in_double_precision
):
    network = mixed(build, gates, order=2)
    made = network.architecture
    alphas = np.random.default_rng(1).normal(size=made.size)
    made.alpha.assign(alphas)
    network.begin(epoch(network))
    made.draw(network._noise[0, 0], two=True)
    train, held = network._batch(0, 0), network._batch(1, 0)
    weights = network.network.trainable_weights
    kept = [w.numpy() for w in weights]
    rate = 0.1

    def bilevel_loss(order):
        """The held-out loss, after one step on the training batch."""
        if order == 2:
            slopes = network.gradients(*train).weights
            for weight, slope in zip(weights, slopes, strict=True):
                weight.assign_sub(rate * slope)
        loss = float(network.gradients(*held).loss)
        for weight, value in zip(weights, kept, strict=True):
            weight.assign(value)
        return loss

    def finite_difference(order, place, by=1e-5):
        sides = []
        for sign in (1, -1):
            moved = alphas.copy()
            moved[place] += sign * by
            made.alpha.assign(moved)
            sides.append(bilevel_loss(order))
        made.alpha.assign(alphas)
        return (sides[0] - sides[1]) / (2 * by)

    places = range(made.size)
    found = {}
    for order in (1, 2):
        network._second_order = order == 2
        network.length = 1e-4
        found[order] = network.architecture_gradient(train, held).numpy()
        expected = [finite_difference(order, place) for place in places]
        np.testing.assert_allclose(found[order], expected, rtol=1e-5, atol=1e-9)
    # The orders differ by far more than they differ from their losses.
    assert np.abs(found[2] - found[1]).max() > 1e-3 * np.abs(found[1]).max()
    # The length that DARTS takes is nearly as exact: its error is quadratic.
    network.length = MixedNetwork.length
    rough = network.architecture_gradient(train, held).numpy()
    assert np.abs(rough - found[2]).max() < 1e-3 * np.abs(found[2]).max()
    # Nothing but the gradient is left of it, and one function was traced.
    for weight, value in zip(weights, kept, strict=True):
        assert (weight.numpy() == value).all()
    assert network.gradients.experimental_get_tracing_count() == 1


@pytest.mark.parametrize(
    "gates",
    [SoftmaxGates(), pytest.param(BinaryGates(), marks=pytest.mark.slow)],
)
def test_with_one_option_it_trains_as_the_plain_network(gates):
    kept = {"layer_0": [0], "layer_1": [1]}
    network = mixed(chain, gates, kept=kept)
    layers = network.network.layers
    hp = keras_tuner.HyperParameters()
    hp.values = {"layer_0": "tanh", "layer_1": "normal"}
    plain = chain(hp)

    def weights():
        for layer in layers:
            if isinstance(layer, MixedLayer):
                layer = layer.options[kept[layer.choice][0]]
            yield from layer.weights

    for mine, shared in zip(plain.weights, weights(), strict=True):
        mine.assign(shared)
    data = tf.data.Dataset.range(2)
    for number in range(2):
        planned = epoch(network, number, searching=False)
        network.begin(planned)
        network.fit(data, verbose=0, shuffle=False)
        order = planned.orders[0]
        plain.fit(
            X[order].astype("float32"), Y[order], 20, shuffle=False, verbose=0
        )
    for mine, shared in zip(plain.weights, weights(), strict=True):
        assert (mine.numpy() == shared.numpy()).all(), mine.path


def test_binary_gates_leave_what_is_off_the_path_as_it_was():
    network = mixed(chain, BinaryGates())
    data = tf.data.Dataset.range(1)
    layers = [
        one for one in network._flatten_layers() if isinstance(one, MixedLayer)
    ]

    def weights():
        return [
            [w.numpy() for w in option.trainable_weights]
            for one in layers
            for option in one.options
        ]

    for number in range(4):
        network.begin(epoch(network, number))
        before = weights()
        network.fit(data, verbose=0, shuffle=False)
        on_path = [
            branch == int(one.gate.chosen)
            for one in layers
            for branch in range(len(one.options))
        ]
        for on, old, new in zip(on_path, before, weights(), strict=True):
            for one, other in zip(old, new, strict=True):
                assert (one != other).any() == on
    alphas = network.architecture.alpha.numpy()
    assert (alphas != 0).sum() >= 4  # Pairs of both choices were trained.


STAGED = {
    "epochs": 2, "warmup": 1, "stages": 2, "skip_dropout": [0.2, 0.5],
    "learning_rate": 0.3,
}  # fmt: skip


def searched(folder, cut=None, *, build=chain, **changes):
    settings = {**STAGED, "max_skips": 1, **changes}
    search = DifferentiableSearch(
        build, differentiable(**settings), seed=4, directory=folder
    )
    callbacks = [] if cut is None else [Cut(cut)]
    with contextlib.suppress(KeyboardInterrupt):
        search.search(X, Y, batch_size=20, verbose=0, callbacks=callbacks)
    return search


def written(folder):
    """The history and all variables of a search, as they were written."""
    project = folder / "differentiable_search"
    state = json.loads((project / "supernet.json").read_text())
    with np.load(project / state["weights"]) as arrays:
        weights = {name: arrays[name] for name in arrays.files}
    return json.loads((project / "architecture.json").read_text()), weights


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    return searched(folder), folder


@pytest.mark.parametrize("cut", everyday(3, of=[1, 2, 3]))
def test_a_search_goes_on_to_the_same_end(whole, tmp_path, cut):
    search, folder = whole
    half = searched(tmp_path, cut)
    assert len(half.history) == cut
    with pytest.raises(ValueError, match=f"a search of {cut} of 4 epochs"):
        half.likeliest()
    again = searched(tmp_path)
    assert again.history == search.history
    assert again.likeliest(5) == search.likeliest(5)
    mine, expected = written(tmp_path), written(folder)
    assert mine[0] == expected[0]
    assert mine[1].keys() == expected[1].keys()
    for name, value in expected[1].items():
        assert (mine[1][name] == value).all(), name


def test_no_other_process_searches_in_the_folder(tmp_path):
    folder = tmp_path / "differentiable_search"
    intruder = Intruding(folder)
    once = differentiable(epochs=1)
    search = DifferentiableSearch(chain, once, directory=tmp_path)
    search.search(X, Y, batch_size=20, verbose=0, callbacks=[intruder])
    (said,) = intruder.said
    assert "must belong to one search" in said
    assert not what_another_process_hears(folder)


def test_an_optimizer_that_was_edited_between_is_told(tmp_path):
    optimizers = keras.optimizers

    def run(optimizer, cut=None):
        def build(hp):
            model = chain(hp)
            loss = "sparse_categorical_crossentropy"
            model.compile(optimizer(), loss, metrics=["accuracy"])
            return model

        once = {"warmup": 0, "stages": 1, "skip_dropout": 0}
        return searched(tmp_path, cut, build=build, **once)

    run(lambda: optimizers.SGD(0.1, momentum=0.9), cut=1)
    before = written(tmp_path)[0]
    with pytest.raises(ValueError, match=r"='SGD'\. Received: .*='RMSprop'"):
        run(optimizers.RMSprop)
    with (
        pytest.warns(UserWarning, match="momentum.* was 0.9, and is 0.0"),
        pytest.raises(ValueError, match="another network or optimizer, with"),
    ):
        run(lambda: optimizers.SGD(0.1))
    assert written(tmp_path)[0] == before
    with pytest.warns(UserWarning, match="1 of them, were trained") as told:
        run(lambda: optimizers.SGD(0.5, momentum=0.8))
    (message,) = [str(one.message) for one in told]
    assert "`optimizer['learning_rate']` was 0.1" in message
    assert "`optimizer['momentum']` was 0.9, and is 0.8" in message
    values = written(tmp_path)[1].values()
    assert 0.5 in [float(x) for x in values if x.shape == ()]
    # An ended search is looked at, too.
    with pytest.warns(UserWarning, match=r"2 of them.*was 0.5, and is 0.25"):
        run(lambda: optimizers.SGD(0.25, momentum=0.8))


@pytest.mark.slow
def test_costs_measured_again_are_those_of_the_first_run(tmp_path):
    def run(folder, cost, cut=None, **given):
        options = ("tanh", "normal", "linear", "soft", "skip")
        costs = {"layer_0": dict.fromkeys(options, 0.1) | {"tanh": cost}}
        return searched(folder, cut, costs=costs, **given)

    whole = run(tmp_path / "whole", 0.5)
    run(tmp_path / "cut", 0.5, cut=1)
    again = run(tmp_path / "cut", 0.7)
    assert again.history == whole.history


def test_stages_have_their_options_and_networks_their_skips(whole):
    search, _ = whole
    for gene in ("layer_0", "layer_1"):
        rows = [row[gene] for row in search.history]
        for number, row in enumerate(rows):
            left = [value for value, share in row.items() if share > 0]
            assert len(left) == {0: 5, 1: 2}[number // 2]
            assert sum(row.values()) == pytest.approx(1)
            if number % 2 == 0:  # The warm-up: all options weigh the same.
                assert len({row[value] for value in left}) == 1
        best = sorted(rows[1], key=rows[1].get, reverse=True)
        assert {value for value, share in rows[2].items() if share} == {
            *best[:2]
        }
    found = search.likeliest(99)
    assert all(list(one.values()).count("skip") <= 1 for one in found)
    assert len({tuple(one.items()) for one in found}) == len(found)


def test_an_ended_search_is_read_and_its_networks_begin_another(
    whole, tmp_path
):
    search, folder = whole
    again = DifferentiableSearch(
        chain, differentiable(**STAGED), directory=folder
    )
    assert again.seed == 4
    assert again.history == search.history
    best = again.likeliest(2)
    last = search.history[-1]
    assert best[0] == {n: max(row, key=row.get) for n, row in last.items()}
    oracle = EvoOracle("val_loss", 2, seed=0, initial_population=best)
    tuner = keras_tuner.Tuner(oracle, chain, directory=tmp_path)
    trials = [oracle.create_trial(name).hyperparameters.values for name in "ab"]
    assert trials == best
    assert tuner is not None


@pytest.mark.slow
def test_policy_gradients_go_on_to_the_same_end(tmp_path):
    same = {"gate": "reinforce", "epochs": 3, "warmup": 0, "stages": 1}
    same["skip_dropout"] = 0
    whole = searched(tmp_path / "whole", **same)
    searched(tmp_path / "half", 2, **same)
    assert searched(tmp_path / "half", **same).history == whole.history
    rows = [list(row["layer_0"].values()) for row in whole.history]
    assert rows[0] != rows[1] != rows[2]


def deepened(hp):
    """Parts with a choice of four each, and a choice that all depths have."""

    def choice(name):
        return layer_choice(
            hp,
            name,
            {
                "tanh": lambda: L.Dense(4, "tanh"),
                "linear": lambda: L.Dense(4, use_bias=False),
                "soft": lambda: L.Dense(4, "softplus"),
                "skip": L.Identity,
            },
        )

    tensor = inputs = keras.Input((5,))
    tensor = L.Dense(4, "tanh")(tensor)
    for layer in repeated(hp, "depth", 1, 3, lambda _: choice("kind")):
        tensor = layer(tensor)
    return compiled(inputs, choice("last")(tensor))


DEEPER = {"epochs": 1, "stages": 3, "warmup": 0, "depths": {"depth": [1, 2, 3]}}


def assert_stages(history):
    """Checks the options and the depth of each of three stages."""

    def left(stage, name):
        return sum(share > 0 for share in history[stage][name].values())

    for stage in range(3):
        depth = history[stage]["depth"]
        assert depth == {n: float(n == stage + 1) for n in (1, 2, 3)}
    # 4, then 8 / 3 and 4 / 3, but at least 2. A part that is new has all.
    assert [left(stage, "last") for stage in range(3)] == [4, 3, 2]
    assert [left(stage, "depth/0/kind") for stage in range(3)] == [4, 3, 2]
    assert [left(stage, "depth/1/kind") for stage in range(3)] == [4, 4, 2]
    assert [left(stage, "depth/2/kind") for stage in range(3)] == [4, 4, 4]


def test_stages_are_as_deep_as_asked_for(tmp_path):
    search = DifferentiableSearch(
        deepened, differentiable(**DEEPER), directory=tmp_path
    )
    # What a training of each stage writes, with its own options only.
    rng = np.random.default_rng(0)
    for stage in range(3):
        kept = search._kept_in(stage)
        row = {}
        for gene in search._plan.genes:
            shares = np.zeros(len(gene.values))
            number = len(kept[gene.name])
            shares[kept[gene.name]] = rng.dirichlet(np.ones(number))
            row[gene.name] = shares.tolist()
        search._history.add(row)
    assert_stages(search.history)


@pytest.mark.slow
@pytest.mark.parametrize("gate", ["softmax", "binary"])
def test_a_search_deepens_its_network(tmp_path, gate):
    changes = {**DEEPER, "skip_dropout": [0, 0.4, 0.7], "gate": gate}
    search = searched(tmp_path, build=deepened, **changes)
    assert_stages(search.history)
    found = search.likeliest(50)
    assert {values["depth"] for values in found} == {3}
    assert all(list(one.values()).count("skip") <= 1 for one in found)


def test_what_is_held_is_said(tmp_path, capsys):
    def build(hp):
        rate = hp.Float("rate", 1e-3, 1.0, sampling="log", default=0.1)
        model = chain(hp)
        model.compile(keras.optimizers.SGD(rate), model.loss)
        return model

    search = DifferentiableSearch(
        build, differentiable(1), seed=4, directory=tmp_path
    )
    search.search(X, Y, batch_size=20)
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "Supernet of 2 choices; held: rate=0.1."
    assert "epoch 1 of 1" in said[1]


@pytest.mark.parametrize("stages", [1, 2])
def test_a_callback_that_stops_ends_the_stage(tmp_path, stages):
    class Stop(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = epoch % 3 == 1

    settings = {"epochs": 3, "stages": stages, "skip_dropout": 0.0}
    search = DifferentiableSearch(
        chain, differentiable(**settings), seed=4, directory=tmp_path
    )
    # As in `fit`, one needs no list.
    search.search(X, Y, batch_size=20, verbose=0, callbacks=Stop())
    history = search.history
    assert len(history) == 3 * stages
    for first in range(0, 3 * stages, 3):
        assert history[first] != history[first + 1] == history[first + 2]
    assert search.likeliest(1)


@pytest.mark.parametrize("gate", ["softmax", "gumbel", "binary"])
def test_steps_that_overflow_leave_the_options_as_they_are(tmp_path, gate):
    def build(hp):
        optimizer = keras.optimizers.LossScaleOptimizer(
            keras.optimizers.SGD(0.05), initial_scale=3.4e38
        )
        model = chain(hp)
        model.compile(optimizer, model.loss)
        return model

    search = searched(
        tmp_path, build=build, gate=gate, stages=1, skip_dropout=0.0
    )
    assert search.likeliest(2)
    shares = keras.tree.flatten(search.history)
    assert len(shares) == 20
    assert np.isfinite(shares).all()


def test_the_time_of_options_is_measured(tmp_path):
    def slow_or_fast(hp):
        tensor = inputs = keras.Input((1024,))
        options = {"slow": lambda: L.Dense(1024), "fast": L.Identity}
        tensor = layer_choice(hp, "layer", options)(tensor)
        parts = repeated(hp, "depth", 1, 2, lambda _: L.Dense(1024))
        for part in parts:
            tensor = part(tensor)
        return compiled(inputs, tensor)

    costs = measured_costs(slow_or_fast, batch_size=128, repeats=4)
    assert costs["layer"]["slow"] > costs["layer"]["fast"] >= 0
    assert costs["depth"][2] > costs["depth"][1]
    training = differentiable(gate="binary", costs=costs)
    DifferentiableSearch(slow_or_fast, training, directory=tmp_path)
    with pytest.raises(ValueError, match="`repeats`"):
        measured_costs(slow_or_fast, repeats=0)


def test_likeliest_networks_have_active_values_alone(tmp_path):
    settings = differentiable(epochs=1)
    genes = plan(nested).genes
    assert [gene.name for gene in genes] == [
        "depth",
        "outer",
        "outer/more/inner",
    ]
    history = History(tmp_path / "differentiable_search", genes)
    history.seed = 0
    rows = ([0.22, 0.48, 0.3], [0.6, 0.4], [0.3, 0.7])
    history.skips = {"depth": [0], "outer": [0], "outer/more/inner": []}
    history.add({g.name: row for g, row in zip(genes, rows, strict=True)})
    search = DifferentiableSearch(nested, settings, directory=tmp_path)
    assert search.likeliest(99) == [
        {"depth": 1, "outer": "plain"},  # 0.48 * 0.6 * 0.7 = 0.20
        {"depth": 1, "outer": "more", "outer/more/inner": "b"},  # 0.134
        {"depth": 2, "outer": "plain"},  # 0.126
        {"depth": 0, "outer": "plain"},  # 0.092
        {"depth": 2, "outer": "more", "outer/more/inner": "b"},  # 0.084
        {"depth": 0, "outer": "more", "outer/more/inner": "b"},  # 0.062
        {"depth": 1, "outer": "more", "outer/more/inner": "a"},  # 0.058
        {"depth": 2, "outer": "more", "outer/more/inner": "a"},  # 0.036
        {"depth": 0, "outer": "more", "outer/more/inner": "a"},  # 0.026
    ]
    # The plain option outweighs the depth of none, and one skip may stay.
    settings = differentiable(epochs=1, max_skips=1)
    search = DifferentiableSearch(nested, settings, directory=tmp_path)
    assert all(values["depth"] > 0 for values in search.likeliest(99))
    assert search.likeliest(1)[0]["outer"] == "plain"


@pytest.mark.slow
@pytest.mark.parametrize("gate", ["binary", "reinforce"])
def test_the_one_cheap_option_is_chosen(tmp_path, gate):
    names = ["tanh", "normal", "linear", "soft", "skip"]
    costs = {"layer_0": {**dict.fromkeys(names, 9), "normal": 0}}
    search = searched(
        tmp_path, gate=gate, epochs=8, warmup=0, stages=1, skip_dropout=0,
        costs=costs,
    )  # fmt: skip
    row = search.history[-1]["layer_0"]
    assert max(row, key=row.get) == "normal"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"first": "a"}, "`first` must be a number"),
        ({"last": True}, "`last` must be a number"),
        ({"first": 0.1, "last": 0.2}, "`last` must be above 0 and at most"),
    ],
)
def test_temperatures_are_checked(given, message):
    with pytest.raises(ValueError, match=message):
        GumbelGates(**given)


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"epochs": 0}, ValueError, "`epochs`"),
        ({"epochs": 3, "warmup": 3}, ValueError, "`warmup` must be less"),
        ({"gate": "hard"}, ValueError, r"`gate`.*softmax.*'hard'"),
        ({"gate": 3}, TypeError, "`gate`.*type int"),
        ({"gate": GumbelGates}, TypeError, "`gate`.*Received: gate=<class"),
        ({"order": 3}, ValueError, "`order` must be 1 or 2"),
        ({"depths": {"depth": [1, 2]}}, ValueError, "`depths`.*stages=1"),
        ({"order": 2, "gate": "binary"}, ValueError, "binary gates"),
        ({"stages": 0}, ValueError, "`stages`"),
        ({"depths": "abc"}, TypeError, "`depths` must be a table"),
        ({"depths": {"depth": 1}}, TypeError, "`depths`.*1 for 'depth'"),
        ({"costs": 3}, TypeError, "`costs` must be a table"),
        ({"costs": {"a": 3}}, TypeError, r"`costs\['a'\]` must be a table"),
        ({"stages": 10**30}, ValueError, "`stages` must be at most 100"),
        ({"stages": 2, "skip_dropout": [0.1]}, ValueError, "=.0.1., and stag"),
        ({"skip_dropout": "abc"}, ValueError, "`skip_dropout`.*'abc'"),
        ({"cost_weight": float("inf")}, ValueError, "`cost_weight`"),
        ({"skip_dropout": 1.0}, ValueError, "`skip_dropout`"),
        ({"max_skips": -1}, ValueError, "`max_skips`"),
        ({"learning_rate": 0}, ValueError, "`learning_rate`"),
        ({"cost_weight": -1}, ValueError, "`cost_weight`"),
    ],
)
def test_settings_are_checked(given, error, message):
    with pytest.raises(error, match=message):
        differentiable(**given)


def test_what_does_not_fit_is_refused_before_anything_is_written(
    whole, tmp_path
):
    def search(build=chain, training=None, **kwargs):
        return DifferentiableSearch(
            build, training or differentiable(), directory=tmp_path, **kwargs
        )

    def plain(hp):
        return chain(keras_tuner.HyperParameters()) if hp else None

    def uncompiled(hp):
        model = chain(hp)
        return keras.Model(model.inputs, model.outputs)

    with pytest.raises(ValueError, match="must have a choice to share"):
        search(plain)
    with pytest.raises(ValueError, match="must return a compiled model"):
        search(uncompiled)
    with pytest.raises(TypeError, match=r"made by `differentiable"):
        search(training="darts")
    names = ["tanh", "normal", "linear", "soft", "skip"]
    for costs, message in (
        ({"layer_9": {}}, r"`costs` must be a table.*layer_9"),
        ({"layer_0": {"tanh": 1}}, r"\['layer_0'\]` must have a cost for"),
        ({"layer_0": dict.fromkeys(names, -1)}, r"\['layer_0'\]\['tanh'\]`"),
    ):
        with pytest.raises(ValueError, match=message):
            search(training=differentiable(costs=costs))
    costs = {"layer_0": dict.fromkeys(names, 1.0)}
    with pytest.raises(ValueError, match="`cost_weight` times each cost"):
        search(training=differentiable(costs=costs, cost_weight=1e300))
    for depths in ({"layers": [2]}, {"layer_0": [2]}):
        with pytest.raises(ValueError, match="`depths` must name a number of"):
            search(training=differentiable(depths=depths))
    with pytest.raises(ValueError, match="`epochs` are those of `training`"):
        search().search(X, Y, epochs=3)
    data = tf.data.Dataset.from_tensor_slices((X, Y)).batch(20)
    with pytest.raises(ValueError, match="must be arrays"):
        search().search(data)
    with pytest.raises(ValueError, match="`sample_weight` must be an array"):
        search().search(X, Y, sample_weight={"a": np.ones(len(X))})
    saving = keras.callbacks.ModelCheckpoint(tmp_path / "best.keras")
    with pytest.raises(ValueError, match="`callbacks` must not save whole m"):
        search().search(X, Y, callbacks=[saving])
    with pytest.raises(ValueError, match="at least 2 examples"):
        search().search(X[:1], Y[:1])
    with pytest.raises(ValueError, match="0 of 30 epochs"):
        search().likeliest()
    assert list(tmp_path.iterdir()) == []
    _, folder = whole
    before = written(folder)[0]
    with pytest.raises(ValueError, match="holds a search of other genes"):
        DifferentiableSearch(nested, directory=folder)
    other = DifferentiableSearch(chain, directory=folder)
    with pytest.raises(ValueError, match="holds another training"):
        other.search(X, Y, batch_size=20)
    assert written(folder)[0] == before


def test_overwrite_removes_searches_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(ValueError, match="hold a search or nothing"):
        DifferentiableSearch(
            chain, directory=tmp_path, project_name=".", overwrite=True
        )
    assert (tmp_path / "thesis.tex").exists()
