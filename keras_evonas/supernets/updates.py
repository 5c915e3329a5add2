"""Updates of the weights on a path that leave all others untouched."""

import dataclasses
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_evonas.models import kinds
from keras_evonas.supernets.masks import Axes
from keras_evonas.supernets.masks import Variables
from keras_evonas.supernets.masks import broadcast
from keras_evonas.supernets.mixed import Gate
from keras_evonas.supernets.mixed import MixedLayer

Tensors = Sequence[Any]


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class _Group:
    """Trained weights that are on a path under the same conditions.

    Args:
        places: Their places among the trained weights.
        conditions: Pairs of a gate and of the branch that it must choose.
        axes: The masks of their elements; empty where there are none.
        variables: The weights, and what the optimizer remembers of them.
    """

    places: tuple[int, ...]
    conditions: tuple[tuple[Gate, int], ...]
    axes: Axes
    variables: tuple[keras.Variable, ...]

    def is_on_path(self, index_of: Variables) -> tf.Tensor:
        """Returns whether they are on the current path; which elements are."""
        chosen = [tf.equal(gate.chosen, b) for gate, b in self.conditions]
        is_on = tf.reduce_all(tf.stack(chosen)) if chosen else tf.constant(True)
        return is_on & broadcast(self.axes, index_of) if self.axes else is_on


class GatedUpdates:
    """Applies gradients to what was on a path, and to nothing else.

    The gradient of an option that was not called is zero, but momentum, weight
    decay and moving averages of the optimizer would move its weights all the
    same. Here they and the optimizer's memory of them stay as they are, bit
    for bit.

    Args:
        mixed: The mixed layers.
        optimizer: The optimizer, which is built by it.
        weights: The trained weights.
        axes: The masks of elastic weights, by the identities of weights; what
            is masked is off the path. Defaults to none.
        index_of: The variables that hold the path, for these masks.
    """

    def __init__(
        self,
        mixed: Iterable[MixedLayer],
        optimizer: keras.Optimizer,
        weights: Sequence[keras.Variable],
        axes: Mapping[int, Axes] | None = None,
        index_of: Variables | None = None,
    ) -> None:
        _check_optimizer(optimizer)
        self._optimizer = optimizer
        inner = getattr(optimizer, "inner_optimizer", optimizer)
        self._clips = bool(inner.clipnorm or inner.global_clipnorm)
        self._weights = list(weights)
        self._index_of = index_of or {}
        slots = _build(optimizer, self._weights)
        places: dict[Any, list[int]] = {}
        conditions_of = _conditions_of(mixed)
        for place, weight in enumerate(self._weights):
            masks = (axes or {}).get(id(weight), ())
            key = (conditions_of.get(id(weight), ()), masks)
            places.setdefault(key, []).append(place)
        # What is on every path needs no gate.
        self._groups = [
            _Group(
                places=tuple(found),
                conditions=conditions,
                axes=masks,
                variables=tuple(
                    variable
                    for place in found
                    for variable in (
                        self._weights[place],
                        *slots.get(id(self._weights[place]), ()),
                    )
                ),
            )
            for (conditions, masks), found in places.items()
            if conditions or masks
        ]

    def _on_path(self) -> list[tf.Tensor]:
        return [group.is_on_path(self._index_of) for group in self._groups]

    def apply(self, gradients: Tensors) -> None:
        """Applies the gradients of one path, which is the current one."""
        on_path = self._on_path()
        if self._clips:
            gradients = self._masked(gradients, on_path)
        self._apply(gradients, on_path)

    def apply_sum(
        self, passes: tf.Tensor, take: Callable[[tf.Tensor], Tensors]
    ) -> None:
        """Applies the gradients of several paths at once.

        The gradient of a weight, or of an element of it, is the mean over the
        paths that it is on.

        Args:
            passes: The paths, one a row.
            take: Takes a path, and returns the gradients of all weights.
        """
        zeros = [tf.zeros(w.shape, w.dtype) for w in self._weights]
        counts = [tf.zeros_like(on, tf.int32) for on in self._on_path()]

        def body(
            number: tf.Tensor,
            counts: Tensors,
            sums: Tensors,
        ) -> tuple[tf.Tensor, Tensors, Tensors]:
            gradients, on_path = take(passes[number]), self._on_path()
            gradients = self._masked(gradients, on_path)
            counted = []
            for count, on in zip(counts, on_path, strict=True):
                counted.append(count + tf.cast(on, tf.int32))
            pairs = zip(sums, gradients, strict=True)
            return (number + 1, counted, [total + one for total, one in pairs])

        _, counts, sums = tf.while_loop(
            lambda number, *_: number < tf.shape(passes)[0],
            body,
            (tf.constant(0), counts, zeros),
            parallel_iterations=1,
        )
        times = [tf.shape(passes)[0]] * len(sums)
        for number, group in enumerate(self._groups):
            for place in group.places:
                times[place] = tf.maximum(1, counts[number])
        means = [
            total / tf.cast(time, total.dtype)
            for total, time in zip(sums, times, strict=True)
        ]
        self._apply(means, [count > 0 for count in counts])

    def _masked(
        self, gradients: Tensors, on_path: Sequence[tf.Tensor]
    ) -> Tensors:
        """Returns gradients with zeros for all that is off the path.

        A regularizer has a gradient there, too, and would count in the norm by
        which an optimizer clips.
        """
        masked = list(gradients)
        for group, on in zip(self._groups, on_path, strict=True):
            for place in group.places:
                dense = tf.convert_to_tensor(masked[place])
                masked[place] = tf.where(on, dense, tf.zeros_like(dense))
        return masked

    def _apply(self, gradients: Tensors, on_path: Sequence[tf.Tensor]) -> None:
        before = [
            [tf.identity(v.value) for v in group.variables]
            for group in self._groups
        ]
        self._optimizer.apply(gradients, self._weights)
        for group, kept, is_on in zip(
            self._groups, before, on_path, strict=True
        ):
            _restore_unless(is_on, group.variables, kept)


