"""The recipe of a search: how its networks are built and trained."""

import copy
import dataclasses
import pathlib
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import TypeAlias

import keras
import keras_tuner
import numpy as np
from keras_tuner.engine import trial as trial_lib

from keras_evonas.oracles import objectives
from keras_evonas.oracles.fidelity import EPOCHS
from keras_evonas.oracles.fidelity import INHERITS
from keras_evonas.oracles.fidelity import INITIAL_EPOCH
from keras_evonas.project import conditions
from keras_evonas.training import Execution
from keras_evonas.training import FitArguments
from keras_evonas.training import callbacks as callback_lib
from keras_evonas.training.arguments import NAMES
from keras_evonas.training.folds import splits_of
from keras_evonas.training.frames import as_arrays
from keras_evonas.training.hopeless import Judge
from keras_evonas.training.hopeless import StopHopeless
from keras_evonas.tuners.builder import NetworkBuilder
from keras_evonas.tuners.hooks import TunerHooks
from keras_evonas.tuners.hooks import place_tensorboard
from keras_evonas.tuners.sizing import CohortSize

# Arguments of `fit` that no score depends on.
_NO_MATTER = ("verbose", "callbacks", "validation_batch_size")

FitArgumentsOf: TypeAlias = Callable[
    [keras_tuner.HyperParameters], Mapping[str, Any]
]


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Recipe:
    """The way in which the networks of a search are built and trained.

    It holds all that does not depend on the trial and can be pickled where
    its parts can, so that a worker in another process trains as this one does.

    Args:
        builder: Builds the networks.
        args: Positional arguments of `search`.
        kwargs: Named arguments of `search`.
        fit_arguments: Returns the arguments of `fit` that are a trial's own,
            or `None`.
        seed: Integer, the seed of the first execution of every trial.
        executions_per_trial: Integer, how often every network is trained.
        objective: The objective of the search.
        space: The search space.
        cohort_size: Integer or `"auto"`, how many networks train together.
        cv: As for `EvoTuner`, or `None`.
        share_programs: As for `EvoTuner`.
        latency: Boolean, whether to measure how fast networks predict.
        alone: Why networks train one after another: the end of a sentence,
            or `None` if they train in cohorts.
        tuner: The tuner whose own methods are called while a network trains,
            or `None` if it has none.
        own_training: Boolean, whether the tuner's own `run_trial` trains.
        final_epochs: Integer, the epochs after which no trial goes on with the
            training of another, or `None` if none does.
    """

    builder: NetworkBuilder
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    fit_arguments: FitArgumentsOf | None
    seed: int
    executions_per_trial: int
    objective: keras_tuner.Objective
    space: keras_tuner.HyperParameters
    cohort_size: CohortSize = "auto"
    cv: Any = None
    share_programs: bool = False
    latency: bool = False
    alone: str | None = None
    tuner: keras_tuner.Tuner | None = None
    own_training: bool = False
    final_epochs: int | None = None

    @property
    def inputs(self) -> object:
        """The input data that `search` was called with."""
        return self.kwargs.get("x", self.args[0] if self.args else None)

    @property
    def arguments(self) -> FitArguments:
        """The arguments of `search` as those of `keras.Model.fit`.

        Raises:
            TypeError: If `fit` has no such argument.
        """
        return FitArguments.of(*self.args, **self.kwargs)

    def described(self, folds: int) -> dict[str, object]:
        """Returns what says how networks are trained, as JSON can hold it.

        `folds` is the number of folds, 0 without `cv`.
        """
        named = dict(zip(NAMES, self.args, strict=False))
        given = {**named, **self.kwargs, "cv": folds or None}
        given["executions_per_trial"] = self.executions_per_trial
        if folds:
            fit = self.arguments
            data = (fit.x, fit.y, fit.sample_weight)
            splits = splits_of(data, self.cv, seed=self.seed)
            given["splits of cv"] = np.concatenate(
                [x for s in splits for x in s]
            )
        return conditions.described(
            {
                name: as_arrays(given[name])
                for name in given
                if name not in _NO_MATTER
            }
        )

    @property
    def lead(self) -> list[list[str]]:
        """Names and directions of what decides which epoch is the best."""
        return objectives.lead_of(self.objective)

    def in_folder(self, folder: pathlib.Path) -> "Recipe":
        """Returns the recipe for another project folder."""
        files = self.builder.files.in_folder(folder)
        tuner = self.tuner
        if tuner is not None:
            tuner = copy.copy(tuner)
            tuner.directory, tuner.project_name = folder.parent, folder.name
        return dataclasses.replace(
            self,
            builder=dataclasses.replace(self.builder, files=files),
            tuner=tuner,
        )

    def executions(
        self,
        trials: Iterable[trial_lib.Trial],
        *,
        folds: int = 0,
        bar: float | None = None,
        get_trial: Callable[[str], trial_lib.Trial],
        judge_of: Callable[[str], Judge] | None = None,
    ) -> list[Execution]:
        """Lists the trainings that trials consist of.

        Args:
            trials: The trials.
            folds: Integer, how many folds each is trained on, or 0.
            bar: Float, the loss below which weights are worth writing when a
                trial is trained once; see `Execution`.
            get_trial: Returns the trial of an identifier.
            judge_of: Returns what judges whether a trial's training is
                hopeless, or `None` to train all in full.
        """
        files = self.builder.files
        # A tuner's own `run_trial` trains as often as it likes.
        repeats = 1 if self.own_training else self.executions_per_trial
        places = [
            (self.seed + repeat, fold)
            for repeat in range(repeats)
            for fold in [*range(folds)] or [None]
        ]
        executions = []
        for trial in trials:
            hp, name = trial.hyperparameters, trial.trial_id
            parent = hp.values.get(INHERITS)
            changes = changes_of(hp, self.fit_arguments)
            may_go_on = hp.values.get(EPOCHS, 0) < (self.final_epochs or 0)
            executions += [
                Execution(
                    # Also the folder for the files of callbacks.
                    name=f"{name}/execution{number}",
                    seed=seed,
                    hyperparameters=hp,
                    parent_hyperparameters=parent
                    and get_trial(parent).hyperparameters,
                    fit=changes,
                    fold=fold,
                    checkpoint=files.weights_of(name, number)
                    if files.writes
                    else None,
                    state=files.state_of(name, number) if may_go_on else None,
                    bar=bar if len(places) == 1 else None,
                    judge=judge_of(name) if judge_of else None,
                )
                for number, (seed, fold) in enumerate(places)
            ]
        return executions

    def adapted_callbacks(
        self, execution: Execution, own: Sequence[Any]
    ) -> list[Any]:
        """Gives an execution's copies of the callbacks places of their own.

        Those of TensorBoard's hyperparameters and of the tuner's own hooks are
        added.
        """
        adapted = list(own)
        if "/execution" not in execution.name:  # It is of no trial.
            return callback_lib.placed(adapted, execution.name)
        board = keras.callbacks.TensorBoard
        others = [c for c in adapted if not isinstance(c, board)]
        callback_lib.placed(others, execution.name)
        if len(others) < len(adapted):
            place_tensorboard(adapted, execution)
        if self.tuner is not None:
            adapted.append(TunerHooks(self.tuner, trial_of(execution)))
        if execution.judge is not None:
            adapted.append(StopHopeless(execution.judge, self.lead))
        return adapted


