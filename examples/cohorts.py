"""Trains the same networks alone and together: the figures are equal."""

import os
import time
from collections.abc import Sequence

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import image_data
import keras_tuner
from absl import app
from absl import flags

from keras_evonas import EvoTuner
from keras_evonas.models import Classification
from keras_evonas.models import DenseNetwork

FLAGS = flags.FLAGS
flags.DEFINE_integer("max_trials", 16, "Networks to train.", lower_bound=1)
flags.DEFINE_integer("epochs", 10, "Epochs of each.", lower_bound=1)
flags.DEFINE_integer("cohort_size", 8, "Networks in one fit.", lower_bound=1)
flags.DEFINE_integer("seed", 1, "Seed of the networks.", lower_bound=1)
flags.DEFINE_string("directory", "searches", "Folder of the searches.")


def train(cohort_size: int, images: image_data.Images) -> EvoTuner:
    """Trains networks that keras-tuner's random search draws."""
    tuner = EvoTuner(
        oracle=keras_tuner.oracles.RandomSearchOracle(
            "val_accuracy", max_trials=FLAGS.max_trials, seed=FLAGS.seed
        ),
        hypermodel=DenseNetwork(
            images.input_shape, Classification(classes=10), units=(16, 256)
        ),
        cohort_size=cohort_size,
        keep_checkpoints="best",
        directory=FLAGS.directory,
        project_name=f"cohorts_of_{cohort_size}",
        overwrite=True,
        verbose=0,
    )
    start = time.perf_counter()
    tuner.search(
        *images.train, validation_data=images.validation, epochs=FLAGS.epochs
    )
    seconds = time.perf_counter() - start
    print(f"cohorts of {cohort_size}: {seconds:.1f} s")
    return tuner


def main(argv: Sequence[str]) -> None:
    """Trains twice and compares every epoch."""
    del argv
    images = image_data.digits()
    alone = train(1, images)
    together = train(FLAGS.cohort_size, images)
    for trial_id in alone.oracle.end_order:
        if alone.learning_curves(trial_id) != together.learning_curves(
            trial_id
        ):
            # On a GPU two runs of the same network differ, too.
            print(f"trial {trial_id} differs")
            break
    else:
        print("every loss of every epoch is equal")


if __name__ == "__main__":
    app.run(main)
