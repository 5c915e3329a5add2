"""Costs of models: exact, complete, and without memory or traces."""

import random
import threading

import keras
import numpy as np
import psutil
import pytest
import tensorflow as tf

from keras_evonas.models.costs import costs_of
from keras_evonas.models.costs import costs_of_build

pytestmark = pytest.mark.keras

layers = keras.layers


def mlp(units=8):
    return keras.Sequential(
        [keras.Input((4,)), layers.Dense(units), layers.Dense(1)]
    )


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.hidden = layers.Dense(8)
        self.out = layers.Dense(1)

    def call(self, inputs):
        return self.out(self.hidden(inputs))


def test_dense_by_hand():
    costs = costs_of_build(mlp)
    assert costs.params == 4 * 8 + 8 + 8 + 1
    assert costs.trainable_params == costs.params
    assert costs.multiply_adds == 4 * 8 + 8
    assert costs.flops == 2 * costs.multiply_adds + 8 + 1  # the biases
    assert costs.weight_bytes == 4 * costs.params
    assert costs.depth == 2
    assert costs.unknown == ()


def test_built_model_costs_the_same_as_its_build():
    assert costs_of(mlp()) == costs_of_build(mlp)


def test_frozen_weights_are_not_trainable():
    def build():
        model = mlp()
        model.layers[0].trainable = False
        return model

    costs = costs_of_build(build)
    assert costs.params - costs.trainable_params == 4 * 8 + 8


def test_subclassed_model_costs_as_the_sequential_one():
    costs = costs_of_build(Subclassed, input_shapes=(4,))
    assert costs == costs_of_build(mlp)


def test_subclassed_model_needs_shapes():
    with pytest.raises(ValueError, match="`input_shapes` must be given"):
        costs_of_build(Subclassed)


def test_built_subclassed_model():
    model = Subclassed()
    model(np.zeros((1, 4), "float32"))
    assert costs_of(model, input_shapes=(4,)).params == 49


def test_model_that_is_not_built():
    with pytest.raises(ValueError, match="`model` must be built"):
        costs_of(Subclassed())


def test_sizes_of_none_need_shapes():
    def build():
        inputs = keras.Input((None, None, 3))
        return keras.Model(inputs, layers.Conv2D(2, 3)(inputs))

    with pytest.raises(ValueError, match=r"\(None, None, None, 3\)"):
        costs_of_build(build)
    costs = costs_of_build(build, input_shapes=(8, 8, 3))
    assert costs.multiply_adds == 6 * 6 * 2 * 3 * 3 * 3


@pytest.mark.parametrize("structure", ["list", "dictionary"])
def test_several_inputs_and_outputs(structure):
    def build():
        image = keras.Input((8, 8, 1), name="image")
        words = keras.Input((5,), dtype="int32", name="words")
        flat = layers.Flatten()(image)
        vector = layers.Flatten()(layers.Embedding(10, 3)(words))
        both = layers.Concatenate()([flat, vector])
        inputs = [image, words]
        if structure == "dictionary":
            inputs = {"image": image, "words": words}
        return keras.Model(
            inputs, [layers.Dense(2)(both), layers.Dense(3)(flat)]
        )

    costs = costs_of_build(build)
    assert costs.params == 10 * 3 + (64 + 15) * 2 + 2 + 64 * 3 + 3
    assert costs.multiply_adds == (64 + 15) * 2 + 64 * 3
    assert costs.depth == 1
    assert costs_of(build()) == costs


def test_layer_of_unknown_cost_is_named():
    class Spectrum(layers.Layer):
        def call(self, inputs):
            return tf.math.real(tf.signal.fft(tf.cast(inputs, tf.complex64)))

    def build():
        inputs = keras.Input((16,))
        hidden = Spectrum(name="spectrum")(layers.Dense(16)(inputs))
        return keras.Model(inputs, layers.Dense(1)(hidden))

    costs = costs_of_build(build)
    assert costs.unknown
    assert all("spectrum" in name for name in costs.unknown)
    assert any("FFT" in name for name in costs.unknown)
    assert costs.multiply_adds == 16 * 16 + 16


def test_recurrence_counts_every_step():
    def build(layer):
        return keras.Sequential([keras.Input((7, 3)), layer])

    lstm = costs_of_build(lambda: build(layers.LSTM(5)))
    assert lstm.multiply_adds == 7 * 4 * 5 * (3 + 5)
    gru = costs_of_build(lambda: build(layers.GRU(5)))
    assert gru.multiply_adds == 7 * 3 * 5 * (3 + 5)
    simple = costs_of_build(lambda: build(layers.SimpleRNN(5)))
    assert simple.multiply_adds == 7 * 5 * (3 + 5)
    assert lstm.unknown == gru.unknown == simple.unknown == ()


def test_attention_by_hand():
    def build():
        inputs = keras.Input((6, 8))
        attention = layers.MultiHeadAttention(num_heads=2, key_dim=4)
        return keras.Model(inputs, attention(inputs, inputs))

    projections = 4 * 6 * 8 * 8  # query, key, value and output
    products = 2 * (2 * 6 * 6 * 4)  # scores and their use, for each head
    assert costs_of_build(build).multiply_adds == projections + products


