"""Search methods of other packages, to compare with.

They are told of the same spaces, conditions included, and asked one
configuration at a time. Their packages are imported when they are used.
"""

import contextlib
import functools
import importlib
import tempfile
import types
import warnings
from collections.abc import Callable
from typing import Any

from keras_evonas.evolution.genes import Domain
from keras_evonas.evolution.genes import Gene
from keras_evonas.evolution.genes import Genome
from keras_evonas.evolution.genes import Interval
from keras_evonas.evolution.genes import Value
from keras_evonas.evolution.space import SearchSpace

_INSTALL = "pip install 'keras-evonas[benchmarks]'"


class OptunaSearcher:
    """A sampler of Optuna.

    Ordered lists of values are searched as their indices, since Optuna knows
    an order for numbers only.

    Args:
        space: The search space.
        sampler: The sampler.
        optuna: The module.
        objectives: Integer, number of losses. Defaults to 1.
    """

    def __init__(
        self,
        space: SearchSpace,
        sampler: Any,
        optuna: types.ModuleType,
        objectives: int = 1,
    ) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._failed = optuna.trial.TrialState.FAIL
        self._space = space
        self._study = optuna.create_study(
            sampler=sampler, directions=["minimize"] * objectives
        )

    def ask(self) -> tuple[Any, Genome]:
        """Asks the study; see `Searcher`."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            trial = self._study.ask()
            genome: dict[str, Value] = {}
            for index, gene in enumerate(self._space.genes):
                if gene.name not in genome and gene.is_active(genome):
                    genome[gene.name] = _suggest(trial, gene, index)
        return trial, genome

    def tell(self, token: Any, loss: float | list[float] | None) -> None:
        """Tells the study one loss or several; see `Searcher`."""
        if loss is None:
            self._study.tell(token, state=self._failed)
        else:
            self._study.tell(token, loss)


def _suggest(trial: Any, gene: Gene, index: int) -> Value:
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
        return domain.values[trial.suggest_int(name, 0, last)]
    choices = list(range(len(domain.values)))
    return domain.values[trial.suggest_categorical(name, choices)]


class KerasTunerSearcher:
    """An oracle of keras-tuner.

    Args:
        space: The search space.
        oracle: Function that makes the oracle of an objective, a number of
            trials, `HyperParameters` and a seed.
        trials: Number of trials.
        seed: Seed.
        keras_tuner: The module.
    """

    def __init__(
        self,
        space: SearchSpace,
        oracle: Callable[..., Any],
        trials: int,
        seed: int,
        keras_tuner: types.ModuleType,
    ) -> None:
        self._space = space
        self._folder = tempfile.TemporaryDirectory()
        self._oracle = oracle(
            objective=keras_tuner.Objective("loss", "min"),
            max_trials=trials,
            hyperparameters=_hyperparameters(space, keras_tuner),
            seed=seed + 1,  # keras-tuner takes 0 for no seed
            max_consecutive_failed_trials=trials,
        )
        self._oracle.verbose = 0
        self._oracle._set_project_dir(self._folder.name, "peer")

    def ask(self) -> tuple[Any, Genome] | None:
        """Creates a trial; see `Searcher`."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            number = len(self._oracle.start_order)
            trial = self._oracle.create_trial(f"tuner{number}")
        if trial.status == "STOPPED":
            return None
        values = trial.hyperparameters.values
        return trial, self._space.complete(_decoded(self._space, values))

    def tell(self, token: Any, loss: float | None) -> None:
        """Ends the trial; see `Searcher`."""
        token.status = "FAILED" if loss is None else "COMPLETED"
        if loss is not None:
            self._oracle.update_trial(token.trial_id, {"loss": loss})
        self._oracle.end_trial(token)


