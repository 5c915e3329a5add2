"""The costs of a network that was trained."""

import dataclasses
import math
import statistics
import time
import warnings

import keras
import numpy as np

from keras_evonas.models.costs import inputs
from keras_evonas.models.costs.estimates import costs_of

# Predictions during which TensorFlow traces, tunes kernels and fills caches.
_WARM_UP = 5


def latency_ms(
    model: keras.Model,
    *,
    repeats: int = 30,
    input_shapes: inputs.InputShapes | None = None,
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
    batch_size = inputs.fixed_batch_size(model) or 1
    # Zeros are legal everywhere: as indices of an embedding, as pixels; and so
    # are texts without a word.
    batch = keras.tree.map_structure(
        lambda tensor: np.zeros(
            tensor.shape, "str" if tensor.dtype == "string" else tensor.dtype
        ),
        inputs.inputs_of(model, input_shapes, batch_size),
    )
    times = []
    with inputs.values_kept(inputs.states_of(model)):
        for _ in range(_WARM_UP + repeats):
            start = time.perf_counter()
            model.predict_on_batch(batch)
            times.append(time.perf_counter() - start)
    return 1000 * statistics.median(times[_WARM_UP:]) / batch_size


@dataclasses.dataclass(frozen=True)
class ModelCosts:
    """Returns the costs of trained networks, by name.

    Args:
        latency: Boolean, whether to measure `latency_ms`, too, which takes
            some tenths of a second. Defaults to `False`.
        batch_size: Integer, as in `costs_of`. Defaults to 32.
        input_shapes: As in `costs_of`.
    """

    latency: bool = False
    batch_size: int = 32
    input_shapes: inputs.InputShapes | None = None

    def __call__(self, model: keras.Model) -> dict[str, float]:
        """Returns the numbers of `Costs`, and `latency_ms` if asked for.

        A trained network is not lost over its costs: one that cannot be
        traced, such as a model that was never called itself, has its number of
        parameters only, and a warning says so.
        """
        shapes = self.input_shapes
        # `count_params` raises an error for a model that was never called.
        params = sum(math.prod(weight.shape) for weight in model.weights)
        costs: dict[str, float] = {"params": params}
        try:
            known = costs_of(
                model, batch_size=self.batch_size, input_shapes=shapes
            )
            costs |= dataclasses.asdict(known)
            del costs["unknown"]
        except Exception as error:  # Whatever a user's `call` raises.
            _warn("costs", model, error, " but for its parameters")
        if self.latency:
            try:
                costs["latency_ms"] = latency_ms(model, input_shapes=shapes)
            except Exception as error:  # As above.
                _warn("latency", model, error)
        return costs


def _warn(
    lacking: str, model: keras.Model, error: Exception, known: str = ""
) -> None:
    reason = repr(error)
    if isinstance(error, inputs.UnknownSizesError):
        reason = (
            "neither it nor the data tell the sizes of its inputs. Give "
            "`keras.Input` all sizes of an example if it should be known"
        )
    warnings.warn(
        f"The {lacking} of the model {model.name!r} cannot be determined"
        f"{known}: {reason}.",
        stacklevel=3,
    )