def test_huge_model_takes_no_memory():
    def build():
        model = keras.Sequential(
            [keras.Input((65_536,)), layers.Dense(65_536), layers.Dense(10)]
        )
        model.compile("adam", "mse")
        return model

    costs_of_build(mlp)  # what TensorFlow takes once does not count
    before = psutil.Process().memory_info().rss
    costs = costs_of_build(build)
    assert psutil.Process().memory_info().rss - before < 100e6
    assert costs.params == 65_536**2 + 65_536 + 65_536 * 10 + 10
    assert costs.weight_bytes == 4 * costs.params
    # Weights, gradients and Adam's two slots at least.
    assert costs.training_bytes > 4 * costs.weight_bytes


@pytest.mark.slow
def test_costs_of_many_builds_do_not_pile_up():
    def rss():
        return psutil.Process().memory_info().rss

    for _ in range(20):
        costs_of_build(mlp)
    before = rss()
    for _ in range(60):
        costs_of_build(mlp)
    assert rss() - before < 60e6


@pytest.mark.parametrize("ask_for_costs", [True, False])
def test_no_trace_is_left(ask_for_costs):
    def build():
        model = mlp()
        model.add(layers.Dropout(0.5))
        random.random(), np.random.random()  # noqa: NPY002
        keras.utils.set_random_seed(7)
        model.compile("adam", "mse")
        return model

    def names_and_numbers(ask_for_costs):
        keras.backend.clear_session(free_memory=False)
        keras.utils.set_random_seed(3)
        layers.Dense(1)
        if ask_for_costs:
            costs_of_build(build)
        drawn = keras.random.uniform((2,)), tf.random.uniform((2,))
        numpy_drawn = np.random.random()  # noqa: NPY002
        numbers = [random.random(), numpy_drawn, *np.ravel(drawn)]
        return layers.Dense(1).name, numbers

    threads = threading.active_count()
    assert names_and_numbers(ask_for_costs) == names_and_numbers(False)
    assert threading.active_count() == threads


@pytest.mark.parametrize(
    ("shape", "layer", "count"),
    [
        ((8, 8, 16), layers.Conv2D(16, 3, dilation_rate=18), 8 * 8 * 16 * 144),
        ((9, 9, 9, 2), layers.Conv3D(2, 3, dilation_rate=2), 9**3 * 2 * 54),
        ((11, 11, 4), layers.DepthwiseConv2D(3, dilation_rate=2), 121 * 4 * 9),
        ((100, 4), layers.Conv1D(4, 8, dilation_rate=64), 100 * 4 * 32),
    ],
)
def test_dilation_costs_nothing(shape, layer, count):
    layer.padding = "same"
    model = keras.Sequential([keras.Input(shape), layer])
    assert costs_of(model).multiply_adds == count


def test_a_network_may_ask_how_much_a_layer_looks_up():
    def build():
        inputs = keras.Input((2,), dtype="string")
        lookup = layers.StringLookup(vocabulary=["a", "b", "c"])
        table = layers.Embedding(lookup.vocabulary_size(), 5)
        outputs = layers.Flatten()(table(lookup(inputs)))
        return keras.Model(inputs, outputs)

    assert costs_of_build(build).params == 4 * 5
    assert costs_of_build(build) == costs_of(build())


def test_error_of_the_build_arrives():
    def build():
        raise KeyError("mistake")

    with pytest.raises(KeyError, match="mistake"):
        costs_of_build(build)


@pytest.mark.parametrize("batch_size", [0, -1])
def test_batch_size_out_of_range(batch_size):
    with pytest.raises(ValueError, match="`batch_size` must be a positive"):
        costs_of_build(mlp, batch_size=batch_size)


def test_optimizer_slots():
    def cost(compiled_with, **arguments):
        def build():
            model = mlp(1000)
            if compiled_with:
                model.compile(compiled_with, "mse")
            return model

        return costs_of_build(build, **arguments).training_bytes

    bare = cost(None)
    assert cost("sgd") < cost("adam")
    assert cost("adam") - bare > 2 * 4 * 6001  # two slots a weight
    assert cost(None, optimizer="adam") == cost("adam")
    assert cost("sgd", optimizer="adam") == cost("adam")
    adam = keras.optimizers.Adam()
    assert cost(None, optimizer=adam) == cost("adam")
    assert not adam.built


def test_training_takes_more_for_larger_batches():
    small = costs_of_build(mlp, batch_size=1)
    large = costs_of_build(mlp, batch_size=1000)
    assert large.training_bytes > small.training_bytes
    assert large.flops == small.flops


def test_half_precision_halves_the_weights_bytes():
    policy = keras.config.dtype_policy()
    try:
        keras.config.set_dtype_policy("float16")
        costs = costs_of_build(mlp)
    finally:
        keras.config.set_dtype_policy(policy)
    assert costs.weight_bytes == 2 * costs.params
