"""Checks arguments of the oracle; errors say how to mend them."""

from collections.abc import Iterable
from collections.abc import Mapping
from typing import Any
from typing import Literal
from typing import TypeAlias

import keras_tuner

from keras_evonas.evolution.checks import check_integer
from keras_evonas.evolution.checks import check_positive_integer
from keras_evonas.oracles.host import Status
from keras_evonas.oracles.host import Trial
from keras_evonas.project import spaces
from keras_evonas.project.spaces import (
    without_training_values as without_training_values,
)

Initial: TypeAlias = (
    Mapping[str, Any] | keras_tuner.HyperParameters | Literal["default"]
)


def check_failures(
    max_retries_per_trial: int, max_consecutive_failed_trials: int
) -> None:
    """Checks how failures are met, raising a `ValueError` otherwise."""
    check_positive_integer(
        "max_consecutive_failed_trials", max_consecutive_failed_trials
    )
    check_integer("max_retries_per_trial", max_retries_per_trial, lowest=0)


def check_hyperparameters(hyperparameters: object) -> None:
    """Raises a `TypeError` unless it is `HyperParameters` or `None`."""
    kind = keras_tuner.HyperParameters
    if hyperparameters is not None and not isinstance(hyperparameters, kind):
        raise TypeError(
            "`hyperparameters` must be a `keras_tuner.HyperParameters`. "
            f"Received: hyperparameters={hyperparameters!r} of type "
            f"{type(hyperparameters).__name__}. Begin with values through "
            "`initial_population=[{name: value}]`, or fix them with "
            "`hp.Fixed(name, value)`."
        )


def check_costs(costs: object) -> None:
    """Raises a `TypeError` unless it is a function or `None`."""
    if costs is not None and (not callable(costs) or isinstance(costs, type)):
        raise TypeError(
            "`costs` must be a function of hyperparameters that returns a "
            f"mapping of names to numbers. Received: costs={costs!r}. Pass "
            "`costs=HypermodelCosts(build_model)`, of `keras_evonas`, or leave "
            "it out with EvoTuner."
        )


def no_hyperparameters(trials: Iterable[Trial]) -> ValueError:
    """Returns the error that there is nothing to search."""
    failed = [
        f" Its trial '{trial.trial_id}' failed with:\n{trial.message}"
        for trial in trials
        if trial.status == Status.FAILED
    ]
    return ValueError(
        "`hypermodel` must have hyperparameters to search. Received: one that "
        "asks for none, neither when it is built nor in a trial. Use `hp.Int`, "
        f"`hp.Choice` and the like in `build(hp)`.{''.join(failed[:1])}"
    )


def checked_initial_population(
    initial: Iterable[Initial] | None,
) -> list[dict[str, Any]]:
    """Returns what the user wrote as dictionaries of values."""
    if initial is None:
        return []
    one = isinstance(initial, str | Mapping | keras_tuner.HyperParameters)
    if one or not isinstance(initial, Iterable):
        raise TypeError(
            "`initial_population` must be a list. Received: "
            f"initial_population={initial!r}. Put it in brackets."
        )
    return [_checked_member(member) for member in initial]


def _checked_member(member: Initial) -> dict[str, Any]:
    if isinstance(member, keras_tuner.HyperParameters):
        return _plain(member.values)
    if isinstance(member, Mapping):
        return _plain(member)
    if isinstance(member, str) and member == "default":
        return {}
    raise TypeError(
        "`initial_population` may hold dictionaries of values, "
        f"HyperParameters, and the word 'default'. Received: {member!r}."
    )


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Turns NumPy scalars into the Python values that JSON can hold."""
    # Values of an earlier search with rungs also say how it trained them.
    own = without_training_values(values)
    return {name: spaces.plain(value) for name, value in own.items()}
