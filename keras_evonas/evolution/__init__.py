"""The evolutionary core: spaces, operators and strategies, without Keras.

`genes` and `space` define the search space, `history` holds the individuals,
`selection`, `crossover`, `mutation` and `replacement` are operators,
`strategies` compose them, `screening` lets a surrogate choose among candidates,
`progressive` opens the space step by step, `policy_gradient` learns a
distribution, `rungs` spends more epochs on the better networks, and `engine`
runs a strategy by ask and tell.
"""

from keras_evonas.evolution.baselines import LocalSearch
from keras_evonas.evolution.baselines import RandomSearch
from keras_evonas.evolution.baselines import local_search
from keras_evonas.evolution.baselines import random_search
from keras_evonas.evolution.crossover import BlockCrossover
from keras_evonas.evolution.crossover import PointCrossover
from keras_evonas.evolution.crossover import UniformCrossover
from keras_evonas.evolution.engine import Engine
from keras_evonas.evolution.freeze_thaw import FreezeThaw
from keras_evonas.evolution.freeze_thaw import freeze_thaw
from keras_evonas.evolution.genes import Categorical
from keras_evonas.evolution.genes import Condition
from keras_evonas.evolution.genes import Gene
from keras_evonas.evolution.genes import Grid
from keras_evonas.evolution.genes import Interval
from keras_evonas.evolution.history import Draft
from keras_evonas.evolution.history import History
from keras_evonas.evolution.history import Individual
from keras_evonas.evolution.history import best_first
from keras_evonas.evolution.labels import describe_operator
from keras_evonas.evolution.mutation import Resample
from keras_evonas.evolution.mutation import ResampleOne
from keras_evonas.evolution.mutation import SelfAdaptive
from keras_evonas.evolution.mutation import Step
from keras_evonas.evolution.pareto_screening import ScreenedParetoEvolution
from keras_evonas.evolution.pareto_screening import screened_nsga2
from keras_evonas.evolution.policy_gradient import PolicyGradient
from keras_evonas.evolution.policy_gradient import policy_gradient
from keras_evonas.evolution.progressive import ProgressiveSearch
from keras_evonas.evolution.progressive import progressive_search
from keras_evonas.evolution.randomness import rng_at
from keras_evonas.evolution.recommendation import recommended
from keras_evonas.evolution.replacement import Generational
from keras_evonas.evolution.replacement import OldestDies
from keras_evonas.evolution.replacement import WorstDies
from keras_evonas.evolution.rungs import SuccessiveHalving
from keras_evonas.evolution.rungs import successive_halving
from keras_evonas.evolution.screening import Capability
from keras_evonas.evolution.screening import ScreenedEvolution
from keras_evonas.evolution.screening import screened_evolution
from keras_evonas.evolution.selection import RandomSelection
from keras_evonas.evolution.selection import RankRoulette
from keras_evonas.evolution.selection import Tournament
from keras_evonas.evolution.selection import Truncation
from keras_evonas.evolution.space import SearchSpace
from keras_evonas.evolution.strategies import Evolution
from keras_evonas.evolution.strategies import Strategy
from keras_evonas.evolution.strategies import generational_genetic_algorithm
from keras_evonas.evolution.strategies import genetic_algorithm
from keras_evonas.evolution.strategies import nsga2
from keras_evonas.evolution.strategies import regularized_evolution

__all__ = ["BlockCrossover", "Capability", "Categorical", "Condition", "Draft"]
__all__ += ["Engine", "Evolution", "FreezeThaw", "Gene", "Generational"]
__all__ += ["Grid", "History", "Individual", "Interval", "LocalSearch"]
__all__ += ["OldestDies"]
__all__ += ["PointCrossover", "PolicyGradient", "ProgressiveSearch"]
__all__ += ["RandomSearch", "RandomSelection", "RankRoulette", "Resample"]
__all__ += ["ResampleOne", "ScreenedEvolution", "ScreenedParetoEvolution"]
__all__ += ["SearchSpace", "SelfAdaptive", "Step", "Strategy"]
__all__ += ["SuccessiveHalving", "Tournament", "Truncation", "UniformCrossover"]
__all__ += ["WorstDies", "best_first", "describe_operator", "freeze_thaw"]
__all__ += ["generational_genetic_algorithm", "genetic_algorithm"]
__all__ += ["local_search", "nsga2", "policy_gradient", "progressive_search"]
__all__ += ["random_search", "recommended", "regularized_evolution", "rng_at"]
__all__ += ["screened_evolution", "screened_nsga2", "successive_halving"]
