"""`MobileNetwork`: a search space of inverted residuals."""

import dataclasses
import functools
from collections.abc import Sequence

import keras
import keras_tuner

from keras_evonas.models import asking
from keras_evonas.models import checks
from keras_evonas.models.heads import Head
from keras_evonas.models.optimizers import TunedOptimizer
from keras_evonas.models.optimizers import tuned_sgd
from keras_evonas.models.ready_made import ReadyMade
from keras_evonas.models.ready_made import Tensor
from keras_evonas.models.ready_made import dropped_out
from keras_evonas.models.shared import SharedAnswer

L = keras.layers


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Stage:
    filters: int
    blocks: int | SharedAnswer
    expansion: int | SharedAnswer
    kernel: int | SharedAnswer
    squeeze_excite: float | SharedAnswer
    activation: str


class MobileNetwork(ReadyMade):
    """Stages of inverted residuals, as MnasNet and ProxylessNAS search them.

    A block widens its input, filters it depthwise, weighs its channels by
    squeeze and excitation if asked to, and narrows it again (Sandler et al.,
    2018; Tan et al., 2019). The first block of each stage halves the
    resolution down to one pixel; the others have a shortcut.

    | hyperparameter | values | active |
    |---|---|---|
    | `stages` | from `stages[0]` to `stages[1]` | always |
    | `activation` | `activations` | always |
    | `stem` | the powers of two in `filters` | always |
    | `stage_i/filters` | the powers of two in `filters` | if `stages > i` |
    | `stage_i/blocks` | from `blocks[0]` to `blocks[1]` | if `stages > i` |
    | `stage_i/expansion` | `expansions` | if `stages > i` |
    | `stage_i/kernel` | `kernels` | if `stages > i` |
    | `stage_i/squeeze_excite` | `squeeze_excites` | if `stages > i` |
    | `dropout` | `dropouts`, before the head | always |
    | those of `optimizer` | | always |

    A range of a single value is not asked for.

    Args:
        input_shape: Tuple of integers, `(height, width, channels)`.
        head: A `Head`, such as `Classification(classes=10)`.
        stages: Pair of integers, the smallest and the largest number of
            stages. Defaults to `(2, 5)`.
        blocks: Pair of integers, for each stage. Defaults to `(1, 4)`.
        filters: Pair of integers, the smallest and the largest number of
            filters between blocks. Defaults to `(8, 128)`.
        expansions: Integers, how many times wider a block is inside. Defaults
            to `(1, 3, 6)`.
        kernels: Odd integers. Defaults to `(3, 5, 7)`.
        squeeze_excites: Shares of the channels that the squeeze leaves; 0 for
            none. Defaults to `(0.0, 0.25)`.
        activations: Names of Keras activations. Defaults to
            `("relu6", "silu")`.
        dropouts: Rates of dropout. Defaults to `(0.0, 0.2, 0.5)`.
        optimizer: Function from `hp` to a Keras optimizer. Defaults to
            `tuned_sgd`.
        name: String, the name of the hypermodel. Defaults to `None`.
        tunable: Boolean; see `keras_tuner.HyperModel`. Defaults to `True`.

    Raises:
        ValueError: If a range or a choice is empty or out of order.
    """

    DEPTH = "blocks"
    WIDTHS = ("stem", "filters")

    def __init__(
        self,
        input_shape: Sequence[int],
        head: Head,
        *,
        stages: tuple[int, int] = (2, 5),
        blocks: tuple[int, int] = (1, 4),
        filters: tuple[int, int] = (8, 128),
        expansions: Sequence[int] = (1, 3, 6),
        kernels: Sequence[int] = (3, 5, 7),
        squeeze_excites: Sequence[float] = (0.0, 0.25),
        activations: Sequence[str] = ("relu6", "silu"),
        dropouts: Sequence[float] = (0.0, 0.2, 0.5),
        optimizer: TunedOptimizer = tuned_sgd,
        name: str | None = None,
        tunable: bool = True,
    ) -> None:
        super().__init__(input_shape, 3, head, optimizer, name, tunable)
        self.stages = checks.check_bounds("stages", stages, 1)
        self.blocks = checks.check_bounds("blocks", blocks, 1)
        self.filters = checks.powers_of_two("filters", filters)
        self.expansions = checks.check_choices(
            "expansions", expansions, range(1, 17)
        )
        self.kernels = checks.check_choices("kernels", kernels, range(1, 32, 2))
        self.squeeze_excites = checks.check_rates(
            "squeeze_excites", squeeze_excites
        )
        self.activations = checks.check_activations(activations)
        self.dropouts = checks.check_rates("dropouts", dropouts)

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        """Builds and compiles a network; see `keras_tuner.HyperModel`."""
        activation = asking.choice(hp, "activation", self.activations)
        stem = asking.choice(hp, "stem", self.filters, near=16)
        stages = self._ask_for_stages(hp, activation)
        dropout = asking.choice(hp, "dropout", self.dropouts)
        inputs = keras.Input(self.input_shape)
        tensor = _normal_convolution(inputs, stem, 3, activation)
        for stage in stages:
            block = functools.partial(_inverted_residual, stage)
            tensor = asking.chained(stage.blocks, self.blocks, block, tensor)
        top = 4 * tensor.shape[-1]
        tensor = _normal_convolution(tensor, top, 1, activation)
        tensor = L.GlobalAveragePooling2D()(tensor)
        tensor = dropped_out(tensor, dropout)
        return self.compiled(hp, inputs, tensor)

    def _ask_for_stages(
        self, hp: keras_tuner.HyperParameters, activation: str
    ) -> list[_Stage]:
        low, high = self.blocks
        shares = self.squeeze_excites

        def ask(index: int) -> _Stage:
            near = 16 * 2**index
            return _Stage(
                filters=asking.choice(hp, "filters", self.filters, near=near),
                blocks=asking.kind(hp, "blocks", range(low, high + 1), near=2),
                expansion=asking.kind(hp, "expansion", self.expansions, near=3),
                kernel=asking.kind(hp, "kernel", self.kernels, near=3),
                squeeze_excite=asking.kind(hp, "squeeze_excite", shares),
                activation=activation,
            )

        return asking.repeated(
            hp, "stages", self.stages, ask, prefix="stage_", default=3
        )


