"""Building the networks of a search, and loading them again."""

import dataclasses
import os
from typing import Any

import keras
import keras_tuner
from keras_tuner.engine import tuner as host

from keras_evonas.models.net2net import inherit_weights
from keras_evonas.oracles.fidelity import CONTINUES
from keras_evonas.oracles.fidelity import INHERITS
from keras_evonas.training import Execution
from keras_evonas.training.checkpoints import build_again
from keras_evonas.training.checkpoints import read_weights
from keras_evonas.tuners.compilation import Compilation
from keras_evonas.tuners.trial_files import TrialFiles


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class NetworkBuilder:
    """Builds and compiles networks from hyperparameters.

    Args:
        hypermodel: The `keras_tuner.HyperModel`.
        compilation: What replaces the networks' own optimizer and so on.
        files: Where the weights of trials are.
        max_model_size: Integer, the most parameters that a network may have,
            or `None`.
        distribution_strategy: A `tf.distribute.Strategy`, or `None`.
    """

    hypermodel: keras_tuner.HyperModel
    compilation: Compilation
    files: TrialFiles
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
                    f"Received: {model!r} of type {type(model).__name__}."
                )
            self.compilation.apply(model)
        size = model.count_params() if model.built else 0
        if self.max_model_size and size > self.max_model_size:
            raise keras_tuner.errors.FailedTrialError(
                f"It has {size} parameters, and `max_model_size` is "
                f"{self.max_model_size}."
            )
        return model

    def build_for(self, execution: Execution) -> keras.Model:
        """Builds the network of an execution with the weights it begins with.

        Those of the trial that it continues, or of its parent as far as they
        fit; otherwise new ones.
        """
        hp = execution.hyperparameters
        model = self.build(hp)
        continued = hp.values.get(CONTINUES)
        if continued:
            if not model.built:
                build_again(model, self.files.build_config_of(continued))
            read_weights(model, self.files.weights_of(continued))
        parent = hp.values.get(INHERITS)
        if parent:
            if not model.built:
                raise keras_tuner.errors.FatalValueError(
                    "`inherit_weights` needs models that know the shape of "
                    f"their input. Received: {model.name!r}, which is not "
                    "built. Begin it with `keras.Input`."
                )
            trained = self.load(parent, execution.parent_hyperparameters)
            inherit_weights(trained, model, seed=execution.seed)
        return model

    def load(
        self, trial_id: str, hp: keras_tuner.HyperParameters
    ) -> keras.Model:
        """Builds the network of a trial with the weights of its best epoch.

        Raises:
            ValueError: If its weights were not kept.
        """
        path = self.files.weights_of(trial_id)
        if not os.path.exists(path):
            raise ValueError(
                f"The weights of trial {trial_id} were not kept. Build it "
                "anew with `tuner.hypermodel.build(trial.hyperparameters)`, "
                "or search with `keep_checkpoints='all'` or a larger `top_k`."
            )
        model = self.build(hp)
        if not model.built:
            build_again(model, self.files.build_config_of(trial_id))
        read_weights(model, path)
        return model
