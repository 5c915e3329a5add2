"""A search whose networks train in worker processes, on Ray, or by a chief.

Kill it and run it again: it goes on where it was, with the same number of
workers or another one. While it runs, `python -m keras_evonas status FOLDER`
says how it is doing. The scripts in `slurm` run it on many machines.
"""

import os
from collections.abc import Sequence

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import image_data
from absl import app
from absl import flags

from keras_evonas import EvolutionarySearch
from keras_evonas.execution import Executor
from keras_evonas.execution import InProcess
from keras_evonas.execution import Processes
from keras_evonas.execution import Ray
from keras_evonas.models import Classification
from keras_evonas.models import DenseNetwork

FLAGS = flags.FLAGS
flags.DEFINE_integer("max_trials", 24, "Networks to try.", lower_bound=1)
flags.DEFINE_integer("epochs", 10, "Epochs of each trial.", lower_bound=1)
flags.DEFINE_enum(
    "executor", "processes", ["in_process", "processes", "ray"], "Who trains."
)
flags.DEFINE_integer("workers", 2, "Of processes or Ray.", lower_bound=1)
flags.DEFINE_integer("gpus", 0, "GPUs for the processes.", lower_bound=0)
flags.DEFINE_string("address", None, "Of a Ray cluster; none begins one.")
flags.DEFINE_integer("seed", 0, "Seed of the search.", lower_bound=0)
flags.DEFINE_string("directory", "searches", "Folder of the search.")


def executor() -> Executor:
    """Returns where the flags say that networks train."""
    if FLAGS.executor == "processes":
        return Processes(workers=FLAGS.workers, gpus=FLAGS.gpus)
    if FLAGS.executor == "ray":
        return Ray(workers=FLAGS.workers, address=FLAGS.address)
    return InProcess()


def main(argv: Sequence[str]) -> None:
    """Searches, and says what came of it."""
    del argv
    images = image_data.digits()
    tuner = EvolutionarySearch(
        DenseNetwork(images.input_shape, Classification(classes=10)),
        objective="val_accuracy",
        max_trials=FLAGS.max_trials,
        cohort_size=2,  # of each worker
        executor=executor(),
        seed=FLAGS.seed,
        directory=FLAGS.directory,
        project_name="workers",
    )
    tuner.search(
        *images.train,
        validation_data=images.validation,
        batch_size=32,
        epochs=FLAGS.epochs,
    )
    # Workers of a chief know no more of its oracle.
    trials = tuner.oracle.get_best_trials(FLAGS.max_trials)
    print(f"{len(trials)} networks by {tuner.executor}")
    print(f"the best: {trials[0].score:.4f}, trial {trials[0].trial_id}")


# Workers import this file, and must not begin a search of their own.
if __name__ == "__main__":
    app.run(main)
