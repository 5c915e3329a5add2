"""`EvoTuner` for any keras-tuner oracle."""

import dataclasses
import os
import warnings
from collections.abc import Callable
from collections.abc import Mapping
from typing import Any

import keras_tuner

from keras_evonas import devices
from keras_evonas.evolution.checks import check_boolean
from keras_evonas.evolution.checks import check_positive_integer
from keras_evonas.evolution.checks import check_size
from keras_evonas.execution import Executor
from keras_evonas.models.checks import check_hypermodel
from keras_evonas.oracles.fidelity import epochs_of_rungs
from keras_evonas.oracles.fidelity import final_epochs
from keras_evonas.oracles.fidelity import gives_epochs
from keras_evonas.oracles.fidelity import goes_on_from_weights
from keras_evonas.oracles.host import is_chief
from keras_evonas.project import conditions
from keras_evonas.project import wording
from keras_evonas.training import FitArguments
from keras_evonas.training.folds import check_cv
from keras_evonas.training.hopeless import Judge
from keras_evonas.tuners import alone
from keras_evonas.tuners import checks
from keras_evonas.tuners import hopeless
from keras_evonas.tuners import lanes
from keras_evonas.tuners import loop
from keras_evonas.tuners import reporting
from keras_evonas.tuners.after_search import AfterSearch
from keras_evonas.tuners.hooks import TrialHook
from keras_evonas.tuners.hooks import TunerHooks
from keras_evonas.tuners.hooks import overridden
from keras_evonas.tuners.mended_tuner import MendedTuner
from keras_evonas.tuners.progress import Progress
from keras_evonas.tuners.recipe import FitArgumentsOf
from keras_evonas.tuners.recipe import Recipe
from keras_evonas.tuners.sizing import CohortSize
from keras_evonas.tuners.training_costs import arguments_of
from keras_evonas.tuners.trial_files import Policy
from keras_evonas.tuners.trial_files import TrialFiles
from keras_evonas.tuners.trial_files import completed
from keras_evonas.tuners.unseen import Seen

# What a copy of a tuner has that trains in another process, beside what the
# user's own class has added.
_TRAINS_WITH = (
    *("hypermodel", "optimizer", "loss", "metrics", "max_model_size"),
    *("distribution_strategy", "fit_arguments", "executions_per_trial"),
    *("directory", "project_name", "tuner_id", "logger", "verbose"),
    *("_files", "_execution"),
)