def trial_of(execution: Execution) -> trial_lib.Trial:
    """Makes a trial of an execution, as the methods of a tuner take it."""
    return trial_lib.Trial(
        hyperparameters=execution.hyperparameters,
        trial_id=execution.name.partition("/")[0],
        status=trial_lib.TrialStatus.RUNNING,
    )


def parent_of(execution: Execution) -> list[trial_lib.Trial]:
    """Returns the trial whose weights an execution inherits, if any."""
    parent = execution.hyperparameters.values.get(INHERITS)
    hp = execution.parent_hyperparameters
    return [trial_lib.Trial(hp, trial_id=parent)] if parent else []


def changes_of(
    hp: keras_tuner.HyperParameters, fit_arguments: FitArgumentsOf | None
) -> dict[str, Any]:
    """Returns the arguments of `fit` that are a trial's own.

    Raises:
        FatalTypeError: If `fit_arguments` returns no dictionary.
        FatalValueError: If it returns epochs that the oracle gives.
    """
    changes: dict[str, Any] = {}
    if fit_arguments is not None:
        own = fit_arguments(hp)
        if not isinstance(own, Mapping):
            raise keras_tuner.errors.FatalTypeError(
                "`fit_arguments` must return a dictionary of arguments of "
                f"`fit`. Received: {own!r} of type {type(own).__name__}. "
                "Return {'batch_size': 16}, for example, or {} for none."
            )
        changes.update(own)
    if EPOCHS in hp.values:  # Of `HyperbandOracle` and rungs.
        given = [
            name for name in ("epochs", "initial_epoch") if name in changes
        ]
        if given:
            raise keras_tuner.errors.FatalValueError(
                "`fit_arguments` must leave the epochs to an oracle that gives "
                f"each trial its own. Received: {given[0]!r} among what it "
                "returns. Leave it out, and the hyperparameter that it is of, "
                "or search with a strategy without rungs."
            )
        changes["epochs"] = hp.values[EPOCHS]
        changes["initial_epoch"] = hp.values[INITIAL_EPOCH]
    return changes
