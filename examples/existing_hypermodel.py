"""Evolution for an existing keras-tuner hypermodel: one line changes.

`--tuner=keras_tuner` puts the oracle into keras-tuner's own Tuner,
`--tuner=evo` trains the same networks several at a time.
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
from keras_evonas import EvoTuner

MAX_DEPTH = 3
TUNERS = {"keras_tuner": keras_tuner.Tuner, "evo": EvoTuner}

FLAGS = flags.FLAGS
flags.DEFINE_integer("max_trials", 20, "Networks to try.", lower_bound=1)
flags.DEFINE_integer("epochs", 10, "Epochs of each trial.", lower_bound=1)
flags.DEFINE_enum("tuner", "keras_tuner", sorted(TUNERS), "Who trains.")
flags.DEFINE_integer("seed", 0, "Seed of the search.", lower_bound=0)
flags.DEFINE_string("directory", "searches", "Folder of the search.")


def build_model(hp: keras_tuner.HyperParameters) -> keras.Model:
    """An ordinary hypermodel, which says when a hyperparameter matters."""
    depth = hp.Int("depth", 1, MAX_DEPTH, default=2)
    model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten()])
    for i in range(MAX_DEPTH):
        # Without this scope the search varies layers that are not there.
        with hp.conditional_scope("depth", list(range(i + 1, MAX_DEPTH + 1))):
            units = hp.Choice(f"units_{i}", [32, 64, 128, 256], default=64)
        if i < depth:
            model.add(keras.layers.Dense(units, activation="relu"))
    model.add(keras.layers.Dense(10, activation="softmax"))
    name = hp.Choice("optimizer", ["sgd", "adam"])
    with hp.conditional_scope("optimizer", ["sgd"]):
        sgd_rate = hp.Float("sgd_rate", 1e-3, 0.3, sampling="log")
    with hp.conditional_scope("optimizer", ["adam"]):
        adam_rate = hp.Float("adam_rate", 1e-4, 1e-2, sampling="log")
    model.compile(
        keras.optimizers.SGD(sgd_rate, momentum=0.9)
        if name == "sgd"
        else keras.optimizers.Adam(adam_rate),
        loss="categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model


def main(argv: Sequence[str]) -> None:
    """Searches and loads the best model."""
    del argv
    images = image_data.digits()
    tuner = TUNERS[FLAGS.tuner](
        # It was keras_tuner.oracles.RandomSearchOracle(
        oracle=EvoOracle(
            "val_accuracy",
            max_trials=FLAGS.max_trials,
            # What is known to be good; what is left out has its default.
            initial_population=[{"optimizer": "adam", "adam_rate": 1e-3}],
            seed=FLAGS.seed,
        ),
        hypermodel=build_model,
        directory=FLAGS.directory,
        project_name=f"existing_hypermodel_{FLAGS.tuner}",
    )
    tuner.search(
        *images.train,
        validation_data=images.validation,
        epochs=FLAGS.epochs,
        verbose=int(FLAGS.tuner == "evo"),
    )
    best = tuner.oracle.get_best_trials()[0]
    print(f"the best of {len(tuner.oracle.end_order)}: {best.score:.4f}")
    print(f"its values: {best.hyperparameters.values}")
    (model,) = tuner.get_best_models()
    _, accuracy = model.evaluate(*images.held_out, verbose=0)
    print(f"held-out accuracy: {accuracy:.4f}")


if __name__ == "__main__":
    app.run(main)
