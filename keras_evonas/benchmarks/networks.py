"""Small data sets and the networks searched on them, for timing."""

import dataclasses
from collections.abc import Callable
from typing import Any

import keras
import keras_tuner
import numpy as np

Arrays = tuple[np.ndarray, np.ndarray]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Case:
    """What is searched.

    Args:
        title: String, what the table calls it.
        build: The hypermodel.
        data: Makes the training and the validation data.
        epochs: Integer.
        trials: Integer.
    """

    title: str
    build: Callable[[keras_tuner.HyperParameters], keras.Model]
    data: Callable[[], tuple[Arrays, Arrays]]
    epochs: int
    trials: int


def _compiled(model: keras.Model, hp: keras_tuner.HyperParameters) -> Any:
    rate = hp.Float("learning_rate", 1e-4, 1e-2, sampling="log")
    model.compile(
        keras.optimizers.Adam(rate),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model


def build_mlp(hp: keras_tuner.HyperParameters) -> keras.Model:
    """A perceptron of one to three hidden layers."""
    model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten()])
    depth = hp.Int("depth", 1, 3)
    for i in range(depth):
        units = hp.Choice(f"units_{i}", [16, 32, 64, 128])
        model.add(keras.layers.Dense(units, activation="relu"))
    model.add(keras.layers.Dropout(hp.Float("dropout", 0.0, 0.5)))
    model.add(keras.layers.Dense(10, activation="softmax"))
    return _compiled(model, hp)


def _build_cnn(
    hp: keras_tuner.HyperParameters, shape: tuple[int, ...]
) -> keras.Model:
    model = keras.Sequential([keras.Input(shape)])
    for i in range(2):
        filters = hp.Choice(f"filters_{i}", [8, 16, 32])
        model.add(keras.layers.Conv2D(filters, 3, padding="same"))
        if hp.Boolean(f"normalise_{i}"):
            model.add(keras.layers.BatchNormalization())
        model.add(keras.layers.ReLU())
        model.add(keras.layers.MaxPooling2D())
    model.add(keras.layers.Flatten())
    model.add(keras.layers.Dense(10, activation="softmax"))
    return _compiled(model, hp)


def build_digits_cnn(hp: keras_tuner.HyperParameters) -> keras.Model:
    """Two convolutions over images of 8 x 8."""
    return _build_cnn(hp, (8, 8, 1))


def build_image_cnn(hp: keras_tuner.HyperParameters) -> keras.Model:
    """Two convolutions over images of 28 x 28."""
    return _build_cnn(hp, (28, 28, 1))


def digits() -> tuple[Arrays, Arrays]:
    """1 437 and 360 images of 8 x 8 in ten classes, drawn at random.

    Timing needs shapes, not meaning.
    """
    return _images(8, 1437), _images(8, 360)


def images() -> tuple[Arrays, Arrays]:
    """4 000 and 1 000 images of 28 x 28 in ten classes, drawn at random."""
    return _images(28, 4000), _images(28, 1000)


def _images(side: int, number: int) -> Arrays:
    rng = np.random.default_rng(side * number)
    y = rng.integers(0, 10, number)
    x = rng.random((number, side, side, 1), np.float32)
    x[np.arange(number), y % side] += 1.0  # A row that tells the class.
    return x, y


CASES = {
    "digits_mlp": Case(
        title="digits MLPs",
        build=build_mlp,
        data=digits,
        epochs=10,
        trials=16,
    ),
    "digits_cnn": Case(
        title="digits CNNs",
        build=build_digits_cnn,
        data=digits,
        epochs=10,
        trials=16,
    ),
    "image_cnn": Case(
        title="28 x 28 CNNs",
        build=build_image_cnn,
        data=images,
        epochs=3,
        trials=8,
    ),
}
