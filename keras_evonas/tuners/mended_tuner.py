"""keras-tuner's Tuner, mended; nothing here knows about cohorts.

What a tuner of this package needs from keras-tuner 1.4.8 and does not get:
training that follows from a seed, arguments of `fit` as hyperparameters,
`HyperbandOracle` outside of `Hyperband`, an error that names the callback that
cannot be copied, no tensorboard unless it is used, checkpoints that do not
fill the disk, workers that outlive a chief, and best models that are trained
ones.
"""

import dataclasses
import os
import pathlib
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING
from typing import Any
from typing import TypeAlias
from typing import TypedDict

import keras
import keras_tuner
from keras_tuner.engine import trial as trial_lib

from keras_evonas import devices
from keras_evonas.evolution.checks import check_boolean
from keras_evonas.evolution.checks import check_integer
from keras_evonas.evolution.randomness import check_seed
from keras_evonas.models.costs import HypermodelCosts
from keras_evonas.models.costs.inputs import InputShapes
from keras_evonas.models.explanation import explored
from keras_evonas.oracles import fidelity
from keras_evonas.oracles.oracle import EvoOracle
from keras_evonas.project import lock
from keras_evonas.project.curves import Value
from keras_evonas.project.curves import read_histories
from keras_evonas.project.curves import write_curves
from keras_evonas.project.files import WriteError
from keras_evonas.project.files import check_local
from keras_evonas.project.files import read_json
from keras_evonas.project.files import trial_folder
from keras_evonas.project.files import write_json
from keras_evonas.project.overwriting import check_file_name
from keras_evonas.project.overwriting import check_folder
from keras_evonas.project.overwriting import check_path
from keras_evonas.training import Execution
from keras_evonas.training import FitArguments
from keras_evonas.training import callbacks as callback_lib
from keras_evonas.training.arrays import DEFAULT_BATCH_SIZE
from keras_evonas.training.checkpoints import build_again
from keras_evonas.training.curves import curves_of_history
from keras_evonas.tuners import sizing
from keras_evonas.tuners import training_costs
from keras_evonas.tuners.builder import NetworkBuilder
from keras_evonas.tuners.lanes import PatientStub
from keras_evonas.tuners.recipe import FitArgumentsOf
from keras_evonas.tuners.recipe import changes_of
from keras_evonas.tuners.trial_files import TrialFiles
from keras_evonas.tuners.trial_files import completed

if TYPE_CHECKING:
    from typing_extensions import Unpack

Trial: TypeAlias = trial_lib.Trial


class HostTunerArguments(TypedDict):
    """Arguments of `keras_tuner.Tuner`."""

    max_model_size: int | None
    optimizer: object
    loss: object
    metrics: object
    distribution_strategy: object
    directory: str | os.PathLike[str] | None
    project_name: str | None
    tuner_id: str | None
    overwrite: bool
    executions_per_trial: int


