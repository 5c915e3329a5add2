"""`DenseNetwork`: a search space of fully connected networks."""

import dataclasses
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

import keras
import keras_tuner

from keras_evonas.models import genes
from keras_evonas.models import layers
from keras_evonas.models.heads import Head
from keras_evonas.models.optimizers import tuned_sgd


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Layer:
    units: int
    dropout: float


class DenseNetwork(keras_tuner.HyperModel):
    """Fully connected networks.

    | hyperparameter | values | active |
    |---|---|---|
    | `depth` | from `depth[0]` to `depth[1]` | always |
    | `activation` | `activations` | always |
    | `normalization` | `normalizations` | always |
    | `layer_i/units` | the powers of two in `units` | if `depth > i` |
    | `layer_i/dropout` | `dropouts` | if `depth > i` |
    | those of `optimizer` | | always |

    What has a single value is not asked for. The default is a network of two
    layers of 64 units, as far as the bounds allow it.

    Args:
        input_shape: Tuple of integers, the shape of one example. It is
            flattened.
        head: What to predict, such as `Classification(classes=10)`.
        units: Pair of integers, the smallest and the largest number of units
            of a layer. Defaults to `(16, 1024)`.
        depth: Pair of integers, the smallest and the largest number of hidden
            layers. Defaults to `(1, 4)`.
        activations: Names of Keras activations. Defaults to
            `("relu", "gelu", "tanh")`.
        normalizations: Any of `"none"`, `"batch"` and `"layer"`. Defaults to
            all three.
        dropouts: Rates of dropout. Defaults to `(0.0, 0.1, 0.2, 0.3, 0.5)`.
        optimizer: Function from `hp` to a Keras optimizer. Defaults to
            `tuned_sgd`.
        name: String, the name of the hypermodel. Defaults to `None`.
        tunable: Boolean; see `keras_tuner.HyperModel`. Defaults to `True`.

    Raises:
        ValueError: If a range or a choice is empty or out of order.

    Example:

    ```python
    tuner = keras_tuner.Tuner(
        oracle=EvoOracle("val_accuracy", max_trials=60, seed=0),
        hypermodel=DenseNetwork((8, 8), Classification(classes=10)),
    )
    ```
    """

    def __init__(
        self,
        input_shape: Sequence[int],
        head: Head,
        *,
        units: tuple[int, int] = (16, 1024),
        depth: tuple[int, int] = (1, 4),
        activations: Sequence[str] = ("relu", "gelu", "tanh"),
        normalizations: Sequence[str] = layers.NORMALIZATIONS,
        dropouts: Sequence[float] = (0.0, 0.1, 0.2, 0.3, 0.5),
        optimizer: Callable[[keras_tuner.HyperParameters], Any] = tuned_sgd,
        name: str | None = None,
        tunable: bool = True,
    ) -> None:
        super().__init__(name=name, tunable=tunable)
        self.input_shape = genes.check_shape(input_shape)
        self.head = head
        self.units = genes.powers_of_two("units", units)
        self.depth = genes.check_bounds("depth", depth, 1)
        self.activations = genes.check_choices("activations", activations)
        self.normalizations = genes.check_choices(
            "normalizations", normalizations, layers.NORMALIZATIONS
        )
        self.dropouts = genes.check_rates("dropouts", dropouts)
        self.optimizer = optimizer

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        """Builds and compiles a network; see `keras_tuner.HyperModel`."""
        activation = genes.choice(hp, "activation", self.activations)
        normalization = genes.choice(hp, "normalization", self.normalizations)
        inputs = keras.Input(self.input_shape)
        tensor = keras.layers.Flatten()(inputs)
        for layer in self._ask_for_layers(hp):
            tensor = layers.dense_block(
                tensor,
                units=layer.units,
                activation=activation,
                normalization=normalization,
                dropout=layer.dropout,
            )
        model = keras.Model(inputs, self.head(tensor), name=self.name)
        model.compile(
            optimizer=self.optimizer(hp),
            loss=self.head.loss,
            metrics=self.head.metrics,
        )
        return model

    def _ask_for_layers(self, hp: keras_tuner.HyperParameters) -> list[_Layer]:
        def ask(index: int) -> _Layer:
            with hp.name_scope(f"layer_{index}"):
                return _Layer(
                    units=genes.choice(hp, "units", self.units, near=64),
                    dropout=genes.choice(hp, "dropout", self.dropouts),
                )

        return genes.repeated(hp, "depth", self.depth, ask, default=2)
