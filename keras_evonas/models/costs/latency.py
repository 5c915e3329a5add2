"""The time that a prediction takes, measured on this device."""

import statistics
import time

import keras
import numpy as np

from keras_evonas.models.costs.inputs import InputShapes
from keras_evonas.models.costs.inputs import fixed_batch_size
from keras_evonas.models.costs.inputs import inputs_of
from keras_evonas.models.costs.inputs import states_kept

# Predictions during which TensorFlow traces, tunes kernels and fills caches.
_WARM_UP = 5


def latency_ms(
    model: keras.Model,
    *,
    repeats: int = 30,
    input_shapes: InputShapes | None = None,
) -> float:
    """Measures the time of one prediction, after some to warm up.

    Each prediction is of a batch of one example, from an array in main memory
    to an array in main memory. A model that takes only one batch size is timed
    with a batch of that size, and the time divided by it. Weights and states
    do not change. Other work on the device adds to the time; the median
    lessens that.

    Args:
        model: A built Keras model.
        repeats: Positive integer, how many predictions are timed. Defaults
            to `30`.
        input_shapes: As in `costs_of`.

    Returns:
        The median time of a prediction, in milliseconds.

    Raises:
        ValueError: If `repeats` is not positive, or if the shape of the
            model's inputs is not known and `input_shapes` is not given.
    """
    if repeats < 1:
        raise ValueError(
            "`repeats` must be a positive number of predictions. Received: "
            f"repeats={repeats}."
        )
    batch_size = fixed_batch_size(model) or 1
    # Zeros are legal everywhere: as indices of an embedding, as pixels.
    batch = keras.tree.map_structure(
        lambda tensor: np.zeros(tensor.shape, tensor.dtype),
        inputs_of(model, input_shapes, batch_size),
    )
    times = []
    with states_kept(model):
        for _ in range(_WARM_UP + repeats):
            start = time.perf_counter()
            model.predict_on_batch(batch)
            times.append(time.perf_counter() - start)
    return 1000 * statistics.median(times[_WARM_UP:]) / batch_size
