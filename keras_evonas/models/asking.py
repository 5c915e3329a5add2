"""Hyperparameters as the hypermodels of this package ask for them.

What `kind` and `counted` ask for is shared by a supernet, which gets a
`SharedAnswer` in place of a value. `applied` and `chained` take both.
"""

import contextlib
import functools
from collections.abc import Callable
from collections.abc import Sequence
from typing import TypeVar

import keras
import keras_tuner

from keras_evonas.models.shared import Apply
from keras_evonas.models.shared import SharedAnswer
from keras_evonas.models.shared import Sharing

Asked = TypeVar("Asked")
Value = TypeVar("Value", int, float, str)


def choice(
    hp: keras_tuner.HyperParameters,
    name: str,
    values: Sequence[Value],
    *,
    near: float | None = None,
) -> Value:
    """Asks for one of some values, unless there is only one.

    The default is the value next to `near`, or the first. It returns `None`
    inside of a scope that is not active, where only the question counts.
    """
    if len(values) == 1:
        return values[0]
    default = _default(values, near)
    chosen: Value = hp.Choice(name, list(values), default=default)
    return chosen


def kind(
    hp: keras_tuner.HyperParameters,
    name: str,
    values: Sequence[Value],
    *,
    near: float | None = None,
) -> Value | SharedAnswer:
    """Asks for a kind of layer, as `choice` does; see `applied`."""
    if len(values) == 1 or not isinstance(hp, Sharing):
        return choice(hp, name, values, near=near)
    answer = hp.share_choice(name, values, _default(values, near))
    return answer  # type: ignore[return-value]


def applied(
    answer: Value | SharedAnswer,
    make: Callable[[Value, keras.KerasTensor], keras.KerasTensor],
    tensor: keras.KerasTensor,
    *,
    spare: Value | None = None,
) -> keras.KerasTensor:
    """Applies the layers of a kind that `kind` asked for.

    It returns what `make` does, which may be `None` for zeros; in a supernet
    a mixture for all values, and for `spare`, which a rule may choose.
    """
    if not isinstance(answer, SharedAnswer):
        return make(answer, tensor)
    shared: SharedAnswer = answer
    values = (*shared.values, *([] if spare is None else [spare]))
    options = {str(value): functools.partial(make, value) for value in values}
    return shared.share_layers(tensor, options)


def chained(
    count: int | SharedAnswer,
    bounds: tuple[int, int],
    make: Callable[[int, keras.KerasTensor], keras.KerasTensor],
    tensor: keras.KerasTensor,
) -> keras.KerasTensor:
    """Applies a number of parts, one after the other.

    The number is what `kind` or `counted` returned. In a supernet parts beyond
    the lower bound may be left out, and must keep the shape.
    """
    if not isinstance(count, SharedAnswer):
        for index in range(count):
            tensor = make(index, tensor)
        return tensor
    low, high = bounds
    for index in range(high):
        present = functools.partial(make, index)
        if index < low:
            tensor = present(tensor)
        else:
            options: dict[str, Apply] = {"absent": _same, "present": present}
            branches = [int(number > index) for number in count.values]
            tensor = count.share_layers(tensor, options, branches)
    return tensor


def repeated(
    hp: keras_tuner.HyperParameters,
    name: str,
    bounds: tuple[int, int],
    ask: Callable[[int], Asked],
    *,
    prefix: str,
    default: int,
    absent: bool = True,
) -> list[Asked]:
    """Asks for a number of parts, and for the hyperparameters of each.

    Those of part `i` are named `prefix` and `i`, `/...`. If `absent`, `ask` is
    called for absent parts too, where every answer is `None`: so their
    hyperparameters are in the search space from the first build on, but not
    active. It returns the results for the parts that are present.
    """
    low, high = bounds
    count = choice(hp, name, range(low, high + 1), near=default) or 0
    return _asked(hp, name, bounds, ask, count, prefix, absent)


def counted(
    hp: keras_tuner.HyperParameters,
    name: str,
    bounds: tuple[int, int],
    ask: Callable[[int], Asked],
    *,
    prefix: str,
    default: int,
) -> tuple[int | SharedAnswer, list[Asked]]:
    """Asks as `repeated` does, and returns the number for `chained`, too.

    A supernet shares the number, and gets the results for all parts.
    """
    low, high = bounds
    count = kind(hp, name, range(low, high + 1), near=default) or 0
    number = high if isinstance(count, SharedAnswer) else count
    return count, _asked(hp, name, bounds, ask, number, prefix, True)


def _asked(
    hp: keras_tuner.HyperParameters,
    name: str,
    bounds: tuple[int, int],
    ask: Callable[[int], Asked],
    count: int,
    prefix: str,
    absent: bool,
) -> list[Asked]:
    low, high = bounds
    asked = []
    for index in range(high):
        with contextlib.ExitStack() as scopes:
            if index >= low:
                numbers = list(range(index + 1, high + 1))
                scopes.enter_context(hp.conditional_scope(name, numbers))
            scopes.enter_context(hp.name_scope(f"{prefix}{index}"))
            if absent or index < count:
                asked.append(ask(index))
    return asked[:count]


def _same(tensor: keras.KerasTensor) -> keras.KerasTensor:
    return tensor


def _default(values: Sequence[Value], near: float | None) -> Value:
    if near is None:
        return values[0]
    return min(values, key=lambda value: abs(float(value) - near))
