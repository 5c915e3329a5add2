"""A network of mixed layers, and the training of both kinds of its weights."""

import dataclasses
from typing import Any
from typing import NamedTuple
from typing import TypeAlias

import keras
import numpy as np
import tensorflow as tf

from keras_evonas.models.costs.estimates import Hypermodel
from keras_evonas.models.costs.estimates import builder_of
from keras_evonas.models.costs.inputs import Structure
from keras_evonas.models.layer_graph import graph_of
from keras_evonas.supernets.architecture import Architecture
from keras_evonas.supernets.architecture import mark_skips
from keras_evonas.supernets.gates import BinaryGates
from keras_evonas.supernets.held import Plan
from keras_evonas.supernets.mixed import MixedLayer
from keras_evonas.supernets.sharing import SharingHyperParameters
from keras_evonas.supernets.updates import GatedUpdates
from keras_evonas.training.arrays import Arrays
from keras_evonas.training.programs import prepare

Logs: TypeAlias = dict[str, Any]


class Gradients(NamedTuple):
    """Holds what the one traced function returns for a batch."""

    loss: tf.Tensor
    outputs: Structure
    alpha: tf.Tensor
    weights: list[tf.Tensor]


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class EpochPlan:
    """Holds what an epoch needs, drawn before it.

    Args:
        orders: `(2, steps * batch_size)` array, the places of the examples on
            which weights are trained, and of those for the architecture.
        noise: `(steps, 2, 2, weights)` array of Gumbel noise.
        searching: Boolean, whether the architecture is trained, too.
        temperature: Float, that of the shares.
        skip_rate: Float, the rate of dropout on skips.
        skip_seed: Integer, its seed.
    """

    orders: np.ndarray
    noise: np.ndarray
    searching: bool
    temperature: float
    skip_rate: float
    skip_seed: int


