"""Training a supernet and scoring its networks."""

import dataclasses
import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_evonas.models import layer_choice
from keras_evonas.supernets import Scorer
from keras_evonas.supernets import Supernet
from keras_evonas.supernets import calibrate
from keras_evonas.supernets import single_path
from keras_evonas.supernets.data import scoring_data
from keras_evonas.supernets.held import plan
from keras_evonas.supernets.single_path import train
from keras_evonas.supernets.state import SavedState
from keras_evonas.training import FitArguments
from tests.marks import everyday
from tests.supernets.spaces import X_VAL
from tests.supernets.spaces import Y_VAL
from tests.supernets.spaces import Cut
from tests.supernets.spaces import Intruding
from tests.supernets.spaces import X
from tests.supernets.spaces import Y
from tests.supernets.spaces import branched
from tests.supernets.spaces import chain
from tests.supernets.spaces import compiled
from tests.supernets.spaces import paths_of
from tests.supernets.spaces import what_another_process_hears

pytestmark = pytest.mark.keras


def made(build=chain, **kwargs):
    keras.backend.clear_session()
    keras.utils.set_random_seed(3)
    return Supernet(build, **kwargs)


def arguments(**changes):
    given = {
        "batch_size": 32,
        "validation_data": (X_VAL, Y_VAL),
        **changes,
    }
    return FitArguments.of(X, Y, **given)


def trained(folder, sharing, *, build=chain, cut=None, **changes):
    supernet = made(build)
    callbacks = [] if cut is None else [Cut(cut)]
    given = arguments(callbacks=callbacks, **changes)
    said = []
    try:
        train(supernet, sharing, given, seed=3, folder=folder, say=said.append)
    except KeyboardInterrupt:
        assert cut is not None
    network = supernet.network
    state = [v.numpy() for v in network.variables]
    return state + [v.numpy() for v in network.optimizer.variables], said


@pytest.mark.parametrize("sampler", everyday(of=["uniform", "fair"]))
def test_a_training_goes_on_to_the_same_end_at_every_cut(tmp_path, sampler):
    sharing = single_path(3, sampler=sampler)
    whole, said = trained(tmp_path / "whole", sharing, build=branched)
    assert [line.partition(",")[0] for line in said] == [
        f"Supernet: epoch {n} of 3" for n in (1, 2, 3)
    ]
    for cut in (1, 2):
        folder = tmp_path / f"{cut}"
        half, _ = trained(folder, sharing, build=branched, cut=cut)
        assert any((a != b).any() for a, b in zip(half, whole, strict=True))
        again, said = trained(folder, sharing, build=branched)
        assert len(said) == 3 - cut
        for mine, expected in zip(again, whole, strict=True):
            assert (mine == expected).all()
    # An ended training is read, not repeated.
    again, said = trained(tmp_path / "whole", sharing, build=branched)
    assert said == []
    assert all((a == b).all() for a, b in zip(again, whole, strict=True))


def regularized(hp):
    """A chain of which every kernel is regularized."""
    inputs = keras.Input((6,))

    def dense():
        return keras.layers.Dense(6, use_bias=False, kernel_regularizer="l2")

    options = {"one": dense, "two": dense, "skip": keras.layers.Identity}
    tensor = layer_choice(hp, "first", options)(inputs)
    tensor = layer_choice(hp, "second", options)(tensor)
    return compiled(inputs, tensor, keras.optimizers.SGD(1.0))


@pytest.mark.parametrize("sampler", everyday("fair", of=["uniform", "fair"]))
def test_regularizers_are_those_of_the_network_alone(tmp_path, sampler):
    supernet = made(regularized)
    weights = supernet.network.trainable_weights
    kernels = [one for one in weights if one.regularizer is not None]
    before = [one.numpy() for one in kernels]
    given = arguments(sample_weight=np.zeros(len(X)), batch_size=len(X))
    train(
        supernet,
        single_path(1, sampler=sampler),
        given,
        seed=0,
        folder=tmp_path,
        say=str,
    )
    # Without data, a step of gradient descent on 0.01 * w ** 2.
    ratios = [
        float((one.numpy() / old).mean())
        for one, old in zip(kernels, before, strict=True)
    ]
    assert set(np.round(ratios, 5)) <= {0.98, 1.0}
    assert ratios.count(1.0) <= (0 if sampler == "fair" else 4)
    scorer = Scorer(supernet, *scoring_data(arguments(), 0))
    for path in paths_of(supernet, 4):
        alone = supernet.subnet(supernet.values_of(path))
        loss, _ = alone.evaluate(X_VAL, Y_VAL, verbose=0)
        assert scorer.score(path)["loss"] == pytest.approx(loss, abs=1e-5)


