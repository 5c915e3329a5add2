"""Parts that the commands share: usage errors, output and subprocesses."""

import contextlib
import functools
import os
import pathlib
import platform
import subprocess
import sys
from collections.abc import Iterable
from collections.abc import Iterator

from absl import app
from absl import flags


class Flags:
    """Defines flags whose names another benchmark in the program may have."""

    def __init__(self) -> None:
        # absl has no type for it.
        self.values = flags.FlagValues()  # type: ignore[no-untyped-call]
        own = {"flag_values": self.values}
        self.string = functools.partial(flags.DEFINE_string, **own)
        self.list = functools.partial(flags.DEFINE_list, **own)
        self.enum = functools.partial(flags.DEFINE_enum, **own)
        self.multi_enum = functools.partial(flags.DEFINE_multi_enum, **own)
        self.bool = functools.partial(flags.DEFINE_bool, **own)
        self.float = functools.partial(flags.DEFINE_float, **own)
        self.integer = functools.partial(flags.DEFINE_integer, **own)
        self.positive = functools.partial(self.integer, lower_bound=1)

    def seeds(self, default: int) -> flags.FlagHolder[int]:
        """Defines `--seeds`."""
        return self.positive("seeds", default, "Number of seeds, from 0 on.")

    def jobs(self) -> flags.FlagHolder[int]:
        """Defines `--jobs`."""
        return self.positive("jobs", 1, "Number of processes.")

    def images(self, name: str = "images") -> flags.FlagHolder[str | None]:
        """Defines a flag for a data set of images."""
        return self.string(
            name,
            None,
            "An `.npz` file with x_train, y_train, x_test and y_test, such as "
            "CIFAR-10. Defaults to Fashion-MNIST.",
        )

    def markdown(self, name: str = "markdown") -> flags.FlagHolder[str | None]:
        """Defines a flag for a file with what is printed."""
        return self.string(name, None, "File to write what is printed to, too.")


@contextlib.contextmanager
def usage_errors() -> Iterator[None]:
    """Reports an error that the flags caused without its traceback."""
    try:
        yield
    except (ImportError, OSError, ValueError) as error:
        raise app.UsageError(str(error)) from error


def machine() -> str:
    """Describes this machine, such as `x86_64, 2 cores`."""
    return f"{platform.machine()}, {os.cpu_count()} cores"


def publish(text: str, path: str | None) -> None:
    """Prints a text, and writes it to a file if a path is given."""
    print(text)
    if path:
        pathlib.Path(path).write_text(text, encoding="utf-8")


def output_of(
    name: str,
    *arguments: str,
    passed_on: Iterable[flags.FlagHolder[object]],
) -> str:
    """Runs a benchmark in a process of its own, and returns what it printed.

    Flags of `passed_on` that are set in this process are passed on. Raises
    `RuntimeError` with its error output if it fails.
    """
    command = [sys.executable, "-m", "keras_evonas.benchmarks", name]
    command += arguments
    for flag in passed_on:
        if flag.value is not None:
            command.append(f"--{flag.name}={flag.value}")
    run = subprocess.run(command, capture_output=True, text=True)
    if run.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{run.stderr}")
    return run.stdout
