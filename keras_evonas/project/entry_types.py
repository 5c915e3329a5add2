"""The types that the fields of a record must have.

A record is JSON that another program may have written. A field of another type
would fail far from here, with an error that does not name the file.
"""

from collections.abc import Callable
from collections.abc import Mapping
from typing import TypeAlias

_Check: TypeAlias = Callable[[object], bool]


def _whole(value: object) -> bool:
    return type(value) is int


def _natural(value: object) -> bool:
    return isinstance(value, int) and _whole(value) and value >= 0


def _positive(value: object) -> bool:
    return _natural(value) and value != 0


def _number(value: object) -> bool:
    return type(value) in (int, float)


def _text(value: object) -> bool:
    return isinstance(value, str)


def _scalar(value: object) -> bool:
    return type(value) in (bool, int, float, str)


def _id(value: object) -> bool:
    return isinstance(value, str) and value.isascii() and value.isdigit()


def _or_none(check: _Check) -> _Check:
    return lambda value: value is None or check(value)


def _list_of(check: _Check) -> _Check:
    return lambda value: isinstance(value, list) and all(map(check, value))


def _dict_of(check: _Check) -> _Check:
    return lambda value: (
        isinstance(value, dict) and all(map(check, value.values()))
    )


TERMS: Mapping[str, _Check] = {
    "seed": _whole,
    "objective": _list_of(_list_of(_text)),
    "strategy": _text,
    "initial_population": _list_of(_dict_of(_scalar)),
    "max_trials": _or_none(_positive),
    "constraints": _list_of(_text),
    "space": _list_of(_text),
    "guard_bytes": _or_none(_number),
    "inheritance": _or_none(_text),
}
BIRTH: Mapping[str, _Check] = {
    "trial_id": _id,
    "birth": _natural,
    "genome": _dict_of(_scalar),
    "parents": _list_of(_natural),
    "operator": _text,
    "traits": _dict_of(_number),
    "rung": _natural,
}
END: Mapping[str, _Check] = {
    "trial_id": _id,
    "status": lambda value: value in ("COMPLETED", "FAILED", "INVALID"),
    "score": _or_none(_number),
    "best_step": _or_none(_whole),
    "message": _or_none(_text),
    "values": _dict_of(_or_none(_scalar)),
    "elapsed": _number,
    "losses": _or_none(_list_of(_number)),
    "violation": _number,
    "worker": _or_none(_text),
}


def check_fields(
    fields: Mapping[str, object], checks: Mapping[str, _Check]
) -> None:
    """Checks the types of an entry's fields; it may lack some.

    Args:
        fields: The fields.
        checks: `TERMS`, `BIRTH` or `END`.

    Raises:
        ValueError: If a field is of another type.
    """
    for name, value in fields.items():
        if name in checks and not checks[name](value):
            raise ValueError(f"'{name}' cannot be {str(value)[:100]!r}")
