"""The costs of a forward pass, summed over its operations."""

import dataclasses
from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Sequence

import tensorflow as tf

from keras_evonas.models.costs import arithmetic

_CALLS = ("PartitionedCall", "StatefulPartitionedCall")
_LOOPS = ("StatelessWhile", "While")
# What counts as often as the body of a loop runs.
_REPEATED = ("multiply_adds", "other_flops", "kept_bytes", "fixed_bytes")
_BRANCHES = ("If", "StatelessIf")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ForwardPass:
    """The costs of one example on its way through a model.

    Attributes:
        multiply_adds: Multiply-adds of matrix products and convolutions.
        other_flops: Arithmetic apart from those.
        depth: Matrix products and convolutions on the longest path.
        kept_bytes: Activations that back-propagation needs.
        fixed_bytes: The same for values that do not depend on the input, such
            as weights cast to half precision.
        largest_bytes: The largest of these activations.
        operations: Number of operations, a loop's body counted once.
        unknown: Layers whose arithmetic is only partly known, each with the
            operation that is not known.
    """

    multiply_adds: int = 0
    other_flops: int = 0
    depth: int = 0
    kept_bytes: int = 0
    fixed_bytes: int = 0
    largest_bytes: int = 0
    operations: int = 0
    unknown: tuple[str, ...] = ()


def forward_pass_of(
    graph: tf.Graph, batch_size: int = 1, states: Collection[str] = ()
) -> ForwardPass:
    """Adds up the operations of a traced forward pass.

    The body of a loop counts as often as it runs; of two branches the dearer
    one counts.

    Args:
        graph: The graph of a concrete function.
        batch_size: Integer, the number of examples that it was traced with.
            What depends on the input counts by example. Defaults to 1.
        states: Names of the tensors in the graph that refer to variables with
            a value for each example, as stateful recurrences have.
    """
    operations = _needed(graph)
    parts = [_costs_of(operation) for operation in operations]
    varying = _varying(operations, batch_size, states)
    kept = _kept(operations)
    sizes = {name: arithmetic.bytes_of(kept[name]) for name in kept}
    own = [sizes[name] for name in sizes if name in varying]
    shares = [
        batch_size if any(x.name in varying for x in one.outputs) else 1
        for one in operations
    ]

    def by_example(numbers: Iterable[int]) -> int:
        pairs = zip(numbers, shares, strict=True)
        return round(sum(number / share for number, share in pairs))

    return ForwardPass(
        multiply_adds=by_example(part.multiply_adds for part in parts),
        other_flops=by_example(part.other_flops for part in parts),
        depth=_longest_path(operations, [part.depth for part in parts]),
        kept_bytes=round(sum(own) / batch_size)
        + by_example(part.kept_bytes for part in parts),
        fixed_bytes=sum(part.fixed_bytes for part in parts)
        + (sum(sizes.values()) - sum(own)),
        largest_bytes=round(
            max([*own, *(part.largest_bytes for part in parts), 0]) / batch_size
        ),
        operations=len(operations) + sum(part.operations for part in parts),
        unknown=tuple(dict.fromkeys(x for one in parts for x in one.unknown)),
    )


def _needed(graph: tf.Graph) -> list[tf.Operation]:
    """Returns the operations that run, in the order of the graph.

    Keras (3.15) leaves some that do not: before the loop of a recurrence it
    traces a step for the shapes that a step returns.
    """
    waiting = [*(x.op for x in graph.outputs), *graph.control_outputs]
    needed: set[str] = set()
    while waiting:
        operation = waiting.pop()
        if operation.name not in needed:
            needed.add(operation.name)
            waiting.extend(tensor.op for tensor in operation.inputs)
            waiting.extend(operation.control_inputs)
    return [one for one in graph.get_operations() if one.name in needed]


