"""Calls of `fit`: those that no network could train with, and legal ones.

Each is a pair of what makes the network and of what makes the arguments, since
generators can be read only once. Networks take the arguments of `compile`.
"""

import functools

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

RNG = np.random.default_rng(0)
X = RNG.random((40, 3), "float32")
Y = RNG.random((40, 1), "float32")
LABELS = np.arange(40) % 4
ONE_HOT = np.eye(4, dtype="float32")[LABELS]
EXAMPLES = tf.data.Dataset.from_tensor_slices((X, Y))
BATCHES = EXAMPLES.batch(8)
RAGGED = np.empty(40, object)
RAGGED[:] = [[1.0] * (1 + place % 3) for place in range(40)]
WORDS = np.array(["a", "b"] * 20)


def network(units=1, loss="mse", shape=(3,), batch_size=None, **compiled):
    activation = "linear" if units == 1 else "softmax"
    inputs = keras.Input(shape, batch_size=batch_size)
    model = keras.Model(inputs, keras.layers.Dense(units, activation)(inputs))
    model.compile("sgd", loss, **compiled)
    return model


regression = network
one_hot = functools.partial(network, 4, "categorical_crossentropy")
sparse = functools.partial(network, 4, "sparse_categorical_crossentropy")


def two_inputs(by_name=True, shapes=((3,), (2,)), batch_size=None, **compiled):
    inputs = {
        name: keras.Input(shape, name=name, batch_size=batch_size)
        for name, shape in zip("ab", shapes, strict=True)
    }
    joined = keras.layers.Concatenate()(list(inputs.values()))
    outputs = keras.layers.Dense(1)(joined)
    model = keras.Model(inputs if by_name else [*inputs.values()], outputs)
    model.compile("sgd", "mse", **compiled)
    return model


def two_outputs(batch_size=None, **compiled):
    inputs = keras.Input((3,), batch_size=batch_size)
    outputs = {
        "number": keras.layers.Dense(1, name="number")(inputs),
        "kind": keras.layers.Dense(4, "softmax", name="kind")(inputs),
    }
    model = keras.Model(inputs, outputs)
    losses = {"number": "mse", "kind": "sparse_categorical_crossentropy"}
    model.compile("sgd", losses, **compiled)
    return model


class Subclass(keras.Model):
    """A network whose inputs are unknown until it is called."""

    def __init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(1)

    def call(self, x):
        return self.dense(x)


def subclassed(kind=Subclass, loss="mse", batch_size=None, **compiled):
    model = kind()
    model.compile("sgd", loss, **compiled)
    return model


def without_input(batch_size=None, **compiled):
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile("sgd", "mse", **compiled)
    return model


def generator(times=1000):
    for _ in range(times):
        yield X, Y


def ended():
    data = generator(1)
    list(data)
    return data


class Batches(keras.utils.PyDataset):
    """Gives the same batch again and again."""

    def __init__(self, *batch, number=2):
        super().__init__()
        self.batch = batch if len(batch) != 1 else batch[0]
        self.number = number

    @property
    def num_batches(self):
        return self.number

    def __getitem__(self, index):
        return self.batch


class Nothing(keras.callbacks.Callback):
    """Does nothing."""


def _on(build, **call):
    return build, lambda: {"x": X, "y": Y, **call}


def _labels(build, labels, **call):
    return build, lambda: {"x": X, "y": labels, **call}


def _data(build, data, **call):
    made = data if callable(data) else lambda: data
    return build, lambda: {"x": made(), **call}


def _validation(build, data, **call):
    return _on(build, validation_data=data, **call)


