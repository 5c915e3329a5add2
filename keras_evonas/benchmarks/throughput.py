"""Trials a minute of keras-tuner's own Tuner and of EvoTuner.

Both have the same oracle, seed, hypermodel and data. Each search runs in a
process of its own, and the two tuners take turns. Written as a Markdown table.
The time is that of `search`, with tracing, validation, checkpoints and oracle,
without imports and the construction of the tuner. A second table shows where
the time of EvoTuner goes.
"""

import json
import os
import platform
import resource
import statistics
import tempfile
import time
from collections.abc import Sequence
from typing import Any
from typing import TypeAlias

from keras_evonas.benchmarks import command
from keras_evonas.benchmarks.summaries import table

_CASES = ("digits_mlp", "digits_layers", "digits_cnn", "image_cnn")
FLAGS = command.Flags()
_CASE = FLAGS.multi_enum("case", list(_CASES), _CASES, "Searches to time.")
_REPEATS = FLAGS.positive("repeats", 3, "Number of searches by each tuner.")
_TRIALS = FLAGS.integer(
    "trials", None, "Trials of a search. Defaults to each case's own."
)
_COHORT = FLAGS.integer(
    "cohort_size", 16, "Networks that EvoTuner trains together."
)
_SHARE = FLAGS.bool(
    "share_programs", False, "Whether EvoTuner shares programs."
)
_OUTPUT = FLAGS.markdown("output")
_MEASURE = FLAGS.enum(
    "measure", None, ("Tuner", "EvoTuner"), "Run one search; for internal use."
)
_HEADER = (
    *("networks", "trials x epochs", "Tuner, trials/min"),
    *("EvoTuner, trials/min", "times faster", "smallest, largest"),
    *("Tuner, MB", "EvoTuner, MB"),
)


def main() -> None:
    """Runs the benchmark and writes its table."""
    if _MEASURE.value:
        _measure(_CASE.value[0], _MEASURE.value)
        return
    pairs = {case: _pairs(case) for case in _CASE.value}
    cores = len(os.sched_getaffinity(0))
    text = (
        f"{table(_HEADER, map(_row, pairs.values()))}\n\n"
        f"Medians of {_REPEATS.value} pairs of searches, cohorts of "
        f"{_COHORT.value}, peak memory of the process; {cores} cores of "
        f"{platform.machine()}, load {os.getloadavg()[0]:.1f} at the end.\n\n"
        f"{_stages([each[0][1] for each in pairs.values()])}"
    )
    command.publish(text, _OUTPUT.value)


_Pairs: TypeAlias = list[tuple[dict[str, Any], dict[str, Any]]]


def _pairs(case: str) -> _Pairs:
    """Measures pairs of searches, by Tuner and by EvoTuner."""
    pairs = []
    for repeat in range(_REPEATS.value):
        # In turns, so that neither always comes first.
        order = ["Tuner", "EvoTuner"][:: 1 if repeat % 2 == 0 else -1]
        found = {tuner: _measured(case, tuner) for tuner in order}
        pairs.append((found["Tuner"], found["EvoTuner"]))
    return pairs


def _stages(searches: Sequence[dict[str, Any]]) -> str:
    """Returns a table of where the time of some searches by EvoTuner went."""
    names = list(dict.fromkeys(name for one in searches for name in one["ms"]))
    rows = []
    for one in searches:
        times = [f"{one['ms'].get(name, 0):.0f}" for name in names]
        shared = f"{one['shared']} of {one['trials']}"
        rows.append([one["title"], *times, shared])
    return table(["networks", *names, "shared a program"], rows) + (
        "\n\nMilliseconds a trial in EvoTuner's first search. Networks train "
        "while others\nare built and traced, so that the stages overlap.\n"
    )


def _row(pairs: _Pairs) -> list[str]:
    rates, memory = [], []
    for runs in zip(*pairs, strict=True):
        seconds = [run["seconds"] / run["trials"] for run in runs]
        rates.append(statistics.median(60 / second for second in seconds))
        memory.append(statistics.median(run["peak_mb"] for run in runs))
    ratios = [host["seconds"] / own["seconds"] for host, own in pairs]
    first = pairs[0][0]
    return [
        *(first["title"], f"{first['trials']} x {first['epochs']}"),
        *(f"{rate:.1f}" for rate in (*rates, statistics.median(ratios))),
        f"{min(ratios):.1f}, {max(ratios):.1f}",
        *(f"{megabytes:.0f}" for megabytes in memory),
    ]


def _measured(case: str, tuner: str) -> dict[str, Any]:
    chosen = (f"--case={case}", f"--measure={tuner}")
    printed = command.output_of(
        "throughput", *chosen, passed_on=(_COHORT, _TRIALS, _SHARE)
    )
    found: dict[str, Any] = json.loads(printed.splitlines()[-1])
    return found


def _measure(name: str, tuner_name: str) -> None:
    """Runs one search and prints what it took as JSON."""
    import keras_tuner

    from keras_evonas.benchmarks.networks import CASES
    from keras_evonas.benchmarks.stages import Stages
    from keras_evonas.tuners.tuner import EvoTuner

    case = CASES[name]
    trials = _TRIALS.value or case.trials
    (x, y), held_out = case.images()
    oracle = keras_tuner.oracles.RandomSearchOracle(
        "val_accuracy", max_trials=trials, seed=1
    )
    stages = Stages()
    with tempfile.TemporaryDirectory() as folder:
        options = {"oracle": oracle, "hypermodel": case.build}
        options |= {"directory": folder, "project_name": "search"}
        if tuner_name == "Tuner":
            tuner = keras_tuner.Tuner(**options)
        else:
            tuner = EvoTuner(
                **options,
                cohort_size=_COHORT.value,
                share_programs=_SHARE.value,
                keep_checkpoints="all",  # As keras-tuner does.
            )
            stages.watch(oracle)
        start, cpu = time.perf_counter(), time.process_time()
        tuner.search(
            x, y, epochs=case.epochs, validation_data=held_out, verbose=0
        )
        seconds = time.perf_counter() - start
        cpu = time.process_time() - cpu
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = {"title": case.title, "epochs": case.epochs, "trials": trials}
    found |= {"seconds": seconds, "cpu_seconds": cpu, "peak_mb": used / 1024}
    times = {name: 1000 * s / trials for name, s in stages.seconds.items()}
    found |= {"ms": times, "shared": stages.num_shared}
    print(json.dumps(found))
