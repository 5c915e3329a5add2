"""How long a model takes to answer, measured on this device."""

import statistics
import time
from typing import Any

import keras
import numpy as np

from keras_evonas.models.costs.estimates import inputs_of

# Predictions that pay for tracing, autotuning and caches.
_WARM_UP = 5


def latency_ms(
    model: keras.Model, *, repeats: int = 30, input_shapes: Any = None
) -> float:
    """Measures how long one prediction takes, the model being warm.

    Each prediction is of a batch of one example, from an array in the host's
    memory to an array in the host's memory. The weights do not change. Other
    work on the device adds to the time; the median lessens that.

    Args:
        model: A built Keras model.
        repeats: Positive integer, how many predictions are timed. Defaults
            to `30`.
        input_shapes: As in `costs_of`.

    Returns:
        The median time of a prediction, in milliseconds.

    Raises:
        ValueError: If `repeats` is not positive, or if the model does not
            tell the shape of its inputs and `input_shapes` is not given.
    """
    if repeats < 1:
        raise ValueError(
            "`repeats` must be a positive number of predictions. Received: "
            f"repeats={repeats}."
        )
    example = keras.tree.map_structure(
        _example_of, inputs_of(model, input_shapes)
    )
    times = []
    for _ in range(_WARM_UP + repeats):
        start = time.perf_counter()
        model.predict_on_batch(example)
        times.append(time.perf_counter() - start)
    return 1000 * statistics.median(times[_WARM_UP:])


def _example_of(tensor: keras.KerasTensor) -> np.ndarray:
    # Zeros are legal everywhere: as indices of an embedding, as pixels.
    return np.zeros((1, *tensor.shape[1:]), tensor.dtype)
