"""Saves a model so that what is saved is known to be the model."""

import os
import pathlib
import warnings

import keras
import numpy as np

from keras_evonas.training.values import Values

_OF_YOUR_OWN = (
    "See `keras.saving.register_keras_serializable` for layers and functions "
    "of your own, and `keras.config.enable_unsafe_deserialization` for "
    "`Lambda` layers."
)


def save(
    model: keras.Model,
    path: pathlib.Path,
    *,
    name: str,
    examples: Values,
    way_out: str,
) -> None:
    """Saves a model, and makes sure that it predicts the same when loaded.

    Args:
        model: A built model.
        path: Where to save, written whole or not at all.
        name: The name of the network in messages.
        examples: Inputs by which both are compared.
        way_out: A sentence for messages, what can be done.

    Raises:
        RuntimeError: If the model cannot be saved or loaded, or predicts
            something else.
    """
    if model.optimizer is not None:
        # Keras 3.15 complains when it loads one without variables.
        model.optimizer.build(model.trainable_variables)
    temporary = path.with_name(f"{path.stem}.tmp.keras")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        try:
            model.save(temporary)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # `load` will say it again.
                loaded = load(temporary)
        except Exception as error:
            raise RuntimeError(
                "The winner must be a model that `save` and `load_model` can "
                f"handle. Received: {name}, which fails with {error!r}. "
                f"{way_out} {_OF_YOUR_OWN}"
            ) from error
        expected = keras.tree.flatten(model.predict(examples, verbose=0))
        found = keras.tree.flatten(loaded.predict(examples, verbose=0))
        for one, other in zip(expected, found, strict=True):
            if not np.allclose(one, other, rtol=1e-4, atol=1e-5):
                raise RuntimeError(
                    "The winner must predict the same after it was saved and "
                    f"loaded. Received: {name}, whose predictions differ by "
                    f"{np.abs(one - other).max()}. {way_out} {_OF_YOUR_OWN}"
                )
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def load(path: pathlib.Path) -> keras.Model:
    """Loads a model, without its loss if Keras does not know that.

    Warns:
        UserWarning: If it comes without its loss, metrics and optimizer.
    """
    try:
        return keras.models.load_model(path)
    except Exception as error:
        try:
            model = keras.models.load_model(path, compile=False)
        except Exception:
            raise error from None
        warnings.warn(
            f"{path} was loaded without its loss, metrics and optimizer, which "
            f"fail with {error!r}. It predicts as it should; compile it to "
            "evaluate it, or register functions of your own with "
            "`keras.saving.register_keras_serializable`.",
            stacklevel=3,
        )
        return model