# By the words of the message, in its order.
BAD = {
    # Numbers.
    ("`epochs`", "integer", "2.0"): _on(regression, epochs=2.0),
    ("`epochs`", "integer", "'2'"): _on(regression, epochs="2"),
    ("`epochs`", "integer", "None"): _on(regression, epochs=None),
    ("`initial_epoch`", "integer", "0.5"): _on(regression, initial_epoch=0.5),
    ("`epochs`", "greater", "epochs=0"): _on(regression, epochs=0),
    ("`batch_size`", "positive", "8.5"): _on(regression, batch_size=8.5),
    ("`batch_size`", "positive", "8.0"): _on(regression, batch_size=8.0),
    ("`batch_size`", "positive", "=0"): _on(regression, batch_size=0),
    ("`batch_size`", "positive", "-8"): _on(regression, batch_size=-8),
    ("`batch_size`", "positive", "'8'"): _on(regression, batch_size="8"),
    ("`validation_batch_size`", "8.5"): _on(
        regression, validation_split=0.5, validation_batch_size=8.5
    ),
    ("`steps_per_epoch`", "=0"): _on(regression, steps_per_epoch=0),
    ("`steps_per_epoch`", "-1"): _data(regression, BATCHES, steps_per_epoch=-1),
    ("`steps_per_epoch`", "2.5"): _on(regression, steps_per_epoch=2.5),
    ("`validation_steps`", "-1"): _validation(
        regression, (X, Y), validation_steps=-1
    ),
    ("`validation_freq`", "=0"): _validation(
        regression, (X, Y), validation_freq=0
    ),
    ("`validation_freq`", "1.5"): _validation(
        regression, (X, Y), validation_freq=1.5
    ),
    ("`validation_freq`", "int64", "int(...)"): _validation(
        regression, (X, Y), validation_freq=np.int64(1)
    ),
    ("`validation_freq`", "range", "list(...)"): _validation(
        regression, (X, Y), validation_freq=range(1, 3)
    ),
    ("`shuffle`", "'no'"): _on(regression, shuffle="no"),
    # Callbacks.
    ("`callbacks`", "'early'"): _on(regression, callbacks="early"),
    ("`callbacks`", "'early'", "EarlyStopping"): _on(
        regression, callbacks=[["early"]]
    ),
    ("`callbacks`", "class Nothing", "`Nothing(...)`"): _on(
        regression, callbacks=[Nothing]
    ),
    ("`callbacks`", "function", "LambdaCallback"): _on(
        regression, callbacks=[generator]
    ),
    # Weights.
    ("`class_weight`", "dictionary", "list", "enumerate"): _labels(
        sparse, LABELS, class_weight=[1.0, 2.0, 3.0, 4.0]
    ),
    ("`class_weight`", "dictionary", "ndarray", "enumerate"): _labels(
        sparse, LABELS, class_weight=np.ones(4)
    ),
    ("`class_weight`", "integers", "'a'"): _labels(
        sparse, LABELS, class_weight={"a": 1.0}
    ),
    ("`class_weight`", "0 or more", "-1.0"): _labels(
        sparse, LABELS, class_weight={0: -1.0}
    ),
    ("`class_weight`", "0 or more", "'heavy'"): _labels(
        sparse, LABELS, class_weight={0: "heavy"}
    ),
    ("`class_weight`", "0 or more", "nan"): _labels(
        sparse, LABELS, class_weight={0: float("nan")}
    ),
    ("`class_weight`", "integers", "0.0"): _data(
        regression, BATCHES, class_weight={0.0: 1.0}
    ),
    ("`class_weight`", "{}"): _data(regression, BATCHES, class_weight={}),
    ("`class_weight`", "`sample_weight` too"): _labels(
        sparse, LABELS, class_weight={0: 1.0}, sample_weight=np.ones(40)
    ),
    ("`class_weight`", "no `y`"): _labels(sparse, None, class_weight={0: 1.0}),
    ("`class_weight`", "several outputs"): _labels(
        two_outputs, {"number": Y, "kind": LABELS}, class_weight={0: 1.0}
    ),
    ("`class_weight`", "a generator"): _data(
        regression, generator, steps_per_epoch=2, class_weight={0: 1.0}
    ),
    ("`class_weight`", "triples"): _data(
        regression, lambda: Batches(X, Y, Y), class_weight={0: 1.0}
    ),
    ("`x`", "equally many", "'sample_weight': [39]"): _on(
        regression, sample_weight=np.ones(39)
    ),
    ("`sample_weight`", "(32, 3)", "(n,)"): _on(
        regression, sample_weight=np.ones((40, 3))
    ),
    ("`x`", "arrays", "'sample_weight': 'list'", "numpy.array"): _on(
        regression, sample_weight=[1.0] * 40
    ),
    ("`x`", "arrays", "'sample_weight': 'str'"): _on(
        regression, sample_weight="balanced"
    ),
    # Data sets.
    ("`validation_split`", "a tf.data.Dataset", ".skip(n)"): _data(
        regression, BATCHES, validation_split=0.2
    ),
    ("`validation_split`", "a keras.utils.PyDataset"): _data(
        regression, lambda: Batches(X, Y), validation_split=0.2
    ),
    ("`validation_split`", "a generator"): _data(
        regression, generator, steps_per_epoch=2, validation_split=0.2
    ),
    ("`y`", "left out", "a tf.data.Dataset"): _data(regression, BATCHES, y=Y),
    ("`y`", "left out", "a keras.utils.PyDataset"): _data(
        regression, lambda: Batches(X, Y), y=Y
    ),
    ("`y`", "left out", "a generator"): _data(
        regression, generator, steps_per_epoch=2, y=Y
    ),
    ("`sample_weight`", "left out", "a tf.data.Dataset"): _data(
        regression, BATCHES, sample_weight=np.ones(40)
    ),
    ("`validation_data[1]`", "left out", "a tf.data.Dataset"): _validation(
        regression, (BATCHES, Y)
    ),
    ("`x`", "batches", "elements", ".batch(32)"): _data(regression, EXAMPLES),
    ("`x`", "batches", "shape (3,)", ".batch(32)"): _data(
        without_input, EXAMPLES
    ),
    ("`x`", "batches", "shape ()", ".batch(32)"): _data(
        functools.partial(network, shape=(1,)),
        tf.data.Dataset.from_tensor_slices((X[:, 0], Y[:, 0])),
    ),
    ("`validation_data`", "batches", ".batch(32)"): _validation(
        regression, EXAMPLES
    ),
    ("`steps_per_epoch`", "without end", "`.repeat()`"): _data(
        regression, BATCHES.repeat()
    ),
    ("`steps_per_epoch`", "PyDataset without end"): _data(
        regression, lambda: Batches(X, Y, number=None)
    ),
    ("`validation_steps`", "without end"): _validation(
        regression, BATCHES.repeat()
    ),
    ("`x`", "batches to read", "a tf.data.Dataset without any"): _data(
        regression, EXAMPLES.take(5).batch(8, drop_remainder=True)
    ),
    ("`x`", "batches to read", "a keras.utils.PyDataset"): _data(
        regression, lambda: Batches(X, Y, number=0)
    ),
    ("`x`", "first batch raises", "IndexError"): _data(
        regression, lambda: Unreadable()
    ),
    ("`x`", "tuples or dictionaries", "type str"): _data(
        regression, lambda: Batches("a")
    ),
    ("`x`", "4 parts", "((x1, x2), y)"): _data(
        regression, lambda: Batches(X, Y, Y, Y)
    ),
    ("`x`", "tf.data.Dataset", "4 parts"): _data(
        regression, tf.data.Dataset.from_tensors((X, Y, Y, Y))
    ),
    ("`x`", "has ended"): _data(regression, ended, steps_per_epoch=2),
    ("`x`", "read again", "a generator"): _data(regression, generator),
    ("`x`", "arrays", "'list_iterator'"): _data(
        regression, lambda: iter([(X, Y)])
    ),
    # Validation data.
    ("`validation_data`", "a pair", "one ndarray"): _validation(regression, X),
    ("`validation_data`", "a pair", "a tuple of 4"): _validation(
        regression, (X, Y, Y, Y)
    ),
    ("`validation_data`", "a pair", "a tuple of 0"): _validation(
        regression, ()
    ),
    ("`validation_data`", "arrays", "'float'"): _validation(regression, 0.2),
    ("`validation_data[0]`", "(3,)", "(32, 2)"): _validation(
        regression, (X[:, :2], Y)
    ),
    ("`validation_data[1]`", "one-hot", "(32,)"): (
        one_hot,
        lambda: {"x": X, "y": ONE_HOT, "validation_data": (X, LABELS)},
    ),
    ("`validation_data`", "have examples"): _validation(
        regression, (X[:0], Y[:0])
    ),
    # Arrays.
    ("`x`", "arrays of numbers", "<U1", "StringLookup"): _data(
        regression, WORDS.reshape(20, 2), y=Y[:20]
    ),
    ("`x`", "arrays of numbers", "ndarray of object", "pad_sequences"): _data(
        regression, RAGGED, y=Y
    ),
    ("`x`", "'y': 'ndarray of object'", "astype"): _on(
        regression, y=Y.astype(object)
    ),
    ("`x`", "strings", 'dtype="string"'): _data(
        functools.partial(network, shape=(1,)), WORDS.astype(object), y=Y
    ),
    ("`x`", "'y': 'ndarray of <U1'", "classes of `y`"): _labels(sparse, WORDS),
    ("`y`", "numbers", "strings", "numpy.unique"): _labels(
        sparse, WORDS.astype(object)
    ),
    ("`x`", "datetime64", "int64"): _data(
        regression, np.zeros((40, 3), "datetime64[s]"), y=Y
    ),
    ("`x`", "'DataFrame of category", "Encode"): _data(
        regression, pd.DataFrame(X > 0.5).astype("category"), y=Y
    ),
    ("`x`", "have examples"): _data(regression, X[:0], y=Y[:0]),
    ("`x`", "'x': 'list'", "numpy.array"): _data(regression, X.tolist(), y=Y),
    ("`x`", "must be data"): _data(regression, None),
    # Inputs.
    ("`x`", "inputs", "(3,)", "(32, 2)"): _data(regression, X[:, :2], y=Y),
    ("`x`", "inputs", "(3,)", "(32,)"): _data(regression, X[:, 0], y=Y),
    ("`x`", "inputs", "(3,)", "None"): _data(regression, None, y=Y),
    ("The inputs in `x`", "(3,)", "(None, 2)"): _data(
        regression, tf.data.Dataset.from_tensor_slices((X[:, :2], Y)).batch(8)
    ),
    ("The inputs in `x`", "(3,)", "(40, 2)"): _data(
        regression, lambda: Batches(X[:, :2], Y)
    ),
    ("`x`", "inputs", "'a': (3,)", "['b']", "`name`"): _data(
        two_inputs, {"a": X, "c": X[:, :2]}, y=Y
    ),
    ("`x`", "inputs", "[(3,), (2,)]", "a list of 2 arrays"): _data(
        functools.partial(two_inputs, by_name=False), X, y=Y
    ),
    ("`x`", "inputs", "(32, 3)", "Join"): _data(regression, [X, X], y=Y),
    # Targets.
    ("`y`", "given", "mean_squared_error", "add_loss"): _on(regression, y=None),
    ("The targets in `x`", "given", "gives inputs alone"): _data(
        regression, tf.data.Dataset.from_tensor_slices(X).batch(8)
    ),
    ("`y`", "one-hot", "(32,)", "sparse_cat", "to_categorical(y, 4)"): _labels(
        one_hot, LABELS
    ),
    ("`y`", "one-hot", "(32, 1)", "to_categorical(y, 4)"): _labels(
        one_hot, LABELS[:, None]
    ),
    ("`y`", "integer labels", "one-hot", "argmax"): _labels(sparse, ONE_HOT),
    ("`y`", "outputs", "(4,)", "(32, 5)"): _labels(one_hot, np.ones((40, 5))),
    ("`y`", "labels from 0 to 3", "from 1 to 4"): _labels(sparse, LABELS + 1),
    ("`y`", "labels from 0 to 3", "from -1 to 2"): _labels(sparse, LABELS - 1),
    ("`y`", "outputs", "'kind': (4,)"): _labels(two_outputs, {"number": Y}),
    ("`y`", "labels from 0 to 1", "from 0 to 3", "softmax"): _labels(
        functools.partial(network, 1, "binary_crossentropy"), LABELS
    ),
    ("`y`", "metrics"): _labels(
        functools.partial(
            network, 4, "mse", metrics=["sparse_categorical_accuracy"]
        ),
        np.ones((40, 1, 4)),
    ),
    ("`x`", "suit the inputs", "(32,)"): _data(subclassed, X[:, 0], y=Y),
}


