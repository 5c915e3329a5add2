"""Supernets: one network that holds all networks of a hypermodel.

| module | holds |
|---|---|
| `sharing` | hyperparameters with which the helpers build all options |
| `mixed` | the layer that holds the options of a choice |
| `held` | which hyperparameters are shared, and which are held |
| `supernet` | `Supernet`, the network with all of them |
| `samplers`, `single_path` | which paths are trained, and the training |
| `updates` | updates that leave what is off the path untouched |
| `scoring`, `costs` | scores and costs of its networks |
"""

from keras_evonas.supernets.samplers import FairPaths
from keras_evonas.supernets.samplers import Sampler
from keras_evonas.supernets.samplers import UniformPaths
from keras_evonas.supernets.scoring import Scorer
from keras_evonas.supernets.scoring import calibrate
from keras_evonas.supernets.single_path import SinglePath
from keras_evonas.supernets.single_path import single_path
from keras_evonas.supernets.supernet import Supernet

__all__ = ["FairPaths", "Sampler", "Scorer", "SinglePath", "Supernet"]
__all__ += ["UniformPaths", "calibrate", "single_path"]