def _hyperparameters(space: SearchSpace, keras_tuner: types.ModuleType) -> Any:
    hp = keras_tuner.HyperParameters()
    domain_of = {gene.name: gene.domain for gene in space.genes}
    for gene in space.genes:
        with contextlib.ExitStack() as scopes:
            for condition in gene.conditions:
                sent = _sent(domain_of[condition.parent])
                values = [sent.get(value, value) for value in condition.values]
                scope = hp.conditional_scope(condition.parent, values)
                scopes.enter_context(scope)
            _register(hp, gene)
    return hp


def _register(hp: Any, gene: Gene) -> None:
    domain = gene.domain
    if isinstance(domain, Interval):
        make, kind = (hp.Int, int) if domain.integer else (hp.Float, float)
        low, high = kind(domain.low), kind(domain.high)
        make(gene.name, low, high, sampling=domain.scale)
    else:
        sent = list(_sent(domain).values())
        hp.Choice(gene.name, sent, ordered=domain.ordered)


def _sent(domain: Domain) -> dict[Value, Value]:
    """What keras-tuner is told for a value: indices, or words without order.

    Its `Choice` takes values of one type only and knows an order for numbers
    only.
    """
    if isinstance(domain, Interval):
        return {}
    numbers = range(len(domain.values))
    return {
        value: number if domain.ordered else f"{number}: {value}"
        for number, value in zip(numbers, domain.values, strict=True)
    }


def _decoded(space: SearchSpace, values: dict[str, Any]) -> dict[str, Value]:
    genome: dict[str, Value] = {}
    for gene in space.genes:
        if gene.name not in genome and gene.is_active(genome):
            told = values[gene.name]
            meant = {sent: value for value, sent in _sent(gene.domain).items()}
            genome[gene.name] = meant.get(told, told)
    return genome


def _tpe(
    space: SearchSpace, trials: int, seed: int, objectives: int = 1
) -> OptunaSearcher:
    del trials
    optuna = _package("optuna")
    sampler = optuna.samplers.TPESampler(seed=seed, constant_liar=True)
    return OptunaSearcher(space, sampler, optuna, objectives)


def _gp(
    space: SearchSpace, trials: int, seed: int, objectives: int = 1
) -> OptunaSearcher:
    del trials
    optuna = _package("optuna")
    sampler = optuna.samplers.GPSampler(seed=seed)
    return OptunaSearcher(space, sampler, optuna, objectives)


def _nsga2(
    space: SearchSpace, trials: int, seed: int, objectives: int = 1
) -> OptunaSearcher:
    del trials
    optuna = _package("optuna")
    sampler = optuna.samplers.NSGAIISampler(seed=seed)
    return OptunaSearcher(space, sampler, optuna, objectives)


def _keras_tuner(
    oracle: str, space: SearchSpace, trials: int, seed: int
) -> KerasTunerSearcher:
    module = _package("keras_tuner")
    make = getattr(module.oracles, oracle)
    return KerasTunerSearcher(space, make, trials, seed, module)


def _package(name: str) -> types.ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ImportError(
            "`methods` may name only methods whose packages are installed. "
            f"Received: one that needs `{name}`. Install it "
            f"with {_INSTALL}, or leave the method out."
        ) from error


PEERS: dict[str, Callable[[SearchSpace, int, int], Any]] = {
    "optuna_tpe": _tpe,
    "optuna_gp": _gp,
    "optuna_nsga2": _nsga2,
    "keras_tuner_random": functools.partial(_keras_tuner, "RandomSearchOracle"),
    "keras_tuner_bayesian": functools.partial(
        _keras_tuner, "BayesianOptimizationOracle"
    ),
}


def check_installed(name: str) -> None:
    """Checks that the packages of a peer are installed.

    Args:
        name: One of `PEERS`.

    Raises:
        ImportError: If one is missing; the error says how to install it.
    """
    for package in _PACKAGES[name]:
        _package(package)


_PACKAGES = {
    "optuna_tpe": ("optuna",),
    "optuna_gp": ("optuna", "torch"),
    "optuna_nsga2": ("optuna",),
    "keras_tuner_random": ("keras_tuner",),
    "keras_tuner_bayesian": ("keras_tuner", "sklearn"),
}
