"""Data sets of the benchmarks that train, each in three parts."""

import pathlib
from typing import NamedTuple

import numpy as np

Arrays = tuple[np.ndarray, np.ndarray]
_KEYS = ("x_train", "y_train", "x_test", "y_test")


class Parts(NamedTuple):
    """Examples with labels; no search sees those that are held out."""

    training: Arrays
    validation: Arrays
    held_out: Arrays

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of an example."""
        return self.training[0].shape[1:]

    def steps(self, epochs: int, batch_size: int) -> int:
        """Returns the number of batches of so many epochs."""
        return epochs * -(-len(self.training[0]) // batch_size)


def digits() -> Parts:
    """Returns scikit-learn's digits, scaled to [0, 1]."""
    from sklearn import datasets

    x, y = datasets.load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(x))
    x, y = x[order].astype("float32") / 16, y[order].astype("int64")
    return Parts(
        (x[:1000], y[:1000]), (x[1000:1400], y[1000:1400]), (x[1400:], y[1400:])
    )


def images(
    path: str | None,
    examples: int,
    *,
    validation: int = 1000,
    halved: bool = False,
) -> Parts:
    """Returns images, scaled to [0, 1], with some for the validation.

    They are those of an `.npz` file with x_train, y_train, x_test and y_test,
    or without a path those of Fashion-MNIST. At `halved` resolution a network
    trains in about a quarter of the time.
    """
    if path is None:
        import keras

        (x, y), (x_test, y_test) = keras.datasets.fashion_mnist.load_data()
    else:
        x, y, x_test, y_test = _read(pathlib.Path(path))
    if examples + validation > len(x):
        raise ValueError(
            f"`examples` must leave {validation} of the {len(x)} training "
            f"images for the validation. Received: examples={examples}."
        )
    scale = _halved if halved else _scaled
    y, y_test = (labels.astype("int64").reshape(-1) for labels in (y, y_test))
    return Parts(
        (scale(x[:examples]), y[:examples]),
        (scale(x[-validation:]), y[-validation:]),
        (scale(x_test), y_test),
    )


def name_of(path: str | None) -> str:
    """Returns the name of the images of a path; see `images`."""
    return pathlib.Path(path or "Fashion-MNIST").stem


def _read(path: pathlib.Path) -> list[np.ndarray]:
    with np.load(path, allow_pickle=False) as file:
        missing = [key for key in _KEYS if key not in file.files]
        if missing:
            raise ValueError(
                f"`data` must be an `.npz` file with {', '.join(_KEYS)}. "
                f"Received: '{path}', which lacks {', '.join(missing)}."
            )
        return [file[key] for key in _KEYS]


def _scaled(images: np.ndarray) -> np.ndarray:
    return images.astype("float32") / 255


def _halved(images: np.ndarray) -> np.ndarray:
    images = images.reshape(*images.shape[:3], -1)
    count, height, width, channels = images.shape
    shape = (count, height // 2, 2, width // 2, 2, channels)
    means: np.ndarray = images.reshape(shape).mean((2, 4)) / 255
    return means.astype("float32")