class MixedNetwork(keras.Model):
    """A network whose mixed layers hold all options, in one `train_step`.

    Each step trains the architecture weights on a batch of one half of the
    data, then the weights of layers on a batch of the other. One function
    computes the gradients of both, and is traced once.

    Args:
        hypermodel: As for `DifferentiableSearch`.
        plan: What it shares and holds.
        architecture: The architecture weights of its genes.
        optimizer: Trains them.
        data: Examples in memory to train the weights of layers on, with the
            `batch_size` of all steps.
        held: Examples to train the architecture on; may be the same, if the
            orders of `begin` are not.
        steps: Integer, the number of steps of an epoch.
        second_order: Boolean, whether the architecture's gradient is.
        costs: `(weights,)` array, what each value of each gene adds to the
            loss that the architecture is trained on.

    Attributes:
        length: Float, the length of the step in the weights by which the
            second order is computed. A shorter one is exacter, until rounding
            shows. Defaults to 0.01, as in DARTS.
    """

    length = 0.01

    def __init__(
        self,
        hypermodel: Hypermodel,
        plan: Plan,
        architecture: Architecture,
        optimizer: keras.Optimizer,
        data: Arrays,
        held: Arrays,
        *,
        steps: int,
        second_order: bool = False,
        costs: np.ndarray | None = None,
    ) -> None:
        super().__init__()
        hp = SharingHyperParameters(architecture.gate_of, plan.held)
        self.network = builder_of(hypermodel)(hp)
        graph_of(self.network, "hypermodel")  # It raises what is no model.
        self.architecture = architecture
        mixed = [
            one for one in self._flatten_layers() if isinstance(one, MixedLayer)
        ]
        self.skips = mark_skips(mixed)
        self.built = True
        self._batch_size = data.batch_size
        self._data = (data, held)
        self._second_order = second_order
        self._costs = costs
        gates = architecture.gates
        self._by_policy = (
            isinstance(gates, BinaryGates) and gates.gradient == "reinforce"
        )
        self._arch_optimizer = optimizer
        optimizer.build([architecture.alpha])
        self._updates = GatedUpdates(
            mixed,
            self.network.optimizer,
            self.network.trainable_weights,
        )
        order = tf.zeros([2, steps * data.batch_size], tf.int64)
        self._orders = tf.Variable(order, trainable=False)
        shape = [steps, 2, 2, architecture.size]
        dtype = architecture.alpha.dtype
        self._noise = tf.Variable(tf.zeros(shape, dtype), trainable=False)
        self._step = tf.Variable(0, dtype=tf.int64, trainable=False)
        self._searching = tf.Variable(True, trainable=False)
        prepare(self.network, data.cut(0), data.batch_size)
        self.gradients = tf.function(self._gradients, autograph=False)
        self.compile(optimizer=self.network.optimizer, jit_compile=False)

    @property
    def state(self) -> list[keras.Variable]:
        """All variables that training changes."""
        return [
            *self.network.variables,
            *self.network.optimizer.variables,
            self.architecture.alpha,
            *self._arch_optimizer.variables,
            *([self.architecture.baseline] if self._by_policy else ()),
        ]

    def begin(self, epoch: EpochPlan) -> None:
        """Sets what the next epoch needs."""
        self._orders.assign(epoch.orders)
        self._noise.assign(epoch.noise)
        self._searching.assign(epoch.searching)
        self.architecture.temperature.assign(epoch.temperature)
        self.architecture.skip_rate.assign(epoch.skip_rate)
        self.architecture.skip_seed.assign([epoch.skip_seed, 0])
        self._step.assign(0)

    # Training, as Keras calls it.

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """The metrics of the networks."""
        metrics: list[keras.metrics.Metric] = self.network.metrics
        return metrics

    def call(
        self, inputs: Structure, training: bool | None = None
    ) -> Structure:
        """Applies the mixture."""
        return self.network(inputs, training=training)

    def train_step(self, data: Structure) -> Logs:
        """Trains the architecture on one batch, then the weights on another.

        Args:
            data: Ignored. The batches are cut out of the data in memory, in
                the orders that `begin` was given.
        """
        del data
        step = self._step
        train, held = self._batch(0, step), self._batch(1, step)
        noise = self._noise[step]

        def search() -> tf.Tensor:
            self.architecture.draw(noise[0], two=not self._by_policy)
            self._train_architecture(train, held)
            return tf.constant(0)

        tf.cond(self._searching, search, lambda: tf.constant(0))
        self.architecture.draw(noise[1], two=False)
        found = self.gradients(*train)
        self._updates.apply(found.weights)
        step.assign_add(1)
        self.architecture.skip_seed.assign_add([1, 0])
        x, y, weight = train
        network = self.network
        tracker = next(m for m in network.metrics if m.name == "loss")
        tracker.update_state(found.loss, sample_weight=self._batch_size)
        network.compute_metrics(x, y, found.outputs, sample_weight=weight)
        logs: Logs = network.get_metrics_result()
        return logs

    def _batch(self, half: int, step: tf.Tensor | int) -> Structure:
        size = self._batch_size
        start = step * size
        places = tf.ensure_shape(self._orders[half, start : start + size], size)
        batch = self._data[half].gather(places)
        return keras.utils.unpack_x_y_sample_weight(batch)

    def _gradients(
        self, x: Structure, y: Structure, weight: Structure
    ) -> Gradients:
        """Returns the gradients of both kinds of weights.

        Those of layers are scaled as their optimizer expects them.
        """
        network = self.network
        with tf.GradientTape() as tape:
            outputs = network(x, training=True)
            loss = network.compute_loss(
                x=x, y=y, y_pred=outputs, sample_weight=weight, training=True
            )
            scaled = network.optimizer.scale_loss(loss)
        weights = [w.value for w in network.trainable_weights]
        alpha, *rest = tape.gradient(
            scaled,
            [self.architecture.alpha.value, *weights],
            unconnected_gradients=tf.UnconnectedGradients.ZERO,
        )
        alpha = tf.convert_to_tensor(alpha) / self._scale(alpha.dtype)
        rest = [tf.convert_to_tensor(one) for one in rest]
        return Gradients(loss, outputs, alpha, rest)

    def _scale(self, dtype: tf.DType) -> tf.Tensor:
        """Returns what the optimizer multiplies a loss with."""
        return self.network.optimizer.scale_loss(tf.ones([], dtype))

    def _train_architecture(self, train: Structure, held: Structure) -> None:
        architecture = self.architecture
        before = tf.identity(architecture.alpha.value)
        gradient = self.architecture_gradient(train, held)
        if self._costs is not None:
            with tf.GradientTape() as tape:
                cost = architecture.expected(self._costs)
            gradient += tf.convert_to_tensor(
                tape.gradient(cost, architecture.alpha.value)
            )
        # In half precision a step overflows now and then, by design: that of
        # the weights is left out by their optimizer, and this one by hand.
        is_finite = tf.reduce_all(tf.math.is_finite(gradient))
        variables = [architecture.alpha, *self._arch_optimizer.variables]
        kept = [tf.identity(one.value) for one in variables]
        self._arch_optimizer.apply([gradient], [architecture.alpha])
        for variable, value in zip(variables, kept, strict=True):
            variable.assign(tf.where(is_finite, variable.value, value))
        if architecture.gates.draws_paths and not self._by_policy:
            architecture.keep_others(before)

    def architecture_gradient(
        self, train: Structure, held: Structure
    ) -> tf.Tensor:
        """Returns the gradient of the held-out loss, without costs.

        The second order is that of the loss after one step of gradient
        descent on `train` (Liu et al., 2019, equations 7 and 8). Deviation:
        the step has the optimizer's learning rate, but neither its momentum
        nor its weight decay.

        Args:
            train: `(x, y, sample_weight)`, a batch for the weights.
            held: The same, a batch for the architecture.
        """
        if self._by_policy:
            loss = self.gradients(*held).loss
            return self.architecture.policy_gradient(loss)
        if not self._second_order:
            return self.gradients(*held).alpha
        network = self.network
        weights = network.trainable_weights
        seeds = [v for v in network.variables if v.dtype == "uint32"]
        kept = [tf.identity(w.value) for w in weights]
        kept_seeds = [tf.identity(seed.value) for seed in seeds]
        rate = network.optimizer.learning_rate

        def move(step: tf.Tensor, directions: list[tf.Tensor]) -> None:
            for weight, at, along in zip(
                weights, kept, directions, strict=True
            ):
                weight.assign(at + tf.cast(step, at.dtype) * along)

        def slopes(batch: Structure) -> tuple[tf.Tensor, list[tf.Tensor]]:
            # With the same dropout in each call.
            for seed, value in zip(seeds, kept_seeds, strict=True):
                seed.assign(value)
            found = self.gradients(*batch)
            unscaled = [g / self._scale(g.dtype) for g in found.weights]
            return found.alpha, unscaled

        _, descent = slopes(train)
        move(-rate, descent)
        alpha, along = slopes(held)
        norm = tf.linalg.global_norm(along)
        length = self.length / tf.maximum(norm, tf.constant(1e-12, norm.dtype))
        sides = []
        for sign in (1.0, -1.0):
            move(sign * length, along)
            sides.append(slopes(train)[0])
        for weight, at in zip(weights, kept, strict=True):
            weight.assign(at)
        mixed = (sides[0] - sides[1]) / (2.0 * length)
        return alpha - tf.cast(rate, alpha.dtype) * mixed
