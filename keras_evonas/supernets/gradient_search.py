"""Architecture search by gradients: DARTS, SNAS, ProxylessNAS, P-DARTS."""

import os
import pathlib
import shutil
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import keras
import keras_tuner
import numpy as np
import tensorflow as tf

from keras_evonas import devices
from keras_evonas.evolution.checks import check_boolean
from keras_evonas.evolution.checks import check_positive_integer
from keras_evonas.evolution.randomness import check_seed
from keras_evonas.evolution.randomness import rng_at
from keras_evonas.garbage import collected_at_the_end
from keras_evonas.models.costs.estimates import Hypermodel
from keras_evonas.project.lock import check_free
from keras_evonas.project.overwriting import check_folder
from keras_evonas.supernets import stages as stage_lib
from keras_evonas.supernets.architecture import Architecture
from keras_evonas.supernets.bilevel import EpochPlan
from keras_evonas.supernets.bilevel import MixedNetwork
from keras_evonas.supernets.differentiable import Differentiable
from keras_evonas.supernets.differentiable import check_depths
from keras_evonas.supernets.differentiable import costs_in_a_row
from keras_evonas.supernets.differentiable import differentiable
from keras_evonas.supernets.halves import Halves
from keras_evonas.supernets.held import Plan
from keras_evonas.supernets.held import plan
from keras_evonas.supernets.history import History
from keras_evonas.supernets.sharing import Values
from keras_evonas.supernets.state import Epochs
from keras_evonas.supernets.state import SavedState
from keras_evonas.supernets.state import callbacks_of
from keras_evonas.training.arguments import FitArguments
from keras_evonas.training.checks import check_fit


