"""The conformance suite notices oracles that break laws."""

import keras_tuner
import pytest

from keras_evonas import EvoOracle
from keras_evonas.testing import OracleConformance
from keras_evonas.testing.oracles import Driver
from keras_evonas.testing.oracles import _space


class _LeavesTheSpace(EvoOracle):
    def create_trial(self, tuner_id):
        trial = super().create_trial(tuner_id)
        if trial.hyperparameters.values:
            trial.hyperparameters.values["learning_rate"] *= 1000
        return trial


class _ChangesWhatWasTrained(EvoOracle):
    def end_trial(self, trial):
        super().end_trial(trial)
        values = self.trials[trial.trial_id].hyperparameters.values
        values["learning_rate"] = 0.5


class _LosesScores(EvoOracle):
    def update_trial(self, trial_id, metrics, step=0):
        changed = {name: 0.5 + 0 * value for name, value in metrics.items()}
        return super().update_trial(trial_id, changed, step)


class _NamesAll(EvoOracle):
    def get_best_trials(self, num_trials=1):
        del num_trials
        return super().get_best_trials(100)


@pytest.mark.parametrize(
    ("kind", "law"),
    [
        (_LeavesTheSpace, "proposes_networks_of_the_space"),
        (_ChangesWhatWasTrained, "proposes_networks_of_the_space"),
        (_LosesScores, "the_best_trials_are_completed_ones"),
        (_NamesAll, "the_best_trials_are_completed_ones"),
    ],
)
@pytest.mark.filterwarnings("ignore:All-NaN:RuntimeWarning")
def test_a_broken_law_is_noticed(kind, law, tmp_path):
    def drive():
        oracle = kind(
            keras_tuner.Objective("score", "min"),
            max_trials=15,
            hyperparameters=_space(),
            seed=0,
            max_consecutive_failed_trials=1000,
        )
        return Driver(oracle, tmp_path)

    with pytest.raises(AssertionError):
        getattr(OracleConformance(), f"test_{law}")(drive)
