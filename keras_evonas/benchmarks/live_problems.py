"""Problems of the live comparison: data sets, and networks for them."""

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING

from keras_evonas.benchmarks.datasets import Parts
from keras_evonas.benchmarks.datasets import digits
from keras_evonas.benchmarks.datasets import images

if TYPE_CHECKING:  # A search's process imports Keras once it has its core.
    import keras_tuner


@dataclasses.dataclass(frozen=True, eq=False)
class LiveProblem:
    """Networks, and data to train them on."""

    hypermodel: "keras_tuner.HyperModel"
    parts: Parts


def _digits(data: str | None, examples: int) -> LiveProblem:
    del data, examples
    from keras_evonas.models import Classification
    from keras_evonas.models import DenseNetwork

    hypermodel = DenseNetwork(
        (64,),
        Classification(classes=10, labels="integer"),
        units=(16, 256),
        depth=(1, 3),
    )
    return LiveProblem(hypermodel, digits())


def _fashion_mnist(data: str | None, examples: int) -> LiveProblem:
    from keras_evonas.models import Classification
    from keras_evonas.models import ConvNetwork

    parts = images(data, examples, halved=True)
    hypermodel = ConvNetwork(
        parts.training[0].shape[1:],
        Classification(classes=10, labels="integer"),
        stages=(1, 2),
        blocks=(1, 2),
        filters=(8, 32),
        units=(16, 128),
        # Three epochs are too short for the moving averages of "batch".
        normalizations=("none", "layer"),
    )
    return LiveProblem(hypermodel, parts)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Dataset:
    """A data set, with its title in tables and the epochs of a trial.

    `load` makes the problem of the path of an `.npz` file, or `None`, and of
    a number of training images.
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
    """Returns the data set of a name."""
    if name not in DATASETS:
        raise ValueError(
            f"`datasets` must be among {list(DATASETS)}. Received: {name!r}."
        )
    return DATASETS[name]
