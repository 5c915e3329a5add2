"""The weights of options that a search by gradients writes, epoch by epoch."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from keras_evonas.project import wording

FILE_NAME = "architecture.json"


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class OptionWeights:
    """The probability of every option of each choice, after each epoch."""

    options: Mapping[str, tuple[Any, ...]]  # Of each choice, by its name.
    # For each epoch the probabilities of each choice's options, 0 of those
    # that were left out.
    epochs: tuple[Mapping[str, tuple[float, ...]], ...]
    skips: Mapping[str, tuple[int, ...]]  # The places of skips, by choice.
    planned: int | None = None  # Epochs that the search takes, if known.

    def likeliest(self, choice: str) -> tuple[int, float]:
        """Returns the place of the option that weighs most, and its weight."""
        row = self.epochs[-1][choice]
        place = max(range(len(row)), key=row.__getitem__)
        return place, row[place]

    @property
    def ended(self) -> bool:
        """Whether all planned epochs are written."""
        return self.planned is not None and len(self.epochs) >= self.planned

    @property
    def skipped(self) -> list[str]:
        """The choices in which a skip weighs most."""
        return [
            choice
            for choice in self.options
            if self.likeliest(choice)[0] in self.skips.get(choice, ())
        ]

    def lines(self) -> list[str]:
        """Names the option that weighs most in each choice, one a line."""
        found = []
        for choice, options in self.options.items():
            place, weight = self.likeliest(choice)
            value = wording.gene_value(options[place])
            found.append(f"{choice} = {value} ({wording.percent(weight)})")
        return found

    def headline(self) -> str:
        """Writes in one line how far the search has come."""
        of_them = f" of {self.planned}" if self.planned else ""
        choices = wording.plural(len(self.options), "choice")
        return (
            f"Search by gradients: {len(self.epochs)}{of_them} epochs, "
            f"{choices}."
        )


def option_weights_of(content: object) -> OptionWeights | None:
    """Reads the content of the file, `None` if it holds no epoch."""
    if not isinstance(content, dict) or not content.get("epochs"):
        return None
    options = {name: tuple(v) for name, v in content["genes"].items()}
    return OptionWeights(
        options=options,
        epochs=tuple(
            {name: tuple(map(float, row[name])) for name in options}
            for row in content["epochs"]
        ),
        skips={name: tuple(v) for name, v in content["skips"].items()},
        planned=content.get("planned"),
    )
