"""Searches without training, driven as a tuner drives them."""

import pathlib
import shutil
import zlib
from typing import Any

import keras_tuner

from keras_evonas.evolution import Evolution
from keras_evonas.evolution import ProgressiveSearch
from keras_evonas.evolution import freeze_thaw
from keras_evonas.evolution import generational_genetic_algorithm
from keras_evonas.evolution import genetic_algorithm
from keras_evonas.evolution import local_search
from keras_evonas.evolution import policy_gradient
from keras_evonas.evolution import random_search
from keras_evonas.evolution import regularized_evolution
from keras_evonas.evolution import screened_evolution
from keras_evonas.evolution import successive_halving
from keras_evonas.oracles.oracle import EvoOracle

STRATEGIES = {
    "genetic_algorithm": genetic_algorithm(),
    "self_adaptive": genetic_algorithm(self_adaptive=True),
    "generational": generational_genetic_algorithm(population_size=6),
    "regularized_evolution": regularized_evolution(population_size=8),
    "local_search": local_search(initial_size=6),
    "random_search": random_search(),
    "policy_gradient": policy_gradient(),
    # Its surrogate takes time, so that it is asked at the end only.
    "progressive_search": ProgressiveSearch(initial_size=36),
    "composed": Evolution(population_size=7, brood_size=3),
    "successive_halving": successive_halving(
        genetic_algorithm(population_size=6), max_epochs=9
    ),
    "freeze_thaw": freeze_thaw(max_epochs=9),
    "screened_evolution": screened_evolution(),
}


def space() -> keras_tuner.HyperParameters:
    """A space with every type, nested conditions, and room for 40 trials."""
    hp = keras_tuner.HyperParameters()
    hp.Fixed("classes", 10)
    hp.Choice("kind", ["dense", "conv"])
    hp.Float("rate", 1e-4, 1e-1, sampling="log", default=1e-2)
    hp.Int("units", 8, 64, step=8)
    with hp.conditional_scope("kind", ["conv"]):
        hp.Choice("kernel", [1, 3, 5])
        hp.Boolean("pool")
        with hp.conditional_scope("pool", [True]):
            hp.Int("pool_size", 2, 4)
    return hp


def build(hp: keras_tuner.HyperParameters) -> None:
    """Asks for more than `space` registered, as hypermodels may."""
    if hp.get("units") > 32:
        hp.Float("dropout", 0.0, 0.5)
    with hp.conditional_scope("kind", ["dense"]):
        hp.Choice("activation", ["relu", "tanh", "gelu"])


def loss_of(values: dict[str, Any]) -> float:
    """A loss with ties, from whatever values there are."""
    numbers = [float(v) for v in values.values() if isinstance(v, int | float)]
    words = [len(v) for v in values.values() if isinstance(v, str)]
    return round(sum(abs(n - 3.0) ** 0.5 for n in numbers) + sum(words), 2)


def oracle_in(folder: pathlib.Path, **arguments: Any) -> EvoOracle:
    """An oracle on a project folder, as a tuner makes it."""
    settings: dict[str, Any] = {
        "objective": keras_tuner.Objective("score", "min"),
        "max_trials": 40,
        "seed": 0,
        "max_consecutive_failed_trials": 1000,
    }
    settings.update(arguments)
    if "hyperparameters" not in settings:
        settings["hyperparameters"] = space()
    oracle = EvoOracle(**settings)
    oracle.verbose = 0
    oracle._set_project_dir(folder.parent, folder.name)
    return oracle


class Search:
    """Drives an oracle; what it remembers outlives a cut.

    Args:
        folder: The project folder.
        tuners: Integer, how many tuners ask at once.
        failing: Boolean, whether some trials fail, once or always.
        growing: Boolean, whether trials ask for more hyperparameters.
        **arguments: Arguments of `EvoOracle`.
    """

    def __init__(
        self,
        folder: pathlib.Path,
        *,
        tuners: int = 1,
        failing: bool = False,
        growing: bool = False,
        **arguments: Any,
    ) -> None:
        self.folder = folder
        self.tuner_ids = [f"tuner{index}" for index in range(tuners)]
        self.failing = failing
        self.growing = growing
        self.arguments = arguments
        self.proposed: dict[str, dict[str, Any]] = {}
        self.runs: list[tuple[str, str]] = []
        self.running: dict[str, Any] = {}
        self.stopped: set[str] = set()
        self.oracle = oracle_in(folder, **arguments)

    def cut(self, folder: pathlib.Path | None = None) -> "Search":
        """A new object on the folder (or a copy); what ran is lost."""
        if folder is not None:
            shutil.copytree(self.folder, folder)
        other = Search(
            folder or self.folder,
            tuners=len(self.tuner_ids),
            failing=self.failing,
            growing=self.growing,
            **self.arguments,
        )
        other.proposed, other.runs = dict(self.proposed), list(self.runs)
        return other

    def ask(self) -> None:
        """Lets every idle tuner ask."""
        for tuner_id in self.tuner_ids:
            if tuner_id in self.running or tuner_id in self.stopped:
                continue
            trial = self.oracle.create_trial(tuner_id)
            if trial.status == "STOPPED":
                self.stopped.add(tuner_id)
                continue
            assert trial.status == "RUNNING"
            values = dict(trial.hyperparameters.values)
            before = self.proposed.setdefault(trial.trial_id, values)
            assert before.items() <= values.items()
            self.running[tuner_id] = trial

    def end_one(self) -> None:
        """Ends one of the running trials, whatever the order of tuners."""
        tuner_id = min(self.running, key=self._haste)
        trial = self.running.pop(tuner_id)
        if self.growing:
            build(trial.hyperparameters)
        outcome = self._outcome(trial)
        if outcome == "COMPLETED":
            loss = loss_of(trial.hyperparameters.values)
            self.oracle.update_trial(trial.trial_id, {"score": loss})
        else:
            trial.message = "out of memory"
        trial.status = outcome
        self.oracle.end_trial(trial)
        self.runs.append((trial.trial_id, trial.status))

    def step(self) -> bool:
        """Asks, ends one, and tells whether there is more to do."""
        self.ask()
        if self.running:
            self.end_one()
        return bool(self.running) or len(self.stopped) < len(self.tuner_ids)

    def finish(self) -> "Search":
        """Searches to the end."""
        while self.step():
            pass
        return self

    def _haste(self, tuner_id: str) -> tuple[int, str]:
        trial_id = self.running[tuner_id].trial_id
        return zlib.crc32(trial_id.encode()) % 3, trial_id

    def _outcome(self, trial: Any) -> str:
        if not self.failing:
            return "COMPLETED"
        dice = zlib.crc32(f"fate {int(trial.trial_id)}".encode()) % 6
        runs = [run for run in self.runs if run[0] == trial.trial_id]
        if dice == 0 or (dice == 1 and not runs):
            return "INVALID"
        return "FAILED" if dice == 2 else "COMPLETED"
