"""Estimators of scikit-learn that search their network: `fit`, `predict`.

Needs scikit-learn (`keras-evonas[sklearn]`).
"""

from keras_evonas.sklearn.estimators import EvoClassifier
from keras_evonas.sklearn.estimators import EvoRegressor

__all__ = ["EvoClassifier", "EvoRegressor"]
