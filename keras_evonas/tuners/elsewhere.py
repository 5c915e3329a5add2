"""The oracle of a tuner that trains in another process."""

from collections.abc import Mapping

import keras_tuner
from keras_tuner.engine import trial as trial_lib


class OracleElsewhere:
    """Stands in for the oracle where a tuner trains but does not search.

    It answers what `run_trial` of a user's tuner asks an oracle for, and
    keeps the metrics that it reports.

    Args:
        objective: The objective of the search.
        max_trials: The number of trials of the search, or `None`.
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
        """Returns a trial; see `keras_tuner.Oracle`.

        Raises:
            KeyError: If it is another one than the trial that is run.
        """
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
        for name, value in metrics.items():
            if not trial.metrics.exists(name):
                is_objective = name == self.objective.name
                direction = self.objective.direction if is_objective else None
                trial.metrics.register(name, direction=direction)
            trial.metrics.update(name, value, step=step)
        return trial

    def reported(self, trial_id: str) -> dict[str, float]:
        """Returns the best value of every metric that was reported."""
        metrics = self.get_trial(trial_id).metrics
        return {
            name: float(metrics.get_best_value(name))
            for name in metrics.metrics
        }
