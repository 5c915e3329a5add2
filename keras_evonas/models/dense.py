"""`DenseNetwork`: a search space of fully connected networks."""

from collections.abc import Sequence
from typing import Any

import keras
import keras_tuner

from keras_evonas.models import asking
from keras_evonas.models import checks
from keras_evonas.models import ready_made
from keras_evonas.models.heads import Head
from keras_evonas.models.optimizers import TunedOptimizer
from keras_evonas.models.optimizers import tuned_sgd
from keras_evonas.models.ready_made import Tensor
from keras_evonas.models.scaling import Scale
from keras_evonas.models.scaling import ScaledNetwork


class DenseNetwork(ready_made.ReadyMade):
    """Fully connected networks.

    | hyperparameter | values | active |
    |---|---|---|
    | `depth` | from `depth[0]` to `depth[1]` | always |
    | `activation` | `activations` | always |
    | `normalization` | `normalizations` | always |
    | `layer_i/units` | the powers of two in `units` | if `depth > i` |
    | `layer_i/dropout` | `dropouts` | if `depth > i` |
    | those of `optimizer` | | always |

    A range of a single value is not asked for. The default is a network of two
    layers of 64 units, as far as the bounds allow it.

    Args:
        input_shape: Tuple of integers, the shape of one example. It is
            flattened.
        head: A `Head`, such as `Classification(classes=10)`.
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

    DEPTH = "depth"
    WIDTHS = ("units",)

    def __init__(
        self,
        input_shape: Sequence[int],
        head: Head,
        *,
        units: tuple[int, int] = (16, 1024),
        depth: tuple[int, int] = (1, 4),
        activations: Sequence[str] = ("relu", "gelu", "tanh"),
        normalizations: Sequence[str] = ready_made.NORMALIZATIONS,
        dropouts: Sequence[float] = (0.0, 0.1, 0.2, 0.3, 0.5),
        optimizer: TunedOptimizer = tuned_sgd,
        name: str | None = None,
        tunable: bool = True,
    ) -> None:
        super().__init__(input_shape, None, head, optimizer, name, tunable)
        self.units = checks.powers_of_two("units", units)
        self.depth = checks.check_bounds("depth", depth, 1)
        self.activations = checks.check_activations(activations)
        self.normalizations = checks.check_choices(
            "normalizations", normalizations, ready_made.NORMALIZATIONS
        )
        self.dropouts = checks.check_rates("dropouts", dropouts)

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        """Builds and compiles a network; see `keras_tuner.HyperModel`."""
        activation = asking.choice(hp, "activation", self.activations)
        normalization = asking.kind(hp, "normalization", self.normalizations)

        def ask(_: int) -> tuple[int, float]:
            units = asking.choice(hp, "units", self.units, near=64)
            return units, asking.choice(hp, "dropout", self.dropouts)

        depth, layers = asking.counted(
            hp, "depth", self.depth, ask, prefix="layer_", default=2
        )

        def block(index: int, tensor: Tensor) -> Tensor:
            units, dropout = layers[index]
            return asking.applied(
                normalization,
                lambda name, inputs: ready_made.dense_block(
                    inputs,
                    units,
                    activation,
                    normalization=name,
                    dropout=dropout,
                ),
                tensor,
            )

        inputs = keras.Input(self.input_shape)
        tensor = keras.layers.Flatten()(inputs)
        tensor = asking.chained(depth, self.depth, block, tensor)
        return self.compiled(hp, inputs, tensor)

    def scaled(self, values: dict[str, Any], scale: Scale) -> ScaledNetwork:
        """Returns a network of another size; see `compound_scale`."""
        count = values.get("depth", 0)
        # Layers that are added have the values of the last one before.
        added = {
            f"layer_{index}/{gene}": values[f"layer_{count - 1}/{gene}"]
            for index in range(count, scale.depth_of(count))
            for gene in ("units", "dropout")
            if f"layer_{count - 1}/{gene}" in values
        }
        return super().scaled(values | added, scale)
