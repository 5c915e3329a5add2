"""The loop of a search: trials out to the slots of an executor, results in."""

import contextlib
import dataclasses
from collections.abc import Callable
from collections.abc import Sequence
from typing import Protocol

import keras_tuner
from keras_tuner.engine import trial as trial_lib

from keras_evonas.execution import Crew
from keras_evonas.execution import Executor
from keras_evonas.training import Execution
from keras_evonas.training import Outcome
from keras_evonas.training.garbage import old_objects_spared
from keras_evonas.tuners import sizing
from keras_evonas.tuners.heartbeat import Heartbeat
from keras_evonas.tuners.lanes import Lanes
from keras_evonas.tuners.progress import Progress
from keras_evonas.tuners.recipe import Recipe
from keras_evonas.tuners.worker import ExecutionWorker
from keras_evonas.tuners.worker import Job
from keras_evonas.tuners.worker import Result
from keras_evonas.tuners.worker import files_for
from keras_evonas.tuners.worker import take_files

# A worker may die for reasons of its own; a network that kills two in turn is
# not tried a third time.
_DEATHS = 2


class TrialHooks(Protocol):
    """The methods of a `keras_tuner.Tuner` that a search calls."""

    def pre_create_trial(self) -> None:
        """Called before the oracle is asked for a trial."""

    def on_trial_begin(self, trial: trial_lib.Trial) -> None:
        """Called before a trial is trained."""


Report = Callable[[Sequence[trial_lib.Trial], Sequence[Outcome]], None]


@dataclasses.dataclass
class _Cohort:
    """The trials that a slot is working at.

    Args:
        trials: The trials.
        waiting: Parts that are still to be trained, each with the number of
            workers that it has cost.
        outcomes: Those of the parts that are done.
    """

    trials: list[trial_lib.Trial]
    waiting: list[tuple[Sequence[Execution], int]]
    outcomes: list[Outcome] = dataclasses.field(default_factory=list)


class SearchLoop:
    """Trains until the oracle has no more trials.

    A slot that is free gets a cohort at once. What a worker that died was
    training is given to the next one; should that die, too, each execution is
    run alone, so that only the one which does it fails.

    Args:
        oracle: The oracle, or keras-tuner's client of one.
        tuner_id: String, the name of the tuner.
        recipe: How networks are built and trained.
        executor: Where they are trained.
        folds: Integer, how many folds each trial is trained on, or 0.
        hooks: The tuner's own hooks.
        report: Called with the trials and outcomes of each cohort.
        progress: Prints what is being done.
        heartbeat: Renews the leases of running trials.
    """

    def __init__(
        self,
        oracle: keras_tuner.Oracle,
        tuner_id: str,
        recipe: Recipe,
        *,
        executor: Executor,
        folds: int,
        hooks: TrialHooks,
        report: Report,
        progress: Progress,
        heartbeat: Heartbeat,
    ) -> None:
        self._oracle = oracle
        self._tuner_id = tuner_id
        self._recipe = recipe
        self._executor = executor
        self._folds = folds
        self._hooks = hooks
        self._report = report
        self._progress = progress
        self._heartbeat = heartbeat
        self._size = 1
        if recipe.alone is None:
            self._size = sizing.largest_cohort(
                recipe.cohort_size, oracle.max_trials, folds
            )
        self._cohorts: dict[int, _Cohort] = {}

    def run(self) -> None:
        """Searches to the end."""
        share = 1.0 / (getattr(self._executor, "workers", None) or 1)
        worker = ExecutionWorker(self._recipe, self._size, share)
        # keras-tuner collects garbage before it builds a network.
        alone = self._recipe.alone is not None
        spared = old_objects_spared if alone else contextlib.nullcontext
        with spared(), self._executor.crew(worker) as crew, self._heartbeat:
            lanes = [
                self._lanes(slot, crew.slots) for slot in range(crew.slots)
            ]
            while True:
                self._fill(crew, lanes)
                if not self._cohorts:
                    return
                self._take(crew)

    def _lanes(self, slot: int, slots: int) -> Lanes:
        name = self._tuner_id
        if slots > 1:
            name = f"{name}-worker{slot}"
        runs = self._recipe.executions_per_trial * max(1, self._folds)
        return Lanes(self._oracle, name, max(1, self._size // runs))

    def _fill(self, crew: Crew[Job, Result], lanes: list[Lanes]) -> None:
        """Gives every free slot a cohort, as long as there are trials."""
        for slot in range(crew.slots):
            if slot in self._cohorts:
                continue
            trials = lanes[slot].ask(
                self._hooks.pre_create_trial, wait=not self._cohorts
            )
            if not trials:
                continue
            for trial in trials:
                self._hooks.on_trial_begin(trial)
            self._heartbeat.add(trials)
            executions = self._executions(trials)
            self._progress.training(len(executions))
            self._cohorts[slot] = _Cohort(trials, [(executions, 0)])
            self._start(crew, slot)

    def _executions(self, trials: Sequence[trial_lib.Trial]) -> list[Execution]:
        return self._recipe.executions(
            trials,
            folds=self._folds,
            bar=self._recipe.builder.files.bar(self._oracle),
            get_trial=self._oracle.get_trial,
        )

    def _start(self, crew: Crew[Job, Result], slot: int) -> None:
        executions, _ = self._cohorts[slot].waiting[0]
        job = Job(executions=executions, size=self._size)
        if self._executor.is_remote:
            job = files_for(job, self._recipe)
        crew.start(slot, job)

    def _take(self, crew: Crew[Job, Result]) -> None:
        """Waits for a slot, and reports its cohort if it is done."""
        ended = crew.wait()
        cohort = self._cohorts[ended.slot]
        executions, deaths = cohort.waiting.pop(0)
        if ended.result is not None:
            take_files(ended.result, self._recipe.builder.files.folder)
            cohort.outcomes += ended.result.outcomes
        elif deaths + 1 < _DEATHS or len(executions) > 1:
            parts = [executions]
            if deaths + 1 >= _DEATHS:
                parts = [[execution] for execution in executions]
            again = 1 if len(parts) == 1 else _DEATHS - 1
            cohort.waiting = [(p, again) for p in parts] + cohort.waiting
            self._progress.say(
                f"A worker died ({ended.death}). Its networks are trained "
                "again."
            )
        else:
            cohort.outcomes.append(_killer(executions[0], str(ended.death)))
        if cohort.waiting:
            self._start(crew, ended.slot)
            return
        del self._cohorts[ended.slot]
        # What did not fit once will not fit the next time.
        limits = (o.cohort_limit or self._size for o in cohort.outcomes)
        self._size = min([self._size, *limits])
        self._heartbeat.remove(cohort.trials)
        self._report(cohort.trials, cohort.outcomes)


def _killer(execution: Execution, death: str) -> Outcome:
    return Outcome(
        name=execution.name,
        status="failed",
        message=(
            f"The worker died {_DEATHS} times while it trained this network, "
            f"the last time alone: {death} It may need more memory than there "
            "is."
        ),
    )
