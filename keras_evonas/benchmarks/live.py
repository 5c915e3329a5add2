"""Searches that train: held-out accuracy against trials and the clock.

Ours beside keras-tuner's own and Optuna's TPE, on digits and on a part of
Fashion-MNIST: the same networks, data and epochs a trial, each search in a
fresh process on one core of its own.

```sh
python -m keras_evonas.benchmarks live --seeds=5 --jobs=2 --out=FOLDER \
    --markdown=live.md --plot=live.png
```

A finished search is a file of the folder; run it again, and what is there is
not measured again. A search does not know when it will be ended, so those of a
larger budget serve for a smaller one.
"""

import itertools
import os
import pathlib
import platform
import queue
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent import futures
from typing import Any

from absl import app
from absl import flags

from keras_evonas.benchmarks.live_comparison import LiveComparison
from keras_evonas.benchmarks.live_methods import LIVE_METHODS
from keras_evonas.benchmarks.live_methods import check_live_method
from keras_evonas.benchmarks.live_methods import search
from keras_evonas.benchmarks.live_problems import DATASETS
from keras_evonas.benchmarks.live_problems import dataset
from keras_evonas.benchmarks.live_runs import Budget
from keras_evonas.benchmarks.live_runs import LiveRun
from keras_evonas.benchmarks.live_runs import read_run

_DEFAULT_METHODS = [name for name in LIVE_METHODS if name != "evo_oracle"]
# Apart from absl's own, so that another benchmark may have flags of these names
# in the same program.
FLAGS = flags.FlagValues()
_DATASETS = flags.DEFINE_list(
    "datasets",
    list(DATASETS),
    f"Among {', '.join(DATASETS)}.",
    flag_values=FLAGS,
)
_METHODS = flags.DEFINE_list(
    "methods",
    _DEFAULT_METHODS,
    f"Among {', '.join(LIVE_METHODS)}.",
    flag_values=FLAGS,
)
_SEEDS = flags.DEFINE_integer(
    "seeds", 5, "Number of seeds, from 0 on.", lower_bound=1, flag_values=FLAGS
)
_TRIALS = flags.DEFINE_integer(
    "trials",
    10,
    "Trials of a search at least.",
    lower_bound=1,
    flag_values=FLAGS,
)
_SECONDS = flags.DEFINE_float(
    "seconds",
    30.0,
    "Seconds of a search at least.",
    lower_bound=0.0,
    flag_values=FLAGS,
)
_LIMIT = flags.DEFINE_float(
    "limit",
    50.0,
    "Seconds to end a search after with fewer trials, too.",
    flag_values=FLAGS,
)
_EPOCHS = flags.DEFINE_integer(
    "epochs",
    None,
    "Epochs of a trial. Defaults to each data set's own.",
    lower_bound=1,
    flag_values=FLAGS,
)
_DATA = flags.DEFINE_string(
    "data",
    None,
    "An `.npz` file with x_train, y_train, x_test and y_test to take for "
    "Fashion-MNIST. Defaults to `keras.datasets.fashion_mnist`.",
    flag_values=FLAGS,
)
_EXAMPLES = flags.DEFINE_integer(
    "examples",
    2000,
    "How many of its images to train on.",
    lower_bound=1,
    flag_values=FLAGS,
)
_JOBS = flags.DEFINE_integer(
    "jobs",
    1,
    "Searches side by side, each on its own core.",
    lower_bound=1,
    flag_values=FLAGS,
)
_OUT = flags.DEFINE_string(
    "out",
    "live",
    "Folder for a file of each finished search.",
    flag_values=FLAGS,
)
_STOP = flags.DEFINE_float(
    "stop_after_seconds",
    None,
    "Begin no further search after so long; run it again to go on.",
    flag_values=FLAGS,
)
_AT = flags.DEFINE_list(
    "at",
    ["2", "4", "8"],
    "Numbers of trials to show, up to `--trials`.",
    flag_values=FLAGS,
)
_MARKDOWN = flags.DEFINE_string(
    "markdown",
    None,
    "File to write the tables to, beside printing them.",
    flag_values=FLAGS,
)
_PLOT = flags.DEFINE_string(
    "plot", None, "Picture to draw, .png or .svg.", flag_values=FLAGS
)
_MEASURE = flags.DEFINE_list(
    "measure", None, "Run one search; for internal use.", flag_values=FLAGS
)

# What must be the same for searches to be compared.
_OF_SEARCHES = (_TRIALS, _SECONDS, _LIMIT, _EPOCHS, _EXAMPLES)
_Task = tuple[str, str, int]


def main(argv: Sequence[str]) -> None:
    """Runs what is missing, and writes the tables if all is there."""
    del argv
    if _MEASURE.value:
        _measure(*_MEASURE.value)
        return
    try:
        tasks = _tasks()
        runs = _measured(tasks)
    except (ImportError, OSError, ValueError) as error:
        raise app.UsageError(str(error)) from error
    if len(runs) < len(tasks):
        print(f"{len(runs)} of {len(tasks)} searches; run it again to go on.")
        return
    comparison = LiveComparison(runs)
    text = _text(comparison, runs)
    print(text)
    if _MARKDOWN.value:
        pathlib.Path(_MARKDOWN.value).write_text(text, encoding="utf-8")
    if _PLOT.value:
        comparison.plot(
            _PLOT.value, trials=_TRIALS.value, seconds=_SECONDS.value
        )


