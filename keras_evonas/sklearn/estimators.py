"""`EvoClassifier` and `EvoRegressor`."""

import math
import os
import tempfile
from collections.abc import Callable
from collections.abc import Iterable
from typing import Any
from typing import TypeAlias

import keras
import keras_tuner
import numpy as np
import sklearn.base
import sklearn.model_selection
import sklearn.preprocessing
import sklearn.utils
from sklearn.utils import validation

from keras_evonas.evolution.checks import check_positive_integer
from keras_evonas.evolution.checks import check_range
from keras_evonas.evolution.strategies import Strategy
from keras_evonas.execution import Executor
from keras_evonas.models.conv import ConvNetwork
from keras_evonas.models.dense import DenseNetwork
from keras_evonas.models.evolvable import evolvable
from keras_evonas.models.heads import Classification
from keras_evonas.models.heads import Head
from keras_evonas.models.heads import Regression
from keras_evonas.oracles.constraints import Constraint
from keras_evonas.sklearn import preparation
from keras_evonas.training import Data
from keras_evonas.training import Execution
from keras_evonas.training import FitArguments
from keras_evonas.training import Task
from keras_evonas.training import evaluate
from keras_evonas.tuners.tuner import EvolutionarySearch

Space: TypeAlias = (
    keras.Model
    | keras_tuner.HyperModel
    | Callable[[keras_tuner.HyperParameters], keras.Model]
)
_BATCH = 1024  # examples to predict at once
_PROJECT = "search"
# Networks of this size are trained in seconds, and more than most tables need.
_UNITS, _DEPTH = (16, 256), (1, 3)


