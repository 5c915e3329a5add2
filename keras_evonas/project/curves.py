"""Learning curves of a trial, kept beside its other files."""

import pathlib
from collections.abc import Mapping
from collections.abc import Sequence

from keras_evonas.project.files import read_json
from keras_evonas.project.files import write_json

FILE_NAME = "learning_curves.json"
_VERSION = 1

Curves = Mapping[str, Sequence[float]]


def write_curves(
    folder: str | pathlib.Path,
    executions: Sequence[Curves],
    *,
    initial_epoch: int = 0,
) -> None:
    """Writes the curves of all executions of a trial.

    Args:
        folder: The trial's folder. It must exist.
        executions: For each execution a mapping from names to one value an
            epoch.
        initial_epoch: Integer, the epoch of the first value.
    """
    write_json(
        pathlib.Path(folder) / FILE_NAME,
        {
            "version": _VERSION,
            "initial_epoch": initial_epoch,
            "executions": [
                {name: list(values) for name, values in curves.items()}
                for curves in executions
            ],
        },
    )


def read_curves(folder: str | pathlib.Path) -> list[dict[str, list[float]]]:
    """Reads the curves of all executions of a trial; an empty list if none.

    Raises:
        ValueError: If the file is damaged or of a newer version.
    """
    path = pathlib.Path(folder) / FILE_NAME
    if not path.exists():
        return []
    content = read_json(path)
    version = content.get("version")
    if version != _VERSION or not isinstance(content.get("executions"), list):
        raise ValueError(
            f"'{path}' must hold learning curves of version {_VERSION}. "
            f"Received: {str(content)[:80]!r}. It is damaged, or "
            "keras_evonas must be updated to read it."
        )
    return content["executions"]
