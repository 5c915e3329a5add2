"""The searches of the live comparison, each as its own package runs it.

All train the same networks on the same examples, in batches of 32, keep the
weights of a trial's best epoch on the disk, and score a trial by its best
validation accuracy. No search has a number of trials to end at: a clock ends
it.
"""

import contextlib
import functools
import gc
import os
import time
import warnings
from collections.abc import Callable
from typing import Any

from keras_evonas.benchmarks.live_problems import LiveProblem
from keras_evonas.benchmarks.live_runs import Budget
from keras_evonas.benchmarks.live_runs import End
from keras_evonas.benchmarks.methods import method as searcher_of
from keras_evonas.benchmarks.peers import check_installed

_OBJECTIVE = "val_accuracy"
_MANY = 100_000
# keras-tuner's BayesianOptimization begins with three random networks for
# each hyperparameter, here 40 to 80: it would be a random search to its end.
_INITIAL_POINTS = 8
# Ours take their sizes from the number of trials: about as many as
# EvolutionarySearch manages in the seconds of the default run.
_TOLD = 32


class _SpentError(Exception):
    """The budget is spent; a tuner ends when a hook of it raises."""


class Stopwatch:
    """Notes the ends of trials, from its own making on.

    Args:
        budget: When to end the search.

    Attributes:
        ends: The trials, in the order in which they ended.
        keys: Their names, as the search knows them.
    """

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._epochs = 0
        self._start = time.perf_counter()
        self.ends: list[End] = []
        self.keys: list[Any] = []

    def end(self, key: Any, epochs: int, score: float | None) -> bool:
        """Notes a trial, and returns whether the budget is spent."""
        seconds = time.perf_counter() - self._start
        self._epochs += epochs
        self.keys.append(key)
        self.ends.append(End(seconds=seconds, epochs=epochs, score=score))
        return self._budget.is_spent(self._epochs, seconds)

    def end_trial(self, trial: Any) -> None:
        """Notes a trial of keras-tuner.

        Raises:
            _SpentError: If the budget is spent.
        """
        values = trial.hyperparameters.values
        epochs = self._budget.epochs
        if "tuner/epochs" in values:
            epochs = values["tuner/epochs"] - values["tuner/initial_epoch"]
        if self.end(trial.trial_id, epochs, trial.score):
            raise _SpentError


# Loads the model of a trial with the weights of its best epoch.
Load = Callable[[Any], Any]


def _watched(kind: Any, stopwatch: Stopwatch) -> Any:
    """A tuner of keras-tuner that tells when its trials end."""

    class Watched(kind):  # type: ignore[misc]
        """Tells when its trials end."""

        def on_trial_end(self, trial: Any) -> None:
            super().on_trial_end(trial)
            stopwatch.end_trial(self.oracle.get_trial(trial.trial_id))

    return Watched


def _run(tuner: Any, problem: LiveProblem, budget: Budget) -> Load:
    with contextlib.suppress(_SpentError):
        tuner.search(
            *problem.training,
            epochs=budget.epochs,
            validation_data=problem.validation,
            verbose=0,
        )

    def load(trial_id: str) -> Any:
        return tuner.load_model(tuner.oracle.get_trial(trial_id))

    return load


def _evolutionary_search(
    problem: LiveProblem,
    seed: int,
    budget: Budget,
    stopwatch: Stopwatch,
    folder: str,
) -> Load:
    from keras_evonas.evolution.defaults import default_strategy
    from keras_evonas.tuners.evolutionary_search import EvolutionarySearch
    from keras_evonas.tuners.sizing import largest_cohort

    tuner = EvolutionarySearch(
        problem.hypermodel,
        _OBJECTIVE,
        _MANY,
        strategy=default_strategy().configure(_TOLD),
        seed=seed,
        cohort_size=largest_cohort("auto", _TOLD),
        keep_checkpoints="all",  # As keras-tuner does.
        on_trial_end=stopwatch.end_trial,
        directory=folder,
        project_name="search",
    )
    return _run(tuner, problem, budget)


def _evo_oracle(
    problem: LiveProblem,
    seed: int,
    budget: Budget,
    stopwatch: Stopwatch,
    folder: str,
) -> Load:
    import keras_tuner

    from keras_evonas.evolution.defaults import default_strategy
    from keras_evonas.oracles.oracle import EvoOracle

    oracle = EvoOracle(
        _OBJECTIVE,
        _MANY,
        strategy=default_strategy().configure(_TOLD),
        seed=seed,
    )
    tuner = _watched(keras_tuner.Tuner, stopwatch)(
        oracle=oracle,
        hypermodel=problem.hypermodel,
        directory=folder,
        project_name="search",
    )
    return _run(tuner, problem, budget)


