"""Training the executions of a search: in this process, or in another one."""

import dataclasses
import gc
import inspect
import os
import pathlib
import tempfile
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import keras
import keras_tuner
import numpy as np
from keras_tuner.engine import hyperparameters

from keras_evonas.keras_settings import KerasSettings
from keras_evonas.models.costs import ModelCosts
from keras_evonas.oracles.fidelity import begins_with
from keras_evonas.training import Data
from keras_evonas.training import Execution
from keras_evonas.training import FitArguments
from keras_evonas.training import Outcome
from keras_evonas.training import Task
from keras_evonas.training.evaluation import evaluate
from keras_evonas.training.folds import folds_of
from keras_evonas.tuners import sizing
from keras_evonas.tuners.alone import AfterTraining
from keras_evonas.tuners.alone import train_alone
from keras_evonas.tuners.recipe import Recipe

# Arguments that may be functions which make the data.
_DATA = ("x", "validation_data")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Job:
    """Executions to be run, so many held in memory at a time at most.

    `files` are those that the worker may lack, by their paths in the project
    folder, or `None` if it has them.
    """

    executions: Sequence[Execution]
    size: int
    files: Mapping[str, bytes] | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Result:
    """The outcomes of a job, and files that were written on its machine.

    The files are known by their paths in the project folder.
    """

    outcomes: Sequence[Outcome]
    files: Mapping[str, bytes] = dataclasses.field(default_factory=dict)


class ExecutionWorker:
    """Runs executions as a recipe says; a copy works in another process.

    Args:
        recipe: How networks are built and trained.
        size: Integer, how many networks are trained together at most.
        share: Float, the part of this machine's memory that it may use.
        after_training: Called with each execution and its trained network;
            what it returns stands in the outcome. Defaults to measuring what
            the network costs.
    """

    def __init__(
        self,
        recipe: Recipe,
        size: int,
        share: float = 1.0,
        after_training: AfterTraining | None = None,
    ) -> None:
        self._recipe = recipe
        self._size = size
        self._share = share
        self._after_training = after_training
        self._data: Data | None = None
        self._plan: sizing.MemoryPlan = (None, None)
        self._home = os.getpid()
        self._settings = KerasSettings.now()

    def __getstate__(self) -> dict[str, Any]:
        # What `begin` prepares is made anew where it is going to work.
        return {**vars(self), "_data": None, "_plan": (None, None)}

    def parts(self) -> dict[str, object]:
        """Returns what a copy consists of, by the names that the user knows.

        Arrays are left out: they can be sent, and are large.
        """
        recipe, builder = self._recipe, self._recipe.builder
        # Positional arguments have the names that they have in `fit`.
        names = [field.name for field in dataclasses.fields(FitArguments)]
        parts: dict[str, object] = {
            "hypermodel": builder.hypermodel,
            "fit_arguments": recipe.fit_arguments,
            "optimizer": builder.optimizer,
            "loss": builder.loss,
            "metrics": builder.metrics,
            "distribution_strategy": builder.distribution_strategy,
            **dict(zip(names, recipe.args, strict=False)),
            **recipe.kwargs,
            "tuner": _Unprinted(recipe),
        }
        return {
            name: part for name, part in parts.items() if not _is_arrays(part)
        }

    def begin(self) -> None:
        """Gets ready to train; see `Worker`."""
        recipe = self._recipe
        self._settings.apply()  # Of the tuner's thread, in the executor's.
        if recipe.alone is not None:
            if os.getpid() != self._home:
                # All that TensorFlow consists of need not be looked through
                # at every collection.
                gc.freeze()
            return
        arguments = _with_data(recipe.arguments)
        folds: list[FitArguments] = []
        if recipe.cv is not None:
            folds = folds_of(arguments, recipe.cv, seed=recipe.seed)
        self._data = Data(
            arguments,
            folds,
            by_pattern=recipe.share_programs,
            activations=[
                value
                for hp in recipe.space.space
                if isinstance(hp, hyperparameters.Choice)
                for value in hp.values
            ],
        )
        if recipe.cohort_size == "auto":
            build, space = recipe.builder.build, recipe.space
            self._plan = sizing.memory_plan(
                build, arguments, space, self._size, self._share
            )

    def run(self, job: Job) -> Result:
        """Runs executions; see `Worker`."""
        if job.files is None:
            return Result(outcomes=self._run(self._recipe, job))
        # The project folder is elsewhere: the job is lent one.
        with tempfile.TemporaryDirectory(prefix="keras_evonas-") as lent:
            here, files = pathlib.Path(lent), self._recipe.builder.files
            given = job.files.keys()
            for name, content in job.files.items():
                (here / name).parent.mkdir(parents=True, exist_ok=True)
                (here / name).write_bytes(content)
            executions = [
                dataclasses.replace(
                    one,
                    checkpoint=one.checkpoint
                    and files.moved(one.checkpoint, here),
                    state=one.state and files.moved(one.state, here),
                )
                for one in job.executions
            ]
            job = dataclasses.replace(job, executions=executions)
            outcomes = self._run(self._recipe.in_folder(here), job)
            written = {
                name: path.read_bytes()
                for path in here.rglob("*")
                if path.is_file()
                and (name := path.relative_to(here).as_posix()) not in given
            }
            return Result(outcomes=outcomes, files=written)

    def _run(self, recipe: Recipe, job: Job) -> list[Outcome]:
        self._settings.apply()
        after = self._after_training or self._costs()
        if recipe.alone is not None:
            reports = self._after_training is None
            return [
                outcome
                for one in job.executions
                for outcome in train_alone(recipe, one, after, reports=reports)
            ]
        if self._data is None:
            raise RuntimeError("`begin` must be called before `run`.")
        memory, training_bytes = self._plan
        task = Task(
            build=recipe.builder.build_for,
            data=self._data,
            objective=recipe.lead,
            adapt_callbacks=recipe.adapted_callbacks,
            training_bytes=training_bytes,
            memory=memory,
            after_training=after,
            infeasible=(keras_tuner.errors.FailedTrialError,),
            fatal=(keras_tuner.errors.FatalError,),
        )
        return evaluate(job.executions, task, cohort_size=job.size)

    def _costs(self) -> AfterTraining:
        x = self._data.arguments.x if self._data else self._recipe.inputs
        costs = ModelCosts(
            latency=self._recipe.latency, input_shapes=sizing.shapes_of(x)
        )
        return lambda _, model: costs(model)


def _with_data(arguments: FitArguments) -> FitArguments:
    """Calls the functions that make data."""
    made = {
        name: getattr(arguments, name)()
        for name in _DATA
        if inspect.isfunction(getattr(arguments, name))
    }
    return arguments.with_changes(**made) if made else arguments


def files_for(job: Job, recipe: Recipe) -> Job:
    """Adds to a job what a worker on another machine needs."""
    files = recipe.builder.files
    content = {
        files.inside(path): path.read_bytes()
        for one in job.executions
        for parent in begins_with(one.hyperparameters)
        for path in files.of_parent(parent)
        if path.exists()
    }
    return dataclasses.replace(job, files=content)


def _is_arrays(part: object) -> bool:
    leaves = keras.tree.flatten(part)
    return bool(leaves) and all(isinstance(x, np.ndarray) for x in leaves)


@dataclasses.dataclass(frozen=True)
class _Unprinted:
    """A value that is too long to be printed."""

    value: object

    def __repr__(self) -> str:
        return f"<{type(self.value).__name__}>"
