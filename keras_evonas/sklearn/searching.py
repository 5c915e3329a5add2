"""Searches of estimators: from examples to a network that predicts."""

import math
import os
import shutil
import tempfile
import weakref
from collections.abc import Callable
from collections.abc import Iterable
from typing import Any
from typing import TypeAlias

import keras
import keras_tuner
import numpy as np
import sklearn.base
import sklearn.model_selection
import sklearn.utils
from sklearn.utils import validation

from keras_evonas.evolution.checks import check_positive_integer
from keras_evonas.evolution.checks import check_range
from keras_evonas.evolution.strategies import Strategy
from keras_evonas.execution import Executor
from keras_evonas.models.heads import Classification
from keras_evonas.models.heads import Regression
from keras_evonas.oracles.checks import without_training_values
from keras_evonas.oracles.constraints import Constraint
from keras_evonas.oracles.constraints import checked_constraints
from keras_evonas.project.wording import settings
from keras_evonas.sklearn import preparation
from keras_evonas.sklearn import refitting
from keras_evonas.sklearn import spaces
from keras_evonas.training import FitArguments
from keras_evonas.training.folds import check_cv
from keras_evonas.training.folds import splits_of
from keras_evonas.training.values import Values
from keras_evonas.tuners.shorthand import EvolutionarySearch
from keras_evonas.tuners.unseen import digest

Space: TypeAlias = (
    keras.Model
    | keras_tuner.HyperModel
    | Callable[[keras_tuner.HyperParameters], keras.Model]
)
_BATCH = 1024  # Examples to predict at once.
_NETWORKS = 5  # Of `refit=True`.


