"""An oracle whose search is written down, and taken up again exactly.

The engine decides, keras-tuner keeps the trials, the record remembers both.
"""

import os
import time
from collections.abc import Mapping
from typing import Any

import keras_tuner

from keras_evonas import hyperparameters as hp_lib
from keras_evonas.evolution.engine import Engine
from keras_evonas.evolution.history import Individual
from keras_evonas.evolution.strategies import Strategy
from keras_evonas.oracles import fidelity
from keras_evonas.oracles import objectives
from keras_evonas.oracles import saved
from keras_evonas.oracles.arguments import describe_strategy
from keras_evonas.oracles.host import Status
from keras_evonas.oracles.host import Trial
from keras_evonas.oracles.judged import JudgedOracle
from keras_evonas.project.files import WAY_OUT
from keras_evonas.project.files import read_json
from keras_evonas.project.ranking import Ranking
from keras_evonas.project.ranking import Standing
from keras_evonas.project.record import End
from keras_evonas.project.record import Event
from keras_evonas.project.record import Terms

# What reading raises where parts are sound, but do not fit each other.
_MISFITS = (ArithmeticError, AttributeError, LookupError, TypeError)


class RecordedOracle(JudgedOracle):
    """An Oracle to derive from, whose proposals come from an `Engine`.

    Subclasses override `populate_space`.

    Args:
        strategy: The strategy of the engine.
        initial_population: List of dictionaries of values to try first.
        inheritance: How children inherit weights, or `None`.
        seed: Non-negative integer, or `None` for a random one.
        **host_arguments: As for `JudgedOracle`.
    """

    def __init__(
        self,
        *,
        strategy: Strategy,
        initial_population: list[dict[str, Any]],
        inheritance: fidelity.Inheritance | None,
        seed: int | None,
        **host_arguments: Any,
    ) -> None:
        super().__init__(seed=seed, **host_arguments)
        self._strategy = strategy
        self._initial_population = initial_population
        self.inheritance = inheritance
        self._seed_given = seed is not None
        # What the user registered in advance, and may differ from what the
        # model asks for.
        self._registered = tuple(self.hyperparameters.space)
        self._engine: Engine | None = None
        self._names_at_first: list[str] = []
        self._ended_since_best = 0
        self._elapsed_before = 0.0
        self._started: float | None = None

    @property
    def strategy(self) -> Strategy:
        """What proposes trials, its `"auto"` settings not resolved."""
        return self._strategy

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

    # Beginning.

    def _prepare(self) -> None:
        self._check_costs()
        if self._take_folder():
            self._engine = self._started = None
        if self._started is None:
            if not self._record.exists() and self._engine is None:
                self._check_beginning()
            self._record.repair()
            if self._engine is None:
                self._begin_or_reload()
            self._set_aside()
            self._started = time.monotonic()
        if self.end_order and not self.hyperparameters.space:
            raise ValueError(self._no_hyperparameters())
        self._grow()

    def _begin_or_reload(self) -> None:
        if self._record.exists():
            # Killed before the tuner had saved itself for the first time.
            self.reload()
            return
        can_grow = self.allow_new_entries and self.tune_new_entries
        if not self.hyperparameters.space and not can_grow:
            raise ValueError(self._no_hyperparameters())
        self._guard_bytes = self._default_guard_bytes()
        self._engine = self._new_engine(self.max_trials)
        self._snapshot()
        self._record.begin(self._terms)

    def _grow(self) -> None:
        """Lets the engine know of hyperparameters that have appeared."""
        if len(self.hyperparameters.space) != len(self.engine.space.genes):
            # The new genes are on the disk before a line that needs them.
            self._snapshot()
            self.engine.grow(hp_lib.to_space(self.hyperparameters))

    def _no_hyperparameters(self) -> str:
        failures = [
            f" Its trial '{trial_id}' failed with:\n{trial.message}"
            for trial_id, trial in self.trials.items()
            if trial.status == Status.FAILED
        ]
        return (
            "`hypermodel` must have hyperparameters to search. Received: one "
            "that asks for none, neither when it is built nor in a trial. Use "
            "`hp.Int`, `hp.Choice` and the like in `build(hp)`."
            f"{''.join(failures[:1])}"
        )

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
            violation_of=self.violation_before,
        )

    def _on_run(self, trial: Trial) -> None:
        birth = int(trial.trial_id)
        self._report_costs(trial, self.engine.history.pending[birth].genome)

    @property
    def _elapsed(self) -> float:
        if self._started is None:
            return self._elapsed_before
        return self._elapsed_before + time.monotonic() - self._started

    # Recording, and taking up again.

    @property
    def _terms(self) -> Terms:
        return Terms(
            seed=self.seed,
            objective=objectives.describe(self.objective),
            strategy=describe_strategy(self._strategy),
            initial_population=self._initial_population,
            max_trials=self.max_trials,
            constraints=[str(one) for one in self.constraints],
            guard_bytes=self._guard_bytes,
            inheritance=self.inheritance and repr(self.inheritance),
            space=list(
                dict.fromkeys(hp.name for hp in self.hyperparameters.space)
            ),
        )

    def _on_birth(self, trial: Trial) -> None:
        individual = self.engine.history.pending[int(trial.trial_id)]
        self._record.birth(trial.trial_id, individual)

    def _on_end(self, trial: Trial) -> None:
        self._grow()
        losses, violation = None, 0.0
        if trial.status == Status.COMPLETED:
            losses = objectives.losses_at(
                self.objective, trial.metrics, trial.best_step
            )
            violation = self.violation_after(trial)
        end = End(
            trial_id=trial.trial_id,
            status=trial.status,
            score=trial.score,
            best_step=trial.best_step,
            message=trial.message,
            values=dict(trial.hyperparameters.values),
            elapsed=self._elapsed,
            losses=None if losses is None else list(losses),
            violation=violation,
            worker=self._holder_of(trial.trial_id),
        )
        self._record.end(end)
        if trial.status != Status.INVALID:
            self._absorb(trial, end)

    def _absorb(self, trial: Trial, end: End) -> None:
        """Tells the engine of an end, now or when a record is read."""
        losses = None if end.losses is None else tuple(end.losses)
        # A trial that ended before the space grew has no value for new genes.
        genome = {
            name: value
            for name, value in self.engine.space.complete(end.values).items()
            if name in end.values
        }
        self.engine.tell(
            int(trial.trial_id),
            losses,
            genome=genome,
            violation=end.violation,
        )
        self._ended_since_best += 1
        if losses is None:
            return
        individual = self.individual(trial.trial_id)
        parent = individual.continues
        standing = Standing(
            trial_id=trial.trial_id,
            losses=losses,
            ended=len(self.end_order),
            violation=end.violation,
            rung=individual.rung,
            continues=None if parent is None else self.start_order[parent],
        )
        if self._ranking.add(standing):
            self._ended_since_best = 0

    def _values_of(self, individual: Individual) -> dict[str, Any]:
        """What a trial is proposed with: genes, and how to train them."""
        return dict(individual.genome) | fidelity.training_values(
            individual,
            fidelity.epochs_of_rungs(self._strategy),
            self.start_order,
            self.inheritance,
        )

    def reload(self) -> None:
        """Takes up the search of the project folder; see `keras_tuner.Oracle`.

        Raises:
            ValueError: If the folder holds a search of another oracle, or one
                with another space, objective, strategy, seed or initial
                population.
        """
        with self._lock:
            state = self._saved_state()
            if not self._record.exists():
                # Saved, and killed before the first trial.
                self._check_unused(state)
                self._take_space(state)
                return
            entries = self._record.read()
            changes = entries.terms.differences(
                self._terms, seed_given=self._seed_given
            )
            self._refuse(changes)
            self._take_space(state)
            self.seed = self._seed_state = entries.terms.seed
            self._guard_bytes, self._judge = entries.terms.guard_bytes, None
            self._names_at_first = entries.terms.space
            self._engine = self._new_engine(entries.terms.max_trials)
            self._started = None
            try:
                self._replay(entries.events)
            except _MISFITS as error:
                raise ValueError(
                    f"'{self._record.path}' must be the record of this "
                    "search. Received: one whose entries do not fit each "
                    f"other or the space: {error!r}. Restore it. "
                    f"{WAY_OUT}"
                ) from error

    def check_space(self, asked: keras_tuner.HyperParameters) -> None:
        """Compares the space of the project folder with that of a hypermodel.

        Args:
            asked: What the hypermodel asks for when a tuner explores it. What
                only some networks ask for need not be there.

        Raises:
            ValueError: If it asks for something new, or no longer for what it
                asked for when the search began.
        """
        known = {hp.name for hp in self.hyperparameters.space}
        wanted = {hp.name: hp for hp in asked.space}
        registered = {hp.name for hp in self._registered}
        can_grow = self.allow_new_entries and self.tune_new_entries
        changes = [
            f"'{name}' is new: {hp!r}"
            for name, hp in wanted.items()
            if can_grow and name not in known
        ]
        changes += [
            f"'{name}' is not asked for any more"
            for name in self._names_at_first
            if name not in wanted and name not in registered
        ]
        self._refuse(changes)

    def _take_space(self, state: Mapping[str, Any]) -> None:
        try:
            known = saved.hyperparameters_from(state["hyperparameters"])
            self._display.set_state(state["display"])
            hp_lib.to_space(known)
            changes = hp_lib.describe_changes(known, self.hyperparameters)
        except (*_MISFITS, ValueError) as error:
            raise ValueError(
                f"'{self._get_oracle_fname()}' must be the state of a "
                f"keras-tuner oracle. Received: one whose parts do not fit: "
                f"{error}. Restore it. {WAY_OUT}"
            ) from error
        self._refuse(changes)
        self.hyperparameters = hp_lib.SharedHyperParameters(
            known, self._on_space_change, self._registered
        )

    def _replay(self, events: list[Event]) -> None:
        self._forget()
        for event in events:
            if isinstance(event, End):
                self._replay_end(event)
                continue
            trial_id, individual = event
            self.trials[trial_id] = self._load_trial(trial_id) or Trial(
                hyperparameters=self._hyperparameters_of(
                    self._values_of(individual)
                ),
                trial_id=trial_id,
            )
            self.start_order.append(trial_id)
            self.engine.record(individual)
        self._births_saved = len(self.start_order)
        ended = set(self.end_order)
        unfinished = [t for t in self.start_order if t not in ended]
        for trial_id in unfinished:
            # They are built again, so their spaces are watched for changes;
            # but they know no more of the space than when they were born.
            trial = self.trials[trial_id]
            trial.hyperparameters = hp_lib.SharedHyperParameters(
                trial.hyperparameters, self._on_space_change, self._registered
            )
        # The host takes them from the end: the first born first.
        self._retry_queue = unfinished[::-1]
        for trial in self.trials.values():
            self._record_values(trial)
        self._note_strangers()

    def _replay_end(self, end: End) -> None:
        trial = self.trials[end.trial_id]
        trial.status, trial.score = end.status, end.score
        trial.best_step, trial.message = end.best_step, end.message
        trial.hyperparameters.values = dict(end.values)
        self._run_times[end.trial_id] += 1
        self._elapsed_before = end.elapsed
        if end.status != Status.INVALID:
            self.end_order.append(end.trial_id)
            self._absorb(trial, end)

    def _forget(self) -> None:
        self.trials, self.ongoing_trials = {}, {}
        self.start_order, self.end_order = [], []
        self._run_times.clear()
        self._ranking = Ranking()
        self._tried_so_far.clear()
        self._id_to_hash.clear()
        self._ended_since_best = 0
        self._elapsed_before = 0.0

    def _saved_state(self) -> dict[str, Any]:
        path = self._get_oracle_fname()
        state = read_json(path)
        missing = {"display", "hyperparameters", "start_order"} - set(state)
        if missing:
            raise ValueError(
                f"'{path}' must be the state of a keras-tuner oracle. "
                f"Received: one without {sorted(missing)}. {WAY_OUT}"
            )
        return state

    def _check_beginning(self) -> None:
        if os.path.exists(self._get_oracle_fname()):
            self._check_unused(self._saved_state())

    def _check_unused(self, state: Mapping[str, Any]) -> None:
        if state["start_order"]:
            raise ValueError(
                f"The project folder '{self._project_dir}' must hold a search "
                "of EvoOracle to be continued. Received: one of another "
                f"oracle, or one whose '{self._record.path}' is lost. "
                f"{WAY_OUT}"
            )

    def _on_space_change(self, change: str) -> None:
        # Fatal: the host would record any other error as a failed trial.
        raise keras_tuner.errors.FatalValueError(self._refusal([change]))

    def _refuse(self, changes: list[str]) -> None:
        if changes:
            raise ValueError(self._refusal(changes))

    def _refusal(self, changes: list[str]) -> str:
        return (
            f"The project folder '{self._project_dir}' holds a search that "
            f"differs from this one: {'; '.join(changes)}. {WAY_OUT}"
        )
