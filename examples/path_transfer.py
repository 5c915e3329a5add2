"""Learns a second task with the path that won the first one.

PathNet: tournaments of paths are held while a supernet learns to tell the
digits 0 to 4 apart. The winner is frozen, and a supernet whose other layers are
new learns the digits 5 to 9, with paths that may lead through the frozen
layers.

```sh
python examples/path_transfer.py --epochs=20
```
"""

import os
import pathlib
from collections.abc import Sequence

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import image_data
import keras
import keras_tuner
import numpy as np
from absl import app
from absl import flags

from keras_evonas.models import layer_choice
from keras_evonas.supernets import FrozenPath
from keras_evonas.supernets import Result
from keras_evonas.supernets import Supernet
from keras_evonas.supernets import TournamentPaths
from keras_evonas.supernets import single_path
from keras_evonas.supernets import train
from keras_evonas.training import FitArguments

L = keras.layers
FLAGS = flags.FLAGS
flags.DEFINE_integer("epochs", 20, "Epochs of each task.", lower_bound=1)
flags.DEFINE_integer("examples", 80, "Images of the second task.")
flags.DEFINE_integer("seed", 0, "Seed of paths and weights.", lower_bound=0)
flags.DEFINE_string("directory", "searches", "Folder of the supernets.")


def build_model(hp: keras_tuner.HyperParameters) -> keras.Model:
    """Builds a network of three layers, each one of four."""
    tensor = inputs = keras.Input((8, 8, 1))
    tensor = L.Conv2D(8, 3, padding="same", activation="relu")(tensor)
    for number in range(3):
        # Without batch normalization, which would have to be calibrated.
        modules = {f"conv_{index}": _module for index in range(4)}
        tensor = layer_choice(hp, f"layer_{number}", modules)(tensor)
    tensor = L.Flatten()(L.MaxPooling2D()(tensor))
    model = keras.Model(inputs, L.Dense(5, activation="softmax")(tensor))
    model.compile(
        keras.optimizers.SGD(0.05, momentum=0.9),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model


def _module() -> keras.Layer:
    return L.Conv2D(8, 3, padding="same", activation="relu")


def main(argv: Sequence[str]) -> None:
    """Learns both tasks, the second one with and without the frozen path."""
    del argv
    images = image_data.digits()
    (x, y), (x_val, y_val) = (
        (x, y.argmax(axis=1)) for x, y in (images.train, images.validation)
    )
    low = _arguments(x[y < 5], y[y < 5], x_val[y_val < 5], y_val[y_val < 5])
    few = FLAGS.examples
    high = _arguments(
        x[y >= 5][:few],
        y[y >= 5][:few] - 5,
        x_val[y_val >= 5],
        y_val[y_val >= 5] - 5,
    )

    first, best = _learned("first", low)
    print(f"task 1, the winner: {first.values_of(best.path)}, {_loss(best)}")
    values = first.values_of(best.path)
    network = first.subnet(values)
    frozen = FrozenPath(values=values, network=network)
    _, best = _learned("second", high, frozen)
    print(f"task 2 with the frozen path: {_loss(best)}")
    _, best = _learned("alone", high)
    print(f"task 2 from nothing: {_loss(best)}")


def _arguments(
    x: np.ndarray, y: np.ndarray, x_val: np.ndarray, y_val: np.ndarray
) -> FitArguments:
    return FitArguments(x=x, y=y, batch_size=16, validation_data=(x_val, y_val))


def _learned(
    name: str, arguments: FitArguments, frozen: FrozenPath | None = None
) -> tuple[Supernet, Result]:
    """Trains a supernet; returns it and the winner of its last epoch."""
    keras.utils.set_random_seed(FLAGS.seed)
    supernet = Supernet(build_model, frozen=frozen)
    sampler = TournamentPaths()
    results = train(
        supernet,
        single_path(FLAGS.epochs, sampler=sampler),
        arguments,
        seed=FLAGS.seed,
        folder=pathlib.Path(FLAGS.directory) / "path_transfer" / name,
        say=lambda _: None,
    )
    last = results[-2 * sampler.tournaments :]
    return supernet, min(last, key=lambda one: one.loss or float("inf"))


def _loss(result: Result) -> str:
    return f"validation loss {result.loss:.4f}"


if __name__ == "__main__":
    app.run(main)
