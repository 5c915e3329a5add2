"""Models that take one batch size only, and models that are not built."""

import dataclasses

import keras
import numpy as np
import pytest

from keras_evonas.models import zero_cost
from keras_evonas.models.costs import ModelCosts
from keras_evonas.models.costs import costs_of
from keras_evonas.models.costs import costs_of_build
from keras_evonas.models.costs import latency_ms

pytestmark = pytest.mark.keras

L = keras.layers
BATCH = 8


def sequential(shape, *layers, dtype=None):
    """A function of the batch size, and whether it is stateful."""

    def build(batch_size, stateful=False):
        keras.utils.set_random_seed(0)
        made = [layer(stateful) for layer in layers]
        inputs = keras.Input(batch_shape=(batch_size, *shape), dtype=dtype)
        model = keras.Sequential([inputs, *made])
        model.compile("adam", "mse")
        return model

    return build


def two_by_two(batch_size, stateful=False):
    """Two inputs, of which one leaves the batch open, and two outputs."""
    keras.utils.set_random_seed(0)
    image = keras.Input(batch_shape=(batch_size, 6, 6, 2), name="image")
    words = keras.Input(
        batch_shape=(batch_size if stateful else None, 5),
        dtype="int32",
        name="words",
    )
    flat = L.Flatten()(L.Conv2D(4, 3, activation="relu")(image))
    vector = L.LSTM(3, stateful=stateful)(L.Embedding(7, 3)(words))
    both = L.Concatenate()([flat, vector])
    outputs = [L.Dense(2)(both), L.Dense(3, activation="relu")(flat)]
    model = keras.Model({"image": image, "words": words}, outputs)
    model.compile("adam", ["mse", "mse"])
    return model


PLAIN = {
    "dense": sequential(
        (4,), lambda _: L.Dense(8, "relu"), lambda _: L.Dense(2)
    ),
    # As many channels as examples: their statistics do not count by example.
    "normalized": sequential(
        (6, 6, 3),
        lambda _: L.Conv2D(BATCH, 3),
        lambda _: L.BatchNormalization(),
        lambda _: L.ReLU(),
        lambda _: L.GlobalAveragePooling2D(),
        lambda _: L.Dense(2),
    ),
    "two_by_two": two_by_two,
}
RECURRENT = {
    "lstm": sequential(
        (5, 3), lambda keep: L.LSTM(6, stateful=keep), lambda _: L.Dense(2)
    ),
    "unrolled": sequential(
        (5, 3),
        lambda keep: L.LSTM(6, stateful=keep, unroll=True),
        lambda _: L.Dense(2),
    ),
    "stacked": sequential(
        (5, 3),
        lambda keep: L.GRU(6, stateful=keep, return_sequences=True),
        lambda keep: L.Bidirectional(L.SimpleRNN(4, stateful=keep)),
        lambda _: L.Dense(2),
    ),
    "inside": sequential(
        (5, 3),
        lambda keep: keras.Sequential([L.LSTM(6, stateful=keep)]),
        lambda _: L.Dense(2),
    ),
    "two_by_two": two_by_two,
}
CASES = [
    *((name, build, False) for name, build in (PLAIN | RECURRENT).items()),
    *((name, build, True) for name, build in RECURRENT.items()),
]
each_case = pytest.mark.parametrize(
    ("build", "stateful"),
    [
        pytest.param(build, keep, id=name + "-stateful" * keep)
        for name, build, keep in CASES
    ],
)


def inputs_and_targets(model):
    rng = np.random.default_rng(0)
    tensors = model.inputs
    x = [
        rng.integers(0, 7, (BATCH, *one.shape[1:]))
        if one.dtype == "int32"
        else rng.normal(size=(BATCH, *one.shape[1:])).astype("float32")
        for one in tensors
    ]
    y = [np.ones((BATCH, *one.shape[1:]), "float32") for one in model.outputs]
    if len(x) > 1:
        return {
            one.name: value for one, value in zip(tensors, x, strict=True)
        }, y
    return x[0], y[0]


def states_of(model):
    model = (
        model.layers[0]
        if isinstance(model.layers[0], keras.Sequential)
        else model
    )
    return [
        keras.ops.convert_to_numpy(state)
        for layer in model.layers
        for state in keras.tree.flatten(getattr(layer, "states", None))
        if state is not None
    ]


@each_case
def test_costs_are_those_of_the_model_for_any_batch_size(build, stateful):
    free = costs_of_build(lambda: build(None), batch_size=BATCH)
    # The batch size of the model counts, not that of the call.
    fixed = costs_of_build(lambda: build(BATCH, stateful), batch_size=3)
    bare = dataclasses.replace
    assert bare(fixed, training_bytes=0) == bare(free, training_bytes=0)
    assert fixed.training_bytes == pytest.approx(free.training_bytes, rel=0.1)
    assert costs_of(build(BATCH, stateful)) == fixed


@each_case
def test_latency_leaves_the_states_as_they_were(build, stateful):
    model = build(BATCH, stateful)
    x, _ = inputs_and_targets(model)
    model.predict_on_batch(x)
    before = states_of(model)
    assert bool(before) == stateful
    assert any(np.any(state) for state in before) == stateful
    assert latency_ms(model, repeats=2) > 0
    for old, new in zip(before, states_of(model), strict=True):
        np.testing.assert_array_equal(old, new)


@each_case
def test_scores_are_those_of_the_model_for_any_batch_size(build, stateful):
    free, fixed = build(None), build(BATCH, stateful)
    x, y = inputs_and_targets(free)
    for score, arguments in (
        (zero_cost.activation_overlap, (x,)),
        (zero_cost.gradient_norm, (x, y)),
        (zero_cost.synflow, (x,)),
    ):
        wanted = score(free, *arguments)
        # The states stay zero, as a call begins without them in `free`.
        for _ in range(2):
            found = score(fixed, *arguments)
            assert found == pytest.approx(wanted, rel=1e-4), score.__name__


def test_a_stateful_model_that_is_not_built_takes_the_batch_size():
    def build():
        return keras.Sequential([L.LSTM(6, stateful=True), L.Dense(2)])

    found = costs_of_build(build, input_shapes=(5, 3), batch_size=BATCH)
    assert found.multiply_adds == 5 * 4 * 6 * (3 + 6) + 6 * 2
    model = build()
    model(np.zeros((BATCH, 5, 3), "float32"))
    assert costs_of(model, input_shapes=(5, 3)) == found
    assert latency_ms(model, repeats=2, input_shapes=(5, 3)) > 0


class NeverCalled(keras.Model):
    """Has trained parts, as a GAN has, and no `call` of its own."""

    def __init__(self):
        super().__init__()
        self.generator = keras.Sequential([L.Dense(3)])
        self.critic = keras.Sequential([L.Dense(1)])
        self.unused = L.Dense(9)

    def train_step(self, data):
        return {"loss": keras.ops.mean(self.critic(self.generator(data[0])))}


def test_a_model_that_was_never_called_has_parameters():
    model = NeverCalled()
    model.compile("sgd")
    model.fit(np.zeros((4, 2), "float32"), np.zeros(4), verbose=0)
    with pytest.warns(UserWarning, match="of the model") as caught:
        costs = ModelCosts(latency=True)(model)
    assert costs == {"params": 2 * 3 + 3 + 3 + 1}
    assert [str(one.message).split(" of ")[0] for one in caught] == [
        "The costs",
        "The latency",
    ]
    with pytest.warns(UserWarning, match="determined but for its parameters"):
        assert ModelCosts()(NeverCalled()) == {"params": 0}
