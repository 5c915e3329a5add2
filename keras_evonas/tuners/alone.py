"""Networks that cannot train in cohorts train one after another."""

import dataclasses
import functools
import inspect
import math
import numbers
import time
import traceback
import warnings
from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Mapping
from typing import Any
from typing import Literal
from typing import SupportsFloat
from typing import TypeAlias

import keras
import keras_tuner
import tensorflow as tf
from keras_tuner.engine import trial as trial_lib

from keras_evonas import devices
from keras_evonas.models.costs.isolation import without_allocation
from keras_evonas.oracles import objectives
from keras_evonas.project.files import WriteError
from keras_evonas.training import Execution
from keras_evonas.training import Outcome
from keras_evonas.training import callbacks as callback_lib
from keras_evonas.training.arguments import takes
from keras_evonas.training.bookkeeping import Trained
from keras_evonas.training.bookkeeping import completed
from keras_evonas.training.checkpoints import BestWeights
from keras_evonas.training.curves import curves_of_history
from keras_evonas.training.eligibility import has_own
from keras_evonas.training.last_state import LastState
from keras_evonas.training.own_fit import fitted
from keras_evonas.training.own_fit import unnamed
from keras_evonas.training.recording import Recorder
from keras_evonas.tuners.recipe import Recipe
from keras_evonas.tuners.recipe import parent_of
from keras_evonas.tuners.recipe import trial_of

# What a subclass of the tuner may do in its own way when it trains.
OWN_METHODS = ("run_trial", "_build_and_fit_model")
_FORGOTTEN = " Did you forget to return it?"
_OUT_OF_MEMORY = (tf.errors.ResourceExhaustedError, MemoryError)

AfterTraining: TypeAlias = Callable[
    [Execution, keras.Model], Mapping[str, float]
]
# What a training returned: its history, or the metrics of its end.
Result: TypeAlias = keras.callbacks.History | Mapping[str, float]


class OracleElsewhere:
    """Stands in for the oracle where a tuner trains but does not search.

    It answers what `run_trial` of a user's tuner asks an oracle for, and
    keeps the metrics that it reports.
    """

    def __init__(
        self, objective: keras_tuner.Objective, max_trials: int | None
    ) -> None:
        self.objective = objective
        self.max_trials = max_trials
        self._trials: dict[str, trial_lib.Trial] = {}

    def hand_out(self, *trials: trial_lib.Trial) -> None:
        """Takes the trials that may be asked for from now on."""
        self._trials = {trial.trial_id: trial for trial in trials}

    def get_trial(self, trial_id: str) -> trial_lib.Trial:
        """Returns a trial; see `keras_tuner.Oracle`."""
        if trial_id not in self._trials:
            raise KeyError(
                "`trial_id` must be that of the running trial: the process "
                f"that trains knows no other. Received: {trial_id!r}."
            )
        return self._trials[trial_id]

    def update_trial(
        self, trial_id: str, metrics: Mapping[str, float], step: int = 0
    ) -> trial_lib.Trial:
        """Keeps metrics of the running trial; see `keras_tuner.Oracle`."""
        trial = self.get_trial(trial_id)
        objectives.register(self.objective, trial.metrics, metrics)
        for name, value in metrics.items():
            trial.metrics.update(name, value, step=step)
        return trial

    def reported(self, trial_id: str) -> dict[str, float]:
        """Returns the best value of every metric that was reported."""
        metrics = self.get_trial(trial_id).metrics
        return {
            name: float(metrics.get_best_value(name))
            for name in metrics.metrics
        }


def why_alone(
    hypermodel: object,
    distribution_strategy: object,
    own_methods: Collection[str],
) -> str | None:
    """Returns why networks train one after another, or `None` if they do not.

    It is the end of a sentence. `own_methods` are those of `OWN_METHODS` that
    the tuner's class overrides.
    """
    if keras.config.backend() != "tensorflow":
        return f"Keras runs on {keras.config.backend()}, not on TensorFlow"
    if distribution_strategy is not None:
        return "there is a distribution strategy"
    for name in own_methods:
        return f"the tuner has its own `{name}`"
    own_fit = getattr(type(hypermodel), "fit", None)
    if own_fit not in (None, keras_tuner.HyperModel.fit):
        return "the hypermodel has its own `fit`"
    return None


