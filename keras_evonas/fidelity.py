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

from keras_evonas import project
from keras_evonas.evolution.history import Individual
from keras_evonas.evolution.strategies import Strategy

_PREFIX = "tuner/"


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
        f"{_PREFIX}epochs": epochs[rung],
        f"{_PREFIX}initial_epoch": epochs[rung - 1] if rung else 0,
    }
    if parent is not None:
        values[f"{_PREFIX}trial_id"] = trial_ids[parent]
    return values


def without_training_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the values of hyperparameters alone."""
    return {
        name: value
        for name, value in values.items()
        if not name.startswith(_PREFIX)
    }


def check_epochs(values: Mapping[str, Any], step: int | None) -> None:
    """Warns of a tuner that trains longer than a trial says.

    Args:
        values: The values of the trial.
        step: The epoch that is reported, counted from 0.
    """
    epochs = values.get(f"{_PREFIX}epochs")
    if epochs is not None and step is not None and step >= epochs:
        warnings.warn(
            "`strategy` gives a trial a number of epochs, and the tuner must "
            f"keep to it. Received: a result of epoch {step + 1} of a trial "
            f"with {epochs}. Search with `MultiFidelityTuner` or `EvoTuner`: "
            "`keras_tuner.Tuner` trains all trials alike.",
            stacklevel=3,
        )


class MultiFidelityTuner(keras_tuner.Hyperband):
    """keras-tuner's Tuner, for an oracle that says how long to train.

    `keras_tuner.Tuner` trains every trial from the beginning and for the same
    number of epochs, whatever the oracle says; `keras_tuner.Hyperband` can do
    better, but brings its own oracle. This one is called as
    `keras_tuner.Tuner` is, and trains as `keras_tuner.Hyperband` does: up to
    the epochs of the trial's rung, and a promoted trial goes on from the
    weights of its best epoch so far. Deviation from it: the optimizer goes on
    from its state of that epoch, too, instead of from none.

    Args:
        oracle: Instance of a `keras_tuner.Oracle`, for example an `EvoOracle`
            with the strategy `successive_halving(max_epochs=27)`.
        hypermodel: As in `keras_tuner.Tuner`.
        **kwargs: As in `keras_tuner.Tuner`.

    Example:

    ```python
    oracle = EvoOracle(
        "val_accuracy",
        max_trials=100,
        strategy=successive_halving(max_epochs=27, min_epochs=3),
    )
    tuner = MultiFidelityTuner(oracle=oracle, hypermodel=build_model)
    tuner.search(x, y, validation_data=(x_val, y_val))
    ```
    """

    def __init__(
        self,
        oracle: keras_tuner.Oracle,
        hypermodel: Any = None,
        **kwargs: Any,
    ) -> None:
        # Not Hyperband's, which would make its own oracle.
        keras_tuner.Tuner.__init__(
            self, oracle=oracle, hypermodel=hypermodel, **kwargs
        )

    def _build_hypermodel(self, hp: keras_tuner.HyperParameters) -> Any:
        model = keras_tuner.Tuner._build_hypermodel(self, hp)
        parent = hp.values.get(f"{_PREFIX}trial_id")
        if parent is not None:
            if not model.built:
                path = self._get_build_config_fname(parent)
                model.build_from_config(project.read_json(path))
            # keras-tuner 1.4.8 loads into an optimizer without variables,
            # and Keras skips what it cannot place.
            if model.optimizer is not None:
                model.optimizer.build(model.trainable_variables)
            model.load_weights(self._get_checkpoint_fname(parent))
        return model