class EvoTuner(AfterSearch):
    """Trains the networks of a search together, each exactly as if alone.

    It takes any keras-tuner oracle and any hypermodel, and is called as
    `keras_tuner.Tuner` is. Execution `e` of every trial is the training that
    follows `keras.utils.set_random_seed(seed + e)`: build the model, call its
    `fit`. On a CPU each epoch's loss and metrics are bit for bit the same in a
    cohort of any size; on a GPU all numbers differ as two runs there do. Three
    things are not as in `fit`: all networks read a shuffled `PyDataset` in one
    order, that of a `fit` right after `set_random_seed`; a sum of losses that
    a `train_step` of the model's own reports may differ in its last bit, as
    TensorFlow may add it up in another order; and at the end of a
    `tf.data.Dataset` of unknown length, as `from_generator` and `filter` make
    it, Keras (3.15) counts one more step of the optimizer, and later losses
    differ. `tf.data.experimental.assert_cardinality` tells the length.

    Data that change as they are read go on from network to network, and from
    their beginning after a resume: a `tf.data.Dataset` that shuffles anew, a
    `PyDataset` that shuffles in `on_epoch_end`, an endless generator. With
    `reshuffle_each_iteration=False` and without such an `on_epoch_end` all
    networks, and a search that goes on, get the same batches. A trial that was
    cut begins anew, whatever `BackupAndRestore` has kept of it.

    Networks are trained one after another if Keras does not run on
    TensorFlow, if the hypermodel has its own `fit`, or with a distribution
    strategy.

    Args:
        oracle: Instance of a `keras_tuner.Oracle`, such as `EvoOracle`.
        hypermodel: Instance of a `HyperModel`, or a callable that takes
            hyperparameters and returns a compiled model.
        cohort_size: Integer, how many networks are trained together, or
            `"auto"`: up to 8, never more than an eighth of the trials, and
            no more than the memory holds. Networks that run out of memory
            are trained again in cohorts of half the size. Defaults to
            `"auto"`.
        keep_checkpoints: The weights of which trials stay on the disk:
            `"best"`, `"top_k"`, `"all"` or `"none"`. Defaults to `"top_k"`,
            and to `"all"` with an oracle whose trials go on from them: a
            `HyperbandOracle`, or `EvoOracle` with rungs or `inherit_weights`.
            With rungs the state after the last epoch, with that of the
            optimizer, stays there, too, until another trial has gone on.
        top_k: Integer, how many checkpoints `"top_k"` keeps, those of the
            Pareto front apart, which it keeps too. Defaults to 10.
        fit_arguments: Callable that takes hyperparameters and returns a
            dictionary of arguments of `fit` that are the trial's own, such as
            `lambda hp: {"batch_size": hp.Choice("batch_size", [16, 64])}`.
            Defaults to `None`.
        cv: Cross-validation: every network is trained once for each fold, in
            one cohort, and its score is the mean over the folds. An integer
            of 2 or more cuts the shuffled examples into so many parts; a
            splitter of scikit-learn, such as `StratifiedKFold(5)`, or a list
            of pairs of index arrays says it in detail. `search` then takes
            arrays and no validation data, and the memory of as many copies of
            them. The spread over the folds stands among the metrics of a
            trial, as `val_accuracy_std` for the objective `val_accuracy`; the
            checkpoint is that of the best fold. Defaults to `None`.
        on_trial_end: Callable that takes each trial that has completed or
            failed for good, once, such as `lambda trial: log(trial.trial_id,
            trial.score)`. It is called in the process and the thread of
            `search`, after the trial was recorded. If it raises, the others
            of the cohort are recorded and told before the search ends with
            the error; run again, it goes on behind them. Defaults to `None`.
        seed: Integer, the seed of the training. Defaults to that of the
            oracle.
        verbose: Integer, `0` for a silent search, or `1` for a line a trial.
            Defaults to what is passed to `search`, and to 1.
        executor: Where networks are trained: `InProcess()`, or `Processes` or
            `Ray` of `keras_evonas.execution`. With one worker the search is
            the same everywhere. Defaults to `InProcess()`.
        max_model_size: As in `keras_tuner.Tuner`, and so are `optimizer`,
            `loss`, `metrics`, `distribution_strategy`, `directory`,
            `project_name`, `tuner_id` and `overwrite`.
        executions_per_trial: As in `keras_tuner.Tuner`. Executions are
            members of the same cohort.
        stop_hopeless: Number, a training is stopped when its chance to become
            the best of the search falls below, such as 0.003; see
            `keras_evonas.evolution.hopeless`. It is judged after a ninth, a
            quarter, a half and three quarters of its epochs, by the learning
            curves of the trials that had completed when it was proposed, once
            five have trained in full. A trial that was stopped has the best
            score that it had, counts as `ended_early`, and comes after all
            that trained in full. On five tables of trained networks 0.003
            took 0.6 of the epochs of 40 trials, with no more regret; in a
            tenth of the searches the network that would have been the best
            was stopped. Needs an `EvoOracle` with one objective. Defaults to
            `None`, all train in full.
        share_programs: Boolean, whether networks with the same layers share
            what TensorFlow has traced though they differ in units, filters,
            activations, dropout or momentum. A small network then takes a
            fraction of the time, and its losses are those of `fit` to rounding,
            no longer bit for bit: a bias right before a batch normalization,
            whose gradient is rounding alone, may even go elsewhere. It holds
            for data in memory and for the usual layers and optimizers of
            Keras; other networks, and those of more than a million weights,
            are traced as ever. Defaults to `False`: networks share what is
            traced only if they are equal.

    Raises:
        ValueError: If an argument is out of its range.

    Example:

    ```python
    tuner = EvoTuner(
        oracle=EvoOracle("val_accuracy", max_trials=60, seed=0),
        hypermodel=build_model,
    )
    tuner.search(x, y, epochs=10, validation_data=(x_val, y_val))
    ```
    """

    def __init__(
        self,
        oracle: keras_tuner.Oracle,
        hypermodel: object = None,
        *,
        cohort_size: CohortSize = "auto",
        keep_checkpoints: Policy | None = None,
        top_k: int = 10,
        fit_arguments: FitArgumentsOf | None = None,
        cv: object = None,
        on_trial_end: TrialHook | None = None,
        seed: int | None = None,
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
        before = set(vars(self))
        if hypermodel is not None:
            check_hypermodel("hypermodel", hypermodel)
        checks.check_compile_arguments(optimizer, loss, metrics)
        check_size("cohort_size", cohort_size)
        check_positive_integer("executions_per_trial", executions_per_trial)
        if max_model_size is not None:
            check_positive_integer("max_model_size", max_model_size)
        check_boolean("share_programs", share_programs)
        needs_all = goes_on_from_weights(oracle)
        checks.check_policy(keep_checkpoints, top_k, needs_all)
        checks.check_cv_with(cv, needs_all)
        hopeless.check_stop_hopeless(
            stop_hopeless, oracle, executions_per_trial, cv
        )
        self.stop_hopeless = stop_hopeless
        self.cohort_size = cohort_size
        self.share_programs = share_programs
        self.cv = check_cv(cv)
        self._hook = checks.checked_hook(on_trial_end)
        self.verbose = verbose
        self.executor = checks.checked_executor(executor)
        self._seen = Seen()
        policy = keep_checkpoints or ("all" if needs_all else "top_k")
        super().__init__(
            oracle,
            hypermodel,
            files=lambda folder: TrialFiles(folder, policy, top_k),
            fit_arguments=fit_arguments,
            seed=seed,
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
        )
        self._not_sent = frozenset(vars(self)) - before - {*_TRAINS_WITH}

    def __getstate__(self) -> dict[str, Any]:
        # A copy trains in another process, and searches nothing there.
        state = {
            name: value
            for name, value in vars(self).items()
            if name not in self._not_sent
        }
        oracle = alone.OracleElsewhere(
            self.oracle.objective, self.oracle.max_trials
        )
        return {
            **state,
            "_seed": self._training_seed,
            "_not_sent": frozenset(),
            "oracle": oracle,
            "_local_oracle": oracle,
        }

    # Searching.

    def search(self, *fit_args: object, **fit_kwargs: object) -> None:
        """Searches for the best hyperparameters.

        Args:
            *fit_args: Positional arguments of `keras.Model.fit`.
            **fit_kwargs: Other arguments of `keras.Model.fit`. `verbose` is
                that of the search, unless the tuner was given one.

        Raises:
            TypeError: If `fit` has no such argument, or if a callback cannot
                be copied.
            ValueError: If the oracle has no objective to look for in the logs,
                if the data, or the number of epochs, are none that a network
                could be trained with, or if the scope of a distribution
                strategy is open.
        """
        if is_chief():
            recipe = self._recipe(*fit_args, **fit_kwargs)
            if recipe.alone is None:
                FitArguments.of(*fit_args, **fit_kwargs)  # As its workers do.
            self._tell_training(arguments_of(fit_args, fit_kwargs), print)
            lanes.warn_of_open_port()
            super().search(*fit_args, **fit_kwargs)
            ended_by = getattr(self._local_oracle, "ended_by", None)
            if ended_by is not None:
                raise ended_by
            return
        validation_data = fit_kwargs.get("validation_data")
        self._seen = Seen(fit_args, fit_kwargs.get("x"), validation_data)
        # keras-tuner would print tables of its own.
        self._local_oracle.verbose = 0
        with loop.interruptible(
            self._local_oracle, self.project_dir, is_worker=self._is_worker()
        ):
            self.on_search_begin()
            self._search(self._recipe(*fit_args, **fit_kwargs))
            self.on_search_end()

    def _recipe(self, *args: object, **kwargs: object) -> Recipe:
        devices.check_reached()
        own = overridden(type(self), alone.OWN_METHODS, MendedTuner)
        hooks = overridden(type(self), TunerHooks.HOOKS, MendedTuner)
        return Recipe(
            builder=self._builder,
            args=args,
            kwargs=kwargs,
            fit_arguments=self.fit_arguments,
            seed=self._training_seed,
            executions_per_trial=self.executions_per_trial,
            objective=self.oracle.objective,
            space=self.oracle.get_space(),
            cohort_size=self.cohort_size,
            cv=self.cv,
            share_programs=self.share_programs,
            latency=reporting.wants_latency(self._local_oracle),
            alone=alone.why_alone(
                self.hypermodel, self.distribution_strategy, own
            ),
            tuner=self if own or hooks else None,
            own_training=bool(own),
            final_epochs=final_epochs(self._local_oracle),
        )

    def _search(self, recipe: Recipe) -> None:
        progress = self._new_progress(recipe)
        if recipe.alone is None:
            own_fit = alone.why_own_fit(recipe)
            recipe = dataclasses.replace(recipe, alone=own_fit)
        folds = checks.checked_folds(recipe)
        arguments = arguments_of(recipe.args, recipe.kwargs)
        self._tell_training(arguments, progress.say)
        if recipe.alone is None:
            strategy = getattr(self._local_oracle, "strategy", None)
            rungs = epochs_of_rungs(strategy)
            if rungs or not gives_epochs(self._local_oracle):
                checks.check_validations(recipe, rungs)
        else:
            progress.say(self._told(recipe.alone))
        training = self._conditions(recipe, folds)
        self._warn_of_changes(training)
        begin = getattr(self._hook, "on_search_begin", None)
        if begin is not None:  # It wants to know where the search is kept.
            begin(self.project_dir)
        is_needed = self._is_worker() and self._evo_oracle is not None
        has_begun = loop.SearchLoop(
            tuner=self,
            evo_oracle=self._evo_oracle,
            recipe=recipe,
            executor=self.executor,
            folds=folds,
            reporter=reporting.Reporter(
                oracle=self.oracle,
                files=self._files,
                progress=progress,
                hook=self._hook,
                end_trial=self.on_trial_end,
                training=training,
                sends_messages=is_needed,
            ),
            heartbeat=lanes.Heartbeat(self.oracle, is_needed=is_needed),
            judge_of=self._judge_of,
        ).run()
        stop_reason = getattr(self._local_oracle, "stop_reason", None)
        if stop_reason:
            progress.say(f"Search stopped: {stop_reason}.")
        elif self._is_worker() and not has_begun:
            progress.say(
                "The chief had no trial for this worker: the search is over, "
                "or has failed, as the chief then says."
            )
        reporting.warn_if_all_failed(self._local_oracle.trials.values())

    def _conditions(self, recipe: Recipe, folds: int) -> dict[str, object]:
        """Returns what scores depend on, as `described` makes it."""
        found = recipe.described(folds)
        if gives_epochs(self._local_oracle):
            found.pop("epochs", None)
        return found

    def _warn_of_changes(self, training: Mapping[str, object]) -> None:
        """Warns if trials that have ended were trained otherwise."""
        ended = len(self._local_oracle.end_order)
        found = conditions.changes(self.project_dir, training, ended)
        if found.trials:
            some = f"{found.trials:,} of the" if found.trials < ended else "The"
            warnings.warn(
                f"{some} {wording.plural(ended, 'trial')} that this search has "
                "were trained otherwise, and their scores are compared with "
                f"those to come: {'; '.join(found.differences)}. Train as "
                "before, or pass another `project_name` or `overwrite=True` to "
                "begin anew.",
                stacklevel=4,
            )

    @property
    def _judge_of(self) -> Callable[[str], Judge] | None:
        oracle, chance = self._evo_oracle, self.stop_hopeless
        if oracle is None or chance is None:
            return None
        if self.oracle is not oracle:
            raise ValueError(
                "`stop_hopeless` needs the oracle in its own process. "
                f"Received: stop_hopeless={chance} in a worker of a chief. "
                "Leave it out, or pass `executor=Processes(workers=2)` for "
                "several workers on one machine."
            )
        return hopeless.judges(oracle, self._files, chance)

    def _told(self, alone: str) -> str:
        return f"Networks train one after another: {alone}."

    def _new_progress(self, recipe: Recipe) -> Progress:
        verbose = self.verbose
        if verbose is None:
            verbose = recipe.kwargs.get("verbose", "auto")
        best = completed(self.oracle.get_best_trials(1))
        return Progress(
            self.oracle.objective.name,
            self.oracle.objective.direction,
            verbose=verbose,
            total=self.oracle.max_trials,
            ended=len(self._local_oracle.end_order),
            best=best[0].score if best else None,
        )
