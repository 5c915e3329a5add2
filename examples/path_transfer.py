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
from collections.abc import Sequence

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import image_data
import keras
import keras_tuner
import numpy as np
from absl import app
from absl import flags

from keras_evonas import EvoOracle
from keras_evonas import OneShotTuner
from keras_evonas.evolution import random_search
from keras_evonas.models import layer_choice
from keras_evonas.supernets import FrozenPath
from keras_evonas.supernets import single_path

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
    data = [(x, y.argmax(axis=1)) for x, y in (images.train, images.validation)]
    low = [(x[y < 5], y[y < 5]) for x, y in data]
    high = [(x[y >= 5], y[y >= 5] - 5) for x, y in data]
    few = slice(FLAGS.examples)
    high[0] = (high[0][0][few], high[0][1][few])

    first = _searched("first", low)
    best = first.oracle.get_best_trials()[0]
    print(f"task 1, the winner: {best.hyperparameters.values}, {_loss(first)}")
    frozen = FrozenPath(
        values=best.hyperparameters.values, network=first.load_model(best)
    )
    second = _searched("second", high, frozen)
    print(f"task 2 with the frozen path: {_loss(second)}")
    print(f"task 2 from nothing: {_loss(_searched('alone', high))}")


def _searched(
    name: str,
    data: Sequence[tuple[np.ndarray, np.ndarray]],
    frozen: FrozenPath | None = None,
) -> OneShotTuner:
    """Trains a supernet by tournaments, and scores all of its networks."""
    tuner = OneShotTuner(
        EvoOracle("val_loss", 64, seed=FLAGS.seed, strategy=random_search()),
        build_model,
        sharing=single_path(FLAGS.epochs, sampler="tournaments"),
        frozen=frozen,
        directory=os.path.join(FLAGS.directory, "path_transfer"),
        project_name=name,
        verbose=0,
    )
    (x, y), validation = data
    tuner.search(x, y, batch_size=16, validation_data=validation, verbose=0)
    return tuner


def _loss(tuner: OneShotTuner) -> str:
    return f"validation loss {tuner.oracle.get_best_trials()[0].score:.4f}"


if __name__ == "__main__":
    app.run(main)
