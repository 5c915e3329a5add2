"""Networks that cannot train in cohorts train one after another."""

import dataclasses
import functools
import inspect
import math
import numbers
import time
import traceback
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import TypeAlias

import keras
import keras_tuner
import tensorflow as tf

from keras_evonas.oracles import objectives
from keras_evonas.project.curves import curves_of
from keras_evonas.project.files import WriteError
from keras_evonas.training import Execution
from keras_evonas.training import Outcome
from keras_evonas.training import callbacks as callback_lib
from keras_evonas.training.checkpoints import BestWeights
from keras_evonas.training.checkpoints import write_weights
from keras_evonas.training.own_fit import Fitted
from keras_evonas.training.own_fit import fitted
from keras_evonas.training.own_fit import takes
from keras_evonas.training.recording import Recorder
from keras_evonas.tuners.elsewhere import OracleElsewhere
from keras_evonas.tuners.host_callbacks import overridden
from keras_evonas.tuners.recipe import Recipe
from keras_evonas.tuners.recipe import parent_of
from keras_evonas.tuners.recipe import trial_of

# What a subclass of the tuner may do in its own way when it trains.
_OWN_METHODS = ("run_trial", "_build_and_fit_model")
_OUT_OF_MEMORY = (tf.errors.ResourceExhaustedError, MemoryError)

AfterTraining: TypeAlias = Callable[
    [Execution, keras.Model], Mapping[str, float]
]
Logs: TypeAlias = dict[str, Any]


def why_alone(
    hypermodel: object,
    distribution_strategy: object,
    tuner: type[keras_tuner.Tuner],
    original: type[keras_tuner.Tuner],
) -> str | None:
    """Returns why networks train one after another.

    Args:
        hypermodel: The hypermodel.
        distribution_strategy: The `tf.distribute.Strategy`, or `None`.
        tuner: The class of the tuner.
        original: The class whose methods it has unless it has its own.

    Returns:
        The end of a sentence, or `None` if they train in cohorts.
    """
    if keras.config.backend() != "tensorflow":
        return f"Keras runs on {keras.config.backend()}, not on TensorFlow"
    if distribution_strategy is not None:
        return "there is a distribution strategy"
    for name in overridden(tuner, _OWN_METHODS, original):
        return f"the tuner has its own `{name}`"
    own_fit = getattr(type(hypermodel), "fit", None)
    if own_fit not in (None, keras_tuner.HyperModel.fit):
        return "the hypermodel has its own `fit`"
    return None


def has_own_training(
    tuner: type[keras_tuner.Tuner], original: type[keras_tuner.Tuner]
) -> bool:
    """Returns whether the class of a tuner trains by methods of its own."""
    return bool(overridden(tuner, _OWN_METHODS, original))


def train_alone(
    recipe: Recipe,
    execution: Execution,
    after_training: AfterTraining,
    *,
    reports: bool = True,
) -> list[Outcome]:
    """Trains one network by the hypermodel's `fit`.

    Args:
        recipe: How it is built and trained.
        execution: The training.
        after_training: Called with the execution and the trained network;
            what it returns stands in the outcome.
        reports: Boolean, whether `fit` must return the objective. Defaults to
            `True`; otherwise `after_training` is all that counts.

    Returns:
        An outcome for each result that `fit` returned, mostly one. An error
        of the network is in it, a fatal one is raised.
    """
    start = time.perf_counter()
    recorder, keeper = Recorder(), BestWeights(recipe.lead)
    try:
        keras.backend.clear_session()
        keras.utils.set_random_seed(execution.seed)
        model = recipe.builder.build_for(execution)
        returned = _fit(recipe, execution, model, [recorder, keeper])
        logs: list[Logs] = [{}]
        if reports:
            logs = logs_of(returned, recipe.objective, "HyperModel.fit")
        parts = [_with_epochs(one, model, recorder, recipe) for one in logs]
        whole = Outcome(
            name=execution.name,
            status="completed",
            params=sum(math.prod(w.shape) for w in model.weights),
            results=after_training(execution, model),
            has_checkpoint=_write(execution, model, keeper, parts),
            build_config=model.get_build_config(),
        )
        outcomes = [dataclasses.replace(whole, **one) for one, _ in parts]
    except (keras_tuner.errors.FatalError, WriteError):
        raise
    except Exception as error:
        outcomes = [_failed(execution.name, error)]
    return _timed(outcomes, start, execution)


def _fit(
    recipe: Recipe,
    execution: Execution,
    model: keras.Model,
    recorders: Sequence[keras.callbacks.Callback],
) -> object:
    """Calls the hypermodel's `fit` with what the user has passed to `search`.

    It adds `callbacks`, as keras-tuner does, where `fit` takes any.
    """
    train = recipe.builder.hypermodel.fit
    fit = {**recipe.kwargs, **execution.fit}
    own = callback_lib.copied(fit.pop("callbacks", None))
    if takes(train, "callbacks"):
        own = recipe.adapted_callbacks(execution, own)
        fit["callbacks"] = [*own, *recorders]
    _quieten(model)
    return train(execution.hyperparameters, model, *recipe.args, **fit)


