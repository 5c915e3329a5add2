"""Keras's distribution: each network of a search sits on all devices."""

import json
import os
import pathlib
import subprocess
import sys

import keras
import pytest

pytestmark = [
    pytest.mark.keras,
    pytest.mark.backends,
    pytest.mark.skipif(
        keras.config.backend() != "jax",
        reason="only JAX has Keras's distribution: set KERAS_BACKEND to jax",
    ),
]
ROOT = pathlib.Path(__file__).parents[2]
# A process of its own: JAX asks once for the number of its devices. `KINDS`
# are the tuners, and each has two trials.
PROGRAM = """
import json, pathlib, sys, tempfile, warnings
import keras, keras_tuner
from keras_evonas import EvolutionarySearch, EvoOracle
from keras_evonas import MultiFidelityTuner
from keras_evonas.evolution import successive_halving
from tests.backends.test_backends import DATA, build

FOUND = []

class Devices(keras.callbacks.Callback):
    def __deepcopy__(self, memo):
        return Devices()

    def on_train_end(self, logs=None):
        FOUND.append(min(
            len(layer.kernel.value.devices())
            for layer in self.model.layers
            if hasattr(layer, "kernel")
        ))

def oracle(**others):
    return EvoOracle("val_loss", max_trials=2, seed=0, **others)

def evolutionary(folder):
    tuner = EvolutionarySearch(
        build, "val_loss", 2, seed=0, directory=folder, verbose=0
    )
    tuner.search(**DATA, callbacks=[Devices()], verbose=0)
    unseen = (DATA["x"] + 1, DATA["y"])
    tuner.finalize(
        DATA["x"], DATA["y"], validation_data=unseen, top_k=1, repeats=1,
        include_default=False, epochs=1, callbacks=[Devices()],
    )

class OwnTrial(EvolutionarySearch):
    def run_trial(self, trial, *args, **kwargs):
        return super().run_trial(trial, *args, **kwargs)

def own_trial(folder):
    tuner = OwnTrial(build, "val_loss", 2, seed=0, directory=folder, verbose=0)
    tuner.search(**DATA, callbacks=[Devices()], verbose=0)

def fidelity(folder):
    strategy = successive_halving(max_epochs=2, factor=2)
    tuner = MultiFidelityTuner(
        oracle(strategy=strategy), build, directory=folder
    )
    data = {n: v for n, v in DATA.items() if n != "epochs"}
    tuner.search(**data, callbacks=[Devices()], verbose=0)

def host(folder):
    tuner = keras_tuner.Tuner(oracle(), build, directory=folder)
    tuner.search(**DATA, callbacks=[Devices()], verbose=0)

found = {}
for kind in sys.argv[1:]:
    keras.distribution.set_distribution(keras.distribution.DataParallel())
    with (
        tempfile.TemporaryDirectory() as folder,
        warnings.catch_warnings(record=True) as told,
    ):
        warnings.simplefilter("always")
        globals()[kind](folder)
    texts = [str(one.message) for one in told]
    found[kind] = [list(FOUND), sum("EvoTuner" in text for text in texts)]
    FOUND.clear()
print(json.dumps(found))
"""


@pytest.mark.slow
def test_every_kernel_sits_on_both_devices():
    kinds = ("evolutionary", "own_trial", "fidelity", "host")
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM, *kinds],
        env={
            **os.environ,
            "XLA_FLAGS": "--xla_force_host_platform_device_count=2",
        },
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    found = json.loads(ended.stdout.splitlines()[-1])
    assert found["evolutionary"] == [[2, 2, 2], 0]  # And one finalist.
    assert found["own_trial"] == [[2, 2], 0]
    assert found["fidelity"] == [[2, 2], 0]
    # keras-tuner's own tuner cannot be mended from outside: it is said.
    assert found["host"] == [[1, 1], 1]
