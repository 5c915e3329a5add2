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
from keras_evonas.benchmarks.estimator_methods import METHODS
from keras_evonas.benchmarks.estimator_methods import Method
from keras_evonas.benchmarks.summaries import compared
from keras_evonas.benchmarks.summaries import summary
from keras_evonas.benchmarks.summaries import table

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
    from sklearn.model_selection import train_test_split

    x, y = getattr(datasets, f"load_{data}")(return_X_y=True)
    is_regression = data == "diabetes"
    x, x_test, y, y_test = train_test_split(
        x, y, random_state=seed, stratify=None if is_regression else y
    )
    x_test, y_test = np.asarray(x_test), np.asarray(y_test)
    found: dict[str, _Run] = {}
    seconds = _SECONDS.value
    for name, method in METHODS.items():
        found[name] = _run(method, (x, y), (x_test, y_test), seconds, seed)
        if len(found) == 1:
            seconds = found[name].seconds
    return found


def _run(
    method: Method,
    training: tuple[np.ndarray, np.ndarray],
    held_out: tuple[np.ndarray, np.ndarray],
    seconds: float,
    seed: int,
) -> _Run:
    from sklearn.metrics import accuracy_score
    from sklearn.metrics import r2_score

    begun = time.perf_counter()
    fitted = method(*training, seconds, seed)
    taken = time.perf_counter() - begun
    x, y = held_out
    is_label = np.issubdtype(y.dtype, np.integer)
    score = (accuracy_score if is_label else r2_score)(y, fitted.predict(x))
    return _Run(score=float(score), seconds=taken, compared=fitted.compared)


def _tables(runs: _Runs) -> str:
    titles = list(METHODS)
    scores, times = [], []
    for data, of in runs.items():
        found = [summary([[run.score] for run in of[name]]) for name in titles]
        cells = [
            cell.replace(" ± nan", "")  # Of a single seed.
            for cell in compared(
                [(float(mean[0]), float(error[0])) for mean, error in found],
                digits=3,
                best="max",
            )
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
        f"{table(['held out', *titles], scores)}\n\n"
        f"Means of {_SEEDS.value} splits with their standard "
        "errors; **best** of the row; lost: worse than it by more than two "
        "standard errors of the difference.\n\n"
        f"{table(['data', *titles], times)}\n\n"
        "Means; the search "
        f"of the first column began no network after {_SECONDS.value:g} "
        "seconds. One processor, "
        f"{platform.machine()}.\n"
    )
