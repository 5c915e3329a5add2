"""What the live comparison searches: images, and networks for them."""

import dataclasses
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np

Arrays = tuple[np.ndarray, np.ndarray]
_KEYS = ("x_train", "y_train", "x_test", "y_test")
_HELD_OUT = 1000


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class LiveProblem:
    """Networks, and three parts of a data set.

    Args:
        hypermodel: The networks, as keras-tuner takes them.
        training: What networks are trained on.
        validation: What a search judges them by.
        held_out: What no search sees.
    """

    hypermodel: Any
    training: Arrays
    validation: Arrays
    held_out: Arrays


def _digits(data: str | None, examples: int) -> LiveProblem:
    del data, examples
    from sklearn import datasets

    from keras_evonas.models import Classification
    from keras_evonas.models import DenseNetwork

    x, y = datasets.load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(x))
    x, y = x[order].astype("float32") / 16, y[order].astype("int64")
    return LiveProblem(
        hypermodel=DenseNetwork(
            (64,),
            Classification(classes=10, labels="integer"),
            units=(16, 256),
            depth=(1, 3),
        ),
        training=(x[:1000], y[:1000]),
        validation=(x[1000:1400], y[1000:1400]),
        held_out=(x[1400:], y[1400:]),
    )


def _fashion_mnist(data: str | None, examples: int) -> LiveProblem:
    from keras_evonas.models import Classification
    from keras_evonas.models import ConvNetwork

    x, y, x_test, y_test = _arrays(data)
    if examples + _HELD_OUT > len(x):
        raise ValueError(
            f"`examples` must leave {_HELD_OUT} of the {len(x)} training "
            f"images for the validation. Received: examples={examples}."
        )
    return LiveProblem(
        hypermodel=ConvNetwork(
            x.shape[1:],
            Classification(classes=10, labels="integer"),
            stages=(1, 2),
            blocks=(1, 2),
            filters=(8, 32),
            units=(16, 128),
            # Three epochs are too short for the moving averages of "batch".
            normalizations=("none", "layer"),
        ),
        training=(x[:examples], y[:examples]),
        validation=(x[-_HELD_OUT:], y[-_HELD_OUT:]),
        held_out=(x_test, y_test),
    )


def _arrays(path: str | None) -> list[np.ndarray]:
    if path is None:
        import keras

        (x, y), (x_test, y_test) = keras.datasets.fashion_mnist.load_data()
    else:
        x, y, x_test, y_test = _read(pathlib.Path(path))
    return [_scaled(x), _labels(y), _scaled(x_test), _labels(y_test)]


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
    """Scales to [0, 1], at half the resolution: a quarter of the time."""
    images = images.reshape(*images.shape[:3], -1)
    count, height, width, channels = images.shape
    shape = (count, height // 2, 2, width // 2, 2, channels)
    return (images.reshape(shape).mean((2, 4)) / 255).astype("float32")


def _labels(labels: np.ndarray) -> np.ndarray:
    return labels.astype("int64").reshape(-1)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Dataset:
    """A data set by name.

    Args:
        title: String, what tables call it.
        epochs: Integer, the epochs that a trial is trained for.
        load: Function from the path of an `.npz` file, or `None`, and a
            number of training images to the problem.
    """

    title: str
    epochs: int
    load: Callable[[str | None, int], LiveProblem]


# Powers of three, so that Hyperband finds its rungs.
DATASETS = {
    "digits": Dataset(title="digits", epochs=9, load=_digits),
    "fashion_mnist": Dataset(
        title="a part of Fashion-MNIST", epochs=3, load=_fashion_mnist
    ),
}


def dataset(name: str) -> Dataset:
    """Returns the data set of a name.

    Raises:
        ValueError: If there is none.
    """
    if name not in DATASETS:
        raise ValueError(
            f"`datasets` must be among {list(DATASETS)}. Received: {name!r}."
        )
    return DATASETS[name]
