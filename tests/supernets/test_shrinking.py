"""Samplers for elastic genes, and distillation from the largest path."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_evonas.supernets import SandwichPaths
from keras_evonas.supernets import ShrinkingPaths
from keras_evonas.supernets import Supernet
from keras_evonas.supernets import single_path
from keras_evonas.supernets.single_path import train
from keras_evonas.training import FitArguments
from tests.marks import everyday
from tests.supernets.spaces import X_VAL
from tests.supernets.spaces import Y_VAL
from tests.supernets.spaces import Cut
from tests.supernets.spaces import X
from tests.supernets.spaces import Y

pytestmark = pytest.mark.keras
L = keras.layers
SIZES = (3, 4, 5, 2)
KINDS = ("options", "kernel", "width", "depth")


def test_a_sandwich_has_the_largest_the_smallest_and_random_paths():
    paths = SandwichPaths(between=3).elastic_paths(SIZES, KINDS, 4000, (0, 1))
    assert paths.shape == (4000, 5, 4)
    assert (paths[:, 0, 1:] == [3, 4, 1]).all()
    assert (paths[:, 1, 1:] == 0).all()
    for gene, size in enumerate(SIZES):
        passes = paths[:, :, gene] if gene == 0 else paths[:, 2:, gene]
        counts = np.bincount(passes.ravel(), minlength=size)
        assert len(counts) == size
        assert abs(counts / passes.size - 1 / size).max() < 0.02
    ordered = SandwichPaths().paths(SIZES, 10, (0, 1))
    assert (ordered[:, 0] == np.array(SIZES) - 1).all()
    assert not ordered[:, 1].any()


# In eight epochs: the genes' open values, by hand.
#   epoch        kernel (4)              width (5)               depth (2)
OPEN = {
    0: (3, 1, 1, 1),
    1: (3, 1, 1, 1),
    2: (3, 1 + 2, 1, 1),  # half of three more, rounded up
    3: (3, 4, 1, 1),
    4: (3, 4, 1, 2),
    5: (3, 4, 1, 2),
    6: (3, 4, 1 + 2, 2),  # half of four more
    7: (3, 4, 5, 2),
    20: (3, 4, 5, 2),
}


def test_kernels_then_depths_then_widths_shrink():
    sampler = ShrinkingPaths.over(8)
    assert sampler == ShrinkingPaths(epochs=(2, 4, 6), stage=2)
    for epoch, expected in OPEN.items():
        assert tuple(sampler.open_values(SIZES, KINDS, epoch)) == expected
        paths = sampler.elastic_paths(SIZES, KINDS, 3000, (0, epoch))
        assert paths.shape == (3000, 1, 4)
        for gene, (size, number) in enumerate(
            zip(SIZES, expected, strict=True)
        ):
            counts = np.bincount(paths[:, 0, gene], minlength=size) / 3000
            assert not counts[: size - number].any()
            assert abs(counts[size - number :] - 1 / number).max() < 0.04


@pytest.mark.parametrize("epochs", [1, 2, 3, 40])
def test_all_is_open_at_the_end_however_short_the_training(epochs):
    sampler = ShrinkingPaths.over(epochs)
    last = sampler.open_values(SIZES, KINDS, epochs - 1)
    assert tuple(last) == SIZES


@pytest.mark.parametrize(
    "sampler", [SandwichPaths(), ShrinkingPaths(epochs=(0, 0, 0), stage=1)]
)
def test_a_sampler_draws_from_its_address_alone(sampler):
    def drawn(*address):
        return sampler.elastic_paths(SIZES, KINDS, 20, address)

    assert (drawn(5, 2) == drawn(5, 2)).all()
    assert (drawn(5, 2) != drawn(5, 3)).any()
    assert (drawn(5, 2) != drawn(6, 2)).any()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SandwichPaths(between=-1), "`between`"),
        (
            lambda: ShrinkingPaths(epochs=(1, 2), stage=1),
            "`epochs` must be thr",
        ),
        (lambda: ShrinkingPaths(epochs=(3, 2, 4), stage=1), "in order"),
        (lambda: ShrinkingPaths(epochs=(1, 2, 3), stage=0), "`stage`"),
        (lambda: single_path(distillation=1.5), "`distillation`"),
    ],
)
def test_settings_are_checked(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def elastic(hp, loss="sparse_categorical_crossentropy", head="softmax"):
    inputs = keras.Input((6,))
    tensor = L.Dense(hp.Choice("units", [2, 4, 8]), "relu")(inputs)
    tensor = L.BatchNormalization()(tensor)
    model = keras.Model(inputs, L.Dense(3, head)(tensor))
    model.compile(keras.optimizers.Adam(0.01), loss)
    return model


def trained(folder, sharing, *, cut=None):
    keras.backend.clear_session()
    keras.utils.set_random_seed(3)
    supernet = Supernet(elastic)
    traced = []
    watch = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: traced.append(supernet.train_function)
    )
    given = FitArguments.of(
        X,
        Y,
        batch_size=32,
        validation_data=(X_VAL, Y_VAL),
        callbacks=[watch] if cut is None else [Cut(cut)],
    )
    try:
        train(supernet, sharing, given, seed=3, folder=folder, say=str)
    except KeyboardInterrupt:
        assert cut is not None
    network = supernet.network
    variables = [*network.variables, *network.optimizer.variables]
    assert len({id(one) for one in traced}) <= 1  # It is traced once.
    return [variable.numpy() for variable in variables]


SETTINGS = {
    "shrinking": {"sampler": "shrinking", "distillation": 0.5},
    "sandwich": {"sampler": "sandwich", "distillation": 1.0},
    "plain": {"sampler": "sandwich"},
}


@pytest.mark.parametrize("name", everyday("sandwich", of=SETTINGS))
def test_a_training_goes_on_to_the_same_end(tmp_path, name):
    sharing = single_path(4, **SETTINGS[name])
    whole = trained(tmp_path / "whole", sharing)
    half = trained(tmp_path / "cut", sharing, cut=2)
    assert any((a != b).any() for a, b in zip(half, whole, strict=True))
    again = trained(tmp_path / "cut", sharing)
    for mine, expected in zip(again, whole, strict=True):
        assert (mine == expected).all()
    if "distillation" in SETTINGS[name]:
        changed = single_path(4, sampler=SETTINGS[name]["sampler"])
        with pytest.raises(ValueError, match="with distillation="):
            trained(tmp_path / "cut", changed)


def test_a_path_learns_from_the_output_of_the_largest():
    keras.utils.set_random_seed(0)
    supernet = Supernet(elastic)
    network = supernet.network
    supernet.distill(0.25)
    states = [v.numpy() for v in network.non_trainable_variables]
    x, y = tf.constant(X[:32]), tf.constant(Y[:32])

    def outputs(place):
        supernet.take([place])
        found = network(x, training=True)
        for variable, value in zip(
            network.non_trainable_variables, states, strict=True
        ):
            variable.assign(value)
        return found

    for place in (0, 2):
        supernet.take([2])
        path = tf.constant([place])
        soft = outputs(2)
        with tf.GradientTape() as tape:
            mine = outputs(place)
            hard = keras.losses.SparseCategoricalCrossentropy()(y, mine)
            loss = keras.losses.CategoricalCrossentropy()(soft, mine)
            share = 0.25 if place == 0 else 0.0  # The largest has the data.
            loss = (1 - share) * hard + share * loss
        weights = [w.value for w in network.trainable_weights]
        # The output of the largest path is no function of the weights.
        expected = tape.gradient(loss, weights)
        found = supernet._gradients(x, y, None, path)
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)
        for variable, value in zip(
            network.non_trainable_variables, states, strict=True
        ):
            variable.assign(value)


LOSSES = {
    "logits": keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    "numbers": "mse",
    "labels": keras.losses.BinaryCrossentropy(),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", LOSSES)
def test_distillation_takes_the_loss_of_the_network(name):
    head = "linear" if name == "logits" else "sigmoid"
    supernet = Supernet(lambda hp: elastic(hp, LOSSES[name], head))
    supernet.distill(1.0)
    y = Y if name == "logits" else np.eye(3)[Y]
    history = supernet.fit(X, y, batch_size=32, epochs=2, verbose=0).history
    assert np.isfinite(history["loss"]).all()


def test_distillation_leaves_penalties_of_weights_as_they_are():
    supernet = Supernet(elastic)
    network = supernet.network
    supernet.distill(1.0)
    network.layers[-1].kernel.regularizer = keras.regularizers.L2(0.3)
    x, y = tf.constant(X[:32]), tf.constant(Y[:32])
    path = tf.constant([0])
    kernel = network.layers[-1].kernel
    place = [id(w) for w in network.trainable_weights].index(id(kernel))
    penalized = supernet._gradients(x, y, None, path)[place]
    kernel.regularizer = None
    plain = supernet._gradients(x, y, None, path)[place]
    np.testing.assert_allclose(
        penalized - plain, 0.6 * kernel.numpy(), rtol=1e-4, atol=1e-6
    )


def test_distillation_of_an_unknown_loss_is_refused():
    supernet = Supernet(lambda hp: elastic(hp, "poisson"))
    with pytest.raises(ValueError, match=r"`distillation` compares.*poisson"):
        supernet.distill(0.5)
