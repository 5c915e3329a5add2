"""Many networks for a few epochs, and the best of them for longer.

Each line is a run. A network that is promoted goes on from its weights, so
that its epochs are paid for once.
"""

import collections
import os
from collections.abc import Sequence

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import image_data
from absl import app
from absl import flags

from keras_evonas import EvolutionarySearch
from keras_evonas.evolution import successive_halving
from keras_evonas.models import Classification
from keras_evonas.models import DenseNetwork

FLAGS = flags.FLAGS
flags.DEFINE_integer("max_trials", 60, "Runs, promotions included.")
flags.DEFINE_integer("min_epochs", 2, "Epochs of the lowest rung.")
flags.DEFINE_integer("max_epochs", 18, "Epochs of the highest rung.")
flags.DEFINE_integer("factor", 3, "One of so many is promoted.", lower_bound=2)
flags.DEFINE_integer("seed", 0, "Seed of the search.", lower_bound=0)
flags.DEFINE_string("directory", "searches", "Folder of the search.")


def main(argv: Sequence[str]) -> None:
    """Searches, and counts what was trained for how long."""
    del argv
    images = image_data.digits()
    tuner = EvolutionarySearch(
        DenseNetwork(images.input_shape, Classification(classes=10)),
        objective="val_accuracy",
        max_trials=FLAGS.max_trials,
        strategy=successive_halving(
            min_epochs=FLAGS.min_epochs,
            max_epochs=FLAGS.max_epochs,
            factor=FLAGS.factor,
        ),
        seed=FLAGS.seed,
        directory=FLAGS.directory,
        project_name="rungs",
    )
    # No `epochs`: each trial says how long it trains.
    tuner.search(*images.train, validation_data=images.validation)

    runs = [
        tuner.oracle.get_trial(trial_id).hyperparameters.values
        for trial_id in tuner.oracle.end_order
    ]
    rungs = collections.Counter(values["tuner/epochs"] for values in runs)
    for epochs, count in sorted(rungs.items()):
        print(f"{count} networks were trained up to epoch {epochs}")
    best = tuner.oracle.get_best_trials()[0]
    print(f"the best: {best.score:.4f}, trial {best.trial_id}")


if __name__ == "__main__":
    app.run(main)
