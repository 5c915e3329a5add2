"""The kinds of Keras layers, and what a search may do with each.

The width of a tensor is its last dimension.
"""

import keras

L = keras.layers
_A = keras.activations

CONVOLUTIONS = (L.Conv1D, L.Conv2D, L.Conv3D)
TRANSPOSED = (L.Conv1DTranspose, L.Conv2DTranspose, L.Conv3DTranspose)
SEPARABLE = (L.SeparableConv1D, L.SeparableConv2D)
DEPTHWISE = (L.DepthwiseConv1D, L.DepthwiseConv2D)
# Recurrences with gates, whose weights lie side by side in one kernel.
GATED = (L.GRU, L.LSTM)
# They have tables of what they look up, and no weights.
LOOKUPS = (L.StringLookup, L.IntegerLookup, L.TextVectorization)
NORMALIZATIONS = (L.BatchNormalization, L.LayerNormalization)
ACTIVATIONS = (L.Activation, L.ReLU, L.ELU, L.LeakyReLU)
DROPOUTS = (
    *(L.Dropout, L.SpatialDropout1D, L.SpatialDropout2D, L.SpatialDropout3D),
    *(L.GaussianDropout, L.AlphaDropout),
)
# Layers of several tensors that are equally wide.
MERGES = (L.Add, L.Average, L.Maximum, L.Minimum, L.Multiply, L.Subtract)

# Layers with a side of the kernel that may be another.
WITH_KERNEL = (*CONVOLUTIONS, *SEPARABLE, *DEPTHWISE)
# Layers that may stand several times in a row.
REPEATABLE = (*CONVOLUTIONS, *SEPARABLE, L.Dense)
# Layers with an argument `activation` that may be another.
WITH_ACTIVATION = (*REPEATABLE, *TRANSPOSED, *DEPTHWISE)

# The kernels of layers, each with whether it mixes the channels.
KERNELS = {
    **dict.fromkeys((L.Dense, *CONVOLUTIONS), (("kernel", True),)),
    **dict.fromkeys(DEPTHWISE, (("kernel", False),)),
    **dict.fromkeys(
        SEPARABLE, (("depthwise_kernel", False), ("pointwise_kernel", True))
    ),
}

# Layers that make a width of their own, and the argument that sets it.
WIDTH_ARGUMENT = {
    **dict.fromkeys((*CONVOLUTIONS, *TRANSPOSED, *SEPARABLE), "filters"),
    **dict.fromkeys((L.Dense, *GATED, L.SimpleRNN), "units"),
    L.Embedding: "output_dim",
}
# Layers whose output is as wide as their input, whatever that width is.
KEEPING_WIDTH = (
    *(*ACTIVATIONS, L.PReLU, L.Softmax, *DROPOUTS, L.GaussianNoise),
    *DEPTHWISE,
    *(L.ActivityRegularization, L.Identity, L.Masking, L.RepeatVector),
    *(L.AveragePooling1D, L.AveragePooling2D, L.AveragePooling3D),
    *(L.MaxPooling1D, L.MaxPooling2D, L.MaxPooling3D),
    *(L.GlobalAveragePooling1D, L.GlobalAveragePooling2D),
    *(L.GlobalAveragePooling3D, L.GlobalMaxPooling1D, L.GlobalMaxPooling2D),
    L.GlobalMaxPooling3D,
    *(L.ZeroPadding1D, L.ZeroPadding2D, L.ZeroPadding3D),
    *(L.Cropping1D, L.Cropping2D, L.Cropping3D),
    *(L.UpSampling1D, L.UpSampling2D, L.UpSampling3D),
)
# Of these, layers that do the same to each channel, whatever the others are.
UNITWISE = tuple(kind for kind in KEEPING_WIDTH if kind is not L.Softmax)
# Layers whose output is not negative where their input is not.
KEEPING_POSITIVE = (L.Dropout, L.MaxPooling2D, L.AveragePooling2D)

# Activations that do the same to each channel, whatever the others are.
ELEMENTWISE = frozenset(
    (
        *("celu", "elu", "exponential", "gelu", "hard_shrink", "hard_sigmoid"),
        *("hard_silu", "hard_swish", "hard_tanh", "leaky_relu", "linear"),
        *("log_sigmoid", "mish", "relu", "relu6", "selu", "sigmoid", "silu"),
        *("soft_shrink", "softplus", "softsign", "squareplus", "swish"),
        *("tanh", "tanh_shrink", "threshold"),
    )
)

_UNITWISE_OPERATIONS = frozenset(x.replace("_", "") for x in ELEMENTWISE)
_MIXING = ("log_softmax", "softmax", "sparsemax")

