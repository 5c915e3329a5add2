"""Searches around a network that exists, which begins with its weights.

No hypermodel: `evolvable` makes the space, with the network in its middle.
"""

import os
from collections.abc import Sequence

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import image_data
import keras
from absl import app
from absl import flags

from keras_evonas import EvolutionarySearch
from keras_evonas.models import evolvable
from keras_evonas.models import explain_space

FLAGS = flags.FLAGS
flags.DEFINE_integer("max_trials", 20, "Networks to try.", lower_bound=1)
flags.DEFINE_integer("epochs", 10, "Epochs of each trial.", lower_bound=1)
flags.DEFINE_integer("seed", 0, "Seed of the search.", lower_bound=0)
flags.DEFINE_string("directory", "searches", "Folder of the search.")


def my_network(images: image_data.Images) -> keras.Model:
    """A network as people write them; `keras.models.load_model` does, too."""
    model = keras.Sequential(
        [
            keras.Input(images.input_shape),
            keras.layers.Conv2D(16, 3, padding="same", activation="relu"),
            keras.layers.MaxPooling2D(),
            keras.layers.Conv2D(32, 3, padding="same", activation="relu"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(images.classes, activation="softmax"),
        ]
    )
    model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
    return model


def main(argv: Sequence[str]) -> None:
    """Trains a network, and searches around it."""
    del argv
    images = image_data.digits()
    keras.utils.set_random_seed(FLAGS.seed)
    model = my_network(images)
    model.fit(*images.train, epochs=FLAGS.epochs, verbose=0)

    hypermodel = evolvable(model)
    explain_space(hypermodel)
    tuner = EvolutionarySearch(
        hypermodel,
        objective="val_accuracy",
        max_trials=FLAGS.max_trials,
        initial_population=["default"],  # the network itself
        seed=FLAGS.seed,
        directory=FLAGS.directory,
        project_name="around_a_network",
    )
    tuner.search(
        *images.train,
        validation_data=images.validation,
        batch_size=32,
        epochs=FLAGS.epochs,
    )
    for name, network in [
        ("the network itself", model),
        ("the best around it", tuner.get_best_models()[0]),
    ]:
        _, accuracy = network.evaluate(*images.held_out, verbose=0)
        print(f"{name}, held-out accuracy: {accuracy:.4f}")


if __name__ == "__main__":
    app.run(main)
