"""The data of a search, converted and shuffled once for all executions."""

import dataclasses
from collections.abc import Iterable
from collections.abc import Sequence

import keras

from keras_evonas.training.arguments import NAMES
from keras_evonas.training.arguments import FitArguments
from keras_evonas.training.arrays import DEFAULT_BATCH_SIZE
from keras_evonas.training.arrays import Arrays
from keras_evonas.training.arrays import Orders
from keras_evonas.training.arrays import arrays_of
from keras_evonas.training.arrays import in_memory
from keras_evonas.training.checks import check_own
from keras_evonas.training.executions import Execution
from keras_evonas.training.shared_programs import Programs
from keras_evonas.training.values import Values

# Arguments that do not change what the data are.
_HARMLESS = {
    *("batch_size", "callbacks", "epochs", "initial_epoch", "verbose"),
    *("validation_batch_size", "validation_freq"),
}


class Data:
    """Arguments of `fit`, and what was made of them so far.

    Args:
        arguments: The arguments that all executions share.
        folds: The same arguments with the data of each fold, if executions
            are trained on folds.
        by_pattern: Boolean, whether networks that differ in widths and rates
            share what is traced; see `Programs`. Defaults to `False`.
        activations: Names of activations that they may differ in, too, among
            any others. Defaults to none.

    Attributes:
        programs: What was traced so far, which executions share.
    """

    def __init__(
        self,
        arguments: FitArguments,
        folds: Sequence[FitArguments] = (),
        *,
        by_pattern: bool = False,
        activations: Iterable[object] = (),
    ) -> None:
        self.arguments = arguments
        self.programs = Programs(by_pattern=by_pattern, activations=activations)
        self._folds = tuple(folds)
        self._known = self._folds or (arguments,)
        self._arrays: dict[int, tuple[Arrays, Arrays | None] | None] = {}
        self._orders: dict[tuple[int, int, bool], Orders] = {}

    def arguments_of(self, execution: Execution) -> FitArguments:
        """The arguments of one execution.

        Raises:
            ValueError: If it could not be trained with those of its own.
        """
        arguments = self.arguments
        if execution.fold is not None:
            arguments = self._folds[execution.fold]
        if not execution.fit:
            return arguments
        changed = arguments.with_changes(**execution.fit)
        check_own(changed)
        return changed

    def arrays(
        self, arguments: FitArguments
    ) -> tuple[Arrays, Arrays | None] | None:
        """The data of an execution in memory, or `None`; see `arrays_of`."""
        place = self._place(arguments)
        if place is None:
            return arrays_of(arguments)
        if place not in self._arrays:
            self._arrays[place] = arrays_of(self._known[place])
        converted = self._arrays[place]
        if converted is None:
            return None
        training, held_out = converted
        size = arguments.batch_size or DEFAULT_BATCH_SIZE
        training = dataclasses.replace(training, batch_size=size)
        if held_out is not None:
            size = arguments.validation_batch_size or size
            held_out = dataclasses.replace(held_out, batch_size=size)
        return training, held_out

    def orders(self, seed: int, training: Arrays) -> Orders:
        """The orders of the epochs for a seed."""
        key = (seed, training.size, training.shuffle)
        if key not in self._orders:
            self._orders[key] = Orders(
                seed, training.size, shuffle=training.shuffle
            )
        return self._orders[key]

    def stream_key(self, arguments: FitArguments, seed: int) -> Values:
        """Equal for executions that can read the same stream of batches."""
        # Keras shuffles arrays and PyDatasets from the seed. A data set or a
        # generator comes in one order for all, and a generator but once.
        data = (arguments.x, arguments.y, arguments.sample_weight)
        is_py_dataset = isinstance(arguments.x, keras.utils.PyDataset)
        own_order = is_py_dataset or in_memory(data)
        plain = (int, float, str, type(None))
        values = arguments.data_and_steps().values()
        return (
            seed if own_order else None,
            *(x if isinstance(x, plain) else id(x) for x in values),
        )

    def _place(self, arguments: FitArguments) -> int | None:
        """Finds the known arguments that have the same data, if any."""
        names = [name for name in NAMES if name not in _HARMLESS]
        for place, known in enumerate(self._known):
            if all(getattr(arguments, n) is getattr(known, n) for n in names):
                return place
        return None
