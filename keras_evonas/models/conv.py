"""`ConvNetwork`: a search space of convolutional networks."""

import dataclasses
import functools
from collections.abc import Sequence

import keras
import keras_tuner

from keras_evonas.models import asking
from keras_evonas.models import checks
from keras_evonas.models import ready_made
from keras_evonas.models.heads import Head
from keras_evonas.models.optimizers import TunedOptimizer
from keras_evonas.models.optimizers import tuned_sgd
from keras_evonas.models.ready_made import Tensor
from keras_evonas.models.shared import SharedAnswer

_CONVOLUTIONS = {
    "plain": keras.layers.Conv2D,
    "separable": keras.layers.SeparableConv2D,
}
_POOLINGS = {
    "max": keras.layers.MaxPooling2D,
    "average": keras.layers.AveragePooling2D,
}
_FEATURES = ("global_average", "flatten")


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Stage:
    filters: int
    kernel: int | SharedAnswer
    convolution: str | SharedAnswer
    blocks: int | SharedAnswer
    residual: bool
    pooling: str
    dropout: float


class ConvNetwork(ready_made.ReadyMade):
    """Convolutional networks in stages, each at half the resolution before.

    A stage is a few blocks of convolution, normalization and activation, with
    or without a shortcut around them, and ends with a pooling. There are never
    more stages than the image can be halved.

    | hyperparameter | values | active |
    |---|---|---|
    | `stages` | from `stages[0]` to `stages[1]` | always |
    | `activation` | `activations` | always |
    | `normalization` | `normalizations` | always |
    | `stage_i/filters` | the powers of two in `filters` | if `stages > i` |
    | `stage_i/kernel` | `kernels` | if `stages > i` |
    | `stage_i/convolution` | plain, separable | if `stages > i` |
    | `stage_i/blocks` | from `blocks[0]` to `blocks[1]` | if `stages > i` |
    | `stage_i/residual` | no, yes | and if it has several blocks |
    | `stage_i/pooling` | max, average, strided | if `stages > i` |
    | `stage_i/dropout` | `dropouts` | if `stages > i` |
    | `features` | global_average, flatten | if several pixels are left |
    | `top/dense` | no, yes: a Dense layer before the head | always |
    | `top/units` | the powers of two in `units` | if `top/dense` |
    | `top/dropout` | `dropouts` | if `top/dense` |
    | those of `optimizer` | | always |

    A range of a single value is not asked for, nor the pooling of an image of
    one pixel.

    Args:
        input_shape: Tuple of integers, `(height, width, channels)`.
        head: A `Head`, such as `Classification(classes=10)`.
        stages: Pair of integers, the smallest and the largest number of
            stages; capped by how often the image can be halved. Defaults to
            `(1, 4)`.
        blocks: Pair of integers, the smallest and the largest number of
            blocks of a stage. Defaults to `(1, 3)`.
        filters: Pair of integers, the smallest and the largest number of
            filters. Defaults to `(8, 128)`.
        kernels: Odd integers, the sides of the kernels. Defaults to `(3, 5)`.
        units: Pair of integers, for the Dense layer before the head. Defaults
            to `(32, 256)`.
        activations: Names of Keras activations. Defaults to
            `("relu", "gelu")`.
        normalizations: Any of `"none"`, `"batch"` and `"layer"`. Defaults to
            `("batch", "none")`.
        dropouts: Rates of dropout. Defaults to `(0.0, 0.1, 0.2, 0.3, 0.5)`.
        optimizer: Function from `hp` to a Keras optimizer. Defaults to
            `tuned_sgd`.
        name: String, the name of the hypermodel. Defaults to `None`.
        tunable: Boolean; see `keras_tuner.HyperModel`. Defaults to `True`.

    Raises:
        ValueError: If the image is too small for the stages asked for, or if a
            range or a choice is empty or out of order.

    Example:

    ```python
    tuner = keras_tuner.Tuner(
        oracle=EvoOracle("val_accuracy", max_trials=60, seed=0),
        hypermodel=ConvNetwork((28, 28, 1), Classification(classes=10)),
    )
    ```
    """

    DEPTH = "blocks"
    WIDTHS = ("filters", "units")

    def __init__(
        self,
        input_shape: Sequence[int],
        head: Head,
        *,
        stages: tuple[int, int] = (1, 4),
        blocks: tuple[int, int] = (1, 3),
        filters: tuple[int, int] = (8, 128),
        kernels: Sequence[int] = (3, 5),
        units: tuple[int, int] = (32, 256),
        activations: Sequence[str] = ("relu", "gelu"),
        normalizations: Sequence[str] = ("batch", "none"),
        dropouts: Sequence[float] = (0.0, 0.1, 0.2, 0.3, 0.5),
        optimizer: TunedOptimizer = tuned_sgd,
        name: str | None = None,
        tunable: bool = True,
    ) -> None:
        super().__init__(input_shape, 3, head, optimizer, name, tunable)
        self.stages = _possible(
            checks.check_bounds("stages", stages, 1), self.input_shape
        )
        self.blocks = checks.check_bounds("blocks", blocks, 1)
        self.filters = checks.powers_of_two("filters", filters)
        self.kernels = checks.check_choices("kernels", kernels, range(1, 32, 2))
        self.units = checks.powers_of_two("units", units)
        self.activations = checks.check_activations(activations)
        self.normalizations = checks.check_choices(
            "normalizations", normalizations, ready_made.NORMALIZATIONS
        )
        self.dropouts = checks.check_rates("dropouts", dropouts)

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        """Builds and compiles a network; see `keras_tuner.HyperModel`."""
        activation = asking.choice(hp, "activation", self.activations)
        normalization = asking.kind(hp, "normalization", self.normalizations)
        inputs = keras.Input(self.input_shape)
        tensor = inputs
        stages = asking.repeated(
            hp,
            "stages",
            self.stages,
            lambda _: self._ask_for_stage(hp),
            prefix="stage_",
            default=2,
        )
        for stage in stages:
            staged = functools.partial(
                _staged, stage, activation, normalization, self.blocks[0] > 1
            )
            tensor = asking.applied(stage.blocks, staged, tensor)
        if self._ask_for_features(hp) == "flatten":
            tensor = keras.layers.Flatten()(tensor)
        else:
            tensor = keras.layers.GlobalAveragePooling2D()(tensor)
        with hp.name_scope("top"):
            dense = hp.Boolean("dense")
            with hp.conditional_scope("dense", [True]):
                units = asking.choice(hp, "units", self.units, near=64)
                dropout = asking.choice(hp, "dropout", self.dropouts)
        if dense:
            tensor = ready_made.dense_block(
                tensor, units, activation, dropout=dropout
            )
        return self.compiled(hp, inputs, tensor)

    def _ask_for_stage(self, hp: keras_tuner.HyperParameters) -> _Stage:
        low, high = self.blocks
        blocks = asking.kind(hp, "blocks", range(low, high + 1))
        residual = False
        if low > 1:
            residual = hp.Boolean("residual")
        elif high > 1:
            with hp.conditional_scope("blocks", list(range(2, high + 1))):
                residual = hp.Boolean("residual")
        one_pixel = max(self.input_shape[:2]) == 1
        poolings = ["strided"] if one_pixel else [*_POOLINGS, "strided"]
        return _Stage(
            filters=asking.choice(hp, "filters", self.filters, near=32),
            kernel=asking.kind(hp, "kernel", self.kernels, near=3),
            convolution=asking.kind(hp, "convolution", [*_CONVOLUTIONS]),
            blocks=blocks,
            residual=bool(residual),
            pooling=asking.choice(hp, "pooling", poolings),
            dropout=asking.choice(hp, "dropout", self.dropouts),
        )

    def _ask_for_features(self, hp: keras_tuner.HyperParameters) -> str:
        """Asks for the features, unless all choices are the same pixel."""
        low, high = self.stages
        pixels = max(self.input_shape[:2])
        several = [n for n in range(low, high + 1) if pixels > 2**n]
        if not several:
            return "flatten"
        if several[-1] == high:
            return asking.choice(hp, "features", _FEATURES)
        with hp.conditional_scope("stages", several):
            features = asking.choice(hp, "features", _FEATURES)
        return features or "flatten"


