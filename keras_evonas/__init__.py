"""Neural architecture search by evolution, for keras-tuner.

The public names load on first use: importing the package loads neither Keras
nor TensorFlow.
"""

import importlib
from typing import Any

__version__ = "0.1.0"

_HOME_OF = {
    "EvoOracle": "keras_evonas.oracles.oracle",
    "EvoTuner": "keras_evonas.tuners.tuner",
    "EvolutionarySearch": "keras_evonas.tuners.shorthand",
    "HypermodelCosts": "keras_evonas.models.costs",
    "MultiFidelityTuner": "keras_evonas.tuners.mended_tuner",
    "OneShotTuner": "keras_evonas.tuners.one_shot",
    "at_least": "keras_evonas.oracles.constraints",
    "at_most": "keras_evonas.oracles.constraints",
    "capable": "keras_evonas.oracles.warm_start",
}

__all__ = [
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
]


def __getattr__(name: str) -> Any:  # noqa: ANN401 (classes and functions)
    if name in _HOME_OF:
        return getattr(importlib.import_module(_HOME_OF[name]), name)
    raise AttributeError(f"module 'keras_evonas' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