def _costs_of(operation: tf.Operation) -> ForwardPass:
    kind = operation.type
    if kind in _CALLS:
        return _inside(operation, "f")
    if kind in _BRANCHES:
        names = ("then_branch", "else_branch")
        branches = [_inside(operation, name) for name in names]
        return max(branches, key=lambda part: part.multiply_adds)
    if kind in _LOOPS:
        return _repeated(operation)
    multiply_adds = arithmetic.multiply_adds_of(operation)
    other_flops = arithmetic.other_flops_of(operation)
    return ForwardPass(
        multiply_adds=multiply_adds,
        other_flops=other_flops or 0,
        depth=int(multiply_adds > 0),
        unknown=(_named(operation),) if other_flops is None else (),
    )


def _inside(operation: tf.Operation, attribute: str) -> ForwardPass:
    name = operation.get_attr(attribute).name
    # TensorFlow (2.19 to 2.21) has no public way from the name of a function
    # to its operations.
    function = operation.graph._get_function(name)  # noqa: SLF001
    return forward_pass_of(function.graph)


def _repeated(operation: tf.Operation) -> ForwardPass:
    body = _inside(operation, "body")
    # The second input of a loop is the largest number of its iterations.
    count = _known_integer(operation.inputs[1])
    unknown = body.unknown
    if count is None or count < 0:
        count = 1
        if body.multiply_adds or body.other_flops:
            unknown += (_named(operation),)
    repeated = {name: getattr(body, name) * count for name in _REPEATED}
    return dataclasses.replace(body, unknown=unknown, **repeated)


def _known_integer(tensor: tf.Tensor) -> int | None:
    value = tf.get_static_value(tensor)
    if value is None and tensor.op.type in ("Identity", "Max", "Min"):
        # Keras (3.15) reduces the single number of steps.
        return _known_integer(tensor.op.inputs[0])
    return None if value is None or value.size != 1 else int(value.item())


def _named(operation: tf.Operation) -> str:
    layer = operation.name.rpartition("/")[0] or "model"
    return f"{layer} ({operation.type})"


def _longest_path(
    operations: Sequence[tf.Operation], depths: Sequence[int]
) -> int:
    reached: dict[str, int] = {}
    for operation, depth in zip(operations, depths, strict=True):
        before = [reached[tensor.op.name] for tensor in operation.inputs]
        reached[operation.name] = max(before, default=0) + depth
    return max(reached.values(), default=0)


def _varying(
    operations: Sequence[tf.Operation], batch_size: int, states: Collection[str]
) -> set[str]:
    """Returns the names of the tensors that have a value for each example.

    They depend on inputs or states. So do constants as long as the batch, such
    as the zeros that a recurrence begins with.
    """
    varying = set(states)
    weights: set[str] = set()
    for operation in operations:
        inputs = {tensor.name for tensor in operation.inputs}
        is_input = operation.type.startswith("Placeholder")
        reads = operation.type == "ReadVariableOp" and inputs.isdisjoint(states)
        is_weight = reads or not inputs.isdisjoint(weights)
        for tensor in operation.outputs:
            if tensor.dtype == tf.resource:
                continue
            is_long = (
                batch_size > 1
                and (tensor.shape.rank or 0) > 1
                and tensor.shape[0] == batch_size
            )
            if is_input or not inputs.isdisjoint(varying):
                varying.add(tensor.name)
            elif is_weight:
                weights.add(tensor.name)
            elif is_long:
                varying.add(tensor.name)
    return varying


def _kept(operations: Sequence[tf.Operation]) -> dict[str, tf.Tensor]:
    """Returns what back-propagation needs, each buffer once, no weights."""
    buffers: dict[str, tf.Tensor] = {}
    weights: set[str] = set()
    kept: dict[str, tf.Tensor] = {}
    for operation in operations:
        inputs = [buffers[tensor.name] for tensor in operation.inputs]
        shared = operation.type in arithmetic.VIEWS
        for tensor in operation.outputs:
            buffers[tensor.name] = inputs[0] if shared else tensor
        if operation.type in ("Const", "ReadVariableOp"):
            weights |= {tensor.name for tensor in operation.outputs}
        needed = inputs if operation.type in arithmetic.KEEPS_INPUTS else []
        if operation.type in arithmetic.KEEPS_OUTPUTS:
            needed = [*needed, *operation.outputs]
        kept.update((tensor.name, tensor) for tensor in needed)
    return {name: kept[name] for name in kept if name not in weights}
