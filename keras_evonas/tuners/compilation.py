"""Compiling in the tuner's place: its `optimizer`, `loss` and `metrics`."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import keras


@dataclasses.dataclass(frozen=True, kw_only=True)
class Compilation:
    """The arguments of a tuner that replace those of `compile`.

    keras-tuner 1.4.8 loses the metrics of a model whose optimizer it replaces,
    lets all networks share one metric object, and fails for models that are
    not compiled. Here a model keeps what is not replaced, and gets copies.

    Args:
        optimizer: An optimizer or its name, or `None` to keep the model's.
        loss: A loss, or `None`; as in `keras.Model.compile`.
        metrics: Metrics, or `None`; as in `keras.Model.compile`.
    """

    optimizer: Any = None
    loss: Any = None
    metrics: Any = None

    def apply(self, model: keras.Model) -> None:
        """Compiles a model anew if something is to be replaced.

        Args:
            model: A model that was just built, compiled or not.
        """
        given = {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)
            if getattr(self, field.name)
        }
        if given:
            copies = {name: _copied(part) for name, part in given.items()}
            model.compile(**{**_compiled_with(model), **copies})


def _compiled_with(model: keras.Model) -> Mapping[str, Any]:
    """Returns the arguments that `compile` was called with, if it was."""
    if not model.compiled:
        return {}
    # Keras (3.10 to 3.15) keeps them here. Its public `get_compile_config`
    # turns them into text, and cannot turn a user's own class back.
    return dict(model._compile_config.config)


def _copied(structure: object) -> object:
    """Copies optimizers, losses and metrics: they hold a network's state."""

    def copy(leaf: object) -> object:
        kinds = (keras.Optimizer, keras.Loss, keras.Metric)
        if not isinstance(leaf, kinds):
            return leaf  # A name or a function.
        return type(leaf).from_config(leaf.get_config())

    return keras.tree.map_structure(copy, structure)
