"""Searches that pay for epochs: this package's strategies beside peers."""

import functools
import warnings
from collections.abc import Callable
from collections.abc import Mapping

import numpy as np

from keras_evonas.benchmarks.curve_tables import Trainer
from keras_evonas.benchmarks.methods import check_installed
from keras_evonas.evolution import baselines
from keras_evonas.evolution.defaults import default_strategy
from keras_evonas.evolution.engine import Engine
from keras_evonas.evolution.freeze_thaw import freeze_thaw
from keras_evonas.evolution.genes import Genome
from keras_evonas.evolution.randomness import rng_at
from keras_evonas.evolution.rungs import successive_halving
from keras_evonas.evolution.strategies import Strategy

# Searches the trainer's table with a seed, until the trainer raises
# `BudgetSpentError` or the space is exhausted.
CurveMethod = Callable[[Trainer, int], None]

# Jamieson & Talwalkar's (2016) factor, Hyperband's and Optuna's default.
_FACTOR = 3


def _own(make: Callable[[int], Strategy], trainer: Trainer, seed: int) -> None:
    epochs, space = trainer.problem.epochs, trainer.problem.table.space
    strategy = make(epochs).configure(len(trainer.regrets) // epochs)
    rungs = (0, *getattr(strategy, "epochs", (epochs,)))
    engine = Engine(space, strategy, seed=seed)
    while (one := engine.ask()) is not None:
        first, last = rungs[one.rung], rungs[one.rung + 1]
        losses = trainer.train(one.genome, first, last)
        engine.tell(one.birth, (float(losses.min()),))


def _hyperband(trainer: Trainer, seed: int) -> None:
    """Runs Hyperband (Li et al., 2018, algorithm 1), its brackets in turn."""
    epochs, space = trainer.problem.epochs, trainer.problem.table.space
    rng = rng_at(seed)
    last = 0
    while _FACTOR ** (last + 1) <= epochs:
        last += 1
    while True:
        for bracket in range(last, -1, -1):
            count = -(-(last + 1) * _FACTOR**bracket // (bracket + 1))
            genomes: list[Genome] = [space.sample(rng) for _ in range(count)]
            first = 0
            for step in range(bracket, -1, -1):
                upto = max(1, round(epochs / _FACTOR**step))
                losses = [
                    float(trainer.train(one, first, upto).min())
                    for one in genomes
                ]
                first = upto
                order = np.argsort(losses, kind="stable")
                genomes = [genomes[i] for i in order[: len(order) // _FACTOR]]


def _optuna(pruner: str, trainer: Trainer, seed: int) -> None:
    """Runs Optuna's TPE, each training reported and pruned epoch by epoch."""
    import optuna

    from keras_evonas.benchmarks.optuna_searcher import suggested
    from keras_evonas.benchmarks.optuna_searcher import tpe_study

    epochs = trainer.problem.epochs
    study = tpe_study(pruner, epochs, seed=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        while True:
            trial = study.ask()
            genome = suggested(trial, trainer.problem.table.space)
            best = np.inf
            for epoch in range(epochs):
                loss = float(trainer.train(genome, epoch, epoch + 1)[0])
                best = min(best, loss)
                trial.report(loss, epoch)
                if trial.should_prune():
                    study.tell(trial, state=optuna.trial.TrialState.PRUNED)
                    break
            else:
                study.tell(trial, best)


_STRATEGIES: Mapping[str, Callable[[int], Strategy]] = {
    "freeze_thaw": lambda epochs: freeze_thaw(max_epochs=epochs),
    "halving": lambda epochs: successive_halving(max_epochs=epochs),
    "asha": lambda epochs: successive_halving(
        baselines.random_search(), max_epochs=epochs
    ),
    "default": lambda _: default_strategy(),
    "random": lambda _: baselines.random_search(),
}
_PRUNERS = {
    "optuna_tpe": "NopPruner",
    "optuna_tpe_median": "MedianPruner",
    "optuna_tpe_hyperband": "HyperbandPruner",
}


def curve_method(name: str) -> CurveMethod:
    """Returns the method of a name; it raises what `methods.method` does."""
    if name in _STRATEGIES:
        return functools.partial(_own, _STRATEGIES[name])
    if name == "hyperband":
        return _hyperband
    if name in _PRUNERS:
        check_installed("optuna_tpe")
        return functools.partial(_optuna, _PRUNERS[name])
    raise ValueError(
        f"`methods` must be among {curve_method_names()}. Received: {name!r}."
    )


def curve_method_names() -> list[str]:
    """Returns the names of this package's strategies, then of the peers."""
    return [*_STRATEGIES, "hyperband", *_PRUNERS]
