"""The training of a search, kept for when the search is taken up again.

Scores are compared over the whole search, so that trials of other epochs or of
other data spoil it.
"""

import dataclasses
import hashlib
import os
import pathlib
from collections.abc import Mapping

import numpy as np

from keras_evonas.project.files import read_json
from keras_evonas.project.files import write_json

FILE_NAME = "conditions.json"
# Of an array at least so many rows are looked at, and less than twice as many.
_ROWS = 100
# A longer list holds the examples themselves.
_PARTS = 16
_PLAIN = bool | int | float | str | None


def described(arguments: Mapping[str, object]) -> dict[str, object]:
    """Returns what a file can hold of arguments, arrays by a digest.

    What is neither a plain value nor an array is left out, and so are values
    of `None`.
    """
    found: dict[str, object] = {}
    for name, value in arguments.items():
        if isinstance(value, tuple | list | Mapping) and len(value) <= _PARTS:
            parts = (
                value if isinstance(value, Mapping) else dict(enumerate(value))
            )
            inside = {f"{name}[{key!r}]": part for key, part in parts.items()}
            found |= described(inside)
        elif isinstance(value, np.ndarray) and value.dtype.kind != "O":
            found[name] = _array(value)
        elif isinstance(value, _PLAIN) and value is not None:
            found[name] = value
    return found


def _array(values: np.ndarray) -> dict[str, str]:
    step = max(1, len(values) // _ROWS) if values.ndim else 1
    rows = np.ascontiguousarray(values[::step] if values.ndim else values)
    digest = hashlib.blake2b(rows.tobytes(), digest_size=6).hexdigest()
    return {"array": f"{values.dtype} of {values.shape}", "digest": digest}


@dataclasses.dataclass(frozen=True)
class Changes:
    """Tells how many trials were trained otherwise than others will be.

    Attributes:
        trials: How many have.
        differences: A text for each difference, which says what was and what
            is now.
    """

    trials: int
    differences: list[str]


def keep(
    folder: str | os.PathLike[str], now: Mapping[str, object], ended: int
) -> None:
    """Keeps in a project folder how its networks are trained from now on.

    Args:
        folder: The project folder.
        now: What `described` makes of the training.
        ended: How many trials have ended before.
    """
    before = _runs(folder)
    runs = [run for run in before if run.ended < ended]
    if not runs or runs[-1].training != now:
        runs.append(_Run(ended, now))
    if runs != before:
        content = {"runs": [dataclasses.asdict(run) for run in runs]}
        write_json(pathlib.Path(folder, FILE_NAME), content, durable=False)


def changes(
    folder: str | os.PathLike[str], now: Mapping[str, object], ended: int
) -> Changes:
    """Tells how many trials have been trained otherwise, and in what.

    Args:
        folder: The project folder.
        now: What `described` makes of the training.
        ended: How many trials have ended.
    """
    runs = [run for run in _runs(folder) if run.ended < ended]
    otherwise, end = 0, ended
    told: list[str] = []
    for run in reversed(runs):
        if run.training != now:
            otherwise += end - run.ended
            told = told or differences(run.training, now)
        end = run.ended
    return Changes(otherwise, told)


def differences(
    before: Mapping[str, object], now: Mapping[str, object]
) -> list[str]:
    """Says in what two trainings differ, as `described` makes them."""
    return [
        _difference(name, before.get(name), now.get(name))
        for name in dict.fromkeys([*before, *now])
        if before.get(name) != now.get(name)
    ]


@dataclasses.dataclass(frozen=True)
class _Run:
    """A training, and how many trials had ended before it."""

    ended: int
    training: Mapping[str, object]


def _runs(folder: str | os.PathLike[str]) -> list[_Run]:
    """Reads the trainings of a search; none if there is no file of them."""
    try:
        content = read_json(pathlib.Path(folder, FILE_NAME))
    except ValueError:
        return []  # There is none, or a damaged one.
    if "runs" not in content:
        return [_Run(0, content)]  # Before searches kept more than the last.
    try:
        return [
            _Run(int(r["ended"]), dict(r["training"])) for r in content["runs"]
        ]
    except (TypeError, KeyError, ValueError):
        return []


def _difference(name: str, before: object, now: object) -> str:
    was, is_now = _said(before), _said(now)
    if was == is_now:
        return f"`{name}` has other values"
    return f"`{name}` was {was}, and is {is_now}"


def _said(value: object) -> str:
    if isinstance(value, Mapping):
        return str(value.get("array"))
    return "not given" if value is None else repr(value)
