"""Settings of Keras hold for each network of a search."""

import keras
import keras_tuner
import pytest

from keras_evonas import EvoOracle
from keras_evonas import MultiFidelityTuner
from keras_evonas import OneShotTuner
from keras_evonas.execution import InProcess
from keras_evonas.execution import Processes
from keras_evonas.fresh_thread import in_fresh_thread
from keras_evonas.models import layer_choice
from keras_evonas.supernets import DifferentiableSearch
from keras_evonas.supernets import differentiable
from keras_evonas.supernets import single_path
from tests.marks import everyday
from tests.tuners.own_methods import OwnFit
from tests.tuners.own_methods import X
from tests.tuners.own_methods import Y
from tests.tuners.own_methods import build
from tests.tuners.own_methods import tuner_in

pytestmark = pytest.mark.keras
DATA = {"x": X, "y": Y, "epochs": 1, "validation_data": (X, Y), "verbose": 0}
NAMES = ("relu", "tanh")


@pytest.fixture(autouse=True)
def _half_precision():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    keras.config.disable_traceback_filtering()
    yield
    assert keras.config.dtype_policy().name == "mixed_float16"
    assert not keras.config.is_traceback_filtering_enabled()
    keras.config.set_dtype_policy(before)
    keras.config.enable_traceback_filtering()


class Policies:
    """A hypermodel that notes the precision of each network it builds."""

    def __init__(self):
        self.found = set()

    def __call__(self, hp):
        model = build(hp)
        self.found.add(model.layers[0].compute_dtype)
        return model


class WithOwnFit(OwnFit):
    def __init__(self, built):
        super().__init__()
        self.built = built

    def build(self, hp):
        return self.built(hp)


def build_choice(hp):
    def option(name):
        return lambda: keras.layers.Dense(4, activation=name)

    inputs = keras.Input((4,))
    options = {name: option(name) for name in NAMES}
    hidden = layer_choice(hp, "layer", options)(inputs)
    outputs = keras.layers.Dense(1, dtype="float32")(hidden)
    model = keras.Model(inputs, outputs)
    model.compile("sgd", "mse")
    return model


@pytest.fixture
def noting():
    """A hypermodel with a choice to share, and the policies it was built in."""
    found = set()

    def noting_build(hp):
        found.add(keras.config.dtype_policy().name)
        return build_choice(hp)

    yield noting_build
    assert found == {"mixed_float16"}


def build_with_word(hp):
    """Fails unless it is called under the policy of the fixture."""
    assert keras.config.dtype_policy().name == "mixed_float16"
    return build(hp)


@pytest.mark.parametrize("kind", [lambda built: built, WithOwnFit])
def test_each_network_of_a_search(tmp_path, kind):
    built = Policies()
    tuner = tuner_in(tmp_path / "p", hypermodel=kind(built))
    tuner.search(**DATA)
    (best,) = tuner.get_best_models()
    assert best.layers[0].compute_dtype == "float16"
    tuner.finalize(X, Y, epochs=1, validation_data=(X + 1, Y), verbose=0)
    assert built.found == {"float16"}


def test_each_network_of_another_process(tmp_path):
    executor = Processes(workers=1)
    tuner = tuner_in(
        tmp_path / "p",
        hypermodel=build_with_word,
        executor=executor,
        max_trials=2,
    )
    tuner.search(**DATA)
    statuses = {trial.status for trial in tuner.oracle.trials.values()}
    assert statuses == {"COMPLETED"}


def test_each_network_of_a_plain_search(tmp_path):
    built = Policies()
    oracle = EvoOracle("val_loss", max_trials=3, seed=0)
    tuner = MultiFidelityTuner(oracle, built, directory=tmp_path)
    tuner.search(**DATA)
    assert built.found == {"float16"}


def test_supernets(tmp_path, noting):
    oracle = EvoOracle("val_loss", max_trials=2, seed=0)
    sharing = single_path(epochs=1)
    tuner = OneShotTuner(oracle, noting, sharing=sharing, directory=tmp_path)
    tuner.search(X, Y, validation_data=(X, Y))
    (best,) = tuner.get_best_models()
    assert best.layers[1].compute_dtype == "float16"


def test_searches_by_gradients(tmp_path, noting):
    training = differentiable(epochs=1)
    search = DifferentiableSearch(noting, training, directory=tmp_path)
    search.search(X, Y, verbose=0)
    assert keras.config.dtype_policy().name == "mixed_float16"


def test_a_tuner_of_the_host_that_forgets_is_told(tmp_path):
    oracle = EvoOracle("val_loss", max_trials=2, seed=0)
    tuner = keras_tuner.Tuner(oracle, build, directory=tmp_path)
    with pytest.warns(UserWarning, match="float32: .* policy mixed_float16"):
        tuner.search(**DATA)
    keras.config.set_dtype_policy("mixed_float16")
    keras.config.disable_traceback_filtering()


def build_from_config(hp):
    layers = [
        keras.Input((4,)),
        keras.layers.Lambda(lambda x: 2 * x),
        keras.layers.Dense(hp.Int("units", 1, 4)),
        keras.layers.Dense(1),
    ]
    config = keras.Sequential(layers).get_config()
    model = keras.Sequential.from_config(config)
    model.compile("sgd", "mse")
    return model


EXECUTORS = {"here": InProcess(), "processes": Processes(workers=1)}


@pytest.mark.parametrize("executor", everyday("here", of=EXECUTORS))
def test_functions_in_configurations_may_be_read(tmp_path, executor):
    def search():
        keras.config.enable_unsafe_deserialization()
        tuner = tuner_in(
            tmp_path / "p",
            hypermodel=build_from_config,
            executor=EXECUTORS[executor],
        )
        tuner.search(**DATA)
        return tuner.oracle.trials.values()

    # Keras keeps the setting by thread, and has no way back.
    trials = in_fresh_thread(search)
    assert [trial.status for trial in trials] == ["COMPLETED"] * 3