@pytest.mark.parametrize(
    "given", [{"use_ema": True}, {"gradient_accumulation_steps": 2}]
)
def test_optimizers_that_average_over_steps_are_refused(given):
    (name,) = given
    with pytest.raises(ValueError, match=f"`{name}` of the optimizer must"):
        made(lambda hp: chain(hp, lambda: keras.optimizers.Adam(**given)))


@pytest.mark.slow
def test_a_training_that_goes_on_otherwise_says_so(tmp_path):
    sharing = single_path(2)
    trained(tmp_path, sharing, cut=1)

    def slower(hp):
        return chain(hp, lambda: keras.optimizers.SGD(0.05, momentum=0.9))

    with pytest.warns(UserWarning, match=r"1 of them.*`batch_size` was 32"):
        trained(tmp_path, sharing, cut=1, batch_size=48)
    with pytest.warns(UserWarning, match="learning_rate.* was 0.1"):
        state, _ = trained(tmp_path, sharing, build=slower)
    assert 0.05 in [pytest.approx(x) for x in state if x.shape == ()]
    with pytest.raises(ValueError, match="with optimizer='SGD'"):
        trained(
            tmp_path,
            sharing,
            build=lambda hp: chain(hp, lambda: keras.optimizers.RMSprop(0.1)),
        )


def test_no_other_process_trains_in_the_folder(tmp_path):
    intruder = Intruding(tmp_path)
    given = arguments(callbacks=[intruder])
    train(made(), single_path(1), given, seed=3, folder=tmp_path, say=str)
    (said,) = intruder.said
    assert "must belong to one search" in said
    assert not what_another_process_hears(tmp_path)


def test_a_network_that_was_edited_between_is_told(tmp_path):
    trained(tmp_path, single_path(2), cut=1)

    def edited(hp):
        model = chain(hp)
        model.layers[1].activation = keras.activations.gelu
        loss = keras.losses.SparseCategoricalCrossentropy(ignore_class=2)
        model.compile(model.optimizer, loss)
        return model

    with pytest.warns(UserWarning, match="1 of them, were trained") as told:
        trained(tmp_path, single_path(2), build=edited)
    (message,) = [str(one.message) for one in told]
    assert "activation of layer 0, Dense` was 'linear', and is" in message
    assert "`loss` was" in message
    assert "optimizer" not in message


def assigned():
    optimizer = keras.optimizers.Ftrl(0.1)
    optimizer.learning_rate = 0.3
    return optimizer


