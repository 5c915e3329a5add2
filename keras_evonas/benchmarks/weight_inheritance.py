"""What inheriting weights buys: searches with and without, side by side.

The same strategy, seeds and trials, on digits and, if a file with images is
given, on a part of it. Scores of children that inherit are not those of
training from scratch, so the winner of each search is trained again from
scratch, on a seed of its own, and tested on images that no search has seen.

```sh
python -m keras_evonas.benchmarks inheritance --seeds=5 --images=FILE.npz
```
"""

import dataclasses
import os
import pathlib
import platform
import statistics
import tempfile
from collections.abc import Sequence
from typing import Any

import numpy as np
from absl import flags
from absl import logging

_IMAGES = flags.DEFINE_string(
    "images",
    None,
    "An `.npz` file with x_train, y_train, x_test and y_test, such as "
    "Fashion-MNIST. Defaults to digits alone.",
)
_DIGITS = flags.DEFINE_bool("digits", True, "Whether to search on digits.")
_SEEDS = flags.DEFINE_integer("seeds", 5, "Number of seeds.", lower_bound=1)
_TRIALS = flags.DEFINE_integer("trials", 12, "Trials of each search.")
_EPOCHS = flags.DEFINE_integer("epochs", 4, "Epochs of a trial.")
_RETRAINING = flags.DEFINE_integer(
    "retraining_epochs", 12, "Epochs of the winner, from scratch."
)
_EXAMPLES = flags.DEFINE_integer(
    "examples", 2000, "How many images of the file to train on."
)
_TARGETS = flags.DEFINE_list(
    "targets", ["0.95", "0.8"], "Accuracies to reach, on digits and images."
)
_OUTPUT = flags.DEFINE_string(
    "output", None, "File to write the table to. Defaults to printing it."
)
_HEADER = """\
| data | children | target | searches that reach it | epochs until then, \
median | epochs in all | best in the search | winner from scratch, tested |
|---|---|---|---|---|---|---|---|
"""


@dataclasses.dataclass(frozen=True, eq=False)
class _Problem:
    title: str
    target: float
    train: tuple[np.ndarray, np.ndarray]
    held_out: tuple[np.ndarray, np.ndarray]
    test: tuple[np.ndarray, np.ndarray]


@dataclasses.dataclass(frozen=True)
class _Run:
    """What a search came to; epochs are added up in the order of trials."""

    epochs_to_target: int | None
    epochs: int
    best: float
    retrained: float


def main(argv: Sequence[str]) -> None:
    """Runs the benchmark and writes its table."""
    del argv
    epochs = _EPOCHS.value
    ways: dict[str, dict[str, Any]] = {
        "from scratch": {},
        "inherit": {"inherit_weights": True},
        "inherit, half the epochs": {
            "inherit_weights": True,
            "inherited_epochs": max(1, epochs // 2),
        },
    }
    table = _HEADER
    for problem in _problems():
        for title, settings in ways.items():
            runs = [
                _search(problem, seed, settings) for seed in range(_SEEDS.value)
            ]
            table += _row(problem, title, runs)
            logging.info("%s", _row(problem, title, runs).strip())
    table += (
        f"\n{_SEEDS.value} seeds, {_TRIALS.value} trials of {epochs} epochs, "
        f"the winner {_RETRAINING.value} epochs; means with their standard "
        f"errors. {platform.machine()}, {os.cpu_count()} cores.\n"
    )
    if _OUTPUT.value:
        pathlib.Path(_OUTPUT.value).write_text(table, encoding="utf-8")
    print(table)


def _search(problem: _Problem, seed: int, settings: dict[str, Any]) -> _Run:
    import keras

    from keras_evonas.evolution import genetic_algorithm
    from keras_evonas.models import Classification
    from keras_evonas.models import DenseNetwork
    from keras_evonas.models import tuned_adam
    from keras_evonas.tuners.search import EvolutionarySearch

    hypermodel = DenseNetwork(
        problem.train[0].shape[1:],
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
            *problem.train,
            epochs=_EPOCHS.value,
            validation_data=problem.held_out,
        )
        curves = [
            tuner.learning_curves(trial_id)[0]["val_accuracy"]
            for trial_id in tuner.oracle.start_order
            if tuner.learning_curves(trial_id)
        ]
        best = tuner.oracle.get_best_trials(1)[0]
    keras.utils.set_random_seed(1000 + seed)
    model = hypermodel.build(best.hyperparameters)
    model.fit(*problem.train, epochs=_RETRAINING.value, verbose=0)
    tested = model.evaluate(*problem.test, verbose=0, return_dict=True)
    everything = [value for curve in curves for value in curve]
    reached = [
        epoch
        for epoch, value in enumerate(everything, start=1)
        if value >= problem.target
    ]
    return _Run(
        epochs_to_target=min(reached, default=None),
        epochs=len(everything),
        best=best.score,
        retrained=tested["accuracy"],
    )


def _row(problem: _Problem, title: str, runs: Sequence[_Run]) -> str:
    reached = [r.epochs_to_target for r in runs if r.epochs_to_target]
    median = f"{statistics.median(reached):g}" if reached else "-"
    return (
        f"| {problem.title} | {title} | {problem.target:g} | "
        f"{len(reached)} of {len(runs)} | {median} | "
        f"{statistics.mean(r.epochs for r in runs):.1f} | "
        f"{_mean([r.best for r in runs])} | "
        f"{_mean([r.retrained for r in runs])} |\n"
    )


def _mean(values: Sequence[float]) -> str:
    if len(values) == 1:
        return f"{values[0]:.4f}"
    error = np.std(values, ddof=1) / len(values) ** 0.5
    return f"{np.mean(values):.4f} ± {error:.4f}"


def _problems() -> list[_Problem]:
    targets = [float(target) for target in _TARGETS.value]
    problems = []
    if _DIGITS.value:
        from sklearn import datasets

        x, y = datasets.load_digits(return_X_y=True)
        order = np.random.default_rng(0).permutation(len(x))
        x, y = x[order].astype("float32") / 16, y[order].astype("int64")
        problems.append(
            _Problem(
                "digits",
                targets[0],
                (x[:1000], y[:1000]),
                (x[1000:1400], y[1000:1400]),
                (x[1400:], y[1400:]),
            )
        )
    if _IMAGES.value:
        path = pathlib.Path(_IMAGES.value)
        with np.load(path, allow_pickle=False) as file:
            x, y = file["x_train"], file["y_train"].astype("int64").reshape(-1)
            test = file["x_test"].astype("float32") / 255, file["y_test"]
        x, size = x.astype("float32") / 255, _EXAMPLES.value
        problems.append(
            _Problem(
                f"{path.stem}, {size} images",
                targets[-1],
                (x[:size], y[:size]),
                (x[-1000:], y[-1000:]),
                (test[0], test[1].astype("int64").reshape(-1)),
            )
        )
    return problems
