"""Time that the oracle takes for a trial, early and late in a search.

No network is trained: each trial is created, reported and ended at once, with
everything that is written to the disk. Printed as a Markdown table.
"""

import tempfile
import time
from collections.abc import Mapping

import keras_tuner
import numpy as np

from keras_evonas.benchmarks.command import Flags
from keras_evonas.benchmarks.summaries import table
from keras_evonas.evolution.strategies import genetic_algorithm
from keras_evonas.oracles.oracle import EvoOracle

FLAGS = Flags()
_TRIALS = FLAGS.integer("trials", 10_000, "Number of trials.", lower_bound=200)
_GENES = FLAGS.positive(
    "genes", 10, "Number of layers of the space, 3 genes each."
)
_STRATEGY = FLAGS.enum(
    "strategy",
    "genetic_algorithm",
    ("genetic_algorithm", "default"),
    "The strategy. With the former, most of the time is the oracle's own; the "
    "default computes for longer.",
)
_HEADER = ("trial", "median ms", "mean ms", "largest ms", "median CPU ms")
# Trials before a point whose times are summed up.
_WINDOW = 100


def main() -> None:
    """Runs the benchmark and prints its table."""
    with tempfile.TemporaryDirectory() as folder:
        times = _run(folder)
        rows = []
        for trial in sorted({_WINDOW, 1_000, 3_000, len(times)}):
            if trial <= len(times):
                wall, cpu = times[trial - _WINDOW : trial].T
                numbers = [np.median(wall), np.mean(wall)]
                cells = [f"{number:.2f}" for number in numbers]
                cells += [f"{max(wall):.1f}", f"{np.median(cpu):.2f}"]
                rows.append([str(trial), *cells])
        print(table(_HEADER, rows))
        start = time.perf_counter()
        _oracle(folder).reload()
        print(f"\nReloading {len(times)} trials: ", end="")
        print(f"{time.perf_counter() - start:.1f} s")


def _run(folder: str) -> np.ndarray:
    """Returns the wall and the CPU time of each trial, in milliseconds."""
    oracle = _oracle(folder)
    times = []
    for _ in range(_TRIALS.value):
        start, cpu_start = time.perf_counter(), time.process_time()
        trial = oracle.create_trial("tuner0")
        score = _score(trial.hyperparameters.values)
        oracle.update_trial(trial.trial_id, {"score": score})
        trial.status = "COMPLETED"
        oracle.end_trial(trial)
        oracle.save()
        wall, cpu = time.perf_counter() - start, time.process_time() - cpu_start
        times.append((1000 * wall, 1000 * cpu))
    return np.array(times)


def _oracle(folder: str) -> EvoOracle:
    hp = keras_tuner.HyperParameters()
    depth = hp.Int("depth", 1, _GENES.value, default=_GENES.value)
    for layer in range(depth):
        with hp.conditional_scope("depth", list(range(layer + 1, depth + 1))):
            hp.Choice(f"layer_{layer}/units", [16, 32, 64, 128, 256])
            hp.Choice(f"layer_{layer}/activation", ["relu", "gelu", "tanh"])
            hp.Float(f"layer_{layer}/dropout", 0.0, 0.5)
    oracle = EvoOracle(
        keras_tuner.Objective("score", "min"),
        max_trials=_TRIALS.value,
        hyperparameters=hp,
        strategy=(
            None if _STRATEGY.value == "default" else genetic_algorithm()
        ),
        seed=0,
    )
    oracle.verbose = 0
    # A tuner gives its oracle the folder that trials are written to.
    keras_tuner.engine.base_tuner.BaseTuner(
        oracle, directory=folder, project_name="benchmark"
    )
    return oracle


def _score(values: Mapping[str, object]) -> float:
    numbers = [v for v in values.values() if isinstance(v, int | float)]
    return sum((float(number) - 0.3) ** 2 for number in numbers)