class _Estimator(sklearn.base.BaseEstimator):
    """What both estimators do: search, train again, predict."""

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
        refit: bool = True,
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
        state = super().__getstate__()
        left_out = ("tuner_", "_folder")
        return {k: v for k, v in state.items() if k not in left_out}

    def _head(self, targets: np.ndarray) -> Head:
        raise NotImplementedError

    def _search(self, x: Any, targets: np.ndarray) -> None:  # noqa: ANN401
        """Searches, and keeps the best network and what was tried."""
        check_positive_integer("max_trials", self.max_trials)
        check_positive_integer("batch_size", self.batch_size)
        check_range("validation_fraction", self.validation_fraction, 0.0, 1.0)
        if self.epochs is not None:
            check_positive_integer("epochs", self.epochs)
        random = sklearn.utils.check_random_state(self.random_state)
        seed = int(random.randint(2**31 - 1))
        self.encoder_ = preparation.encoder_of(x).fit(x)
        inputs = self._encoded(x)
        space = self._space(inputs, targets)
        if _wants_one_hot(space):
            targets = keras.utils.to_categorical(targets, len(self.classes_))
        data: dict[str, Any] = {"x": inputs, "y": targets}
        if self.cv is None:
            data = self._split(inputs, targets, random)
        if self.directory is None:
            self._folder = tempfile.TemporaryDirectory()
        self.tuner_ = EvolutionarySearch(
            space,
            self._OBJECTIVE,
            self.max_trials,
            max_seconds=self.max_seconds,
            strategy=self.strategy,
            constraints=self.constraints,
            executor=self.executor,
            cv=self.cv,
            # Children of the user's own model go on from its weights.
            inherit_weights=isinstance(self.space, keras.Model),
            initial_population=["default"],
            seed=seed,
            verbose=self.verbose,
            directory=self.directory or self._folder.name,
            project_name=_PROJECT,
        )
        epochs = self.epochs or _epochs(len(data["x"]), self.batch_size)
        patience = max(5, epochs // 10)
        self.tuner_.search(
            **data,
            epochs=epochs,
            batch_size=self.batch_size,
            callbacks=[keras.callbacks.EarlyStopping(patience=patience)],
            verbose=self.verbose,
        )
        self._keep(inputs, targets, seed)

    def _keep(self, inputs: np.ndarray, targets: np.ndarray, seed: int) -> None:
        oracle = self.tuner_.oracle
        best = oracle.get_best_trials(1)
        if not best:
            last = next(reversed(oracle.trials.values()), None)
            message = "no trial was begun" if last is None else last.message
            raise RuntimeError(
                f"None of {len(oracle.trials)} trials has completed, so that "
                f"there is no network to predict with. The last one: {message}"
            )
        self.best_params_ = {
            name: value
            for name, value in best[0].hyperparameters.values.items()
            if not name.startswith("tuner/")
        }
        self.best_score_ = self._as_score(best[0].score)
        self.cv_results_ = self._results()
        self.n_epochs_ = int(best[0].best_step or 0) + 1
        if self.refit and not isinstance(self.space, keras.Model):
            self.model_ = self._refitted(
                best[0].hyperparameters, inputs, targets, seed
            )
        else:
            self.model_ = self.tuner_.get_best_models(1)[0]

    def _refitted(
        self,
        hp: keras_tuner.HyperParameters,
        inputs: np.ndarray,
        targets: np.ndarray,
        seed: int,
    ) -> keras.Model:
        """Trains the best network on all data, up to its best epoch."""
        models: list[keras.Model] = []

        def keep(_: Execution, model: keras.Model) -> dict[str, float]:
            models.append(model)
            return {}

        hypermodel = self.tuner_.hypermodel
        arguments = FitArguments.of(
            x=inputs,
            y=targets,
            epochs=self.n_epochs_,
            batch_size=self.batch_size,
        )
        task = Task(
            build=lambda execution: hypermodel.build(execution.hyperparameters),
            data=Data(arguments),
            objective=[("loss", "min")],
            after_training=keep,
        )
        execution = Execution(name="refit", seed=seed, hyperparameters=hp)
        (outcome,) = evaluate([execution], task)
        if not models:
            raise RuntimeError(
                "The best network could not be trained on all data: "
                f"{outcome.message} Pass `refit=False` to predict with the "
                "network of the search."
            )
        return models[0]

    def _space(
        self, inputs: np.ndarray, targets: np.ndarray
    ) -> keras_tuner.HyperModel | Callable[..., keras.Model]:
        head, space = self._head(targets), self.space
        if isinstance(space, keras.Model):
            compile_model = None
            if not space.compiled:

                def compile_model(
                    model: keras.Model, hp: keras_tuner.HyperParameters
                ) -> None:
                    del hp
                    model.compile("adam", head.loss, metrics=head.metrics)

            return evolvable(space, compile_model=compile_model)
        if space is not None:
            if not (
                isinstance(space, keras_tuner.HyperModel) or callable(space)
            ):
                raise TypeError(
                    "`space` must be a `keras_tuner.HyperModel`, a function "
                    "that takes hyperparameters and returns a compiled model, "
                    f"or a Keras model. Received: space={space!r}."
                )
            return space
        shape = inputs.shape[1:]
        if len(shape) == 1:
            return DenseNetwork(shape, head, units=_UNITS, depth=_DEPTH)
        if len(shape) == 3:
            return ConvNetwork(shape, head)
        raise ValueError(
            "`X` must have two dimensions (a table) or four (images, channels "
            f"last), or else `space` must be given. Received: X of shape "
            f"{inputs.shape} and space=None."
        )

    def _split(
        self,
        inputs: np.ndarray,
        targets: np.ndarray,
        random: np.random.RandomState,
    ) -> dict[str, Any]:
        """Sets examples apart to compare networks by."""
        count = len(inputs)
        size = min(max(1, round(self.validation_fraction * count)), count - 1)
        order = np.arange(count)
        train, validation = sklearn.model_selection.train_test_split(
            order,
            test_size=size,
            stratify=self._strata(targets, size),
            random_state=random,
        )
        return {
            "x": inputs[train],
            "y": targets[train],
            "validation_data": (inputs[validation], targets[validation]),
        }

    def _strata(self, targets: np.ndarray, size: int) -> np.ndarray | None:
        """Returns by what both parts are to be alike, if that is possible."""
        del targets, size
        return None

    def _encoded(self, x: Any) -> np.ndarray:  # noqa: ANN401 (a frame, too)
        return np.asarray(self.encoder_.transform(x), "float32")

    def _checked(self, x: Any, **options: Any) -> Any:  # noqa: ANN401
        """Returns inputs as scikit-learn checks them; frames stay frames."""
        if preparation.is_frame(x):
            return validation.validate_data(
                self, x, skip_check_array=True, **options
            )
        return validation.validate_data(
            self, x, dtype="numeric", allow_nd=True, **options
        )

    def _outputs(self, x: Any) -> np.ndarray:  # noqa: ANN401
        validation.check_is_fitted(self, "model_")
        inputs = self._encoded(self._checked(x, reset=False))
        return np.asarray(
            self.model_.predict(inputs, batch_size=_BATCH, verbose=0)
        )

    def _as_score(self, score: float) -> float:
        return float(score)

    def _results(self) -> dict[str, Any]:
        ranked = self.tuner_.oracle.get_best_trials(self.max_trials)
        rank_of = {trial.trial_id: n + 1 for n, trial in enumerate(ranked)}
        trials = list(self.tuner_.oracle.trials.values())
        last = len(ranked) + 1
        return {
            "params": [dict(t.hyperparameters.values) for t in trials],
            "mean_test_score": np.array(
                [
                    math.nan if t.score is None else self._as_score(t.score)
                    for t in trials
                ]
            ),
            "rank_test_score": np.array(
                [rank_of.get(t.trial_id, last) for t in trials]
            ),
            "status": [str(t.status) for t in trials],
        }


class EvoClassifier(sklearn.base.ClassifierMixin, _Estimator):
    """Searches a network that classifies, and predicts with it.

    A scikit-learn estimator: `fit`, `predict`, `predict_proba`, `score`, in
    pipelines and in cross-validation. The search is `EvolutionarySearch`; the
    best network is trained again on all data.

    Inputs are a table, images of shape `(n, height, width, channels)`, or a
    DataFrame, whose categories, dates and gaps are encoded. They are scaled.
    Labels may be strings.

    Args:
        space: The search space: a `keras_tuner.HyperModel`, a function that
            takes hyperparameters and returns a compiled model, or a Keras
            model, whose relatives are searched with its weights (see
            `keras_evonas.models.evolvable`). Labels are passed on as integers
            from 0, or one-hot where the loss is categorical cross-entropy.
            Defaults to `None`: a `DenseNetwork` for tables, a `ConvNetwork`
            for images.
        max_trials: Integer, how many networks to try. Defaults to 30.
        max_seconds: Number, the search begins no trial after so many seconds.
            Defaults to `None`.
        epochs: Integer, for how long to train a network at most; training
            stops early when its validation loss no longer falls. Defaults to
            `None`: about 2 000 steps, but at least 20 and at most 200 epochs.
        batch_size: Integer. Defaults to 32.
        validation_fraction: Float between 0 and 1, the share of the examples
            by which networks are compared. Defaults to 0.2.
        cv: Cross-validation instead, as for `EvoTuner`: an integer or a
            splitter of scikit-learn. Defaults to `None`.
        strategy: As for `EvoOracle`. Defaults to `None`.
        constraints: As for `EvoOracle`, such as `[at_most("params", 1e5)]`.
            Defaults to `None`.
        executor: As for `EvoTuner`. Defaults to `None`, this process.
        refit: Boolean, whether the best network is trained again on all data,
            for as many epochs as were best. Otherwise the network of the
            search predicts, as it does where `space` is a Keras model.
            Defaults to `True`.
        directory: Where the search is kept, so that it goes on after an
            interruption and `keras_evonas.reports` can read it. Defaults to
            `None`, a temporary folder.
        random_state: Integer, `RandomState` or `None`.
        verbose: Integer, 1 for a line a trial. Defaults to 0.

    Attributes:
        classes_: The labels.
        model_: The Keras model.
        best_params_: The hyperparameters of the best network.
        best_score_: Its accuracy on validation data.
        cv_results_: All trials: `params`, `mean_test_score`,
            `rank_test_score`, `status`.
        n_epochs_: Integer, the best number of epochs.
        encoder_: The transformer of the inputs.
        tuner_: The `EvolutionarySearch`; it is not pickled.
        n_features_in_: Integer, the number of columns.
        feature_names_in_: Names of the columns of a DataFrame.

    Example:

    ```python
    classifier = EvoClassifier(max_trials=30, random_state=0).fit(X, y)
    classifier.score(X_test, y_test)
    ```
    """

    _OBJECTIVE = "val_accuracy"

    def fit(self, X: Any, y: Any) -> "EvoClassifier":  # noqa: ANN401, N803
        """Searches a network for labelled examples.

        Args:
            X: Table, images or DataFrame.
            y: Labels, one for each example.

        Returns:
            The estimator.

        Raises:
            ValueError: If there are fewer than two classes, or data that no
                network can be trained with.
            RuntimeError: If all trials fail.
        """
        if preparation.is_frame(X):
            X = self._checked(X)  # noqa: N806
            y = sklearn.utils.column_or_1d(y, warn=True)
            validation.check_consistent_length(X, y)
        else:
            X, y = self._checked(X, y=y, ensure_min_samples=2)  # noqa: N806
        sklearn.utils.multiclass.check_classification_targets(y)
        self.classes_, labels = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(
                "`y` must have at least two classes. Received: one class, "
                f"{self.classes_.tolist()}."
            )
        self._search(X, labels.astype("int64"))
        return self

    def predict_proba(self, X: Any) -> np.ndarray:  # noqa: ANN401, N803
        """Returns the probability of each class, `(n, classes)`."""
        outputs = self._outputs(X).astype("float64")
        if outputs.shape[-1] == 1:  # a sigmoid of the user's own space
            outputs = np.concatenate([1 - outputs, outputs], axis=1)
        return outputs / outputs.sum(axis=1, keepdims=True)

    def predict(self, X: Any) -> np.ndarray:  # noqa: ANN401, N803
        """Returns the likeliest label of each example."""
        likeliest = self.predict_proba(X).argmax(axis=1)
        labels: np.ndarray = self.classes_[likeliest]
        return labels

    def _head(self, targets: np.ndarray) -> Head:
        del targets
        return Classification(classes=len(self.classes_), labels="integer")

    def _strata(self, targets: np.ndarray, size: int) -> np.ndarray | None:
        labels = targets if targets.ndim == 1 else targets.argmax(axis=1)
        counts = np.bincount(labels)
        enough = min(size, len(labels) - size) >= len(counts)
        return labels if enough and counts.min() >= 2 else None


class EvoRegressor(sklearn.base.RegressorMixin, _Estimator):
    """Searches a network that predicts numbers, and predicts with it.

    As `EvoClassifier`, for one target or several; they are scaled to mean 0 and
    deviation 1 for the network.

    Args:
        space: As for `EvoClassifier`; its networks are compiled with a loss
            such as `"mse"`.
        max_trials: As for `EvoClassifier`, and so are all others.
        max_seconds: Defaults to `None`.
        epochs: Defaults to `None`.
        batch_size: Defaults to 32.
        validation_fraction: Defaults to 0.2.
        cv: Defaults to `None`.
        strategy: Defaults to `None`.
        constraints: Defaults to `None`.
        executor: Defaults to `None`.
        refit: Defaults to `True`.
        directory: Defaults to `None`.
        random_state: Defaults to `None`.
        verbose: Defaults to 0.

    Attributes:
        best_score_: 1 less the loss of the best network on validation data,
            which is about its R² where the loss is the mean squared error.
        scaler_: The transformer of the targets.
        model_: As for `EvoClassifier`, and so are all others.

    Example:

    ```python
    regressor = EvoRegressor(max_trials=30, random_state=0).fit(X, y)
    regressor.predict(X_test)
    ```
    """

    _OBJECTIVE = "val_loss"

    def fit(self, X: Any, y: Any) -> "EvoRegressor":  # noqa: ANN401, N803
        """Searches a network for examples with their targets.

        Args:
            X: Table, images or DataFrame.
            y: Numbers of shape `(n,)` or `(n, outputs)`.

        Returns:
            The estimator.

        Raises:
            ValueError: If no network can be trained with the data.
            RuntimeError: If all trials fail.
        """
        if preparation.is_frame(X):
            X = self._checked(X)  # noqa: N806
            y = validation.check_array(y, ensure_2d=False, dtype="numeric")
            validation.check_consistent_length(X, y)
        else:
            X, y = self._checked(  # noqa: N806
                X,
                y=y,
                multi_output=True,
                y_numeric=True,
                ensure_min_samples=2,
            )
        y = np.asarray(y, "float64")
        self._is_flat = y.ndim == 1
        targets = y.reshape(len(y), -1)
        self.scaler_ = sklearn.preprocessing.StandardScaler().fit(targets)
        scaled = self.scaler_.transform(targets)
        self._search(X, np.asarray(scaled, "float32"))
        return self

    def predict(self, X: Any) -> np.ndarray:  # noqa: ANN401, N803
        """Returns the predicted numbers, of the shape that `y` had."""
        outputs = self._outputs(X).astype("float64")
        numbers = self.scaler_.inverse_transform(outputs)
        return numbers[:, 0] if self._is_flat else numbers

    def __sklearn_tags__(self) -> Any:  # noqa: ANN401
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def _head(self, targets: np.ndarray) -> Head:
        return Regression(outputs=targets.shape[1])

    def _as_score(self, score: float) -> float:
        return 1.0 - float(score)


def _epochs(count: int, batch_size: int) -> int:
    steps = math.ceil(count / batch_size)
    return min(max(20, round(2000 / steps)), 200)


def _wants_one_hot(space: Any) -> bool:  # noqa: ANN401
    """Returns whether a space's networks compare with one-hot labels."""
    if isinstance(space, DenseNetwork | ConvNetwork):
        return False
    hp = keras_tuner.HyperParameters()
    model = space.build(hp) if hasattr(space, "build") else space(hp)
    loss = getattr(model, "loss", None)
    name = getattr(loss, "name", None) or getattr(loss, "__name__", loss)
    return str(name) in ("categorical_crossentropy", "CategoricalCrossentropy")
