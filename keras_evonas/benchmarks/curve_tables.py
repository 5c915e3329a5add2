"""Tables with learning curves: every network of a space, watched each epoch.

A table with curves is a table of `keras_evonas.benchmarks.tables` with one more
key: `curves`, an `(n, epochs)` array of the score after each epoch. A search
pays for each epoch, may leave a training and may go on with it.
"""

import dataclasses
import pathlib

import numpy as np

from keras_evonas.benchmarks.tables import Table
from keras_evonas.benchmarks.tables import read_table
from keras_evonas.evolution.genes import Genome


@dataclasses.dataclass(frozen=True, eq=False)
class CurveTable:
    """A table, with the `(n, epochs)` losses after each epoch."""

    table: Table
    losses: np.ndarray

    @property
    def epochs(self) -> int:
        """The epochs of a whole training."""
        return int(self.losses.shape[1])


class BudgetSpentError(Exception):
    """The epochs of a search are spent."""


class Trainer:
    """Reads trainings from a table and counts their epochs.

    Attributes:
        problem: The table.
        regrets: `(epochs,)` array, the normalised regret of the incumbent after
            each epoch of the search. That is the network with the best loss at
            any epoch so far.
        spent: Integer, the epochs so far.
    """

    def __init__(self, problem: CurveTable, epochs: int) -> None:
        self.problem = problem
        self.regrets = np.full(epochs, np.nan)
        self.spent = 0
        self._best = np.inf

    def train(self, genome: Genome, first: int, last: int) -> np.ndarray:
        """Trains a network on from its epoch `first`, and ends with `last`.

        Returns the `(last - first,)` losses; they are infinite, and nothing is
        spent, if the table lacks the genome. Raises `BudgetSpentError` with
        the last epoch of the search, which counts.
        """
        problem = self.problem
        row = problem.table.row(genome)
        if row is None:
            return np.full(last - first, np.inf)
        losses = problem.losses[row, first:last]
        for loss in losses:
            if self.spent == len(self.regrets):
                raise BudgetSpentError
            if loss < self._best:
                self._best = loss
                self.regrets[self.spent :] = problem.table.regret(genome)
            self.spent += 1
        if self.spent == len(self.regrets):
            raise BudgetSpentError
        return np.asarray(losses)


def read_curve_table(path: str | pathlib.Path) -> CurveTable:
    """Reads a table with curves, as `read_table` reads others."""
    table = read_table(path)
    with np.load(path, allow_pickle=False) as archive:
        curves = archive["curves"] if "curves" in archive.files else None
        sign = -1.0 if str(archive["direction"]) == "max" else 1.0
    rows = len(table.true)
    fits = curves is not None and curves.ndim == 2 and len(curves) == rows
    if curves is None or not fits or not curves.size:
        received = "no such key" if curves is None else f"shape {curves.shape}"
        raise ValueError(
            f"The table '{path}' must be mended: `curves` must have a row for "
            f"each of the {rows} rows of `genomes` and a column for each "
            f"epoch. Received: {received}."
        )
    if not np.isfinite(curves).all():
        raise ValueError(
            f"The table '{path}' must be mended: `curves` must be finite. "
            f"Received: {int((~np.isfinite(curves)).sum())} numbers that are "
            "not. Write the worst score for epochs that failed."
        )
    return CurveTable(table, sign * curves.astype(float))
