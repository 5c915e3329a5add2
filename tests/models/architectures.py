"""Twelve architectures as users build them."""

import keras
from keras import layers


def mlp():
    return keras.Sequential(
        [
            keras.Input((12,)),
            layers.Dense(8, activation="relu"),
            layers.Dropout(0.2),
            layers.Dense(8, activation="tanh"),
            layers.Dense(3, activation="softmax"),
        ]
    )


def cnn():
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(4, 3, padding="same", use_bias=False),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.MaxPooling2D(),
            layers.Conv2D(6, 3, activation="relu"),
            layers.Flatten(),
            layers.Dense(10, activation="softmax"),
        ]
    )


def _residual(x, filters, strides=1):
    shortcut = x
    for index in range(2):
        step = strides if index == 0 else 1
        x = layers.Conv2D(filters, 3, strides=step, padding="same")(x)
        x = layers.BatchNormalization()(x)
        x = layers.Activation("relu")(x) if index == 0 else x
    if shortcut.shape != x.shape:
        shortcut = layers.Conv2D(filters, 1, strides=strides)(shortcut)
    return layers.ReLU()(layers.Add()([x, shortcut]))


def residual():
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, padding="same")(inputs)
    x = _residual(x, 4)
    x = _residual(x, 8, strides=2)
    x = _residual(x, 8)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(5)(x))


def several_inputs_and_outputs():
    image = keras.Input((8, 8, 1), name="image")
    numbers = keras.Input((5,), name="numbers")
    x = layers.Conv2D(4, 3, padding="same", activation="relu")(image)
    x = layers.GlobalMaxPooling2D()(x)
    y = layers.Dense(6, activation="relu")(numbers)
    z = layers.Concatenate()([x, y])
    z = layers.Dense(7, activation="gelu")(z)
    return keras.Model(
        {"image": image, "numbers": numbers},
        {
            "class": layers.Dense(3, activation="softmax", name="class")(z),
            "age": layers.Dense(1, name="age")(z),
        },
    )


def squeeze_excite():
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(8, 3, padding="same")(inputs)
    s = layers.GlobalAveragePooling2D()(x)
    s = layers.Reshape((1, 1, 8))(s)
    s = layers.Conv2D(2, 1, activation="relu")(s)
    s = layers.Conv2D(8, 1, activation="sigmoid")(s)
    x = layers.Multiply()([x, s])
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(4)(x))


def separable():
    return keras.Sequential(
        [
            keras.Input((9, 9, 2)),
            layers.SeparableConv2D(6, 3, padding="same", strides=2),
            layers.LayerNormalization(),
            layers.Activation("gelu"),
            layers.DepthwiseConv2D(3, padding="same", activation="relu"),
            layers.Conv2D(5, 1),
            layers.DepthwiseConv2D(3, depth_multiplier=2),
            layers.GlobalAveragePooling2D(),
            layers.Dense(2),
        ]
    )


def text():
    inputs = keras.Input((7,), dtype="int32")
    x = layers.Embedding(20, 6, mask_zero=True)(inputs)
    x = layers.LSTM(5, return_sequences=True)(x)
    x = layers.GRU(4)(x)
    return keras.Model(inputs, layers.Dense(1, activation="sigmoid")(x))


def sequence():
    inputs = keras.Input((16, 3))
    x = layers.Conv1D(6, 3, padding="causal", activation="relu")(inputs)
    x = layers.Conv1D(6, 3, padding="same", dilation_rate=2)(x)
    x = layers.SpatialDropout1D(0.1)(x)
    x = x * 2.0 + layers.Conv1D(6, 1)(inputs)
    x = layers.GlobalAveragePooling1D()(x)
    return keras.Model(inputs, layers.Dense(2)(x))


def inception():
    inputs = keras.Input((8, 8, 3))
    branches = [
        layers.Conv2D(4, 1, activation="relu")(inputs),
        layers.Conv2D(5, 3, padding="same", activation="relu")(inputs),
        layers.AveragePooling2D(3, strides=1, padding="same")(inputs),
    ]
    x = layers.Concatenate()(branches)
    x = layers.BatchNormalization()(x)
    x = layers.Conv2D(6, 3, padding="same", activation="relu")(x)
    x = layers.Flatten()(x)
    return keras.Model(inputs, layers.Dense(3)(x))


def u_net():
    inputs = keras.Input((8, 8, 1))
    a = layers.Conv2D(4, 3, padding="same", activation="relu")(inputs)
    b = layers.MaxPooling2D()(a)
    b = layers.Conv2D(8, 3, padding="same", activation="relu")(b)
    c = layers.Conv2DTranspose(4, 2, strides=2)(b)
    c = layers.Concatenate()([a, c])
    c = layers.Conv2D(4, 3, padding="same", activation="relu")(c)
    return keras.Model(inputs, layers.Conv2D(1, 1, activation="sigmoid")(c))


def frozen_backbone():
    backbone = cnn()
    backbone = keras.Model(backbone.inputs, backbone.layers[-2].output)
    backbone.trainable = False
    inputs = keras.Input((8, 8, 1))
    x = layers.Rescaling(1 / 255)(inputs)
    x = backbone(x)
    x = layers.Dense(8, activation="relu")(x)
    return keras.Model(inputs, layers.Dense(2)(x))


def mobile_net():
    return keras.applications.MobileNetV2(
        (32, 32, 3), alpha=0.35, weights=None, classes=10
    )


ARCHITECTURES = {
    function.__name__: function
    for function in (
        *(mlp, cnn, residual, several_inputs_and_outputs, squeeze_excite),
        *(separable, text, sequence, inception, u_net, frozen_backbone),
        mobile_net,
    )
}
