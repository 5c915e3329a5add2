"""Effect of inherited weights: searches with and without them.

Both have the same strategy, seeds and trials, on digits and, if a file with
images is given, on a part of it. The score of a network that inherited weights
does not compare with that of one trained from scratch. So the winner of each
search is trained again from scratch, on a seed of its own, and tested on images
that no search has seen.

```sh
python -m keras_evonas.benchmarks inheritance --seeds=5 --images=FILE.npz
```
"""

import dataclasses
import pathlib
import statistics
import tempfile
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from absl import logging

from keras_evonas.benchmarks import command
from keras_evonas.benchmarks import datasets
from keras_evonas.benchmarks.summaries import mean_cell
from keras_evonas.benchmarks.summaries import table

FLAGS = command.Flags()
_IMAGES = FLAGS.string(
    "images",
    None,
    "An `.npz` file with x_train, y_train, x_test and y_test, such as "
    "Fashion-MNIST. Defaults to digits alone.",
)
_DIGITS = FLAGS.bool("digits", True, "Search on digits.")
_SEEDS = FLAGS.seeds(5)
_TRIALS = FLAGS.integer("trials", 12, "Trials of each search.")
_EPOCHS = FLAGS.integer("epochs", 4, "Epochs of a trial.")
_RETRAINING = FLAGS.integer(
    "retraining_epochs", 12, "Epochs of the winner, from scratch."
)
_EXAMPLES = FLAGS.integer(
    "examples", 2000, "Number of images of the file to train on."
)
_TARGETS = FLAGS.list(
    "targets", ["0.95", "0.8"], "Accuracies to reach, on digits and images."
)
_OUTPUT = FLAGS.markdown("output")
_HEADER = (
    *("data", "children", "target", "searches that reach it"),
    *("epochs until then, median", "epochs in all", "best in the search"),
    "winner from scratch, tested",
)


@dataclasses.dataclass(frozen=True, eq=False)
class _Problem:
    title: str
    target: float
    parts: datasets.Parts


@dataclasses.dataclass(frozen=True)
class _Run:
    """Result of a search, with epochs added up in the order of trials."""

    epochs_to_target: int | None
    epochs: int
    best: float
    retrained: float


def main() -> None:
    """Runs the benchmark and writes its table."""
    epochs = _EPOCHS.value
    half = {"inherit_weights": True, "inherited_epochs": max(1, epochs // 2)}
    ways: dict[str, dict[str, Any]] = {
        "from scratch": {},
        "inherit": {"inherit_weights": True},
        "inherit, half the epochs": half,
    }
    rows = []
    for problem in _problems():
        for title, settings in ways.items():
            seeds = range(_SEEDS.value)
            runs = [_search(problem, seed, settings) for seed in seeds]
            rows.append(_row(problem, title, runs))
            logging.info("%s", rows[-1])
    text = (
        f"{table(_HEADER, rows)}\n\n"
        f"{_SEEDS.value} seeds, {_TRIALS.value} trials of {epochs} epochs, "
        f"the winner {_RETRAINING.value} epochs; means with their standard "
        f"errors. {command.machine()}.\n"
    )
    command.publish(text, _OUTPUT.value)


def _search(problem: _Problem, seed: int, settings: Mapping[str, Any]) -> _Run:
    import keras

    from keras_evonas.evolution import genetic_algorithm
    from keras_evonas.models import Classification
    from keras_evonas.models import DenseNetwork
    from keras_evonas.models import tuned_adam
    from keras_evonas.tuners.shorthand import EvolutionarySearch

    training, validation, held_out = problem.parts
    hypermodel = DenseNetwork(
        problem.parts.input_shape,
        Classification(classes=10, labels="integer"),
        units=(16, 128),
        depth=(1, 3),
        optimizer=tuned_adam,
    )
    with tempfile.TemporaryDirectory() as folder:
        tuner = EvolutionarySearch(
            hypermodel,
            "val_accuracy",
            _TRIALS.value,
            strategy=genetic_algorithm(population_size=4),
            seed=seed,
            directory=folder,
            verbose=0,
            cohort_size=2,
            **settings,
        )
        tuner.search(
            *training, epochs=_EPOCHS.value, validation_data=validation
        )
        epochs = [
            value
            for trial_id in tuner.oracle.start_order
            for curves in tuner.learning_curves(trial_id)[:1]
            for value in curves["val_accuracy"]
        ]
        best = tuner.oracle.get_best_trials(1)[0]
    keras.utils.set_random_seed(1000 + seed)
    model = hypermodel.build(best.hyperparameters)
    model.fit(*training, epochs=_RETRAINING.value, verbose=0)
    tested = model.evaluate(*held_out, verbose=0, return_dict=True)
    reached = [
        epoch
        for epoch, value in enumerate(epochs, start=1)
        if isinstance(value, float) and value >= problem.target
    ]
    return _Run(
        epochs_to_target=min(reached, default=None),
        epochs=len(epochs),
        best=best.score,
        retrained=tested["accuracy"],
    )


def _row(problem: _Problem, title: str, runs: Sequence[_Run]) -> list[str]:
    reached = [r.epochs_to_target for r in runs if r.epochs_to_target]
    median = f"{statistics.median(reached):g}" if reached else "-"
    return [
        *(problem.title, title, f"{problem.target:g}"),
        *(f"{len(reached)} of {len(runs)}", median),
        f"{statistics.mean(run.epochs for run in runs):.1f}",
        mean_cell([run.best for run in runs]),
        mean_cell([run.retrained for run in runs]),
    ]


def _problems() -> Iterator[_Problem]:
    targets = [float(target) for target in _TARGETS.value]
    if _DIGITS.value:
        yield _Problem("digits", targets[0], datasets.digits())
    if _IMAGES.value:
        size = _EXAMPLES.value
        title = f"{pathlib.Path(_IMAGES.value).stem}, {size} images"
        yield _Problem(title, targets[-1], datasets.images(_IMAGES.value, size))
