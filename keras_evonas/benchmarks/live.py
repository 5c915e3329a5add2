"""Searches that train: held-out accuracy against trials and the clock.

Searches of this package beside keras-tuner's own and Optuna's TPE, on digits
and on a part of Fashion-MNIST: the same networks, data and epochs a trial, each
search in a fresh process on one core of its own.

```sh
python -m keras_evonas.benchmarks live --seeds=5 --jobs=2 --out=FOLDER \
    --markdown=live.md --plot=live.png
```

Searches that learn from first epochs need longer trainings, and a budget of
epochs alone:

```sh
python -m keras_evonas.benchmarks live --datasets=fashion_mnist \
    --examples=10000 --epochs=12 --trials=15 --at=3,6,10,15 --seconds=0 \
    --limit=100000 --at_seconds=300,900,1800 --out=FOLDER --jobs=2 --methods=\
freeze_thaw,stop_hopeless,keras_tuner_random,keras_tuner_hyperband,\
optuna_tpe_hyperband
```

Each finished search is a file of the folder. A second run measures only the
searches without a file. The method does not depend on the budget, so searches
of a larger budget serve for a smaller one, too.
"""

import itertools
import os
import pathlib
import platform
import queue
import tempfile
import time
from collections.abc import Sequence
from concurrent import futures

from keras_evonas.benchmarks import command
from keras_evonas.benchmarks.live_comparison import LiveComparison
from keras_evonas.benchmarks.live_problems import DATASETS
from keras_evonas.benchmarks.live_problems import dataset
from keras_evonas.benchmarks.live_runs import TITLES
from keras_evonas.benchmarks.live_runs import Budget
from keras_evonas.benchmarks.live_runs import LiveRun
from keras_evonas.benchmarks.live_runs import read_run
from keras_evonas.benchmarks.methods import check_installed

FLAGS = command.Flags()
_DATASETS = FLAGS.list(
    "datasets", list(DATASETS), f"Among {', '.join(DATASETS)}."
)
# The others are for longer trainings than the default's.
_COMPARED = [
    "evolutionary_search",
    *("keras_tuner_random", "keras_tuner_bayesian", "keras_tuner_hyperband"),
    "optuna_tpe",
]
_METHODS = FLAGS.list("methods", _COMPARED, f"Among {', '.join(TITLES)}.")
_SEEDS = FLAGS.seeds(5)
_TRIALS = FLAGS.positive("trials", 10, "Trials of a search at least.")
_SECONDS = FLAGS.float(
    "seconds", 30.0, "Seconds of a search at least.", lower_bound=0.0
)
_LIMIT = FLAGS.float(
    "limit", 50.0, "Seconds to end a search after with fewer trials, too."
)
_EPOCHS = FLAGS.positive(
    "epochs", None, "Epochs of a trial. Defaults to each data set's own."
)
_DATA = FLAGS.images("data")
_EXAMPLES = FLAGS.positive(
    "examples", 2000, "Number of its images to train on."
)
_JOBS = FLAGS.positive(
    "jobs", 1, "Searches side by side, each on its own core."
)
_OUT = FLAGS.string("out", "live", "Folder for a file of each finished search.")
_STOP = FLAGS.float(
    "stop_after_seconds",
    None,
    "Seconds after which no further search begins; run it again to go on.",
)
_AT = FLAGS.list(
    "at", ["2", "4", "8"], "Numbers of trials to show, up to `--trials`."
)
_AT_SECONDS = FLAGS.list(
    "at_seconds", None, "Seconds to show. Defaults to parts of `--seconds`."
)
_MARKDOWN = FLAGS.markdown()
_PLOT = FLAGS.string("plot", None, "Picture to draw, .png or .svg.")
_MEASURE = FLAGS.list("measure", None, "Run one search; for internal use.")

# Must be the same for searches to be compared.
_OF_SEARCHES = (_TRIALS, _SECONDS, _LIMIT, _EPOCHS, _EXAMPLES)
_Task = tuple[str, str, int]


def main() -> None:
    """Runs the missing searches, and writes the tables once all are there."""
    if _MEASURE.value:
        _measure(*_MEASURE.value)
        return
    with command.usage_errors():
        tasks = _tasks()
        runs = _measured(tasks)
    if len(runs) < len(tasks):
        print(f"{len(runs)} of {len(tasks)} searches; run it again to go on.")
        return
    comparison = LiveComparison(runs)
    command.publish(_text(comparison, runs), _MARKDOWN.value)
    if _PLOT.value:
        trials, seconds = _TRIALS.value, _shown_seconds()[-1]
        comparison.plot(_PLOT.value, trials=trials, seconds=seconds)


