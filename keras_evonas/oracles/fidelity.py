"""Trials of different lengths and origins, as keras-tuner's Hyperband says it.

Some values of a trial are no hyperparameters of the search space, but say how
it is to be trained. keras-tuner 1.4.8 documents them at `HyperbandOracle`:

| name | meaning |
|---|---|
| `"tuner/epochs"` | the epochs at its end, counted from its very beginning |
| `"tuner/initial_epoch"` | the epochs that it has behind it |
| `"tuner/trial_id"` | the trial whose weights it begins with, if any |

A fourth one is ours. `"tuner/inherits"` names the trial from whose weights
those of another network are made; see `keras_evonas.models.inherit_weights`.
"""

import dataclasses
import pathlib
import warnings
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import keras_tuner
from keras_tuner.engine import trial as trial_lib

from keras_evonas.evolution.checks import check_boolean
from keras_evonas.evolution.checks import check_positive_integer
from keras_evonas.evolution.history import Individual
from keras_evonas.evolution.strategies import Strategy
from keras_evonas.project import curves as curves_lib
from keras_evonas.project.files import trial_folder
from keras_evonas.project.spaces import PREFIX

INHERITS = f"{PREFIX}inherits"
CONTINUES = f"{PREFIX}trial_id"
EPOCHS = f"{PREFIX}epochs"
INITIAL_EPOCH = f"{PREFIX}initial_epoch"
# The message of a trial on its way to a chief: keras-tuner 1.4.8 sends none.
MESSAGE = f"{PREFIX}message"


def begins_with(hp: keras_tuner.HyperParameters) -> list[str]:
    """Returns the trials whose weights a trial begins with, mostly none."""
    named = (hp.values.get(CONTINUES), hp.values.get(INHERITS))
    return [trial_id for trial_id in named if trial_id]


def epochs_of_rungs(strategy: Strategy | None) -> tuple[int, ...]:
    """Returns a strategy's rungs, none if all its trials are alike."""
    return tuple(getattr(strategy, "epochs", ()))


def gives_epochs(oracle: keras_tuner.Oracle) -> bool:
    """Returns whether an oracle says how long each trial is trained."""
    return final_epochs(oracle) is not None


def final_epochs(oracle: keras_tuner.Oracle) -> int | None:
    """Returns the epochs of whole trainings, `None` if others give them."""
    if isinstance(oracle, keras_tuner.oracles.HyperbandOracle):
        return int(oracle.max_epochs)
    rungs = epochs_of_rungs(getattr(oracle, "strategy", None))
    return rungs[-1] if rungs else None


def goes_on_from_weights(oracle: keras_tuner.Oracle) -> bool:
    """Returns whether trials may begin with the weights of others."""
    return gives_epochs(oracle) or bool(getattr(oracle, "inheritance", None))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Inheritance:
    """Children begin with the weights of their first parent."""

    epochs: int | None = None  # How long they train; `None`: as all others.


def checked_inheritance(
    inherit_weights: bool, inherited_epochs: int | None, strategy: Strategy
) -> Inheritance | None:
    """Returns how children inherit, or `None` if they do not."""
    check_boolean("inherit_weights", inherit_weights)
    if inherited_epochs is not None:
        check_positive_integer("inherited_epochs", inherited_epochs)
        if not inherit_weights:
            raise ValueError(
                "`inherited_epochs` is for children that inherit. Received: "
                f"inherited_epochs={inherited_epochs} with "
                "inherit_weights=False. Pass `inherit_weights=True`, too."
            )
        if epochs_of_rungs(strategy):
            raise ValueError(
                "`inherited_epochs` must be None with a strategy that says "
                "how long trials are. Received: "
                f"inherited_epochs={inherited_epochs}. Leave it out."
            )
    return Inheritance(epochs=inherited_epochs) if inherit_weights else None


def values_of(
    individual: Individual,
    strategy: Strategy,
    trial_ids: Sequence[str],
    inheritance: Inheritance | None,
) -> dict[str, Any]:
    """Returns the values of a trial: genes, and how to train them.

    `trial_ids` are in the order of births.
    """
    rung, parent = individual.rung, individual.continues
    epochs = epochs_of_rungs(strategy)
    values: dict[str, Any] = dict(individual.genome)
    if epochs:
        values[EPOCHS] = epochs[rung]
        values[INITIAL_EPOCH] = epochs[rung - 1] if rung else 0
    if parent is not None:
        values[CONTINUES] = trial_ids[parent]
    elif inheritance is not None and individual.parents:
        values[INHERITS] = trial_ids[individual.parents[0]]
        if inheritance.epochs is not None:
            values[EPOCHS], values[INITIAL_EPOCH] = inheritance.epochs, 0
    return values


def planned_epochs(values: Mapping[str, Any]) -> int | None:
    """Returns how many epochs the values of a trial ask for, if they do."""
    if EPOCHS not in values:
        return None
    return int(values[EPOCHS]) - int(values.get(INITIAL_EPOCH) or 0)


def epochs_of(trial: trial_lib.Trial, folder: pathlib.Path) -> int | None:
    """Returns how many epochs a trial was trained, `None` if unknown.

    That is what its learning curves in the project folder tell, or else, if it
    has completed, what its values ask for.
    """
    found = curves_lib.epochs_in(trial_folder(folder, trial.trial_id))
    if found or trial.status != trial_lib.TrialStatus.COMPLETED:
        return found
    return planned_epochs(trial.hyperparameters.values)


def check_epochs(values: Mapping[str, Any], step: int | None) -> None:
    """Warns of a tuner that trains longer than the values of a trial say.

    `step` is the epoch that is reported, counted from 0.
    """
    epochs = values.get(EPOCHS)
    if epochs is not None and step is not None and step >= epochs:
        warnings.warn(
            "`strategy` gives a trial a number of epochs, and the tuner must "
            f"keep to it. Received: a result of epoch {step + 1} of a trial "
            f"with {epochs}. Search with `MultiFidelityTuner` or `EvoTuner`: "
            "`keras_tuner.Tuner` trains all trials alike. A `fit` of your own "
            "must pass `epochs` and `initial_epoch` on.",
            stacklevel=3,
        )


def check_trained(
    values: Mapping[str, Any], curves: Sequence[curves_lib.Curves]
) -> None:
    """Warns of trainings that had more epochs than a trial's values say."""
    planned = planned_epochs(values)
    trained = max((len(curves_lib.epochs_of(one)) for one in curves), default=0)
    if planned is not None and trained > planned:
        warnings.warn(
            "A `fit` of your own must pass `epochs` and `initial_epoch` on, as "
            "`strategy` says how long a trial is trained. Received: "
            f"{trained} epochs of a trial with {planned}.",
            stacklevel=3,
        )
