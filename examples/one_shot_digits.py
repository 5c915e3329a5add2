"""Searches with the shared weights of a supernet.

```sh
python examples/one_shot_digits.py --epochs=60 --max_trials=300
```
"""

import os
from collections.abc import Sequence

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import image_data
import keras
import keras_tuner
from absl import app
from absl import flags

from keras_evonas import EvoOracle
from keras_evonas import OneShotTuner
from keras_evonas import at_most
from keras_evonas.models import layer_choice
from keras_evonas.models import repeated
from keras_evonas.supernets import single_path

L = keras.layers
FLAGS = flags.FLAGS
flags.DEFINE_integer("epochs", 60, "Epochs of the supernet.", lower_bound=1)
flags.DEFINE_integer("max_trials", 300, "Networks to score.", lower_bound=1)
flags.DEFINE_integer("finalists", 5, "Networks to train alone.", lower_bound=1)
flags.DEFINE_integer("max_params", 8000, "Parameters a network may have.")
flags.DEFINE_integer("seed", 0, "Seed of the search.", lower_bound=0)
flags.DEFINE_string("directory", "searches", "Folder of the search.")


def build_model(hp: keras_tuner.HyperParameters) -> keras.Model:
    """Builds a small convolutional network, as for any tuner."""
    tensor = inputs = keras.Input((8, 8, 1))
    tensor = L.Conv2D(16, 3, padding="same", activation="relu")(tensor)

    def part(index: int) -> keras.Layer:
        del index
        return layer_choice(
            hp,
            "kind",
            {
                "conv_3x3": lambda: _unit(L.Conv2D, 3),
                "conv_1x1": lambda: _unit(L.Conv2D, 1),
                "separable_3x3": lambda: _unit(L.SeparableConv2D, 3),
                "pool": lambda: L.MaxPooling2D(3, strides=1, padding="same"),
            },
        )

    for layer in repeated(hp, "depth", 1, 4, part, default=2):
        tensor = layer(tensor)
    tensor = L.GlobalAveragePooling2D()(tensor)
    model = keras.Model(inputs, L.Dense(10, activation="softmax")(tensor))
    model.compile(
        keras.optimizers.SGD(0.05, momentum=0.9),
        loss="categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model


def _unit(kind: type[keras.Layer], side: int) -> keras.Layer:
    convolution = kind(16, side, padding="same", use_bias=False)
    return keras.Sequential([convolution, L.BatchNormalization(), L.ReLU()])


def main(argv: Sequence[str]) -> None:
    """Trains a supernet, searches it, and trains the best networks alone."""
    del argv
    images = image_data.digits()
    oracle = EvoOracle(
        "val_accuracy",
        max_trials=FLAGS.max_trials,
        constraints=[at_most("params", FLAGS.max_params)],
        seed=FLAGS.seed,
    )
    tuner = OneShotTuner(
        oracle=oracle,
        hypermodel=build_model,
        sharing=single_path(epochs=FLAGS.epochs),
        directory=FLAGS.directory,
        project_name="one_shot_digits",
    )
    x, y = images.train
    tuner.search(x, y, batch_size=32, validation_data=images.validation)
    finals = tuner.finalize(
        x,
        y,
        validation_data=images.held_out,
        batch_size=32,
        epochs=FLAGS.epochs // 3 or 1,
        top_k=FLAGS.finalists,
        repeats=1,
    )
    print(f"the best alone, held-out accuracy: {finals.score:.4f}")


if __name__ == "__main__":
    app.run(main)
