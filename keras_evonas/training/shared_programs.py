"""Programs: the training of each network, traced once for all of a structure.

A network that shares a program with those of its structure runs the operations
that it would be traced into itself, with its own variables: its numbers are the
same, bit for bit. One that shares with those of its pattern runs operations
that know less of shapes, which TensorFlow fuses in other ways: its numbers are
the same to rounding.
"""

import collections
import dataclasses
import math
from collections.abc import Callable
from collections.abc import Hashable
from collections.abc import Iterable
from collections.abc import Sequence
from typing import TypeAlias
from typing import TypeVar

import keras
import tensorflow as tf
from absl import logging

from keras_evonas.training import programs
from keras_evonas.training.arguments import FitArguments
from keras_evonas.training.arrays import Arrays
from keras_evonas.training.arrays import Orders
from keras_evonas.training.eligibility import refusing_draws
from keras_evonas.training.garbage import without_graph
from keras_evonas.training.patterns import Activation
from keras_evonas.training.patterns import Pattern
from keras_evonas.training.patterns import activations_named
from keras_evonas.training.patterns import pattern_of
from keras_evonas.training.programs import Logs
from keras_evonas.training.structure import Structure
from keras_evonas.training.structure import structure_of
from keras_evonas.training.templates import Copies
from keras_evonas.training.templates import Prepare
from keras_evonas.training.templates import template_of

Pass: TypeAlias = Callable[..., Logs]
# What the form of some data depends on, one entry for each pass.
_Form: TypeAlias = tuple[Hashable, ...]
_Key: TypeAlias = tuple[str | None, _Form]
_Passes = TypeVar("_Passes")
# Copies take memory, and tracing no time beside the training of more weights.
_MOST_WEIGHTS = 1_000_000


@dataclasses.dataclass(frozen=True, eq=False)
class _Shared:
    """A pass over some data that several networks can use.

    It holds neither the network that it was traced with nor its graph. `places`
    are the numbers of the variables that it takes, among those of a network.
    `by_step` says that the function is a single step of the pass.
    """

    function: programs.Function
    places: tuple[int, ...]
    by_step: bool

    def bound(
        self, model: keras.Model, data: Arrays, variables: Sequence[tf.Variable]
    ) -> Pass:
        """Returns the pass of one network."""
        handles = (variables[place].handle for place in self.places)
        taken = [*data.leaves, *handles]

        def run(*arguments: tf.Tensor) -> Logs:
            logs: Logs = self.function.call_preflattened([*arguments, *taken])
            return logs

        return _batch_by_batch(run, model, data) if self.by_step else run


def _batch_by_batch(step: Pass, model: keras.Model, data: Arrays) -> Pass:
    """Makes a pass of a step, with the logs that `fit` reports."""

    def run(*arguments: tf.Tensor) -> Logs:
        model.reset_metrics()
        logs: Logs = {}
        for index in range(data.steps):
            logs = step(tf.constant(index), *arguments)
        metrics: Logs = model.get_metrics_result()
        is_named = isinstance(logs, dict) and set(logs) == set(metrics)
        return metrics if is_named else logs

    return run


def _shared(
    traced: programs.Concrete, variables: Sequence[tf.Variable], by_step: bool
) -> _Shared | None:
    """Separates a pass from its network, or returns `None` if it cannot be."""
    numbers = {
        id(variable.handle): number for number, variable in enumerate(variables)
    }
    captured = [id(tensor) for tensor in traced.captured_inputs]
    if not numbers.keys() >= set(captured):
        return None  # It holds what another network may not have.
    function = without_graph(traced.inference_fn)
    places = tuple(numbers[handle] for handle in captured)
    return _Shared(function, places, by_step)


@dataclasses.dataclass(frozen=True, eq=False)
class _Family:
    """The passes of all networks of a pattern."""

    passes: list[_Shared]
    shapes: list[tf.TensorShape]

    def bound(
        self, model: keras.Model, pattern: Pattern, data: Sequence[Arrays]
    ) -> "Passes":
        """Returns the passes of one network."""
        copies = Copies(model, pattern, self.shapes)
        bound = _bound(self.passes, model, data, copies.variables)
        return dataclasses.replace(bound, copies=copies)


