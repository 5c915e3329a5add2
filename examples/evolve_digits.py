"""Evolves a network for images of digits, retrains it and judges it honestly.

Without flags: fully connected networks for scikit-learn's digits. With
`--dataset=fashion_mnist` or `--data=images.npz`: convolutional networks for
those images. Run it again with the same flags and it goes on where it stopped.
"""

import os
import pathlib
from collections.abc import Callable
from collections.abc import Sequence

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


def retrain(
    hypermodel: keras_tuner.HyperModel,
    values: keras_tuner.HyperParameters,
    images: image_data.Images,
) -> keras.Model:
    """Trains the winner from scratch on all that the search could see."""
    keras.utils.set_random_seed(FLAGS.seed)
    model = hypermodel.build(values)
    x, y = images.search_set
    # No data is left to stop by, so it may train longer, as its learning
    # rate falls.
    epochs = 3 * FLAGS.epochs
    rate = float(model.optimizer.learning_rate)
    decay = keras.callbacks.LearningRateScheduler(
        lambda epoch: rate * 0.5 * (1 + np.cos(np.pi * epoch / epochs))
    )
    model.fit(x, y, batch_size=32, epochs=epochs, callbacks=[decay], verbose=0)
    return model


def save_and_check(model: keras.Model, x: np.ndarray) -> None:
    """Saves the model, reloads it and compares predictions."""
    model.save(FLAGS.output)
    reloaded = keras.models.load_model(FLAGS.output)
    np.testing.assert_allclose(
        reloaded.predict(x, verbose=0), model.predict(x, verbose=0), atol=1e-6
    )
    print(f"saved {FLAGS.output}; reloaded, it predicts the same")


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

    winner = tuner.get_best_hyperparameters()[0]
    print(f"the winner: {winner.values}")
    model = retrain(hypermodel, winner, images)
    model.summary()
    x, y = images.held_out
    _, accuracy = model.evaluate(x, y, verbose=0)
    save_and_check(model, x)
    print(f"held-out accuracy: {accuracy:.4f}")


if __name__ == "__main__":
    app.run(main)
