"""The arguments of `fit`, as values that can be changed and compared."""

import dataclasses
import inspect
from collections.abc import Callable

from keras_evonas.training.frames import as_arrays
from keras_evonas.training.values import Values

_DATA = ("x", "y", "sample_weight", "validation_data")


@dataclasses.dataclass(frozen=True, eq=False)
class FitArguments:
    """Arguments of `keras.Model.fit`, in its order and with its defaults.

    See `keras.Model.fit` for their meaning.

    Attributes:
        positional: Integer, how many were given by their position.
        named: Names of those that were given otherwise, and of those that are
            no defaults.
    """

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
    _: dataclasses.KW_ONLY
    positional: int = 0
    named: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        own = {
            field.name
            for field in dataclasses.fields(self)
            if getattr(self, field.name) is not field.default
        }
        object.__setattr__(self, "named", self.named | own)

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
            wrong = [f"`{name}`, which `fit` does not have" for name in unknown]
            wrong += [f"`{name}` twice" for name in twice]
            raise TypeError(
                "The arguments must be those of `keras.Model.fit`. Received: "
                f"{', '.join(wrong) or f'{len(args)} by their places'}. Pass "
                "arguments of the search to the tuner, and to `fit` one or "
                f"more of {', '.join(NAMES)}."
            )
        arguments = cls(*args, **kwargs)
        data = {name: as_arrays(getattr(arguments, name)) for name in _DATA}
        return dataclasses.replace(
            arguments, **data, positional=len(args), named=frozenset(kwargs)
        )

    def with_changes(self, **changes: Values) -> "FitArguments":
        """Returns a copy with other values for some arguments."""
        changed = type(self).of(**changes)
        values = {name: getattr(changed, name) for name in changes}
        # The default of a model's own `fit` may be another than Keras's 1.
        named = self.named | ({"epochs"} & changes.keys())
        return dataclasses.replace(self, **values, named=named)

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
NAMES = [
    field.name
    for field in dataclasses.fields(FitArguments)
    if not field.kw_only
]


def takes(function: Callable[..., object], name: str) -> bool:
    """Returns whether a function can be called with an argument of a name."""
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):  # Python cannot say.
        return False
    kinds = {parameter.kind for parameter in parameters.values()}
    return name in parameters or inspect.Parameter.VAR_KEYWORD in kinds
