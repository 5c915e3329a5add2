"""Every public operator and strategy goes through its conformance suite."""

import inspect
from typing import get_type_hints

import pytest

from keras_evonas import evolution
from keras_evonas.evolution import BlockCrossover
from keras_evonas.evolution import Evolution
from keras_evonas.evolution import Generational
from keras_evonas.evolution import OldestDies
from keras_evonas.evolution import PointCrossover
from keras_evonas.evolution import RandomSelection
from keras_evonas.evolution import RankRoulette
from keras_evonas.evolution import Resample
from keras_evonas.evolution import ResampleOne
from keras_evonas.evolution import SelfAdaptive
from keras_evonas.evolution import Step
from keras_evonas.evolution import SuccessiveHalving
from keras_evonas.evolution import Tournament
from keras_evonas.evolution import Truncation
from keras_evonas.evolution import UniformCrossover
from keras_evonas.evolution import WorstDies
from keras_evonas.evolution import generational_genetic_algorithm
from keras_evonas.evolution import genetic_algorithm
from keras_evonas.evolution import local_search
from keras_evonas.evolution import policy_gradient
from keras_evonas.evolution import random_search
from keras_evonas.evolution import regularized_evolution
from keras_evonas.evolution import successive_halving
from keras_evonas.testing import CrossoverConformance
from keras_evonas.testing import MutationConformance
from keras_evonas.testing import ReplacementConformance
from keras_evonas.testing import SelectionConformance
from keras_evonas.testing import StrategyConformance
from tests.evolution import test_freeze_thaw
from tests.evolution import test_pareto_screening
from tests.evolution import test_progressive
from tests.evolution import test_screening

SELECTIONS = [
    RandomSelection(),
    RankRoulette(),
    RankRoulette(pressure=2.0),
    Tournament(),
    Tournament(size=3),
    Tournament(size=100),
    Truncation(),
    Truncation(fraction=1.0),
]
CROSSOVERS = [
    BlockCrossover(),
    BlockCrossover(linkage=1.0),
    PointCrossover(),
    PointCrossover(points=2),
    UniformCrossover(),
    UniformCrossover(swap=1.0),
]
MUTATIONS = [
    Resample(),
    Resample(rate=0.0),
    Resample(rate=1.0),
    ResampleOne(),
    SelfAdaptive(),
    SelfAdaptive(mutation=Resample(), highest=0.1),
    Step(),
    Step(rate=1.0, resample=0.0, scale=0.01),
]
ELITIST = [WorstDies(), Generational(), Generational(elites=3)]
AGEING = [OldestDies(), Generational(elites=0)]


STRATEGIES = {
    "nsga2": evolution.nsga2(),
    "genetic_algorithm": genetic_algorithm(),
    "genetic_algorithm, self-adaptive": genetic_algorithm(self_adaptive=True),
    "generational_genetic_algorithm": generational_genetic_algorithm(),
    "local_search": local_search(),
    "policy_gradient": policy_gradient(),
    "regularized_evolution": regularized_evolution(),
    "Evolution": Evolution(
        population_size=5,
        select=RankRoulette(),
        crossover=UniformCrossover(),
        crossover_rate=1.0,
        mutate=Resample(),
        replace=WorstDies(),
        brood_size=3,
    ),
    "successive_halving": successive_halving(max_epochs=9),
    "successive_halving, in one rung": successive_halving(
        max_epochs=9, min_epochs=9
    ),
    "SuccessiveHalving": SuccessiveHalving(
        epochs=(5, 6, 20),
        strategy=regularized_evolution(population_size=6),
        factor=2,
        parents=2,
    ),
}


# One of each family is enough for a quick look.
QUICK = {
    "nsga2",
    "generational_genetic_algorithm",
    "regularized_evolution",
    "genetic_algorithm",
    "successive_halving",
}


class TestSelections(SelectionConformance):
    @pytest.fixture(params=SELECTIONS, ids=repr)
    def operator(self, request):
        return request.param


