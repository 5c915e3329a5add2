"""The costs of the networks that a hypermodel builds."""

import dataclasses
from collections.abc import Callable
from typing import TypeAlias

import keras
import keras_tuner

from keras_evonas.models.costs.estimates import Costs
from keras_evonas.models.costs.estimates import costs_of_build
from keras_evonas.models.costs.inputs import InputShapes

Builder: TypeAlias = Callable[[keras_tuner.HyperParameters], keras.Model]
Hypermodel: TypeAlias = keras_tuner.HyperModel | Builder


def builder_of(hypermodel: Hypermodel) -> Builder:
    """Returns the function that builds a hypermodel's networks."""
    build: Builder = getattr(hypermodel, "build", hypermodel)
    return build


@dataclasses.dataclass(frozen=True)
class HypermodelCosts:
    """Returns the costs of a hypermodel's networks before they are trained.

    Args:
        hypermodel: A `keras_tuner.HyperModel`, or a function that takes
            hyperparameters and returns a model.
        batch_size: Integer, the batch size of the training. Defaults to 32,
            as in Keras.
        input_shapes: As in `costs_of_build`.

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

    hypermodel: Hypermodel
    batch_size: int = 32
    input_shapes: InputShapes | None = None

    def __call__(self, hp: keras_tuner.HyperParameters) -> Costs:
        """Returns the costs of the network for these hyperparameters."""
        build = builder_of(self.hypermodel)
        return costs_of_build(
            lambda: build(hp),
            batch_size=self.batch_size,
            input_shapes=self.input_shapes,
        )
