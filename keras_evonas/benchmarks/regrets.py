"""Trials that a search needs: this package's strategies beside peers.

No network is trained: the problems are tables of networks that were trained
beforehand, and toy functions.

```sh
python -m keras_evonas.benchmarks search --tables=FOLDER --seeds=20 \
    --methods=default,genetic_algorithm,optuna_tpe,random --jobs=4
```
"""

import os
import pathlib
from collections.abc import Sequence

from absl import flags

from keras_evonas.benchmarks.command import publish
from keras_evonas.benchmarks.command import usage_errors
from keras_evonas.benchmarks.comparison import Comparison
from keras_evonas.benchmarks.methods import method_names
from keras_evonas.benchmarks.runs import run_all
from keras_evonas.benchmarks.toys import TOYS

_TABLES = flags.DEFINE_list(
    "tables", [], "Tables to search: `.npz` files, or folders of them."
)
_TOYS = flags.DEFINE_list(
    "toys", [], f"Toy functions to search, among {', '.join(TOYS)}."
)
_METHODS = flags.DEFINE_list(
    "methods",
    ["default", "genetic_algorithm", "random"],
    f"Methods to compare, among {', '.join(method_names())}.",
)
_SEEDS = flags.DEFINE_integer(
    "seeds", 20, "Number of seeds, from 0 on.", lower_bound=1
)
_TRIALS = flags.DEFINE_integer(
    "trials", 100, "Evaluations of each search.", lower_bound=1
)
_BATCH = flags.DEFINE_integer(
    "batch",
    1,
    "Number of configurations that are asked for before the search gets their "
    "results.",
    lower_bound=1,
)
_JOBS = flags.DEFINE_integer(
    "jobs", 1, "Number of processes, 0 for one a core.", lower_bound=0
)
_AT = flags.DEFINE_list(
    "at", ["25", "50", "100", "200"], "Numbers of trials to show."
)
_MARKDOWN = flags.DEFINE_string(
    "markdown", None, "File to write the tables to, beside printing them."
)
_PLOT = flags.DEFINE_string("plot", None, "Picture to draw, .png or .svg.")


def main(argv: Sequence[str]) -> None:
    """Runs the benchmark and prints its tables."""
    del argv
    with usage_errors():
        curves = run_all(
            _sources(),
            _METHODS.value,
            range(_SEEDS.value),
            trials=_TRIALS.value,
            batch=_BATCH.value,
            jobs=_JOBS.value or os.cpu_count() or 1,
        )
    comparison = Comparison(curves)
    text = f"{_settings()}\n\n{comparison.markdown(_shown_trials())}\n"
    publish(text, _MARKDOWN.value)
    if _PLOT.value:
        comparison.plot(_PLOT.value)


def _sources() -> list[str]:
    sources: list[str] = []
    for given in map(pathlib.Path, _TABLES.value):
        paths = sorted(given.glob("*.npz")) if given.is_dir() else [given]
        if not paths:
            raise ValueError(
                "`--tables` must name `.npz` files or folders that hold some. "
                f"Received: '{given}', which holds none."
            )
        sources += map(str, paths)
    sources += _TOYS.value
    if not sources:
        raise ValueError(
            "`--tables` or `--toys` must name something to search. Received: "
            "neither."
        )
    return sources


def _shown_trials() -> list[int]:
    shown = {int(number) for number in _AT.value} | {_TRIALS.value}
    return sorted(number for number in shown if number <= _TRIALS.value)


def _settings() -> str:
    together = f", asked {_BATCH.value} at a time" if _BATCH.value > 1 else ""
    return (
        f"{_SEEDS.value} seeds, {_TRIALS.value} trials each{together}. The "
        "incumbent is the configuration with the best observed score."
    )
