"""Devices that networks are spread over, by Keras or by TensorFlow."""

import warnings

import keras
import tensorflow as tf


def clear_session() -> None:
    """Clears Keras's session, but keeps the distribution.

    `keras.backend.clear_session` (Keras 3.15) forgets what
    `keras.distribution.set_distribution` was told, and networks would train
    on one device.
    """
    distribution = keras.distribution.distribution()
    keras.backend.clear_session()
    keras.distribution.set_distribution(distribution)


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


class DistributionWatch:
    """Notices that a tuner does not use the devices that it was to use."""

    def __init__(self) -> None:
        self._distribution: object | None = None

    def look(self) -> None:
        """Looks before a network is built, and warns of a lost distribution.

        keras-tuner 1.4.8 clears Keras's session between two looks.

        Raises:
            ValueError: As for `check_reached`.
        """
        check_reached()
        before = self._distribution
        self._distribution = keras.distribution.distribution()
        if before is not None and self._distribution is None:
            warnings.warn(
                "A network was trained on one device: the tuner has forgotten "
                f"the distribution {before} when it built one. Pass the "
                "oracle to `keras_evonas.EvoTuner`, which keeps it, or call "
                "`keras.distribution.set_distribution` in the hypermodel's "
                "`build`.",
                stacklevel=2,
            )
