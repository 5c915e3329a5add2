"""Evolves a network for images of digits, and judges the best on unseen data.

Without flags: fully connected networks for scikit-learn's digits. With
`--dataset=fashion_mnist` or `--data=images.npz`: convolutional networks for
those images. Run it again with the same flags and it goes on where it stopped.
"""

import os
import pathlib
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import image_data
import keras
import keras_tuner
import numpy as np
import tensorflow as tf
from absl import app
from absl import flags

from keras_evonas import EvolutionarySearch
from keras_evonas import evolution
from keras_evonas.models import Classification
from keras_evonas.models import ConvNetwork
from keras_evonas.models import DenseNetwork

STRATEGIES: dict[str, Callable[[], evolution.Strategy] | None] = {
    "default": None,
    "screened_evolution": evolution.screened_evolution,
    "genetic_algorithm": evolution.genetic_algorithm,
    "generational": evolution.generational_genetic_algorithm,
    "regularized_evolution": evolution.regularized_evolution,
    "local_search": evolution.local_search,
    "random_search": evolution.random_search,
}

FLAGS = flags.FLAGS
flags.DEFINE_integer("max_trials", 30, "Networks to try.", lower_bound=1)
flags.DEFINE_integer("epochs", 10, "Epochs of each trial.", lower_bound=1)
flags.DEFINE_integer("seed", 0, "Seed of the search.", lower_bound=0)
flags.DEFINE_string("directory", "searches", "Folder of the search.")
flags.DEFINE_enum(
    "strategy", "default", sorted(STRATEGIES), "How networks are proposed."
)
flags.DEFINE_string("dataset", None, "Data set of keras.datasets instead.")
flags.DEFINE_string("data", None, "Path of an .npz of images instead.")
flags.DEFINE_bool("overwrite", False, "Begin anew in a folder that is in use.")
flags.DEFINE_integer("finalists", 3, "Networks to judge.", lower_bound=1)
flags.DEFINE_integer("repeats", 2, "Trainings of each.", lower_bound=1)
flags.DEFINE_integer(
    "ablation", 0, "Trainings at most to explain the winner.", lower_bound=0
)
flags.DEFINE_string("output", "best.keras", "Where the winner is saved.")


def load() -> image_data.Images:
    """Loads the images that the flags name."""
    if FLAGS.data:
        return image_data.from_file(FLAGS.data)
    if FLAGS.dataset:
        return image_data.named(FLAGS.dataset)
    return image_data.digits()


def project_name() -> str:
    """Returns a name for each set of images, whose searches differ."""
    if FLAGS.data:
        return pathlib.Path(FLAGS.data).stem
    return FLAGS.dataset or "digits"


def search_space(images: image_data.Images) -> keras_tuner.HyperModel:
    """Returns the space of networks for these images."""
    head = Classification(classes=images.classes)
    if FLAGS.data or FLAGS.dataset:
        return ConvNetwork(images.input_shape, head)
    return DenseNetwork(images.input_shape, head)


class CosineDecay(keras.callbacks.Callback):
    """Lets the learning rate fall to zero over the epochs."""

    def on_train_begin(self, logs: Any = None) -> None:  # noqa: D102
        del logs
        self.rate = float(self.model.optimizer.learning_rate)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:  # noqa: D102
        del logs
        share = 0.5 * (1 + np.cos(np.pi * epoch / self.params["epochs"]))
        self.model.optimizer.learning_rate = self.rate * share


def main(argv: Sequence[str]) -> None:
    """Searches, retrains, evaluates and saves."""
    del argv
    gpus = tf.config.list_physical_devices("GPU")
    print(f"TensorFlow {tf.__version__} uses: {gpus or 'the CPU'}")

    images = load()
    hypermodel = search_space(images)
    strategy = STRATEGIES[FLAGS.strategy]
    tuner = EvolutionarySearch(
        hypermodel,
        objective="val_accuracy",
        max_trials=FLAGS.max_trials,
        strategy=strategy and strategy(),
        initial_population=["default"],
        seed=FLAGS.seed,
        directory=FLAGS.directory,
        project_name=project_name(),
        overwrite=FLAGS.overwrite,
    )
    tuner.search(
        *images.train,
        validation_data=images.validation,
        batch_size=32,
        epochs=FLAGS.epochs,
    )

    # What the search could see is divided anew: most of it to train on, the
    # rest to choose by, which no training sees. The held-out images stay
    # unseen by the search and by the choice.
    training, judging = images.search_split(seed=FLAGS.seed)
    # No search compares epochs any longer, so training may last longer, as
    # the learning rate falls.
    retraining = {
        "validation_data": judging,
        "batch_size": 32,
        "epochs": 3 * FLAGS.epochs,
        "callbacks": [CosineDecay()],
        "repeats": FLAGS.repeats,
    }
    finals = tuner.finalize(
        *training, top_k=FLAGS.finalists, path=FLAGS.output, **retraining
    )
    if FLAGS.ablation:
        try:
            tuner.plan_ablation()
        except ValueError as error:  # nothing can be put back
            print(f"The default network won: {error}")
        else:
            print(
                tuner.ablate(
                    *training, max_trainings=FLAGS.ablation, **retraining
                )
            )
    print(f"the winner: {dict(finals.winner.values)}")
    model = finals.load_model()
    model.summary()
    _, accuracy = model.evaluate(*images.held_out, verbose=0)
    print(f"held-out accuracy: {accuracy:.4f}")


if __name__ == "__main__":
    app.run(main)
