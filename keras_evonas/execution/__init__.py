"""Executors: the places where the networks of a search are trained.

`EvoTuner(..., executor=...)` takes one of these. With one worker each gives
exactly the search of `InProcess`, the default: the same proposals, the same
scores. With several, trials end in the order in which they happen to be done;
the record of the search keeps that order and names the worker of each trial.

An executor of your own derives from `Executor`, and its crew from `Crew`.
"""

from keras_evonas.execution.crew import Crew
from keras_evonas.execution.crew import Ended
from keras_evonas.execution.crew import Executor
from keras_evonas.execution.crew import InProcess
from keras_evonas.execution.crew import Worker
from keras_evonas.execution.on_ray import Ray
from keras_evonas.execution.processes import Processes

__all__ = [
    "Crew",
    "Ended",
    "Executor",
    "InProcess",
    "Processes",
    "Ray",
    "Worker",
]