# Activations that are positive exactly where their input is.
SIGN_KEEPING_LAYERS = (L.ELU, L.LeakyReLU, L.PReLU, L.ReLU)
_SIGN_KEEPING = (
    *(_A.elu, _A.gelu, _A.leaky_relu, _A.relu, _A.relu6, _A.selu, _A.silu),
    _A.tanh,
)


def keeps_sign(layer: keras.Layer) -> bool:
    """Returns whether the activation of a layer keeps the sign."""
    activation = getattr(layer, "activation", None)
    return (
        isinstance(layer, SIGN_KEEPING_LAYERS)
        or activation in _SIGN_KEEPING
        or isinstance(activation, SIGN_KEEPING_LAYERS)
    )


def parts_of(layer: keras.Layer) -> list[keras.Layer]:
    """Returns a layer and all inside of it, outer ones before inner ones."""
    # Keras (3.10 to 3.15) has no public way to those that are attributes.
    return list(layer._flatten_layers())  # noqa: SLF001


def weights_of(layer: keras.Layer) -> dict[str, keras.Variable]:
    """Returns the weights of a layer by name or, if names repeat, by place.

    A layer that was quantized has them in another order than one that is made
    of its config.
    """
    names = [weight.name for weight in layer.weights]
    if len({*names}) < len(names):
        names = [str(place) for place in range(len(names))]
    return dict(zip(names, layer.weights, strict=True))


def has_plain_kernel(layer: keras.Layer) -> bool:
    """Returns whether a kernel is a weight: without LoRA, not quantized."""
    return not (
        getattr(layer, "lora_enabled", False)
        or getattr(layer, "quantization_mode", None)
    )


def finalize(layer: keras.Layer) -> None:
    """Makes layers use weights that were assigned to them."""
    for part in parts_of(layer):
        if isinstance(part, keras.layers.Normalization):
            part.finalize_state()  # It uses copies of its statistics.


def activation_name(layer: keras.Layer) -> object:
    """Returns the name of a layer's activation; of a user's, its config."""
    function = getattr(layer, "activation", keras.activations.linear)
    return keras.activations.serialize(function)


def is_relu(layer: keras.Layer) -> bool:
    """Returns whether a layer ends with a ReLU."""
    if type(layer) is L.ReLU:
        is_cut = layer.max_value is not None or layer.threshold
        return not is_cut and not layer.negative_slope
    return activation_name(layer) == "relu"


def is_unitwise(layer: keras.Operation) -> bool:
    """Returns whether an operation does to each channel what it always does.

    Layers and activations of the user's own are taken to do so.
    """
    is_own = not type(layer).__module__.startswith("keras.")
    if is_own or type(layer) is L.Lambda:
        return True
    if not isinstance(layer, keras.Layer):  # of `keras.ops`
        return type(layer).__name__.lower() in _UNITWISE_OPERATIONS
    kept = type(layer) in (*UNITWISE, *WITH_ACTIVATION, *GATED, L.SimpleRNN)
    return kept and activation_name(layer) not in _MIXING


def width_of(layer: keras.Layer) -> int | None:
    """Returns the width that a layer makes, if it has units or filters."""
    return getattr(layer, "units", None) or getattr(layer, "filters", None)


def has_free_width(layer: keras.Layer) -> bool:
    """Returns whether the width of a layer depends on no other argument."""
    return (
        getattr(layer, "groups", 1) == 1
        and getattr(layer, "depth_multiplier", 1) == 1
        and not getattr(layer, "stateful", False)
        and not getattr(layer, "return_state", False)
    )


def has_channels_first(layer: keras.Operation) -> bool:
    """Returns whether channels are not the last dimension for a layer."""
    return getattr(layer, "data_format", None) == "channels_first"


def is_over_channels(layer: keras.Layer) -> bool:
    """Returns whether a normalization has a parameter for each channel."""
    axis = layer.axis
    if isinstance(axis, list | tuple) and len(axis) == 1:
        (axis,) = axis
    rank = layer.input_spec.ndim if layer.input_spec is not None else None
    return bool(axis == -1 or (rank is not None and axis == rank - 1))


def start_of(
    layer: keras.Layer, axis: int, largest: int, size: int, side: int | None
) -> int | None:
    """Returns where a kernel lies in the largest one, so that both fit.

    With padding, TensorFlow centers a kernel as far as strides allow it. What
    is returned is `None` if there is no such place.
    """
    if largest == size:
        return 0
    if layer.padding != "same":
        return largest - size if layer.padding == "causal" else None
    dilation, stride = layer.dilation_rate[axis], layer.strides[axis]
    if side is None and stride != 1:
        return None

    def padded(kernel: int) -> int:
        total = (kernel - 1) * dilation
        if side is not None:
            total += (-(-side // stride) - 1) * stride + 1 - side
        return int(max(total, 0) // 2)

    start, rest = divmod(padded(largest) - padded(size), dilation)
    return start if not rest and 0 <= start <= largest - size else None
