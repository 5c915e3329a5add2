"""Cross-validates every network, judges the best, and explains the winner.

Every network is trained once for each fold, all folds in one cohort. Then the
best are trained anew on all of that and meet images that no fold has seen, and
each gene of the winner is put back to its default to see what it is worth. The
report shows all of it.
"""

import os
from collections.abc import Sequence

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import image_data
from absl import app
from absl import flags

from keras_evonas import EvolutionarySearch
from keras_evonas.models import Classification
from keras_evonas.models import DenseNetwork

FLAGS = flags.FLAGS
flags.DEFINE_integer("max_trials", 20, "Networks to try.", lower_bound=1)
flags.DEFINE_integer("epochs", 10, "Epochs of each training.", lower_bound=1)
flags.DEFINE_integer("folds", 3, "Parts of the data.", lower_bound=2)
flags.DEFINE_integer("finalists", 3, "Networks to judge.", lower_bound=1)
flags.DEFINE_integer("repeats", 2, "Trainings of each.", lower_bound=1)
flags.DEFINE_integer(
    "max_trainings", 16, "Trainings to explain the winner.", lower_bound=2
)
flags.DEFINE_integer("seed", 0, "Seed of the search.", lower_bound=0)
flags.DEFINE_string("directory", "searches", "Folder of the search.")


def main(argv: Sequence[str]) -> None:
    """Searches, judges, explains and reports."""
    del argv
    images = image_data.digits()
    tuner = EvolutionarySearch(
        DenseNetwork(images.input_shape, Classification(classes=10)),
        objective="val_accuracy",
        max_trials=FLAGS.max_trials,
        # Or a splitter of scikit-learn, such as `GroupKFold`.
        cv=FLAGS.folds,
        seed=FLAGS.seed,
        directory=FLAGS.directory,
        project_name="cross_validation",
    )
    tuner.search(*images.search_set, batch_size=32, epochs=FLAGS.epochs)
    best = tuner.oracle.get_best_trials()[0]
    spread = best.metrics.get_best_value("val_accuracy_std")
    print(
        f"the best: {best.score:.4f} ± {spread:.4f} over {FLAGS.folds} folds, "
        f"trial {best.trial_id}"
    )

    training = {
        "validation_data": images.held_out,
        "batch_size": 32,
        "epochs": FLAGS.epochs,
        "repeats": FLAGS.repeats,
    }
    finals = tuner.finalize(
        *images.search_set, top_k=FLAGS.finalists, **training
    )
    print(finals)
    print(
        tuner.ablate(
            *images.search_set, max_trainings=FLAGS.max_trainings, **training
        )
    )
    print(f"report: {tuner.report()}")


if __name__ == "__main__":
    app.run(main)
