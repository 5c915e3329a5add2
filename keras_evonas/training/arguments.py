"""The arguments of `fit`, as values that can be changed and compared."""

import dataclasses
from typing import Any


@dataclasses.dataclass(frozen=True, eq=False)
class FitArguments:
    """Arguments of `keras.Model.fit`, in its order and with its defaults.

    See `keras.Model.fit` for their meaning.
    """

    x: Any = None
    y: Any = None
    batch_size: int | None = None
    epochs: int = 1
    verbose: Any = 0
    callbacks: Any = None
    validation_split: float = 0.0
    validation_data: Any = None
    shuffle: Any = True
    class_weight: Any = None
    sample_weight: Any = None
    initial_epoch: int = 0
    steps_per_epoch: int | None = None
    validation_steps: int | None = None
    validation_batch_size: int | None = None
    validation_freq: Any = 1

    @classmethod
    def of(cls, *args: Any, **kwargs: Any) -> "FitArguments":
        """Makes them from what a user passes to `fit`.

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
        return cls(*args, **kwargs)

    def with_changes(self, **changes: Any) -> "FitArguments":
        """Returns a copy with other values for some arguments."""
        return type(self).of(
            **{
                field.name: getattr(self, field.name)
                for field in dataclasses.fields(self)
            }
            | changes
        )

    def data_and_steps(self) -> dict[str, Any]:
        """The arguments that the members of a cohort must agree on."""
        own = ("epochs", "verbose", "callbacks")
        return {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)
            if field.name not in own
        }

    def validates_after(self, epoch: int) -> bool:
        """Whether there is a validation after an epoch, counted from 0."""
        if isinstance(self.validation_freq, int):
            return (epoch + 1) % self.validation_freq == 0
        return (epoch + 1) in self.validation_freq