class Unreadable(Batches):
    """Has batches, but gives none."""

    def __getitem__(self, index):
        return [][index]


class AddsLoss(Subclass):
    """Has its loss from `add_loss`."""

    def call(self, x):
        outputs = self.dense(x)
        self.add_loss(keras.ops.mean(outputs**2))
        return outputs


class OwnStep(Subclass):
    """Reads quadruples, and the first of them only."""

    def train_step(self, data):
        x = data[0] if isinstance(data, tuple) else data
        with tf.GradientTape() as tape:
            loss = keras.ops.mean(self(x, training=True) ** 2)
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply_gradients(
            zip(gradients, self.trainable_variables, strict=True)
        )
        return {"loss": loss}


class OwnLoss(Subclass):
    """Takes any targets, or none."""

    def compute_loss(
        self, x=None, y=None, y_pred=None, sample_weight=None, training=True
    ):
        return keras.ops.mean(y_pred**2)


class ByVariable(Subclass):
    """Creates a variable of TensorFlow's own when it is called."""

    scale = None

    def call(self, x):
        if self.scale is None:
            self.scale = tf.Variable(2.0)
        return self.dense(x) * self.scale


def by_value(y_true, y_pred):
    """A loss that only an eager network can compute."""
    weights = np.asarray(y_true) > 0.5  # No symbol has values.
    return keras.ops.mean((y_pred - y_true) ** 2 * weights, axis=-1)


