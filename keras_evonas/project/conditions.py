"""The training of a search, kept for when the search is taken up again.

Scores are compared over the whole search, so that trials of other epochs or of
other data spoil it.
"""

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


def keep(folder: str | os.PathLike[str], now: Mapping[str, object]) -> None:
    """Keeps in a project folder what `described` makes of a training."""
    if _kept(folder) != now:
        write_json(pathlib.Path(folder, FILE_NAME), now, durable=False)


def changes(
    folder: str | os.PathLike[str], now: Mapping[str, object]
) -> list[str]:
    """Says in what a training differs from the one that was kept.

    Args:
        folder: The project folder.
        now: What `described` makes of the training.

    Returns:
        A text for each difference, which says what was and what is now; none
        if nothing was kept.
    """
    before = _kept(folder)
    return [] if before is None else differences(before, now)


def differences(
    before: Mapping[str, object], now: Mapping[str, object]
) -> list[str]:
    """Says in what two trainings differ, as `described` makes them."""
    return [
        _difference(name, before.get(name), now.get(name))
        for name in dict.fromkeys([*before, *now])
        if before.get(name) != now.get(name)
    ]


def _kept(folder: str | os.PathLike[str]) -> Mapping[str, object] | None:
    try:
        return read_json(pathlib.Path(folder, FILE_NAME))
    except ValueError:
        return None  # There is none, or a damaged one.


def _difference(name: str, before: object, now: object) -> str:
    was, is_now = _said(before), _said(now)
    if was == is_now:
        return f"`{name}` has other values"
    return f"`{name}` was {was}, and is {is_now}"


def _said(value: object) -> str:
    if isinstance(value, Mapping):
        return str(value.get("array"))
    return "not given" if value is None else repr(value)