@dataclasses.dataclass(frozen=True, eq=False)
class Passes:
    """The functions that run the epochs of one network.

    Attributes:
        passes: List of an epoch of training and, if there are data for it, of
            the validation.
        draws_from_tensorflow: Boolean, whether setting a global seed would
            change the random numbers of the network.
        copies: The variables that the passes use, or `None` if those are the
            network's own.
    """

    passes: list[Pass]
    draws_from_tensorflow: bool = False
    copies: Copies | None = None


class Programs:
    """The passes that were traced so far, for other networks to share.

    Networks share them if their structures are equal, and their data of the
    same form. A network whose structure is not known has its own.

    Args:
        by_pattern: Boolean, whether networks also share passes if they differ
            in widths and rates. Their numbers are then those of passes of
            their own to rounding, not bit for bit. Defaults to `False`.
        activations: Names of activations that networks may differ in then,
            among any others. Defaults to none.
        size: Integer, how many structures are remembered: those used last.

    Attributes:
        num_traced: Integer, number of networks that were traced.
        num_shared: Integer, number of networks that did not have to be.
    """

    def __init__(
        self,
        *,
        by_pattern: bool = False,
        activations: Iterable[object] = (),
        size: int = 64,
    ) -> None:
        self.num_traced = 0
        self.num_shared = 0
        self._by_pattern = by_pattern
        self._activations = activations_named(activations)
        self._size = size
        self._structures: collections.OrderedDict[_Key, list[_Shared]] = (
            collections.OrderedDict()
        )
        self._templates = 0
        self._reused = 0
        self._seen: set[_Key] = set()
        # A pattern that cannot be traced without widths has no family.
        self._patterns: collections.OrderedDict[_Key, _Family | None] = (
            collections.OrderedDict()
        )

    def passes_of(
        self, model: keras.Model, data: Sequence[Arrays], prepare: Prepare
    ) -> Passes:
        """Returns what runs the epochs of a network.

        Args:
            model: A compiled model whose variables have all been created.
            data: Those for the training and, if there are any, for the
                validation.
            prepare: Creates the variables of a copy of the model.
        """
        form = tuple(part.form for part in data)
        pattern = None
        if self._by_pattern and _count(model.weights) <= _MOST_WEIGHTS:
            pattern = pattern_of(model, self._activations)
        if pattern is not None:
            family = self._family(model, pattern, data, form, prepare)
            if family is not None:
                return family.bound(model, pattern, data)
        structure = structure_of(model)
        key = (structure.key if structure else None, form)
        if structure is not None and key in self._structures:
            self.num_shared += 1
            self._structures.move_to_end(key)
            shared = self._structures[key]
            return _bound(shared, model, data, _values(structure))
        self.num_traced += 1
        traced = _traced(model, data)
        draws = traced.draws_from_tensorflow
        made = None
        if structure is not None and not draws:
            made = _all_shared(traced, _values(structure))
        if structure is None or made is None:
            return _own(traced, model, data)
        self._remember(self._structures, key, made)
        return _bound(made, model, data, _values(structure))

    def _family(
        self,
        model: keras.Model,
        pattern: Pattern,
        data: Sequence[Arrays],
        form: _Form,
        prepare: Prepare,
    ) -> _Family | None:
        """Returns the passes of a pattern, or `None` if it has none."""
        key = (pattern.key, form)
        is_known = key in self._patterns
        if not is_known:
            # A template costs a third of a trace. Where patterns hardly ever
            # come again, it is made for those that do.
            pays = 3 * self._reused >= self._templates - 3
            if not pays and key not in self._seen:
                self._seen.add(key)
                return None
            self._templates += 1
            family = _family_of(
                model, pattern, data, self._activations, prepare
            )
            self._remember(self._patterns, key, family)
        self._patterns.move_to_end(key)
        family = self._patterns[key]
        if family is not None:
            self._reused += is_known
            self.num_shared += is_known
            self.num_traced += not is_known
        return family

    def _remember(
        self,
        known: collections.OrderedDict[_Key, _Passes],
        key: _Key,
        passes: _Passes,
    ) -> None:
        known[key] = passes
        if len(known) > self._size:
            known.popitem(last=False)


def _count(weights: Sequence[keras.Variable]) -> int:
    return sum(math.prod(weight.shape) for weight in weights)


def _values(structure: Structure) -> list[tf.Variable]:
    return [one.value for one in structure.variables]


