"""Optimizers whose settings are part of the search.

Each is a function from `hp` to a Keras optimizer, which is what the
hypermodels of this package take as `optimizer`; write your own the same way.
"""

from collections.abc import Callable
from typing import Any
from typing import TypeAlias

import keras
import keras_tuner

TunedOptimizer: TypeAlias = Callable[
    [keras_tuner.HyperParameters], keras.optimizers.Optimizer
]


def tuned_sgd(hp: keras_tuner.HyperParameters) -> keras.optimizers.Optimizer:
    """Returns stochastic gradient descent with momentum.

    Asks for `sgd/learning_rate`, from 0.001 to 0.3 on a logarithmic scale, by
    default 0.01, and `sgd/momentum`, from 0.5 to 0.99, by default 0.9.
    """
    return keras.optimizers.SGD(**_sgd_settings(hp))


def tuned_adam(hp: keras_tuner.HyperParameters) -> keras.optimizers.Optimizer:
    """Returns Adam (Kingma & Ba, 2015).

    Asks for `adam/learning_rate`, from 0.0001 to 0.03 on a logarithmic scale,
    by default 0.001.
    """
    return keras.optimizers.Adam(**_adam_settings(hp))


def tuned_sgd_or_adam(
    hp: keras_tuner.HyperParameters,
) -> keras.optimizers.Optimizer:
    """Asks for `optimizer`, and returns what `tuned_sgd` or `tuned_adam` do."""
    name = hp.Choice("optimizer", ["sgd", "adam"], default="sgd")
    with hp.conditional_scope("optimizer", ["sgd"]):
        sgd = _sgd_settings(hp)
    with hp.conditional_scope("optimizer", ["adam"]):
        adam = _adam_settings(hp)
    if name == "sgd":
        return keras.optimizers.SGD(**sgd)
    return keras.optimizers.Adam(**adam)


def _sgd_settings(hp: keras_tuner.HyperParameters) -> dict[str, Any]:
    return {
        "learning_rate": hp.Float(
            "sgd/learning_rate", 1e-3, 0.3, sampling="log", default=0.01
        ),
        "momentum": hp.Float(
            "sgd/momentum", 0.5, 0.99, sampling="reverse_log", default=0.9
        ),
    }


def _adam_settings(hp: keras_tuner.HyperParameters) -> dict[str, Any]:
    return {
        "learning_rate": hp.Float(
            "adam/learning_rate", 1e-4, 0.03, sampling="log", default=1e-3
        )
    }
