"""Parameters, FLOPs, memory and latency of models, mostly before training."""

from keras_evonas.models.costs.estimates import Costs
from keras_evonas.models.costs.estimates import HypermodelCosts
from keras_evonas.models.costs.estimates import costs_of
from keras_evonas.models.costs.estimates import costs_of_build
from keras_evonas.models.costs.measured import ModelCosts
from keras_evonas.models.costs.measured import latency_ms

__all__ = [
    "Costs",
    "HypermodelCosts",
    "ModelCosts",
    "costs_of",
    "costs_of_build",
    "latency_ms",
]
