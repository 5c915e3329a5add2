"""Scores of networks with shared weights."""

import contextlib
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from keras_evonas.models import kinds
from keras_evonas.models.costs.inputs import Structure
from keras_evonas.supernets.supernet import Supernet
from keras_evonas.training.arrays import Arrays
from keras_evonas.training.programs import prepare
from keras_evonas.training.programs import validation


class Scorer:
    """Scores networks of a supernet on data in memory.

    The moving averages of batch normalization are those of all paths, and
    wrong for each of them. So they are calibrated first: set to the mean of
    the statistics of some training batches on this path (Guo et al., 2020,
    section 3.3). Scores do not depend on what was scored before, and leave
    the supernet as it was. A loss has the regularizers of the weights on the
    path alone.

    Args:
        supernet: The supernet.
        held_out: The data to score on.
        calibration: Training data to calibrate with, read in their order;
            `None` to leave moving averages as they are.

    Attributes:
        names: The names of the metrics.
    """

    def __init__(
        self, supernet: Supernet, held_out: Arrays, calibration: Arrays | None
    ) -> None:
        self._supernet = supernet
        # Metrics that appear while the validation is traced are never reset.
        # A supernet that was read, not trained, has none yet.
        prepare(supernet.network, held_out.cut(0), held_out.static_batch_size)
        self.names = tuple(supernet.network.get_metrics_result())
        states = supernet.network.non_trainable_variables
        layers = normalizations_of(supernet)
        validate = validation(supernet.network, held_out)

        def take(path: tf.Tensor) -> None:
            supernet.take(path)
            if calibration is not None and layers:
                _calibrate(layers, supernet.network, calibration)

        def score(path: tf.Tensor, *leaves: tf.Tensor) -> dict[str, tf.Tensor]:
            kept = [tf.identity(state.value) for state in states]
            take(path)
            logs: dict[str, tf.Tensor] = validate(*leaves)
            for state, value in zip(states, kept, strict=True):
                state.assign(value)
            return logs

        self._states = states
        self._take = tf.function(take, autograph=False)
        self._score = tf.function(score, autograph=False)
        self._leaves = held_out.leaves

    def score(self, path: Sequence[int] | np.ndarray) -> dict[str, float]:
        """Returns the metrics of the network on a path."""
        logs = self._score(self._called(path), *self._leaves)
        found = {name: float(value) for name, value in logs.items()}
        if "loss" in found:
            found["loss"] -= self._supernet.penalty_off(path)
        return found

    @contextlib.contextmanager
    def calibrated(self, path: Sequence[int] | np.ndarray) -> Iterator[None]:
        """Gives the supernet what a path is scored with, in a `with` block."""
        kept = [state.numpy() for state in self._states]
        self._take(self._called(path))
        try:
            yield
        finally:
            for state, value in zip(self._states, kept, strict=True):
                state.assign(value)

    def _called(self, path: Sequence[int] | np.ndarray) -> tf.Tensor:
        return tf.constant(self._supernet.called(path), tf.int32)


def calibrate(model: keras.Model, batches: Sequence[Structure]) -> None:
    """Sets moving averages to the mean of the statistics of some batches.

    Args:
        model: A built model, such as a network cut out of a supernet. Its
            layers of batch normalization are changed.
        batches: Batches of inputs, as the model takes them.

    Raises:
        TypeError: If an argument is of another type.
    """
    if not isinstance(model, keras.Model):
        raise TypeError(
            f"`model` must be a built `keras.Model`. Received: {model!r}."
        )
    if hasattr(batches, "shape") or not isinstance(batches, Iterable):
        raise TypeError(
            "`batches` must be a list of batches of inputs. Received: "
            f"batches of type {type(batches).__name__}. Put a single batch "
            "into brackets."
        )
    layers = normalizations_of(model)
    seeds = [v for v in model.non_trainable_variables if v.dtype == "uint32"]
    kept = [seed.numpy() for seed in seeds]
    for number, batch in enumerate(batches if layers else ()):
        with _averaging(layers, number / (number + 1)):
            model(batch, training=True)
    for seed, value in zip(seeds, kept, strict=True):
        seed.assign(value)


def normalizations_of(
    model: keras.Model,
) -> list[keras.layers.BatchNormalization]:
    """Returns the layers of batch normalization, wherever they are inside."""
    kind = keras.layers.BatchNormalization
    return [one for one in kinds.parts_of(model) if isinstance(one, kind)]


@contextlib.contextmanager
def _averaging(
    layers: Sequence[keras.layers.BatchNormalization],
    momentum: float | tf.Tensor,
) -> Iterator[None]:
    """Gives layers another momentum, a number or a tensor."""
    before = [layer.momentum for layer in layers]
    try:
        for layer in layers:
            layer.momentum = momentum
        yield
    finally:
        for layer, own in zip(layers, before, strict=True):
            layer.momentum = own


def _calibrate(
    layers: Sequence[keras.layers.BatchNormalization],
    call: Callable[..., object],
    data: Arrays,
) -> None:
    """Does in a graph what `calibrate` does."""

    def body(number: tf.Tensor) -> tuple[tf.Tensor]:
        before = tf.cast(number, tf.float32)
        with _averaging(layers, before / (before + 1.0)):
            call(_inputs_of(data.cut(number), data), training=True)
        return (number + 1,)

    tf.while_loop(
        lambda number: number < data.steps,
        body,
        (tf.constant(0),),
        parallel_iterations=1,
    )


def _inputs_of(batch: Structure, data: Arrays) -> Structure:
    x, *_ = keras.utils.unpack_x_y_sample_weight(batch)
    size = data.static_batch_size
    return keras.tree.map_structure(
        lambda leaf: tf.ensure_shape(leaf, [size, *leaf.shape[1:]]), x
    )
