"""The data of a search by gradients: for weights, and for the architecture."""

import dataclasses

import keras
import numpy as np

from keras_evonas.evolution.randomness import Rng
from keras_evonas.evolution.randomness import rng_at
from keras_evonas.training.arguments import FitArguments
from keras_evonas.training.arrays import Arrays
from keras_evonas.training.arrays import arrays_of


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Halves:
    """Examples in memory, and which of them train what.

    Args:
        training: The examples on which the weights of layers are trained, with
            the size of all batches.
        held: Those on which the weights of options are trained.
        places: Two arrays of integers, which of `training` and of `held`.
    """

    training: Arrays
    held: Arrays
    places: tuple[np.ndarray, np.ndarray]

    @classmethod
    def of(cls, arguments: FitArguments, seed: int) -> "Halves":
        """Takes the data of `fit` into memory, and halves them.

        With validation data, these are for the architecture, and all others
        for the weights.

        Raises:
            ValueError: If they are not arrays, or too few.
        """
        weight = arguments.sample_weight
        nested = keras.tree.is_nested
        if nested(weight) and not nested(arguments.y):
            raise ValueError(
                "`sample_weight` must be an array if `y` is one. Received: "
                f"sample_weight of type {type(weight).__name__}."
            )
        arrays = arrays_of(arguments)
        if arrays is None:
            raise ValueError(
                "`x`, `y` and `validation_data` must be arrays for a search by "
                "gradients, which draws two batches in each step, and read to "
                f"their end. Received: `x` of type {type(arguments.x).__name__}"
                ". Read data sets into arrays, and put augmentation into the "
                "network as layers; leave out `steps_per_epoch` and "
                "`validation_steps`."
            )
        training, held = arrays
        if held is not None:
            places = (np.arange(training.size), np.arange(held.size))
        else:
            held = training
            drawn = rng_at(seed).permutation(training.size)
            middle = training.size // 2
            places = (np.sort(drawn[:middle]), np.sort(drawn[middle:]))
        smallest = min(len(each) for each in places)
        if not smallest:
            raise ValueError(
                "`x` must have at least 2 examples, one for the weights of "
                "layers and one for those of options. Received: "
                f"{training.size}."
            )
        size = min(training.batch_size, smallest)
        return cls(
            training=dataclasses.replace(training, batch_size=size),
            held=held,
            places=places,
        )

    @property
    def steps(self) -> int:
        """The number of steps in an epoch, all of them with whole batches."""
        return len(self.places[0]) // self.training.batch_size

    def orders(self, rng: Rng) -> np.ndarray:
        """Draws the orders of an epoch.

        Returns:
            `(2, steps * batch_size)` array, the places of the examples of both
            kinds. What does not fill a batch is left out, other examples in
            each epoch; where there are too few, they come again.
        """
        number = self.steps * self.training.batch_size
        rows = []
        for places in self.places:
            times = -(-number // len(places))
            shuffled = [
                rng.permutation(places) if self.training.shuffle else places
                for _ in range(times)
            ]
            rows.append(np.concatenate(shuffled)[:number])
        return np.stack(rows)
