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
    "evo_oracle": "EvoOracle in keras-tuner's Tuner",
    "keras_tuner_random": "keras-tuner RandomSearch",
    "keras_tuner_bayesian": "keras-tuner BayesianOptimization",
    "keras_tuner_hyperband": "keras-tuner Hyperband",
    "optuna_tpe": "Optuna TPE",
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Budget:
    """When a search ends: when trials and seconds are spent, or at a limit.

    Args:
        trials: Integer, networks trained, in whole trainings.
        seconds: Float.
        limit: Float, seconds after which it ends with fewer trials, too.
        epochs: Integer, epochs of a whole training.
    """

    trials: int
    seconds: float
    limit: float
    epochs: int

    def is_spent(self, epochs: int, seconds: float) -> bool:
        """Returns whether a search has to end.

        Args:
            epochs: Integer, those of all trials so far.
            seconds: Float, those since the search began.
        """
        has_trials = epochs >= self.trials * self.epochs
        return seconds >= (self.seconds if has_trials else self.limit)


@dataclasses.dataclass(frozen=True, kw_only=True)
class End:
    """End of a trial.

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

    def tested_with(self, accuracy: float) -> "End":
        """Returns the same end with an accuracy on held-out examples."""
        return dataclasses.replace(self, tested=accuracy)


@dataclasses.dataclass(frozen=True, kw_only=True)
class LiveRun:
    """A search.

    Args:
        dataset: Name of the data set.
        method: Name of the method.
        seed: Integer.
        budget: When it was to end.
        ends: The trials in the order in which they ended.
        machine: String, the machine and the versions that it ran on.
    """

    dataset: str
    method: str
    seed: int
    budget: Budget
    ends: Sequence[End]
    machine: str = ""

    def clock(self, clock: Clock) -> np.ndarray:
        """Returns the clock's readings at the ends of the trials.

        Args:
            clock: `"seconds"`, or `"trials"`: epochs so far, in whole
                trainings, since Hyperband trains most networks for less.

        Returns:
            `(trials,)` array that never falls.
        """
        if clock == "seconds":
            return np.array([end.seconds for end in self.ends])
        epochs = np.cumsum([end.epochs for end in self.ends])
        return epochs / self.budget.epochs

    def tested_at(self, clock: Clock, readings: ArrayLike) -> np.ndarray:
        """Returns the held-out accuracy of the best trial by validation.

        Args:
            clock: As in `clock`.
            readings: `(n,)`, the readings up to which trials count.

        Returns:
            `(n,)` array, NaN where no trial had ended, and where the
            search never had so many trials.
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

        A search does not depend on its budget until it is spent.

        Raises:
            ValueError: If it ended before that budget is spent.
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
    """Reads a search.

    Args:
        path: The path of its file.
        settings: The settings that it should have been measured with.
        budget: The budget to cut it to.

    Raises:
        ValueError: If the file is damaged, its settings are others, or the
            search is too short.
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
