"""An oracle whose search is recorded, and goes on after any cut.

Here is in which order its parts act when a trial is created, reports and ends:

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
from collections.abc import Sequence
from typing import TYPE_CHECKING
from typing import Any

import keras_tuner

from keras_evonas import hyperparameters as hp_lib
from keras_evonas.evolution.engine import Engine
from keras_evonas.evolution.history import Individual
from keras_evonas.evolution.strategies import Strategy
from keras_evonas.garbage import collected_at_the_end
from keras_evonas.oracles import checks
from keras_evonas.oracles import fidelity
from keras_evonas.oracles import folder as folder_lib
from keras_evonas.oracles import objectives
from keras_evonas.oracles.constraints import Constraint
from keras_evonas.oracles.definitions import Definitions
from keras_evonas.oracles.events import Events
from keras_evonas.oracles.host import HostArguments
from keras_evonas.oracles.host import MendedOracle
from keras_evonas.oracles.host import Status
from keras_evonas.oracles.host import Trial
from keras_evonas.oracles.host import is_chief
from keras_evonas.oracles.leases import Leases
from keras_evonas.oracles.limits import CostFunction
from keras_evonas.oracles.limits import Limits
from keras_evonas.project import stopped
from keras_evonas.project import wording
from keras_evonas.project.curves import ENDED_EARLY
from keras_evonas.project.files import check_local
from keras_evonas.project.record import End
from keras_evonas.project.record import Entries
from keras_evonas.project.record import Event
from keras_evonas.project.record import Terms

if TYPE_CHECKING:
    from typing_extensions import Unpack

# How long a tuner waits before it asks again when there is nothing to do.
_IDLE_SECONDS = 0.05


class ResumableOracle(MendedOracle):
    """An Oracle to derive from, whose proposals come from an `Engine`.

    Subclasses override `populate_space`. Arguments are those of `EvoOracle`.
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
        self.seed_given = host_arguments["seed"] is not None
        self._definitions = Definitions(self.hyperparameters.space)
        self.hyperparameters = self._watched(self.hyperparameters)
        self._limits = Limits(
            constraints=constraints,
            costs=costs,
            goals=[x.name for x in objectives.parts_of(self.objective)],
            space=lambda: self.hyperparameters,
        )
        self._leases = Leases(self, self.end_leases)
        self._search_folder: folder_lib.SearchFolder | None = None
        self._events: Events | None = None
        # The trials that were still to end when the record was cut among the
        # ends of a cohort. A tuner lets them end before it asks for others.
        self.cut_cohort: frozenset[str] = frozenset()

    # What happens to a trial, step by step.

    def create_trial(self, tuner_id: str) -> Trial:
        """Creates a trial; see `keras_tuner.Oracle`.

        Raises:
            ValueError: If the space has no hyperparameters, if
                `initial_population` lies outside of it, if the project folder
                belongs to another search, or if the scope of a distribution
                strategy is open.
        """
        with self._lock:
            self._leases.hear(tuner_id)
            if self.ended_by is None:
                self._prepare()
            # Calls `populate_space` and `_on_birth`.
            trial = super().create_trial(tuner_id)
            if trial.status == Status.RUNNING:
                self._leases.begin(trial.trial_id, tuner_id)
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
        """Records metrics of a running trial; see `keras_tuner.Oracle`.

        Without any it is a sign of life, and the trial is lent on.
        """
        with self._lock:
            is_over = self._leases.has_result(trial_id)
            self._leases.keep(trial_id)
            if is_over or (not metrics and self._leases.renew(trial_id)):
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
            if self._leases.has_result(trial.trial_id):
                return
            self._leases.keep(trial.trial_id)
            sent = trial.hyperparameters.values.pop(fidelity.MESSAGE, None)
            trial.message = trial.message or sent
            self._prepare()
            self._definitions.check_names(trial.hyperparameters)
            # Calls `_on_end`.
            super().end_trial(trial)
            self._leases.end(trial.trial_id)

    def save(self) -> None:
        """Saves the state. A chief does so before it listens to workers."""
        if is_chief():  # A worker's error would not end it.
            self._limits.check_costs()
        super().save()

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
            raise checks.no_hyperparameters(self.trials.values())
        self._grow()

    def _stop(self, tuner_id: str, trial: Trial) -> None:
        """Ends the search for a tuner, if no trial can come back."""
        if len(self._leases):
            # A worker may die, and its trial be left.
            trial.status = Status.IDLE
            self.tuner_ids.add(tuner_id)
        else:
            remaining = self.remaining_trials()
            if remaining is not None and remaining <= 0:
                self.stop_reason = f"max_trials={self.max_trials} reached"
        if self.ongoing_trials:
            return
        try:
            if self.stop_reason is not None and self.ended_by is None:
                begun = len(self.start_order)
                stopped.write(self._folder.path, self.stop_reason, begun)
        finally:
            self.release_folder()

    def _on_birth(self, trial: Trial) -> None:
        self._history.born(trial.trial_id)

    def _on_end(self, trial: Trial) -> None:
        self._grow()
        losses, violation = None, 0.0
        reported = trial.metrics, trial.best_step
        if trial.status == Status.COMPLETED:
            losses = objectives.losses_at(self.objective, *reported)
            violation = self._limits.violation_after(*reported)
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
                epochs=fidelity.epochs_of(trial, self._folder.path),
                ended_early=trial.metrics.exists(ENDED_EARLY),
                metrics=objectives.values_at(trial.metrics, trial.best_step),
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
        if not self.hyperparameters.space and not self._can_grow:
            raise checks.no_hyperparameters([])
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
                hp_lib.to_genome(space, x) for x in self._initial_population
            ],
            violation_of=self._limits.violation_before,
        )
        return Events(engine, self._folder.record)

    @property
    def _can_grow(self) -> bool:
        return bool(self.allow_new_entries and self.tune_new_entries)

    def _grow(self) -> None:
        """Lets the engine grow by hyperparameters that have appeared."""
        engine = self._history.engine
        if len(self.hyperparameters.space) != len(engine.space.genes):
            # The new genes are on the disk before a line that needs them.
            self._snapshot()
            engine.grow(hp_lib.to_space(self.hyperparameters))

    def _values_of(self, individual: Individual) -> dict[str, Any]:
        """Returns the values of a trial: genes, and how to train them."""
        known, how = self._history.trial_ids, self.inheritance
        return fidelity.values_of(individual, self._strategy, known, how)

    # The project folder.

    def _set_project_dir(
        self, directory: str | os.PathLike[str], project_name: str
    ) -> None:
        check_local(directory)
        super()._set_project_dir(directory, project_name)
        known = self._search_folder
        if known is None or str(known.path) != self._project_dir:
            self._search_folder = folder_lib.SearchFolder(self._project_dir)
        self._folder.mend_tuner_file()

    @property
    def _folder(self) -> folder_lib.SearchFolder:
        if self._search_folder is None:
            raise RuntimeError(
                "The oracle has no project folder yet. Pass it to a tuner."
            )
        return self._search_folder

    def release_folder(self, *, reread: bool = False) -> None:
        """Lets other processes search there; see `SearchFolder.release`."""
        with self._lock:
            if self._search_folder is not None:
                self._search_folder.release(reread=reread)

    def _give_up(self, what: str, error: Exception) -> None:
        super()._give_up(what, error)
        self.release_folder(reread=True)

    # Taking the search up again.

    @property
    def _terms(self) -> Terms:
        return Terms(
            seed=self.seed,
            objective=objectives.describe(self.objective),
            strategy=wording.settings(self._strategy),
            initial_population=self._initial_population,
            max_trials=self.max_trials,
            constraints=[str(one) for one in self._limits.constraints],
            guard_bytes=self._limits.guard_bytes,
            inheritance=repr(self.inheritance) if self.inheritance else None,
            space=[*dict.fromkeys(x.name for x in self.hyperparameters.space)],
        )

    def reload(self) -> None:
        """Takes up the search of the project folder; see `keras_tuner.Oracle`.

        Raises:
            ValueError: If the folder holds a search of another oracle, or one
                with another space, objective, strategy and so on.
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
            terms, now = entries.terms, self._terms
            folder.refuse(terms.differences(now, seed_given=self.seed_given))
            self._take_space(state, entries)
            self.seed = self._seed_state = terms.seed
            self._limits.guard_bytes = terms.guard_bytes
            self._events = self._new_events(terms.max_trials)
            with collected_at_the_end():
                self._replay(entries.events)

    def _take_space(self, state: Mapping[str, Any], entries: Entries) -> None:
        try:
            known = folder_lib.hyperparameters_from(state["hyperparameters"])
            self._display.set_state(state["display"])
            hp_lib.to_space(known)
            changes = hp_lib.describe_changes(known, self.hyperparameters)
        except Exception as error:
            raise self._folder.misfit(
                f"one whose parts do not fit: {error}. Restore it."
            ) from error
        self._folder.refuse(changes)
        self.hyperparameters = self._watched(known)
        self._definitions.resume(known, entries, self._refuse_change)

    def _replay(self, events: list[Event]) -> None:
        self._forget_trials()
        ends = {x.trial_id: x for x in events if isinstance(x, End)}
        for event in events:
            try:
                self._restore(event, ends)
                self._history.replay(event)
            except Exception as error:
                raise self._folder.unfit(event, error) from error
        ended = set(self.end_order)
        handed_out, waiting = _unfinished(events)
        unfinished = [*handed_out, *waiting]
        for trial in map(self.trials.__getitem__, unfinished):
            # They are built again, so their spaces are watched for changes;
            # but they hold no more of the space than when they were born.
            trial.hyperparameters = self._watched(trial.hyperparameters)
        self._queue(unfinished)
        self._leases.resume(unfinished)
        was_ending = bool(events) and isinstance(events[-1], End)
        self.cut_cohort = frozenset(handed_out if was_ending else ())
        self._folder.note_strangers(ended)

    def _restore(self, event: Event, ends: Mapping[str, End]) -> None:
        """Restores what an event has done; `ends` are the last of trials."""
        if isinstance(event, End):
            self._restore_end(event)
            return
        trial_id, individual = event
        trial = self._folder.trial(trial_id)
        if trial is None:
            values = self._values_of(individual)
            hp = hp_lib.with_values(self.hyperparameters, values)
            trial = Trial(hyperparameters=hp, trial_id=trial_id)
        end = ends.get(trial_id)
        if end and end.metrics and trial.status != end.status:
            # It was cut after this line and before its file.
            trial.metrics = type(trial.metrics)()
            known = trial.metrics, end.metrics, end.best_step
            objectives.restore_values(self.objective, *known)
        self.trials[trial_id] = trial
        self.start_order.append(trial_id)

    def check_space(self, asked: keras_tuner.HyperParameters) -> None:
        """Compares the space of the folder with what a hypermodel asks for.

        What only some networks ask for need not be `asked`. Raises a
        `ValueError` if it is something new, or not what was asked at first.
        """
        changes = self._definitions.changes(
            self.hyperparameters, asked, can_grow=self._can_grow
        )
        self._folder.refuse(changes)

    def _watched(
        self, hp: keras_tuner.HyperParameters
    ) -> hp_lib.SharedHyperParameters:
        return hp_lib.SharedHyperParameters(hp, watch=self._definitions)

    def _refuse_change(self, change: str) -> None:
        # Fatal: the host would record any other error as a failed trial.
        raise keras_tuner.errors.FatalValueError(self._folder.refusal([change]))

    def end_leases(self, now: float | None = None) -> None:
        """Takes trials back from workers that were silent for too long."""
        with self._lock:
            self._leases.collect(time.monotonic() if now is None else now)


def _unfinished(events: Sequence[Event]) -> tuple[list[str], list[str]]:
    """Returns the trials without an end, in the order to hand them out.

    Those that ran when the search was cut come first, then those whose run had
    failed and that wait to be tried again. The host hands these out before
    anything is born, the last one first, and notes it nowhere: where a birth
    follows, or another run of one that was to come later, they have begun.
    """
    running: list[str] = []
    waiting: list[str] = []
    for event in events:
        if not isinstance(event, End):
            running += [*waiting[::-1], event[0]]
            waiting = []
            continue
        if event.trial_id in waiting:
            place = waiting.index(event.trial_id)
            running += waiting[:place:-1]
            del waiting[place:]
        else:
            running.remove(event.trial_id)
        if event.status == Status.INVALID:
            waiting.append(event.trial_id)
    return running, waiting[::-1]
