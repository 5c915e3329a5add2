"""Programs: the training of networks, traced once for a structure or family.

A network that shares a program runs the operations that it would be traced
into itself, with its own variables: its numbers are the same, bit for bit.
"""

import collections
import dataclasses
import functools
from collections.abc import Callable
from collections.abc import Sequence
from typing import TypeAlias

import keras
import tensorflow as tf

from keras_evonas.training import programs
from keras_evonas.training.arguments import FitArguments
from keras_evonas.training.arrays import Arrays
from keras_evonas.training.arrays import Orders
from keras_evonas.training.families import family_of
from keras_evonas.training.garbage import without_graph
from keras_evonas.training.inputs import Formula
from keras_evonas.training.inputs import Inputs
from keras_evonas.training.inputs import input_of
from keras_evonas.training.programs import Logs
from keras_evonas.training.structure import Structure
from keras_evonas.training.structure import structure_of

Pass: TypeAlias = Callable[..., Logs]


@dataclasses.dataclass(frozen=True, eq=False)
class _Shared:
    """A pass over some data that all networks of a structure can use.

    It holds neither the network that it was traced with nor its graph. `places`
    are what it takes: numbers of variables, among those of a structure, and
    what is computed from the numbers of a family.
    """

    function: programs.Function
    places: tuple[int | tuple[int, Formula], ...]

    def bound(self, data: Arrays, network: "_Bound") -> Pass:
        """Returns the pass of one network."""
        held = [network.variable(place) for place in self.places]
        return functools.partial(_run, self.function, data.leaves, held)


@dataclasses.dataclass(frozen=True, eq=False)
class _Bound:
    """A network that takes the place of the one that was traced."""

    structure: Structure
    values: list[float]

    def variable(self, place: int | tuple[int, Formula]) -> tf.Variable:
        """Returns what a pass takes."""
        if isinstance(place, int):
            return self.structure.variables[place].value
        number, formula = place
        return input_of(formula(self.values[number]))


def _run(
    function: programs.Function,
    leaves: Sequence[tf.Tensor],
    variables: Sequence[tf.Variable],
    *arguments: tf.Tensor,
) -> Logs:
    handles = [one.handle for one in variables]
    logs: Logs = function.call_preflattened([*arguments, *leaves, *handles])
    return logs


def _shared(
    traced: programs.Concrete, structure: Structure, inputs: Inputs
) -> _Shared | None:
    """Separates a pass from its network, or returns `None` if it cannot be."""
    known: dict[int, int | tuple[int, Formula]] = {
        id(variable.value.handle): number
        for number, variable in enumerate(structure.variables)
    }
    for variable, place, formula in inputs.needed:
        known[id(variable.handle)] = (place, formula)
    captured = [id(tensor) for tensor in traced.captured_inputs]
    if not known.keys() >= set(captured):
        return None  # It holds what another network may not have.
    function = without_graph(traced.inference_fn)
    return _Shared(function, tuple(known[handle] for handle in captured))


def _own(traced: programs.Concrete, data: Arrays) -> Pass:
    return lambda *arguments: traced(*arguments, *data.leaves)


@dataclasses.dataclass(frozen=True, eq=False)
class _Remembered:
    """The passes of a structure or family, and what they need of numbers."""

    passes: list[_Shared]
    inputs: Inputs


class Programs:
    """The passes that were traced so far, for other networks to share.

    Networks share them if they are of one family or their structures are equal,
    and their data of the same form. A network of which neither is known has its
    own.

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
        self._known: collections.OrderedDict[object, _Remembered] = (
            collections.OrderedDict()
        )
        # Families that turned out to have no program in common.
        self._refused: set[object] = set()

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
        passes = self._passes_of_family(model, data)
        if passes is not None:
            return passes, False
        structure = structure_of(model)
        key = (structure and structure.key, *(part.form for part in data))
        if structure is not None and key in self._known:
            self.num_shared += 1
            return self._bound(key, data, _Bound(structure, [])), False
        self.num_traced += 1
        traced = _traced(model, data)
        # A hidden state would go on from one network to the next.
        draws = any(map(programs.draws_from_tensorflow, traced))
        if structure is not None and not draws:
            inputs = Inputs()
            if self._remember(key, traced, structure, inputs):
                return self._bound(key, data, _Bound(structure, [])), False
        return [
            _own(one, part) for one, part in zip(traced, data, strict=True)
        ], draws

    def _passes_of_family(
        self, model: keras.Model, data: Sequence[Arrays]
    ) -> list[Pass] | None:
        """Returns the passes of a network's family, `None` if it has none."""
        family = family_of(model)
        if family is None:
            return None
        structure = structure_of(model, family)
        if structure is None:
            return None
        network = _Bound(structure, family.values)
        forms = [part.form for part in data]
        key = ("family", structure.key, *forms)
        if key in self._refused:
            return None
        if key in self._known:
            if not self._known[key].inputs.fits(family.values):
                return None
            self.num_shared += 1
            return self._bound(key, data, network)
        inputs = Inputs()
        try:
            with family.unknown(model, structure, inputs):
                traced = _traced(model, data)
                is_safe = not any(
                    map(programs.draws_from_tensorflow, traced)
                ) and self._remember(key, traced, structure, inputs)
        except Exception:
            # Something that needs to know a width, or an error of the user's
            # that the network's own trace will raise.
            is_safe = False
        if not is_safe:
            self._refused.add(key)
            return None
        self.num_traced += 1
        return self._bound(key, data, network)

    def _remember(
        self,
        key: object,
        traced: Sequence[programs.Concrete],
        structure: Structure,
        inputs: Inputs,
    ) -> bool:
        """Keeps passes for other networks, and returns whether it could."""
        shared = [_shared(one, structure, inputs) for one in traced]
        passes = [one for one in shared if one is not None]
        if len(passes) < len(shared):
            return False
        self._known[key] = _Remembered(passes, inputs)
        if len(self._known) > self._size:
            self._known.popitem(last=False)
        return True

    def _bound(
        self, key: object, data: Sequence[Arrays], network: _Bound
    ) -> list[Pass]:
        self._known.move_to_end(key)
        return [
            one.bound(part, network)
            for one, part in zip(self._known[key].passes, data, strict=True)
        ]


def _traced(
    model: keras.Model, data: Sequence[Arrays]
) -> list[programs.Concrete]:
    makers = (programs.train_epoch, programs.validation)
    return [make(model, part) for make, part in zip(makers, data, strict=False)]


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
