"""Training of executions: several networks in one `fit`, each as if alone."""

from keras_evonas.training.arguments import FitArguments
from keras_evonas.training.data import Data
from keras_evonas.training.evaluation import Task
from keras_evonas.training.evaluation import evaluate
from keras_evonas.training.executions import Execution
from keras_evonas.training.executions import Notices
from keras_evonas.training.executions import Outcome

__all__ = [
    "Data",
    "Execution",
    "FitArguments",
    "Notices",
    "Outcome",
    "Task",
    "evaluate",
]
