"""The searches of the live comparison, each as its own package runs it.

All train the same networks on the same examples, in batches of 32, keep the
weights of a trial's best epoch on the disk, and score a trial by its best
validation accuracy. No search has a number of trials to end at: a clock ends
it.
"""

import contextlib
import dataclasses
import functools
import gc
import os
import pathlib
import time
import warnings
from collections.abc import Callable
from collections.abc import Mapping
from typing import TYPE_CHECKING

import keras
import keras_tuner

from keras_evonas.benchmarks.live_problems import LiveProblem
from keras_evonas.benchmarks.live_runs import Budget
from keras_evonas.benchmarks.live_runs import End
from keras_evonas.benchmarks.stand_alone import accuracy_of
from keras_evonas.evolution.defaults import default_strategy
from keras_evonas.evolution.freeze_thaw import freeze_thaw
from keras_evonas.evolution.genes import Genome
from keras_evonas.evolution.strategies import Strategy
from keras_evonas.hyperparameters import to_space
from keras_evonas.oracles.fidelity import epochs_of
from keras_evonas.oracles.oracle import EvoOracle
from keras_evonas.tuners.shorthand import EvolutionarySearch
from keras_evonas.tuners.sizing import largest_cohort

if TYPE_CHECKING:
    import optuna

_OBJECTIVE = "val_accuracy"
_MANY = 100_000
# keras-tuner's BayesianOptimization begins with three random networks for
# each hyperparameter, here 40 to 80: it would be a random search to its end.
_INITIAL_POINTS = 8
# EvolutionarySearch and EvoOracle take their sizes from the number of trials:
# about as many as the former manages in the seconds of the default run.
_EXPECTED_TRIALS = 32
# Of `stop_hopeless`.
_CHANCE = 0.003


class _SpentError(Exception):
    """The budget is spent; a tuner ends when one of its hooks raises."""


class _Search:
    """Settings of one search, and the ends of its trials with their ids.

    Its clock runs from its creation on.
    """

    def __init__(
        self, problem: LiveProblem, seed: int, budget: Budget, folder: str
    ) -> None:
        self.problem = problem
        self.seed = seed
        self.epochs = budget.epochs
        self.folder = folder
        self.ends: list[tuple[str, End]] = []
        self._budget = budget
        self._start = time.perf_counter()

    def end(self, trial_id: str, epochs: int, score: float | None) -> bool:
        """Records a trial, and returns whether the budget is spent."""
        seconds = time.perf_counter() - self._start
        end = End(seconds=seconds, epochs=epochs, score=score)
        self.ends.append((trial_id, end))
        spent = sum(end.epochs for _, end in self.ends)
        return self._budget.is_spent(spent, seconds)

    def end_trial(self, trial: keras_tuner.engine.trial.Trial) -> None:
        """Records a trial of keras-tuner; raises if the budget is spent."""
        project = pathlib.Path(self.folder, "search")
        epochs = epochs_of(trial, project) or self.epochs
        if self.end(trial.trial_id, epochs, trial.score):
            raise _SpentError


# Loads the network of a trial with the weights of its best epoch.
_Load = Callable[[str], keras.Model]


def _watched(
    tuner: type[keras_tuner.Tuner], search: _Search
) -> type[keras_tuner.Tuner]:
    class Watched(tuner):
        """A tuner of keras-tuner that reports the ends of its trials."""

        def on_trial_end(self, trial: keras_tuner.engine.trial.Trial) -> None:
            super().on_trial_end(trial)
            search.end_trial(self.oracle.get_trial(trial.trial_id))

    return Watched


def _run(tuner: keras_tuner.Tuner, search: _Search) -> _Load:
    with contextlib.suppress(_SpentError):
        tuner.search(
            *search.problem.parts.training,
            epochs=search.epochs,
            validation_data=search.problem.parts.validation,
            verbose=0,
        )
    return lambda trial_id: tuner.load_model(tuner.oracle.get_trial(trial_id))


def _evolutionary_search(
    search: _Search,
    *,
    thaws: bool = False,
    stop_hopeless: float | None = None,
) -> _Load:
    strategy: Strategy = default_strategy().configure(_EXPECTED_TRIALS)
    if thaws:
        strategy = freeze_thaw(max_epochs=search.epochs)
    tuner = EvolutionarySearch(
        search.problem.hypermodel,
        _OBJECTIVE,
        _MANY,
        strategy=strategy,
        stop_hopeless=stop_hopeless,
        seed=search.seed,
        cohort_size=largest_cohort("auto", _EXPECTED_TRIALS),
        keep_checkpoints="all",  # As keras-tuner does.
        on_trial_end=search.end_trial,
        directory=search.folder,
        project_name="search",
    )
    return _run(tuner, search)


def _evo_oracle(search: _Search) -> _Load:
    oracle = EvoOracle(
        _OBJECTIVE,
        _MANY,
        strategy=default_strategy().configure(_EXPECTED_TRIALS),
        seed=search.seed,
    )
    tuner = _watched(keras_tuner.Tuner, search)(
        oracle=oracle,
        hypermodel=search.problem.hypermodel,
        directory=search.folder,
        project_name="search",
    )
    return _run(tuner, search)