def why_own_fit(recipe: Recipe) -> str | None:
    """Returns why networks need the hypermodel's `fit` for their own, if so.

    A network with a `fit` of its own may make its data itself, or take
    arguments that Keras's does not have.
    """
    fit, build = inspect.signature(keras.Model.fit), recipe.builder.build
    try:
        given = fit.bind(None, *recipe.args, **recipe.kwargs)
        if given.arguments.get("x") is not None:
            return None
    except TypeError:
        pass
    try:
        is_own = without_allocation(
            lambda: has_own(build(recipe.space.copy()), "fit")
        )
    except Exception:  # It is raised again where the default is checked.
        return None
    return "they have their own `fit`, with other arguments" * is_own or None


def train_alone(
    recipe: Recipe,
    execution: Execution,
    after_training: AfterTraining,
    *,
    reports: bool = True,
) -> list[Outcome]:
    """Trains one network by the tuner's own `run_trial`, or else by `fit`.

    Args:
        recipe: How it is built and trained.
        execution: The training.
        after_training: Called with the execution and the network that `fit`
            has trained; what it returns stands in the outcome.
        reports: Boolean, whether `fit` must return the objective. Otherwise
            `after_training` is all that counts.

    Returns:
        An outcome for each result that was returned, mostly one. An error of
        the network is in it, a fatal one is raised.
    """
    start = time.perf_counter()
    try:
        if recipe.own_training and recipe.tuner is not None:
            outcomes = _run_trial(recipe, recipe.tuner, execution)
        else:
            outcomes = _train(recipe, execution, after_training, reports)
    except (keras_tuner.errors.FatalError, WriteError):
        raise
    except Exception as error:
        outcomes = [_failed(execution.name, error)]
    seconds = (time.perf_counter() - start) / max(1, len(outcomes))
    hp = execution.hyperparameters
    return [
        dataclasses.replace(one, seconds=seconds, hyperparameters=hp)
        for one in outcomes
    ]


def _train(
    recipe: Recipe,
    execution: Execution,
    after_training: AfterTraining,
    reports: bool,
) -> list[Outcome]:
    recorder = Recorder()
    devices.clear_session()
    keras.utils.set_random_seed(execution.seed)
    model = recipe.builder.build_for(execution)
    network = Trained(
        execution=execution,
        model=model,
        recorder=recorder,
        keeper=BestWeights(recipe.lead) if execution.checkpoint else None,
        last=LastState() if execution.state else None,
    )
    returned = _fit(recipe, network)
    results: list[Result] = [{}]
    if reports:
        results = results_of(returned, recipe.objective, "HyperModel.fit")
    fits = [
        # The values of a history get the epochs that were recorded.
        fitted(one, model, recorder, recipe.lead)
        if isinstance(one, keras.callbacks.History)
        else unnamed(recorder, is_only=len(results) == 1)
        for one in results
    ]
    notes = dict.fromkeys(note for fit in fits for note in fit.notes)
    last = dataclasses.replace(fits[-1], notes=tuple(notes))
    keeper = network.keeper
    if keeper and not math.isfinite(keeper.loss(of_all=last.of_all)):
        # A `fit` of the user's own may report an objective that no epoch has.
        unbarred = dataclasses.replace(execution, bar=None)
        network = dataclasses.replace(network, execution=unbarred)
    whole = completed(network, last, after_training(execution, model))
    return [
        dataclasses.replace(whole, curves=fit.curves, metrics=_metrics(one))
        for fit, one in zip(fits, results, strict=True)
    ]


def _fit(recipe: Recipe, network: Trained) -> object:
    """Calls the hypermodel's `fit` with what the user has passed to `search`.

    It adds `callbacks`, as keras-tuner does, where `fit` takes any.
    """
    execution, model = network.execution, network.model
    train = recipe.builder.hypermodel.fit
    fit = {**recipe.kwargs, **execution.fit}
    own = callback_lib.copied(fit.pop("callbacks", None))
    if takes(train, "callbacks"):
        own = recipe.adapted_callbacks(execution, own)
        fit["callbacks"] = [*own, *network.recorders]
    _quieten(model)
    return train(execution.hyperparameters, model, *recipe.args, **fit)