def _with_epochs(
    logs: Logs, model: keras.Model, recorder: Recorder, recipe: Recipe
) -> tuple[Logs, Fitted | None]:
    """Gives the values of a `History` the epochs that were recorded."""
    history = logs.get("history")
    if history is None:
        return logs, None
    found = fitted(history, model, recorder, recipe.lead)
    return {"curves": found.curves, "notes": found.notes}, found


def _write(
    execution: Execution,
    model: keras.Model,
    keeper: BestWeights,
    parts: Sequence[tuple[Logs, Fitted | None]],
) -> bool:
    """Writes the weights of the best epoch if they are worth keeping."""
    path, bar = execution.checkpoint, execution.bar
    if path is None:
        return False
    found = parts[-1][1]
    if found is not None and not found.is_recorded:
        write_weights(model, path)
        return True
    of_all = found is not None and found.of_all
    loss = keeper.loss(of_all=of_all)
    # A `fit` of the user's own may report an objective that no epoch has.
    if math.isfinite(loss) and bar is not None and loss >= bar:
        return False
    return keeper.write(path, of_all=of_all)


def run_own_trial(
    recipe: Recipe, tuner: keras_tuner.Tuner, execution: Execution
) -> list[Outcome]:
    """Runs a trial by the tuner's own `run_trial`.

    Args:
        recipe: What `search` was called with.
        tuner: The tuner whose method it is.
        execution: The trial's one execution.

    Returns:
        An outcome for each result that it returned; one without any metric if
        it has told the oracle itself.
    """
    start = time.perf_counter()
    trial = trial_of(execution)
    oracle = tuner.oracle
    if isinstance(oracle, OracleElsewhere):
        oracle.hand_out(trial, *parent_of(execution))
    try:
        results = tuner.run_trial(trial, *recipe.args, **recipe.kwargs)
        known = oracle.get_trial(trial.trial_id).metrics
        if not known.exists(recipe.objective.name):
            logs = logs_of(results, recipe.objective, "Tuner.run_trial")
        elif isinstance(oracle, OracleElsewhere):
            logs = [{"metrics": oracle.reported(trial.trial_id)}]
        else:
            logs = [{}]
        whole = Outcome(name=execution.name, status="completed")
        outcomes = [
            dataclasses.replace(whole, **_curves_alone(one)) for one in logs
        ]
    except keras_tuner.errors.FatalError:
        raise
    except Exception as error:
        outcomes = [_failed(execution.name, error)]
    return _timed(outcomes, start, execution)


def logs_of(
    results: object, objective: keras_tuner.Objective, method: str
) -> list[Logs]:
    """Turns what a user's method returned into fields of outcomes.

    Args:
        results: A `History`, a dictionary of metrics, a number that is the
            objective, or a list of these.
        objective: The objective of the search.
        method: String, the name of the method, for messages.

    Returns:
        For each result a dictionary with the `History` as `"history"`, or
        with the metrics as `"metrics"`.

    Raises:
        keras_tuner.errors.FatalTypeError: If it is something else.
        keras_tuner.errors.FatalValueError: If a dictionary lacks the
            objective.
    """
    if isinstance(results, list) and results:
        return [
            one for part in results for one in logs_of(part, objective, method)
        ]
    if isinstance(results, keras.callbacks.History):
        return [{"history": results}]
    if isinstance(results, Mapping):
        objectives.check_reported([objective.name], results)
        return [{"metrics": results}]
    if not isinstance(results, numbers.Real) or isinstance(results, bool):
        raise keras_tuner.errors.FatalTypeError(
            f"`{method}` must return a `History`, a dictionary of metrics, a "
            f"number that is the objective '{objective.name}', or a list of "
            f"these. Received: {results!r} of type {type(results).__name__}."
        )
    return [{"metrics": {objective.name: float(results)}}]


def _curves_alone(logs: Logs) -> Logs:
    """Numbers the values of a `History` as if each epoch had each log."""
    history = logs.get("history")
    if history is None:
        return logs
    found = {name: list(values) for name, values in history.history.items()}
    first = history.epoch[0] if history.epoch else 0
    return {"curves": curves_of(found, initial_epoch=first)}


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


def _failed(name: str, error: Exception) -> Outcome:
    if isinstance(error, _OUT_OF_MEMORY):
        reason = str(error).partition("\n")[0]
        return Outcome(
            name=name,
            status="infeasible",
            message=f"It does not fit into the memory, even alone: {reason}",
        )
    if isinstance(error, keras_tuner.errors.FailedTrialError):
        return Outcome(name=name, status="infeasible", message=str(error))
    return Outcome(
        name=name,
        status="failed",
        message="".join(traceback.format_exception(error)),
    )


def _timed(
    outcomes: Sequence[Outcome], start: float, execution: Execution
) -> list[Outcome]:
    seconds = (time.perf_counter() - start) / max(1, len(outcomes))
    return [
        dataclasses.replace(
            one, seconds=seconds, hyperparameters=execution.hyperparameters
        )
        for one in outcomes
    ]