def _keras_tuner(name: str, search: _Search) -> _Load:
    options: dict[str, object] = {"max_trials": _MANY}
    if name == "BayesianOptimization":
        options["num_initial_points"] = _INITIAL_POINTS
    if name == "Hyperband":
        options = {"max_epochs": search.epochs, "hyperband_iterations": _MANY}
    tuner = _watched(getattr(keras_tuner, name), search)(
        search.problem.hypermodel,
        objective=_OBJECTIVE,
        seed=search.seed + 1,  # keras-tuner takes 0 for no seed
        directory=search.folder,
        project_name="search",
        **options,
    )
    return _run(tuner, search)


def _optuna_tpe(pruner: str, search: _Search) -> _Load:
    """Runs the loop that users of Optuna write: it has no tuner for Keras."""
    import optuna

    from keras_evonas.benchmarks.optuna_searcher import suggested
    from keras_evonas.benchmarks.optuna_searcher import tpe_study

    study = tpe_study(
        pruner, search.epochs, seed=search.seed, direction="maximize"
    )
    hypermodel, parts = search.problem.hypermodel, search.problem.parts
    hp = keras_tuner.HyperParameters()
    hypermodel.build(hp)  # Registers all hyperparameters.
    space = to_space(hp)
    values_of: dict[str, Genome] = {}

    def build(trial_id: str) -> keras.Model:
        keras.backend.clear_session()
        gc.collect()
        chosen = hp.copy()
        chosen.values = dict(values_of[trial_id])
        return hypermodel.build(chosen)

    def path_of(trial_id: str) -> str:
        return os.path.join(search.folder, f"{trial_id}.weights.h5")

    def load(trial_id: str) -> keras.Model:
        model = build(trial_id)
        model.load_weights(path_of(trial_id))
        return model

    is_spent = False
    while not is_spent:
        trial_id = str(len(values_of))
        trial = study.ask()
        values_of[trial_id] = suggested(trial, space)
        model = build(trial_id)
        pruning = keras.callbacks.LambdaCallback(
            on_epoch_end=functools.partial(_report, trial, model)
        )
        checkpoint = keras.callbacks.ModelCheckpoint(
            path_of(trial_id),
            monitor=_OBJECTIVE,
            mode="max",
            save_best_only=True,
            save_weights_only=True,
        )
        history = model.fit(
            *parts.training,
            epochs=search.epochs,
            validation_data=parts.validation,
            verbose=0,
            callbacks=[checkpoint, pruning],
        )
        scores = history.history[_OBJECTIVE]
        if model.stop_training:
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
        else:
            study.tell(trial, max(scores))
        is_spent = search.end(trial_id, len(scores), max(scores))
    return load


def _report(
    trial: "optuna.trial.Trial",
    model: keras.Model,
    epoch: int,
    logs: Mapping[str, float],
) -> None:
    """Reports an epoch to a trial of Optuna, which may be pruned."""
    trial.report(logs[_OBJECTIVE], epoch)
    model.stop_training = trial.should_prune()


_LIVE_METHODS: dict[str, Callable[[_Search], _Load]] = {
    "evolutionary_search": _evolutionary_search,
    "freeze_thaw": functools.partial(_evolutionary_search, thaws=True),
    "stop_hopeless": functools.partial(
        _evolutionary_search, stop_hopeless=_CHANCE
    ),
    "evo_oracle": _evo_oracle,
    "keras_tuner_random": functools.partial(_keras_tuner, "RandomSearch"),
    "keras_tuner_bayesian": functools.partial(
        _keras_tuner, "BayesianOptimization"
    ),
    "keras_tuner_hyperband": functools.partial(_keras_tuner, "Hyperband"),
    "optuna_tpe": functools.partial(_optuna_tpe, "NopPruner"),
    "optuna_tpe_hyperband": functools.partial(_optuna_tpe, "HyperbandPruner"),
}


def search(
    method: str, problem: LiveProblem, seed: int, budget: Budget, folder: str
) -> list[End]:
    """Runs one search, and returns the trials in the order of their ends.

    Every trial that was the best so far when it ended is tested on the held-out
    examples, after the search, outside of the clock.
    """
    keras.utils.set_random_seed(seed)
    running = _Search(problem, seed, budget, folder)
    load = _LIVE_METHODS[method](running)
    best, ends = -1.0, []
    for trial_id, end in running.ends:
        if end.score is not None and end.score > best:
            best = end.score
            with warnings.catch_warnings():
                # Optimizers are not needed to test.
                warnings.filterwarnings("ignore", "Skipping variable loading")
                model = load(trial_id)
            accuracy = accuracy_of(model, problem.parts.held_out)
            end = dataclasses.replace(end, tested=accuracy)
        ends.append(end)
    return ends