def own_loss(y_true, y_pred):
    """Takes integer labels for many outputs."""
    chosen = tf.gather(y_pred, tf.cast(y_true, "int32"), batch_dims=1)
    return -keras.ops.log(chosen)


def reshaping(**compiled):
    layers = [keras.Input(()), keras.layers.Reshape((1,))]
    model = keras.Sequential([*layers, keras.layers.Dense(1)])
    model.compile("sgd", "mse", **compiled)
    return model


def of_words(**compiled):
    lookup = keras.layers.StringLookup(vocabulary=["a", "b"])
    layers = [keras.Input((1,), dtype="string"), lookup]
    dense = keras.layers.Dense(1)
    model = keras.Sequential([*layers, keras.layers.Embedding(3, 2), dense])
    model.compile("sgd", "mse", **compiled)
    return model


def of_sparse(**compiled):
    inputs = keras.Input((3,), sparse=True)
    model = keras.Model(inputs, keras.layers.Dense(1)(inputs))
    model.compile("sgd", "mse", **compiled)
    return model


def of_ragged(**compiled):
    inputs = keras.Input((None,), ragged=True)
    pooled = keras.ops.sum(keras.layers.Embedding(9, 2)(inputs), axis=1)
    model = keras.Model(inputs, keras.layers.Dense(1)(pooled))
    model.compile("sgd", "mse", **compiled)
    return model


