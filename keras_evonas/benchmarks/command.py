"""Parts that the commands share: usage errors, output and subprocesses."""

import contextlib
import pathlib
import subprocess
import sys
from collections.abc import Iterable
from collections.abc import Iterator

from absl import app
from absl import flags


@contextlib.contextmanager
def usage_errors() -> Iterator[None]:
    """Reports an error that the flags caused without its traceback."""
    try:
        yield
    except (ImportError, OSError, ValueError) as error:
        raise app.UsageError(str(error)) from error


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
    """Runs a benchmark in a process of its own.

    Args:
        name: Name of the benchmark.
        *arguments: Its arguments.
        passed_on: Flags of this process that it gets, too, if they are set.

    Returns:
        The text that it printed.

    Raises:
        RuntimeError: If it failed. The error holds its error output.
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
