"""Supernets: one network that holds all networks of a hypermodel.

| module | holds |
|---|---|
| `sharing` | hyperparameters with which the helpers build all options |
| `mixed` | the layer that holds the options of a choice |
| `held`, `looking` | which hyperparameters are shared, and which are held |
| `elastic` | hyperparameters whose largest layers hold all smaller ones |
| `masks`, `slices`, `passing` | which part of each layer is on a path |
| `masked` | layers that take this part |
| `supernet` | `Supernet`, the network with all of them |
| `samplers`, `learners` | which paths are trained, fixed or from scores |
| `single_path` | the training |
| `distillation` | paths that learn from the largest one |
| `transfer` | a path that is frozen for another task |
| `walk` | the layers on a path |
| `updates` | updates that leave what is off the path untouched |
| `scoring`, `costs` | scores and costs of its networks |
| `architecture`, `gates` | weights of options, and how they mix |
| `bilevel`, `halves` | the training of both kinds of weights, and its data |
| `stages` | which options are left out, which networks are likeliest |
| `differentiable`, `gradient_search` | settings, `DifferentiableSearch` |
| `latency` | how long options take on this machine |
| `state`, `history` | what is written, to go on from |
"""

from keras_evonas.supernets.differentiable import Differentiable
from keras_evonas.supernets.differentiable import differentiable
from keras_evonas.supernets.gates import BinaryGates
from keras_evonas.supernets.gates import Gates
from keras_evonas.supernets.gates import GumbelGates
from keras_evonas.supernets.gates import SoftmaxGates
from keras_evonas.supernets.gradient_search import DifferentiableSearch
from keras_evonas.supernets.latency import measured_costs
from keras_evonas.supernets.learners import Learner
from keras_evonas.supernets.learners import PolicyPaths
from keras_evonas.supernets.learners import Result
from keras_evonas.supernets.learners import TournamentPaths
from keras_evonas.supernets.samplers import ElasticSampler
from keras_evonas.supernets.samplers import FairPaths
from keras_evonas.supernets.samplers import FeasiblePaths
from keras_evonas.supernets.samplers import Sampler
from keras_evonas.supernets.samplers import SandwichPaths
from keras_evonas.supernets.samplers import ShrinkingPaths
from keras_evonas.supernets.samplers import UniformPaths
from keras_evonas.supernets.scoring import Scorer
from keras_evonas.supernets.scoring import calibrate
from keras_evonas.supernets.single_path import SinglePath
from keras_evonas.supernets.single_path import single_path
from keras_evonas.supernets.single_path import train
from keras_evonas.supernets.supernet import Supernet
from keras_evonas.supernets.transfer import FrozenPath

__all__ = ["BinaryGates", "Differentiable", "DifferentiableSearch"]
__all__ += ["ElasticSampler", "FairPaths", "FeasiblePaths", "FrozenPath"]
__all__ += ["Gates", "GumbelGates"]
__all__ += ["Learner", "PolicyPaths", "Result", "Sampler", "SandwichPaths"]
__all__ += ["Scorer", "ShrinkingPaths", "SinglePath", "SoftmaxGates"]
__all__ += ["Supernet", "TournamentPaths", "UniformPaths", "calibrate"]
__all__ += ["differentiable", "measured_costs", "single_path", "train"]
