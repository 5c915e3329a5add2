"""Writes every trial of a search to a CSV file and, where it is, to MLflow.

The hook `on_trial_end` is told of each trial when it has ended. Any other
tracker fits in here the same way. MLflow is used if it is installed; it writes
where `MLFLOW_TRACKING_URI` says, one run a trial.
"""

import csv
import importlib.util
import os
import pathlib
from collections.abc import Sequence
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import image_data
from absl import app
from absl import flags
from keras_tuner.engine.trial import Trial

from keras_evonas import EvolutionarySearch
from keras_evonas.models import Classification
from keras_evonas.models import DenseNetwork

FLAGS = flags.FLAGS
flags.DEFINE_integer("max_trials", 20, "Networks to try.", lower_bound=1)
flags.DEFINE_integer("epochs", 5, "Epochs of each trial.", lower_bound=1)
flags.DEFINE_integer("seed", 0, "Seed of the search.", lower_bound=0)
flags.DEFINE_string("directory", "searches", "Folder of the search.")
flags.DEFINE_string("csv", "trials.csv", "Where the table is written.")

COLUMNS = ("trial", "status", "score", "epoch", "message", "hyperparameters")


def metrics_of(trial: Trial) -> dict[str, float]:
    """Returns the metrics of a trial, at its best epoch."""
    metrics = trial.metrics.metrics
    return {name: trial.metrics.get_best_value(name) for name in metrics}


def write_row(path: pathlib.Path, trial: Trial) -> None:
    """Adds a trial to a CSV file, below a header."""
    is_new = not path.exists()
    with open(path, "a", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        if is_new:
            writer.writerow(COLUMNS)
        writer.writerow(
            [
                trial.trial_id,
                trial.status,
                trial.score,
                trial.best_step,
                (trial.message or "").strip().rpartition("\n")[-1],
                trial.hyperparameters.values,
            ]
        )


def log_to_mlflow(mlflow: Any, trial: Trial) -> None:
    """Logs a trial as a run of its own."""
    with mlflow.start_run(run_name=f"trial {trial.trial_id}"):
        mlflow.log_params(trial.hyperparameters.values)
        mlflow.log_metrics(metrics_of(trial))
        mlflow.set_tag("status", trial.status)


def hook() -> Any:
    """Returns what is to be called with every trial that has ended."""
    mlflow = None
    if importlib.util.find_spec("mlflow"):
        import mlflow

        mlflow.set_experiment("keras_evonas")

    def on_trial_end(trial: Trial) -> None:
        write_row(pathlib.Path(FLAGS.csv), trial)
        if mlflow is not None:
            log_to_mlflow(mlflow, trial)

    return on_trial_end


def main(argv: Sequence[str]) -> None:
    """Searches, and tracks what it finds."""
    del argv
    images = image_data.digits()
    tuner = EvolutionarySearch(
        DenseNetwork(images.input_shape, Classification(classes=10)),
        objective="val_accuracy",
        max_trials=FLAGS.max_trials,
        on_trial_end=hook(),
        seed=FLAGS.seed,
        directory=FLAGS.directory,
        project_name="tracked_digits",
    )
    tuner.search(
        *images.train,
        validation_data=images.validation,
        batch_size=32,
        epochs=FLAGS.epochs,
    )
    with open(FLAGS.csv, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    best = max(rows, key=lambda row: float(row["score"] or 0.0))
    print(f"{len(rows)} trials in {FLAGS.csv}; the best is {best['trial']}")


if __name__ == "__main__":
    app.run(main)
