"""Hypermodels for the tests of supernets, and data."""

import subprocess
import sys

import keras
import numpy as np

from keras_evonas.models import block
from keras_evonas.models import layer_choice
from keras_evonas.models import repeated
from keras_evonas.models.costs import HypermodelCosts
from keras_evonas.supernets.costs import SupernetCosts

L = keras.layers
RNG = np.random.default_rng(0)
X = RNG.normal(size=(96, 6)).astype("float32")
Y = RNG.integers(3, size=96)
X_VAL = RNG.normal(size=(40, 6)).astype("float32")
Y_VAL = RNG.integers(3, size=40)


def compiled(inputs, tensor, optimizer="sgd"):
    model = keras.Model(inputs, L.Dense(3, "softmax")(tensor))
    model.compile(
        optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    return model


def chain(hp, optimizer=lambda: keras.optimizers.SGD(0.1, momentum=0.9)):
    """Two choices of three options, one of them without weights."""
    tensor = inputs = keras.Input((6,))
    tensor = L.Dense(4)(tensor)
    for number in range(2):
        tensor = layer_choice(
            hp,
            f"layer_{number}",
            {
                "dense": lambda: keras.Sequential(
                    [L.Dense(4, "relu"), L.BatchNormalization()]
                ),
                "tanh": lambda: L.Dense(4, "tanh", use_bias=False),
                "skip": L.Identity,
            },
        )(tensor)
    return compiled(inputs, tensor, optimizer())


def branched(hp):
    """Nested choices, parts that repeat, a block, and parallel branches."""
    tensor = inputs = keras.Input((6,))
    tensor = left = L.Dense(4, name="stem")(tensor)

    def part(index):
        return layer_choice(
            hp,
            "kind",
            {
                "dense": lambda: L.Dense(4, "relu"),
                "normal": lambda: keras.Sequential(
                    [L.BatchNormalization(), L.Activation("tanh")]
                ),
            },
        )

    for layer in repeated(hp, "depth", 1, 3, part):
        tensor = layer(tensor)
    left = block(hp, "shortcut", lambda: L.Dense(4, use_bias=False))(left)
    both = L.Add()([tensor, L.BatchNormalization()(left)])
    both = block(hp, "drop", lambda: L.Dropout(0.3))(both)
    return compiled(inputs, both)


def convolutional(hp):
    """Images of 8 x 8, with convolutions, poolings and a shared gene."""
    tensor = inputs = keras.Input((8, 8, 1))
    tensor = L.Conv2D(4, 3, padding="same")(tensor)
    for _ in range(2):  # One gene for both places.
        tensor = layer_choice(
            hp,
            "kind",
            {
                "conv": lambda: L.Conv2D(4, 3, padding="same"),
                "separable": lambda: L.SeparableConv2D(4, 3, padding="same"),
                "pool": lambda: L.MaxPooling2D(3, 1, padding="same"),
            },
        )(tensor)
        tensor = L.BatchNormalization()(tensor)
    return compiled(inputs, L.GlobalAveragePooling2D()(tensor))


def added(hp):
    """Tensors that are added by an operator, and not by a layer."""
    inputs = keras.Input((6,))
    tensor = L.Dense(4)(inputs)
    for number in range(2):
        layer = layer_choice(
            hp,
            f"layer_{number}",
            {"dense": lambda: L.Dense(4, "relu"), "skip": L.Identity},
        )
        tensor = 0.5 * (tensor + layer(tensor))
    return compiled(inputs, tensor)


SPACES = {
    "added": (added, (6,)),
    "chain": (chain, (6,)),
    "branched": (branched, (6,)),
    "convolutional": (convolutional, (8, 8, 1)),
}


def paths_of(supernet, number, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, supernet.sizes, (number, len(supernet.sizes)))


class Cut(keras.callbacks.Callback):
    """Ends a training as a kill would: right after an epoch was written."""

    def __init__(self, epoch):
        super().__init__()
        self.epoch = epoch

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == self.epoch:
            raise KeyboardInterrupt


def number_added_up(hypermodel, planned, names):
    """Returns of how many random networks the costs were added up.

    The costs of each are compared with those that are counted. As many as there
    are parts, and one, teach the sums, and eight more are compared with them.
    """
    exact = HypermodelCosts(hypermodel)
    costs = SupernetCosts(exact, planned, names)
    hp = planned.space.copy()
    rng = np.random.default_rng(1)
    added_up = 0
    for _ in range(len(planned.parts) + 20):
        hp.values = dict(planned.held)
        for gene in planned.genes:
            hp.values[gene.name] = gene.values[rng.integers(len(gene.values))]
        found, expected = costs(hp), exact(hp)
        if isinstance(found, dict):
            added_up += 1
            expected = {name: getattr(expected, name) for name in names}
        assert found == expected
    return added_up


class Intruding(keras.callbacks.Callback):
    """Has another process ask for a folder in the middle of a training."""

    def __init__(self, folder):
        super().__init__()
        self.folder = folder
        self.said = []

    def on_epoch_begin(self, epoch, logs=None):
        self.said.append(what_another_process_hears(self.folder))


def what_another_process_hears(folder):
    code = (
        "import sys; from keras_evonas.project.lock import FolderLock; "
        "FolderLock(sys.argv[1]).take()"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code, str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    return ended.stderr
