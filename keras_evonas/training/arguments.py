"""The arguments of `fit`, as values that can be changed and compared."""

import dataclasses

from keras_evonas.training.frames import as_arrays
from keras_evonas.training.values import Values

_DATA = ("x", "y", "sample_weight", "validation_data")


@dataclasses.dataclass(frozen=True, eq=False)
class FitArguments:
    """Arguments of `keras.Model.fit`, in its order and with its defaults.

    See `keras.Model.fit` for their meaning.
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

    @classmethod
    def of(cls, *args: Values, **kwargs: Values) -> "FitArguments":
        """Makes them from what a user passes to `fit`.

        Frames of numbers become arrays; see `as_arrays`.

        Raises:
            TypeError: If `fit` has no such argument.
        """
        names = [field.name for field in dataclasses.fields(cls)]
        unknown = sorted(set(kwargs) - set(names))
        twice = sorted(set(kwargs) & set(names[: len(args)]))
        if unknown or twice or len(args) > len(names):
            raise TypeError(
                "The arguments must be those of `keras.Model.fit`. Received: "
                f"{len(args)} positional ones, and by name {sorted(kwargs)}; "
                f"unknown: {unknown}, given twice: {twice}. `fit` takes "
                f"{names}."
            )
        made = cls(*args, **kwargs)
        data = {name: as_arrays(getattr(made, name)) for name in _DATA}
        return dataclasses.replace(made, **data)

    def with_changes(self, **changes: Values) -> "FitArguments":
        """Returns a copy with other values for some arguments."""
        return type(self).of(
            **{
                field.name: getattr(self, field.name)
                for field in dataclasses.fields(self)
            }
            | changes
        )

    def data_and_steps(self) -> dict[str, Values]:
        """Returns the arguments that the members of a cohort must share."""
        own = ("epochs", "verbose", "callbacks")
        return {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)
            if field.name not in own
        }

    def validates_after(self, epoch: int) -> bool:
        """Returns whether a validation follows an epoch, counted from 0."""
        if isinstance(self.validation_freq, int):
            return (epoch + 1) % self.validation_freq == 0
        return (epoch + 1) in self.validation_freq
