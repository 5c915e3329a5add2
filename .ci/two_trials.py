"""Searches with the installed package, far from its checkout."""

import pathlib
import sys

import numpy as np

import keras_evonas
from keras_evonas import EvolutionarySearch
from keras_evonas.models import Classification
from keras_evonas.models import DenseNetwork

home = pathlib.Path(keras_evonas.__file__)
if not home.is_relative_to(sys.prefix):
    sys.exit(f"The archive must be what is tested. Received: {home}.")
rng = np.random.default_rng(0)
tuner = EvolutionarySearch(
    DenseNetwork((8,), Classification(classes=3, labels="integer")),
    objective="val_accuracy",
    max_trials=2,
    seed=0,
    directory="searches",
)
tuner.search(
    rng.random((60, 8), "float32"),
    rng.integers(0, 3, 60),
    validation_split=0.2,
    epochs=1,
    verbose=0,
)
statuses = [t.status for t in tuner.oracle.get_best_trials(2)]
if statuses != ["COMPLETED", "COMPLETED"]:
    sys.exit(f"Two trials must be completed. Received: {statuses}.")
print("two trials with what was installed")
