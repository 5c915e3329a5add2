"""Training the executions of a search: in this process, or in another one."""

import contextlib
import dataclasses
import gc
import inspect
import os
import pathlib
import tempfile
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import keras
import keras_tuner
import numpy as np

from keras_evonas.models.costs import ModelCosts
from keras_evonas.oracles.fidelity import begins_with
from keras_evonas.project.files import write_bytes
from keras_evonas.training import Data
from keras_evonas.training import Execution
from keras_evonas.training import FitArguments
from keras_evonas.training import Outcome
from keras_evonas.training import Task
from keras_evonas.training import evaluate
from keras_evonas.training.folds import folds_of
from keras_evonas.tuners import sizing
from keras_evonas.tuners.alone import AfterTraining
from keras_evonas.tuners.alone import run_own_trial
from keras_evonas.tuners.alone import train_alone
from keras_evonas.tuners.recipe import Recipe

# Arguments that may be functions which make the data.
_DATA = ("x", "validation_data")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Job:
    """Executions to be run.

    Args:
        executions: The executions.
        size: Integer, how many are held in memory at most.
        files: Content of the files that the worker may lack, by their paths
            in the project folder; `None` if it has them.
    """

    executions: Sequence[Execution]
    size: int
    files: Mapping[str, bytes] | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Result:
    """The result of a job.

    Args:
        outcomes: The outcomes of its executions.
        files: Content of the files that were written elsewhere, by their
            paths in the project folder.
    """

    outcomes: Sequence[Outcome]
    files: Mapping[str, bytes] = dataclasses.field(default_factory=dict)


class ExecutionWorker:
    """Runs executions as a recipe says; a copy works in another process.

    Args:
        recipe: How networks are built and trained.
        size: Integer, how many networks are trained together at most.
        share: Float, the part of this machine's memory that it may use.
    """

    def __init__(self, recipe: Recipe, size: int, share: float) -> None:
        self._recipe = recipe
        self._size = size
        self._share = share
        self._data: Data | None = None
        self._plan: sizing.MemoryPlan | None = None
        self._home = os.getpid()

    def __getstate__(self) -> dict[str, Any]:
        # What `begin` prepares is made anew where it is going to work.
        return {**vars(self), "_data": None, "_plan": None}

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
            "optimizer": builder.compilation.optimizer,
            "loss": builder.compilation.loss,
            "metrics": builder.compilation.metrics,
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
        self._data = Data(arguments, folds)
        if recipe.cohort_size == "auto":
            self._plan = sizing.MemoryPlan(
                recipe.builder.build,
                arguments,
                recipe.space,
                self._size,
                self._share,
            )

    def run(self, job: Job) -> Result:
        """Runs executions; see `Worker`."""
        if job.files is None:
            return Result(outcomes=self._run(self._recipe, job))
        with _lent_folder(job.files) as (here, written):
            recipe = self._recipe.in_folder(here)
            source = self._recipe.builder.files
            executions = [
                dataclasses.replace(
                    one,
                    checkpoint=one.checkpoint
                    and source.moved(one.checkpoint, here),
                )
                for one in job.executions
            ]
            job = dataclasses.replace(job, executions=executions)
            outcomes = self._run(recipe, job)
            return Result(outcomes=outcomes, files=written())

    def _run(self, recipe: Recipe, job: Job) -> list[Outcome]:
        costs = self._costs()
        if recipe.alone is None:
            task = self._task(recipe, costs)
            return evaluate(job.executions, task, cohort_size=job.size)
        outcomes: list[Outcome] = []
        for one in job.executions:
            if recipe.own_training and recipe.tuner is not None:
                outcomes += run_own_trial(recipe, recipe.tuner, one)
            else:
                outcomes += train_alone(recipe, one, costs)
        return outcomes

    def _task(self, recipe: Recipe, costs: AfterTraining) -> Task:
        if self._data is None:
            raise RuntimeError("`begin` must be called before `run`.")
        plan = self._plan
        return Task(
            build=recipe.builder.build_for,
            data=self._data,
            objective=recipe.lead,
            adapt_callbacks=recipe.adapted_callbacks,
            training_bytes=plan.bytes_of if plan and plan.asks else None,
            memory=None if plan is None else plan.memory,
            after_training=costs,
            infeasible=(keras_tuner.errors.FailedTrialError,),
            fatal=(keras_tuner.errors.FatalError,),
        )

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


@contextlib.contextmanager
def _lent_folder(
    files: Mapping[str, bytes],
) -> Iterator[tuple[pathlib.Path, Callable[[], dict[str, bytes]]]]:
    """Lends a project folder for the time of a job.

    Args:
        files: The files that it begins with.

    Yields:
        The folder, and a function that returns what was written there since.
    """
    with tempfile.TemporaryDirectory(prefix="keras_evonas-") as name:
        here = pathlib.Path(name)
        for path, content in files.items():
            (here / path).parent.mkdir(parents=True, exist_ok=True)
            (here / path).write_bytes(content)

        def written() -> dict[str, bytes]:
            return {
                path.relative_to(here).as_posix(): path.read_bytes()
                for path in here.rglob("*")
                if path.is_file()
                and path.relative_to(here).as_posix() not in files
            }

        yield here, written


def files_for(job: Job, recipe: Recipe) -> Job:
    """Adds to a job what a worker on another machine needs.

    Args:
        job: The job.
        recipe: How its networks are built.
    """
    files = recipe.builder.files
    parents = {
        parent
        for one in job.executions
        for parent in begins_with(one.hyperparameters)
    }
    return dataclasses.replace(
        job,
        files={
            files.inside(path): path.read_bytes()
            for parent in sorted(parents)
            for path in files.of_parent(parent)
            if path.exists()
        },
    )


def take_files(result: Result, folder: pathlib.Path) -> None:
    """Writes what a worker on another machine has written."""
    for name, content in result.files.items():
        write_bytes(folder / name, content)


def _is_arrays(part: object) -> bool:
    leaves = keras.tree.flatten(part)
    return bool(leaves) and all(isinstance(x, np.ndarray) for x in leaves)


@dataclasses.dataclass(frozen=True)
class _Unprinted:
    """A value that is too long to be printed."""

    value: object

    def __repr__(self) -> str:
        return f"<{type(self.value).__name__}>"
