"""`EvoOracle`: evolution behind keras-tuner's Oracle."""

from collections.abc import Iterable
from collections.abc import Mapping
from typing import Any

import keras_tuner

from keras_evonas.blas import one_blas_thread
from keras_evonas.evolution import pareto
from keras_evonas.evolution.checks import check_boolean
from keras_evonas.evolution.checks import check_integer
from keras_evonas.evolution.defaults import checked_strategy
from keras_evonas.evolution.engine import CROWDED
from keras_evonas.evolution.engine import Engine
from keras_evonas.evolution.genes import Genome
from keras_evonas.evolution.history import Individual
from keras_evonas.evolution.recommendation import recommended
from keras_evonas.evolution.strategies import Strategy
from keras_evonas.oracles import checks
from keras_evonas.oracles import fidelity
from keras_evonas.oracles import objectives
from keras_evonas.oracles import stops
from keras_evonas.oracles.constraints import Constraint
from keras_evonas.oracles.constraints import checked_constraints
from keras_evonas.oracles.host import Status
from keras_evonas.oracles.host import Trial
from keras_evonas.oracles.limits import CostFunction
from keras_evonas.oracles.limits import Feasibility
from keras_evonas.oracles.resumable import ResumableOracle
from keras_evonas.project import notebook
from keras_evonas.project.ranking import Ranking


