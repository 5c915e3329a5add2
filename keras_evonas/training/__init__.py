"""Training of candidates: several networks in one `fit`, each as if alone."""

from keras_evonas.training.arguments import FitArguments
from keras_evonas.training.candidates import Candidate
from keras_evonas.training.candidates import Outcome
from keras_evonas.training.data import Data
from keras_evonas.training.evaluation import Task
from keras_evonas.training.evaluation import evaluate

__all__ = [
    "Candidate",
    "Data",
    "FitArguments",
    "Outcome",
    "Task",
    "evaluate",
]
