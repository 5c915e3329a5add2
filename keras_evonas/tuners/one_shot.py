"""`OneShotTuner`: networks are scored with the weights of a supernet."""

import dataclasses
import math
import os
import pathlib
from collections.abc import Callable
from collections.abc import Mapping
from typing import Any

import keras
import keras_tuner
import numpy as np
from keras_tuner.engine import hyperparameters as hp_types
from keras_tuner.engine import trial as trial_lib
from numpy.typing import NDArray

from keras_evonas import devices
from keras_evonas import hyperparameters as hp_lib
from keras_evonas.evolution.checks import check_integer
from keras_evonas.evolution.checks import check_positive_integer
from keras_evonas.oracles import objectives
from keras_evonas.oracles.fidelity import goes_on_from_weights
from keras_evonas.oracles.oracle import EvoOracle
from keras_evonas.project.objectives import STATIC_COSTS
from keras_evonas.project.shared_weights import FOLDER
from keras_evonas.project.shared_weights import seed_in
from keras_evonas.supernets.costs import SupernetCosts
from keras_evonas.supernets.data import scoring_data
from keras_evonas.supernets.held import Plan
from keras_evonas.supernets.held import plan
from keras_evonas.supernets.samplers import FeasiblePaths
from keras_evonas.supernets.scoring import Scorer
from keras_evonas.supernets.single_path import SinglePath
from keras_evonas.supernets.single_path import single_path
from keras_evonas.supernets.single_path import train
from keras_evonas.supernets.state import callbacks_of
from keras_evonas.supernets.supernet import Supernet
from keras_evonas.supernets.transfer import FrozenPath
from keras_evonas.training import FitArguments
from keras_evonas.training.arrays import DEFAULT_BATCH_SIZE
from keras_evonas.tuners import alone
from keras_evonas.tuners import checks
from keras_evonas.tuners import rank_check
from keras_evonas.tuners.hooks import TrialHook
from keras_evonas.tuners.hooks import overridden
from keras_evonas.tuners.rank_check import RankCheck
from keras_evonas.tuners.recipe import Recipe
from keras_evonas.tuners.training_costs import batch_size_of
from keras_evonas.tuners.training_costs import batch_size_read
from keras_evonas.tuners.tuner import EvoTuner


