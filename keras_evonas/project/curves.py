"""Learning curves of a trial, kept beside its other files.

A curve is a log's pairs of epoch and value, the epoch counted from 0: a log
need not be there in every epoch, such as those of a validation.
"""

import pathlib
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import TypeAlias
from typing import TypeVar

from keras_evonas.project.files import read_json
from keras_evonas.project.files import write_json

FILE_NAME = "learning_curves.json"
_VERSION = 2
# The log of the last epoch of a training that was stopped as hopeless.
ENDED_EARLY = "ended_early"

# A number, or a list of such values for a log that is an array.
Value: TypeAlias = float | Sequence["Value"]
Curve: TypeAlias = Sequence[tuple[int, Value]]
Curves: TypeAlias = Mapping[str, Curve]
_Epoch = TypeVar("_Epoch", int, float)


def history_of(curves: Curves) -> dict[str, list[Value]]:
    """Returns the values alone, as `keras.callbacks.History` has them."""
    return {
        name: [value for _, value in curve] for name, curve in curves.items()
    }


def curves_of(
    history: Mapping[str, Sequence[Value]], *, initial_epoch: int = 0
) -> dict[str, Curve]:
    """Returns curves of logs that are there in every epoch, as `History` has.

    `initial_epoch` is the epoch of the first value.
    """
    return {
        name: tuple(enumerate(values, start=initial_epoch))
        for name, values in history.items()
    }


def write_curves(
    folder: str | pathlib.Path, executions: Sequence[Curves]
) -> None:
    """Writes the curves of all executions of a trial into its folder."""
    content = [
        {
            name: {
                "epochs": [epoch for epoch, _ in curve],
                "values": [value for _, value in curve],
            }
            for name, curve in curves.items()
        }
        for curves in executions
    ]
    path = pathlib.Path(folder) / FILE_NAME
    write_json(path, {"version": _VERSION, "executions": content})


def read_curves(folder: str | pathlib.Path) -> list[dict[str, Curve]]:
    """Reads the curves of all executions of a trial; an empty list if none.

    Files of earlier versions, with one value an epoch, are read as well.

    Raises:
        ValueError: If the file is damaged or of a newer version.
    """
    path = pathlib.Path(folder) / FILE_NAME
    return parse(read_json(path), str(path)) if path.exists() else []


def epochs_of(
    curves: Mapping[str, Sequence[tuple[_Epoch, object]]],
) -> set[_Epoch]:
    """Returns the epochs that have any log."""
    return {epoch for curve in curves.values() for epoch, _ in curve}


def ended_early(curves: Curves) -> bool:
    """Returns whether a training was stopped as hopeless."""
    marks = {epoch for epoch, _ in curves.get(ENDED_EARLY, ())}
    return bool(marks) and max(marks) == max(epochs_of(curves))


def epochs_in(folder: str | pathlib.Path) -> int | None:
    """Returns the epochs of all executions of a trial, `None` if unknown."""
    try:
        executions = read_curves(folder)
    except ValueError:  # `load` notes that it is damaged.
        return None
    return sum(len(epochs_of(one)) for one in executions) or None


def read_histories(folder: str | pathlib.Path) -> list[dict[str, list[Value]]]:
    """Reads the values alone, without their epochs; see `read_curves`."""
    return [history_of(curves) for curves in read_curves(folder)]


def parse(content: object, name: str = FILE_NAME) -> list[dict[str, Curve]]:
    """Returns the curves of each execution in the content of a file.

    Raises:
        ValueError: If the content is damaged or of a newer version.
    """
    try:
        if not isinstance(content, Mapping):
            raise TypeError
        if content.get("version", 1) == 1:
            first = int(content.get("initial_epoch") or 0)
            return [
                curves_of(history, initial_epoch=first)
                for history in content["executions"]
            ]
        if content["version"] == _VERSION:
            return [
                {log: _pairs(curve) for log, curve in curves.items()}
                for curves in content["executions"]
            ]
    except (AttributeError, KeyError, TypeError, ValueError):
        pass  # The error below says it.
    raise ValueError(
        f"'{name}' must hold learning curves of version {_VERSION} or lower. "
        f"Received: {str(content)[:80]!r}. It is damaged, or keras_evonas "
        "must be updated to read it."
    )


def _pairs(curve: Mapping[str, Any]) -> Curve:
    return tuple(zip(curve["epochs"], curve["values"], strict=True))