def _possible(
    stages: tuple[int, int], shape: tuple[int, ...]
) -> tuple[int, int]:
    """Caps the number of stages by how often the image can be halved."""
    halvings = max(shape[0].bit_length(), shape[1].bit_length()) - 1
    most = max(1, halvings)
    if stages[0] > most:
        raise ValueError(
            f"`stages` must allow for the {most} stage(s) that an image of "
            f"{shape[0]} x {shape[1]} pixels can be halved for. Received: "
            f"stages={stages}. Lower the first number."
        )
    return stages[0], min(stages[1], most)


def _staged(
    stage: _Stage,
    activation: str,
    normalization: str | SharedAnswer,
    always_residual: bool,
    blocks: int,
    tensor: Tensor,
) -> Tensor:
    """Applies a stage: blocks, a shortcut if wanted, pooling, dropout."""
    entry = tensor
    strided = stage.pooling == "strided"
    residual = stage.residual and (always_residual or blocks > 1)
    for index in range(blocks):
        last = index == blocks - 1
        strides = _window(tensor) if last and strided else 1
        convolved = functools.partial(_convolved, stage, strides)
        tensor = asking.applied(normalization, convolved, tensor)
        if last and residual:
            tensor = keras.layers.Add()([tensor, _shortcut(entry, tensor)])
        tensor = keras.layers.Activation(activation)(tensor)
    if not strided and _window(tensor) != (1, 1):
        # With padding an odd side keeps its last pixel, as with strides.
        pooling = _POOLINGS[stage.pooling]
        tensor = pooling(_window(tensor), padding="same")(tensor)
    return ready_made.dropped_out(tensor, stage.dropout)


