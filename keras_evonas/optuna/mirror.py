"""Shows a search in Optuna's dashboard: its trials in an Optuna storage."""

import datetime
import os
import pathlib
import warnings
from collections.abc import Collection
from collections.abc import Mapping
from typing import TYPE_CHECKING
from typing import Any

import optuna
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial
from optuna.trial import TrialState
from sqlalchemy.exc import SQLAlchemyError

from keras_evonas.optuna.parameters import distributions_of
from keras_evonas.optuna.parameters import fitting
from keras_evonas.project.files import trial_folder
from keras_evonas.project.lock import FolderLock
from keras_evonas.project.reading import load
from keras_evonas.project.search import Search
from keras_evonas.project.trials import Trial
from keras_evonas.project.wording import gist

if TYPE_CHECKING:
    from keras_tuner.engine.trial import Trial as HostTrial

_LOCK = "optuna_mirror.lock"
_TRIAL_ID = "trial_id"
_DIRECTIONS = {"min": StudyDirection.MINIMIZE, "max": StudyDirection.MAXIMIZE}
_ENDED = ("COMPLETED", "FAILED")


class OptunaMirror:
    """Writes each trial of a search into an Optuna storage when it has ended.

    `optuna-dashboard` shows the storage while the search runs. A trial comes
    with its hyperparameters, its score of each objective, the curve of the
    first one as intermediate values, and metrics, costs, parents and messages
    as user attributes. A failed trial is a failed one. Trials that the search
    had before, such as those that ended when the process was killed, are
    added when it begins; none is written twice.

    A storage that fails in the middle of a search is warned of, and costs no
    trial: what it lacks is written when the next trial ends.

    Args:
        storage: The storage's URL, such as `"sqlite:///search.db"`, or an
            Optuna storage. The process that calls `search` writes to it.
        study_name: String, the name of the study. Defaults to `None`, the name
            of the project.

    Example:

    ```python
    tuner = EvoTuner(..., on_trial_end=OptunaMirror("sqlite:///search.db"))
    ```
    """

    def __init__(
        self, storage: str | BaseStorage, study_name: str | None = None
    ) -> None:
        self._storage = storage
        self._study_name = study_name
        self._folder: str | os.PathLike[str] | None = None
        self._waiting: set[str] = set()

    def on_search_begin(self, folder: str | os.PathLike[str]) -> None:
        """Writes the trials of a project folder that the study lacks.

        A storage that cannot be opened is found out here, before any trial.
        """
        self._folder = folder
        _opened(self._storage)
        try:
            search = load(folder)
        except (FileNotFoundError, ValueError):
            return  # The search has not begun.
        if any(trial.status in _ENDED for trial in search.recorded):
            self._write(search)

    def __call__(self, trial: "HostTrial") -> None:
        """Writes a trial that has ended."""
        if self._folder is None:
            raise ValueError(
                "`OptunaMirror` must know the project folder, which "
                "`EvoTuner` and `EvolutionarySearch` tell it: pass it as their "
                "`on_trial_end`. Elsewhere, call its `on_search_begin(folder)` "
                "first."
            )
        self._waiting.add(trial.trial_id)
        try:
            self._write(load(self._folder, only=self._waiting))
        except Exception as error:
            # What is in the way may be of any kind: a database's, a network's.
            warnings.warn(
                "Optuna's storage could not be written: "
                f"{gist(str(error))}. The trials {sorted(self._waiting)} are "
                "in the project folder, and will be written when the next one "
                "ends, or by `python -m keras_evonas export "
                f"{self._folder} --optuna=URL`.",
                stacklevel=2,
            )
            return
        self._waiting.clear()

    def _write(self, search: Search) -> None:
        mirror(search, self._storage, self._study_name)


def mirror(
    search: Search, storage: str | BaseStorage, study_name: str | None = None
) -> int:
    """Writes the ended trials of a search into an Optuna storage.

    Args:
        search: The search, as `keras_evonas.reports.load` returns it.
        storage: The storage's URL, or an Optuna storage.
        study_name: String, the name of the study. Defaults to the project's.

    Returns:
        Integer, how many trials the study lacked.

    Raises:
        ValueError: If the search names no objective, or if the study is one
            of other objectives or of another search.
    """
    lock = FolderLock(search.folder, _LOCK)
    lock.take()  # Several workers may end trials at the same time.
    try:
        study = _study(search, storage, study_name or search.name)
        known = {
            trial.user_attrs.get(_TRIAL_ID): trial
            for trial in study.get_trials(deepcopy=False)
        }
        _check_same(study, search, known)
        folder = str(search.folder.absolute())
        study.set_user_attr("project_folder", folder)
        return _add(study, search, known)
    finally:
        lock.release()


