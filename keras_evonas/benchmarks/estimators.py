"""Estimators beside what else there is for tables, at equal seconds.

The data sets are those that come with scikit-learn, a quarter held out. The
estimators search for some seconds, and train the best network again on all
data; the others then get as many seconds as that took. All run on one
processor, one after another.

```sh
python -m keras_evonas.benchmarks estimators --seeds=4 --seconds=5
```
"""

import dataclasses
import os
import platform
import statistics
import time
from collections.abc import Mapping
from collections.abc import Sequence

import numpy as np
from absl import logging

from keras_evonas.benchmarks import command
from keras_evonas.benchmarks import summaries
from keras_evonas.benchmarks.estimator_methods import METHODS

DATA = ("breast_cancer", "diabetes", "digits", "iris", "wine")
FLAGS = command.Flags()
_DATA = FLAGS.list("data", list(DATA), "Data sets of scikit-learn.")
_SEEDS = FLAGS.seeds(4)
_SECONDS = FLAGS.float(
    "seconds", 5.0, "Seconds of a search, before its best is trained again."
)
_MARKDOWN = FLAGS.markdown()


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Run:
    """The result of a method on a data set with one seed."""

    score: float
    seconds: float
    compared: int


_Runs = Mapping[str, Mapping[str, Sequence[_Run]]]


def main() -> None:
    """Runs the benchmark and prints its tables."""
    with command.usage_errors():
        unknown = sorted(set(_DATA.value) - {*DATA})
        if unknown:
            raise ValueError(
                f"`--data` must be some of {', '.join(DATA)}. Received: "
                f"{', '.join(unknown)}."
            )
        if _SECONDS.value <= 0:
            raise ValueError(
                "`--seconds` must be a positive number. Received: "
                f"{_SECONDS.value}."
            )
        _begin()
    runs: dict[str, dict[str, list[_Run]]] = {}
    for data in _DATA.value:
        runs[data] = {name: [] for name in METHODS}
        for seed in range(_SEEDS.value):
            for name, one in _compared(data, seed).items():
                runs[data][name].append(one)
                logging.info("%s, seed %d, %s: %s", data, seed, name, one)
    command.publish(_tables(runs), _MARKDOWN.value)


def _begin() -> None:
    """Leaves this process one processor, and loads what is not measured."""
    import threadpoolctl

    if hasattr(os, "sched_setaffinity"):  # Linux
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    threadpoolctl.threadpool_limits(1)
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(40, 2)), np.arange(40) % 2
    for method in METHODS.values():  # Modules, and TensorFlow's first steps.
        method(x, y, 0.01, 0)


def _compared(data: str, seed: int) -> dict[str, _Run]:
    """Runs all methods on one split of a data set."""
    from sklearn import datasets
    from sklearn import metrics
    from sklearn.model_selection import train_test_split

    x, y = getattr(datasets, f"load_{data}")(return_X_y=True)
    is_regression = data == "diabetes"
    score_of = metrics.r2_score if is_regression else metrics.accuracy_score
    x, x_test, y, y_test = train_test_split(
        x, y, random_state=seed, stratify=None if is_regression else y
    )
    found: dict[str, _Run] = {}
    seconds = _SECONDS.value
    for name, method in METHODS.items():
        begun = time.perf_counter()
        fitted = method(x, y, seconds, seed)
        taken = time.perf_counter() - begun
        score = float(score_of(y_test, fitted.predict(x_test)))
        if not found:  # The first one says how long the others may take.
            seconds = taken
        found[name] = _Run(score=score, seconds=taken, compared=fitted.compared)
    return found


def _tables(runs: _Runs) -> str:
    titles = list(METHODS)
    scores, times = [], []
    for data, of in runs.items():
        found = [
            summaries.summary([run.score for run in of[name]])
            for name in titles
        ]
        cells = [
            cell.replace(" ± nan", "")  # Of a single seed.
            for cell in summaries.compared(found, digits=3, best="max")
        ]
        unit = "R²" if data == "diabetes" else "accuracy"
        title = data.replace("_", " ")
        scores.append([f"{title}, {unit}", *cells])
        spent = [
            f"{statistics.mean(run.seconds for run in of[name]):.1f} s, "
            f"{statistics.mean(run.compared for run in of[name]):.1f} models"
            for name in titles
        ]
        times.append([title, *spent])
    return (
        f"{summaries.table(['held out', *titles], scores)}\n\n"
        f"Means of {_SEEDS.value} splits with their standard "
        "errors; **best** of the row; lost: worse than it by more than two "
        "standard errors of the difference.\n\n"
        f"{summaries.table(['data', *titles], times)}\n\n"
        "Means; the search "
        f"of the first column began no network after {_SECONDS.value:g} "
        "seconds. One processor, "
        f"{platform.machine()}.\n"
    )
