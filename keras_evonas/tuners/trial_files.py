"""The files of trials: checkpoints, and which of them are kept.

Names and formats are keras-tuner's, so that its own tuners can load them.
"""

import json
import os
import pathlib
from collections.abc import Iterable
from collections.abc import Mapping
from typing import Literal

import keras_tuner
from keras_tuner.engine import trial as trial_lib

from keras_evonas.oracles import objectives
from keras_evonas.oracles.oracle import EvoOracle
from keras_evonas.project.curves import ENDED_EARLY
from keras_evonas.project.files import write_json
from keras_evonas.project.files import writing

Policy = Literal["best", "top_k", "all", "none"]
_WEIGHTS = "checkpoint.weights.h5"
_BUILD_CONFIG = "build_config.json"


class TrialFiles:
    """Checkpoints of a project folder.

    Args:
        folder: The project folder.
        policy: `"best"` keeps the weights of the best trial, `"top_k"` those
            of the best `top_k` and of the Pareto front, `"all"` and `"none"`
            what they say.
        top_k: Integer, how many `"top_k"` keeps.

    Attributes:
        folder: The project folder.
    """

    def __init__(self, folder: str, policy: Policy, top_k: int) -> None:
        self.folder = pathlib.Path(folder)
        self._settings = (policy, top_k)
        self._limit = {"best": 1, "top_k": top_k, "none": 0}.get(policy)
        self._written = {
            path.parent.name.removeprefix("trial_")
            for path in self.folder.glob(f"trial_*/{_WEIGHTS}")
        }

    @property
    def writes(self) -> bool:
        """True if weights are to be written."""
        return self._limit != 0

    def folder_of(self, trial_id: str) -> pathlib.Path:
        """The folder of a trial, which is made if there is none."""
        folder = self.folder / f"trial_{trial_id}"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def weights_of(self, trial_id: str, execution: int | None = None) -> str:
        """The path of a trial's weights, or of one of its executions."""
        name = _WEIGHTS
        if execution is not None:
            name = f"execution{execution}.weights.h5"
        return os.path.join(self.folder_of(trial_id), name)

    def state_of(self, trial_id: str, execution: int) -> str:
        """The path of the state that one of a trial's executions ended in."""
        return os.path.join(
            self.folder_of(trial_id), f"execution{execution}.state.npz"
        )

    def in_folder(self, folder: str | os.PathLike[str]) -> "TrialFiles":
        """The same policy in another folder."""
        return TrialFiles(os.fspath(folder), *self._settings)

    def inside(self, path: str | os.PathLike[str]) -> str:
        """Returns a file's path relative to the project folder."""
        return pathlib.Path(path).relative_to(self.folder).as_posix()

    def moved(self, path: str, folder: pathlib.Path) -> str:
        """Returns the path that a file has in a copy of the project folder."""
        moved = folder / self.inside(path)
        moved.parent.mkdir(parents=True, exist_ok=True)
        return str(moved)

    def of_parent(self, trial_id: str) -> list[pathlib.Path]:
        """Returns the files that a trial needs to begin with these weights."""
        return [
            pathlib.Path(self.weights_of(trial_id)),
            self.folder_of(trial_id) / _BUILD_CONFIG,
            *self._states_of(trial_id),
        ]

    def bar(
        self, oracle: keras_tuner.Oracle, evo_oracle: EvoOracle | None
    ) -> float | None:
        """The loss below which a trial's weights are worth writing.

        It is `None` where others may be kept, too: as long as the last one of
        those that are kept violates a limit or was stopped as hopeless, another
        ranks before it whatever its loss. `evo_oracle` knows the limits, in a
        worker, too, whose `oracle` is keras-tuner's client of the chief's.
        """
        if not self._limit:
            return None
        best = completed(oracle.get_best_trials(self._limit))
        if len(best) < self._limit or best[-1].metrics.exists(ENDED_EARLY):
            return None
        if evo_oracle is not None and evo_oracle.violation_after(best[-1]):
            return None
        losses = objectives.losses_of(oracle.objective, best[-1].score)
        return None if losses is None or len(losses) != 1 else losses[0]

    def keep(
        self, trial_id: str, execution: int | None, build_config: object
    ) -> None:
        """Keeps the weights that an execution has written, as the trial's."""
        path = self.weights_of(trial_id)
        if execution is not None:
            with writing(path):
                try:
                    os.replace(self.weights_of(trial_id, execution), path)
                except FileNotFoundError:
                    # Another worker, which was handed the trial as this one
                    # was silent, has kept its own.
                    if not os.path.exists(path):
                        raise
        write_json(self.folder_of(trial_id) / _BUILD_CONFIG, build_config)
        self._written.add(trial_id)

    def discard(self, trial_id: str, executions: Iterable[int]) -> None:
        """Removes what executions have written."""
        for execution in executions:
            pathlib.Path(self.weights_of(trial_id, execution)).unlink(
                missing_ok=True
            )

    def discard_states(self, trial_id: str) -> None:
        """Removes what another trial has gone on from."""
        for path in self._states_of(trial_id):
            path.unlink(missing_ok=True)

    def _states_of(self, trial_id: str) -> list[pathlib.Path]:
        return sorted(self.folder_of(trial_id).glob("execution*.state.npz"))

    def prune(self, oracle: keras_tuner.Oracle) -> None:
        """Removes the weights that are not to be kept any longer."""
        if self._limit is None or len(self._written) <= self._limit:
            return
        best = completed(oracle.get_best_trials(self._limit))
        if self._settings[0] == "top_k":
            # A front may be longer than `top_k`.
            if isinstance(oracle, EvoOracle):
                best += oracle.get_pareto_trials()
            elif isinstance(oracle.objective, objectives.SeveralObjectives):
                return  # A worker, to which the chief does not tell the front.
        for trial_id in self._written - {trial.trial_id for trial in best}:
            pathlib.Path(self.weights_of(trial_id)).unlink(missing_ok=True)
            self._written.discard(trial_id)

    def build_config_of(self, trial_id: str) -> Mapping[str, object] | None:
        """Reads the argument of `model.build_from_config`, `None` if none."""
        path = self.folder_of(trial_id) / _BUILD_CONFIG
        if not path.exists():
            return None
        try:
            config: Mapping[str, object] = json.loads(path.read_bytes())
            return config
        except ValueError as error:
            raise ValueError(
                f"'{path}' must hold the shapes of trial '{trial_id}' as "
                f"JSON. Received: {error!r}. The file is damaged. Restore it, "
                "or build the model anew."
            ) from error


def completed(trials: Iterable[trial_lib.Trial]) -> list[trial_lib.Trial]:
    """Leaves out the failed and running trials that keras-tuner pads with."""
    return [
        trial
        for trial in trials
        if trial.status == trial_lib.TrialStatus.COMPLETED
    ]
