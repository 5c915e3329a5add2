"""`EvoOracle`: evolution behind keras-tuner's Oracle.

The engine decides, keras-tuner keeps the trials, the record remembers both.
"""

import json
import time
from collections.abc import Iterable
from collections.abc import Mapping
from typing import Any

import keras_tuner

from keras_evonas import hyperparameters as hp_lib
from keras_evonas import objectives
from keras_evonas.arguments import Initial
from keras_evonas.arguments import check_stops
from keras_evonas.arguments import checked_initial_population
from keras_evonas.arguments import checked_strategy
from keras_evonas.blas import one_blas_thread
from keras_evonas.evolution.engine import Engine
from keras_evonas.evolution.history import Individual
from keras_evonas.evolution.strategies import Strategy
from keras_evonas.host import MendedOracle
from keras_evonas.host import Status
from keras_evonas.host import Trial
from keras_evonas.record import End
from keras_evonas.record import SearchRecord
from keras_evonas.record import Terms


class EvoOracle(MendedOracle):
    """Evolves hyperparameters: selection, crossover, mutation, replacement.

    Pass it to a `keras_tuner.Tuner`, or to `keras_evonas.EvoTuner`. It takes
    every keras-tuner search space; hyperparameters inside a
    `conditional_scope` take part only while they are active. No network is
    proposed twice. A search that was stopped anywhere goes on as if it had
    not been, when the same program is run again.

    Args:
        objective: A string, a `keras_tuner.Objective`, or `None` as for
            `keras_tuner.Oracle`. If a string, the direction of the
            optimization (min or max) is inferred.
        max_trials: Integer, the total number of trials to test at most, or
            `None` to stop by `max_seconds` or `patience` alone. Raising it
            continues a finished search.
        strategy: What to try next, for example `genetic_algorithm()` or
            `random_search()` of `keras_evonas.evolution`. Defaults to `None`:
            the strategy that does best in the benchmarks.
        initial_population: Networks to try first: a list of dictionaries of
            values, of `HyperParameters`, or of the word `"default"` for the
            hypermodel's own defaults. Missing values are filled with their
            defaults. Defaults to none.
        max_seconds: Number, no trial starts after the search has taken so
            many seconds, those before an interruption included. Defaults to
            `None`, no limit.
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
            many failed trials in a row. Defaults to 3.

    Raises:
        ValueError: If an argument is out of its range, or nothing would ever
            stop the search.
        TypeError: If `strategy` is not a strategy.

    Attributes:
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
        objective: Any = None,
        max_trials: int | None = None,
        *,
        strategy: Strategy | None = None,
        initial_population: Iterable[Initial] | None = None,
        max_seconds: float | None = None,
        patience: int | None = None,
        hyperparameters: keras_tuner.HyperParameters | None = None,
        allow_new_entries: bool = True,
        tune_new_entries: bool = True,
        seed: int | None = None,
        max_retries_per_trial: int = 0,
        max_consecutive_failed_trials: int = 3,
    ) -> None:
        check_stops(max_trials, max_seconds, patience)
        self._strategy = checked_strategy(strategy)
        self._initial_population = checked_initial_population(
            initial_population
        )
        super().__init__(
            objective=objective,
            max_trials=max_trials,
            hyperparameters=hyperparameters,
            allow_new_entries=allow_new_entries,
            tune_new_entries=tune_new_entries,
            seed=seed,
            max_retries_per_trial=max_retries_per_trial,
            max_consecutive_failed_trials=max_consecutive_failed_trials,
        )
        self._seed_given = seed is not None
        self.max_seconds = max_seconds
        self.patience = patience
        self.stop_reason: str | None = None
        self._engine: Engine | None = None
        self._ended_since_best = 0
        self._elapsed_before = 0.0
        self._started: float | None = None

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Proposes the values of the next trial; see `keras_tuner.Oracle`."""
        del trial_id  # it is the number of the birth
        self.stop_reason = self._limit_reached()
        with one_blas_thread():
            individual = None if self.stop_reason else self.engine.ask()
        if individual is not None:
            values = dict(individual.genome)
            return {"status": Status.RUNNING, "values": values}
        if self.stop_reason is None:
            distinct = self.engine.history.distinct
            size = self.engine.space.size
            self.stop_reason = f"space exhausted: {distinct} of {size}"
        if self.verbose:
            print(f"Search stopped: {self.stop_reason}.")
        return {"status": Status.STOPPED}

    def create_trial(self, tuner_id: str) -> Trial:
        """Creates a trial; see `keras_tuner.Oracle`.

        Raises:
            ValueError: If the space has no hyperparameters, if
                `initial_population` lies outside of it, or if the project
                folder belongs to another search.
        """
        trial = super().create_trial(tuner_id)
        if trial.status == Status.STOPPED and self.stop_reason is None:
            self.stop_reason = f"max_trials={self.max_trials} reached"
        return trial

    @property
    def engine(self) -> Engine:
        """The search itself: its space, history and state.

        Raises:
            RuntimeError: If no trial was created or reloaded yet.
        """
        if self._engine is None:
            raise RuntimeError(
                "The search has not begun. Call `tuner.search` first, or make "
                "a tuner on a project folder that holds a search."
            )
        return self._engine

    def individual(self, trial_id: str) -> Individual:
        """Returns the individual of a trial, with its parents and operator.

        Raises:
            KeyError: If there is no such trial.
        """
        return self.engine.history.individual(int(trial_id))

    def lineage(self, trial_id: str) -> list[Individual]:
        """Returns a trial's individual and its ancestors, the oldest first.

        Raises:
            KeyError: If there is no such trial.
        """
        history = self.engine.history
        found: dict[int, Individual] = {}
        waiting = [int(trial_id)]
        while waiting:
            birth = waiting.pop()
            if birth not in found:
                found[birth] = history.individual(birth)
                waiting.extend(found[birth].parents)
        return [found[birth] for birth in sorted(found)]

    # Beginning, and stopping.

    def _prepare(self) -> None:
        if self._started is None:
            self._started = time.monotonic()
        if self._engine is None:
            if self._record.exists():
                # Killed before the tuner had saved itself for the first time.
                self._check_space_unchanged()
                self.reload()
            else:
                self._begin()
        elif self.start_order and not self.hyperparameters.space:
            raise ValueError(
                "`hypermodel` must have hyperparameters to search. Received: "
                "one that asked for none, neither when it was built nor in "
                "the first trial. Use `hp.Int`, `hp.Choice` and the like in "
                "`build(hp)`."
            )

    def _begin(self) -> None:
        self._engine = self._new_engine(self.max_trials)
        self._snapshot()
        self._record.begin(self._terms)

    def _new_engine(self, max_trials: int | None) -> Engine:
        space = hp_lib.to_space(self.hyperparameters)
        return Engine(
            space,
            self._strategy.configure(max_trials),
            seed=self.seed,
            initial_population=[
                hp_lib.to_genome(space, values)
                for values in self._initial_population
            ],
        )

    @property
    def _elapsed(self) -> float:
        if self._started is None:
            return self._elapsed_before
        return self._elapsed_before + time.monotonic() - self._started

    def _limit_reached(self) -> str | None:
        if self.max_seconds is not None and self._elapsed >= self.max_seconds:
            return f"max_seconds={self.max_seconds} have passed"
        if self.patience is not None and (
            self._ended_since_best >= self.patience
        ):
            return f"no better trial in the last patience={self.patience}"
        return None

    # Recording, and taking up again.

    @property
    def _record(self) -> SearchRecord:
        return SearchRecord(self._project_dir)

    @property
    def _terms(self) -> Terms:
        return Terms(
            seed=self.seed,
            objective=objectives.describe(self.objective),
            strategy=repr(self._strategy),
            initial_population=self._initial_population,
            max_trials=self.max_trials,
        )

    def _on_birth(self, trial: Trial) -> None:
        individual = self.engine.history.pending[int(trial.trial_id)]
        self._record.birth(trial.trial_id, individual)

    def _on_end(self, trial: Trial) -> None:
        if len(self.hyperparameters.space) != len(self.engine.space.genes):
            # The new genes are on the disk before a line that needs them.
            self._snapshot()
            self.engine.grow(hp_lib.to_space(self.hyperparameters))
        end = End(
            trial_id=trial.trial_id,
            status=trial.status,
            score=trial.score,
            best_step=trial.best_step,
            message=trial.message,
            values=dict(trial.hyperparameters.values),
            elapsed=self._elapsed,
        )
        self._record.end(end)
        if trial.status != Status.INVALID:
            self._absorb(trial, end.values)

    def _absorb(self, trial: Trial, values: Mapping[str, Any]) -> None:
        """Tells the engine of an end, now or when a record is read."""
        losses = None
        if trial.status == Status.COMPLETED:
            losses = objectives.losses_of(self.objective, trial.score)
        # A trial that ended before the space grew has no value for new genes.
        genome = {
            name: value
            for name, value in self.engine.space.complete(values).items()
            if name in values
        }
        self.engine.tell(int(trial.trial_id), losses, genome=genome)
        self._ended_since_best += 1
        if losses is not None:
            if not self._ranking or losses < self._ranking[0][0]:
                self._ended_since_best = 0
            self._rank(trial, losses)

    def reload(self) -> None:
        """Takes up the search of the project folder; see `keras_tuner.Oracle`.

        Raises:
            ValueError: If the folder holds a search of another oracle, or one
                with another objective, strategy, seed or initial population.
        """
        with self._lock:
            if not self._record.exists():
                raise ValueError(
                    f"The project folder '{self._project_dir}' must hold a "
                    "search of EvoOracle to be continued. Received: one of "
                    f"another oracle. {_WAY_OUT}"
                )
            entries = self._record.read()
            changes = entries.terms.differences(
                self._terms, seed_given=self._seed_given
            )
            self._refuse(changes)
            self.seed = self._seed_state = entries.terms.seed
            state = self._saved_state()
            self.hyperparameters = hp_lib.SharedHyperParameters(
                _space_of(state), self._on_space_change
            )
            self._display.set_state(state["display"])
            self._engine = self._new_engine(entries.terms.max_trials)
            self._replay(entries.events)

    def _replay(self, events: list[tuple[str, Individual] | End]) -> None:
        self._forget()
        for event in events:
            if isinstance(event, End):
                self._replay_end(event)
                continue
            trial_id, individual = event
            self.trials[trial_id] = self._load_trial(trial_id) or Trial(
                hyperparameters=self._hyperparameters_of(individual.genome),
                trial_id=trial_id,
            )
            self.start_order.append(trial_id)
            self.engine.record(individual)
        ended = set(self.end_order)
        unfinished = [t for t in self.start_order if t not in ended]
        # The host takes them from the end: the first born first.
        self._retry_queue = unfinished[::-1]
        self._births_saved = len(self.start_order)
        for trial in self.trials.values():
            super()._record_values(trial)

    def _replay_end(self, end: End) -> None:
        trial = self.trials[end.trial_id]
        trial.status, trial.score = end.status, end.score
        trial.best_step, trial.message = end.best_step, end.message
        trial.hyperparameters.values = dict(end.values)
        self._run_times[end.trial_id] += 1
        self._elapsed_before = end.elapsed
        if end.status != Status.INVALID:
            self.end_order.append(end.trial_id)
            self._absorb(trial, end.values)

    def _forget(self) -> None:
        self.trials, self.ongoing_trials = {}, {}
        self.start_order, self.end_order = [], []
        self._run_times.clear()
        self._ranking.clear()
        self._tried_so_far.clear()
        self._id_to_hash.clear()
        self._ended_since_best = 0

    def _hyperparameters_of(self, values: Any) -> keras_tuner.HyperParameters:
        hp = self.hyperparameters.copy()
        hp.values = dict(values)
        return hp

    def _saved_state(self) -> dict[str, Any]:
        with open(self._get_oracle_fname(), encoding="utf-8") as file:
            return json.load(file)

    def _check_space_unchanged(self) -> None:
        saved = _space_of(self._saved_state())
        self._refuse(hp_lib.describe_changes(saved, self.hyperparameters))

    def _on_space_change(self, known: Any, requested: Any) -> None:
        # Fatal: the host would record any other error as a failed trial.
        raise keras_tuner.errors.FatalValueError(
            self._refusal(
                [f"'{known['name']}' was {known} and is now {requested}"]
            )
        )

    def _refuse(self, changes: list[str]) -> None:
        if changes:
            raise ValueError(self._refusal(changes))

    def _refusal(self, changes: list[str]) -> str:
        return (
            f"The project folder '{self._project_dir}' holds a search that "
            f"differs from this one: {'; '.join(changes)}. {_WAY_OUT}"
        )


_WAY_OUT = (
    "Nothing was changed. Pass `overwrite=True` to the tuner to begin anew, "
    "or another `project_name` to keep both."
)


def _space_of(state: Mapping[str, Any]) -> keras_tuner.HyperParameters:
    return keras_tuner.HyperParameters.from_config(state["hyperparameters"])