class EvoOracle(ResumableOracle):
    """Evolves hyperparameters: selection, crossover, mutation, replacement.

    Pass it to a `keras_tuner.Tuner`, or to `keras_evonas.EvoTuner`. It takes
    every keras-tuner search space; hyperparameters inside a
    `conditional_scope` take part only while they are active. No network is
    proposed twice: of networks that are otherwise equal, some `Float` without
    a `step` differs by at least 0.5 % of its range on its `sampling` scale,
    until no such network is left. A search that was stopped anywhere goes on
    as if it had not been, when the same program is run again.

    Args:
        objective: A string, a `keras_tuner.Objective`, or `None` as for
            `keras_tuner.Oracle`. If a string, the direction of the
            optimization (min or max) is inferred. A list of several starts a
            Pareto search: nothing is added up, the result is a front (see
            `get_pareto_trials`), and the first of them that training reports
            is the score. Costs may be among them: `"params"`,
            `"multiply_adds"`, `"flops"`, `"weight_bytes"`,
            `"training_bytes"`, `"depth"`; and with `EvoTuner`
            `"train_seconds"` and `"latency_ms"`.
        max_trials: Integer, the total number of trials to test at most, or
            `None` to stop by one of the other limits alone. Raising it
            continues a finished search.
        strategy: What to try next, for example `genetic_algorithm()` or
            `random_search()` of `keras_evonas.evolution`. Defaults to `None`:
            the strategy that does best in the benchmarks. With
            `successive_halving(max_epochs=27)` most trials are short: pass
            the oracle to a tuner that trains as long as a trial says,
            `MultiFidelityTuner` or `EvoTuner`. A network that is trained
            further is another trial. Among the best trials it counts once,
            and those that were trained longer come first.
        constraints: List of limits such as `at_most("params", 1e6)`. Networks
            beyond a limit that is known before training are never tried;
            those that prove to be beyond another are worse than all others.
            Defaults to none.
        costs: Tells the costs of a network before it is trained:
            `HypermodelCosts(build_model)`, or a function from
            `HyperParameters` to a mapping of names to numbers. Names of your
            own may be limited by `constraints`, but are no objectives. With
            costs no network is tried whose training would take more than a
            share of this device's memory (a quarter of a GPU, a sixteenth of
            the host), unless `constraints` limit `"training_bytes"`. Defaults
            to `None`; `EvoTuner` fills it in where the search needs costs, and
            where the largest network might not fit into that share.
        initial_population: Networks to try first: a list of dictionaries of
            values, of `HyperParameters`, or of the word `"default"` for the
            hypermodel's own defaults. Missing values are filled with their
            defaults. Defaults to none.
        inherit_weights: Boolean, whether a child begins with the weights of
            its first parent, as far as they fit (see
            `keras_evonas.models.inherit_weights`), when `EvoTuner` trains it.
            Scores are then not those of training from scratch: the values of
            a trial that inherited name its parent as `"tuner/inherits"`.
            Defaults to `False`.
        inherited_epochs: Integer, how many epochs a child that inherits
            trains, its parent having trained before. Defaults to `None`, as
            many as all others.
        max_seconds: Number, no trial starts after the search has taken so
            many seconds, those before an interruption included. Defaults to
            `None`, no limit.
        max_total_epochs: Integer, no trial starts once the networks of the
            search have been trained for so many epochs together; those of
            trials that are being trained count as far as the strategy says
            how long they are. Defaults to `None`, no limit.
        patience: Integer, the search stops after so many trials in a row
            without a better one. Defaults to `None`, no limit.
        hyperparameters: Optional `HyperParameters` instance, to override or
            register hyperparameters in advance.
        allow_new_entries: Boolean, whether the hypermodel may request
            hyperparameters that `hyperparameters` lacks. Defaults to `True`.
        tune_new_entries: Boolean, whether such entries become part of the
            search space. Defaults to `True`.
        seed: Non-negative integer, `0` included, or `None` for a random one.
            The same seed gives the same search.
        max_retries_per_trial: Integer, how often a failed trial is tried
            again. Defaults to 0.
        max_consecutive_failed_trials: Integer, the search is aborted after so
            many failed trials in a row. Trials that are being trained by then
            are spent, too: with a cohort or several workers a few more may
            fail, since no trial waits for the end of another. Defaults to 3.

    Raises:
        ValueError: If an argument is out of its range, or nothing would ever
            stop the search.
        TypeError: If `strategy` is not a strategy.

    Attributes:
        costs: What tells costs before training, or `None`.
        stop_reason: String, why no further trial is proposed, or `None`.

    Example:

    ```python
    oracle = EvoOracle("val_accuracy", max_trials=60, seed=0)
    tuner = keras_tuner.Tuner(oracle=oracle, hypermodel=build_model)
    tuner.search(x, y, epochs=10, validation_data=(x_val, y_val))
    ```
    """

    def __init__(
        self,
        objective: objectives.Goal = None,
        max_trials: int | None = None,
        *,
        strategy: Strategy | None = None,
        constraints: Iterable[Constraint] | None = None,
        costs: CostFunction | None = None,
        initial_population: Iterable[checks.Initial] | None = None,
        inherit_weights: bool = False,
        inherited_epochs: int | None = None,
        max_seconds: float | None = None,
        max_total_epochs: int | None = None,
        patience: int | None = None,
        hyperparameters: keras_tuner.HyperParameters | None = None,
        allow_new_entries: bool = True,
        tune_new_entries: bool = True,
        seed: int | None = None,
        max_retries_per_trial: int = 0,
        max_consecutive_failed_trials: int = 3,
    ) -> None:
        stops.check_stops(max_trials, max_seconds, patience, max_total_epochs)
        checks.check_failures(
            max_retries_per_trial, max_consecutive_failed_trials
        )
        checks.check_hyperparameters(hyperparameters)
        checks.check_costs(costs)
        check_boolean("allow_new_entries", allow_new_entries)
        check_boolean("tune_new_entries", tune_new_entries)
        checked = checked_strategy(strategy, objectives.are_several(objective))
        super().__init__(
            strategy=checked,
            inheritance=fidelity.checked_inheritance(
                inherit_weights, inherited_epochs, checked
            ),
            constraints=checked_constraints(constraints),
            costs=costs,
            initial_population=checks.checked_initial_population(
                initial_population
            ),
            objective=objective,
            max_trials=None if max_trials is None else int(max_trials),
            hyperparameters=hyperparameters,
            allow_new_entries=allow_new_entries,
            tune_new_entries=tune_new_entries,
            seed=seed,
            max_retries_per_trial=max_retries_per_trial,
            max_consecutive_failed_trials=max_consecutive_failed_trials,
        )
        self.max_seconds = max_seconds
        self.max_total_epochs = max_total_epochs
        self.patience = patience
        # A tuner that trains each trial several times says so.
        self.executions_per_trial = 1

    # Proposals.

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Proposes the values of the next trial; see `keras_tuner.Oracle`."""
        individual = None
        try:
            self.stop_reason = self._limit_reached()
            if self.stop_reason is None:
                if self.start_order and not self.hyperparameters.space:
                    # The first trial is still to ask for hyperparameters.
                    return {"status": Status.IDLE}
                with one_blas_thread():
                    individual = self.engine.ask()
        except Exception as error:
            # Raised by `create_trial`, without the host's lock.
            self._failure, self.stop_reason = error, f"{error!r}"
        if individual is not None:
            if self.verbose and individual.operator == CROWDED:
                print(
                    "Nothing is left that differs visibly from all trials: "
                    f"trial {trial_id} explores between them."
                )
            values = self._values_of(individual)
            return {"status": Status.RUNNING, "values": values}
        if self.stop_reason is None:
            self.stop_reason = self._exhausted()
        if self.verbose:
            print(f"Search stopped: {self.stop_reason}.")
        return {"status": Status.STOPPED}

    def _limit_reached(self) -> str | None:
        if self.ended_by is not None:
            return str(self.ended_by)
        pending = self.engine.history.pending.values()
        return stops.limit_reached(
            self._history,
            map(self._values_of, pending),
            max_seconds=self.max_seconds,
            patience=self.patience,
            max_total_epochs=self.max_total_epochs,
            executions=self.executions_per_trial,
        )

    def _exhausted(self) -> str:
        """Returns why there is no further candidate."""
        distinct = self.engine.history.distinct
        if self.engine.closest is None or self.feasibility is None:
            return f"space exhausted: {distinct} of {self.engine.space.size}"
        _, closest = self.engine.closest
        if not distinct:
            self._failure = self.feasibility.nothing_to_search(closest)
        return (
            f"nothing feasible found beyond {distinct} networks; "
            f"{self.feasibility.explain(closest)}"
        )

    # The search.

    @property
    def strategy(self) -> Strategy:
        """The strategy that proposes trials, `"auto"` settings unresolved."""
        return self._strategy

    @property
    def engine(self) -> Engine:
        """The search itself: its space, history and state.

        Raises:
            RuntimeError: If no trial was created or reloaded yet.
        """
        return self._history.engine

    def individual(self, trial_id: str) -> Individual:
        """Returns the individual of a trial, with its parents and operator.

        Raises:
            KeyError: If there is no such trial.
        """
        return self._history.individual(trial_id)

    def completed_before(self, trial_id: str) -> list[str]:
        """Returns the trials that had completed when another was proposed."""
        return self._history.completed_before(trial_id)

    def lineage(self, trial_id: str) -> list[Individual]:
        """Returns a trial's individual and its ancestors, the oldest first.

        Raises:
            KeyError: If there is no such trial.
        """
        return self._history.lineage(trial_id)

    # Results.

    @property
    def _ranking(self) -> Ranking:
        return Ranking() if self._events is None else self._events.ranking

    def get_best_trials(self, num_trials: int = 1) -> list[Trial]:
        """Returns the best completed trials, best first.

        Trials that violate a constraint come after all others. With several
        objectives those of the first front come first, then those of the
        next, each front in the order of the lead objective.

        Args:
            num_trials: Integer, how many at most. Defaults to 1.

        Returns:
            List of trials, best first; shorter than `num_trials` if fewer
            have completed. (keras-tuner pads it with failed ones.)
        """
        check_integer("num_trials", num_trials, lowest=0)
        names = self._ranking.best(num_trials)
        return [self.trials[trial_id] for trial_id in names]

    def get_recommended_trials(self, num_trials: int = 1) -> list[Trial]:
        """Returns the trials to expect the most of if trained again.

        The best score of many is lucky, too. Here each score is weighed
        against those of similar networks: what is left of its lead is the
        network's own. Only trials that the best one beats by its score alone
        are compared, so none that was trained less or violates more. Of fewer
        than 20 the best score is the better guess, and counts alone.

        Args:
            num_trials: Integer, how many at most. Defaults to 1.

        Returns:
            List of completed trials, the one with the best expected score
            first.

        Raises:
            ValueError: If there are several objectives.
        """
        if isinstance(self.objective, objectives.SeveralObjectives):
            raise ValueError(
                "`get_recommended_trials` needs a single objective. Received: "
                f"{objectives.describe(self.objective)}. Take "
                "`get_pareto_trials` or `get_knee_trial`."
            )
        check_integer("num_trials", num_trials, lowest=0)
        names = [one.trial_id for one in self._ranking.leaders()]
        if not names:
            return []
        trial_of = {self.individual(name).birth: name for name in names}
        ended = [self.individual(name) for name in names]
        with one_blas_thread():
            found = recommended(self.engine.space, ended)[:num_trials]
        return [self.trials[trial_of[one.birth]] for one in found]

    def get_pareto_trials(self) -> list[Trial]:
        """Returns the trials that no other beats in every objective.

        Returns:
            List of completed trials that keep all constraints, the best of
            the lead objective first. With one objective, the best trials.
        """
        return [self.trials[trial_id] for trial_id in self._ranking.front()]

    def get_knee_trial(self) -> Trial | None:
        """Returns the trial of the front at its knee.

        Beyond the knee a gain in one objective costs most of the others.

        Returns:
            The trial, or `None` if there is no front yet.
        """
        trials = self.get_pareto_trials()
        if not trials:
            return None
        front = {x.trial_id for x in trials}
        losses = [x.losses for x in self._ranking if x.trial_id in front]
        return trials[pareto.knee_point(losses)]

    def get_hypervolumes(
        self, reference: Mapping[str, float] | None = None
    ) -> list[float]:
        """Returns how the front grew, trial by trial.

        Args:
            reference: Mapping of the names of the objectives to values that
                are just not acceptable. Defaults to `None`: the worst seen.

        Returns:
            List of floats, one for each trial that has ended: the volume that
            the front of the trials so far dominates, in the units of the
            objectives. Trials that failed or violate a constraint add
            nothing.

        Raises:
            ValueError: If `reference` lacks an objective.
        """
        kept = [one for one in self._ranking if not one.violation]
        losses_of = {one.trial_id: one.losses for one in kept}
        parts = objectives.parts_of(self.objective)
        losses = list(losses_of.values())
        corner = objectives.corner_of(parts, losses, reference)
        front: list[tuple[float, ...]] = []
        volumes: list[float] = []
        for trial_id in self.end_order:
            if trial_id in losses_of:
                points = [*front, losses_of[trial_id]]
                ranks = pareto.ranks(points)
                front = [x for x, r in zip(points, ranks, strict=True) if not r]
            volumes.append(pareto.hypervolume(front, corner) if front else 0.0)
        return volumes

    # Limits.

    @property
    def constraints(self) -> tuple[Constraint, ...]:
        """The constraints of the search."""
        return self._limits.constraints

    @property
    def costs(self) -> CostFunction | None:
        """Computes the costs of a network before training, or `None`."""
        return self._limits.costs

    @costs.setter
    def costs(self, costs: CostFunction | None) -> None:
        checks.check_costs(costs)
        self._limits.costs = costs

    @property
    def needed_costs(self) -> list[str]:
        """The costs before training that the search cannot do without."""
        return self._limits.needed_costs

    @property
    def feasibility(self) -> Feasibility | None:
        """Judges candidates by their costs; `None` without `costs`."""
        return self._limits.feasibility

    def violation_before(self, genome: Genome) -> float:
        """Returns how far a network is beyond the limits on its costs."""
        return self._limits.violation_before(genome)

    def violation_after(self, trial: Trial) -> float:
        """Returns how far a trial is beyond the limits on what it reports."""
        return self._limits.violation_after(trial.metrics, trial.best_step)

    def _repr_html_(self) -> str:
        settings = {
            "objective": str(objectives.describe(self.objective)),
            "max_trials": self.max_trials,
            "strategy": self.strategy,
            "seed": self.seed,
        }
        # A tuner sets it; until then there is no folder.
        known = self._search_folder
        folder = None if known is None else known.path
        return notebook.oracle_html(type(self).__name__, settings, folder)
