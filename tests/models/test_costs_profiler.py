"""FLOPs against TensorFlow's own profiler and against published figures."""

import functools

import keras
import pytest
import tensorflow as tf

from keras_evonas.models.costs import costs_of
from keras_evonas.models.costs.isolation import without_allocation
from tests.marks import everyday

pytestmark = pytest.mark.keras

layers = keras.layers
_profiler = tf.compat.v1.profiler


def application(name):
    return getattr(keras.applications, name)(
        weights=None, input_shape=(224, 224, 3)
    )


def sequential(shape, *stack):
    return keras.Sequential([keras.Input(shape), *stack])


def inverted_residual():
    inputs = keras.Input((32, 32, 16))
    hidden = layers.Conv2D(64, 1, use_bias=False)(inputs)
    hidden = layers.BatchNormalization()(hidden)
    hidden = layers.DepthwiseConv2D(5, padding="same")(hidden)
    hidden = layers.Conv2D(16, 1)(layers.ReLU(6)(hidden))
    outputs = layers.GlobalAveragePooling2D()(layers.Add()([inputs, hidden]))
    return keras.Model(inputs, layers.Dense(10, "softmax")(outputs))


def unrolled_lstm():
    return sequential((5, 8), layers.LSTM(16, unroll=True), layers.Dense(1))


SMALL = {
    "dense": lambda: sequential(
        (30,), layers.Dense(64, "tanh"), layers.Dense(10, "softmax")
    ),
    "cnn": lambda: sequential(
        (28, 28, 1),
        *(layers.Conv2D(16, 3), layers.MaxPooling2D(), layers.Flatten()),
        *(layers.Dropout(0.2), layers.Dense(10)),
    ),
    "cnn_1d": lambda: sequential(
        (50, 4),
        *(layers.Conv1D(8, 5, dilation_rate=2), layers.AveragePooling1D(2)),
        *(layers.SeparableConv1D(8, 3), layers.Flatten(), layers.Dense(1)),
    ),
    "cnn_3d": lambda: sequential(
        (8, 8, 8, 2), layers.Conv3D(4, 3), layers.Flatten(), layers.Dense(3)
    ),
    "separable": lambda: sequential(
        (24, 24, 3),
        *(layers.SeparableConv2D(8, 3), layers.LayerNormalization()),
        *(layers.Conv2D(16, 3, groups=4), layers.GlobalAveragePooling2D()),
    ),
    "inverted_residual": inverted_residual,
    "transposed": lambda: sequential(
        (8, 8, 3), layers.Conv2DTranspose(5, 2, strides=2), layers.Flatten()
    ),
    "unrolled_lstm": unrolled_lstm,
}
APPLICATIONS = [
    *("EfficientNetB0", "MobileNet", "MobileNetV2", "MobileNetV3Small"),
    *("ResNet50", "VGG16"),
]
LARGE_APPLICATIONS = [
    *("ConvNeXtTiny", "DenseNet121", "EfficientNetV2B0", "InceptionV3"),
    *("InceptionResNetV2", "MobileNetV3Large", "NASNetMobile"),
    *("ResNet50V2", "Xception"),
]


def profiled(graph):
    """FLOPs of a graph and of the functions that it calls."""
    # A function of Keras's backend that is compiled on its own, such as
    # `gelu`, is a single operation without arithmetic for the profiler.
    options = _profiler.ProfileOptionBuilder(
        _profiler.ProfileOptionBuilder.float_operation()
    )
    total = _profiler.profile(
        graph, options=options.with_empty_output().build()
    ).total_float_ops
    for operation in graph.get_operations():
        if operation.type in ("PartitionedCall", "StatefulPartitionedCall"):
            name = operation.get_attr("f").name
            total += profiled(graph._get_function(name).graph)
    return total


@functools.cache
def costs_and_profile(name):
    def measure():
        model = SMALL[name]() if name in SMALL else application(name)
        function = tf.function(
            lambda x: model(x, training=False), autograph=False
        )
        shape = tuple(model.inputs[0].shape[1:])
        spec = tf.TensorSpec((1, *shape))
        graph = function.get_concrete_function(spec).graph
        return costs_of(model), profiled(graph)

    return without_allocation(measure)


def check_within_a_hundredth(name):
    costs, profile = costs_and_profile(name)
    assert costs.flops == pytest.approx(profile, rel=0.01)
    assert not costs.unknown


@pytest.mark.parametrize("name", everyday(*SMALL, of=[*SMALL, *APPLICATIONS]))
def test_flops_agree_with_the_profiler(name):
    check_within_a_hundredth(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", LARGE_APPLICATIONS)
def test_flops_of_large_applications_agree_with_the_profiler(name):
    check_within_a_hundredth(name)


# From the papers and from Keras's own table: millions of parameters, billions
# of multiply-adds.
@pytest.mark.parametrize(
    ("name", "params", "multiply_adds"),
    [
        pytest.param("ResNet50", 25.6, 3.9, marks=pytest.mark.slow),
        ("MobileNetV2", 3.5, 0.30),
        pytest.param("EfficientNetB0", 5.3, 0.39, marks=pytest.mark.slow),
    ],
)
def test_published_figures(name, params, multiply_adds):
    costs, _ = costs_and_profile(name)
    assert costs.params / 1e6 == pytest.approx(params, abs=0.05)
    assert costs.multiply_adds / 1e9 == pytest.approx(multiply_adds, rel=0.02)
