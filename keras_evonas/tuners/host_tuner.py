"""keras-tuner's Tuner, mended.

What a tuner of this package needs from keras-tuner 1.4.8 and does not get:
training that follows from a seed, arguments of `fit` as hyperparameters,
`HyperbandOracle` outside of `Hyperband`, an error that names the callback that
cannot be copied, no tensorboard unless it is used, checkpoints that do not
fill the disk, and best models that are trained ones. Nothing here knows about
cohorts.
"""

import dataclasses
import os
import pathlib
from collections.abc import Callable
from collections.abc import Mapping
from typing import Any

import keras
import keras_tuner
from keras_tuner.engine import trial as trial_lib

from keras_evonas.evolution.randomness import check_seed
from keras_evonas.models.costs import HypermodelCosts
from keras_evonas.models.explanation import explored
from keras_evonas.models.net2net import inherit_weights
from keras_evonas.oracles.fidelity import INHERITS
from keras_evonas.oracles.oracle import EvoOracle
from keras_evonas.project import curves as curves_lib
from keras_evonas.project import lock as project_lock
from keras_evonas.project.files import write_json
from keras_evonas.training import callbacks as callback_lib
from keras_evonas.training.checkpoints import build_again
from keras_evonas.training.checkpoints import read_weights
from keras_evonas.tuners import sizing
from keras_evonas.tuners.trial_files import TrialFiles
from keras_evonas.tuners.trial_files import completed

Trial = trial_lib.Trial
FitArgumentsOf = Callable[[keras_tuner.HyperParameters], Mapping[str, Any]]


