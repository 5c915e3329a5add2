"""Compares others with the estimators, each with the same seconds.

Each method takes examples, targets, a budget of seconds and a seed, and returns
what predicts, with the number of models that it has compared.
"""

import dataclasses
import functools
import itertools
import time
from collections.abc import Callable
from collections.abc import Iterator
from typing import Any
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike

# Of what Keras is trained with by hand.
_EPOCHS, _PATIENCE, _BATCH = 200, 10, 32
_FOLDS = 5


@dataclasses.dataclass(frozen=True, kw_only=True)
class Fitted:
    """The best of all models that a method has compared.

    `predict` is a function from examples to labels or numbers.
    """

    predict: Callable[[np.ndarray], ArrayLike]
    compared: int


Method: TypeAlias = Callable[[np.ndarray, np.ndarray, float, int], Fitted]


def evolved(x: np.ndarray, y: np.ndarray, seconds: float, seed: int) -> Fitted:
    """Fits `EvoClassifier` or `EvoRegressor`, whose search takes `seconds`."""
    from keras_evonas.sklearn import EvoClassifier
    from keras_evonas.sklearn import EvoRegressor

    kind = EvoClassifier if _are_labels(y) else EvoRegressor
    model = kind(max_seconds=seconds, random_state=seed, verbose=0).fit(x, y)
    compared = len(model.tuner_.oracle.trials)
    return Fitted(predict=model.predict, compared=compared)


def by_hand(x: np.ndarray, y: np.ndarray, seconds: float, seed: int) -> Fitted:
    """Trains networks of Keras in the order in which a user may try them.

    A fifth of the examples compares them, and stops each; the best predicts.
    """
    import keras
    from sklearn.model_selection import train_test_split
    from sklearn.preprocessing import StandardScaler

    begun = time.perf_counter()
    labels = y if _are_labels(y) else None
    scaler, middle, spread = StandardScaler(), 0.0, 1.0
    if labels is None:
        middle, spread = float(y.mean()), float(y.std())
    train, val, y_train, y_val = train_test_split(
        x, (y - middle) / spread if labels is None else y,
        test_size=0.2, random_state=seed, stratify=labels,
    )  # fmt: skip
    train, val = scaler.fit_transform(train), scaler.transform(val)
    best: Any = None
    best_loss, compared = np.inf, 0
    for units, dropout, rate in _ideas():
        keras.backend.clear_session()
        keras.utils.set_random_seed(seed)
        model = keras.Sequential([keras.Input(x.shape[1:])])
        for width in units:
            model.add(keras.layers.Dense(width, activation="relu"))
            model.add(keras.layers.Dropout(dropout))
        if labels is None:
            model.add(keras.layers.Dense(1))
        else:
            outputs = int(y.max()) + 1
            model.add(keras.layers.Dense(outputs, activation="softmax"))
        model.compile(
            keras.optimizers.Adam(rate),
            "mse" if labels is None else "sparse_categorical_crossentropy",
        )
        stops = [
            keras.callbacks.EarlyStopping(
                patience=_PATIENCE, restore_best_weights=True
            ),
            keras.callbacks.LambdaCallback(
                on_epoch_end=functools.partial(_stop, model, begun + seconds)
            ),
        ]
        history = model.fit(
            train, y_train, validation_data=(val, y_val), epochs=_EPOCHS,
            batch_size=_BATCH, callbacks=stops, verbose=0,
        )  # fmt: skip
        compared += 1
        loss = min(history.history["val_loss"])
        if loss < best_loss:
            best, best_loss = model, loss
        if time.perf_counter() - begun >= seconds:
            break

    def predict(examples: np.ndarray) -> np.ndarray:
        outputs = best.predict(scaler.transform(examples), verbose=0)
        if labels is None:
            return np.asarray(outputs[:, 0] * spread + middle)
        return np.asarray(outputs.argmax(axis=1))

    return Fitted(predict=predict, compared=compared)


def _stop(model: Any, end: float, *_: object) -> None:  # noqa: ANN401 (Keras)
    if time.perf_counter() >= end:
        model.stop_training = True


def _ideas() -> Iterator[tuple[tuple[int, ...], float, float]]:
    """Yields layers, a dropout and a learning rate; the usual ones first."""
    widths = [(64, 64), (128,), (128, 128), (32, 32), (256, 256), (64, 64, 64)]
    rates, dropouts = [1e-3, 3e-3, 3e-4], [0.0, 0.3]
    for rate, dropout, units in itertools.product(rates, dropouts, widths):
        yield units, dropout, rate


def perceptron(
    x: np.ndarray, y: np.ndarray, seconds: float, seed: int
) -> Fitted:
    """Searches scikit-learn's multi-layer perceptrons at random."""
    from scipy import stats
    from sklearn.neural_network import MLPClassifier
    from sklearn.neural_network import MLPRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    kind = MLPClassifier if _are_labels(y) else MLPRegressor
    model = make_pipeline(StandardScaler(), kind(random_state=seed))
    name = kind.__name__.lower()
    space = {
        f"{name}__hidden_layer_sizes": [(64, 64), (128,), (128, 128), (256,)],
        f"{name}__alpha": stats.loguniform(1e-5, 1.0),
        f"{name}__learning_rate_init": stats.loguniform(3e-4, 1e-2),
        f"{name}__early_stopping": [False, True],
    }
    return _searched(model, space, x, y, seconds, seed)


def boosting(x: np.ndarray, y: np.ndarray, seconds: float, seed: int) -> Fitted:
    """Searches scikit-learn's gradient boosting at random."""
    from scipy import stats
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.ensemble import HistGradientBoostingRegressor

    model = (
        HistGradientBoostingClassifier
        if _are_labels(y)
        else HistGradientBoostingRegressor
    )(random_state=seed)
    space = {
        "learning_rate": stats.loguniform(0.02, 0.3),
        "max_iter": [50, 100, 200],
        "max_leaf_nodes": [4, 8, 15, 31],
        "min_samples_leaf": [5, 10, 20],
        "l2_regularization": stats.loguniform(1e-3, 10.0),
    }
    return _searched(model, space, x, y, seconds, seed)


def _searched(
    model: Any,  # noqa: ANN401 (scikit-learn has no types)
    space: dict[str, Any],
    x: np.ndarray,
    y: np.ndarray,
    seconds: float,
    seed: int,
) -> Fitted:
    """Compares the defaults and random settings by cross-validation."""
    import warnings

    from sklearn.base import clone
    from sklearn.model_selection import ParameterSampler
    from sklearn.model_selection import cross_val_score

    begun = time.perf_counter()
    drawn = ParameterSampler(space, 10_000, random_state=seed)
    best, best_score, compared = clone(model), -np.inf, 0
    with warnings.catch_warnings():
        # That a perceptron has not converged costs it its score.
        warnings.simplefilter("ignore")
        for settings in itertools.chain([{}], drawn):
            one = clone(model).set_params(**settings)
            score = cross_val_score(one, x, y, cv=_FOLDS).mean()
            compared += 1
            if score > best_score:
                best, best_score = one, score
            if time.perf_counter() - begun >= seconds:
                break
        fitted = best.fit(x, y)
    return Fitted(predict=fitted.predict, compared=compared)


def _are_labels(y: np.ndarray) -> bool:
    return bool(np.issubdtype(y.dtype, np.integer))


# The first one says how many seconds all others get.
METHODS: dict[str, Method] = {
    "EvoClassifier, EvoRegressor": evolved,
    "Keras by hand": by_hand,
    "scikit-learn's MLP": perceptron,
    "scikit-learn's gradient boosting": boosting,
}
