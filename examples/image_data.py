"""Labelled images for the examples, split into three parts."""

import dataclasses

import keras
import numpy as np
from sklearn import datasets
from sklearn.model_selection import train_test_split

_KEYS = ("x_train", "y_train", "x_test", "y_test")
_SEED = 42

Part = tuple[np.ndarray, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Images:
    """Images in [0, 1] with one-hot labels.

    The search trains on `train` and compares networks on `validation`. It
    never sees `held_out`, which tells how good the winner really is.
    """

    train: Part
    validation: Part
    held_out: Part

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one image: (height, width, channels)."""
        return self.train[0].shape[1:]

    @property
    def classes(self) -> int:
        """Number of classes."""
        return self.train[1].shape[1]

    def search_split(self, seed: int) -> tuple[Part, Part]:
        """The search set, divided anew: four fifths and the rest."""
        x, y = self.search_set
        x, x_rest, y, y_rest = train_test_split(
            x, y, test_size=0.2, random_state=seed, stratify=y
        )
        return (x, y), (x_rest, y_rest)

    @property
    def search_set(self) -> Part:
        """Both parts that the search may see."""
        x, y = zip(self.train, self.validation, strict=True)
        return np.concatenate(x), np.concatenate(y)


def digits() -> Images:
    """Scikit-learn's 1,797 digits of 8 x 8 pixels; a fifth is held out."""
    x, y = datasets.load_digits(return_X_y=True)
    x = x.reshape(-1, 8, 8) / 16.0
    x_train, x_test, y_train, y_test = train_test_split(
        x, y, test_size=0.2, random_state=_SEED
    )
    return _split(x_train, y_train, x_test, y_test)


def from_file(path: str) -> Images:
    """Reads an `.npz` of bytes; its test part is held out.

    Raises:
        ValueError: If the file lacks one of the four arrays.
    """
    with np.load(path, allow_pickle=False) as arrays:
        missing = [key for key in _KEYS if key not in arrays]
        if missing:
            raise ValueError(
                f"`--data` must hold the arrays {_KEYS}. Received: {path} "
                f"without {missing}."
            )
        x_train, y_train, x_test, y_test = (arrays[key] for key in _KEYS)
    return _split(x_train / 255.0, y_train, x_test / 255.0, y_test)


def named(name: str) -> Images:
    """Downloads a data set of `keras.datasets`; its test part is held out.

    Raises:
        ValueError: If there is none of this name.
    """
    source = getattr(keras.datasets, name, None)
    if source is None:
        raise ValueError(
            "`--dataset` must be a data set of images in keras.datasets, such "
            f"as fashion_mnist, mnist or cifar10. Received: {name!r}."
        )
    (x_train, y_train), (x_test, y_test) = source.load_data()
    return _split(x_train / 255.0, y_train, x_test / 255.0, y_test)


def _split(
    x: np.ndarray, y: np.ndarray, x_test: np.ndarray, y_test: np.ndarray
) -> Images:
    y, y_test = y.ravel(), y_test.ravel()
    x_train, x_val, y_train, y_val = train_test_split(
        x, y, test_size=0.2, random_state=_SEED, stratify=y
    )
    classes = int(max(y.max(), y_test.max())) + 1
    return Images(
        _encoded(x_train, y_train, classes),
        _encoded(x_val, y_val, classes),
        _encoded(x_test, y_test, classes),
    )


def _encoded(x: np.ndarray, y: np.ndarray, classes: int) -> Part:
    if x.ndim == 3:
        x = x[..., None]
    return x.astype("float32"), keras.utils.to_categorical(y, classes)
