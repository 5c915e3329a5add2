"""Searches for networks that are accurate and small, and shows the front.

```sh
python examples/pareto_digits.py --max_trials=60 --max_params=50000
```
"""

import os
import pathlib
from collections.abc import Sequence

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import image_data
from absl import app
from absl import flags

from keras_evonas import EvolutionarySearch
from keras_evonas import at_most
from keras_evonas.models import Classification
from keras_evonas.models import DenseNetwork

FLAGS = flags.FLAGS
flags.DEFINE_integer("max_trials", 40, "Networks to try.", lower_bound=1)
flags.DEFINE_integer("epochs", 10, "Epochs of each trial.", lower_bound=1)
flags.DEFINE_integer("max_params", 100_000, "Parameters a network may have.")
flags.DEFINE_integer("seed", 0, "Seed of the search.", lower_bound=0)
flags.DEFINE_string("directory", "searches", "Folder of the search.")
flags.DEFINE_string("output", "front", "Folder for the models of the front.")


def main(argv: Sequence[str]) -> None:
    """Searches, prints the front, and saves its models."""
    del argv
    images = image_data.digits()
    tuner = EvolutionarySearch(
        DenseNetwork(
            images.input_shape, Classification(classes=10), units=(4, 512)
        ),
        objective=["val_accuracy", "params"],
        constraints=[at_most("params", FLAGS.max_params)],
        max_trials=FLAGS.max_trials,
        keep_checkpoints="all",
        seed=FLAGS.seed,
        directory=FLAGS.directory,
        project_name="pareto_digits",
    )
    tuner.search(
        *images.train,
        validation_data=images.validation,
        batch_size=32,
        epochs=FLAGS.epochs,
    )

    folder = pathlib.Path(FLAGS.output)
    folder.mkdir(parents=True, exist_ok=True)
    knee = tuner.oracle.get_knee_trial()
    x, y = images.held_out
    print("parameters  validation  held-out")
    front = tuner.oracle.get_pareto_trials()
    for trial, model in zip(front, tuner.get_pareto_models(), strict=True):
        _, accuracy = model.evaluate(x, y, verbose=0)
        mark = "  <- the knee" if trial is knee else ""
        print(
            f"{model.count_params():10,}  {trial.score:10.4f}  "
            f"{accuracy:8.4f}{mark}"
        )
        model.save(folder / f"trial_{trial.trial_id}.keras")
    print(f"saved the front's models in {folder}")


if __name__ == "__main__":
    app.run(main)
