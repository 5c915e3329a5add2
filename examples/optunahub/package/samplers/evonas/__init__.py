"""`EvoSampler` as a package of OptunaHub."""

from keras_evonas.optuna import EvoSampler

__all__ = ["EvoSampler"]
