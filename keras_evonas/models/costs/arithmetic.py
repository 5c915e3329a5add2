"""The costs of one TensorFlow operation: its arithmetic, and what it keeps.

The counts follow TensorFlow's own profiler (`tf.compat.v1.profiler`, option
`float_operation`) where it has a count, and extend it to operations that it
leaves out: `Einsum`, three-dimensional pooling, resizing, recurrences.
"""

import math
from collections.abc import Callable

import tensorflow as tf

# Operations for one element of the output.
_PER_OUTPUT = {
    **dict.fromkeys(
        (
            *("Abs", "Add", "AddV2", "Ceil", "ClipByValue", "Cumsum", "Div"),
            *("DivNoNan", "Equal", "Floor", "FloorDiv", "FloorMod", "Greater"),
            *("GreaterEqual", "Inv", "IsFinite", "IsInf", "IsNan", "Less"),
            *("LessEqual", "Log", "Maximum", "Minimum", "Mod", "Mul"),
            *("MulNoNan", "Neg", "NotEqual", "Pow", "RealDiv", "Reciprocal"),
            *("Rint", "Round", "Sign", "Sqrt", "Square", "Sub", "TruncateDiv"),
            *("StatelessRandomNormalV2", "StatelessRandomUniformV2"),
            *("StatelessTruncatedNormalV2", "Xdivy", "Xlogy"),
        ),
        1,
    ),
    # Activation functions count nothing, as in the profiler and in papers.
    **dict.fromkeys(
        (
            *("Acosh", "Asinh", "Atan", "Atan2", "Atanh", "Cos", "Cosh"),
            *("Elu", "Erf", "Erfc", "Exp", "Expm1", "LeakyRelu", "Log1p"),
            *("Relu", "Relu6", "Selu", "Sigmoid", "Sin", "Sinh", "Softplus"),
            *("Softsign", "Tan", "Tanh"),
        ),
        0,
    ),
    "Rsqrt": 2,
    "SquaredDifference": 2,
    "LogSoftmax": 5,
    "Softmax": 5,
    "LRN": 5,
    "FusedBatchNormV3": 2,
    # Two interpolations along one axis and one along the other.
    "ResizeBilinear": 6,
    "ScaleAndTranslate": 8,
    "ResizeBicubic": 30,
    "ImageProjectiveTransformV3": 6,
}

_REDUCTIONS = frozenset(
    (
        *("All", "Any", "ArgMax", "ArgMin", "EuclideanNorm", "Max", "Mean"),
        *("Min", "Prod", "SegmentSumV2", "Sum", "UnsortedSegmentSum"),
    )
)

# They move, name, cast or create values and compute nothing.
_FREE = frozenset(
    (
        *(
            "Assert",
            "AssignVariableOp",
            "AssignAddVariableOp",
            "BatchToSpaceND",
        ),
        *("AssignSubVariableOp", "Bitcast", "BroadcastArgs", "BroadcastTo"),
        *("Bucketize", "Cast", "CheckNumerics", "Concat", "ConcatV2", "Const"),
        *("DepthToSpace", "DynamicStitch", "DynamicPartition", "EnsureShape"),
        *("Empty", "ExpandDims", "Fill", "Gather", "GatherNd", "GatherV2"),
        *("Identity", "IdentityN", "InvertPermutation", "LogicalAnd"),
        *("LogicalNot", "LogicalOr", "MatrixBandPart", "MatrixDiagV3"),
        *("MirrorPad", "NoOp", "OneHot", "OnesLike", "Pack", "Pad", "PadV2"),
        *("Placeholder", "PlaceholderWithDefault", "PreventGradient", "Range"),
        *("Rank", "ReadVariableOp", "RefSwitch", "Reshape", "ResourceGather"),
        *("ResizeNearestNeighbor", "Reverse", "ReverseV2", "ReverseSequence"),
        *("Roll", "ScatterNd", "Select", "SelectV2", "Shape", "ShapeN", "Size"),
        *("Slice", "SpaceToBatchND", "SpaceToDepth", "Split", "SplitV"),
        *("Squeeze", "StopGradient", "StridedSlice", "TensorListConcatV2"),
        *("TensorListElementShape", "TensorListFromTensor", "TensorListGather"),
        *("TensorListGetItem", "TensorListLength", "TensorListPushBack"),
        *("TensorListReserve", "TensorListSetItem", "TensorListStack"),
        *("TensorScatterUpdate", "Tile", "TopKV2", "Transpose", "Unpack"),
        *("Unique", "VarHandleOp", "Where", "ZerosLike", "EmptyTensorList"),
        *("LookupTableFindV2", "HashTableV2", "StaticRegexReplace"),
        *("TensorScatterAdd", "ResourceScatterAdd", "Sort"),
        *("StatelessRandomGetKeyCounter", "StatelessRandomGetAlg"),
    )
)

_POOLS = frozenset(("AvgPool", "AvgPool3D", "MaxPool", "MaxPool3D"))

# The gradients of these operations need their inputs ...
KEEPS_INPUTS = frozenset(
    (
        *("Abs", "BatchMatMul", "BatchMatMulV2", "BatchMatMulV3", "Conv2D"),
        *("Conv2DBackpropInput", "Conv3D", "Conv3DBackpropInputV2", "Cos"),
        *("CudnnRNNV3", "DepthwiseConv2dNative", "Div", "Einsum", "Erf"),
        *("FusedBatchNormV3", "LeakyRelu", "Log", "Log1p", "MatMul"),
        *("MaxPool", "MaxPool3D", "Maximum", "Minimum", "Mul", "Pow"),
        *("RealDiv", "Sin", "Softplus", "Softsign", "Square"),
        *("SquaredDifference", "Max", "Min", "LRN"),
    )
)
# ... and those of these their outputs.
KEEPS_OUTPUTS = frozenset(
    (
        *("CudnnRNNV3", "Elu", "Exp", "Expm1", "LogSoftmax", "MaxPool"),
        *("MaxPool3D", "Reciprocal", "Relu", "Relu6", "Rsqrt", "Selu"),
        *("Sigmoid", "Softmax", "Sqrt", "Tanh"),
    )
)
# These share the memory of their input.
VIEWS = frozenset(
    (
        *("EnsureShape", "ExpandDims", "Identity", "PreventGradient"),
        *("Reshape", "Squeeze", "StopGradient"),
    )
)


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


def _convolution(operation: tf.Operation) -> int:
    # A kernel is (*window, channels of one group, filters).
    kernel: list[int] = operation.inputs[1].shape.as_list()
    return size_of(operation.outputs[0]) * math.prod(kernel[:-1])


def _depthwise_convolution(operation: tf.Operation) -> int:
    kernel: list[int] = operation.inputs[1].shape.as_list()
    return size_of(operation.outputs[0]) * math.prod(kernel[:2])


def _transposed_convolution(operation: tf.Operation) -> int:
    # Each element that comes in is spread by the kernel of its channel. The
    # profiler divides by the strides instead: the same but for the border.
    kernel: list[int] = operation.inputs[1].shape.as_list()
    return size_of(operation.inputs[2]) * math.prod(kernel[:-1])


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
