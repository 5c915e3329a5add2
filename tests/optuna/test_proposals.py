"""What `EvoSampler` proposes first, and what it leaves to others."""

import optuna
import pytest

from keras_evonas.evolution import random_search
from keras_evonas.optuna import EvoSampler
from tests.optuna.test_sampler import network
from tests.optuna.test_sampler import params_of
from tests.optuna.test_sampler import study_of


def test_the_first_trial_is_in_the_middle_of_ranges():
    for seed in range(3):
        study = study_of(EvoSampler(seed=seed))
        study.optimize(network, n_trials=1)
        first = study.trials[0].params
        assert first["layers"] == 2
        # The geometric means of 8 and 256, of 1e-5 and 1e-1.
        assert first["units_0"] == first["units_1"] == 45
        assert first["rate"] == pytest.approx(1e-3)


def test_another_strategy_begins_in_its_own_way():
    firsts = []
    for seed in range(5):
        study = study_of(EvoSampler(random_search(), seed=seed))
        study.optimize(network, n_trials=1)
        firsts.append(study.trials[0].params["rate"])
    assert len(set(firsts)) == 5


def test_parameters_that_are_fixed_are_left_alone():
    with pytest.warns(optuna.exceptions.ExperimentalWarning):
        sampler = optuna.samplers.PartialFixedSampler(
            {"optimizer": "adam"}, EvoSampler(seed=0)
        )
    study = study_of(sampler)
    study.optimize(network, n_trials=12)
    assert {t.params["optimizer"] for t in study.trials} == {"adam"}
    assert len({str(params) for params in params_of(study)}) == 12
