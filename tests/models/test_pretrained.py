"""Pretrained weights: not fetched where only costs are asked for."""

import socket
import threading

import keras
import keras_tuner
import pytest

from keras_evonas.models import explain_space
from keras_evonas.models.costs import HypermodelCosts

pytestmark = pytest.mark.keras


def around(weights):
    """A hypermodel around MobileNet, whose own alpha is not searched."""

    def build(hp):
        backbone = keras.applications.MobileNet(
            (128, 128, 3), alpha=0.25, include_top=False, weights=weights
        )
        tensor = keras.layers.GlobalAveragePooling2D()(backbone.output)
        tensor = keras.layers.Dense(hp.Int("units", 2, 8))(tensor)
        model = keras.Model(backbone.inputs, tensor)
        model.compile("adam", "mse")
        return model

    return build


@pytest.fixture
def tried(monkeypatch):
    """The connections that were tried, all of which fail."""
    found = []

    def refuse(*args, **kwargs):
        found.append(args)
        raise OSError("there is no network")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    return found


@pytest.mark.slow
def test_costs_need_no_network_and_are_those_without_weights(tried):
    hp = keras_tuner.HyperParameters()
    costs = HypermodelCosts(around("imagenet"))(hp)
    assert explain_space(around("imagenet"), samples=1, verbose=False).genes
    assert not tried
    assert costs == HypermodelCosts(around(None))(hp)
    assert costs.params > 200_000


def test_weights_are_loaded_everywhere_else(tried, tmp_path):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
    path = tmp_path / "w.weights.h5"
    model.save_weights(path)
    saved = model.get_weights()
    seen = []

    def load():
        model.set_weights([0 * values for values in saved])
        model.load_weights(path)
        seen.append((model.get_weights()[0] == saved[0]).all())
        # Without a cached file there is a download, as ever.
        with pytest.raises(Exception, match="there is no network"):
            around("imagenet")(keras_tuner.HyperParameters())

    def build(hp):
        hp.Int("units", 2, 8)
        # Another thread is not concerned, such as one that trains meanwhile.
        thread = threading.Thread(target=load)
        thread.start()
        thread.join()
        return keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])

    HypermodelCosts(build)(keras_tuner.HyperParameters())
    assert seen == [True]
    assert len(tried) == 1
