"""`EvoTuner`: any keras-tuner oracle, with networks trained in cohorts."""

from collections.abc import Iterable
from typing import Any

import keras
import keras_tuner
from keras_tuner.engine import trial as trial_lib

from keras_evonas.execution import Executor
from keras_evonas.oracles import objectives
from keras_evonas.oracles.fidelity import goes_on_from_weights
from keras_evonas.oracles.host import INFEASIBLE
from keras_evonas.project import curves as curves_lib
from keras_evonas.training import Execution
from keras_evonas.training import FitArguments
from keras_evonas.training import Outcome
from keras_evonas.training import callbacks as callback_lib
from keras_evonas.training.checks import check_fit
from keras_evonas.training.folds import check_cv
from keras_evonas.training.folds import folds_of
from keras_evonas.tuners import sizing
from keras_evonas.tuners.afterwards import AfterSearch
from keras_evonas.tuners.alone import search_alone
from keras_evonas.tuners.alone import why_alone
from keras_evonas.tuners.arguments import check_can_fold
from keras_evonas.tuners.arguments import check_cv_with
from keras_evonas.tuners.arguments import checked_executor
from keras_evonas.tuners.cohorts import CohortSearch
from keras_evonas.tuners.honest import Seen
from keras_evonas.tuners.hooks import CheckedHook
from keras_evonas.tuners.hooks import TrialHook
from keras_evonas.tuners.host_tuner import FitArgumentsOf
from keras_evonas.tuners.interrupts import interruptible
from keras_evonas.tuners.lanes import is_chief
from keras_evonas.tuners.lanes import warn_of_open_port
from keras_evonas.tuners.progress import Progress
from keras_evonas.tuners.results import TunerHooks
from keras_evonas.tuners.results import best_loss_of
from keras_evonas.tuners.results import check_objective
from keras_evonas.tuners.results import metrics_of
from keras_evonas.tuners.results import never_finite
from keras_evonas.tuners.results import spreads_of
from keras_evonas.tuners.results import warn_if_all_failed
from keras_evonas.tuners.trial_files import Policy
from keras_evonas.tuners.trial_files import TrialFiles
from keras_evonas.tuners.trial_files import check_policy
from keras_evonas.tuners.trial_files import completed

Status = trial_lib.TrialStatus
Trial = trial_lib.Trial


