"""Estimators of scikit-learn that search their network: `fit`, `predict`.

Needs scikit-learn: the extra `[sklearn]`.
"""

from keras_evonas.sklearn.estimators import EvoClassifier
from keras_evonas.sklearn.estimators import EvoRegressor

__all__ = ["EvoClassifier", "EvoRegressor"]