class SearchingEstimator(sklearn.base.BaseEstimator):
    """An estimator that searches, trains again and predicts.

    See `EvoClassifier` for its arguments.
    """

    _OBJECTIVE: str

    def __init__(
        self,
        space: Space | None = None,
        *,
        max_trials: int = 30,
        max_seconds: float | None = None,
        epochs: int | None = None,
        batch_size: int = 32,
        validation_fraction: float = 0.2,
        cv: object = None,
        strategy: Strategy | None = None,
        constraints: Iterable[Constraint] | None = None,
        executor: Executor | None = None,
        refit: bool | int = True,
        directory: str | os.PathLike[str] | None = None,
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
    ) -> None:
        self.space = space
        self.max_trials = max_trials
        self.max_seconds = max_seconds
        self.epochs = epochs
        self.batch_size = batch_size
        self.validation_fraction = validation_fraction
        self.cv = cv
        self.strategy = strategy
        self.constraints = constraints
        self.executor = executor
        self.refit = refit
        self.directory = directory
        self.random_state = random_state
        self.verbose = verbose

    def __getstate__(self) -> dict[str, Any]:
        # A tuner belongs to its project folder and to this process.
        state: dict[str, Any] = super().__getstate__()
        return {k: v for k, v in state.items() if k != "tuner_"}

    def _head(self, targets: np.ndarray) -> Classification | Regression:
        """Returns the output of a network for targets."""
        raise NotImplementedError

    def _labels(self, targets: np.ndarray) -> np.ndarray | None:
        """Returns labels of which all parts of the data should have some."""
        raise NotImplementedError

    def _as_score(self, score: float) -> float:
        """Returns a trial's score as a number of which more is better."""
        raise NotImplementedError

    def _search(
        self, x: Values, targets: np.ndarray, weights: np.ndarray | None
    ) -> None:
        """Searches, and keeps the best network and what was tried."""
        self._check_arguments()
        random = sklearn.utils.check_random_state(self.random_state)
        seed = int(random.randint(2**31 - 1))
        # `_encoded` looks at what it gives.
        with np.errstate(over="ignore", invalid="ignore"):
            self.encoder_ = preparation.encoder_of(x).fit(x)
        inputs = self._encoded(x)
        head = self._head(targets)
        space = spaces.space_for(self.space, inputs, head)
        if self.space is not None:
            targets = spaces.targets_for(space, head, targets)
        examples = {"x": inputs, "y": targets}
        if weights is not None:
            examples["sample_weight"] = weights
        data = self._data(examples, seed)
        self.tuner_ = self._tuner(space, data, seed)
        self.tuner_.search(**data)
        best = self._keep_trials()
        if self.refit and spaces.is_trained_by_fit(self.space):
            models = self._refitted(best, examples, seed)
        else:
            models = self.tuner_.get_best_models(1)
        self.model_ = refitting.average(models, inputs.shape[1:])
        loss = getattr(models[0], "loss", None)
        outputs = self.model_.predict(inputs[: spaces.LOOKED_AT], verbose=0)
        # A loss of the user's own does not say what it takes.
        self._gives_logits = bool(
            getattr(loss, "from_logits", False) or spaces.are_logits(outputs)
        )

    def _check_arguments(self) -> None:
        check_positive_integer("max_trials", self.max_trials)
        check_positive_integer("batch_size", self.batch_size)
        if self.epochs is not None:
            check_positive_integer("epochs", self.epochs)
        check_range(
            "validation_fraction",
            self.validation_fraction,
            0.0,
            1.0,
            low_open=True,
            high_open=True,
        )
        if not isinstance(self.refit, bool | np.bool_):
            check_positive_integer("refit", self.refit)

    def _tuner(
        self, space: spaces.SearchedSpace, data: dict[str, Values], seed: int
    ) -> EvolutionarySearch:
        # Both may be generators, which are read once.
        cv = check_cv(self.cv)
        constraints = None
        if self.constraints is not None:
            constraints = [*checked_constraints(self.constraints)]
        directory = self.directory
        if directory is None:
            directory = tempfile.mkdtemp(prefix="keras_evonas_")
        is_model = isinstance(self.space, keras.Model)
        tuner = EvolutionarySearch(
            space,
            self._OBJECTIVE,
            self.max_trials,
            max_seconds=self.max_seconds,
            strategy=self.strategy,
            constraints=constraints,
            executor=self.executor,
            cv=cv,
            # Children of the user's own model go on from its weights.
            inherit_weights=is_model and cv is None,
            initial_population=spaces.first_trials(space),
            seed=seed,
            verbose=self.verbose,
            directory=directory,
            project_name=self._project(space, data, cv, constraints, seed),
        )
        if self.directory is None:
            weakref.finalize(tuner, shutil.rmtree, directory, True)
        return tuner

    def _project(
        self,
        space: spaces.SearchedSpace,
        data: dict[str, Values],
        cv: Values,
        constraints: list[Constraint] | None,
        seed: int,
    ) -> str:
        """Returns a name for the folder of a search.

        A search goes on only with the data and arguments that it began with:
        the folds of `GridSearchCV`, for one, share their directory.
        """
        chosen = (
            spaces.identity_of(space),
            *(data["epochs"], self.batch_size, seed, constraints),
            settings(self.strategy),
        )
        arrays = [data["x"], data["y"], *data.get("validation_data", ())]
        if "sample_weight" in data:
            arrays.append(data["sample_weight"])
        if cv is not None:
            arrays += splits_of((data["x"], data["y"], None), cv, seed=seed)
        if isinstance(self.space, keras.Model):
            arrays += self.space.get_weights()
        return digest(repr(chosen), arrays)

    def _data(
        self, examples: dict[str, np.ndarray], seed: int
    ) -> dict[str, Values]:
        """Returns the arguments of `fit` for the search."""
        data: dict[str, Values] = examples
        if self.cv is None:
            targets = examples["y"]
            count = len(targets)
            size = round(self.validation_fraction * count)
            size = min(max(1, size), count - 1)
            labels = self._labels(targets)
            if labels is not None:
                counts = np.bincount(labels)
                if counts.min() < 2 or min(size, count - size) < len(counts):
                    labels = None
            train, validation = sklearn.model_selection.train_test_split(
                np.arange(count),
                test_size=size,
                stratify=labels,
                random_state=seed,
            )
            data = {name: rows[train] for name, rows in examples.items()}
            data["validation_data"] = tuple(
                rows[validation] for rows in examples.values()
            )
        return data | self._training(len(data["x"]), restore=False)

    def _training(self, count: int, *, restore: bool) -> dict[str, Values]:
        epochs = self.epochs
        if epochs is None:
            steps = math.ceil(count / self.batch_size)
            epochs = min(max(20, round(2000 / steps)), 200)
        patience = max(5, epochs // 10)
        stop = keras.callbacks.EarlyStopping(
            patience=patience, restore_best_weights=restore
        )
        return {
            "epochs": epochs,
            "batch_size": self.batch_size,
            "callbacks": [stop],
            "verbose": self.verbose,
        }

    def _keep_trials(self) -> keras_tuner.engine.trial.Trial:
        """Keeps what was tried, and returns the best trial."""
        trials = list(self.tuner_.oracle.trials.values())
        ranked = self.tuner_.oracle.get_best_trials(len(trials))
        if not ranked:
            last = trials[-1].message if trials else "no trial was begun"
            raise RuntimeError(
                f"None of {len(trials)} trials has completed, so that there is "
                f"no network to predict with. The last one: {last}"
            )
        rank_of = {trial.trial_id: n + 1 for n, trial in enumerate(ranked)}
        scores = [
            math.nan if t.score is None else self._as_score(t.score)
            for t in trials
        ]
        self.cv_results_ = {
            "params": [_genes_of(trial) for trial in trials],
            "mean_test_score": np.array(scores),
            "rank_test_score": np.array(
                [rank_of.get(t.trial_id, len(ranked) + 1) for t in trials]
            ),
            "status": [str(trial.status) for trial in trials],
        }
        self.best_params_ = _genes_of(ranked[0])
        self.best_score_ = self._as_score(ranked[0].score)
        self.n_epochs_ = int(ranked[0].best_step or 0) + 1
        return ranked[0]

    def _refitted(
        self,
        best: keras_tuner.engine.trial.Trial,
        examples: dict[str, np.ndarray],
        seed: int,
    ) -> list[keras.Model]:
        is_flag = isinstance(self.refit, bool | np.bool_)
        count = _NETWORKS if is_flag else int(self.refit)
        count = min(count, len(examples["x"]))
        training = self._training(len(examples["x"]), restore=True)
        cv = None
        if count == 1:
            training |= {"callbacks": None, "epochs": self.n_epochs_}
        else:
            cv = self._folds(examples["y"], count, seed)
        return refitting.refitted(
            self.tuner_.hypermodel,
            best.hyperparameters,
            FitArguments.of(**examples, **training),
            [seed + number for number in range(count)],
            cv,
        )

    def _folds(self, targets: np.ndarray, count: int, seed: int) -> Values:
        labels = self._labels(targets)
        if labels is None or np.bincount(labels).min() < count:
            return count
        return sklearn.model_selection.StratifiedKFold(
            count, shuffle=True, random_state=seed
        )

    def _encoded(self, x: Values) -> np.ndarray:
        with np.errstate(over="ignore", invalid="ignore"):
            encoded = np.asarray(self.encoder_.transform(x), "float32")
        preparation.check_scaled("X", encoded)
        return encoded

    def _checked(
        self, x: Values, *, keep_frame: bool = True, **options: object
    ) -> Values:
        """Returns inputs as scikit-learn checks them; frames stay frames."""
        if preparation.is_frame(x) and keep_frame:
            options = {"skip_check_array": True, **options}
        else:
            options = {"dtype": "numeric", "allow_nd": True, **options}
        return validation.validate_data(self, x, **options)

    def _outputs(self, x: Values) -> np.ndarray:
        validation.check_is_fitted(self, "model_")
        # The encoder gets what it was fitted on, a frame or an array: it would
        # warn of names once more.
        takes_frames = preparation.takes_frames(self.encoder_)
        x = self._checked(
            x, keep_frame=takes_frames, reset=False, allow_nd=not takes_frames
        )
        if takes_frames:
            names = getattr(self, "feature_names_in_", None)
            x = preparation.as_frame(x, names)
        return np.asarray(
            self.model_.predict(self._encoded(x), batch_size=_BATCH, verbose=0),
            "float64",
        )


def _genes_of(trial: keras_tuner.engine.trial.Trial) -> dict[str, Any]:
    return without_training_values(trial.hyperparameters.values)