GOOD = {
    "arrays": _validation(regression, (X, Y), sample_weight=np.ones(40)),
    "flat targets": _on(regression, y=Y[:, 0]),
    "mixed types": _on(regression, x=X.astype("float64"), y=LABELS % 2),
    "one target for many outputs": _on(functools.partial(network, 4, "mse")),
    "a column more": _on(regression, x=X[:, :, None]),
    "flat examples": _on(reshaping, x=X[:, 0]),
    "flat examples for a column": _on(
        functools.partial(network, shape=(1,)), x=X[:, 0]
    ),
    "integer labels": _labels(sparse, LABELS),
    "a column of labels": _labels(sparse, LABELS[:, None].astype("float32")),
    "one-hot labels": _labels(one_hot, ONE_HOT, class_weight={0: 2.0}),
    "an ignored label": _labels(
        functools.partial(
            network,
            4,
            keras.losses.SparseCategoricalCrossentropy(ignore_class=-1),
        ),
        np.where(LABELS == 1, -1, LABELS),
    ),
    "weights of a class": _labels(
        sparse, LABELS, class_weight={np.int64(1): 2, 0.0: 1.5}
    ),
    "a column of weights": _on(regression, sample_weight=Y),
    "inputs by name": _on(two_inputs, x={"a": X, "b": X[:, :2], "c": Y}),
    "inputs in a list": _on(
        functools.partial(two_inputs, by_name=False), x=[X, X[:, :2]]
    ),
    "outputs by name": _labels(
        two_outputs,
        {"number": Y, "kind": LABELS},
        sample_weight={"number": np.ones(40), "kind": np.ones(40)},
    ),
    "one weight for several outputs": _labels(
        two_outputs,
        {"number": Y, "kind": LABELS},
        sample_weight=np.linspace(0, 1, 40),
    ),
    "frames": _on(regression, x=pd.DataFrame(X), y=pd.Series(Y[:, 0])),
    "tensors": _on(regression, x=tf.constant(X), y=tf.constant(Y)),
    "words": _on(of_words, x=WORDS.astype(object)),
    "sparse tensors": _on(of_sparse, x=tf.sparse.from_dense(X)),
    "ragged tensors": _on(
        of_ragged, x=tf.ragged.constant([[1], [2, 3]] * 20), shuffle=False
    ),
    "a data set": _data(regression, BATCHES, class_weight={0: 1.0, 1: 2.0}),
    "a data set without end": _data(
        regression, BATCHES.repeat(), steps_per_epoch=2
    ),
    "batches of one shape": _data(
        regression, EXAMPLES.batch(8, drop_remainder=True)
    ),
    "a PyDataset": _data(
        regression, lambda: Batches(X, Y), validation_data=Batches(X, Y)
    ),
    "a generator": _data(
        regression,
        generator,
        steps_per_epoch=2,
        validation_data=generator(),
        validation_steps=2,
    ),
    "validation of a data set": _validation(regression, (BATCHES,)),
    "a part for validation": _on(regression, validation_split=0.2),
    "no targets": _data(functools.partial(subclassed, AddsLoss, None), X),
    "no targets to validate": _data(
        functools.partial(subclassed, AddsLoss, None), X, validation_data=X
    ),
    "a step of its own": _data(
        functools.partial(subclassed, OwnStep),
        tf.data.Dataset.from_tensors((X, Y, Y, Y)),
    ),
    "a loss of its own": _labels(
        functools.partial(subclassed, OwnLoss), WORDS.astype(object)
    ),
    "a loss of the user's": _labels(
        functools.partial(network, 4, own_loss), LABELS
    ),
    "a variable of its own": _on(functools.partial(subclassed, ByVariable)),
    "a batch size of NumPy's": _on(regression, batch_size=np.int64(8)),
    "callbacks": _on(regression, callbacks=(Nothing(), [Nothing()])),
    "one callback": _on(regression, callbacks=Nothing(), shuffle="batch"),
    "single epochs": _validation(regression, (X, Y), validation_freq=[1]),
}
ONLY_EAGER = {
    "a loss by value": _on(functools.partial(network, loss=by_value)),
}
