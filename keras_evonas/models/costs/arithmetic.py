"""The costs of one TensorFlow operation: its arithmetic, and what it keeps.

The counts follow TensorFlow's own profiler (`tf.compat.v1.profiler`, option
`float_operation`) where it has a count, and extend it to operations that it
leaves out: `Einsum`, three-dimensional pooling, resizing, recurrences.
"""

import math
from collections.abc import Callable

import tensorflow as tf


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Operations for one element of the output.
_ONE = _names("""
    Abs Add AddV2 Ceil ClipByValue Cumsum Div DivNoNan Equal Floor FloorDiv
    FloorMod Greater GreaterEqual Inv IsFinite IsInf IsNan Less LessEqual Log
    Maximum Minimum Mod Mul MulNoNan Neg NotEqual Pow RealDiv Reciprocal Rint
    Round Sign Sqrt Square StatelessRandomNormalV2 StatelessRandomUniformV2
    StatelessTruncatedNormalV2 Sub TruncateDiv Xdivy Xlogy
""")
# Activation functions count nothing, as in the profiler and in papers.
_NONE = _names("""
    Acosh Asinh Atan Atan2 Atanh Cos Cosh Elu Erf Erfc Exp Expm1 LeakyRelu Log1p
    Relu Relu6 Selu Sigmoid Sin Sinh Softplus Softsign Tan Tanh
""")
_PER_OUTPUT = {
    **dict.fromkeys(_ONE, 1),
    **dict.fromkeys(_NONE, 0),
    **dict.fromkeys(("FusedBatchNormV3", "Rsqrt", "SquaredDifference"), 2),
    **dict.fromkeys(("LRN", "LogSoftmax", "Softmax"), 5),
    # Two interpolations along one axis and one along the other.
    "ResizeBilinear": 6,
    "ImageProjectiveTransformV3": 6,
    "ScaleAndTranslate": 8,
    "ResizeBicubic": 30,
}
_REDUCTIONS = _names("""
    All Any ArgMax ArgMin EuclideanNorm Max Mean Min Prod SegmentSumV2 Sum
    UnsortedSegmentSum
""")
_POOLS = _names("AvgPool AvgPool3D MaxPool MaxPool3D")
# They move, name, cast or create values and compute nothing.
_FREE = _names("""
    Assert AssignAddVariableOp AssignSubVariableOp AssignVariableOp
    BatchToSpaceND Bitcast BroadcastArgs BroadcastTo Bucketize Cast
    CheckNumerics Concat ConcatV2 Const DepthToSpace DynamicPartition
    DynamicStitch Empty EmptyTensorList EnsureShape ExpandDims Fill Gather
    GatherNd GatherV2 HashTableV2 Identity IdentityN InvertPermutation
    LogicalAnd LogicalNot LogicalOr LookupTableFindV2 MatrixBandPart
    MatrixDiagV3 MirrorPad NoOp OneHot OnesLike Pack Pad PadV2 Placeholder
    PlaceholderWithDefault PreventGradient Range Rank ReadVariableOp RefSwitch
    Reshape ResizeNearestNeighbor ResourceGather ResourceScatterAdd Reverse
    ReverseSequence ReverseV2 Roll ScatterNd Select SelectV2 Shape ShapeN Size
    Slice Sort SpaceToBatchND SpaceToDepth Split SplitV Squeeze
    StatelessRandomGetAlg StatelessRandomGetKeyCounter StaticRegexReplace
    StopGradient StridedSlice TensorListConcatV2 TensorListElementShape
    TensorListFromTensor TensorListGather TensorListGetItem TensorListLength
    TensorListPushBack TensorListReserve TensorListSetItem TensorListStack
    TensorScatterAdd TensorScatterUpdate Tile TopKV2 Transpose Unique Unpack
    VarHandleOp Where ZerosLike
""")

# The gradients of these operations need their inputs ...
KEEPS_INPUTS = _names("""
    Abs BatchMatMul BatchMatMulV2 BatchMatMulV3 Conv2D Conv2DBackpropInput
    Conv3D Conv3DBackpropInputV2 Cos CudnnRNNV3 DepthwiseConv2dNative Div Einsum
    Erf FusedBatchNormV3 LRN LeakyRelu Log Log1p MatMul Max MaxPool MaxPool3D
    Maximum Min Minimum Mul Pow RealDiv Sin Softplus Softsign Square
    SquaredDifference
""")
# ... and those of these their outputs.
KEEPS_OUTPUTS = _names("""
    CudnnRNNV3 Elu Exp Expm1 LogSoftmax MaxPool MaxPool3D Reciprocal Relu Relu6
    Rsqrt Selu Sigmoid Softmax Sqrt Tanh
""")
# These share the memory of their input.
VIEWS = _names("""
    EnsureShape ExpandDims Identity PreventGradient Reshape Squeeze StopGradient
""")