class TestCrossovers(CrossoverConformance):
    @pytest.fixture(params=CROSSOVERS, ids=repr)
    def operator(self, request):
        return request.param


class TestMutations(MutationConformance):
    @pytest.fixture(params=MUTATIONS, ids=repr)
    def operator(self, request):
        return request.param


class TestElitistReplacements(ReplacementConformance):
    sizes = (4, 5, 12)  # with room for a child beside 3 elites

    @pytest.fixture(params=ELITIST, ids=repr)
    def operator(self, request):
        return request.param


class TestAgeingReplacements(ReplacementConformance):
    elitist = False

    @pytest.fixture(params=AGEING, ids=repr)
    def operator(self, request):
        return request.param


class TestStrategies(StrategyConformance):
    @pytest.fixture(
        params=[
            pytest.param(
                strategy,
                id=name,
                marks=() if name in QUICK else pytest.mark.thorough,
            )
            for name, strategy in STRATEGIES.items()
        ]
    )
    def strategy(self, request):
        return request.param

    test_learns = pytest.mark.thorough(StrategyConformance.test_learns)
    test_a_cut_search_goes_on_as_if_uncut = pytest.mark.thorough(
        StrategyConformance.test_a_cut_search_goes_on_as_if_uncut
    )


class TestRandomSearch(StrategyConformance):
    learns = False

    @pytest.fixture
    def strategy(self):
        return random_search()


ENROLLED = {
    "selection": SELECTIONS,
    "crossover": CROSSOVERS,
    "mutation": MUTATIONS,
    "replacement": ELITIST + AGEING,
}


def _public(kind: str) -> dict[str, object]:
    home = f"keras_evonas.evolution.{kind}"
    everything = {name: getattr(evolution, name) for name in evolution.__all__}
    return {
        name: piece
        for name, piece in everything.items()
        if piece.__module__ == home
    }


@pytest.mark.parametrize("kind", ENROLLED)
def test_every_public_operator_is_enrolled(kind):
    classes = {
        name for name, piece in _public(kind).items() if inspect.isclass(piece)
    }
    assert classes == {type(one).__name__ for one in ENROLLED[kind]}


# Strategies with a suite of their own, where they have settings of their own.
OWN_SUITES = (
    TestRandomSearch,
    test_freeze_thaw.TestFreezeThaw,
    test_pareto_screening.TestScreenedNsga2,
    test_progressive.TestProgressiveSearch,
    test_screening.TestScreenedEvolution,
)


def _is_strategy(piece: object) -> bool:
    """Returns whether it is the class of a strategy or makes a strategy."""
    if inspect.isfunction(piece):
        piece = get_type_hints(piece)["return"]
    return hasattr(piece, "absorb") and piece is not evolution.Strategy


PUBLIC_STRATEGIES = [
    name for name in evolution.__all__ if _is_strategy(getattr(evolution, name))
]


@pytest.mark.parametrize("name", PUBLIC_STRATEGIES)
def test_every_public_strategy_is_enrolled(name):
    enrolled = set(STRATEGIES.values())
    # pytest forbids calls of a fixture, but not of its function.
    own = {
        type(inspect.unwrap(suite.strategy)(suite())) for suite in OWN_SUITES
    }
    piece = getattr(evolution, name)
    if inspect.isclass(piece):
        assert piece in own | {type(one) for one in enrolled}
    else:
        has_rungs = piece in (evolution.freeze_thaw, successive_halving)
        made = piece(**({"max_epochs": 9} if has_rungs else {}))
        assert made in enrolled or type(made) in own


@pytest.mark.parametrize(
    "piece", [one for many in ENROLLED.values() for one in many], ids=repr
)
def test_an_operator_is_made_again_from_its_repr(piece):
    assert eval(repr(piece), vars(evolution)) == piece
    assert hash(piece) == hash(eval(repr(piece), vars(evolution)))
