"""The public names. A change here is a change for users."""

import importlib

import pytest

import keras_evonas
from keras_evonas import evolution
from keras_evonas import testing

PUBLIC = {
    "keras_evonas": {
        "EvoOracle",
        "EvoTuner",
        "EvolutionarySearch",
        "HypermodelCosts",
        "MultiFidelityTuner",
        "OneShotTuner",
        "__version__",
        "at_least",
        "at_most",
        "capable",
    },
    "keras_evonas.evolution": {
        "BlockCrossover",
        "Capability",
        "Categorical",
        "Condition",
        "Draft",
        "Engine",
        "Evolution",
        "FreezeThaw",
        "Gene",
        "Generational",
        "Grid",
        "History",
        "Individual",
        "Interval",
        "LocalSearch",
        "OldestDies",
        "PointCrossover",
        "PolicyGradient",
        "ProgressiveSearch",
        "RandomSearch",
        "RandomSelection",
        "RankRoulette",
        "Resample",
        "ResampleOne",
        "ScreenedEvolution",
        "ScreenedParetoEvolution",
        "SearchSpace",
        "SelfAdaptive",
        "Step",
        "Strategy",
        "SuccessiveHalving",
        "Tournament",
        "Truncation",
        "UniformCrossover",
        "WorstDies",
        "best_first",
        "describe_operator",
        "freeze_thaw",
        "generational_genetic_algorithm",
        "genetic_algorithm",
        "local_search",
        "nsga2",
        "policy_gradient",
        "progressive_search",
        "random_search",
        "recommended",
        "regularized_evolution",
        "rng_at",
        "screened_evolution",
        "successive_halving",
        "screened_nsga2",
    },
    "keras_evonas.execution": {
        "Crew",
        "Ended",
        "Executor",
        "InProcess",
        "Processes",
        "Ray",
        "Worker",
    },
    "keras_evonas.optuna": {"EvoSampler", "OptunaMirror"},
    "keras_evonas.sklearn": {"EvoClassifier", "EvoRegressor"},
    "keras_evonas.supernets": {
        "BinaryGates",
        "Differentiable",
        "DifferentiableSearch",
        "Gates",
        "GumbelGates",
        "SoftmaxGates",
        "differentiable",
        "ElasticSampler",
        "FairPaths",
        "FeasiblePaths",
        "FrozenPath",
        "Learner",
        "PolicyPaths",
        "Result",
        "Sampler",
        "SandwichPaths",
        "Scorer",
        "ShrinkingPaths",
        "SinglePath",
        "Supernet",
        "TournamentPaths",
        "UniformPaths",
        "calibrate",
        "measured_costs",
        "single_path",
        "train",
    },
    "keras_evonas.testing": {
        "CrossoverConformance",
        "ExecutorConformance",
        "MutationConformance",
        "OracleConformance",
        "Problem",
        "ReplacementConformance",
        "SelectionConformance",
        "StrategyConformance",
        "conditional_trap",
        "example_spaces",
        "mixed_space",
    },
}


@pytest.mark.parametrize("name", PUBLIC)
def test_the_public_names_are_these(name):
    module = importlib.import_module(name)
    assert set(module.__all__) == PUBLIC[name]
    assert list(module.__all__) == sorted(module.__all__)


@pytest.mark.parametrize("module", [keras_evonas, testing])
def test_lazy_names_are_listed_and_unknown_ones_refused(module):
    assert set(module.__all__) <= set(dir(module))
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        module.nonsense  # noqa: B018


def test_every_public_name_is_there_and_documented():
    for module in (evolution, testing):
        for name in module.__all__:
            if name != "OracleConformance":  # loads Keras; see its own test
                assert getattr(module, name).__doc__, name
    assert keras_evonas.__version__
