"""An oracle whose search is recorded, and goes on after any cut.

It has parts, and this module says in which order they come into play when a
trial is created, reports and ends:

| part | module | what it does |
|---|---|---|
| folder | `folder` | keeps other searches out, reads and writes files |
| events | `events` | records births and ends, tells engine and ranking |
| limits | `limits` | judges networks by costs and constraints |
| leases | `leases` | finds workers that have died |
| definitions | `definitions` | notices that the search space changed |
"""

import os
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING
from typing import Any

import keras_tuner

from keras_evonas import hyperparameters as hp_lib
from keras_evonas.evolution.engine import Engine
from keras_evonas.evolution.history import Individual
from keras_evonas.evolution.strategies import Strategy
from keras_evonas.oracles import fidelity
from keras_evonas.oracles import host_files
from keras_evonas.oracles import objectives
from keras_evonas.oracles.checks import describe_strategy
from keras_evonas.oracles.constraints import Constraint
from keras_evonas.oracles.definitions import Definitions
from keras_evonas.oracles.events import Events
from keras_evonas.oracles.feasibility import CostFunction
from keras_evonas.oracles.folder import SearchFolder
from keras_evonas.oracles.host import HostArguments
from keras_evonas.oracles.host import MendedOracle
from keras_evonas.oracles.host import Status
from keras_evonas.oracles.host import Trial
from keras_evonas.oracles.leases import Leases
from keras_evonas.oracles.limits import Limits
from keras_evonas.project.files import WAY_OUT
from keras_evonas.project.files import check_local
from keras_evonas.project.record import End
from keras_evonas.project.record import Entries
from keras_evonas.project.record import Event
from keras_evonas.project.record import Terms

if TYPE_CHECKING:
    from typing_extensions import Unpack

# How long a tuner waits before it asks again when there is nothing to do.
_IDLE_SECONDS = 0.05

# What reading raises where parts are sound, but do not fit each other.
_MISFITS = (ArithmeticError, AttributeError, LookupError, TypeError)