SGD = keras.optimizers.SGD
OPTIMIZERS = {
    "plain": lambda: SGD(0.1),
    "momentum": lambda: SGD(0.1, momentum=0.9),
    "schedule": lambda: SGD(keras.optimizers.schedules.CosineDecay(0.1, 100)),
    "assigned": assigned,
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_optimizer_is_described_as_it_is_made(name):
    make = OPTIMIZERS[name]
    scaled = keras.optimizers.LossScaleOptimizer
    config = make().get_config()
    del config["name"]
    if name == "schedule":
        del config["learning_rate"]["config"]["name"]
    for outer in (make, lambda: scaled(make())):
        settings = plan(lambda hp, outer=outer: chain(hp, outer)).settings
        assert settings["optimizer"] == type(make()).__name__
        assert {n: settings[f"optimizer[{n!r}]"] for n in config} == config
        assert "optimizer['name']" not in settings


def test_an_optimizer_without_a_config_is_known_by_its_class():
    class Own(SGD):
        def get_config(self):
            raise NotImplementedError

    settings = plan(lambda hp: chain(hp, lambda: Own(0.1))).settings
    assert [x for n, x in settings.items() if "optimizer" in n] == ["Own"]


@pytest.mark.parametrize(
    ("before", "now"),
    [
        ("plain", "momentum"),
        ("momentum", "plain"),
        ("plain", "schedule"),
        ("plain", "assigned"),
    ],
)
def test_variables_of_another_optimizer_are_refused(tmp_path, before, now):
    def network_of(name):
        network = made(lambda hp: chain(hp, OPTIMIZERS[name])).network
        return network, [*network.variables, *network.optimizer.variables]

    state = SavedState(tmp_path, {}, {})
    _, saved = network_of(before)
    state.save(saved, 1)
    network, variables = network_of(now)
    values = [one.numpy() for one in variables]
    with pytest.raises(
        ValueError,
        match=rf"another network or optimizer, with {len(saved)} variables, "
        rf"number \d+ .*Received: {len(values)} variables.*overwrite=True",
    ):
        state.restore(variables, network.optimizer)
    for variable, value in zip(variables, values, strict=True):
        assert (variable.numpy() == value).all()


def test_what_keras_draws_or_orders_anew_was_not_edited():
    def cropped(hp):
        inputs = keras.Input((8, 8, 1))
        tensor = keras.layers.RandomCrop(6, 6)(inputs)
        tensor = keras.layers.Flatten()(tensor)
        options = {"dense": lambda: keras.layers.Dense(36), "skip": Kept}
        return compiled(inputs, layer_choice(hp, "layer", options)(tensor))

    first = plan(cropped).settings
    assert plan(cropped).settings == first
    sets = [x for n, x in first.items() if n.startswith("names of")]
    assert sets == [repr(["'a'", "'b'"])]


class Kept(keras.layers.Identity):
    """Has a set among its settings."""

    def get_config(self):
        return {**super().get_config(), "names": {"b", "a"}}


@pytest.mark.slow
def test_a_training_that_a_callback_has_ended_is_over(tmp_path):
    def run(epochs):
        supernet = made()
        stop = keras.callbacks.EarlyStopping(
            "loss", min_delta=9.0, restore_best_weights=True
        )
        said = []
        train(
            supernet,
            single_path(epochs),
            arguments(callbacks=[stop]),
            seed=3,
            folder=tmp_path,
            say=said.append,
        )
        return [one.numpy() for one in supernet.network.weights], said

    weights, said = run(6)
    assert len(said) == 2
    again, said = run(6)
    assert not said
    assert all((a == b).all() for a, b in zip(again, weights, strict=True))
    _, said = run(7)  # Asked for more, it goes on.
    assert said


@pytest.mark.slow
def test_weights_that_diverge_end_the_training(tmp_path):
    def wild(hp):
        return chain(hp, lambda: keras.optimizers.SGD(1e30))

    with pytest.raises(ValueError, match=r"must be finite.*Lower the learning"):
        trained(tmp_path, single_path(2), build=wild)
    assert not (tmp_path / "supernet.json").exists()


@pytest.mark.slow
def test_damaged_weights_are_named(tmp_path):
    trained(tmp_path, single_path(1))
    (file,) = tmp_path.glob("*.npz")
    file.write_bytes(b"damaged")
    with pytest.raises(ValueError, match=r"cannot be read.*supernet\.json"):
        trained(tmp_path, single_path(1))


def test_the_folder_of_another_supernet_is_refused(tmp_path):
    sharing = single_path(1)
    trained(tmp_path, sharing)
    for build, changed in (
        (branched, sharing),
        (chain, single_path(1, sampler="fair")),
    ):
        before = (tmp_path / "supernet.json").read_text()
        with pytest.raises(ValueError, match="holds another training"):
            trained(tmp_path, changed, build=build)
        assert (tmp_path / "supernet.json").read_text() == before
    assert json.loads(before)["epoch"] == 1


@pytest.mark.slow
def test_a_dataset_trains_as_its_arrays_do(tmp_path):
    sharing = single_path(2)
    arrays, _ = trained(tmp_path / "a", sharing, shuffle=False)
    supernet = made()
    data = tf.data.Dataset.from_tensor_slices((X, Y)).batch(32)
    given = FitArguments.of(data, validation_data=data)
    train(supernet, sharing, given, seed=3, folder=tmp_path / "b", say=str)
    for mine, expected in zip(supernet.network.variables, arrays, strict=False):
        np.testing.assert_allclose(mine.numpy(), expected, rtol=1e-5)


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    supernet = made(branched)
    given = arguments()
    folder = tmp_path_factory.mktemp("supernet")
    train(supernet, single_path(1), given, seed=3, folder=folder, say=str)
    held_out, calibration = scoring_data(given, 50)
    scorer = Scorer(supernet, held_out, calibration)
    return supernet, scorer, held_out, calibration


def test_scores_depend_on_no_order_and_leave_the_supernet_as_it_was(searched):
    supernet, scorer, _, _ = searched
    before = [v.numpy() for v in supernet.network.variables]
    paths = paths_of(supernet, 8)
    scores = [scorer.score(path) for path in paths]
    assert [scorer.score(path) for path in paths[::-1]] == scores[::-1]
    assert len({score["loss"] for score in scores}) > 3
    for value, variable in zip(before, supernet.network.variables, strict=True):
        assert (value == variable.numpy()).all(), variable.path


def test_a_score_is_that_of_the_network_cut_out_and_calibrated(searched):
    supernet, scorer, _, calibration = searched
    batches = [calibration.cut(n)[0] for n in range(calibration.steps)]
    assert sum(len(batch) for batch in batches) == 50
    for path in paths_of(supernet, 5, seed=1):
        model = supernet.subnet(supernet.values_of(path))
        plain = model.evaluate(X_VAL, Y_VAL, batch_size=32, verbose=0)
        calibrate(model, batches)
        # Dropout draws other numbers, but scales to the same mean.
        expected = model.evaluate(X_VAL, Y_VAL, batch_size=32, verbose=0)
        score = scorer.score(path)
        drops = supernet.values_of(path)["drop"]
        if not drops:
            assert score["loss"] == pytest.approx(expected[0], rel=1e-5)
        assert abs(score["loss"] - expected[0]) < abs(plain[0] - expected[0])


def test_calibrated_statistics_are_the_means_over_batches():
    model = keras.Sequential(
        [keras.Input((6,)), keras.layers.BatchNormalization()]
    )
    batches = [X[:30], X[30:40], X[40:]]
    calibrate(model, batches)
    layer = model.layers[0]
    means = np.mean([batch.mean(0) for batch in batches], axis=0)
    variances = np.mean([batch.var(0) for batch in batches], axis=0)
    np.testing.assert_allclose(layer.moving_mean, means, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(layer.moving_variance, variances, rtol=1e-4)
    assert layer.momentum == 0.99


@pytest.mark.parametrize("kind", ["dataset", "py_dataset"])
def test_data_in_batches_score_as_their_arrays(searched, kind):
    supernet, scorer, _, _ = searched

    class Batches(keras.utils.PyDataset):
        def __init__(self, x, y):
            super().__init__()
            self.x, self.y = x, y

        def __len__(self):
            return -(-len(self.x) // 32)

        def __getitem__(self, number):
            place = slice(32 * number, 32 * number + 32)
            return self.x[place], self.y[place]

    def data(x, y):
        if kind == "py_dataset":
            return Batches(x, y)
        return tf.data.Dataset.from_tensor_slices((x, y)).batch(32)

    given = FitArguments.of(data(X, Y), validation_data=data(X_VAL, Y_VAL))
    held_out, calibration = scoring_data(given, 64)
    assert (held_out.size, calibration.size) == (40, 64)
    plain = dataclasses.replace(held_out, batch_size=32)
    path = paths_of(supernet, 1)[0]
    mine = Scorer(supernet, plain, None).score(path)
    known, _ = scoring_data(arguments(), 0)
    assert mine == Scorer(supernet, known, None).score(path)
    assert scorer is not None


def test_there_are_no_scores_without_validation_data():
    with pytest.raises(ValueError, match=r"`validation_data` must be passed"):
        scoring_data(FitArguments.of(X, Y), 10)


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"epochs": 0}, ValueError, "`epochs`"),
        ({"sampler": "none"}, ValueError, r"`sampler`.*uniform.*fair"),
        ({"sampler": 3}, TypeError, "`sampler`.*of type int"),
        ({"calibration": -1}, ValueError, "`calibration`"),
        ({"calibration": ""}, ValueError, "`calibration`"),
    ],
)
def test_arguments_of_the_training_are_checked(given, error, message):
    with pytest.raises(error, match=message):
        single_path(**given)
