"""Programs: the training of each network, traced once for all of a structure.

A network that shares a program runs the operations that it would be traced
into itself, with its own variables: its numbers are the same, bit for bit.
"""

import collections
import dataclasses
from collections.abc import Callable
from collections.abc import Sequence
from typing import TypeAlias

import keras

from keras_evonas.training import programs
from keras_evonas.training.arguments import FitArguments
from keras_evonas.training.arrays import Arrays
from keras_evonas.training.arrays import Orders
from keras_evonas.training.garbage import without_graph
from keras_evonas.training.programs import Logs
from keras_evonas.training.structure import Structure
from keras_evonas.training.structure import structure_of

Pass: TypeAlias = Callable[..., Logs]


@dataclasses.dataclass(frozen=True, eq=False)
class _Shared:
    """A pass over some data that all networks of a structure can use.

    It holds neither the network that it was traced with nor its graph. `places`
    are the numbers of the variables that it takes, among those of a structure.
    """

    function: programs.Function
    places: tuple[int, ...]

    def bound(self, data: Arrays, structure: Structure) -> Pass:
        """Returns the pass of one network."""
        variables = [structure.variables[place] for place in self.places]
        taken = [*data.leaves, *(one.value.handle for one in variables)]
        return lambda *arguments: self.function.call_preflattened(
            [*arguments, *taken]
        )


def _shared(traced: programs.Concrete, structure: Structure) -> _Shared | None:
    """Separates a pass from its network, or returns `None` if it cannot be."""
    numbers = {
        id(variable.value.handle): number
        for number, variable in enumerate(structure.variables)
    }
    captured = [id(tensor) for tensor in traced.captured_inputs]
    if not numbers.keys() >= set(captured):
        return None  # It holds what another network may not have.
    function = without_graph(traced.inference_fn)
    return _Shared(function, tuple(numbers[handle] for handle in captured))


def _own(traced: programs.Concrete, data: Arrays) -> Pass:
    return lambda *arguments: traced(*arguments, *data.leaves)


class Programs:
    """The passes that were traced so far, for other networks to share.

    Networks share them if their structures are equal, and their data of the
    same form. A network whose structure is not known has its own.

    Args:
        size: Integer, how many structures are remembered: those used last.

    Attributes:
        num_traced: Integer, number of networks that were traced.
        num_shared: Integer, number of networks that did not have to be.
    """

    def __init__(self, size: int = 16) -> None:
        self.num_traced = 0
        self.num_shared = 0
        self._size = size
        self._known: collections.OrderedDict[object, list[_Shared]] = (
            collections.OrderedDict()
        )

    def passes_of(
        self, model: keras.Model, data: Sequence[Arrays]
    ) -> tuple[list[Pass], bool]:
        """Returns what runs an epoch, and the validation if it has data.

        Args:
            model: A compiled model whose variables have all been created.
            data: Those for the training and, if there are any, for the
                validation.

        Returns:
            Pair of the passes, and of a boolean: whether setting a global seed
            would change the random numbers of the model.
        """
        structure = structure_of(model)
        key = (structure and structure.key, *(part.form for part in data))
        if structure is not None and key in self._known:
            self.num_shared += 1
            self._known.move_to_end(key)
            return self._bound(key, data, structure), False
        self.num_traced += 1
        makers = (programs.train_epoch, programs.validation)
        traced = [
            make(model, part) for make, part in zip(makers, data, strict=False)
        ]
        # A hidden state would go on from one network to the next.
        draws = any(map(programs.draws_from_tensorflow, traced))
        if structure is not None and not draws:
            shared = [_shared(one, structure) for one in traced]
            if None not in shared:
                self._known[key] = [one for one in shared if one is not None]
                if len(self._known) > self._size:
                    self._known.popitem(last=False)
                return self._bound(key, data, structure), False
        return [
            _own(one, part) for one, part in zip(traced, data, strict=True)
        ], draws

    def _bound(
        self, key: object, data: Sequence[Arrays], structure: Structure
    ) -> list[Pass]:
        return [
            one.bound(part, structure)
            for one, part in zip(self._known[key], data, strict=True)
        ]


class Program:
    """An epoch of one member with data in memory.

    Attributes:
        steps: Integer, number of batches in an epoch.
        draws_from_tensorflow: Boolean, whether setting a global seed would
            change the random numbers of the member.
    """

    def __init__(
        self,
        model: keras.Model,
        training: Arrays,
        held_out: Arrays | None,
        orders: Orders,
        arguments: FitArguments,
        known: Programs,
    ) -> None:
        size = training.static_batch_size
        programs.prepare(model, training.cut(0), size)
        self.steps = training.steps
        self._orders = orders
        self._arguments = arguments
        data = [training, *([] if held_out is None else [held_out])]
        passes, draws = known.passes_of(model, data)
        self.draws_from_tensorflow = draws
        self._train, *validation = passes
        self._validate = validation[0] if validation else None

    def run(self, epoch: int) -> tuple[Logs, Logs | None]:
        """Runs an epoch, counted as in `fit`.

        Returns:
            The logs of the training and, if there was one, of the validation.
        """
        number = epoch - self._arguments.initial_epoch
        logs = self._train(self._orders.of_epoch(number))
        if self._validate and self._arguments.validates_after(epoch):
            return logs, self._validate()
        return logs, None
