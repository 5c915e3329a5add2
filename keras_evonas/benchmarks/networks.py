"""Small data sets, and networks that benchmarks search."""

import dataclasses
import functools
from collections.abc import Callable

import keras
import keras_tuner
import numpy as np

from keras_evonas.models import CellNetwork
from keras_evonas.models import Classification

Arrays = tuple[np.ndarray, np.ndarray]
# The highest learning rate. With 0.05 shared weights tell less.
_CELL_RATE = 0.2


@dataclasses.dataclass(frozen=True)
class Case:
    """A search to time.

    `data` are the side of the images, and the numbers of those for training
    and validation.
    """

    title: str
    build: Callable[[keras_tuner.HyperParameters], keras.Model]
    data: tuple[int, int, int]
    epochs: int
    trials: int

    def images(self) -> tuple[Arrays, Arrays]:
        """Draws the training and the validation data at random.

        Timing needs their shapes only.
        """
        side, training, validation = self.data
        return _images(side, training), _images(side, validation)


def _compiled(model: keras.Model, optimizer: keras.Optimizer) -> keras.Model:
    model.add(keras.layers.Dense(10, activation="softmax"))
    model.compile(
        optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    return model


def _adam(hp: keras_tuner.HyperParameters) -> keras.Optimizer:
    rate = hp.Float("learning_rate", 1e-4, 1e-2, sampling="log")
    return keras.optimizers.Adam(rate)


def _build_mlp(hp: keras_tuner.HyperParameters) -> keras.Model:
    model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten()])
    depth = hp.Int("depth", 1, 3)
    for i in range(depth):
        units = hp.Choice(f"units_{i}", [16, 32, 64, 128])
        model.add(keras.layers.Dense(units, activation="relu"))
    model.add(keras.layers.Dropout(hp.Float("dropout", 0.0, 0.5)))
    return _compiled(model, _adam(hp))


def _build_layers(hp: keras_tuner.HyperParameters) -> keras.Model:
    """Builds a network of layers that share no hyperparameter."""
    model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten()])
    depth = hp.Int("depth", 1, 4)
    for i in range(depth):
        units = hp.Choice(f"units_{i}", [16, 32, 64, 128])
        activation = hp.Choice(f"activation_{i}", ["relu", "gelu", "tanh"])
        model.add(keras.layers.Dense(units, activation=activation))
        dropout = hp.Float(f"dropout_{i}", 0.0, 0.5)
        model.add(keras.layers.Dropout(dropout))
    rate = hp.Float("learning_rate", 1e-3, 1e-1, sampling="log")
    momentum = hp.Float("momentum", 0.0, 0.95)
    return _compiled(model, keras.optimizers.SGD(rate, momentum))


def _build_cnn(hp: keras_tuner.HyperParameters, *, side: int) -> keras.Model:
    model = keras.Sequential([keras.Input((side, side, 1))])
    for i in range(2):
        filters = hp.Choice(f"filters_{i}", [8, 16, 32])
        model.add(keras.layers.Conv2D(filters, 3, padding="same"))
        if hp.Boolean(f"normalise_{i}"):
            model.add(keras.layers.BatchNormalization())
        model.add(keras.layers.ReLU())
        model.add(keras.layers.MaxPooling2D())
    model.add(keras.layers.Flatten())
    return _compiled(model, _adam(hp))


def _images(side: int, number: int) -> Arrays:
    rng = np.random.default_rng(side * number)
    y = rng.integers(0, 10, number)
    x = rng.random((number, side, side, 1), np.float32)
    x[np.arange(number), y % side] += 1.0  # A row that shows the class.
    return x, y


_DIGITS = (8, 1437, 360)
_digits_cnn = functools.partial(_build_cnn, side=8)
_image_cnn = functools.partial(_build_cnn, side=28)
CASES = {
    "digits_mlp": Case("digits MLPs", _build_mlp, _DIGITS, 10, 16),
    "digits_layers": Case("digits layers", _build_layers, _DIGITS, 10, 16),
    "digits_cnn": Case("digits CNNs", _digits_cnn, _DIGITS, 10, 16),
    "image_cnn": Case("28 x 28 CNNs", _image_cnn, (28, 4000, 1000), 3, 8),
}


def cell_network(
    shape: tuple[int, ...], *, steps: int, stages: int, filters: int
) -> CellNetwork:
    """Makes networks of one cell of NAS-Bench-201 in each stage.

    They are trained for so many steps, by a learning rate that falls to 0.
    """

    def optimizer(hp: object) -> keras.Optimizer:
        del hp
        rate = keras.optimizers.schedules.CosineDecay(
            _CELL_RATE / 20,
            steps - steps // 20,
            warmup_target=_CELL_RATE,
            warmup_steps=steps // 20,
        )
        return keras.optimizers.SGD(rate, momentum=0.9, nesterov=True)

    return CellNetwork(
        shape,
        Classification(classes=10, labels="integer"),
        stages=stages,
        cells=(1, 1),
        filters=(filters, filters),
        reduction="convolution",
        optimizer=optimizer,
    )