class OneShotTuner(EvoTuner):
    """Trains one supernet, and scores networks with its weights.

    One-shot architecture search: all networks of a hypermodel are parts of one
    supernet, whose weights are trained once (see
    `keras_evonas.supernets.Supernet`). A trial then costs an evaluation
    instead of a training: some hundred trials take as long as a few trainings.
    What the helpers `layer_choice`, `repeated` and `block` ask for is
    searched, and so are widths and kernels of layers that can be elastic; all
    other hyperparameters are held, and `search` says which.

    A score with shared weights is a guess at the score of the network trained
    alone, and a biased one. So the best of the search is no result yet:
    `finalize(top_k=12)` trains a shortlist from scratch.

    The supernet is written to the project folder after each epoch. A search
    that was killed goes on from there. `max_seconds` of the oracle counts the
    scoring alone: the supernet is trained before.

    Args:
        oracle: Instance of a `keras_tuner.Oracle`, such as `EvoOracle`.
        hypermodel: Instance of a `HyperModel`, or a callable that takes
            hyperparameters and returns a compiled Sequential or functional
            model.
        sharing: How the supernet is trained, made by `single_path`. Defaults
            to `single_path()`.
        held: Mapping from names of hyperparameters that are not shared to the
            values that they are held at. Defaults to their defaults.
        frozen: A `FrozenPath` of keras_evonas.supernets: the path that won
            another task, whose layers are kept as they are (PathNet). What
            `finalize` trains from scratch does not have them; `load_model`
            and `get_best_models` do. Defaults to `None`.
        on_trial_end: As for `EvoTuner`, and so are `seed` and `verbose`.
        seed: See `on_trial_end`.
        verbose: See `on_trial_end`.
        optimizer: As in `keras_tuner.Tuner`, and so are `loss`, `metrics`,
            `directory`, `project_name`, `tuner_id` and `overwrite`.

    Raises:
        ValueError: If an argument is out of its range, or if the hypermodel
            cannot be a supernet.

    Example:

    ```python
    tuner = OneShotTuner(
        oracle=EvoOracle("val_accuracy", max_trials=500, seed=0),
        hypermodel=build_model,
        sharing=single_path(epochs=40),
    )
    tuner.search(x, y, batch_size=64, validation_data=(x_val, y_val))
    finals = tuner.finalize(
        x, y, validation_data=(x_unseen, y_unseen), epochs=30, top_k=12
    )
    ```
    """

    def __init__(
        self,
        oracle: keras_tuner.Oracle,
        hypermodel: object = None,
        *,
        sharing: SinglePath | None = None,
        held: Mapping[str, Any] | None = None,
        frozen: FrozenPath | None = None,
        on_trial_end: TrialHook | None = None,
        seed: int | None = None,
        verbose: int | None = None,
        optimizer: object = None,
        loss: object = None,
        metrics: object = None,
        directory: str | os.PathLike[str] | None = None,
        project_name: str | None = None,
        tuner_id: str | None = None,
        overwrite: bool = False,
        **others: object,
    ) -> None:
        _check(oracle, hypermodel, sharing, frozen, others)
        self.sharing = sharing or single_path()
        self._frozen = frozen
        if verbose != 0:
            print("Building the network a few times to see what it can share.")
        self._has_own_costs = False
        self._plan: Plan = plan(hypermodel, held, elastic=True)
        self.supernet: Supernet | None = None
        self._scorer: Scorer | None = None
        super().__init__(
            oracle,
            hypermodel,
            keep_checkpoints="none",
            on_trial_end=on_trial_end,
            seed=seed,
            verbose=verbose,
            optimizer=optimizer,
            loss=loss,
            metrics=metrics,
            directory=directory,
            project_name=project_name,
            tuner_id=tuner_id,
            overwrite=overwrite,
        )

    # The search space: held hyperparameters have one value.

    def _populate_initial_space(self) -> None:
        fixed = keras_tuner.HyperParameters()
        shared = {gene.name for gene in self._plan.genes}
        for hp in self._plan.space.space:
            if hp.name not in shared:
                value = self._plan.held[hp.name]
                hp = hp_types.Fixed(hp.name, value, conditions=hp.conditions)
            fixed._register(hp)  # noqa: SLF001
        self.oracle.update_space(fixed)
        super()._populate_initial_space()

    def _provide_costs(self, oracle: EvoOracle) -> None:
        if oracle.costs is None and oracle.needed_costs:
            self._has_own_costs = True
            oracle.costs = self._summed(oracle, DEFAULT_BATCH_SIZE)

    def _summed(self, oracle: EvoOracle, batch_size: int) -> SupernetCosts:
        costs = self._own_costs(batch_size)
        return SupernetCosts(costs, self._plan, oracle.needed_costs)

    def _tell_training(
        self, arguments: FitArguments, say: Callable[[str], object]
    ) -> None:
        """Does nothing: what is not trained needs no memory for training."""

    def _tell_batches(self, arguments: FitArguments) -> None:
        """Lets limits hold for the batches in which `finalize` trains."""
        oracle = self._evo_oracle
        if oracle is not None and self._has_own_costs:
            size = batch_size_of(arguments)
            if size is None and "training_bytes" in oracle.needed_costs:
                size = batch_size_read(arguments)
            oracle.costs = self._summed(oracle, size or DEFAULT_BATCH_SIZE)

    # Searching.

    def _recipe(self, *args: object, **kwargs: object) -> Recipe:
        # Networks that `finalize` trains are trained as by `EvoTuner`.
        recipe = super()._recipe(*args, **kwargs)
        why = alone.why_alone(self.hypermodel, None, ())
        return dataclasses.replace(recipe, alone=why, own_training=False)

    def _search(self, recipe: Recipe) -> None:
        arguments = _checked(recipe)
        progress = self._new_progress(recipe)
        for line in self._plan.lines():
            progress.say(line)
        if overridden(type(self.hypermodel), ("fit",), keras_tuner.HyperModel):
            progress.say(
                "The supernet is trained by Keras; only `finalize` calls the "
                "`fit` of the hypermodel."
            )
        self._tell_batches(arguments)
        self._check_constraints()
        self._prepare(arguments, progress.say)
        recipe = dataclasses.replace(
            recipe,
            alone="they share the weights of a supernet",
            own_training=True,
            tuner=self,
        )
        super()._search(recipe)

    def _conditions(self, recipe: Recipe, folds: int) -> dict[str, object]:
        found = super()._conditions(recipe, folds)
        for name in ("epochs", "calibration"):
            found[f"sharing.{name}"] = getattr(self.sharing, name)
        return found

    def _check_constraints(self) -> None:
        """Checks that a network is within the limits, before any training.

        Genes are changed one by one as long as that brings a network nearer.
        """
        oracle = self._evo_oracle
        if oracle is None or oracle.feasibility is None:
            return
        if not all(one.is_upper for one in oracle.constraints):
            return  # Limits from both sides may lead astray.
        space = hp_lib.to_space(oracle.get_space())
        closest = space.default
        least, before = oracle.violation_before(closest), math.inf
        while 0 < least < before:
            before = least
            for gene in self._plan.genes:
                for value in gene.values:
                    changed = space.complete({**closest, gene.name: value})
                    violation = oracle.violation_before(changed)
                    if violation < least:
                        least, closest = violation, changed
        if least > 0:
            raise oracle.feasibility.nothing_to_search(closest)

    @property
    def _training_seed(self) -> int:
        # An oracle that was given no seed draws another in each process, and
        # keeps it from its first trial on: after the supernet was trained.
        oracle = self._evo_oracle
        is_given = oracle is not None and oracle.seed_given
        if self._seed is None and not is_given:
            seed = seed_in(self.project_dir)
            if seed is not None:
                return seed
        return super()._training_seed

    def _told(self, alone: str) -> str:
        return f"Networks are scored, not trained: {alone}."

    def _prepare(
        self, arguments: FitArguments, say: Callable[[str], object]
    ) -> None:
        """Trains the supernet, or reads it, and gets ready to score."""
        data = scoring_data(arguments, self.sharing.calibration)
        devices.clear_session()
        keras.utils.set_random_seed(self._training_seed)
        self.supernet = Supernet(
            self._builder.build, plan=self._plan, frozen=self._frozen
        )
        scorer = Scorer(self.supernet, *data)
        objectives.check_reported(
            objectives.trained_in(self.oracle.objective),
            dict.fromkeys((f"val_{name}" for name in scorer.names), 0.0),
        )
        train(
            self.supernet,
            self._sharing_of(self.supernet),
            arguments,
            seed=self._training_seed,
            folder=pathlib.Path(self.project_dir) / FOLDER,
            say=say,
        )
        self._scorer = scorer

    def _sharing_of(self, supernet: Supernet) -> SinglePath:
        """Returns how to train; a sampler may need to know the constraints."""
        sampler, oracle = self.sharing.sampler, self._evo_oracle
        if not isinstance(sampler, FeasiblePaths) or sampler.keeps is not None:
            return self.sharing
        limits = [] if oracle is None else oracle.constraints
        told = [one for one in limits if one.name in STATIC_COSTS]
        if oracle is None or not told:
            raise ValueError(
                "`sampler='feasible'` trains networks that keep constraints on "
                "costs before training. Received: an oracle without any. Pass "
                "it `constraints=[at_most('params', n)]`, or take "
                "`sampler='uniform'`."
            )
        space = hp_lib.to_space(oracle.get_space())

        def keeps(path: NDArray[np.int32]) -> bool:
            genome = space.complete(supernet.values_of(path))
            return oracle.violation_before(genome) == 0

        words = " and ".join(map(str, told))
        known = dataclasses.replace(sampler, keeps=keeps, limits=words)
        return dataclasses.replace(self.sharing, sampler=known)

    def run_trial(
        self, trial: trial_lib.Trial, *args: object, **kwargs: object
    ) -> dict[str, float]:
        """Scores the network of a trial with shared weights."""
        del args, kwargs
        metrics = self._shared_metrics(trial.hyperparameters.values)
        objective = self.oracle.objective
        if objective.name not in metrics:  # keras-tuner's own sum of several.
            metrics[objective.name] = float(objective.get_value(metrics))
        return metrics

    def _shared_metrics(self, values: Mapping[str, Any]) -> dict[str, float]:
        supernet, scorer = self._searched()
        path = supernet.path_of(values)
        logs = scorer.score(path)
        metrics = {f"val_{name}": value for name, value in logs.items()}
        metrics["params"] = float(sum(map(math.prod, supernet.shapes_on(path))))
        return metrics

    # Results.

    def load_model(self, trial: trial_lib.Trial | str) -> keras.Model:
        """Cuts the network of a trial out of the supernet, calibrated.

        Args:
            trial: The trial, or its identifier, such as `"03"`.

        Raises:
            TypeError: If it is neither.
            ValueError: If `search` was not called in this process, or there
                is no such trial.
        """
        supernet, scorer = self._searched()
        values = self._trial_of(trial).hyperparameters
        with scorer.calibrated(supernet.path_of(values)):
            return supernet.subnet(values)

    def rank_check(
        self,
        x: object,
        y: object = None,
        *,
        validation_data: object = None,
        networks: int = 10,
        repeats: int = 1,
        **fit_kwargs: object,
    ) -> RankCheck:
        """Says how well shared weights foretell what networks reach alone.

        Random networks that keep the constraints are trained from scratch, as
        `finalize` trains, and their scores on unseen data are compared with
        those of the shared weights. What the number of parameters alone
        foretells is said beside it: often it is much.

        Args:
            x: Input data to train on, as for `fit`.
            y: Target data.
            validation_data: Data to judge by that the search never saw, as
                for `finalize`.
            networks: Integer of at least 2, how many. Defaults to 10.
            repeats: Integer, how often each is trained. Defaults to 1.
            **fit_kwargs: As for `finalize`, such as `epochs`.

        Returns:
            The rank correlations, and the networks with their scores.

        Raises:
            ValueError: As for `finalize`; or if `search` was not called in
                this process.
            RuntimeError: If fewer than two networks could be trained.
        """
        check_positive_integer("repeats", repeats)
        check_integer("networks", networks, lowest=2)
        self._searched()
        training = self._retraining(x, y, validation_data, fit_kwargs)
        search = self._ended_search
        drawn = rank_check.drawn(search, networks, self._training_seed)
        return rank_check.run(
            search,
            training,
            drawn,
            repeats=repeats,
            shared_metrics=self._shared_metrics,
        )

    def _searched(self) -> tuple[Supernet, Scorer]:
        if self.supernet is None or self._scorer is None:
            raise ValueError(
                "`search` must be called in this process, which reads the "
                "supernet and the data. Received: a tuner that has not "
                "searched. Call `search` with the same arguments; what was "
                "trained is not trained again."
            )
        return self.supernet, self._scorer