def _inverted_residual(stage: _Stage, index: int, entry: Tensor) -> Tensor:
    """Applies block `index` of a stage."""
    strides = 2 if index == 0 and min(entry.shape[1:3]) > 1 else 1

    def filtered(kernel: int, tensor: Tensor) -> Tensor:
        tensor = L.DepthwiseConv2D(
            kernel, strides=strides, padding="same", use_bias=False
        )(tensor)
        return L.BatchNormalization()(tensor)

    def inside(expansion: int, tensor: Tensor) -> Tensor:
        if expansion > 1:
            width = expansion * tensor.shape[-1]
            tensor = _normal_convolution(tensor, width, 1, stage.activation)
        tensor = asking.applied(stage.kernel, filtered, tensor)
        tensor = L.Activation(stage.activation)(tensor)
        weigh = functools.partial(_weighed, activation=stage.activation)
        tensor = asking.applied(stage.squeeze_excite, weigh, tensor)
        tensor = L.Conv2D(stage.filters, 1, use_bias=False)(tensor)
        return L.BatchNormalization()(tensor)

    tensor = asking.applied(stage.expansion, inside, entry)
    if entry.shape == tensor.shape:
        tensor = L.Add()([entry, tensor])
    return tensor


def _weighed(share: float, tensor: Tensor, *, activation: str) -> Tensor:
    """Weighs channels by squeeze and excitation, if a share is squeezed to."""
    if not share:
        return tensor
    width = tensor.shape[-1]
    squeezed = max(1, round(width * share))
    weights = L.GlobalAveragePooling2D(keepdims=True)(tensor)
    weights = L.Conv2D(squeezed, 1, activation=activation)(weights)
    weights = L.Conv2D(width, 1, activation="sigmoid")(weights)
    return L.Multiply()([tensor, weights])


def _normal_convolution(
    tensor: Tensor, filters: int, kernel: int, activation: str
) -> Tensor:
    tensor = L.Conv2D(filters, kernel, padding="same", use_bias=False)(tensor)
    return L.Activation(activation)(L.BatchNormalization()(tensor))
