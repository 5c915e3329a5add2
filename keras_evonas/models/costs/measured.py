"""The costs of a network that was trained."""

import dataclasses
import warnings
from typing import Any

import keras

from keras_evonas.models.costs.estimates import costs_of
from keras_evonas.models.costs.latency import latency_ms


@dataclasses.dataclass(frozen=True)
class ModelCosts:
    """Tells the costs of trained networks by name.

    Args:
        latency: Boolean, whether to measure `latency_ms`, too, which takes
            some tenths of a second. Defaults to `False`.
        batch_size: Integer, as in `costs_of`. Defaults to 32.
        input_shapes: As in `costs_of`; for models that do not tell the shapes
            of their inputs.
    """

    latency: bool = False
    batch_size: int = 32
    input_shapes: Any = None

    def __call__(self, model: keras.Model) -> dict[str, float]:
        """Returns the numbers of `Costs`, and `latency_ms` if asked for.

        A network whose arithmetic cannot be traced has only its number of
        parameters; a warning says so.
        """
        costs: dict[str, float] = {"params": model.count_params()}
        try:
            known = costs_of(
                model,
                batch_size=self.batch_size,
                input_shapes=self.input_shapes,
            )
        except Exception as error:
            # Nobody may have asked for them; a trained network is not lost
            # over its bookkeeping.
            warnings.warn(
                f"The costs of the model {model.name!r} cannot be told, but "
                f"for its parameters: {error!r}",
                stacklevel=2,
            )
        else:
            numbers = dataclasses.asdict(known)
            del numbers["unknown"]
            costs |= numbers
        if self.latency:
            costs["latency_ms"] = latency_ms(
                model, input_shapes=self.input_shapes
            )
        return costs