def _keras_tuner(
    name: str,
    problem: LiveProblem,
    seed: int,
    budget: Budget,
    stopwatch: Stopwatch,
    folder: str,
) -> Load:
    import keras_tuner

    options: dict[str, Any] = {"max_trials": _MANY}
    if name == "BayesianOptimization":
        options["num_initial_points"] = _INITIAL_POINTS
    if name == "Hyperband":
        options = {"max_epochs": budget.epochs, "hyperband_iterations": _MANY}
    tuner = _watched(getattr(keras_tuner, name), stopwatch)(
        problem.hypermodel,
        objective=_OBJECTIVE,
        seed=seed + 1,  # keras-tuner takes 0 for no seed
        directory=folder,
        project_name="search",
        **options,
    )
    return _run(tuner, problem, budget)


def _optuna_tpe(
    problem: LiveProblem,
    seed: int,
    budget: Budget,
    stopwatch: Stopwatch,
    folder: str,
) -> Load:
    """Optuna has no tuner for Keras: the loop that its users write."""
    import keras
    import keras_tuner

    from keras_evonas.hyperparameters import to_space

    hp = keras_tuner.HyperParameters()
    problem.hypermodel.build(hp)  # It asks for all that there is.
    searcher = searcher_of("optuna_tpe")(to_space(hp), budget.trials, seed)

    def build(genome: Any) -> Any:
        keras.backend.clear_session()
        gc.collect()
        chosen = hp.copy()
        chosen.values = dict(genome)
        return problem.hypermodel.build(chosen)

    def path_of(key: Any) -> str:
        return os.path.join(folder, f"{key[0]}.weights.h5")

    def load(key: Any) -> Any:
        model = build(key[1])
        model.load_weights(path_of(key))
        return model

    is_spent = False
    while not is_spent:
        token, genome = searcher.ask()
        key = (len(stopwatch.keys), genome)
        history = build(genome).fit(
            *problem.training,
            epochs=budget.epochs,
            validation_data=problem.validation,
            verbose=0,
            callbacks=[
                keras.callbacks.ModelCheckpoint(
                    path_of(key),
                    monitor=_OBJECTIVE,
                    mode="max",
                    save_best_only=True,
                    save_weights_only=True,
                )
            ],
        )
        score = max(history.history[_OBJECTIVE])
        searcher.tell(token, -score)
        is_spent = stopwatch.end(key, budget.epochs, score)
    return load


LIVE_METHODS: dict[str, Callable[..., Load]] = {
    "evolutionary_search": _evolutionary_search,
    "evo_oracle": _evo_oracle,
    "keras_tuner_random": functools.partial(_keras_tuner, "RandomSearch"),
    "keras_tuner_bayesian": functools.partial(
        _keras_tuner, "BayesianOptimization"
    ),
    "keras_tuner_hyperband": functools.partial(_keras_tuner, "Hyperband"),
    "optuna_tpe": _optuna_tpe,
}


def check_live_method(name: str) -> None:
    """Checks that there is a method, and that its package is installed.

    Raises:
        ValueError: If there is none.
        ImportError: If a package is missing; the error says how to install it.
    """
    if name not in LIVE_METHODS:
        raise ValueError(
            f"`methods` must be among {list(LIVE_METHODS)}. Received: {name!r}."
        )
    if name in ("optuna_tpe", "keras_tuner_bayesian"):
        check_installed(name)


def search(
    method: str, problem: LiveProblem, seed: int, budget: Budget, folder: str
) -> list[End]:
    """Runs one search.

    Every trial that was the best so far when it ended is tested on the held-out
    examples, after the search, outside of the clock.

    Args:
        method: Name among `LIVE_METHODS`.
        problem: What to search.
        seed: Non-negative integer.
        budget: When to end.
        folder: Path of an empty folder for the files of the search.

    Returns:
        The trials in the order in which they ended.
    """
    import keras

    keras.utils.set_random_seed(seed)
    stopwatch = Stopwatch(budget)
    load = LIVE_METHODS[method](problem, seed, budget, stopwatch, folder)
    best, ends = -1.0, []
    for key, end in zip(stopwatch.keys, stopwatch.ends, strict=True):
        if end.score is not None and end.score > best:
            best = end.score
            with warnings.catch_warnings():
                # Optimizers are not needed to test.
                warnings.filterwarnings("ignore", "Skipping variable loading")
                model = load(key)
            end = end.tested_with(_accuracy(model, problem))
        ends.append(end)
    return ends


def _accuracy(model: Any, problem: LiveProblem) -> float:
    x, y = problem.held_out
    logs = model.evaluate(x, y, batch_size=500, verbose=0, return_dict=True)
    return float(logs["accuracy"])
