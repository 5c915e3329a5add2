"""Scores of networks with the shared weights of a trained supernet."""

import dataclasses
import pathlib
import tempfile
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from absl import logging
from numpy.typing import NDArray

from keras_evonas.benchmarks.datasets import Parts

if TYPE_CHECKING:
    import keras

    from keras_evonas.supernets import SinglePath
    from keras_evonas.supernets import Supernet
    from keras_evonas.training.arguments import FitArguments

# Batches of the validation hold so many images.
_SCORED_TOGETHER = 500


def train_supernet(
    hypermodel: object,
    parts: Parts,
    *,
    sampler: str,
    epochs: int,
    batch_size: int,
    seed: int,
    allows: Callable[[Mapping[str, str]], bool] | None = None,
) -> Callable[[Mapping[str, str]], float]:
    """Trains a supernet; returns what scores values with its weights.

    A score is the negative validation loss: accuracies of few images differ by
    less than their noise. The sampler "feasible" draws networks of which
    `allows` is true.
    """
    import keras

    from keras_evonas.supernets import FeasiblePaths
    from keras_evonas.supernets import Scorer
    from keras_evonas.supernets import Supernet
    from keras_evonas.supernets import single_path
    from keras_evonas.supernets.data import scoring_data

    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)
    supernet = Supernet(hypermodel)
    sharing = single_path(epochs, sampler=sampler)
    if isinstance(sharing.sampler, FeasiblePaths) and allows is not None:

        def keeps(path: NDArray[np.int32]) -> bool:
            return allows(supernet.values_of(path))

        known = dataclasses.replace(sharing.sampler, keeps=keeps)
        sharing = dataclasses.replace(sharing, sampler=known)
    arguments = arguments_of(parts, batch_size)
    train(supernet, sharing, arguments, seed=seed)
    scorer = Scorer(supernet, *scoring_data(arguments, sharing.calibration))
    return lambda values: -scorer.score(supernet.path_of(values))["loss"]


def arguments_of(
    parts: Parts,
    batch_size: int,
    callbacks: Sequence["keras.callbacks.Callback"] = (),
) -> "FitArguments":
    """Returns the arguments of `fit` for images."""
    from keras_evonas.training.arguments import FitArguments

    x, y = parts.training
    return FitArguments(
        x=x,
        y=y,
        batch_size=batch_size,
        callbacks=list(callbacks),
        validation_data=parts.validation,
        validation_batch_size=_SCORED_TOGETHER,
    )


def train(
    supernet: "Supernet",
    sharing: "SinglePath",
    arguments: "FitArguments",
    *,
    seed: int,
) -> None:
    """Trains a supernet that is not kept."""
    from keras_evonas import supernets

    with tempfile.TemporaryDirectory() as folder:
        supernets.train(
            supernet,
            sharing,
            arguments,
            seed=seed,
            folder=pathlib.Path(folder),
            say=logging.info,
        )
