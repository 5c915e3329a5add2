"""The loop of a search: trials out to the slots of an executor, results in."""

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import Any

from keras_tuner.engine import trial as trial_lib

from keras_evonas.execution import Crew
from keras_evonas.hyperparameters import SharedHyperParameters
from keras_evonas.training import Execution
from keras_evonas.training import FitArguments
from keras_evonas.training import Outcome
from keras_evonas.tuners import sizing
from keras_evonas.tuners.lanes import Lanes
from keras_evonas.tuners.leases import Heartbeat
from keras_evonas.tuners.worker import CohortWorker
from keras_evonas.tuners.worker import Job
from keras_evonas.tuners.worker import Result
from keras_evonas.tuners.worker import files_for
from keras_evonas.tuners.worker import take_files

# A worker may die for reasons of its own; a network that kills two in turn is
# not tried a third time.
_DEATHS = 2


@dataclasses.dataclass
class _Cohort:
    """What a slot is working at.

    Args:
        trials: The trials of the cohort.
        waiting: Parts that are still to be trained, each with the number of
            workers that it has cost.
        outcomes: Those of the parts that are done.
    """

    trials: list[trial_lib.Trial]
    waiting: list[tuple[Sequence[Execution], int]]
    outcomes: list[Outcome] = dataclasses.field(default_factory=list)


class CohortSearch:
    """Searches to the end.

    A slot that is free gets a cohort at once. What a worker that died was
    training is given to the next one; should that die, too, each network is
    trained alone, so that only the one which does it fails.

    Args:
        tuner: The `EvoTuner`.
        arguments: The arguments of `fit`.
    """

    def __init__(self, tuner: Any, arguments: FitArguments) -> None:
        self._tuner = tuner
        self._arguments = arguments
        self._folder = pathlib.Path(tuner.project_dir)
        self._size = sizing.largest_cohort(
            tuner.cohort_size, tuner.oracle.max_trials, len(tuner._folds)
        )
        self._cohorts: dict[int, _Cohort] = {}

    def run(self) -> None:
        """Trains until the oracle has no more trials."""
        executor = self._tuner.executor
        worker = CohortWorker(
            self._tuner,
            self._arguments,
            self._size,
            1.0 / (getattr(executor, "workers", None) or 1),
        )
        with executor.crew(worker) as crew, Heartbeat(self._tuner) as heart:
            lanes = [
                self._lanes(slot, crew.slots) for slot in range(crew.slots)
            ]
            while True:
                self._fill(crew, lanes, heart)
                if not self._cohorts:
                    return
                self._take(crew, heart)

    def _lanes(self, slot: int, slots: int) -> Lanes:
        name = self._tuner.tuner_id
        if slots > 1:
            name = f"{name}-worker{slot}"
        folds = max(1, len(self._tuner._folds))
        runs = self._tuner.executions_per_trial * folds
        return Lanes(self._tuner.oracle, name, max(1, self._size // runs))

    def _fill(
        self, crew: Crew[Job, Result], lanes: list[Lanes], heart: Heartbeat
    ) -> None:
        """Gives every free slot a cohort, as long as there are trials."""
        for slot in range(crew.slots):
            if slot in self._cohorts:
                continue
            trials = lanes[slot].ask(
                self._tuner.pre_create_trial, wait=not self._cohorts
            )
            if not trials:
                continue
            for trial in trials:
                self._tuner.on_trial_begin(trial)
            heart.add(trials)
            candidates = self._tuner._candidates(trials)
            self._tuner._progress.training(len(candidates))
            self._cohorts[slot] = _Cohort(trials, [(candidates, 0)])
            self._start(crew, slot)

    def _start(self, crew: Crew[Job, Result], slot: int) -> None:
        candidates, _ = self._cohorts[slot].waiting[0]
        crew.start(slot, self._job(candidates))

    def _take(self, crew: Crew[Job, Result], heart: Heartbeat) -> None:
        """Waits for a slot, and reports its cohort if it is done."""
        ended = crew.wait()
        cohort = self._cohorts[ended.slot]
        candidates, deaths = cohort.waiting.pop(0)
        if ended.death is None:
            cohort.outcomes += self._received(ended.result, cohort.trials)
        elif deaths + 1 < _DEATHS or len(candidates) > 1:
            parts = [candidates]
            if deaths + 1 >= _DEATHS:
                parts = [[candidate] for candidate in candidates]
            again = 1 if len(parts) == 1 else _DEATHS - 1
            cohort.waiting = [(p, again) for p in parts] + cohort.waiting
            self._tuner._progress.say(
                f"A worker died ({ended.death}). Its networks are trained "
                "again."
            )
        else:
            cohort.outcomes.append(_killer(candidates[0], ended.death))
        if cohort.waiting:
            self._start(crew, ended.slot)
            return
        del self._cohorts[ended.slot]
        # What did not fit once will not fit the next time.
        limits = (o.cohort_limit or self._size for o in cohort.outcomes)
        self._size = min([self._size, *limits])
        heart.remove(cohort.trials)
        self._tuner._report_all(cohort.trials, cohort.outcomes)

    def _job(self, candidates: Sequence[Execution]) -> Job:
        runs = {c.name: self._tuner._run_of[c.name] for c in candidates}
        hp = next(iter(runs.values()))[0].hyperparameters
        registered = None
        if isinstance(hp, SharedHyperParameters) and hp.is_watched:
            registered = hp.overridden
        job = Job(
            candidates=candidates,
            runs=runs,
            size=self._size,
            registered=registered,
        )
        if not self._tuner.executor.is_remote:
            return job
        parents = {
            trial.hyperparameters.values.get("tuner/trial_id")
            for trial, _ in runs.values()
        }
        files = [
            path
            for parent in parents - {None}
            for path in self._tuner._files.of_parent(parent)
        ]
        return files_for(job, self._folder, files)

    def _received(
        self, result: Result, trials: Sequence[trial_lib.Trial]
    ) -> Sequence[Outcome]:
        take_files(result, self._folder)
        for trial in trials:
            hp = result.hyperparameters.get(trial.trial_id)
            if hp is not None:
                trial.hyperparameters = hp
        return result.outcomes


def _killer(candidate: Execution, death: str) -> Outcome:
    return Outcome(
        name=candidate.name,
        status="failed",
        message=(
            f"The worker died {_DEATHS} times while it trained this network, "
            f"the last time alone: {death} It may need more memory than there "
            "is."
        ),
    )