class DifferentiableSearch:
    """Searches an architecture by gradients, for a search to begin with.

    The network has every option of each `layer_choice`, `repeated` and `block`
    of `keras_evonas.models`, and a weight for each. The weights of layers are
    trained on one half of the training data, those of options on the other. A
    network of the likeliest options is the result.

    Known weaknesses: the weights of layers are trained for the mixture, so no
    single network can be scored with them, and how it does in training says
    little of how its networks do. The likeliest one is a guess, and may be
    worse than a random one: DARTS falls for skips the more, the longer it is
    trained. So pass several to an ordinary search, which trains them, and look
    at `history`. The mixture needs the time and memory of all options
    together, but for binary gates.

    It is written to `directory/project_name` after each epoch. A search that
    was killed goes on from there, to the same end. `python -m keras_evonas
    report FOLDER` draws the weights of options over the epochs, and `status`
    names those that weigh most.

    Args:
        hypermodel: A `keras_tuner.HyperModel`, or a function that takes
            hyperparameters and returns a compiled Sequential or functional
            model.
        training: How to train, made by `differentiable`. Defaults to
            `differentiable()`.
        held: Mapping from names of hyperparameters that are not searched to
            their values. Defaults to their defaults.
        seed: Non-negative integer. Defaults to a random one.
        directory: String, the folder of the project. Defaults to the current
            one.
        project_name: String, the folder inside. Defaults to
            `"differentiable_search"`.
        overwrite: Boolean, whether to delete what is there. Defaults to
            `False`.

    Raises:
        ValueError: If the hypermodel has no choice to search, or `costs` does
            not fit it.

    Example:

    ```python
    search = DifferentiableSearch(
        build_model, differentiable(epochs=30, warmup=5, max_skips=2), seed=0
    )
    search.search(x, y, batch_size=64)
    tuner = EvolutionarySearch(
        build_model,
        objective="val_accuracy",
        max_trials=12,
        initial_population=search.likeliest(12),
    )
    tuner.search(x, y, epochs=20, validation_data=(x_val, y_val))
    finals = tuner.finalize(
        x, y, validation_data=(x_unseen, y_unseen), epochs=40
    )
    ```
    """

    def __init__(
        self,
        hypermodel: Hypermodel,
        training: Differentiable | None = None,
        *,
        held: Values | None = None,
        seed: int | None = None,
        directory: str | os.PathLike[str] | None = None,
        project_name: str | None = None,
        overwrite: bool = False,
    ) -> None:
        if training is not None and not isinstance(training, Differentiable):
            raise TypeError(
                "`training` must be made by `differentiable(...)` of "
                f"keras_evonas.supernets. Received: training={training!r} of "
                f"type {type(training).__name__}."
            )
        if keras.config.backend() != "tensorflow":
            raise ValueError(
                "A search by gradients needs Keras on TensorFlow. Received: "
                f"the backend '{keras.config.backend()}'. Set "
                "KERAS_BACKEND=tensorflow."
            )
        self.training = training or differentiable()
        self._hypermodel = hypermodel
        self._plan: Plan = plan(hypermodel, held)
        self._costs = costs_in_a_row(self.training, self._plan.genes)
        check_depths(self.training, self._plan.genes)
        self._folder = pathlib.Path(
            directory or ".", project_name or "differentiable_search"
        )
        check_boolean("overwrite", overwrite)
        check_folder(self._folder, overwrite=overwrite)
        if overwrite and self._folder.exists():
            check_free(self._folder)
            shutil.rmtree(self._folder)
        self._history = History(self._folder, self._plan.genes)
        self.seed = check_seed(self._history.seed if seed is None else seed)

    # Training.

    def search(self, x: object, y: object = None, **kwargs: object) -> None:
        """Trains the architecture, or what is left of its training.

        Args:
            x: Input data in arrays, as for `fit`.
            y: Target data.
            **kwargs: Other arguments of `fit`, such as `batch_size`,
                `class_weight` and `callbacks`. With `validation_data` the
                weights of options are trained on it, and those of layers on
                all of `x`; score no network on it then. A callback that stops
                the training ends the stage, and options weigh the same for
                the rest of its epochs.

        Raises:
            ValueError: If the data are not arrays, if `epochs` is passed, if
                the folder holds another search, or if the scope of a
                distribution strategy is open.
            RuntimeError: If another process searches in the folder.
        """
        if "epochs" in kwargs:
            raise ValueError(
                "`epochs` are those of `training`. Received: epochs="
                f"{kwargs['epochs']!r} in `search`. Leave it out, and pass "
                "`differentiable(epochs=...)` when the search is made."
            )
        devices.check_reached()
        arguments = FitArguments.of(x, y, **kwargs)
        check_fit(arguments)
        callbacks = callbacks_of(arguments)
        feed = Halves.of(arguments, self.seed)
        state = SavedState(
            self._folder,
            {
                "search": self.training.identity,
                "genes": [[g.name, list(g.values)] for g in self._plan.genes],
                "held": repr(self._plan.held),
                "seed": self.seed,
                "optimizer": self._plan.settings["optimizer"],
            },
            {**arguments.data_and_steps(), **self._plan.settings},
        )
        say = print if "verbose" not in kwargs or kwargs["verbose"] else str
        for line in self._plan.lines():
            say(line)
        with state.locked():
            self._search(feed, state, callbacks, say)

    def _search(
        self,
        feed: Halves,
        state: SavedState,
        callbacks: Sequence[keras.callbacks.Callback],
        say: Callable[[str], object],
    ) -> None:
        saved = state.read()
        done = saved["epoch"]
        if saved.get("costs") is not None:
            self._costs = np.array(saved["costs"])
        del self._history.epochs[done:]  # What came after is trained again.
        self._history.seed = self.seed
        self._history.planned = self._planned
        for stage in range(self.training.stages):
            if done < (stage + 1) * self.training.epochs:
                self._train(stage, done, feed, state, callbacks, say)
                done = (stage + 1) * self.training.epochs

    def _train(
        self,
        stage: int,
        done: int,
        feed: Halves,
        state: SavedState,
        callbacks: Sequence[keras.callbacks.Callback],
        say: Callable[[str], object],
    ) -> None:
        training = self.training
        devices.clear_session()
        # Each stage has other first weights, whenever it is begun.
        rng = rng_at(self.seed, stage)
        keras.utils.set_random_seed(int(rng.integers(2**31)))
        architecture = Architecture(
            self._plan.genes,
            training.gates,
            kept=self._kept_in(stage),
            drops_skips=any(training.skip_dropout),
        )
        beta = 0.0 if training.gates.draws_paths else 0.5
        network = MixedNetwork(
            self._hypermodel,
            self._plan,
            architecture,
            keras.optimizers.Adam(training.learning_rate, beta_1=beta),
            feed.training,
            feed.held,
            steps=feed.steps,
            second_order=training.order == 2,
            costs=self._costs,
        )
        self._history.skips = network.skips
        begin = stage * training.epochs
        if done > begin:
            state.restore(network.state, network.network.optimizer)

        def begin_epoch(epoch: int) -> None:
            network.begin(self._plan_of(epoch, stage, feed))

        def end_epoch(epoch: int) -> None:
            # The history first: what it has too much is cut when it is read.
            while len(self._history.epochs) <= epoch:
                self._history.add(architecture.probabilities())
            costs = None if self._costs is None else self._costs.tolist()
            state.save(network.state, epoch + 1, costs=costs)

        epochs = Epochs("Search", self._planned, begin_epoch, end_epoch, say)
        with collected_at_the_end():
            network.fit(
                # The network cuts its batches itself.
                tf.data.Dataset.range(feed.steps),
                initial_epoch=max(done, begin),
                epochs=begin + training.epochs,
                callbacks=[*callbacks, epochs],
                verbose=0,
                shuffle=False,
            )
        end = begin + training.epochs
        if len(self._history.epochs) < end:  # A callback has stopped it.
            end_epoch(end - 1)

    def _kept_in(self, stage: int) -> stage_lib.Places:
        """Returns the places of the values that are in a stage."""
        training = self.training
        kept = {g.name: list(range(len(g.values))) for g in self._plan.genes}
        for ended in range(1, stage + 1):
            last = self._history.epochs[ended * training.epochs - 1]
            left = stage_lib.pruned(last, kept, ended, training.stages)
            kept |= {n: left[n] for n in kept if self._is_in(n, ended - 1)}
        for gene in self._plan.genes:
            if gene.name in training.depths:
                depth = training.depths[gene.name][stage]
                kept[gene.name] = [gene.index_of(depth)]
        return kept

    def _is_in(self, name: str, stage: int) -> bool:
        """Returns whether a gene is searched at the depths of a stage."""
        depths = {n: row[stage] for n, row in self.training.depths.items()}
        return name not in depths and all(
            condition.is_active(depths)
            for hp in self._plan.space.space
            if hp.name == name
            for condition in hp.conditions
            if condition.name in depths
        )

    def _plan_of(self, epoch: int, stage: int, feed: Halves) -> EpochPlan:
        """Draws what an epoch needs, from its number alone."""
        training = self.training
        rng = rng_at(self.seed, stage, epoch)
        number = epoch - stage * training.epochs
        searched = training.epochs - training.warmup
        progress = max(0, number - training.warmup) / max(1, searched - 1)
        rate = training.skip_dropout[stage] * (1 - number / training.epochs)
        size = sum(len(gene.values) for gene in self._plan.genes)
        return EpochPlan(
            orders=feed.orders(rng),
            noise=rng.gumbel(size=(feed.steps, 2, 2, size)),
            searching=number >= training.warmup,
            temperature=training.gates.temperature(progress),
            skip_rate=rate,
            skip_seed=int(rng.integers(2**31)),
        )

    # Results.

    @property
    def history(self) -> list[dict[str, dict[Any, float]]]:
        """The probability of each gene's values after each epoch.

        A value that was left out at the end of a stage has none from then on.
        """
        return [
            {
                gene.name: dict(zip(gene.values, row[gene.name], strict=True))
                for gene in self._plan.genes
            }
            for row in self._history.epochs
        ]

    def likeliest(self, count: int = 1) -> list[dict[str, Any]]:
        """Returns the likeliest networks by the weights of their options.

        Args:
            count: Integer, how many. Defaults to 1.

        Returns:
            List of dictionaries of values, the likeliest first, for the
            `initial_population` of a search. The first has the option that
            weighs most in each choice. There are fewer if there are no more.

        Raises:
            ValueError: If `search` has not come to its end.
        """
        check_positive_integer("count", count)
        if len(self._history.epochs) < self._planned:
            raise ValueError(
                "`search` must have come to its end. Received: a search of "
                f"{len(self._history.epochs)} of {self._planned} epochs. Call "
                "it with the same data; what was trained is not trained again."
            )
        last: stage_lib.Probabilities = self._history.epochs[-1]
        if self.training.max_skips is not None:
            last = stage_lib.limit_skips(
                last, self._history.skips, self.training.max_skips
            )
        found: list[dict[str, Any]] = []
        for places in stage_lib.likeliest(
            last, lambda places: frozenset(self._values_of(places))
        ):
            values = self._values_of(places)
            if values not in found:
                found.append(values)
            if len(found) == count:
                break
        return found

    @property
    def _planned(self) -> int:
        """The epochs of all stages."""
        return self.training.epochs * self.training.stages

    def _values_of(self, places: Mapping[str, int]) -> dict[str, Any]:
        """Returns the values of the hyperparameters that are active."""
        space = self._plan.space
        hp = keras_tuner.HyperParameters()
        hp.values = dict(self._plan.held)
        for gene in self._plan.genes:
            hp.values[gene.name] = gene.values[places[gene.name]]
        return {
            one.name: hp.values[one.name]
            for one in space.space
            if all(each.is_active(hp.values) for each in one.conditions)
        }
