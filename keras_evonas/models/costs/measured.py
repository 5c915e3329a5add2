"""The costs of a network that was trained."""

import dataclasses
import math
import warnings

import keras

from keras_evonas.models.costs.estimates import costs_of
from keras_evonas.models.costs.inputs import InputShapes
from keras_evonas.models.costs.latency import latency_ms


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
    input_shapes: InputShapes | None = None

    def __call__(self, model: keras.Model) -> dict[str, float]:
        """Returns the numbers of `Costs`, and `latency_ms` if asked for.

        A trained network is not lost over its costs: one that cannot be
        traced, such as a model that was never called itself, has its number of
        parameters only, and a warning says so.
        """
        # `count_params` raises an error for a model that was never called.
        params = sum(math.prod(weight.shape) for weight in model.weights)
        costs: dict[str, float] = {"params": params}
        try:
            known = costs_of(
                model,
                batch_size=self.batch_size,
                input_shapes=self.input_shapes,
            )
            costs |= dataclasses.asdict(known)
            del costs["unknown"]
        except Exception as error:  # Whatever a user's `call` raises.
            _warn("costs", model, error, " but for its parameters")
        if self.latency:
            try:
                costs["latency_ms"] = latency_ms(
                    model, input_shapes=self.input_shapes
                )
            except Exception as error:  # As above.
                _warn("latency", model, error)
        return costs


def _warn(
    lacking: str, model: keras.Model, error: Exception, known: str = ""
) -> None:
    warnings.warn(
        f"The {lacking} of the model {model.name!r} cannot be determined"
        f"{known}: {error!r}",
        stacklevel=3,
    )
