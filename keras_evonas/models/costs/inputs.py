"""The inputs of a model, with the batch size that it was built for, if any."""

import contextlib
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import TypeAlias

import keras

# Nested lists, tuples and dictionaries, as `keras.tree` takes them.
Structure: TypeAlias = Any
# The shape of one example, or a list or dictionary of such shapes.
InputShapes: TypeAlias = (
    Sequence["int | InputShapes"] | Mapping[str, "InputShapes"]
)


class UnknownSizesError(ValueError):
    """The sizes of a model's inputs are not known."""


def inputs_of(
    model: keras.Model,
    input_shapes: InputShapes | None,
    batch_size: int | None = None,
) -> Structure:
    """Returns the inputs of a model as Keras tensors of known sizes.

    Args:
        model: A Keras model.
        input_shapes: Shape of one example, without the batch, or a list or
            dictionary of such shapes. `None` to take those of the model.
        batch_size: Integer, the batch size of inputs whose own is not fixed.
            Defaults to `None`, which leaves it open.

    Raises:
        UnknownSizesError: If the sizes follow neither from the model nor from
            `input_shapes`.
    """
    own = _own_inputs(model)
    known = keras.tree.flatten(own)
    shapes = [tuple(tensor.shape) for tensor in known]
    if input_shapes is not None:
        heads = ((x.shape[0] or batch_size, x.dtype) for x in known)

        def of_shape(shape: InputShapes) -> keras.KerasTensor:
            first, dtype = next(heads, (batch_size, None))
            return keras.Input(batch_shape=(first, *shape), dtype=dtype)

        return _mapped(of_shape, input_shapes)
    if not shapes or any(None in shape[1:] for shape in shapes):
        raise UnknownSizesError(
            "`input_shapes` must be given for a model that does not tell the "
            f"sizes of its inputs. Received: the model {model.name!r} with "
            f"inputs of shapes {shapes}. Pass the shape of one example "
            "without the batch, such as (28, 28, 1)."
        )
    return keras.tree.map_structure(
        lambda x: keras.KerasTensor(
            (x.shape[0] or batch_size, *x.shape[1:]), x.dtype, name=x.name
        ),
        own,
    )


def fixed_batch_size(model: keras.Model) -> int | None:
    """Returns the one batch size that a model takes, if there is only one.

    It is that of an input made with `batch_shape`, or of the states that a
    stateful recurrence keeps from batch to batch.
    """
    carriers = [*keras.tree.flatten(_own_inputs(model)), *states_of(model)]
    sizes = [one.shape[0] for one in carriers if one.shape[0]]
    return int(sizes[0]) if sizes else None


def is_stateful(layer: keras.Layer) -> bool:
    """Returns whether a layer keeps states from batch to batch."""
    return bool(getattr(layer, "stateful", False)) and hasattr(layer, "states")


def states_of(model: keras.Model) -> list[keras.Variable]:
    """Returns what stateful recurrences keep beside the weights."""
    stateful = [one for one in layers_within(model) if is_stateful(one)]
    states = keras.tree.flatten([one.states for one in stateful])
    return list({id(one): one for one in states if one is not None}.values())


@contextlib.contextmanager
def values_kept(variables: Sequence[keras.Variable]) -> Iterator[None]:
    """Puts the values of variables back at the end."""
    before = [keras.ops.convert_to_numpy(one) for one in variables]
    try:
        yield
    finally:
        for variable, value in zip(variables, before, strict=True):
            variable.assign(value)


def layers_within(model: keras.Model) -> list[keras.Layer]:
    """Returns all layers, also those of models inside of it, each once."""
    found: dict[int, keras.Layer] = {}
    waiting = list(model.layers)
    while waiting:
        layer = waiting.pop(0)
        if id(layer) not in found:
            found[id(layer)] = layer
            waiting.extend(getattr(layer, "layers", ()))
    return list(found.values())


def _own_inputs(model: keras.Model) -> Structure:
    """Returns the inputs of a built model, in the structure that it takes."""
    if getattr(model, "input", None) is not None:
        return model.input
    # A `Sequential` has no `input` (Keras 3.15), a subclassed model neither.
    inputs = getattr(model, "inputs", None) or []
    return inputs[0] if len(inputs) == 1 else inputs


def _mapped(
    function: Callable[[InputShapes], keras.KerasTensor], shapes: InputShapes
) -> Structure:
    if isinstance(shapes, Mapping):
        return {key: _mapped(function, shapes[key]) for key in sorted(shapes)}
    inner = [shape for shape in shapes if not isinstance(shape, int)]
    if inner:
        return [_mapped(function, shape) for shape in inner]
    return function(shapes)