def _restore_unless(
    is_on: tf.Tensor, variables: Sequence[keras.Variable], kept: Tensors
) -> None:
    # Traced faster than `tf.cond`, which makes two functions.
    for variable, value in zip(variables, kept, strict=True):
        # A memory of another shape, as Adafactor has it, is of all elements.
        is_whole = is_on.shape.rank not in (0, len(variable.shape))
        own = tf.reduce_any(is_on) if is_whole else is_on
        variable.assign(tf.where(own, variable.value, value))


def _check_optimizer(optimizer: keras.Optimizer) -> None:
    """Refuses what is averaged over steps, which may have other paths."""
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    for name in ("use_ema", "gradient_accumulation_steps"):
        if value := getattr(inner, name, None):
            raise ValueError(
                f"`{name}` of the optimizer must be left out for a supernet: "
                "steps on different paths have nothing to average. Received: "
                f"{name}={value!r} of {type(inner).__name__}."
            )


def _build(
    optimizer: keras.Optimizer, weights: list[keras.Variable]
) -> dict[int, list[keras.Variable]]:
    """Builds an optimizer; returns what it remembers of each weight."""
    slots: dict[int, list[keras.Variable]] = {}
    # That which wraps another for half precision builds the other one.
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    add = inner.add_variable_from_reference

    def noting(
        reference_variable: keras.Variable, *args: object, **kwargs: object
    ) -> keras.Variable:
        slot: keras.Variable = add(reference_variable, *args, **kwargs)
        slots.setdefault(id(reference_variable), []).append(slot)
        return slot

    inner.add_variable_from_reference = noting
    try:
        optimizer.build(weights)
    finally:
        del inner.add_variable_from_reference
    return slots


def _conditions_of(
    mixed: Iterable[MixedLayer],
) -> dict[int, tuple[tuple[Gate, int], ...]]:
    """Returns the conditions of each trained weight in an option."""
    found: dict[int, list[tuple[Gate, int]]] = {}
    # The innermost option so far that has a weight, and its name.
    option_of: dict[int, tuple[keras.layers.Layer, str]] = {}
    for layer in mixed:  # An outer layer comes before those in its options.
        for branch, option in enumerate(layer.options):
            name = f"'{layer.option_names[branch]}' of '{layer.choice}'"
            for weight in option.trainable_weights:
                outer, other = option_of.get(id(weight), (None, ""))
                if outer is not None and not any(
                    inner is layer for inner in kinds.parts_of(outer)
                ):
                    raise ValueError(
                        "Each option must make layers of its own to share a "
                        f"supernet. Received: one layer in the options {other} "
                        f"and {name}. Make it inside of the function of the "
                        "option."
                    )
                if layer.gate.chosen is not None:
                    place = (layer.gate, branch)
                    found.setdefault(id(weight), []).append(place)
            option_of.update(
                {id(w): (option, name) for w in option.trainable_weights}
            )
    return {key: tuple(conditions) for key, conditions in found.items()}
