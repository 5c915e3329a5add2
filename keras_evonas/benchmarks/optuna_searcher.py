"""Searches by samplers for Optuna's studies."""

import functools
import warnings
from collections.abc import Callable
from collections.abc import Mapping
from typing import Any
from typing import Literal

import optuna

from keras_evonas.benchmarks.searchers import Losses
from keras_evonas.benchmarks.searchers import Question
from keras_evonas.evolution.genes import Gene
from keras_evonas.evolution.genes import Interval
from keras_evonas.evolution.genes import Value
from keras_evonas.evolution.space import SearchSpace
from keras_evonas.optuna import EvoSampler

_SAMPLERS: Mapping[str, Callable[..., Any]] = {
    "EvoSampler": EvoSampler,
    "GPSampler": optuna.samplers.GPSampler,
    "NSGAIISampler": optuna.samplers.NSGAIISampler,
    "TPESampler": functools.partial(
        optuna.samplers.TPESampler, constant_liar=True
    ),
}


class OptunaSearcher:
    """A search by a sampler for Optuna, by name; see `Searcher`.

    Ordered lists of values are searched by their indices, since Optuna keeps
    the order of numbers only. Samplers are not told the number of trials.
    """

    def __init__(
        self,
        sampler: str,
        objectives: int,
        space: SearchSpace,
        trials: int,
        seed: int,
    ) -> None:
        del trials
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._space = space
        self._study = optuna.create_study(
            sampler=_SAMPLERS[sampler](seed=seed),
            directions=["minimize"] * objectives,
        )

    def ask(self) -> Question:
        """Asks the study; see `Searcher`."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            trial = self._study.ask()
            genome = suggested(trial, self._space)
        return Question(genome, functools.partial(self._tell, trial))

    def _tell(self, trial: optuna.trial.Trial, losses: Losses | None) -> None:
        if losses is None:
            self._study.tell(trial, state=optuna.trial.TrialState.FAIL)
        else:
            self._study.tell(trial, losses)


def tpe_study(
    pruner: str,
    epochs: int,
    *,
    seed: int,
    direction: Literal["minimize", "maximize"] = "minimize",
) -> optuna.Study:
    """Creates a study by TPE that may prune trainings of so many epochs."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    options = {}
    if pruner == "HyperbandPruner":
        options = {"min_resource": 1, "max_resource": epochs}
    return optuna.create_study(
        # HyperbandPruner takes a trial's bracket from the name of its study,
        # which Optuna (5.0) draws at random.
        study_name=f"seed {seed}",
        sampler=optuna.samplers.TPESampler(seed=seed),
        pruner=getattr(optuna.pruners, pruner)(**options),
        direction=direction,
    )


def suggested(
    trial: optuna.trial.Trial, space: SearchSpace
) -> dict[str, Value]:
    """Returns the genome that a trial suggests."""
    genome: dict[str, Value] = {}
    for index, gene in enumerate(space.genes):
        if gene.name not in genome and gene.is_active(genome):
            genome[gene.name] = _suggest(trial, gene, index)
    return genome


def _suggest(trial: optuna.trial.Trial, gene: Gene, index: int) -> Value:
    name, domain = f"{index}/{gene.name}", gene.domain
    if isinstance(domain, Interval):
        # Optuna has no scale that is fine near the upper bound.
        log = domain.scale == "log"
        if domain.integer:
            low, high = int(domain.low), int(domain.high)
            return int(trial.suggest_int(name, low, high, log=log))
        return float(
            trial.suggest_float(name, domain.low, domain.high, log=log)
        )
    if domain.ordered:
        last = len(domain.values) - 1
        return domain.values[int(trial.suggest_int(name, 0, last))]
    # Words, since `EvoSampler` takes ascending numbers as ordered.
    choices = [f"{i}: {value}" for i, value in enumerate(domain.values)]
    chosen = trial.suggest_categorical(name, choices)
    return domain.values[choices.index(chosen)]