def _opened(storage: str | BaseStorage) -> BaseStorage:
    try:
        return optuna.storages.get_storage(storage)
    except SQLAlchemyError as error:
        raise ValueError(
            "`storage` must be the URL of a storage of Optuna, such as "
            f"'sqlite:///search.db'. Received: {storage!r}, which gives: "
            f"{gist(str(getattr(error, 'orig', None) or error))}"
        ) from error


def _study(
    search: Search, storage: str | BaseStorage, name: str
) -> optuna.Study:
    directions = [_DIRECTIONS[o.direction] for o in search.objectives]
    if not directions:
        raise ValueError(
            f"The search in '{search.folder}' must name an objective, for an "
            "Optuna study needs its direction. Received: a folder that names "
            "none."
        )
    storage = _opened(storage)
    try:
        # It says nothing, where `create_study` logs that the study exists.
        study = optuna.load_study(storage=storage, study_name=name)
    except KeyError:
        study = optuna.create_study(
            storage=storage,
            study_name=name,
            directions=directions,
            load_if_exists=True,
        )
    if study.directions != directions:
        raise ValueError(
            f"`study_name` must name a study of this search. Received: "
            f"{name!r}, whose directions are {study.directions}, not "
            f"{directions}. Pass another name."
        )
    with warnings.catch_warnings():
        # Optuna 5 calls it experimental; it only names the axes.
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        study.set_metric_names([o.name for o in search.objectives])
    return study


def _check_same(
    study: optuna.Study, search: Search, known: Mapping[object, FrozenTrial]
) -> None:
    """Raises a `ValueError` if a study holds trials of another search."""
    for trial in search.recorded:
        there = known.get(trial.trial_id)
        if there is None or trial.status not in _ENDED:
            continue
        scores = list(trial.scores or ()) if trial.completed else None
        if there.values != scores:
            folder = study.user_attrs.get("project_folder")
            raise ValueError(
                "`study_name` must name a study of this search. Received: "
                f"{study.study_name!r}, which holds another search, of "
                f"'{folder}': its trial '{trial.trial_id}' scored "
                f"{there.values}, not {scores}. Pass another name, or delete "
                "the study."
            )


def _add(study: optuna.Study, search: Search, known: Collection[object]) -> int:
    ended = [
        trial
        for trial in search.recorded
        if trial.status in _ENDED and trial.trial_id not in known
    ]
    ended.sort(key=lambda t: t.number if t.end is None else t.end)
    for trial in ended:
        study.add_trial(_frozen(search, trial))
    return len(ended)


def _frozen(search: Search, trial: Trial) -> FrozenTrial:
    """Makes Optuna's trial of ours."""
    distributions = (
        {} if search.space is None else distributions_of(search.space)
    )
    params = fitting(trial.values, distributions)
    first = search.objectives[0].name
    curve = trial.curves.get(first, ())
    ended = _time_of(search.folder, trial)
    frozen = optuna.trial.create_trial(
        state=TrialState.COMPLETE if trial.completed else TrialState.FAIL,
        values=list(trial.scores or ()) if trial.completed else None,
        params=params,
        distributions={name: distributions[name] for name in params},
        user_attrs=_attributes(trial, trial.values.keys() - params.keys()),
        system_attrs={}
        if trial.violation is None
        else {"constraints": [trial.violation]},
        intermediate_values={int(epoch): value for epoch, value in curve},
    )
    frozen.datetime_start = ended - datetime.timedelta(
        seconds=trial.seconds or 0.0
    )
    frozen.datetime_complete = ended
    return frozen


def _attributes(trial: Trial, unfit: Collection[str]) -> dict[str, Any]:
    found = {
        _TRIAL_ID: trial.trial_id,
        "epochs": trial.epochs,
        "best_epoch": trial.best_epoch if trial.completed else None,
        "seconds": trial.seconds,
        "operator": trial.operator,
        "parents": list(trial.parents) or None,
        # The dashboard shows it in one line; the folder has the traceback.
        "message": gist(trial.message) if trial.message else None,
        **{name: trial.values[name] for name in unfit},
        **{f"metric.{name}": value for name, value in trial.metrics.items()},
        **{f"cost.{name}": _plain(cost) for name, cost in trial.costs.items()},
    }
    return {name: value for name, value in found.items() if value is not None}


def _plain(number: float) -> float:
    """Returns a whole number as an integer: 20 parameters, not 20.0."""
    return int(number) if float(number).is_integer() else number


def _time_of(folder: pathlib.Path, trial: Trial) -> datetime.datetime:
    """Returns when the trial's file was written last, which is its end."""
    path = trial_folder(folder, trial.trial_id) / "trial.json"
    if not path.exists():
        return datetime.datetime.now()
    return datetime.datetime.fromtimestamp(path.stat().st_mtime)
