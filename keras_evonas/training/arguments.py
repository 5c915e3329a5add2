"""The arguments of `fit`, as values that can be changed and compared."""

import copy
import dataclasses
import inspect
from collections.abc import Callable
from typing import ClassVar

from keras_evonas.training.frames import as_arrays
from keras_evonas.training.values import Values

_DATA = ("x", "y", "sample_weight", "validation_data")


@dataclasses.dataclass(frozen=True, eq=False)
class FitArguments:
    """Arguments of `keras.Model.fit`, in its order and with its defaults.

    See `keras.Model.fit` for their meaning.

    Attributes:
        positional: Integer, how many were given by their position.
        named: Names of those that were given otherwise.
    """

    positional: ClassVar[int] = 0
    named: ClassVar[frozenset[str]] = frozenset()

    x: Values = None
    y: Values = None
    batch_size: int | None = None
    epochs: int = 1
    verbose: Values = 0
    callbacks: Values = None
    validation_split: float = 0.0
    validation_data: Values = None
    shuffle: Values = True
    class_weight: Values = None
    sample_weight: Values = None
    initial_epoch: int = 0
    steps_per_epoch: int | None = None
    validation_steps: int | None = None
    validation_batch_size: int | None = None
    validation_freq: Values = 1

    def __post_init__(self) -> None:
        fields = dataclasses.fields(self)
        own = [f.name for f in fields if getattr(self, f.name) is not f.default]
        _note_given(self, 0, frozenset(own))

    @classmethod
    def of(cls, *args: Values, **kwargs: Values) -> "FitArguments":
        """Makes them from what a user passes to `fit`.

        Frames of numbers become arrays; see `as_arrays`.

        Raises:
            TypeError: If `fit` has no such argument.
        """
        unknown = sorted(set(kwargs) - set(NAMES))
        twice = sorted(set(kwargs) & set(NAMES[: len(args)]))
        if unknown or twice or len(args) > len(NAMES):
            raise TypeError(
                "The arguments must be those of `keras.Model.fit`. Received: "
                f"{len(args)} positional ones, and by name {sorted(kwargs)}; "
                f"unknown: {unknown}, given twice: {twice}. `fit` takes "
                f"{NAMES}."
            )
        arguments = cls(*args, **kwargs)
        for name in _DATA:
            value = as_arrays(getattr(arguments, name))
            object.__setattr__(arguments, name, value)
        _note_given(arguments, len(args), frozenset(kwargs))
        return arguments

    def with_changes(self, **changes: Values) -> "FitArguments":
        """Returns a copy with other values for some arguments."""
        changed = type(self).of(**changes)
        arguments = copy.copy(self)
        for name in changes:
            object.__setattr__(arguments, name, getattr(changed, name))
        added = FitArguments(**changes).named  # Those that are no defaults.
        _note_given(arguments, self.positional, self.named | added)
        return arguments

    def given(self) -> tuple[tuple[Values, ...], dict[str, Values]]:
        """Returns the arguments that were given, by position and by name.

        Defaults that were left out are not among them, so that a `fit` that
        lacks an argument of `keras.Model.fit` is not called with it.
        """
        first, rest = NAMES[: self.positional], NAMES[self.positional :]
        return (
            tuple(getattr(self, name) for name in first),
            {name: getattr(self, name) for name in rest if name in self.named},
        )

    def data_and_steps(self) -> dict[str, Values]:
        """Returns the arguments that the members of a cohort must share."""
        own = {"epochs", "verbose", "callbacks"}
        return {n: getattr(self, n) for n in NAMES if n not in own}

    def validates_after(self, epoch: int) -> bool:
        """Returns whether a validation follows an epoch, counted from 0."""
        if isinstance(self.validation_freq, int):
            return (epoch + 1) % self.validation_freq == 0
        return (epoch + 1) in self.validation_freq


# The arguments of `keras.Model.fit`, in its order.
NAMES = [field.name for field in dataclasses.fields(FitArguments)]


def _note_given(
    arguments: FitArguments, positional: int, named: frozenset[str]
) -> None:
    object.__setattr__(arguments, "positional", positional)
    object.__setattr__(arguments, "named", named)


def takes(function: Callable[..., object], name: str) -> bool:
    """Returns whether a function can be called with an argument of a name."""
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):  # Python cannot say.
        return False
    kinds = {parameter.kind for parameter in parameters.values()}
    return name in parameters or inspect.Parameter.VAR_KEYWORD in kinds
