"""EvoOracle goes through the suite of oracles with every strategy."""

import functools

import pytest

from keras_evonas import EvoOracle
from keras_evonas import testing
from keras_evonas.evolution import freeze_thaw
from keras_evonas.evolution import generational_genetic_algorithm
from keras_evonas.evolution import genetic_algorithm
from keras_evonas.evolution import local_search
from keras_evonas.evolution import random_search
from keras_evonas.evolution import regularized_evolution
from keras_evonas.evolution import successive_halving

pytestmark = pytest.mark.keras

STRATEGIES = {
    "freeze_thaw": freeze_thaw(max_epochs=4, factor=2, initial_size=4),
    "genetic_algorithm": genetic_algorithm(population_size=4),
    "generational": generational_genetic_algorithm(population_size=4),
    "local_search": local_search(initial_size=3),
    "random_search": random_search(),
    "regularized_evolution": regularized_evolution(population_size=4),
    "successive_halving": successive_halving(
        genetic_algorithm(population_size=4), max_epochs=4, factor=2
    ),
}


class TestEvoOracle(testing.OracleConformance):
    @pytest.fixture(params=STRATEGIES.values(), ids=STRATEGIES)
    def make_oracle(self, request):
        return functools.partial(EvoOracle, strategy=request.param)
