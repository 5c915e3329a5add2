"""Runs a benchmark: `python -m keras_evonas.benchmarks NAME [--flags]`."""

import importlib
import sys

from absl import app
from absl import flags

# Each module defines flags in `FLAGS`, and `main()`.
_MODULE_OF = {
    "curves": "curves",
    "estimators": "estimators",
    "growth": "memory_growth",
    "hopeless": "hopeless",
    "inheritance": "weight_inheritance",
    "limits": "two_limits",
    "live": "live",
    "make_curves": "make_curves",
    "memory": "memory_estimates",
    "oracle": "oracle_times",
    "pareto": "fronts",
    "ranks": "shared_ranks",
    "search": "regrets",
    "shared_times": "shared_times",
    "supernets": "supernets",
    "throughput": "throughput",
    "workers": "workers",
}


def main() -> None:
    """Runs the benchmark that the command line names."""
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    if name not in _MODULE_OF:
        sys.exit(
            "Usage: python -m keras_evonas.benchmarks NAME [--flags], where "
            f"NAME is one of {', '.join(sorted(_MODULE_OF))}. Received: "
            f"{name!r}. Add --help after the name for its flags."
        )
    module = importlib.import_module(
        f"keras_evonas.benchmarks.{_MODULE_OF[name]}"
    )
    values = module.FLAGS.values
    flags.FLAGS.append_flag_values(values)
    values.mark_as_parsed()  # By `app.run`, which is next.
    for flag in values:
        flags.declare_key_flag(flag)
    argv = [f"benchmarks {name}", *sys.argv[2:]]
    app.run(lambda _: module.main(), argv=argv)


if __name__ == "__main__":
    main()
