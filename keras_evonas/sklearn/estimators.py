"""`EvoClassifier` and `EvoRegressor`."""

from numbers import Number

import numpy as np
import scipy.sparse
import scipy.special
import sklearn.base
import sklearn.preprocessing
import sklearn.utils
from sklearn.utils import multiclass
from sklearn.utils import validation

from keras_evonas.models.heads import Classification
from keras_evonas.models.heads import Regression
from keras_evonas.sklearn import preparation
from keras_evonas.sklearn.searching import SearchingEstimator
from keras_evonas.training.values import Values


class EvoClassifier(sklearn.base.ClassifierMixin, SearchingEstimator):
    """Searches a network that classifies, and predicts with it.

    A scikit-learn estimator, for pipelines and cross-validation as well. The
    search is an `EvolutionarySearch`; the best network is trained again on all
    data.

    Inputs are a table, images of shape `(n, height, width, channels)`, or a
    DataFrame, whose categories, dates and gaps are encoded. They are scaled.
    Labels may be strings.

    Args:
        space: The search space: a `keras_tuner.HyperModel`, a function that
            takes hyperparameters and returns a compiled model, or a Keras
            model, whose relatives are searched with its weights (see
            `keras_evonas.models.evolvable`). Labels are passed on as integers
            from 0, or one-hot where the loss is categorical cross-entropy.
            Defaults to `None`: a `DenseNetwork` or a linear network for
            tables, a `ConvNetwork` for images.
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
        refit: Boolean or integer, how many times the network of the best trial
            is trained again, each leaving out another part of all data by
            which its training stops early; the outputs of these networks are
            averaged. 1 is one training on all data, for as many epochs as were
            best. `True` is 5. With `False` the network of the search predicts,
            and so it does where `space` is a Keras model or a hypermodel with
            a `fit` of its own. Defaults to `True`.
        directory: Where the search is kept, in a project folder of its own
            for each set of data and arguments, so that `fit` goes on after an
            interruption (if `random_state` is an integer) and
            `keras_evonas.reports` can read it. `max_trials` and `max_seconds`
            may be raised: they do not tell searches apart, so that a smaller
            number finds all trials of the larger search. Defaults to `None`,
            a temporary folder.
        random_state: Integer, `RandomState` or `None`.
        verbose: Integer, 1 for a line a trial. Defaults to 0.

    Attributes:
        classes_: The labels.
        model_: The Keras model that predicts; for inputs that `encoder_` has
            encoded.
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

    def fit(
        self, X: Values, y: Values, sample_weight: Values = None
    ) -> "EvoClassifier":
        """Searches a network for labelled examples.

        Args:
            X: Table, images or DataFrame.
            y: Labels, one for each example.
            sample_weight: Numbers, one for each example: how much its loss
                counts beside that of others. For classes that are rare,
                `sklearn.utils.compute_sample_weight("balanced", y)`. Networks
                are compared by their accuracy, for which all examples count
                alike. Defaults to `None`, all alike.

        Returns:
            The estimator.

        Raises:
            ValueError: If there are fewer than two classes, or data that no
                network can be trained with.
            RuntimeError: If all trials fail.
        """
        if preparation.is_frame(X):
            X, y = self._checked(X, y=y)
            y = sklearn.utils.column_or_1d(y, warn=True)
            validation.check_consistent_length(X, y)
        else:
            X, y = self._checked(X, y=y, ensure_min_samples=2)
        _check_labels(y)
        multiclass.check_classification_targets(y)
        self.classes_, labels = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(
                "`y` must have at least two classes. Received: one class, "
                f"{self.classes_.tolist()}."
            )
        weights = preparation.checked_weights(sample_weight, len(labels))
        self._search(X, labels.astype("int64"), weights)
        return self

    def predict_proba(self, X: Values) -> np.ndarray:
        """Returns the probability of each class, `(n, classes)`."""
        outputs = self._outputs(X)
        if outputs.shape[-1] == 1:  # a sigmoid of the user's own space
            other = 0 * outputs if self._gives_logits else 1 - outputs
            outputs = np.concatenate([other, outputs], axis=1)
        if self._gives_logits:
            outputs = scipy.special.softmax(outputs, axis=1)
        return np.asarray(outputs / outputs.sum(axis=1, keepdims=True))

    def predict(self, X: Values) -> np.ndarray:
        """Returns the likeliest label of each example."""
        likeliest = self.predict_proba(X).argmax(axis=1)
        labels: np.ndarray = self.classes_[likeliest]
        return labels

    def _head(self, targets: np.ndarray) -> Classification | Regression:
        del targets
        return Classification(classes=len(self.classes_), labels="integer")

    def _labels(self, targets: np.ndarray) -> np.ndarray | None:
        return targets if targets.ndim == 1 else targets.argmax(axis=1)

    def _as_score(self, score: float) -> float:
        return float(score)


def _check_labels(labels: np.ndarray) -> None:
    """Checks that every example has a label."""
    if labels.dtype != object:
        return
    kinds = {
        type(label).__name__
        for label in labels
        if not isinstance(label, str | Number | np.bool_)
    }
    # A number that is not equal to itself is NaN.
    if not kinds and any(label != label for label in labels):
        kinds = {"NaN"}
    if kinds:
        raise ValueError(
            "`y` must have a label, text or a number, for each example. "
            f"Received: labels of type {', '.join(sorted(kinds))}. Drop these "
            "rows, or give them a label of their own."
        )
    if len({isinstance(label, str) for label in labels}) > 1:
        kinds = {type(label).__name__ for label in labels}
        raise ValueError(
            "`y` must have labels that are all text or all numbers. Received: "
            f"labels of type {', '.join(sorted(kinds))}. Convert them: "
            "`y.astype(str)`."
        )


class EvoRegressor(sklearn.base.RegressorMixin, SearchingEstimator):
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

    def fit(
        self, X: Values, y: Values, sample_weight: Values = None
    ) -> "EvoRegressor":
        """Searches a network for examples with their targets.

        Args:
            X: Table, images or DataFrame.
            y: Numbers of shape `(n,)` or `(n, outputs)`.
            sample_weight: Numbers, one for each example: how much its loss
                counts beside that of others, in training and where networks
                are compared. Defaults to `None`, all alike.

        Returns:
            The estimator.

        Raises:
            ValueError: If no network can be trained with the data.
            RuntimeError: If all trials fail.
        """
        if preparation.is_frame(X):
            X, y = self._checked(X, y=y)
            y = validation.check_array(y, ensure_2d=False, dtype="numeric")
            validation.check_consistent_length(X, y)
        else:
            X, y = self._checked(
                X,
                y=y,
                multi_output=True,
                y_numeric=True,
                ensure_min_samples=2,
            )
        if scipy.sparse.issparse(y):
            raise ValueError(
                "`y` must be dense. Received: a sparse matrix. Pass "
                "`y.toarray()`."
            )
        y = np.asarray(y, "float64")
        self._is_flat = y.ndim == 1
        targets = y.reshape(len(y), -1)
        weights = preparation.checked_weights(sample_weight, len(targets))
        self.scaler_ = sklearn.preprocessing.StandardScaler()
        with np.errstate(over="ignore", invalid="ignore"):
            self.scaler_.fit(targets, sample_weight=weights)
            scaled = np.asarray(self.scaler_.transform(targets), "float32")
        preparation.check_scaled("y", scaled)
        self._search(X, scaled, weights)
        return self

    def predict(self, X: Values) -> np.ndarray:
        """Returns the predicted numbers, of the shape that `y` had."""
        outputs = self._outputs(X)
        numbers = self.scaler_.inverse_transform(outputs)
        return np.asarray(numbers[:, 0] if self._is_flat else numbers)

    def __sklearn_tags__(self) -> Values:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def _head(self, targets: np.ndarray) -> Classification | Regression:
        return Regression(outputs=targets.shape[1])

    def _labels(self, targets: np.ndarray) -> np.ndarray | None:
        del targets
        return None

    def _as_score(self, score: float) -> float:
        return 1.0 - float(score)
