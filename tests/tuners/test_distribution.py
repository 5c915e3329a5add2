"""Distribution strategies: as an argument, around `search`, and in `build`."""

import keras
import keras_tuner
import pytest
import tensorflow as tf

from keras_evonas import EvoOracle
from tests.tuners.own_methods import X
from tests.tuners.own_methods import Y
from tests.tuners.own_methods import build
from tests.tuners.own_methods import tuner_in

pytestmark = pytest.mark.keras
STRATEGY = tf.distribute.MirroredStrategy(["CPU:0"])
DATA = {"x": X, "y": Y, "epochs": 1, "validation_data": (X, Y)}


class Places(keras.callbacks.Callback):
    """Notes the strategy of each network that begins to train."""

    def __init__(self, found):
        super().__init__()
        self.found = found

    def __deepcopy__(self, memo):
        return Places(self.found)

    def on_train_begin(self, logs=None):
        self.found.append(self.model.distribute_strategy)


def build_in_scope(hp):
    with STRATEGY.scope():
        return build(hp)


def test_a_strategy_places_all_networks(tmp_path, capsys):
    found = []
    tuner = tuner_in(tmp_path / "p", distribution_strategy=STRATEGY, verbose=1)
    tuner.search(**DATA, callbacks=[Places(found)])
    reason = "there is a distribution strategy"
    assert f"one after another: {reason}." in capsys.readouterr().out
    assert found == [STRATEGY] * 3


@pytest.mark.parametrize("method", ["search", "finalize", "ablate"])
def test_a_scope_around_is_refused(tmp_path, method):
    # Keras's session is cleared between networks, and the scope is lost.
    tuner = tuner_in(tmp_path / "p", max_trials=2)
    if method != "search":
        tuner.search(**DATA)
    ended = list(tuner.oracle.end_order)
    with (
        STRATEGY.scope(),
        pytest.raises(ValueError, match="`distribution_strategy=`") as got,
    ):
        getattr(tuner, method)(X, Y, epochs=1, validation_data=(X + 1, Y))
    assert "MirroredStrategy" in str(got.value)
    assert tuner.oracle.end_order == ended


@pytest.mark.slow
def test_a_scope_inside_of_build_is_seen(tmp_path):
    found = []
    tuner = tuner_in(tmp_path / "p", hypermodel=build_in_scope)
    with pytest.warns(UserWarning, match="in the scope of a distribution"):
        tuner.search(**DATA, callbacks=[Places(found)])
    assert found == [STRATEGY] * 3
    statuses = {trial.status for trial in tuner.oracle.trials.values()}
    assert statuses == {"COMPLETED"}


def test_a_scope_around_a_tuner_of_the_host_is_refused(tmp_path):
    oracle = EvoOracle("val_loss", max_trials=1, seed=0)
    tuner = keras_tuner.Tuner(oracle, build, directory=tmp_path)
    with (
        STRATEGY.scope(),
        pytest.raises(ValueError, match="`distribution_strategy=`"),
    ):
        tuner.search(**DATA)
    assert not oracle.trials


def test_a_distribution_of_keras_is_refused_on_tensorflow(tmp_path):
    tuner = tuner_in(tmp_path / "p", max_trials=1)
    keras.distribution.set_distribution(keras.distribution.DataParallel())
    try:
        with pytest.raises(ValueError, match=r"on TensorFlow.*DataParallel"):
            tuner.search(**DATA)
    finally:
        keras.distribution.set_distribution(None)
