"""Networks that cannot train in cohorts train one after another."""

import time
from typing import Any

import keras
import keras_tuner

from keras_evonas.project import curves as curves_lib
from keras_evonas.training import Outcome
from keras_evonas.training.garbage import old_objects_spared
from keras_evonas.tuners.host_tuner import MendedTuner
from keras_evonas.tuners.lanes import Lanes


def why_alone(tuner: Any) -> str | None:
    """Says why a tuner trains one network after another.

    Args:
        tuner: The `EvoTuner`.

    Returns:
        The end of a sentence, or `None` if it trains cohorts.
    """
    if keras.config.backend() != "tensorflow":
        return f"Keras runs on {keras.config.backend()}, not on TensorFlow"
    if tuner.distribution_strategy is not None:
        return "there is a distribution strategy"
    for name in ("run_trial", "_build_and_fit_model"):
        if getattr(type(tuner), name) is not getattr(MendedTuner, name):
            return f"the tuner has its own `{name}`"
    own_fit = getattr(type(tuner.hypermodel), "fit", None)
    if own_fit not in (None, keras_tuner.HyperModel.fit):
        return "the hypermodel has its own `fit`"
    return None


@old_objects_spared()
def search_alone(tuner: Any, *fit_args: Any, **fit_kwargs: Any) -> None:
    """Searches to the end as `keras_tuner.Tuner` does.

    Args:
        tuner: The `EvoTuner`.
        *fit_args: Positional arguments of the hypermodel's `fit`.
        **fit_kwargs: Its other arguments.
    """
    lanes = Lanes(tuner.oracle, tuner.tuner_id, 1)
    fit_kwargs.setdefault("verbose", 0)
    while trials := lanes.ask(tuner.pre_create_trial):
        (trial,) = trials
        tuner.on_trial_begin(trial)
        start = time.perf_counter()
        tuner._histories, tuner._params = [], None
        tuner._try_run_and_update_trial(trial, *fit_args, **fit_kwargs)
        if tuner._histories:
            curves_lib.write_curves(
                tuner._files.folder_of(trial.trial_id), tuner._histories
            )
        outcome = Outcome(
            name=trial.trial_id,
            status="completed",
            params=tuner._params,
            seconds=time.perf_counter() - start,
        )
        try:
            tuner.on_trial_end(trial)
        finally:
            tuner._show(trial, [outcome])
        tuner._files.prune(tuner.oracle)
        tuner._hook.raise_error()
