"""A search that has ended, as those see it who train its networks again."""

import dataclasses
import pathlib
from collections.abc import Mapping
from typing import Any

import keras_tuner
from keras_tuner.engine import trial as trial_lib

from keras_evonas.evolution.space import SearchSpace
from keras_evonas.hyperparameters import to_space
from keras_evonas.oracles.fidelity import EPOCHS
from keras_evonas.oracles.oracle import EvoOracle
from keras_evonas.tuners.trial_files import completed


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class EndedSearch:
    """The trials of a search, and what they had to keep to.

    Args:
        oracle: The oracle, or keras-tuner's client of one.
        evo_oracle: The oracle of this process if it is an `EvoOracle`.
        folder: The project folder.
        first_seed: Integer, the first seed that no training of the search
            began with.
    """

    oracle: keras_tuner.Oracle
    evo_oracle: EvoOracle | None
    folder: pathlib.Path
    first_seed: int

    @property
    def space(self) -> SearchSpace:
        """The search space."""
        return to_space(self.oracle.get_space())

    @property
    def completed(self) -> list[trial_lib.Trial]:
        """All completed trials, best first."""
        return self.best(10**9)

    def best(self, number: int) -> list[trial_lib.Trial]:
        """Returns the best completed trials, at most so many."""
        return completed(self.oracle.get_best_trials(number))

    def seeds(self, number: int) -> list[int]:
        """Returns the first seeds that the search did not train with."""
        return list(range(self.first_seed, self.first_seed + number))

    def may_be_trained(self, genome: Mapping[str, Any]) -> bool:
        """Returns whether a network keeps the constraints known before."""
        oracle = self.evo_oracle
        return oracle is None or oracle.violation_before(genome) == 0

    def is_within(self, trial: trial_lib.Trial) -> bool:
        """Returns whether a trial keeps the constraints that it was to show."""
        oracle = self.evo_oracle
        return oracle is None or oracle.violation_after(trial) == 0


def epochs_of(trial: trial_lib.Trial) -> int | None:
    """Returns the epochs that a trial of several fidelities was trained for."""
    epochs: int | None = trial.hyperparameters.values.get(EPOCHS)
    return epochs
