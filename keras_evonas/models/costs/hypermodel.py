"""The costs of what a hypermodel builds."""

import dataclasses
from typing import Any

import keras_tuner

from keras_evonas.models.costs.estimates import Costs
from keras_evonas.models.costs.estimates import costs_of_build


@dataclasses.dataclass(frozen=True)
class HypermodelCosts:
    """Tells the costs of a hypermodel's networks before they are trained.

    Args:
        hypermodel: A `keras_tuner.HyperModel`, or a function that takes
            hyperparameters and returns a model.
        batch_size: Integer, the batch size of the training. Defaults to 32,
            as in Keras.
        input_shapes: As in `costs_of_build`; for models that do not tell the
            shapes of their inputs.

    Example:

    ```python
    oracle = EvoOracle(
        ["val_accuracy", "params"],
        max_trials=60,
        constraints=[at_most("multiply_adds", 50e6)],
        costs=HypermodelCosts(build_model),
    )
    ```
    """

    hypermodel: Any
    batch_size: int = 32
    input_shapes: Any = None

    def __call__(self, hp: keras_tuner.HyperParameters) -> Costs:
        """Returns the costs of the network for these hyperparameters."""
        build = getattr(self.hypermodel, "build", self.hypermodel)
        return costs_of_build(
            lambda: build(hp),
            batch_size=self.batch_size,
            input_shapes=self.input_shapes,
        )
