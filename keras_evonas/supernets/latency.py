"""Measures how long the options of choices take on this machine."""

import dataclasses
import time
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_evonas.evolution.checks import check_positive_integer
from keras_evonas.models.costs import inputs
from keras_evonas.models.costs.estimates import Hypermodel
from keras_evonas.models.costs.estimates import builder_of
from keras_evonas.supernets.held import plan
from keras_evonas.supernets.mixed import Branch
from keras_evonas.supernets.sharing import SharedGene
from keras_evonas.supernets.sharing import SharingHyperParameters
from keras_evonas.supernets.sharing import Values

# So many calls are timed together, in one function of TensorFlow.
_CALLS = 10


def measured_costs(
    hypermodel: Hypermodel,
    *,
    held: Values | None = None,
    batch_size: int = 1,
    repeats: int = 20,
) -> dict[str, dict[Any, float]]:
    """Measures how long each option of each choice takes to predict.

    The table is made for `differentiable(costs=...)`, which adds the mean
    latency of a network to the loss: ProxylessNAS (Cai et al., 2019). What all
    networks have in common is not in it. The fastest of several calls counts,
    since other work on the machine can but add to their times.

    Args:
        hypermodel: As for `DifferentiableSearch`.
        held: As for `DifferentiableSearch`.
        batch_size: Integer, the examples of a prediction. Defaults to 1.
        repeats: Integer, how often each is timed. Defaults to 20.

    Returns:
        Table `{gene: {value: milliseconds}}`.

    Raises:
        ValueError: If an argument is out of its range.

    Example:

    ```python
    costs = measured_costs(build_model)
    training = differentiable(gate="binary", costs=costs, cost_weight=0.1)
    ```
    """
    check_positive_integer("batch_size", batch_size)
    check_positive_integer("repeats", repeats)
    planned = plan(hypermodel, held)
    costs = {
        gene.name: dict.fromkeys(gene.values, 0.0) for gene in planned.genes
    }

    def gate_of(gene: SharedGene, branches: tuple[int, ...]) -> "_Clock":
        return _Clock(gene, branches, costs[gene.name], repeats)

    hp = SharingHyperParameters(gate_of, planned.held)
    network = builder_of(hypermodel)(hp)
    shapes = inputs.inputs_of(network, None, batch_size)
    # Zeros are legal everywhere: as indices of an embedding, as pixels.
    network(
        keras.tree.map_structure(
            lambda tensor: tf.zeros(tensor.shape, tensor.dtype), shapes
        ),
        training=False,
    )
    return costs


@dataclasses.dataclass(frozen=True, eq=False)
class _Clock:
    """Times all branches of a mixed layer when it is called."""

    gene: SharedGene
    branches: tuple[int, ...]
    costs: dict[Any, float]
    repeats: int
    chosen = None

    def __call__(self, branches: Sequence[Branch]) -> tf.Tensor:
        if not tf.executing_eagerly():  # Inside of another one's branch.
            return branches[0]()
        times = [_milliseconds(branch, self.repeats) for branch in branches]
        for value, branch in zip(self.gene.values, self.branches, strict=True):
            self.costs[value] += times[branch]
        # Choices inside of branches are timed by these calls.
        outputs = [branch() for branch in branches]
        return outputs[0]


def _milliseconds(branch: Branch, repeats: int) -> float:
    def body(number: tf.Tensor, total: tf.Tensor) -> tuple[tf.Tensor, ...]:
        # What is not used is not computed: one number of it is.
        first = tf.reshape(branch(), [-1])[0]
        return number + 1, total + tf.cast(first, total.dtype)

    def loop() -> tf.Tensor:
        _, total = tf.while_loop(
            lambda number, _: number < _CALLS,
            body,
            (tf.constant(0), tf.constant(0.0)),
            parallel_iterations=1,
        )
        return total

    run: Callable[[], tf.Tensor] = tf.function(loop, autograph=False)
    float(run())  # It is traced.
    times = []
    for _ in range(repeats):
        begun = time.perf_counter()
        float(run())
        times.append(time.perf_counter() - begun)
    return 1000 * min(times) / _CALLS
