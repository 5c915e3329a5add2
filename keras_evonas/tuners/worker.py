"""What trains the cohorts of a search: here, or in another process."""

import contextlib
import copy
import dataclasses
import inspect
import pathlib
import tempfile
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import keras
import keras_tuner
import numpy as np
from keras_tuner.engine import trial as trial_lib

from keras_evonas.hyperparameters import SharedHyperParameters
from keras_evonas.models.costs import ModelCosts
from keras_evonas.oracles import objectives
from keras_evonas.project.files import WAY_OUT
from keras_evonas.project.files import write_bytes
from keras_evonas.training import Data
from keras_evonas.training import Execution
from keras_evonas.training import FitArguments
from keras_evonas.training import Outcome
from keras_evonas.training import Task
from keras_evonas.training import evaluate
from keras_evonas.training.folds import folds_of
from keras_evonas.tuners import results
from keras_evonas.tuners import sizing

# Arguments that may be functions which make the data.
_DATA = ("x", "validation_data")
# What a tuner has for searching, and leaves behind when it goes to train.
_AT_HOME = (
    *("oracle", "_local_oracle", "executor", "_progress"),
    *("_hook", "_seen"),
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Job:
    """A cohort to be trained.

    Args:
        candidates: What to train.
        runs: For each candidate's name its trial and the execution.
        size: Integer, how many are held in memory at most.
        registered: Hyperparameters that stand in for what the model asks for,
            or `None` if changes of the space are not looked for.
        files: Content of the files that the worker may lack, by their paths
            in the project folder.
    """

    candidates: Sequence[Execution]
    runs: Mapping[str, tuple[trial_lib.Trial, int]]
    size: int
    registered: tuple[Any, ...] | None = None
    files: Mapping[str, bytes] | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Result:
    """What a cohort came to.

    Args:
        outcomes: One for each candidate.
        hyperparameters: What the models asked for, by trial, if they were
            built elsewhere.
        files: Content of the files that were written elsewhere.
    """

    outcomes: Sequence[Outcome]
    hyperparameters: Mapping[str, keras_tuner.HyperParameters]
    files: Mapping[str, bytes]


class CohortWorker:
    """Trains cohorts as a tuner would; a copy works in another process.

    The copy has the tuner without its oracle: all that builds and trains
    models, and nothing that searches.

    Args:
        tuner: The `EvoTuner`.
        arguments: The arguments of `fit`.
        size: Integer, how many networks are trained together at most.
        share: Float, the part of this machine's memory that it may use.
    """

    def __init__(
        self, tuner: Any, arguments: FitArguments, size: int, share: float
    ) -> None:
        self._tuner = tuner
        self._arguments = arguments
        self._size = size
        self._share = share
        self._space = tuner.oracle.get_space()
        self._objective = list(objectives.lead_of(tuner.oracle.objective))
        self._wants_latency = results.wants_latency(tuner._local_oracle)
        self._folder = pathlib.Path(tuner.project_dir)
        self._is_copy = False
        self._task: Task | None = None

    def parts(self) -> dict[str, Any]:
        """What a copy consists of, by the names that the user knows.

        Arrays are left out: they can be sent, and are large.
        """
        own = ("hypermodel", "fit_arguments", "optimizer", "loss", "metrics")
        parts = {name: getattr(self._tuner, name) for name in own}
        for field in dataclasses.fields(self._arguments):
            parts[field.name] = getattr(self._arguments, field.name)
        parts["tuner"] = _Nameless(self.__getstate__()["_tuner"])
        return {
            name: part for name, part in parts.items() if not _is_arrays(part)
        }

    def __getstate__(self) -> dict[str, Any]:
        tuner = copy.copy(self._tuner)
        tuner._seed = tuner._training_seed
        tuner._run_of = {}
        tuner._folds = []
        for name in _AT_HOME:
            vars(tuner).pop(name, None)
        return {
            **vars(self),
            "_tuner": tuner,
            "_is_copy": True,
            "_task": None,
        }

    def begin(self) -> None:
        """Gets ready to train; see `Worker`."""
        arguments = self._arguments
        made = {
            name: getattr(arguments, name)()
            for name in _DATA
            if inspect.isfunction(getattr(arguments, name))
        }
        if made:
            arguments = arguments.with_changes(**made)
        plan = None
        if self._tuner.cohort_size == "auto":
            plan = sizing.MemoryPlan(
                self._tuner._checked_model,
                arguments,
                self._space,
                self._size,
                self._share,
            )

        def training_bytes(candidate: Execution) -> int | None:
            trial, _ = self._tuner._run_of[candidate.name]
            return plan.training_bytes(trial.hyperparameters, candidate.fit)

        costs_of = ModelCosts(
            latency=self._wants_latency,
            input_shapes=sizing.shapes_of(arguments.x),
        )
        self._task = Task(
            build=self._tuner._build_candidate,
            data=Data(arguments, self._folds(arguments)),
            objective=self._objective,
            adapt_callbacks=self._tuner._adapted_callbacks,
            training_bytes=training_bytes if plan and plan.asks else None,
            memory=plan and plan.memory,
            after_training=lambda _, model: costs_of(model),
            infeasible=(keras_tuner.errors.FailedTrialError,),
            fatal=(keras_tuner.errors.FatalError,),
        )

    def _folds(self, arguments: FitArguments) -> list[FitArguments]:
        """The folds; each worker makes them from the data that it has."""
        tuner = self._tuner
        if tuner.cv is None or not self._is_copy:
            return tuner._folds
        return folds_of(arguments, tuner.cv, seed=tuner._training_seed)

    def run(self, job: Job) -> Result:
        """Trains a cohort; see `Worker`."""
        if self._task is None:
            raise RuntimeError("`begin` must be called before `run`.")
        if not self._is_copy:
            outcomes = evaluate(
                job.candidates, self._task, cohort_size=job.size
            )
            return Result(outcomes=outcomes, hyperparameters={}, files={})
        trials = [trial for trial, _ in job.runs.values()]
        for trial in trials:
            _watch(trial, job.registered)
        self._tuner._run_of = dict(job.runs)
        with self._files_here(job) as (candidates, written):
            outcomes = evaluate(candidates, self._task, cohort_size=job.size)
            files = written(outcomes)
        return Result(
            outcomes=outcomes,
            hyperparameters={t.trial_id: t.hyperparameters for t in trials},
            files=files,
        )

    @contextlib.contextmanager
    def _files_here(self, job: Job) -> Iterator[Any]:
        """Lends a project folder for the time of a job, if there is none."""
        if job.files is None:
            yield job.candidates, lambda _: {}
            return
        with tempfile.TemporaryDirectory(prefix="keras_evonas-") as name:
            here = pathlib.Path(name)
            for path, content in job.files.items():
                (here / path).parent.mkdir(parents=True, exist_ok=True)
                (here / path).write_bytes(content)
            candidates = [
                _moved(candidate, self._folder, here)
                for candidate in job.candidates
            ]
            self._tuner._files = self._tuner._files.in_folder(here)

            def written(outcomes: Sequence[Outcome]) -> dict[str, bytes]:
                kept = {o.name for o in outcomes if o.has_checkpoint}
                return {
                    _inside(c.checkpoint, self._folder): pathlib.Path(
                        moved.checkpoint
                    ).read_bytes()
                    for c, moved in zip(job.candidates, candidates, strict=True)
                    if c.name in kept
                }

            for candidate in candidates:
                if candidate.checkpoint is not None:
                    pathlib.Path(candidate.checkpoint).parent.mkdir(
                        parents=True, exist_ok=True
                    )
            yield candidates, written


def files_for(
    job: Job, folder: pathlib.Path, parents: Sequence[pathlib.Path]
) -> Job:
    """Adds to a job what a worker on another machine needs.

    Args:
        job: The job.
        folder: The project folder.
        parents: Files that the candidates begin with.
    """
    return dataclasses.replace(
        job,
        files={
            _inside(path, folder): path.read_bytes()
            for path in parents
            if path.exists()
        },
    )


def take_files(result: Result, folder: pathlib.Path) -> None:
    """Writes what a worker on another machine has written."""
    for name, content in result.files.items():
        write_bytes(folder / name, content)


def _inside(path: Any, folder: pathlib.Path) -> str:
    return pathlib.Path(path).relative_to(folder).as_posix()


def _moved(
    candidate: Execution, source: pathlib.Path, target: pathlib.Path
) -> Execution:
    def move(path: str | None) -> str | None:
        return None if path is None else str(target / _inside(path, source))

    return dataclasses.replace(
        candidate,
        checkpoint=move(candidate.checkpoint),
        initial_weights=move(candidate.initial_weights),
    )


def _watch(trial: trial_lib.Trial, registered: tuple[Any, ...] | None) -> None:
    """Lets hyperparameters behave as in the process of the oracle."""

    def refuse(change: str) -> None:
        raise keras_tuner.errors.FatalValueError(
            "The project folder holds a search that differs from this one: "
            f"{change}. {WAY_OUT}"
        )

    if registered is not None:
        trial.hyperparameters = SharedHyperParameters(
            trial.hyperparameters, refuse, registered
        )


def _is_arrays(part: Any) -> bool:
    leaves = keras.tree.flatten(part)
    return bool(leaves) and all(isinstance(x, np.ndarray) for x in leaves)


@dataclasses.dataclass(frozen=True)
class _Nameless:
    """Something that is too long to be printed."""

    value: Any

    def __repr__(self) -> str:
        return f"<{type(self.value).__name__}>"
