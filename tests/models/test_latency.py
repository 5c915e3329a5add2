"""Measured latency."""

import math

import keras
import numpy as np
import pytest

from keras_evonas.models.costs import latency_ms

pytestmark = pytest.mark.keras

layers = keras.layers


def test_latency_is_positive_and_leaves_the_model_as_it_was():
    model = keras.Sequential(
        [keras.Input((4,)), layers.BatchNormalization(), layers.Dense(2)]
    )
    before = [weight.copy() for weight in model.get_weights()]
    latency = latency_ms(model, repeats=3)
    assert latency > 0
    assert math.isfinite(latency)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_latency_of_several_inputs_of_several_types():
    words = keras.Input((5,), dtype="int32", name="words")
    image = keras.Input((4, 4, 1), name="image")
    vector = layers.Flatten()(layers.Embedding(3, 2)(words))
    both = layers.Concatenate()([vector, layers.Flatten()(image)])
    inputs = {"words": words, "image": image}
    model = keras.Model(inputs, layers.Dense(1)(both))
    assert latency_ms(model, repeats=1) > 0


def test_latency_of_texts():
    words = layers.TextVectorization(output_sequence_length=4)
    words.adapt(["a text", "another text"])
    inputs = keras.Input((1,), dtype="string")
    x = layers.Flatten()(layers.Embedding(9, 2)(words(inputs)))
    assert latency_ms(keras.Model(inputs, layers.Dense(1)(x)), repeats=1) > 0


def test_latency_needs_shapes_that_are_known():
    inputs = keras.Input((None, None, 3))
    model = keras.Model(inputs, layers.Conv2D(1, 3)(inputs))
    with pytest.raises(ValueError, match="`input_shapes` must be given"):
        latency_ms(model)
    assert latency_ms(model, repeats=1, input_shapes=(8, 8, 3)) > 0


def test_repeats_out_of_range():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(2)])
    with pytest.raises(ValueError, match="`repeats` must be a positive"):
        latency_ms(model, repeats=0)