def _quieten(model: keras.Model) -> None:
    """Lets `fit` print nothing unless the user's code asks it to.

    The argument `verbose` is not passed to the user's own `HyperModel.fit`,
    which may not take it.
    """
    fit = model.fit
    if not takes(fit, "verbose"):
        return
    signature = inspect.signature(fit)

    @functools.wraps(fit)
    def quiet_fit(*args: object, **kwargs: object) -> object:
        if "verbose" not in signature.bind_partial(*args, **kwargs).arguments:
            kwargs["verbose"] = 0
        return fit(*args, **kwargs)

    model.fit = quiet_fit


def _run_trial(
    recipe: Recipe, tuner: keras_tuner.Tuner, execution: Execution
) -> list[Outcome]:
    """Runs a trial by the tuner's own `run_trial`.

    An outcome has no metric if the method has told the oracle itself.
    """
    trial, oracle = trial_of(execution), tuner.oracle
    is_elsewhere = isinstance(oracle, OracleElsewhere)
    if is_elsewhere:
        oracle.hand_out(trial, *parent_of(execution))
    returned = tuner.run_trial(trial, *recipe.args, **recipe.kwargs)
    results: list[Result] = [{}]
    known = oracle.get_trial(trial.trial_id).metrics
    if not known.exists(recipe.objective.name):
        results = results_of(returned, recipe.objective, "Tuner.run_trial")
    elif is_elsewhere:
        results = [oracle.reported(trial.trial_id)]
    return [
        Outcome(
            name=execution.name,
            status="completed",
            curves={} if isinstance(one, Mapping) else curves_of_history(one),
            metrics=_metrics(one),
        )
        for one in results
    ]


def results_of(
    returned: object, objective: keras_tuner.Objective, method: str
) -> list[Result]:
    """Turns what a user's method returned into histories and metrics.

    That is a `History`, a dictionary of metrics, a number that is the
    objective, or a list of these; all else ends the search.
    """
    if isinstance(returned, list) and returned:
        return [
            one
            for part in returned
            for one in results_of(part, objective, method)
        ]
    if isinstance(returned, keras.callbacks.History):
        return [returned]
    if isinstance(returned, Mapping):
        objectives.check_reported([objective.name], returned)
        if _is_number(returned[objective.name]):
            return [_numbers(returned, method)]
        returned = returned[objective.name]
    if not isinstance(returned, numbers.Real) or isinstance(returned, bool):
        raise keras_tuner.errors.FatalTypeError(
            f"`{method}` must return a `History`, a dictionary of metrics, a "
            f"number that is the objective '{objective.name}', or a list of "
            f"these. Received: {returned!r} of type {type(returned).__name__}."
            f"{_FORGOTTEN if returned is None else ''}"
        )
    return [{objective.name: float(returned)}]


def _numbers(metrics: Mapping[str, Any], method: str) -> dict[str, float]:
    """Returns the metrics that are numbers, and warns of the others."""
    for name, value in metrics.items():
        if not _is_number(value):
            warnings.warn(
                f"`{method}` must return numbers as metrics. Received: "
                f"'{name}' of type {type(value).__name__}, which is left out.",
                stacklevel=3,
            )
    return {n: float(one) for n, one in metrics.items() if _is_number(one)}


def _is_number(value: SupportsFloat | str) -> bool:
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return not isinstance(value, str)


def _metrics(result: Result) -> Mapping[str, float]:
    return result if isinstance(result, Mapping) else {}


def _failed(name: str, error: Exception) -> Outcome:
    status: Literal["failed", "infeasible"] = "infeasible"
    if isinstance(error, _OUT_OF_MEMORY):
        reason = str(error).partition("\n")[0]
        message = f"It does not fit into the memory, even alone: {reason}"
    elif isinstance(error, keras_tuner.errors.FailedTrialError):
        message = str(error)
    else:
        status = "failed"
        message = "".join(traceback.format_exception(error))
    return Outcome(name=name, status=status, message=message)
