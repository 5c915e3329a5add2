"""Memory that a process gains with each trial of a search by EvoTuner.

The resident memory is looked at after a collection of garbage, every few
trials. Its slope over the second half of the search is what a trial leaves
behind for good: in the first half, libraries still allocate what they keep.
"""

import gc
import tempfile

import keras_tuner
import numpy as np
import psutil

from keras_evonas.benchmarks.command import Flags
from keras_evonas.benchmarks.networks import CASES
from keras_evonas.tuners.tuner import EvoTuner

FLAGS = Flags()
_CASE = FLAGS.enum("case", "digits_mlp", list(CASES), "The search to watch.")
_TRIALS = FLAGS.positive("trials", 300, "Number of trials.", lower_bound=20)
_COHORT = FLAGS.positive("cohort_size", 1, "Networks trained together.")
# Trials between two looks: a collection takes about as long as a training.
_EVERY = 5


def main() -> None:
    """Runs the search and prints how the memory grew."""
    trials, megabytes = np.array(_sizes()).T
    half = len(trials) // 2
    slope, _ = np.polyfit(trials[half:], megabytes[half:], 1)
    print(
        f"{CASES[_CASE.value].title}: {megabytes[0]:.0f} MB after trial "
        f"{trials[0]:.0f}, {megabytes[half]:.0f} after {trials[half]:.0f}, "
        f"{megabytes[-1]:.0f} after {trials[-1]:.0f}.\n"
        f"Growth over the second half: {slope:.2f} MB a trial."
    )


def _sizes() -> list[tuple[int, float]]:
    """Runs the search; returns numbers of trials, and megabytes after them."""
    case = CASES[_CASE.value]
    sizes: list[tuple[int, float]] = []

    def look(trial: keras_tuner.engine.trial.Trial) -> None:
        ended = int(trial.trial_id) + 1
        if ended % _EVERY == 0:
            gc.collect()
            used = psutil.Process().memory_info().rss
            sizes.append((ended, used / 2**20))

    (x, y), held_out = case.images()
    with tempfile.TemporaryDirectory() as folder:
        tuner = EvoTuner(
            keras_tuner.oracles.RandomSearchOracle(
                "val_accuracy", max_trials=_TRIALS.value, seed=1
            ),
            case.build,
            cohort_size=_COHORT.value,
            on_trial_end=look,
            directory=folder,
            project_name="search",
        )
        tuner.search(
            x, y, epochs=case.epochs, validation_data=held_out, verbose=0
        )
    return sizes