def _convolved(
    stage: _Stage,
    strides: int | tuple[int, int],
    normalization: str,
    tensor: Tensor,
) -> Tensor:
    """Applies a convolution and its normalization."""

    def of_kind(convolution: str, tensor: Tensor) -> Tensor:
        # On a CPU, TensorFlow (2.21) has no depthwise convolution with strides
        # of two lengths, as an image has when one side has a single pixel.
        thinned = convolution == "separable" and strides in ((1, 2), (2, 1))

        def with_kernel(kernel: int, tensor: Tensor) -> Tensor:
            return _CONVOLUTIONS[convolution](
                stage.filters,
                kernel,
                strides=1 if thinned else strides,
                padding="same",
                use_bias=normalization == "none",
            )(tensor)

        tensor = asking.applied(stage.kernel, with_kernel, tensor)
        if thinned:
            tensor = keras.layers.AveragePooling2D(1, strides)(tensor)
        return tensor

    tensor = asking.applied(stage.convolution, of_kind, tensor)
    return ready_made.normalized(tensor, normalization)


def _shortcut(entry: Tensor, exit_: Tensor) -> Tensor:
    """Gives the input of a stage the shape of its output."""
    if entry.shape[1:] == exit_.shape[1:]:
        return entry
    same_size = entry.shape[1:3] == exit_.shape[1:3]
    strides = 1 if same_size else _window(entry)
    filters = exit_.shape[-1]
    layer = keras.layers.Conv2D(filters, 1, strides=strides, padding="same")
    return layer(entry)


def _window(tensor: Tensor) -> tuple[int, int]:
    """Returns the window of a pooling: two pixels where a side has them."""
    return min(2, tensor.shape[1]), min(2, tensor.shape[2])