def _tasks() -> list[_Task]:
    """All searches, seed by seed, so that a drift of the load hits all."""
    for name in _DATASETS.value:
        dataset(name)
    for name in _METHODS.value:
        check_live_method(name)
    return list(
        (name, method, seed)
        for seed, name, method in itertools.product(
            range(_SEEDS.value), _DATASETS.value, _METHODS.value
        )
    )


def _measured(tasks: Sequence[_Task]) -> list[LiveRun]:
    """Runs what has no file yet, and reads all that have one."""
    folder = pathlib.Path(_OUT.value)
    folder.mkdir(parents=True, exist_ok=True)
    paths = {
        task: folder / f"{'-'.join(map(str, task))}.json" for task in tasks
    }
    for task in tasks:
        if paths[task].exists():
            _read(paths[task], task[0])
    _run_all([task for task in _in_turns(tasks) if not paths[task].exists()])
    return [
        _read(paths[task], task[0]) for task in tasks if paths[task].exists()
    ]


def _in_turns(tasks: Sequence[_Task]) -> list[_Task]:
    """Another method comes first for each seed."""
    ordered = []
    for seed, group in itertools.groupby(tasks, lambda task: task[2]):
        of_seed = list(group)
        turn = seed % len(of_seed)
        ordered += of_seed[turn:] + of_seed[:turn]
    return ordered


def _run_all(tasks: Sequence[_Task]) -> None:
    cores: queue.SimpleQueue[int] = queue.SimpleQueue()
    for core in _cores()[: _JOBS.value]:
        cores.put(core)
    start = time.perf_counter()

    def run(task: _Task) -> None:
        core = cores.get()
        try:
            late = _STOP.value is not None and (
                time.perf_counter() - start > _STOP.value
            )
            if not late:
                _in_subprocess(task, core)
        finally:
            cores.put(core)

    with futures.ThreadPoolExecutor(_JOBS.value) as pool:
        started = [pool.submit(run, task) for task in tasks]
        try:
            for one in started:
                one.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _cores() -> list[int]:
    cores = list(range(os.cpu_count() or 1))
    if hasattr(os, "sched_getaffinity"):
        cores = sorted(os.sched_getaffinity(0))
    if _JOBS.value > len(cores):
        raise ValueError(
            "`jobs` must not exceed the number of cores, or searches would "
            f"take each other's time. Received: jobs={_JOBS.value}, with "
            f"{len(cores)} cores."
        )
    return cores


def _in_subprocess(task: _Task, core: int) -> None:
    print(f"{' '.join(map(str, task))}\n", end="", flush=True)
    command = [sys.executable, "-m", "keras_evonas.benchmarks", "live"]
    command += [f"--measure={','.join(map(str, [*task, core]))}"]
    for flag in (*_OF_SEARCHES, _DATA, _OUT):
        if flag.value is not None:
            command += [f"--{flag.name}={flag.value}"]
    run = subprocess.run(command, capture_output=True, text=True)
    if run.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{run.stderr}")


def _measure(name: str, method: str, seed: str, core: str) -> None:
    """Runs one search on one core and writes its file."""
    if hasattr(os, "sched_setaffinity"):
        # TensorFlow counts its threads by it; so it comes before the import.
        os.sched_setaffinity(0, {int(core)})
    import keras

    problem = dataset(name).load(_DATA.value, _EXAMPLES.value)
    with tempfile.TemporaryDirectory() as folder:
        ends = search(method, problem, int(seed), _budget(name), folder)
    run = LiveRun(
        dataset=name,
        method=method,
        seed=int(seed),
        budget=_budget(name),
        ends=ends,
        machine=(
            f"one core of {os.cpu_count()}, {platform.machine()}, "
            f"Keras {keras.__version__} on {keras.backend.backend()}"
        ),
    )
    path = pathlib.Path(_OUT.value) / f"{name}-{method}-{seed}.json"
    run.write(path, _settings(name))


def _budget(name: str) -> Budget:
    return Budget(
        trials=_TRIALS.value,
        seconds=_SECONDS.value,
        limit=_LIMIT.value,
        epochs=_EPOCHS.value or dataset(name).epochs,
    )


def _settings(name: str) -> dict[str, Any]:
    """What must be the same for searches to be compared."""
    settings = {"epochs": _budget(name).epochs}
    if name != "digits":
        settings["examples"] = _EXAMPLES.value
    return settings


def _read(path: pathlib.Path, name: str) -> LiveRun:
    return read_run(path, _settings(name), _budget(name))


def _text(comparison: LiveComparison, runs: Sequence[LiveRun]) -> str:
    seconds = [part * _SECONDS.value for part in (0.25, 0.5, 1)]
    tables = comparison.markdown(_shown_trials(), seconds)
    parts = [
        f"Accuracy on held-out examples, in per cent, of the best trial so far "
        f"by validation: mean of {_SEEDS.value} seeds ± standard error; "
        "**best** of the column; lost: behind it by more than two standard "
        f"errors of the difference. Each on {runs[0].machine}, "
        f"{_JOBS.value} side by side."
    ]
    for name, table in tables.items():
        epochs = _budget(name).epochs
        parts.append(f"{dataset(name).title}, {epochs} epochs a trial:")
        parts.append(table)
    return "\n\n".join(parts) + "\n"


def _shown_trials() -> list[int]:
    shown = sorted({int(number) for number in _AT.value})
    return [number for number in shown if number <= _TRIALS.value]