class MendedTuner(keras_tuner.Tuner):
    """A Tuner to derive from; arguments as for `EvoTuner`."""

    def __init__(
        self,
        oracle: keras_tuner.Oracle,
        hypermodel: object,
        *,
        files: Callable[[str], TrialFiles],
        fit_arguments: FitArgumentsOf | None,
        seed: int | None,
        **host: "Unpack[HostTunerArguments]",
    ) -> None:
        if fit_arguments is not None and not callable(fit_arguments):
            raise TypeError(
                "`fit_arguments` must be a function of hyperparameters that "
                "returns a dictionary of arguments of `fit`. Received: "
                f"fit_arguments={fit_arguments!r}. Pass `lambda hp: "
                "{'batch_size': hp.Choice('batch_size', [16, 64])}`, for "
                "example, and what all trials share to `search`."
            )
        strategy = host["distribution_strategy"]
        if strategy is not None and not hasattr(strategy, "extended"):
            raise TypeError(
                "`distribution_strategy` must be a `tf.distribute.Strategy`. "
                f"Received: distribution_strategy={strategy!r}. Pass "
                "`tf.distribute.MirroredStrategy()`, for example."
            )
        self.fit_arguments = fit_arguments
        self._seed = None if seed is None else check_seed(seed)
        # In distributed search `self.oracle` becomes a client of the chief.
        self._local_oracle = oracle
        self._execution = 0
        self._is_made = False
        for name in ("directory", "project_name"):
            check_path(name, host[name])
        check_file_name("tuner_id", host["tuner_id"])
        check_boolean("overwrite", host["overwrite"])
        check_local(host["directory"])
        name = host["project_name"] or "untitled_project"
        folder = pathlib.Path(host["directory"] or ".", name)
        check_folder(folder, overwrite=host["overwrite"])
        if host["overwrite"]:
            lock.check_free(folder)
        super().__init__(oracle=oracle, hypermodel=hypermodel, **host)
        self._is_made = True
        if self._is_worker():  # The oracle is a client of the chief by now.
            self.oracle.stub = PatientStub(self.oracle.stub)
        self._files = files(self.project_dir)
        if isinstance(oracle, EvoOracle):
            oracle.executions_per_trial = self.executions_per_trial
            self._provide_costs(oracle)
            self._check_space(oracle)

    @property
    def _evo_oracle(self) -> EvoOracle | None:
        """The oracle of this process if it is an `EvoOracle`."""
        oracle = self._local_oracle
        return oracle if isinstance(oracle, EvoOracle) else None

    @property
    def _builder(self) -> NetworkBuilder:
        return NetworkBuilder(
            hypermodel=self.hypermodel,
            optimizer=self.optimizer,
            loss=self.loss,
            metrics=self.metrics,
            files=self._files,
            max_model_size=self.max_model_size,
            distribution_strategy=self.distribution_strategy,
        )

    def _provide_costs(self, oracle: EvoOracle) -> None:
        """Lets an oracle judge networks before they are trained.

        It costs a build for each candidate, so only where the search needs it;
        see `_tell_training`, too.
        """
        if oracle.costs is None and oracle.needed_costs:
            oracle.costs = self._own_costs(DEFAULT_BATCH_SIZE)

    def _own_costs(self, batch_size: int) -> training_costs.TrainingCosts:
        """Makes what tells the costs of networks as this tuner trains them."""
        replaces = self.optimizer is not None
        return training_costs.TrainingCosts(
            self._builder.build if replaces else self.hypermodel,
            batch_size,
            fit_arguments=self.fit_arguments,
        )

    def _check_space(self, oracle: EvoOracle) -> None:
        """Refuses the folder of a search that another hypermodel began."""
        if not oracle.trials or self.hypermodel is None:
            return
        try:
            asked = explored(self.hypermodel)
        except Exception as error:
            # It cannot be built without memory: only its trials show it.
            warnings.warn(
                "The hypermodel cannot be built without memory, so that it is "
                "not compared with the hyperparameters of the search in "
                f"'{self.project_dir}', which goes on: {error!r}. Make sure "
                "that it is the same, or pass another `project_name`.",
                stacklevel=5,
            )
            return
        changes_of(asked, self.fit_arguments)
        oracle.check_space(asked)

    def _tell_training(
        self, arguments: FitArguments, say: Callable[[str], object]
    ) -> None:
        """Lets networks be judged by the data and batches of their training.

        New searches leave out what might not fit into the memory, if the
        largest network might not. Costs that the user gave stay as they are,
        but for shapes that networks learn from the data.
        """
        oracle = self._evo_oracle
        if oracle is None or self.hypermodel is None:
            return
        shapes, space = sizing.shapes_of(arguments.x), oracle.hyperparameters
        size = training_costs.batch_size_of(arguments)
        if oracle.costs is None:
            largest = self._own_costs(size or training_costs.LARGE_BATCH)
            if oracle.trials or not training_costs.guard(
                largest, space, shapes
            ):
                return
        elif not isinstance(oracle.costs, training_costs.TrainingCosts):
            self._tell_shapes(shapes)
            return
        if size is None and (
            oracle.costs is None or "training_bytes" in oracle.needed_costs
        ):
            size = training_costs.batch_size_read(arguments)
        costs = self._own_costs(size or DEFAULT_BATCH_SIZE)
        if oracle.costs is None:
            guard = training_costs.guard(costs, space, shapes)
            if guard is None:
                return
            say(training_costs.told_limit(guard.batch_size))
            costs = guard
        oracle.costs = costs
        self._tell_shapes(shapes)

    def _tell_shapes(self, shapes: InputShapes | None) -> None:
        """Lets networks be judged that learn their shapes from the data."""
        oracle = self._evo_oracle
        costs = None if oracle is None else oracle.costs
        if (
            oracle is None
            or not isinstance(costs, HypermodelCosts)
            or costs.input_shapes
        ):
            return
        try:
            costs(oracle.get_space())
        except ValueError:  # It is raised again where nothing can be built.
            oracle.costs = dataclasses.replace(costs, input_shapes=shapes)

    @property
    def _training_seed(self) -> int:
        seed = self._seed
        if seed is None:
            seed = int(getattr(self._local_oracle, "seed", 0))
        # Keras takes 32 bits, and other trainings take the seeds after it.
        return seed % 2**31

    # Its own file.

    def _get_tuner_fname(self) -> str:
        # keras-tuner 1.4.8 prints a line if it finds the file when it is
        # made, whatever `verbose` says. `_populate_initial_space` looks.
        name: str = super()._get_tuner_fname() if self._is_made else ""
        return name

    def save(self) -> None:
        """Saves the tuner and, where it is here, the oracle."""
        if not self._is_worker():
            self.oracle.save()
        # keras-tuner 1.4.8 writes it in place.
        write_json(self._get_tuner_fname(), self.get_state(), durable=False)

    # Building.

    def _populate_initial_space(self) -> None:
        self._is_made = True
        if os.path.exists(self._get_tuner_fname()):
            self.reload()
            return
        super()._populate_initial_space()
        if self.fit_arguments is not None:
            hp = self.oracle.get_space()
            changes_of(hp, self.fit_arguments)
            self.oracle.update_space(hp)

    def _build_hypermodel(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        return self._builder.build(hp)

    # Callbacks.

    def _deepcopy_callbacks(self, callbacks: object) -> list[Any]:
        return callback_lib.copied(callbacks)

    def _configure_tensorboard_dir(
        self, callbacks: list[Any], trial: Trial, execution: int = 0
    ) -> None:
        # keras-tuner 1.4.8 imports tensorboard even if no callback uses it.
        if any(isinstance(c, keras.callbacks.TensorBoard) for c in callbacks):
            super()._configure_tensorboard_dir(callbacks, trial, execution)

    # Training by keras-tuner's `run_trial`, for subclasses that call it.

    def run_trial(
        self, trial: Trial, *args: object, **kwargs: object
    ) -> object:
        """Evaluates a trial alone; see `keras_tuner.Tuner`."""
        self._execution = 0
        changes = changes_of(trial.hyperparameters, self.fit_arguments)
        return super().run_trial(trial, *args, **{**kwargs, **changes})

    def _build_and_fit_model(
        self, trial: Trial, *args: object, **kwargs: object
    ) -> object:
        parent = trial.hyperparameters.values.get(fidelity.INHERITS)
        execution = Execution(
            name=f"{trial.trial_id}/execution{self._execution}",
            seed=self._training_seed + self._execution,
            hyperparameters=trial.hyperparameters,
            parent_hyperparameters=parent
            and self.oracle.get_trial(parent).hyperparameters,
        )
        self._execution += 1
        devices.clear_session()
        keras.utils.set_random_seed(execution.seed)
        model = self._builder.build_for(execution)
        results = self.hypermodel.fit(
            trial.hyperparameters, model, *args, **kwargs
        )
        self._files.keep(trial.trial_id, None, model.get_build_config())
        return results

    # Results.

    def load_model(self, trial: Trial | str) -> keras.Model:
        """Loads the model of a trial with the weights of its best epoch.

        Args:
            trial: The trial, or its identifier, such as `"03"`.

        Raises:
            TypeError: If it is neither.
            ValueError: If its weights were not kept, or there is no such trial.
        """
        found = self._trial_of(trial)
        return self._builder.load(found.trial_id, found.hyperparameters)

    def _trial_of(self, trial: Trial | str) -> Trial:
        if hasattr(trial, "hyperparameters"):
            return trial
        if not isinstance(trial, str):
            raise TypeError(
                "`trial` must be a trial or its identifier. Received: "
                f"{trial!r} of type {type(trial).__name__}. Pass "
                "`tuner.oracle.get_best_trials(1)[0]`, or for example '03'."
            )
        known = self.oracle.trials
        if trial not in known:
            raise ValueError(
                "`trial` must be the identifier of a trial of this search. "
                f"Received: {trial!r}, and there are {sorted(known)}."
            )
        return known[trial]

    def get_best_models(self, num_models: int = 1) -> list[keras.Model]:
        """Returns the best models with the weights of their best epochs.

        Args:
            num_models: Integer, how many at most. Defaults to 1.

        Returns:
            List of models, best first; shorter than `num_models` if fewer
            trials have completed.
        """
        check_integer("num_models", num_models, lowest=0)
        trials = completed(self.oracle.get_best_trials(num_models))
        return [self.load_model(trial) for trial in trials]

    def get_pareto_models(self) -> list[keras.Model]:
        """Returns the models that no other beats in every objective.

        Returns:
            List of models with the weights of their best epochs, the best of
            the first objective first; `EvoOracle.get_pareto_trials` has their
            trials.

        Raises:
            ValueError: If the weights of one were not kept, with
                `keep_checkpoints="best"` or `"none"`, or if the oracle is no
                `EvoOracle`.
        """
        oracle = self._evo_oracle
        if oracle is None:
            raise ValueError(
                "`oracle` must be an `EvoOracle`, which knows a Pareto front. "
                f"Received: {type(self._local_oracle).__name__}."
            )
        return [self.load_model(one) for one in oracle.get_pareto_trials()]

    def learning_curves(self, trial_id: str) -> list[dict[str, list[Value]]]:
        """Returns the learning curves of a trial.

        Args:
            trial_id: String.

        Returns:
            For each execution a dictionary from names of logs to their
            values, one an epoch; an empty list if the trial did not complete.
        """
        return read_histories(trial_folder(self.project_dir, trial_id))


class MultiFidelityTuner(keras_tuner.Hyperband):
    """keras-tuner's Tuner, for an oracle that says how long to train.

    `keras_tuner.Tuner` trains every trial from the beginning and for the same
    number of epochs, whatever the oracle says; `keras_tuner.Hyperband` can do
    better, but brings its own oracle. This one is called as
    `keras_tuner.Tuner` is, and trains as `keras_tuner.Hyperband` does: up to
    the epochs of the trial's rung, and a promoted trial goes on from the
    weights of its best epoch so far. Deviation from it: the optimizer goes on
    from its state of that epoch, too, instead of from none.

    Args:
        oracle: Instance of a `keras_tuner.Oracle`, for example an `EvoOracle`
            with the strategy `successive_halving(max_epochs=27)`.
        hypermodel: As in `keras_tuner.Tuner`.
        **kwargs: As in `keras_tuner.Tuner`.

    Example:

    ```python
    oracle = EvoOracle(
        "val_accuracy",
        max_trials=100,
        strategy=successive_halving(max_epochs=27, min_epochs=3),
    )
    tuner = MultiFidelityTuner(oracle=oracle, hypermodel=build_model)
    tuner.search(x, y, validation_data=(x_val, y_val))
    ```
    """

    _restore: Callable[[], None] | None = None

    def __init__(
        self,
        oracle: keras_tuner.Oracle,
        hypermodel: object = None,
        **kwargs: object,
    ) -> None:
        # Not Hyperband's, which would make its own oracle.
        keras_tuner.Tuner.__init__(
            self, oracle=oracle, hypermodel=hypermodel, **kwargs
        )

    def run_trial(
        self, trial: Trial, *fit_args: object, **fit_kwargs: object
    ) -> object:
        """Trains a trial; its learning curves tell how many epochs it had."""
        results = super().run_trial(trial, *fit_args, **fit_kwargs)
        kind = keras.callbacks.History
        if all(isinstance(one, kind) for one in results):
            folder = trial_folder(self.project_dir, trial.trial_id)
            try:
                write_curves(folder, [*map(curves_of_history, results)])
            except WriteError as error:
                # Any other error would fail the trial, and the next ones.
                raise keras_tuner.errors.FatalRuntimeError(
                    str(error)
                ) from error
        return results

    def _try_build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        self._restore = devices.restorer()
        return super()._try_build(hp)

    def _build_hypermodel(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        if self._restore is not None:
            # keras-tuner 1.4.8 has cleared the session in `_try_build`.
            self._restore()
        model = super(keras_tuner.Hyperband, self)._build_hypermodel(hp)
        parent = hp.values.get(fidelity.CONTINUES)
        if parent is not None:
            if not model.built:
                path = self._get_build_config_fname(parent)
                build_again(model, read_json(path))
            # keras-tuner 1.4.8 loads into an optimizer without variables,
            # and Keras skips what it cannot place.
            if model.optimizer is not None:
                model.optimizer.build(model.trainable_variables)
            model.load_weights(self._get_checkpoint_fname(parent))
        return model