@dataclasses.dataclass(frozen=True, eq=False)
class _Traced:
    """The passes of a network, or a single step of each."""

    passes: list[programs.Concrete]
    by_step: bool

    @property
    def draws_from_tensorflow(self) -> bool:
        # A hidden state would go on from one network to the next.
        return any(map(programs.draws_from_tensorflow, self.passes))


def _traced(model: keras.Model, data: Sequence[Arrays]) -> _Traced:
    """Traces a network's passes, so that its numbers are those of `fit`."""
    if not programs.has_swish_layers(model):
        traced = _traced_as(model, data, by_step=False)
        if not any(map(programs.has_swish_operations, traced.passes)):
            return traced
    return _traced_as(model, data, by_step=True)


def _traced_as(
    model: keras.Model, data: Sequence[Arrays], *, by_step: bool
) -> _Traced:
    makers = (programs.train_epoch, programs.validation)
    with refusing_draws(model):
        traced = [
            make(model, part, by_step=by_step)
            for make, part in zip(makers, data, strict=False)
        ]
    return _Traced(traced, by_step)


def _all_shared(
    traced: _Traced, variables: Sequence[tf.Variable]
) -> list[_Shared] | None:
    shared = [_shared(one, variables, traced.by_step) for one in traced.passes]
    found = [one for one in shared if one is not None]
    return found if len(found) == len(shared) else None


def _own(traced: _Traced, model: keras.Model, data: Sequence[Arrays]) -> Passes:
    def own(one: programs.Concrete, part: Arrays) -> Pass:
        def run(*arguments: tf.Tensor) -> Logs:
            return one(*arguments, *part.leaves)

        return _batch_by_batch(run, model, part) if traced.by_step else run

    pairs = zip(traced.passes, data, strict=True)
    passes = [own(one, part) for one, part in pairs]
    return Passes(passes, traced.draws_from_tensorflow)


def _bound(
    shared: Sequence[_Shared],
    model: keras.Model,
    data: Sequence[Arrays],
    variables: Sequence[tf.Variable],
) -> Passes:
    return Passes(
        [
            one.bound(model, part, variables)
            for one, part in zip(shared, data, strict=True)
        ]
    )


def _family_of(
    model: keras.Model,
    pattern: Pattern,
    data: Sequence[Arrays],
    activations: Sequence[Activation],
    prepare: Prepare,
) -> _Family | None:
    """Traces a template, or returns `None` if the network has none."""
    try:
        template = template_of(model, pattern, activations, prepare)
        if template is None:
            return None
        traced = _traced_as(template.model, data, by_step=False)
    except Exception as error:
        # It is traced as it is then, and an error of its own shows there.
        logging.debug("No program without widths: %s", error)
        return None
    variables = [one.value for one in template.variables]
    shared = _all_shared(traced, [*variables, *template.settings])
    if traced.draws_from_tensorflow or shared is None:
        return None
    return _Family(shared, [one.shape for one in variables])


class Program:
    """An epoch of one member with data in memory.

    `may_change` says whether callbacks may change the member's weights between
    epochs.

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
        *,
        may_change: bool = True,
    ) -> None:
        self._may_change = may_change
        size = training.static_batch_size
        batch = training.cut(0)

        def prepare(model: keras.Model) -> None:
            programs.prepare(model, batch, size)

        prepare(model)
        self.steps = training.steps
        self._orders = orders
        self._arguments = arguments
        data = [training, *([] if held_out is None else [held_out])]
        found = known.passes_of(model, data, prepare)
        self.draws_from_tensorflow = found.draws_from_tensorflow
        self._copies = found.copies
        self._train, *validation = found.passes
        self._validate = validation[0] if validation else None

    def run(self, epoch: int) -> tuple[Logs, Logs | None]:
        """Runs an epoch, counted as in `fit`.

        Returns:
            The logs of the training and, if there was one, of the validation.
        """
        number = epoch - self._arguments.initial_epoch
        if self._copies is not None and self._may_change:
            self._copies.take()
        logs = self._train(self._orders.of_epoch(number))
        held_out = None
        if self._validate and self._arguments.validates_after(epoch):
            held_out = self._validate()
        if self._copies is not None:
            self._copies.give_weights()
            if self._may_change or epoch + 1 == self._arguments.epochs:
                self._copies.give_others()
        return logs, held_out
