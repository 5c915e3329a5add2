"""The structure of a compiled network: all that the tracing of it looks at.

Networks of one structure are traced into the same operations and differ in
the values of their variables alone. The structure is read from the objects
that a model consists of, attribute by attribute, so that what a layer's
configuration does not mention counts, too: how layers are connected and which
of them are the same, what was changed after they were made, shapes and dtypes
of all variables. A model that holds any object other than plain values and
objects of Keras has no known structure.
"""

import contextlib
import dataclasses
import hashlib
import sys
import types
from collections.abc import Callable
from collections.abc import Iterable
from typing import TypeAlias

import keras
import numpy as np
import tensorflow as tf

_PLAIN = (type(None), bool, int, float, complex, str, bytes)
# Attributes that no operation depends on: how values were drawn before the
# training, arguments that were understood, and what is known elsewhere, by the
# addresses of objects. The seeds of random layers are values of variables.
_IGNORED = {
    *("_auto_config", "_call_signature", "_compile_config", "_initializer"),
    *("_initial_seed", "_lock", "_nodes", "_tracker"),
    *("_trainable_variables_indices", "_value", "seed"),
}
# TensorFlow's own lists, for checkpoints that a cohort does not write.
_IGNORED_PREFIX = "_self_"
# Keras wraps these methods anew for each layer; they are not called in a step.
_WRAPPED = {"build", "quantize"}


# Objects whose attributes an operation may take, and attributes of a model that
# a training sets.
_WITH_SETTINGS = (
    *(keras.Operation, keras.Loss, keras.Metric, keras.Regularizer),
    *(keras.constraints.Constraint, keras.optimizers.Optimizer),
)
_OF_TRAINING = {
    *("stop_training", "stop_evaluating", "history", "_initial_epoch"),
    *("train_function", "test_function", "predict_function"),
}


class UnknownError(Exception):
    """An object may change a training in ways that are not known."""


@dataclasses.dataclass(frozen=True, eq=False)
class Structure:
    """The structure of one network.

    Attributes:
        key: String, equal for networks of the same structure.
        variables: Tuple of all variables, in the same order for networks of
            the same structure.
    """

    key: str
    variables: tuple[keras.Variable, ...]


# Returns an object's description and parts, or `None` to read them as usual.
Reader: TypeAlias = Callable[[object], tuple[str, list[object]] | None]


def structure_of(
    model: keras.Model, read: Reader = lambda _: None
) -> Structure | None:
    """Reads the structure of a model whose variables have all been created.

    Args:
        model: A compiled model.
        read: Reads objects of which something is to be left out.

    Returns:
        The structure, or `None` if the model holds anything that is not known
        to be harmless, such as functions, layers and arrays of the user's own.
    """
    digest = hashlib.sha256(
        repr(
            (
                keras.config.epsilon(),
                keras.config.floatx(),
                keras.config.image_data_format(),
            )
        ).encode()
    )
    variables: list[keras.Variable] = []
    numbers: dict[int, int] = {}
    waiting: list[object] = [model]
    # Depth first without recursion: a deep model is a long chain of objects.
    while waiting:
        one = waiting.pop()
        if type(one) in _PLAIN:
            header = repr(one)
        elif isinstance(one, keras.DTypePolicy):
            header = f"{type(one)}:{one.name}"  # A value, one object or two.
        elif id(one) in numbers:
            header = f"#{numbers[id(one)]}"
        else:
            numbers[id(one)] = len(numbers)
            try:
                header, parts = read(one) or parts_of(one)
            except UnknownError:
                return None
            waiting.extend(reversed(parts))
            if isinstance(one, keras.Variable):
                variables.append(one)
        digest.update(f"{header};".encode())
    return Structure(digest.hexdigest(), tuple(variables))


