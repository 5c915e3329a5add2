"""`EvolutionarySearch`: an `EvoTuner` with an `EvoOracle` in one call."""

import os
from collections.abc import Iterable

import keras_tuner

from keras_evonas.evolution.strategies import Strategy
from keras_evonas.execution import Executor
from keras_evonas.oracles.checks import Initial
from keras_evonas.oracles.constraints import Constraint
from keras_evonas.oracles.limits import CostFunction
from keras_evonas.oracles.oracle import EvoOracle
from keras_evonas.tuners.hooks import TrialHook
from keras_evonas.tuners.recipe import FitArgumentsOf
from keras_evonas.tuners.sizing import CohortSize
from keras_evonas.tuners.trial_files import Policy
from keras_evonas.tuners.tuner import EvoTuner


class EvolutionarySearch(EvoTuner):
    """Evolves networks that are trained together.

    The shorthand for an `EvoTuner` with an `EvoOracle`, called as
    `keras_tuner.RandomSearch` is. See there for the arguments.

    Example:

    ```python
    tuner = EvolutionarySearch(
        build_model, objective="val_accuracy", max_trials=60, seed=0
    )
    tuner.search(x, y, epochs=10, validation_data=(x_val, y_val))
    ```
    """

    def __init__(
        self,
        hypermodel: object = None,
        objective: object = None,
        max_trials: int | None = None,
        *,
        strategy: Strategy | None = None,
        constraints: Iterable[Constraint] | None = None,
        costs: CostFunction | None = None,
        initial_population: Iterable[Initial] | None = None,
        inherit_weights: bool = False,
        inherited_epochs: int | None = None,
        max_seconds: float | None = None,
        max_total_epochs: int | None = None,
        patience: int | None = None,
        seed: int | None = None,
        hyperparameters: keras_tuner.HyperParameters | None = None,
        allow_new_entries: bool = True,
        tune_new_entries: bool = True,
        max_retries_per_trial: int = 0,
        max_consecutive_failed_trials: int = 3,
        cohort_size: CohortSize = "auto",
        keep_checkpoints: Policy | None = None,
        top_k: int = 10,
        fit_arguments: FitArgumentsOf | None = None,
        cv: object = None,
        on_trial_end: TrialHook | None = None,
        verbose: int | None = None,
        executor: Executor | None = None,
        max_model_size: int | None = None,
        optimizer: object = None,
        loss: object = None,
        metrics: object = None,
        distribution_strategy: object = None,
        directory: str | os.PathLike[str] | None = None,
        project_name: str | None = None,
        tuner_id: str | None = None,
        overwrite: bool = False,
        executions_per_trial: int = 1,
        stop_hopeless: float | None = None,
        share_programs: bool = False,
    ) -> None:
        oracle = EvoOracle(
            objective,
            max_trials,
            strategy=strategy,
            constraints=constraints,
            costs=costs,
            initial_population=initial_population,
            inherit_weights=inherit_weights,
            inherited_epochs=inherited_epochs,
            max_seconds=max_seconds,
            max_total_epochs=max_total_epochs,
            patience=patience,
            hyperparameters=hyperparameters,
            allow_new_entries=allow_new_entries,
            tune_new_entries=tune_new_entries,
            seed=seed,
            max_retries_per_trial=max_retries_per_trial,
            max_consecutive_failed_trials=max_consecutive_failed_trials,
        )
        super().__init__(
            oracle,
            hypermodel,
            cohort_size=cohort_size,
            keep_checkpoints=keep_checkpoints,
            top_k=top_k,
            fit_arguments=fit_arguments,
            cv=cv,
            on_trial_end=on_trial_end,
            verbose=verbose,
            executor=executor,
            max_model_size=max_model_size,
            optimizer=optimizer,
            loss=loss,
            metrics=metrics,
            distribution_strategy=distribution_strategy,
            directory=directory,
            project_name=project_name,
            tuner_id=tuner_id,
            overwrite=overwrite,
            executions_per_trial=executions_per_trial,
            stop_hopeless=stop_hopeless,
            share_programs=share_programs,
        )