class ResumableOracle(MendedOracle):
    """An Oracle to derive from, whose proposals come from an `Engine`.

    Subclasses override `populate_space`.

    Args:
        strategy: The strategy of the engine.
        initial_population: List of dictionaries of values to try first.
        inheritance: How children inherit weights, or `None`.
        constraints: Constraints of the search.
        costs: Computes the costs of hyperparameters before training, or
            `None`.
        **host_arguments: As for `keras_tuner.Oracle`.
    """

    def __init__(
        self,
        *,
        strategy: Strategy,
        initial_population: list[dict[str, Any]],
        inheritance: fidelity.Inheritance | None,
        constraints: tuple[Constraint, ...],
        costs: CostFunction | None,
        **host_arguments: "Unpack[HostArguments]",
    ) -> None:
        super().__init__(**host_arguments)
        self.inheritance = inheritance
        self.stop_reason: str | None = None
        self._strategy = strategy
        self._initial_population = initial_population
        self._seed_given = host_arguments["seed"] is not None
        self._definitions = Definitions(self.hyperparameters.space)
        self.hyperparameters = hp_lib.SharedHyperParameters(
            self.hyperparameters, watch=self._definitions
        )
        self._limits = Limits(
            constraints=constraints,
            costs=costs,
            goals=[x.name for x in objectives.parts_of(self.objective)],
            space=lambda: self.hyperparameters,
        )
        self._leases = Leases(self, self.end_leases)
        self._search_folder: SearchFolder | None = None
        self._events: Events | None = None

    # What happens to a trial, step by step.

    def create_trial(self, tuner_id: str) -> Trial:
        """Creates a trial; see `keras_tuner.Oracle`.

        Raises:
            ValueError: If the space has no hyperparameters, if
                `initial_population` lies outside of it, or if the project
                folder belongs to another search.
        """
        with self._lock:
            self._leases.hear(tuner_id)
            self._prepare()
            # Calls `populate_space` and `_on_birth`.
            trial = super().create_trial(tuner_id)
            if trial.status == Status.RUNNING:
                genome = self._history.individual(trial.trial_id).genome
                self._limits.report_costs(genome, trial.metrics)
            elif trial.status == Status.STOPPED:
                self._stop(tuner_id, trial)
        if trial.status == Status.IDLE:
            # keras-tuner asks again at once, thousands of times a second.
            time.sleep(_IDLE_SECONDS)
        return trial

    def update_trial(
        self, trial_id: str, metrics: Mapping[str, float], step: int = 0
    ) -> Trial:
        """Records metrics of a running trial, or that it is running.

        Args:
            trial_id: String, the trial.
            metrics: Mapping of names to values. Without any it is a sign of
                life, and the trial is lent on.
            step: As in `keras_tuner.Oracle`.
        """
        with self._lock:
            if self._has_a_result(trial_id) or (
                not metrics and self._leases.renew(trial_id)
            ):
                trial = self.trials[trial_id]
            else:
                trial = super().update_trial(trial_id, metrics, step)
        if metrics:
            fidelity.check_epochs(trial.hyperparameters.values, step)
        return trial

    def end_trial(self, trial: Trial) -> None:
        """Records the end of a trial; see `keras_tuner.Oracle`.

        A trial that was handed out again ends with the first of its workers;
        the reports of the others are left out.
        """
        with self._lock:
            if self._has_a_result(trial.trial_id):
                return
            self._prepare()
            self._definitions.check_names(trial.hyperparameters)
            # Calls `_on_end`.
            super().end_trial(trial)
            self._leases.end(trial.trial_id)

    def _prepare(self) -> None:
        """Makes sure that the search has begun and has its folder."""
        self._limits.check_costs()
        folder = self._folder
        if folder.take():
            self._events = None
        if self._events is None or not self._events.is_running:
            is_new = self._events is None and not folder.record.exists()
            if is_new:
                folder.check_new()
            folder.record.repair()
            if is_new:
                self._begin()
            elif self._events is None:
                # Killed before the tuner had saved itself for the first time.
                self.reload()
            folder.set_aside()
            self._history.start()
        if self.end_order and not self.hyperparameters.space:
            raise ValueError(self._no_hyperparameters())
        self._grow()

    def _stop(self, tuner_id: str, trial: Trial) -> None:
        """Ends the search for a tuner, if no trial can come back."""
        if not self.ongoing_trials:
            self.release_folder()
        if len(self._leases):
            # A worker may die, and its trial be left.
            trial.status = Status.IDLE
            self.tuner_ids.add(tuner_id)
        else:
            remaining = self.remaining_trials()
            if remaining is not None and remaining <= 0:
                self.stop_reason = f"max_trials={self.max_trials} reached"

    def _on_birth(self, trial: Trial) -> None:
        self._history.born(trial.trial_id)

    def _on_end(self, trial: Trial) -> None:
        self._grow()
        losses, violation = None, 0.0
        if trial.status == Status.COMPLETED:
            losses = objectives.losses_at(
                self.objective, trial.metrics, trial.best_step
            )
            violation = self._limits.violation_after(
                trial.metrics, trial.best_step
            )
        self._history.ended(
            End(
                trial_id=trial.trial_id,
                status=trial.status,
                score=trial.score,
                best_step=trial.best_step,
                message=trial.message,
                values=dict(trial.hyperparameters.values),
                elapsed=self._history.elapsed,
                losses=None if losses is None else list(losses),
                violation=violation,
                worker=self.holder_of(trial.trial_id),
                **self._definitions.news(),
            )
        )

    def _check_objective_found(self, metrics: Mapping[str, float]) -> None:
        super()._check_objective_found(metrics)
        self._limits.check_reported(metrics)

    # The search.

    @property
    def _history(self) -> Events:
        if self._events is None:
            raise RuntimeError(
                "The search has not begun. Call `tuner.search` first, or make "
                "a tuner on a project folder that holds a search."
            )
        return self._events

    def _begin(self) -> None:
        can_grow = self.allow_new_entries and self.tune_new_entries
        if not self.hyperparameters.space and not can_grow:
            raise ValueError(self._no_hyperparameters())
        self._limits.guard_bytes = self._limits.default_guard_bytes()
        self._events = self._new_events(self.max_trials)
        self._snapshot()
        self._folder.record.begin(self._terms)

    def _new_events(self, max_trials: int | None) -> Events:
        space = hp_lib.to_space(self.hyperparameters)
        engine = Engine(
            space,
            self._strategy.configure(max_trials),
            seed=self.seed,
            initial_population=[
                hp_lib.to_genome(space, values)
                for values in self._initial_population
            ],
            violation_of=self._limits.violation_before,
        )
        return Events(engine, self._folder.record)

    def _grow(self) -> None:
        """Lets the engine grow by hyperparameters that have appeared."""
        if len(self.hyperparameters.space) != len(
            self._history.engine.space.genes
        ):
            # The new genes are on the disk before a line that needs them.
            self._snapshot()
            self._history.engine.grow(hp_lib.to_space(self.hyperparameters))

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

    def _values_of(self, individual: Individual) -> dict[str, Any]:
        """Returns the values of a trial: genes, and how to train them."""
        return dict(individual.genome) | fidelity.training_values(
            individual,
            fidelity.epochs_of_rungs(self._strategy),
            self._history.trial_ids,
            self.inheritance,
        )

    # The project folder.

    def _set_project_dir(
        self, directory: str | os.PathLike[str], project_name: str
    ) -> None:
        check_local(directory)
        super()._set_project_dir(directory, project_name)
        known = self._search_folder
        if known is None or str(known.path) != self._project_dir:
            self._search_folder = SearchFolder(self._project_dir)
        self._folder.mend_tuner_file()

    @property
    def _folder(self) -> SearchFolder:
        if self._search_folder is None:
            raise RuntimeError(
                "The oracle has no project folder yet. Pass it to a tuner."
            )
        return self._search_folder

    def release_folder(self, *, reread: bool = False) -> None:
        """Lets other processes search in the project folder.

        Asking for another trial takes it again.

        Args:
            reread: Boolean, whether the memory may be ahead of the disk, after
                an error or an interrupt. Defaults to `False`.
        """
        with self._lock:
            if self._search_folder is not None:
                self._search_folder.release(reread=reread)

    def _stop_writing(self, error: OSError) -> None:
        super()._stop_writing(error)
        self.release_folder(reread=True)

    # Taking the search up again.

    @property
    def _terms(self) -> Terms:
        return Terms(
            seed=self.seed,
            objective=objectives.describe(self.objective),
            strategy=describe_strategy(self._strategy),
            initial_population=self._initial_population,
            max_trials=self.max_trials,
            constraints=[str(one) for one in self._limits.constraints],
            guard_bytes=self._limits.guard_bytes,
            inheritance=repr(self.inheritance) if self.inheritance else None,
            space=list(
                dict.fromkeys(hp.name for hp in self.hyperparameters.space)
            ),
        )

    def reload(self) -> None:
        """Takes up the search of the project folder; see `keras_tuner.Oracle`.

        Raises:
            ValueError: If the folder holds a search of another oracle, or one
                with another space, objective, strategy, seed or initial
                population.
        """
        with self._lock:
            folder = self._folder
            state = folder.state()
            if not folder.record.exists():
                # Saved, and killed before the first trial.
                folder.check_unused(state)
                self._take_space(state, Entries(self._terms, []))
                return
            entries = folder.record.read()
            changes = entries.terms.differences(
                self._terms, seed_given=self._seed_given
            )
            folder.refuse(changes)
            self._take_space(state, entries)
            self.seed = self._seed_state = entries.terms.seed
            self._limits.guard_bytes = entries.terms.guard_bytes
            self._events = self._new_events(entries.terms.max_trials)
            try:
                self._replay(entries.events)
            except _MISFITS as error:
                raise ValueError(
                    f"'{folder.record.path}' must be the record of this "
                    "search. Received: one whose entries do not fit each "
                    f"other or the space: {error!r}. Restore it. "
                    f"{WAY_OUT}"
                ) from error

    def _take_space(self, state: Mapping[str, Any], entries: Entries) -> None:
        try:
            known = host_files.hyperparameters_from(state["hyperparameters"])
            self._display.set_state(state["display"])
            hp_lib.to_space(known)
            changes = hp_lib.describe_changes(known, self.hyperparameters)
        except (*_MISFITS, ValueError) as error:
            raise self._folder.misfit(
                f"one whose parts do not fit: {error}. Restore it."
            ) from error
        self._folder.refuse(changes)
        self.hyperparameters = hp_lib.SharedHyperParameters(
            known, watch=self._definitions
        )
        self._definitions.resume(
            known,
            entries.terms.space,
            [event for event in entries.events if isinstance(event, End)],
            self._refuse_change,
        )

    def _replay(self, events: list[Event]) -> None:
        self._forget_trials()
        for event in events:
            if isinstance(event, End):
                self._restore_end(
                    event.trial_id,
                    status=event.status,
                    score=event.score,
                    best_step=event.best_step,
                    message=event.message,
                    values=event.values,
                )
                self._history.replay(event)
                continue
            trial_id, individual = event
            values = self._values_of(individual)
            trial = self._folder.trial(trial_id) or Trial(
                hyperparameters=hp_lib.with_values(
                    self.hyperparameters, values
                ),
                trial_id=trial_id,
            )
            self._restore_trial(trial)
            self._history.replay(event)
        unfinished = self._unfinished
        for trial_id in unfinished:
            # They are built again, so their spaces are watched for changes;
            # but they hold no more of the space than when they were born.
            trial = self.trials[trial_id]
            trial.hyperparameters = hp_lib.SharedHyperParameters(
                trial.hyperparameters, watch=self._definitions
            )
        self._queue(unfinished)
        self._folder.note_strangers(set(self.end_order))

    def check_space(self, asked: keras_tuner.HyperParameters) -> None:
        """Compares the space of the project folder with that of a hypermodel.

        Args:
            asked: What the hypermodel asks for when a tuner explores it. What
                only some networks ask for need not be there.

        Raises:
            ValueError: If it asks for something new, or no longer for what it
                asked for when the search began.
        """
        changes = self._definitions.changes(
            self.hyperparameters,
            asked,
            can_grow=self.allow_new_entries and self.tune_new_entries,
        )
        self._folder.refuse(changes)

    def _refuse_change(self, change: str) -> None:
        # Fatal: the host would record any other error as a failed trial.
        raise keras_tuner.errors.FatalValueError(self._folder.refusal([change]))

    # Leases.

    def _has_a_result(self, trial_id: str) -> bool:
        """Returns whether another worker has ended this trial."""
        again = self._leases.was_handed_again(trial_id)
        return again and trial_id in self.end_order

    def end_leases(self, now: float | None = None) -> None:
        """Takes trials back from workers that were silent for too long.

        Args:
            now: Number, the time of `time.monotonic`. Defaults to now.
        """
        with self._lock:
            self._leases.collect(time.monotonic() if now is None else now)
