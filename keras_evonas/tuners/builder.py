"""Building the networks of a search, and loading them again."""

import dataclasses
import os
import warnings
import weakref
from collections.abc import Mapping
from typing import Any

import keras
import keras_tuner
from keras_tuner.engine import tuner as host

from keras_evonas.models.evolvable import EvolvableModel
from keras_evonas.models.net2net import inherit_weights
from keras_evonas.oracles.fidelity import CONTINUES
from keras_evonas.oracles.fidelity import INHERITS
from keras_evonas.training import Execution
from keras_evonas.training.checkpoints import build_again
from keras_evonas.training.checkpoints import read_weights
from keras_evonas.training.last_state import restore
from keras_evonas.tuners.trial_files import TrialFiles

# The trainable weights of all networks that were built and are still there, by
# their identities.
_WEIGHTS: weakref.WeakValueDictionary[int, keras.Variable] = (
    weakref.WeakValueDictionary()
)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class NetworkBuilder:
    """Builds and compiles networks, with the arguments of a tuner for it."""

    hypermodel: keras_tuner.HyperModel
    files: TrialFiles
    optimizer: Any = None
    loss: Any = None
    metrics: Any = None
    max_model_size: int | None = None
    distribution_strategy: Any = None

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        """Builds and compiles the network of some hyperparameters.

        Raises:
            keras_tuner.errors.FatalTypeError: If the hypermodel returns
                something else than a model.
            keras_tuner.errors.FailedTrialError: If it is too large.
        """
        with host.maybe_distribute(self.distribution_strategy):
            model = self.hypermodel.build(hp)
            if not isinstance(model, keras.Model):
                raise keras_tuner.errors.FatalTypeError(
                    "`hypermodel` must return a compiled `keras.Model`. "
                    f"Received: {model!r} of type {type(model).__name__}, for "
                    f"the values {hp.values}.{_way_out(model)}"
                )
            self._compile(model)
        _warn_of_shared_weights(model)
        size = model.count_params() if model.built else 0
        if self.max_model_size and size > self.max_model_size:
            raise keras_tuner.errors.FailedTrialError(
                f"It has {size} parameters, and `max_model_size` is "
                f"{self.max_model_size}."
            )
        return model

    def _compile(self, model: keras.Model) -> None:
        """Compiles a model anew if something is to be replaced.

        keras-tuner 1.4.8 loses the metrics of a model whose optimizer it
        replaces, lets all networks share one metric object, and fails for
        models that are not compiled. Here a model keeps what is not replaced,
        and gets copies.
        """
        given = {
            "optimizer": self.optimizer,
            "loss": self.loss,
            "metrics": self.metrics,
        }
        copies = {name: _copied(part) for name, part in given.items() if part}
        if copies:
            model.compile(**{**_compiled_with(model), **copies})

    def build_for(self, execution: Execution) -> keras.Model:
        """Builds the network of an execution with the weights it begins with.

        Those of its parent as far as they fit, or new ones. One that continues
        a trial begins where its training ended, the optimizer and dropout
        included.
        """
        hp = execution.hyperparameters
        model = self.build(hp)
        continued = hp.values.get(CONTINUES)
        if continued:
            with host.maybe_distribute(self.distribution_strategy):
                self._go_on(model, continued, execution.number)
        parent = hp.values.get(INHERITS)
        if parent:
            if not model.built:
                raise keras_tuner.errors.FatalValueError(
                    "`inherit_weights` needs models that know the shape of "
                    f"their input. Received: {model.name!r}, which is not "
                    "built. Begin it with `keras.Input`."
                )
            trained = self.load(parent, execution.parent_hyperparameters)
            inherit_weights(
                trained,
                model,
                by_name=isinstance(self.hypermodel, EvolvableModel),
                seed=execution.seed,
            )
        return model

    def _go_on(self, model: keras.Model, trial_id: str, number: int) -> None:
        """Gives a network what one of a trial's executions has ended with."""
        if not model.built:
            build_again(model, self.files.build_config_of(trial_id))
        state = self.files.state_of(trial_id, number)
        if os.path.exists(state):
            restore(model, state)
        else:  # An earlier version wrote none, and there were fewer executions.
            read_weights(model, self._kept_weights(trial_id))

    def load(
        self, trial_id: str, hp: keras_tuner.HyperParameters
    ) -> keras.Model:
        """Builds the network of a trial with the weights of its best epoch.

        Raises:
            ValueError: If its weights were not kept.
        """
        path = self._kept_weights(trial_id)
        model = self.build(hp)
        if not model.built:
            build_again(model, self.files.build_config_of(trial_id))
        if not model.built:
            raise ValueError(
                "`hypermodel` must build models whose weights are made by "
                f"then, or when they are called. Received: {model.name!r}, "
                "which makes them when it is trained. Build its parts in "
                f"`build`, or make them and call `load_weights('{path}')`."
            )
        read_weights(model, path)
        return model

    def _kept_weights(self, trial_id: str) -> str:
        path = self.files.weights_of(trial_id)
        if not os.path.exists(path):
            raise ValueError(
                f"The weights of trial {trial_id} were not kept. Build it "
                "anew with `tuner.hypermodel.build(trial.hyperparameters)`, "
                "or search with `keep_checkpoints='all'` or a larger `top_k`. "
                "A `fit` of the hypermodel's own must pass `callbacks` on to "
                "`model.fit`, which keep them."
            )
        return path


def _way_out(model: object) -> str:
    if not hasattr(model, "fit") or not hasattr(model, "get_params"):
        return ""
    return (
        " For scikit-learn's models take "
        "`keras_tuner.SklearnTuner(oracle=EvoOracle(...), hypermodel=...)`."
    )


def _warn_of_shared_weights(model: keras.Model) -> None:
    """Warns if a network trains weights that another one has, too.

    Each would go on with what those before it have learnt.
    """
    for weight in model.trainable_variables:
        if id(weight) in _WEIGHTS:
            warnings.warn(
                "Networks must have trainable weights of their own. Received: "
                f"a `hypermodel` that gives several networks '{weight.path}', "
                "so that each goes on from what those before it have learnt. "
                "Make the layer inside of `build`, or freeze it with "
                "`layer.trainable = False`.",
                stacklevel=2,
            )
            return
        _WEIGHTS[id(weight)] = weight


def _compiled_with(model: keras.Model) -> Mapping[str, Any]:
    """Returns the arguments that `compile` was called with, if it was."""
    if not model.compiled:
        return {}
    # Keras (3.10 to 3.15) keeps them here. Its public `get_compile_config`
    # turns them into text, and cannot turn a user's own class back.
    return dict(model._compile_config.config)  # noqa: SLF001


def _copied(structure: object) -> object:
    """Copies optimizers, losses and metrics: they hold a network's state."""

    def copy(leaf: object) -> object:
        kinds = (keras.Optimizer, keras.Loss, keras.Metric)
        if not isinstance(leaf, kinds):
            return leaf  # A name or a function.
        return type(leaf).from_config(leaf.get_config())

    return keras.tree.map_structure(copy, structure)
