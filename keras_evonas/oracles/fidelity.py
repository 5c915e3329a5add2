"""Trials of different lengths, told as keras-tuner's Hyperband tells them.

Three values of a trial are no hyperparameters of the search space, but say how
it is to be trained. keras-tuner 1.4.8 documents them at `HyperbandOracle`:

| name | meaning |
|---|---|
| `"tuner/epochs"` | the epochs at its end, counted from its very beginning |
| `"tuner/initial_epoch"` | the epochs that it has behind it |
| `"tuner/trial_id"` | the trial whose weights it begins with, if any |
"""

import warnings
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import keras_tuner

from keras_evonas.evolution.history import Individual
from keras_evonas.evolution.strategies import Strategy

PREFIX = "tuner/"


def epochs_of_rungs(strategy: Strategy) -> tuple[int, ...]:
    """Returns a strategy's rungs, none if all its trials are alike."""
    return tuple(getattr(strategy, "epochs", ()))


def goes_on_from_weights(oracle: keras_tuner.Oracle) -> bool:
    """Whether some trials of an oracle begin with the weights of others."""
    strategy = getattr(oracle, "strategy", None)
    return isinstance(oracle, keras_tuner.oracles.HyperbandOracle) or bool(
        strategy and epochs_of_rungs(strategy)
    )


def training_values(
    individual: Individual, epochs: Sequence[int], trial_ids: Sequence[str]
) -> dict[str, Any]:
    """Says how an individual is to be trained.

    Args:
        individual: The individual.
        epochs: The epochs of each rung; empty if all trials are alike.
        trial_ids: The trials in the order of births.

    Returns:
        Dictionary of values that are no hyperparameters.
    """
    if not epochs:
        return {}
    rung, parent = individual.rung, individual.continues
    values: dict[str, Any] = {
        f"{PREFIX}epochs": epochs[rung],
        f"{PREFIX}initial_epoch": epochs[rung - 1] if rung else 0,
    }
    if parent is not None:
        values[f"{PREFIX}trial_id"] = trial_ids[parent]
    return values


def without_training_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the values of hyperparameters alone."""
    return {
        name: value
        for name, value in values.items()
        if not name.startswith(PREFIX)
    }


def check_epochs(values: Mapping[str, Any], step: int | None) -> None:
    """Warns of a tuner that trains longer than a trial says.

    Args:
        values: The values of the trial.
        step: The epoch that is reported, counted from 0.
    """
    epochs = values.get(f"{PREFIX}epochs")
    if epochs is not None and step is not None and step >= epochs:
        warnings.warn(
            "`strategy` gives a trial a number of epochs, and the tuner must "
            f"keep to it. Received: a result of epoch {step + 1} of a trial "
            f"with {epochs}. Search with `MultiFidelityTuner` or `EvoTuner`: "
            "`keras_tuner.Tuner` trains all trials alike.",
            stacklevel=3,
        )