def _check(
    oracle: keras_tuner.Oracle,
    hypermodel: object,
    sharing: object,
    frozen: object,
    others: Mapping[str, object],
) -> None:
    checks.check_has_hypermodel(hypermodel)
    if sharing is not None and not isinstance(sharing, SinglePath):
        raise TypeError(
            "`sharing` must be made by `single_path(...)` of "
            f"keras_evonas.supernets. Received: sharing={sharing!r} of type "
            f"{type(sharing).__name__}."
        )
    if frozen is not None and not isinstance(frozen, FrozenPath):
        raise TypeError(
            "`frozen` must be a `FrozenPath` of keras_evonas.supernets. "
            f"Received: frozen={frozen!r} of type {type(frozen).__name__}. "
            "Pass `FrozenPath(values=..., network=...)`."
        )
    if others:
        raise TypeError(
            "`OneShotTuner` trains one supernet in this process and scores "
            "networks with its weights, and takes no "
            f"{', '.join(map(repr, sorted(others)))}. Received: "
            f"{dict(others)!r}. Leave them out, or search with `EvoTuner`."
        )
    if goes_on_from_weights(oracle):
        raise ValueError(
            "`oracle` must not have rungs or inherit weights: all networks "
            "share those of one supernet. Received: an oracle with "
            "`successive_halving`, `inherit_weights` or Hyperband. Leave them "
            "out, or search with `EvoTuner`."
        )
    if keras.config.backend() != "tensorflow":
        raise ValueError(
            "A supernet needs Keras on TensorFlow. Received: the backend "
            f"'{keras.config.backend()}'. Set KERAS_BACKEND=tensorflow, or "
            "search with `EvoTuner`."
        )


def _checked(recipe: Recipe) -> FitArguments:
    """Returns the arguments of `fit`, without the epochs of the supernet."""
    if "epochs" in recipe.kwargs:
        raise ValueError(
            "`epochs` of the supernet are those of `sharing`. Received: "
            f"epochs={recipe.kwargs['epochs']!r} in `search`. Leave it out, "
            "and pass `sharing=single_path(epochs=...)` to the tuner."
        )
    checks.checked_folds(recipe)
    callbacks_of(recipe.arguments)
    return recipe.arguments
