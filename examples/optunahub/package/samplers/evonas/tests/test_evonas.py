"""The package in Optuna's own suites for samplers, as its registry asks."""

import pathlib
from collections.abc import Callable

import optuna
import optunahub
import pytest
from optuna.testing import pytest_samplers

EvoSampler = optunahub.load_local_module(
    package="samplers/evonas",
    registry_root=str(pathlib.Path(__file__).parents[3]),
).EvoSampler


class TestEvoSampler(
    pytest_samplers.BasicSamplerTestCase,
    pytest_samplers.RelativeSamplerTestCase,
    pytest_samplers.MultiObjectiveSamplerTestCase,
):
    """Runs all suites that fit a sampler of several objectives."""

    @pytest.fixture
    def sampler(self) -> Callable[[], optuna.samplers.BaseSampler]:
        """Returns what makes the sampler."""
        return lambda: EvoSampler(seed=0)
