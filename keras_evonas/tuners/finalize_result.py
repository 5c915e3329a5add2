"""The result of `EvoTuner.finalize`."""

import dataclasses
import pathlib

import keras

from keras_evonas.project import wording
from keras_evonas.project.html import table
from keras_evonas.project.html import tag
from keras_evonas.project.search import Finalist


@dataclasses.dataclass(frozen=True, kw_only=True, repr=False)
class Finals:
    """The finalists of a search and the one that was chosen.

    Args:
        objective: String, what was measured on unseen data.
        finalists: The networks that were judged, the chosen one first, then
            by the means of their unseen scores.
        path: Where the chosen one was saved.
        seed: Integer, the seed of the saved training.
        score: Float, the unseen score of the saved training: the best of its
            repeats, so that the mean tells better what to expect.
    """

    objective: str
    finalists: tuple[Finalist, ...]
    path: pathlib.Path
    seed: int
    score: float

    @property
    def winner(self) -> Finalist:
        """The network that was chosen."""
        return self.finalists[0]

    def load_model(self) -> keras.Model:
        """Loads the model that was saved."""
        return keras.models.load_model(self.path)

    def __repr__(self) -> str:
        rows = [_HEADER, *map(_cells, self.finalists)]
        title = f"Finalists by their unseen {self.objective}:"
        return "\n".join([title, *wording.columns(rows), self._saved()])

    def _repr_html_(self) -> str:
        return tag(
            "div",
            tag("b", f"Finalists by their unseen {self.objective}"),
            table(_HEADER, map(_cells, self.finalists)),
            tag("p", self._saved()),
        )

    def _saved(self) -> str:
        return (
            f"Saved {self.winner.name} as {self.path} (seed {self.seed}, "
            f"unseen score {wording.number(self.score)}); reloaded, it "
            "predicts the same."
        )


_HEADER = ("network", "search", "unseen", "spread", "runs", "params")


def _cells(one: Finalist) -> tuple[str, ...]:
    runs = str(len(one.honest_scores))
    if one.message:
        runs += ", then failed"
    return (
        f"{one.name} (chosen)" if one.chosen else one.name,
        wording.number(one.search_score),
        wording.number(one.mean if one.honest_scores else None),
        wording.number(one.spread),
        runs,
        wording.number(one.params),
    )