class MendedTuner(keras_tuner.Tuner):
    """A Tuner to derive from; arguments as for `EvoTuner`."""

    def __init__(
        self,
        oracle: keras_tuner.Oracle,
        hypermodel: Any,
        *,
        files: Callable[[str], TrialFiles],
        fit_arguments: FitArgumentsOf | None,
        seed: int | None,
        max_model_size: int | None,
        optimizer: Any,
        loss: Any,
        metrics: Any,
        distribution_strategy: Any,
        directory: Any,
        project_name: str | None,
        tuner_id: str | None,
        overwrite: bool,
        executions_per_trial: int,
    ) -> None:
        self.fit_arguments = fit_arguments
        self._seed = None if seed is None else check_seed(seed)
        # In distributed search `self.oracle` becomes a client of the chief.
        self._local_oracle = oracle
        self._execution = 0
        self._histories: list[dict[str, list[float]]] = []
        self._params: int | None = None
        if overwrite:
            name = project_name or "untitled_project"
            project_lock.check_free(pathlib.Path(directory or ".", name))
        super().__init__(
            oracle=oracle,
            hypermodel=hypermodel,
            max_model_size=max_model_size,
            optimizer=optimizer,
            loss=loss,
            metrics=metrics,
            distribution_strategy=distribution_strategy,
            directory=directory,
            project_name=project_name,
            tuner_id=tuner_id,
            overwrite=overwrite,
            executions_per_trial=executions_per_trial,
        )
        self._files = files(self.project_dir)
        self._provide_costs(oracle)
        self._check_space(oracle)

    def _provide_costs(self, oracle: keras_tuner.Oracle) -> None:
        """Lets an oracle judge networks before they are trained.

        It costs a build for each candidate, so only where the search needs
        it, or where the largest network might not fit into the memory.
        """
        if getattr(oracle, "costs", self) is not None:
            return
        is_new = not oracle.trials
        if oracle.needed_costs or (
            is_new
            and sizing.may_exceed_memory(
                self._checked_model, oracle.hyperparameters
            )
        ):
            oracle.costs = HypermodelCosts(self.hypermodel)

    def _check_space(self, oracle: keras_tuner.Oracle) -> None:
        """Refuses the folder of a search that another hypermodel began."""
        if not isinstance(oracle, EvoOracle) or not oracle.trials:
            return
        if self.hypermodel is None:
            return
        try:
            asked = explored(self.hypermodel)
        except Exception:
            # It cannot be built without memory. Trials will tell.
            return
        if self.fit_arguments is not None:
            self.fit_arguments(asked)
        oracle.check_space(asked)

    def _tell_shapes(self, x: Any) -> None:
        """Lets networks be judged that learn their shapes from the data."""
        oracle = self._local_oracle
        costs = getattr(oracle, "costs", None)
        if not isinstance(costs, HypermodelCosts) or costs.input_shapes:
            return
        try:
            costs(oracle.get_space())
        except ValueError:  # It is raised again where nothing can be built.
            shapes = sizing.shapes_of(x)
            oracle.judge_by(dataclasses.replace(costs, input_shapes=shapes))

    @property
    def _training_seed(self) -> int:
        seed = self._seed
        if seed is None:
            seed = int(getattr(self._local_oracle, "seed", 0))
        # Keras takes 32 bits, and other trainings take the seeds after it.
        return seed % 2**31

    # Its own file.

    def save(self) -> None:
        """Saves the tuner and, where it is here, the oracle."""
        if not self._is_worker():
            self.oracle.save()
        # keras-tuner 1.4.8 writes it in place.
        write_json(self._get_tuner_fname(), self.get_state(), durable=False)

    # Building.

    def _populate_initial_space(self) -> None:
        super()._populate_initial_space()
        if self.fit_arguments is not None:
            hp = self.oracle.get_space()
            self.fit_arguments(hp)
            self.oracle.update_space(hp)

    def _checked_model(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        model = self._build_hypermodel(hp)
        if not isinstance(model, keras.Model):
            raise keras_tuner.errors.FatalTypeError(
                "`hypermodel` must return a compiled `keras.Model`. Received: "
                f"{model!r} of type {type(model).__name__}."
            )
        size = model.count_params() if model.built else 0
        if self.max_model_size and size > self.max_model_size:
            raise keras_tuner.errors.FailedTrialError(
                f"It has {size} parameters, and `max_model_size` is "
                f"{self.max_model_size}."
            )
        return model

    def _build_from_parent(
        self, model: keras.Model, hp: keras_tuner.HyperParameters
    ) -> None:
        """Creates the weights that those of another trial are loaded into."""
        parent = hp.values.get("tuner/trial_id")
        if parent and not model.built:
            build_again(model, self._files.build_config_of(parent))

    def _inherit(
        self, model: keras.Model, hp: keras_tuner.HyperParameters, seed: int
    ) -> None:
        """Gives a child the weights of its parent, if it inherits."""
        parent = hp.values.get(INHERITS)
        if not parent:
            return
        if not model.built:
            raise keras_tuner.errors.FatalValueError(
                "`inherit_weights` needs models that know the shape of their "
                f"input. Received: {model.name!r}, which is not built. Begin "
                "it with `keras.Input`."
            )
        trained = self.load_model(self.oracle.get_trial(parent))
        inherit_weights(trained, model, seed=seed)

    def _fit_changes(self, hp: keras_tuner.HyperParameters) -> dict[str, Any]:
        """The arguments of `fit` that are a trial's own."""
        changes: dict[str, Any] = {}
        if self.fit_arguments is not None:
            changes.update(self.fit_arguments(hp))
        if "tuner/epochs" in hp.values:  # Of `HyperbandOracle`.
            changes["epochs"] = hp.values["tuner/epochs"]
            changes["initial_epoch"] = hp.values["tuner/initial_epoch"]
        return changes

    # Callbacks.

    def _deepcopy_callbacks(self, callbacks: Any) -> list[Any]:
        return callback_lib.copied(callbacks)

    def _configure_tensorboard_dir(
        self, callbacks: list[Any], trial: Trial, execution: int = 0
    ) -> None:
        # keras-tuner 1.4.8 imports tensorboard even if nobody uses it.
        if any(isinstance(c, keras.callbacks.TensorBoard) for c in callbacks):
            super()._configure_tensorboard_dir(callbacks, trial, execution)

    # Training alone.

    def run_trial(self, trial: Trial, *args: Any, **kwargs: Any) -> Any:
        """Evaluates a trial alone; see `keras_tuner.Tuner`."""
        self._execution = 0
        changes = self._fit_changes(trial.hyperparameters)
        return super().run_trial(trial, *args, **{**kwargs, **changes})

    def _build_and_fit_model(
        self, trial: Trial, *args: Any, **kwargs: Any
    ) -> Any:
        keras.utils.set_random_seed(self._training_seed + self._execution)
        self._execution += 1
        hp = trial.hyperparameters
        model = self._try_build(hp)
        parent = hp.values.get("tuner/trial_id")
        if parent:
            self._build_from_parent(model, hp)
            read_weights(model, self._files.weights_of(parent))
        self._inherit(model, hp, self._training_seed)
        results = self.hypermodel.fit(hp, model, *args, **kwargs)
        self._params = model.count_params() if model.built else None
        if isinstance(results, keras.callbacks.History):
            self._histories.append(results.history)
        self._files.keep(trial.trial_id, None, model.get_build_config())
        return results

    # Results.

    def load_model(self, trial: Trial) -> keras.Model:
        """Loads the model of a trial with the weights of its best epoch.

        Raises:
            ValueError: If its weights were not kept.
        """
        path = self._files.weights_of(trial.trial_id)
        if not os.path.exists(path):
            raise ValueError(
                f"The weights of trial {trial.trial_id} were not kept. Build "
                "it anew with `tuner.hypermodel.build(trial.hyperparameters)`, "
                "or search with `keep_checkpoints='all'` or a larger `top_k`."
            )
        model = self._checked_model(trial.hyperparameters)
        if not model.built:
            build_again(model, self._files.build_config_of(trial.trial_id))
        read_weights(model, path)
        return model

    def get_best_models(self, num_models: int = 1) -> list[keras.Model]:
        """Returns the best models with the weights of their best epochs.

        Args:
            num_models: Integer, how many at most. Defaults to 1.

        Returns:
            List of models, best first; shorter than `num_models` if fewer
            trials have completed.
        """
        trials = completed(self.oracle.get_best_trials(num_models))
        return [self.load_model(trial) for trial in trials]

    def get_pareto_models(self) -> list[keras.Model]:
        """Returns the models that no other beats in every objective.

        Returns:
            List of models with the weights of their best epochs, the best of
            the first objective first. `EvoOracle.get_pareto_trials` has their
            trials.

        Raises:
            ValueError: If the weights of one were not kept. A front may be
                longer than the `top_k` checkpoints.
        """
        trials = self._local_oracle.get_pareto_trials()
        return [self.load_model(trial) for trial in trials]

    def learning_curves(self, trial_id: str) -> list[dict[str, list[float]]]:
        """Returns the learning curves of a trial.

        Args:
            trial_id: String.

        Returns:
            For each execution a dictionary from names of logs to their
            values, one an epoch; an empty list if the trial did not complete.
        """
        return curves_lib.read_curves(self._files.folder_of(trial_id))