class EvoTuner(AfterSearch):
    """Trains the networks of a search together, each exactly as if alone.

    It takes any keras-tuner oracle and any hypermodel, and is called as
    `keras_tuner.Tuner` is. Execution `e` of every trial is the training that
    follows `keras.utils.set_random_seed(seed + e)`: build the model, call its
    `fit`. On a CPU each epoch's loss and metrics are bit for bit the same in a
    cohort of any size; on a GPU they differ as two runs there do. One thing
    is not as in `fit`: all networks read a shuffled `PyDataset` in one order,
    that of a `fit` right after `set_random_seed`.

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
            `HyperbandOracle`, or `EvoOracle` with `successive_halving` or
            `inherit_weights`.
        top_k: Integer, how many checkpoints `"top_k"` keeps. Defaults to 10.
        fit_arguments: Callable that takes hyperparameters and returns a
            dictionary of arguments of `fit` that are the trial's own, such as
            `lambda hp: {"batch_size": hp.Choice("batch_size", [16, 64])}`.
            Defaults to `None`.
        cv: Cross-validation: every network is trained once for each fold, in
            one cohort, and its score is the mean over the folds. An integer
            of 2 or more cuts the shuffled examples into so many parts; a
            splitter of scikit-learn, such as `StratifiedKFold(5)`, or a list
            of pairs of index arrays says it in detail. `search` then takes
            arrays and no validation data. The spread over the folds stands
            among the metrics of a trial, as `val_accuracy_std` for the
            objective `val_accuracy`; the checkpoint is that of the best fold.
            It takes the memory of as many copies of the data. Defaults to
            `None`.
        on_trial_end: Callable that takes each trial that has completed or
            failed for good, once, such as `lambda trial: log(trial.trial_id,
            trial.score)`. It is called in the process that has trained it,
            in the thread of `search`, after the trial was recorded. If it
            raises, the others of the cohort are recorded and told before the
            search ends with the error; run again, it goes on behind them.
            Defaults to `None`.
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
        hypermodel: Any = None,
        *,
        cohort_size: Any = "auto",
        keep_checkpoints: Policy | None = None,
        top_k: int = 10,
        fit_arguments: FitArgumentsOf | None = None,
        cv: Any = None,
        on_trial_end: TrialHook | None = None,
        seed: int | None = None,
        verbose: int | None = None,
        executor: Executor | None = None,
        max_model_size: int | None = None,
        optimizer: Any = None,
        loss: Any = None,
        metrics: Any = None,
        distribution_strategy: Any = None,
        directory: Any = None,
        project_name: str | None = None,
        tuner_id: str | None = None,
        overwrite: bool = False,
        executions_per_trial: int = 1,
    ) -> None:
        sizing.check_cohort_size(cohort_size)
        needs_all = goes_on_from_weights(oracle)
        check_policy(keep_checkpoints, top_k, needs_all)
        check_cv_with(cv, needs_all)
        self.cohort_size = cohort_size
        self.cv = check_cv(cv)
        self._hook = CheckedHook(on_trial_end)
        self.verbose = verbose
        self.executor = checked_executor(executor)
        self._folds: list[FitArguments] = []
        self._run_of: dict[str, tuple[Trial, int]] = {}
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

    # Searching.

    def search(self, *fit_args: Any, **fit_kwargs: Any) -> None:
        """Searches for the best hyperparameters.

        Args:
            *fit_args: Positional arguments of `keras.Model.fit`.
            **fit_kwargs: Other arguments of `keras.Model.fit`. `verbose` is
                that of the search, unless the tuner was given one.

        Raises:
            TypeError: If `fit` has no such argument, or if a callback cannot
                be copied.
            ValueError: If the oracle has no objective to look for in the logs,
                or if the data, or the number of epochs, are none that a
                network could be trained with.
        """
        if is_chief():
            warn_of_open_port()
            super().search(*fit_args, **fit_kwargs)
            return
        validation_data = fit_kwargs.get("validation_data")
        self._seen = Seen(fit_args, fit_kwargs.get("x"), validation_data)
        self._progress = self._new_progress(fit_kwargs.get("verbose", "auto"))
        # keras-tuner would print tables of its own.
        self._local_oracle.verbose = 0
        with interruptible(self):
            self._search(*fit_args, **fit_kwargs)

    def _search(self, *fit_args: Any, **fit_kwargs: Any) -> None:
        self.on_search_begin()
        reason = why_alone(self)
        if reason is not None and self.executor.is_elsewhere:
            raise ValueError(
                "`executor` must be `InProcess()` where networks train one "
                f"after another. Received: executor={self.executor}, and "
                f"{reason}. Leave it out."
            )
        if reason is None:
            self._search_together(FitArguments.of(*fit_args, **fit_kwargs))
        else:
            check_can_fold(self.cv, reason)
            self._progress.say(f"Networks train one after another: {reason}.")
            search_alone(self, *fit_args, **fit_kwargs)
        stop_reason = getattr(self._local_oracle, "stop_reason", None)
        if stop_reason:
            self._progress.say(f"Search stopped: {stop_reason}.")
        warn_if_all_failed(self._local_oracle.trials.values())
        self.on_search_end()

    def _search_together(self, arguments: FitArguments) -> None:
        # What is wrong for all networks costs no trial.
        if self.hypermodel is None:
            raise ValueError(
                "`hypermodel` must be a `keras_tuner.HyperModel`, or a "
                "function that takes hyperparameters and returns a compiled "
                "model. Received: hypermodel=None."
            )
        callback_lib.copied(arguments.callbacks)
        check_fit(arguments)
        check_objective(self.oracle.objective)
        self._tell_shapes(arguments.x)
        if self.cv is not None:
            self._folds = folds_of(arguments, self.cv, seed=self._training_seed)
        CohortSearch(self, arguments).run()

    def _candidates(self, trials: Iterable[Trial]) -> list[Execution]:
        bar = None
        folds: list[int | None] = [*range(len(self._folds))] or [None]
        places = [
            (seed, fold)
            for seed in range(self.executions_per_trial)
            for fold in folds
        ]
        if len(places) == 1:
            bar = self._files.bar(self.oracle)
        candidates = []
        for trial in trials:
            changes = self._fit_changes(trial.hyperparameters)
            parent = trial.hyperparameters.values.get("tuner/trial_id")
            for execution, (seed, fold) in enumerate(places):
                # Also the folder for the files of callbacks, as in keras-tuner.
                name = f"{trial.trial_id}/execution{execution}"
                self._run_of[name] = (trial, execution)
                weights = self._files.weights_of(trial.trial_id, execution)
                candidates.append(
                    Execution(
                        name=name,
                        seed=self._training_seed + seed,
                        fit=changes,
                        fold=fold,
                        initial_weights=self._files.weights_of(parent)
                        if parent
                        else None,
                        checkpoint=weights if self._files.writes else None,
                        bar=bar,
                    )
                )
        return candidates

    def _report_all(
        self, trials: Iterable[Trial], outcomes: Iterable[Outcome]
    ) -> None:
        """Tells the oracle what all trials came to."""
        of_trial: dict[str, list[Outcome]] = {}
        for outcome in outcomes:
            trial, _ = self._run_of[outcome.name]
            of_trial.setdefault(trial.trial_id, []).append(outcome)
        stop: RuntimeError | None = None
        for trial in trials:
            executions = of_trial[trial.trial_id]
            try:
                self._report(trial, executions)
            except RuntimeError as error:
                # Too many failures; but the others have been trained too.
                stop = stop or error
            self._show(trial, executions)
            for outcome in executions:
                del self._run_of[outcome.name]
        self._files.prune(self.oracle)
        if stop is not None:
            raise stop
        self._hook.raise_error()

    def _report(self, trial: Trial, executions: list[Outcome]) -> None:
        curves = [outcome.curves for outcome in executions]
        bad = next((o for o in executions if o.status != "completed"), None)
        message = None if bad is None else bad.message
        if bad is None:
            values = trial.hyperparameters.values
            curves_lib.write_curves(
                self._files.folder_of(trial.trial_id),
                curves,
                initial_epoch=values.get("tuner/initial_epoch", 0),
            )
            metrics, step = metrics_of(curves, self.oracle.objective)
            if self._folds:
                metrics |= spreads_of(curves, self.oracle.objective)
            metrics["train_seconds"] = sum(o.seconds for o in executions)
            for name, cost in executions[0].results.items():
                if not trial.metrics.exists(name):
                    metrics[name] = cost
            message = never_finite(curves, self.oracle.objective)
        if message is None:
            self._keep_best(trial, executions)
            self.oracle.update_trial(trial.trial_id, metrics, step=step)
            trial.status = Status.COMPLETED
        else:
            is_infeasible = bad is not None and bad.status == "infeasible"
            trial.status = Status.FAILED if is_infeasible else Status.INVALID
            trial.message = INFEASIBLE * is_infeasible + message
            self._files.discard(trial.trial_id, range(len(executions)))
        self.on_trial_end(trial)

    def _keep_best(self, trial: Trial, executions: list[Outcome]) -> None:
        pairs = objectives.lead_of(self.oracle.objective)
        written = [
            (best_loss_of(pairs, outcome.curves), execution)
            for execution, outcome in enumerate(executions)
            if outcome.has_checkpoint
        ]
        if written:
            _, best = min(written)
            self._files.keep(
                trial.trial_id, best, executions[best].build_config
            )
        self._files.discard(trial.trial_id, range(len(executions)))

    # Building, as keras-tuner does it.

    def _build_candidate(self, candidate: Execution) -> keras.Model:
        trial, _ = self._run_of[candidate.name]
        model = self._checked_model(trial.hyperparameters)
        self._build_from_parent(model, trial.hyperparameters)
        self._inherit(model, trial.hyperparameters, candidate.seed)
        return model

    # Callbacks.

    def _adapted_callbacks(
        self, candidate: Execution, own: list[Any]
    ) -> list[Any]:
        trial, execution = self._run_of[candidate.name]
        boards = [c for c in own if isinstance(c, keras.callbacks.TensorBoard)]
        others = [c for c in own if c not in boards]
        callback_lib.placed(others, candidate.name)
        self._configure_tensorboard_dir(own, trial, execution)
        if any(
            getattr(type(self), name) is not getattr(keras_tuner.Tuner, name)
            for name in TunerHooks.HOOKS
        ):
            own.append(TunerHooks(self, trial))
        return own

    # Bits.

    def _new_progress(self, fit_verbose: Any) -> Progress:
        verbose = self.verbose
        if verbose is None:
            verbose = 1 if fit_verbose == "auto" else int(fit_verbose)
        best = completed(self.oracle.get_best_trials(1))
        return Progress(
            self.oracle.objective.name,
            self.oracle.objective.direction,
            verbose=verbose,
            total=self.oracle.max_trials,
            ended=len(self._local_oracle.end_order),
            best=best[0].score if best else None,
        )

    def _show(self, trial: Trial, executions: list[Outcome]) -> None:
        trial = self.oracle.get_trial(trial.trial_id)
        if trial.status == Status.INVALID:
            return  # It is to be tried again.
        message = None
        if trial.status != Status.COMPLETED:
            message = trial.message or "no message"
        self._progress.ended(
            trial.score if message is None else None,
            params=executions[0].params,
            seconds=sum(outcome.seconds for outcome in executions),
            message=message,
        )
        self._hook(trial)
