"""The data of a search, converted and shuffled once for all candidates."""

import dataclasses
from typing import Any

import keras

from keras_evonas.training.arguments import FitArguments
from keras_evonas.training.arrays import DEFAULT_BATCH_SIZE
from keras_evonas.training.arrays import Arrays
from keras_evonas.training.arrays import Orders
from keras_evonas.training.arrays import arrays_of
from keras_evonas.training.arrays import is_in_memory

# Arguments that do not change what the data are.
_HARMLESS = frozenset(
    (
        *("batch_size", "callbacks", "epochs", "initial_epoch", "verbose"),
        *("validation_batch_size", "validation_freq"),
    )
)


class Data:
    """Arguments of `fit`, and what was made of them so far.

    Args:
        arguments: The arguments that all candidates share.
    """

    def __init__(self, arguments: FitArguments) -> None:
        self.arguments = arguments
        self._is_converted = False
        self._arrays: tuple[Arrays, Arrays | None] | None = None
        self._orders: dict[tuple[int, int, bool], Orders] = {}

    def arrays(
        self, arguments: FitArguments
    ) -> tuple[Arrays, Arrays | None] | None:
        """The data in memory, or `None`; see `arrays_of`.

        Args:
            arguments: The arguments of one candidate.
        """
        if not self._has_same_data(arguments):
            return arrays_of(arguments)
        if not self._is_converted:
            self._arrays = arrays_of(self.arguments)
            self._is_converted = True
        if self._arrays is None:
            return None
        training, held_out = self._arrays
        batch_size = arguments.batch_size or DEFAULT_BATCH_SIZE
        training = dataclasses.replace(training, batch_size=batch_size)
        if held_out is not None:
            held_out = dataclasses.replace(
                held_out,
                batch_size=arguments.validation_batch_size or batch_size,
            )
        return training, held_out

    def orders(self, seed: int, training: Arrays) -> Orders:
        """The orders of the epochs for a seed."""
        key = (seed, training.size, training.shuffle)
        if key not in self._orders:
            self._orders[key] = Orders(
                seed, training.size, shuffle=training.shuffle
            )
        return self._orders[key]

    def stream_key(self, arguments: FitArguments, seed: int) -> Any:
        """Equal for candidates that can read the same stream of batches."""
        # Keras shuffles arrays and PyDatasets from the seed. A data set or a
        # generator comes in one order for all, and a generator but once.
        own_order = is_in_memory(arguments) or isinstance(
            arguments.x, keras.utils.PyDataset
        )
        values = arguments.data_and_steps()
        return (
            seed if own_order else None,
            *(
                value
                if isinstance(value, int | float | str | None)
                else id(value)
                for value in values.values()
            ),
        )

    def _has_same_data(self, arguments: FitArguments) -> bool:
        return all(
            getattr(arguments, field.name)
            is getattr(self.arguments, field.name)
            for field in dataclasses.fields(arguments)
            if field.name not in _HARMLESS
        )
