"""Results of the searches of the live comparison, and their files."""

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from keras_evonas.project.files import read_json
from keras_evonas.project.files import write_json

Clock = Literal["trials", "seconds"]
# The methods, as tables show them.
TITLES = {
    "evolutionary_search": "EvolutionarySearch",
    "freeze_thaw": "EvolutionarySearch, freeze_thaw",
    "stop_hopeless": "EvolutionarySearch, stop_hopeless",
    "evo_oracle": "EvoOracle in keras-tuner's Tuner",
    "keras_tuner_random": "keras-tuner RandomSearch",
    "keras_tuner_bayesian": "keras-tuner BayesianOptimization",
    "keras_tuner_hyperband": "keras-tuner Hyperband",
    "optuna_tpe": "Optuna TPE",
    "optuna_tpe_hyperband": "Optuna TPE, HyperbandPruner",
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Budget:
    """The end of a search: when trials and seconds are spent, or at a limit.

    Args:
        trials: Integer, in whole trainings of so many `epochs`.
        seconds: Float.
        limit: Float, seconds after which it ends with fewer trials, too.
        epochs: Integer.
    """

    trials: int
    seconds: float
    limit: float
    epochs: int

    def is_spent(self, epochs: int, seconds: float) -> bool:
        """Returns whether a search ends after so many epochs and seconds."""
        has_trials = epochs >= self.trials * self.epochs
        return seconds >= (self.seconds if has_trials else self.limit)


@dataclasses.dataclass(frozen=True, kw_only=True)
class End:
    """The end of a trial.

    Args:
        seconds: Float, those since the search began.
        epochs: Integer, the epochs that it was trained for.
        score: Float, its best validation accuracy, `None` if it failed.
        tested: Float, its accuracy on held-out examples, if it was the best so
            far, else `None`.
    """

    seconds: float
    epochs: int
    score: float | None
    tested: float | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class LiveRun:
    """A search: its trials as they ended, and the machine it ran on."""

    dataset: str
    method: str
    seed: int
    budget: Budget
    ends: Sequence[End]
    machine: str = ""

    def clock(self, clock: Clock) -> np.ndarray:
        """Returns the clock's `(trials,)` readings at the ends of the trials.

        Trials count in whole trainings, since Hyperband trains most for less.
        """
        if clock == "seconds":
            return np.array([end.seconds for end in self.ends])
        epochs = np.cumsum([end.epochs for end in self.ends])
        return epochs / self.budget.epochs

    def tested_at(self, clock: Clock, readings: ArrayLike) -> np.ndarray:
        """Returns the held-out accuracy of the best trial by validation.

        It has the shape of the readings, and is NaN where no trial had ended,
        and where the search never had so many trials.
        """
        so_far = [np.nan]
        for end in self.ends:
            so_far.append(so_far[-1] if end.tested is None else end.tested)
        clocked = self.clock(clock)
        ended = np.searchsorted(clocked, readings, side="right")
        tested = np.array(so_far)[ended]
        if clock == "trials":
            tested[np.asarray(readings) > clocked[-1]] = np.nan
        return tested

    def cut_to(self, budget: Budget) -> "LiveRun":
        """Returns the search as a smaller budget would have ended it.

        It does not depend on its budget until that is spent. Raises
        `ValueError` if it ended before.
        """
        epochs = 0
        for number, end in enumerate(self.ends, start=1):
            epochs += end.epochs
            if budget.is_spent(epochs, end.seconds):
                return dataclasses.replace(
                    self, budget=budget, ends=self.ends[:number]
                )
        raise ValueError(
            f"a search must have gone on for {budget}. Received: one of "
            f"{self.budget}."
        )

    def write(self, path: pathlib.Path, settings: dict[str, object]) -> None:
        """Writes the search, whole or not at all, with its settings."""
        run = dataclasses.asdict(self)
        write_json(path, {"settings": settings, "run": run})


def read_run(
    path: pathlib.Path, settings: dict[str, object], budget: Budget
) -> LiveRun:
    """Reads a search that was measured with settings, cut to a budget.

    Raises `ValueError` if its settings are others or it is too short.
    """
    content = read_json(path)
    if content.get("settings") != settings:
        raise ValueError(
            f"`out` must hold searches with the settings {settings}. "
            f"Received: '{path}', measured with {content.get('settings')}. "
            "Name another folder, or remove the file."
        )
    run = dict(content["run"])
    run["budget"] = Budget(**run["budget"])
    run["ends"] = [End(**end) for end in run["ends"]]
    try:
        return LiveRun(**run).cut_to(budget)
    except ValueError as error:
        raise ValueError(
            f"In '{path}', {error} Name another folder, or remove the file."
        ) from error
