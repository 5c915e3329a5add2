"""Trials a minute of one worker process and of several.

The networks are tiny and each batch is delayed, as if read from a disk, so that
one worker leaves the processors idle. The time runs from the first trial that
the last worker ended to the end of the search. A longer search then measures
the memory of the driver, the process that starts the workers, for each trial.
"""

import pathlib
import statistics
import tempfile
import time

import keras
import keras_tuner
import numpy as np

from keras_evonas import EvoOracle
from keras_evonas import EvoTuner
from keras_evonas.benchmarks.command import Flags
from keras_evonas.evolution import random_search
from keras_evonas.execution import Processes
from keras_evonas.execution.processes import resident_bytes
from keras_evonas.project.record import End
from keras_evonas.project.record import SearchRecord

FLAGS = Flags()
_WORKERS = FLAGS.integer("workers", 2, "Number of workers, compared with one.")
_TRIALS = FLAGS.integer("trials", 10, "Trials of a timed search.")
_REPEATS = FLAGS.integer(
    "repeats", 1, "Number of searches for each of the two."
)
_SECONDS = FLAGS.float("seconds", 0.4, "Delay of a batch.")
_LONG = FLAGS.integer(
    "long", 300, "Trials of the search whose memory is measured; 0 for none."
)
_BATCHES, _EPOCHS = 5, 3
_Arrays = tuple[np.ndarray, np.ndarray]


class SlowBatches(keras.utils.PyDataset):
    """Batches that are delayed without use of a processor."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._seconds = seconds
        rng = np.random.default_rng(0)
        self._x = rng.random((8 * _BATCHES, 8), "float32")
        self._y = rng.integers(0, 3, 8 * _BATCHES)

    def __len__(self) -> int:
        return _BATCHES

    def __getitem__(self, index: int) -> _Arrays:
        time.sleep(self._seconds)
        part = slice(8 * index, 8 * index + 8)
        return self._x[part], self._y[part]


def build(hp: keras_tuner.HyperParameters) -> keras.Model:
    """Builds a tiny network."""
    model = keras.Sequential([keras.Input((8,))])
    units = hp.Int("units", 2, 4000)
    model.add(keras.layers.Dense(units % 8 + 2, activation="relu"))
    model.add(keras.layers.Dense(3, activation="softmax"))
    model.compile("adam", "sparse_categorical_crossentropy")
    return model


def main() -> None:
    """Runs the benchmark and prints its figures."""
    rates: dict[int, list[float]] = {1: [], _WORKERS.value: []}
    for _ in range(_REPEATS.value):
        for workers in rates:  # In turns.
            rates[workers].append(_rate(workers))
    for workers, found in rates.items():
        print(workers, "workers:", [round(rate, 1) for rate in found], "a min")
    several, one = (statistics.median(rates[w]) for w in (_WORKERS.value, 1))
    print(f"ratio of medians: {several / one:.2f}")
    if _LONG.value:
        print(f"MB a trial, driver: {_growth(_LONG.value):.3f}")


def _search(
    folder: str,
    workers: int,
    trials: int,
    data: tuple[SlowBatches] | _Arrays,
    cohort_size: int,
) -> list[int]:
    """Runs a search; returns this process's memory at the ends of trials."""
    resident: list[int] = []
    tuner = EvoTuner(
        EvoOracle("loss", trials, strategy=random_search(), seed=0),
        build,
        executor=Processes(workers=workers),
        verbose=0,
        directory=folder,
        project_name="p",
        cohort_size=cohort_size,
        on_trial_end=lambda _: resident.append(resident_bytes()),
    )
    tuner.search(*data, epochs=_EPOCHS)
    return resident


def _rate(workers: int) -> float:
    data = (SlowBatches(_SECONDS.value),)
    with tempfile.TemporaryDirectory() as folder:
        _search(folder, workers, _TRIALS.value, data, cohort_size=1)
        events = SearchRecord(pathlib.Path(folder, "p")).read().events
    ends = [event for event in events if isinstance(event, End)]
    # Until all workers have imported Keras, a search is slower.
    first = {end.worker: number for number, end in reversed([*enumerate(ends)])}
    begun = max(first.values())
    seconds = ends[-1].elapsed - ends[begun].elapsed
    return 60 * (len(ends) - 1 - begun) / seconds


def _growth(trials: int) -> float:
    rng = np.random.default_rng(0)
    data = (rng.random((64, 8), "float32"), rng.integers(0, 3, 64))
    with tempfile.TemporaryDirectory() as folder:
        sizes = _search(folder, _WORKERS.value, trials, data, cohort_size=10)
    early = trials // 5  # The first ones load libraries and fill caches.
    return (sizes[-1] - sizes[early]) / 1e6 / (len(sizes) - 1 - early)
