"""The best network of a search, trained again on all data."""

import functools
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence

import keras
import keras_tuner

from keras_evonas.training import Data
from keras_evonas.training import Execution
from keras_evonas.training import FitArguments
from keras_evonas.training import Task
from keras_evonas.training import callbacks
from keras_evonas.training import evaluate
from keras_evonas.training.folds import folds_of
from keras_evonas.training.values import Values


def refitted(
    hypermodel: keras_tuner.HyperModel,
    hyperparameters: keras_tuner.HyperParameters,
    arguments: FitArguments,
    seeds: Sequence[int],
    cv: Values,
) -> list[keras.Model]:
    """Trains a network with each of some seeds, on TensorFlow in one cohort.

    It is trained on all data; or, with a `cv` of as many parts as there are
    seeds, without one of them, by which the training stops early.

    Raises:
        RuntimeError: If a training fails.
    """
    models: dict[str, keras.Model] = {}

    def keep(execution: Execution, model: keras.Model) -> Mapping[str, float]:
        models[execution.name] = model
        return {}

    folds = [] if cv is None else folds_of(arguments, cv, seed=seeds[0])
    if keras.config.backend() != "tensorflow":
        build = functools.partial(hypermodel.build, hyperparameters)
        parts = folds or [arguments] * len(seeds)
        return [
            _fitted(build, part, seed)
            for part, seed in zip(parts, seeds, strict=True)
        ]
    executions = [
        Execution(
            name=f"refit/execution{number}",
            seed=seed,
            hyperparameters=hyperparameters,
            fold=number if folds else None,
        )
        for number, seed in enumerate(seeds)
    ]
    task = Task(
        build=lambda execution: hypermodel.build(execution.hyperparameters),
        data=Data(arguments, folds),
        objective=[("val_loss" if folds else "loss", "min")],
        after_training=keep,
    )
    outcomes = evaluate(executions, task)
    failed = next((o for o in outcomes if o.name not in models), None)
    if failed is not None:
        raise _not_refitted(failed.message)
    return [models[e.name] for e in executions]


def _fitted(
    build: Callable[[], keras.Model], arguments: FitArguments, seed: int
) -> keras.Model:
    keras.utils.set_random_seed(seed)
    given, named = arguments.given()
    named["callbacks"] = callbacks.copied(arguments.callbacks)
    named["validation_data"] = arguments.validation_data  # That of a fold.
    try:
        model = build()
        model.fit(*given, **named)
    except Exception as error:
        raise _not_refitted(repr(error)) from error
    return model


def _not_refitted(reason: str | None) -> RuntimeError:
    return RuntimeError(
        f"The best network could not be trained again on all data: {reason} "
        "Pass `refit=False` to predict with the network of the search."
    )


def average(
    models: Sequence[keras.Model], shape: tuple[int, ...]
) -> keras.Model:
    """Returns one model of several, which predicts their mean."""
    if len(models) == 1:
        return models[0]
    for number, model in enumerate(models):
        model.name = f"member_{number}"  # Names within a model are unique.
    inputs = keras.Input(shape)
    outputs = [model(inputs) for model in models]
    return keras.Model(inputs, keras.layers.Average()(outputs))