def settings_key(model: keras.Model) -> str:
    """Returns what changes with each setting that tracing may look at.

    Unlike a structure it is there for models with objects of the user's own,
    whose attributes are compared within this process alone.
    """

    def read(one: object) -> tuple[str, list[object]]:
        with contextlib.suppress(UnknownError):
            if one is not model:
                return parts_of(one)
        kind = f"{type(one).__qualname__}:"
        if isinstance(one, np.ndarray) and one.dtype.kind != "O":
            content = hashlib.sha256(one.tobytes()).hexdigest()
            return f"{kind}{one.dtype}{one.shape}{content}", []
        if not isinstance(one, _WITH_SETTINGS):
            return f"{kind}{id(one)}", []
        names = {
            name: value
            for name, value in attributes_of(one)
            if one is not model or name not in _OF_TRAINING
        }
        return f"{kind}{list(names)}", list(names.values())

    structure = structure_of(model, read)
    if structure is None:
        raise UnknownError  # `read` knows what to make of any object.
    return structure.key


def parts_of(one: object) -> tuple[str, list[object]]:
    """Returns a description of an object, and the objects it consists of."""
    kind = f"{type(one).__module__}.{type(one).__qualname__}"
    if isinstance(one, keras.initializers.Initializer):
        return "initializer", []
    if isinstance(one, dict):
        parts = [part for item in one.items() for part in item]
        return f"{kind}:{len(one)}", parts
    if isinstance(one, list | tuple):
        return f"{kind}:{len(one)}", list(one)
    if isinstance(one, set | frozenset):
        if not all(type(part) in _PLAIN for part in one):
            raise UnknownError
        return f"{kind}:{sorted(map(repr, one))}", []
    if isinstance(one, np.generic | tf.DType):
        return f"{kind}:{one!r}", []
    if isinstance(one, types.FunctionType | type | types.ModuleType):
        return f"{kind}:{_name_in_keras(one)}", []
    if one is tf.distribute.get_strategy():
        return kind, []
    attributes = dict(attributes_of(one))
    if isinstance(one, keras.Variable):
        attributes["shape"] = str(one.value.shape)
    return described(one, attributes)


def described(
    one: object, attributes: dict[str, object]
) -> tuple[str, list[object]]:
    """Describes an object of Keras that has such attributes."""
    kind = f"{type(one).__module__}.{type(one).__qualname__}"
    if not _is_keras(type(one).__module__):
        raise UnknownError
    if isinstance(one, keras.Variable):
        value = one.value
        if not isinstance(value, tf.Variable):
            raise UnknownError
        kind += f":{value.dtype.name}:{value.trainable}"
    return f"{kind}:{sorted(attributes)}", [
        attributes[name] for name in sorted(attributes)
    ]


def attributes_of(one: object) -> Iterable[tuple[str, object]]:
    """Yields the attributes of an object of Keras that may matter."""
    slots = (
        name
        for owner in type(one).__mro__
        for name in _names(vars(owner).get("__slots__", ()))
        if not name.startswith("__") and hasattr(one, name)
    )
    found = {name: getattr(one, name) for name in slots}
    for name, value in {**found, **getattr(one, "__dict__", {})}.items():
        if name in _IGNORED or name.startswith(_IGNORED_PREFIX):
            continue
        if name in _WRAPPED and isinstance(value, types.FunctionType):
            continue
        yield name, value


def _names(slots: str | Iterable[str]) -> tuple[str, ...]:
    return (slots,) if isinstance(slots, str) else tuple(slots)


def _name_in_keras(one: object) -> str:
    """Returns where Keras defines a function, a class or a module."""
    if isinstance(one, types.ModuleType):
        module, name = one.__name__, ""
    else:
        module, name = str(one.__module__), str(getattr(one, "__name__", ""))
        # Not a closure, and not one that was replaced.
        if getattr(sys.modules.get(module), name, None) is not one:
            raise UnknownError
    if not _is_keras(module):
        raise UnknownError
    return f"{module}.{name}"


def _is_keras(module: str) -> bool:
    return module.partition(".")[0] == "keras"
