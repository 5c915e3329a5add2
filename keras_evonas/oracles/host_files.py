"""Reads keras-tuner's files with suspicion.

keras-tuner 1.4.8 looks a class up by whatever name a file gives it, among all
that a program has registered with Keras. Here only hyperparameters and
conditions are made, so that opening a folder runs no code.
"""

import pathlib
from collections.abc import Mapping
from typing import Any

import keras_tuner
from keras_tuner.engine import trial as trial_lib

from keras_evonas.project.files import read_json

_HYPERPARAMETERS = frozenset(("Boolean", "Choice", "Fixed", "Float", "Int"))
_CONDITIONS = frozenset(("Parent",))
_STATUSES = frozenset(
    value
    for name, value in vars(trial_lib.TrialStatus).items()
    if not name.startswith("_")
)

_NO_HYPERPARAMETERS = keras_tuner.HyperParameters().get_config()


def hyperparameters_from(
    config: Mapping[str, Any],
) -> keras_tuner.HyperParameters:
    """Makes hyperparameters from their configuration in a file.

    Raises:
        ValueError: If it is no configuration of hyperparameters.
    """
    try:
        for hp in config["space"]:
            _check_class(hp, _HYPERPARAMETERS)
            for condition in hp["config"]["conditions"]:
                _check_class(condition, _CONDITIONS)
        return keras_tuner.HyperParameters.from_config(config)
    except Exception as error:
        # keras-tuner raises whatever it stumbles over.
        raise ValueError(
            "it must hold the configuration of hyperparameters. Received: "
            f"{str(config)[:200]}, which gives {error!r}"
        ) from error


def trial_from(path: pathlib.Path, trial_id: str) -> trial_lib.Trial:
    """Reads the file of a trial.

    Args:
        path: The path of `trial.json`.
        trial_id: String, the trial whose file it should be.

    Returns:
        The trial.

    Raises:
        ValueError: If it is not the file of this trial.
    """
    try:
        state = read_json(path)
    except ValueError as error:
        raise ValueError(
            f"'{path}' must hold the state of trial '{trial_id}'. Received: "
            f"{error.__cause__ or 'something else'!r}."
        ) from error
    # `Trial.load` draws from Python's global generator.
    trial = trial_lib.Trial(hyperparameters=None, trial_id=trial_id)
    try:
        hp = hyperparameters_from(dict(state["hyperparameters"]))
        if state["trial_id"] != trial_id or state["status"] not in _STATUSES:
            raise ValueError(f"it is of trial {state['trial_id']!r}")
        # Reading hyperparameters is what takes long: once is enough.
        trial.set_state({**state, "hyperparameters": _NO_HYPERPARAMETERS})
        trial.hyperparameters = hp
    except Exception as error:  # As above.
        raise ValueError(
            f"'{path}' must hold the state of trial '{trial_id}'. Received: "
            f"{str(state)[:200]}, which gives {error!r}."
        ) from error
    return trial


def status_in(path: pathlib.Path) -> str | None:
    """Returns the status in a trial's file, `None` if it has none."""
    try:
        status = read_json(path).get("status")
    except ValueError:
        return None
    return status if isinstance(status, str) else None


def _check_class(config: Mapping[str, Any], allowed: frozenset[str]) -> None:
    if config["class_name"] not in allowed:
        raise ValueError(f"unknown class {config['class_name']!r}")
