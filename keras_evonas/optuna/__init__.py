"""Evolution behind Optuna's studies, and Optuna's dashboard beside searches.

Needs the extra `[optuna]`, and loads neither Keras nor TensorFlow.
"""

from keras_evonas.optuna.mirror import OptunaMirror
from keras_evonas.optuna.sampler import EvoSampler

__all__ = ["EvoSampler", "OptunaMirror"]