def check_live_method(name: str) -> None:
    """Checks that there is a method, and that its package is installed."""
    if name not in TITLES:
        raise ValueError(
            f"`methods` must be among {list(TITLES)}. Received: {name!r}."
        )
    check_installed("optuna_tpe" if name.startswith("optuna") else name)


def _tasks() -> list[_Task]:
    """Returns all searches, seed by seed.

    So a change of the machine's load concerns all methods alike.
    """
    for name in _DATASETS.value:
        dataset(name)
    for name in _METHODS.value:
        check_live_method(name)
    seeds = range(_SEEDS.value)
    pairs = list(itertools.product(_DATASETS.value, _METHODS.value))
    return [(name, method, seed) for seed in seeds for name, method in pairs]


def _measured(tasks: Sequence[_Task]) -> list[LiveRun]:
    """Runs the searches without a file, and reads all files."""
    pathlib.Path(_OUT.value).mkdir(parents=True, exist_ok=True)
    for task in tasks:
        if _path(task).exists():
            _read(task)
    _run_all([task for task in _in_turns(tasks) if not _path(task).exists()])
    return [_read(task) for task in tasks if _path(task).exists()]


def _path(task: _Task) -> pathlib.Path:
    return pathlib.Path(_OUT.value, f"{'-'.join(map(str, task))}.json")


def _read(task: _Task) -> LiveRun:
    return read_run(_path(task), _settings(task[0]), _budget(task[0]))


def _in_turns(tasks: Sequence[_Task]) -> list[_Task]:
    """Returns the searches, with another method first for each seed."""
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
            spent = time.perf_counter() - start
            if _STOP.value is None or spent <= _STOP.value:
                _in_subprocess(task, core)
        finally:
            cores.put(core)

    with futures.ThreadPoolExecutor(_JOBS.value) as pool:
        for _ in pool.map(run, tasks):
            pass  # Raises the first error, and begins no further search.


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
    chosen = f"--measure={','.join(map(str, [*task, core]))}"
    command.output_of("live", chosen, passed_on=(*_OF_SEARCHES, _DATA, _OUT))


def _measure(name: str, method: str, seed: str, core: str) -> None:
    """Runs one search on one core and writes its file."""
    if hasattr(os, "sched_setaffinity"):
        # TensorFlow counts its threads by it; so it comes before the import.
        os.sched_setaffinity(0, {int(core)})
    import keras

    from keras_evonas.benchmarks.live_methods import search

    problem = dataset(name).load(_DATA.value, _EXAMPLES.value)
    with tempfile.TemporaryDirectory() as folder:
        ends = search(method, problem, int(seed), _budget(name), folder)
    machine = (
        f"one core of {os.cpu_count()}, {platform.machine()}, "
        f"Keras {keras.__version__} on {keras.backend.backend()}"
    )
    run = LiveRun(
        dataset=name,
        method=method,
        seed=int(seed),
        budget=_budget(name),
        ends=ends,
        machine=machine,
    )
    run.write(_path((name, method, int(seed))), _settings(name))


def _budget(name: str) -> Budget:
    return Budget(
        trials=_TRIALS.value,
        seconds=_SECONDS.value,
        limit=_LIMIT.value,
        epochs=_EPOCHS.value or dataset(name).epochs,
    )


def _settings(name: str) -> dict[str, object]:
    """Returns the settings that compared searches share."""
    settings: dict[str, object] = {"epochs": _budget(name).epochs}
    if name != "digits":
        settings["examples"] = _EXAMPLES.value
    return settings


def _shown_seconds() -> list[float]:
    if _AT_SECONDS.value:
        return sorted(map(float, _AT_SECONDS.value))
    return [part * _SECONDS.value for part in (0.25, 0.5, 1)]


def _text(comparison: LiveComparison, runs: Sequence[LiveRun]) -> str:
    seconds = _shown_seconds()
    shown = [n for n in sorted(set(map(int, _AT.value))) if n <= _TRIALS.value]
    tables = comparison.markdown(shown, seconds)
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