def size_of(tensor: tf.Tensor) -> int:
    """Returns the number of elements; an unknown dimension counts once."""
    if tensor.shape.rank is None:
        return 1
    sizes: list[int | None] = tensor.shape.as_list()
    return math.prod(size or 1 for size in sizes)


def bytes_of(tensor: tf.Tensor) -> int:
    """Returns the bytes of a tensor; variants and resources take none."""
    if tensor.dtype in (tf.resource, tf.variant, tf.string):
        return 0
    return size_of(tensor) * int(tensor.dtype.size)


def _window(operation: tf.Operation, axes: int) -> int:
    # A kernel is (*window, channels of one group, filters).
    kernel: list[int] = operation.inputs[1].shape.as_list()
    return math.prod(kernel[:axes])


def _made(operation: tf.Operation) -> int:
    """Returns how many elements of a convolution's output are used.

    TensorFlow puts the pixels that a dilated kernel sees side by side, and
    pads them; what the padding adds is cut off afterwards.
    """
    (output,) = operation.outputs
    for consumer in output.consumers():
        if consumer.type == "Squeeze":  # of one axis in two
            return _made(consumer)
        if consumer.type == "BatchToSpaceND":
            return size_of(consumer.outputs[0])
    return size_of(output)


def _convolution(operation: tf.Operation) -> int:
    return _made(operation) * _window(operation, -1)


def _depthwise_convolution(operation: tf.Operation) -> int:
    return _made(operation) * _window(operation, 2)


def _transposed_convolution(operation: tf.Operation) -> int:
    # Each element that comes in is spread by the kernel of its channel. The
    # profiler divides by the strides instead: the same but for the border.
    return size_of(operation.inputs[2]) * _window(operation, -1)


def _matrix_product(operation: tf.Operation) -> int:
    transposed = "transpose_a" if operation.type == "MatMul" else "adj_x"
    contracted = -2 if operation.get_attr(transposed) else -1
    inner: int = operation.inputs[0].shape[contracted] or 1
    return size_of(operation.outputs[0]) * inner


def _einsum(operation: tf.Operation) -> int:
    sizes: dict[str, int] = {}
    equation = operation.get_attr("equation").decode()
    terms = equation.split("->")[0].split(",")
    for term, tensor in zip(terms, operation.inputs, strict=True):
        shape = tensor.shape.as_list()
        head, ellipsis, tail = term.partition("...")
        hidden = range(len(shape) - len(head) - len(tail))
        labels = [*head, *(f".{i}" for i in hidden if ellipsis), *tail]
        for label, size in zip(labels, shape, strict=True):
            sizes[label] = max(sizes.get(label, 1), size or 1)
    return math.prod(sizes.values()) if len(terms) > 1 else 0


def _fused_recurrence(operation: tf.Operation) -> int:
    # cuDNN packs all weights into one vector; each is used once a step.
    steps, batch, *_ = operation.inputs[0].shape.as_list()
    return int((steps or 1) * (batch or 1)) * size_of(operation.inputs[3])


_MULTIPLY_ADDS: dict[str, Callable[[tf.Operation], int]] = {
    "BatchMatMul": _matrix_product,
    "BatchMatMulV2": _matrix_product,
    "BatchMatMulV3": _matrix_product,
    "Conv2D": _convolution,
    "Conv2DBackpropInput": _transposed_convolution,
    "Conv3D": _convolution,
    "Conv3DBackpropInputV2": _transposed_convolution,
    "CudnnRNNV3": _fused_recurrence,
    "DepthwiseConv2dNative": _depthwise_convolution,
    "Einsum": _einsum,
    "MatMul": _matrix_product,
}


def multiply_adds_of(operation: tf.Operation) -> int:
    """Counts the multiply-adds of a product, convolution or recurrence."""
    count = _MULTIPLY_ADDS.get(operation.type)
    return count(operation) if count else 0


def other_flops_of(operation: tf.Operation) -> int | None:
    """Counts the arithmetic apart from multiply-adds; `None` if not known.

    Integers are bookkeeping (shapes, indices) and count nothing, though the
    profiler counts them.
    """
    kind = operation.type
    outputs = [x for x in operation.outputs if x.dtype not in _BOOKKEEPING]
    if kind in _FREE or kind in _MULTIPLY_ADDS or not outputs:
        return 0
    if kind == "BiasAdd" or kind in _PER_OUTPUT:
        return size_of(outputs[0]) * _PER_OUTPUT.get(kind, 1)
    if kind in _REDUCTIONS:
        return size_of(operation.inputs[0])
    if kind in _POOLS:
        window: int = math.prod(operation.get_attr("ksize"))
        return size_of(outputs[0]) * window
    if kind == "AddN":
        return size_of(outputs[0]) * (len(operation.inputs) - 1)
    return None


_BOOKKEEPING = frozenset(
    (
        *(tf.int8, tf.int16, tf.int32, tf.int64, tf.uint8, tf.uint16),
        *(tf.uint32, tf.uint64, tf.bool, tf.resource, tf.string),
    )
)
