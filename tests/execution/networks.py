"""A small search for every executor, importable by workers."""

import os
import pathlib
import signal
import time
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_evonas import EvoOracle
from keras_evonas import EvoTuner
from keras_evonas.project.record import End
from keras_evonas.project.record import SearchRecord

RNG = np.random.default_rng(0)
X = RNG.random((48, 6), "float32")
Y = RNG.integers(0, 3, 48)
FIT: dict[str, Any] = {
    "epochs": 2,
    "validation_data": (X[:16], Y[:16]),
    "verbose": 0,
}


def build(hp: Any) -> keras.Model:
    model = keras.Sequential([keras.Input((6,))])
    units = hp.Int("units", 2, 40)
    model.add(keras.layers.Dense(units, activation="relu"))
    if units > 20:  # Known only to those who build it.
        model.add(keras.layers.Dropout(hp.Float("dropout", 0.1, 0.4)))
    model.add(keras.layers.Dense(3, activation="softmax"))
    rate = hp.Float("rate", 1e-3, 1e-1, sampling="log")
    model.compile(
        keras.optimizers.SGD(rate, momentum=0.9),
        "sparse_categorical_crossentropy",
    )
    return model


class Killer:
    """Builds networks, but kills its own process the first time.

    Args:
        build: Builds the network.
        mark: A path; the process is killed unless it exists.
        always: Whether networks with more than 30 units kill it every time.
    """

    def __init__(self, mark: pathlib.Path, *, always: bool = False) -> None:
        self.mark = mark
        self.always = always
        self.home = os.getpid()

    def __call__(self, hp: Any) -> keras.Model:
        model = build(hp)
        if os.getpid() != self.home:
            fatal = self.always and hp.get("units") > 30
            if fatal or not (self.always or self.mark.exists()):
                self.mark.touch()
                os.kill(os.getpid(), signal.SIGKILL)
        return model


class Waiting(keras.utils.PyDataset):
    """Batches that take their time and no processor, as from a slow disk."""

    def __init__(self, seconds: float = 0.1) -> None:
        super().__init__()
        self.seconds = seconds

    def __len__(self) -> int:
        return 6

    def __getitem__(self, index: int) -> Any:
        time.sleep(self.seconds)
        return X[index * 8 : index * 8 + 8], Y[index * 8 : index * 8 + 8]


def make_dataset() -> Any:
    """A dataset, which cannot be pickled: workers make their own."""
    return tf.data.Dataset.from_tensor_slices((X, Y)).batch(8)


def make_validation() -> Any:
    return X[:16], Y[:16]


def tuner_in(
    folder: pathlib.Path, hypermodel: Any = build, **options: Any
) -> EvoTuner:
    settings = {"max_trials": 6, "seed": 0, **options.pop("oracle", {})}
    return EvoTuner(
        EvoOracle("val_loss", **settings),
        hypermodel,
        directory=folder.parent,
        project_name=folder.name,
        **{"cohort_size": 2, "verbose": 0, **options},
    )


def search(
    folder: pathlib.Path, hypermodel: Any = build, **options: Any
) -> EvoTuner:
    fit = {**FIT, **options.pop("fit", {})}
    data = options.pop("data", (X, Y))
    tuner = tuner_in(folder, hypermodel, **options)
    tuner.search(*data, **fit)
    return tuner


def record_of(folder: pathlib.Path) -> list[Any]:
    """All of a record but the clock and the workers, in order."""
    return [
        (e.trial_id, e.status, e.score, dict(e.values), e.losses)
        if isinstance(e, End)
        else e
        for e in SearchRecord(folder).read().events
    ]
