"""Devices that networks are spread over, by Keras or by TensorFlow."""

import warnings
from collections.abc import Callable

import keras
import tensorflow as tf

from keras_evonas.keras_settings import KerasSettings


def clear_session() -> None:
    """Clears Keras's session, but keeps the distribution and the settings.

    `keras.backend.clear_session` (Keras 3.15) forgets what
    `keras.distribution.set_distribution` and `keras.config` were told:
    networks would train on one device, and in another precision.
    """
    restore = restorer()
    keras.backend.clear_session()
    restore()


def restorer() -> Callable[[], None]:
    """Returns a function that gives Keras what clearing it will lose."""
    distribution = keras.distribution.distribution()
    settings = KerasSettings.now()

    def restore() -> None:
        keras.distribution.set_distribution(distribution)
        settings.apply()

    return restore


def check_reached() -> None:
    """Checks that networks train on the devices that the user asked for.

    Raises:
        ValueError: If the scope of a distribution strategy is open, or if
            there is a distribution that the backend does not know.
    """
    if tf.distribute.has_strategy():
        # Clearing Keras's session between networks drops the graph, and with
        # it the scope; threads and processes that train are out of it anyway.
        raise ValueError(
            "A search, and all that trains its networks, must not be called "
            "in the scope of a distribution strategy, which does not reach "
            "all networks. Received: the scope of "
            f"{tf.distribute.get_strategy()!r}. Call it outside of the scope, "
            "and pass `distribution_strategy=` to the tuner."
        )
    distribution = keras.distribution.distribution()
    if distribution is not None and keras.config.backend() == "tensorflow":
        raise ValueError(
            "`keras.distribution.set_distribution` must not be called where "
            "Keras runs on TensorFlow, which would train on one device all "
            f"the same. Received: {distribution}. Leave it out, and pass "
            "`distribution_strategy=` to the tuner."
        )


def warn_of_other_processes() -> None:
    """Warns if there is a distribution, which other processes do not know."""
    distribution = keras.distribution.distribution()
    if distribution is not None:
        warnings.warn(
            "`executor` trains in processes that do not know the distribution "
            f"{distribution} of this one. Leave `executor` out, or call "
            "`keras.distribution.set_distribution` in the hypermodel's "
            "`build`.",
            stacklevel=2,
        )


class Watch:
    """Notices that a tuner has forgotten what networks are to train on."""

    def __init__(self) -> None:
        self._distribution: object | None = None
        self._dtype_policy: keras.DTypePolicy | None = None

    def look(self) -> None:
        """Looks before a network is built, and warns of what was lost.

        keras-tuner 1.4.8 clears Keras's session between two looks.

        Raises:
            ValueError: As for `check_reached`.
        """
        check_reached()
        distribution = self._distribution
        self._distribution = keras.distribution.distribution()
        if distribution is not None and self._distribution is None:
            _warn_of_lost(
                "was trained on one device",
                f"the distribution {distribution}",
                "keras.distribution.set_distribution",
            )
        policy, now = self._dtype_policy, keras.config.dtype_policy()
        self._dtype_policy = now
        is_default = now.name == keras.config.floatx()
        if policy is not None and is_default and policy.name != now.name:
            _warn_of_lost(
                f"was trained in {now.name}",
                f"the dtype policy {policy.name}",
                "keras.config.set_dtype_policy",
            )


def _warn_of_lost(happened: str, lost: str, function: str) -> None:
    warnings.warn(
        f"A network {happened}: the tuner has forgotten {lost} when it built "
        "one. Pass the oracle to `keras_evonas.EvoTuner`, which keeps it, or "
        f"call `{function}` in the hypermodel's `build`.",
        stacklevel=3,
    )
