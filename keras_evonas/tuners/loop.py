"""The loop of a search: trials out to the slots of an executor, results in."""

import contextlib
import dataclasses
import os
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from typing import TypeAlias

import keras_tuner
from keras_tuner.engine import trial as trial_lib

from keras_evonas import devices
from keras_evonas.execution.crew import Crew
from keras_evonas.execution.crew import Executor
from keras_evonas.execution.crew import InProcess
from keras_evonas.execution.crew import check_crew
from keras_evonas.execution.crew import check_ended
from keras_evonas.garbage import old_objects_spared
from keras_evonas.oracles.oracle import EvoOracle
from keras_evonas.project import stopped
from keras_evonas.project.files import write_bytes
from keras_evonas.project.lock import FolderLock
from keras_evonas.project.lock import how_to_resume
from keras_evonas.training import Execution
from keras_evonas.training import Outcome
from keras_evonas.training.hopeless import Judge
from keras_evonas.tuners import sizing
from keras_evonas.tuners import worker as worker_lib
from keras_evonas.tuners.lanes import Heartbeat
from keras_evonas.tuners.lanes import Lanes
from keras_evonas.tuners.recipe import Recipe
from keras_evonas.tuners.reporting import Reporter

_Crew: TypeAlias = Crew[worker_lib.Job, worker_lib.Result]


@dataclasses.dataclass
class _Cohort:
    """The trials that a slot is working at.

    Parts of them are waiting to be trained, each with whether a worker has
    died of it; the outcomes are those of the others.
    """

    trials: list[trial_lib.Trial]
    waiting: list[tuple[Sequence[Execution], bool]]
    outcomes: list[Outcome] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(kw_only=True, eq=False)
class SearchLoop:
    """Trains until the oracle has no more trials.

    A slot that is free gets a cohort at once. What a worker that died was
    training is given to the next one; should that die, too, each execution is
    run alone, so that only the one which does it fails.

    Args:
        tuner: The tuner whose oracle is asked, and whose hooks are called.
        evo_oracle: The `EvoOracle` of this process, `None` if it has another
            oracle. In a worker the tuner's is a client of the chief's.
        recipe: How networks are built and trained.
        executor: Where they are trained.
        folds: Integer, how many folds each trial is trained on, or 0.
        reporter: Reports the trials and outcomes of each cohort.
        heartbeat: Renews the leases of running trials.
        judge_of: Returns what judges whether a trial's training is hopeless,
            or `None` to train all in full.
    """

    tuner: keras_tuner.Tuner
    evo_oracle: EvoOracle | None
    recipe: Recipe
    executor: Executor
    folds: int
    reporter: Reporter
    heartbeat: Heartbeat
    judge_of: Callable[[str], Judge] | None = None

    def __post_init__(self) -> None:
        self._size = 1
        if self.recipe.alone is None:
            self._size = sizing.largest_cohort(
                self.recipe.cohort_size,
                self.tuner.oracle.max_trials,
                self.folds,
            )
        self._cohorts: dict[int, _Cohort] = {}

    def run(self) -> bool:
        """Searches to the end; returns whether there was anything to train."""
        has_begun = False
        share = 1.0 / (getattr(self.executor, "workers", None) or 1)
        worker = worker_lib.ExecutionWorker(self.recipe, self._size, share)
        # keras-tuner collects garbage before it builds a network.
        alone = self.recipe.alone is not None
        spared = old_objects_spared if alone else contextlib.nullcontext
        if not isinstance(self.executor, InProcess):
            devices.warn_of_other_processes()
        with spared(), self.executor.crew(worker) as crew, self.heartbeat:
            check_crew(crew)
            name, slots = self.tuner.tuner_id, range(crew.slots)
            names = [f"{name}-worker{slot}" for slot in slots]
            runs = self.recipe.executions_per_trial * max(1, self.folds)
            lanes = [
                Lanes(self.tuner.oracle, one, max(1, self._size // runs))
                for one in (names if len(slots) > 1 else [name])
            ]
            while True:
                self._fill(crew, lanes)
                if not self._cohorts:
                    break
                has_begun = True
                self._take(crew)
        return has_begun

    def _fill(self, crew: _Crew, lanes: list[Lanes]) -> None:
        """Gives every free slot a cohort, as long as there are trials."""
        for slot in range(crew.slots):
            if slot in self._cohorts:
                continue
            trials = lanes[slot].ask(
                self.tuner.pre_create_trial, wait=not self._cohorts
            )
            if not trials:
                continue
            for trial in trials:
                self.tuner.on_trial_begin(trial)
            self.heartbeat.add(trials)
            executions = self.recipe.executions(
                trials,
                folds=self.folds,
                bar=self.recipe.builder.files.bar(
                    self.tuner.oracle, self.evo_oracle
                ),
                get_trial=self.tuner.oracle.get_trial,
                judge_of=self.judge_of,
            )
            self.reporter.progress.training(len(executions))
            self._cohorts[slot] = _Cohort(trials, [(executions, False)])
            self._start(crew, slot)

    def _start(self, crew: _Crew, slot: int) -> None:
        executions, _ = self._cohorts[slot].waiting[0]
        job = worker_lib.Job(executions=executions, size=self._size)
        if self.executor.is_remote:
            job = worker_lib.files_for(job, self.recipe)
        crew.start(slot, job)

    def _take(self, crew: _Crew) -> None:
        """Waits for a slot, and reports its cohort if it is done."""
        ended = crew.wait()
        check_ended(ended, self._cohorts)
        cohort = self._cohorts[ended.slot]
        executions, has_killed = cohort.waiting.pop(0)
        if ended.result is not None:
            # What a worker on another machine has written.
            for name, content in ended.result.files.items():
                write_bytes(self.recipe.builder.files.folder / name, content)
            cohort.outcomes += ended.result.outcomes
        elif has_killed and len(executions) == 1:
            cohort.outcomes.append(_killer(executions[0], str(ended.death)))
        else:
            # A worker may also die for reasons of its own.
            parts = [executions]
            if has_killed:
                parts = [[execution] for execution in executions]
            cohort.waiting = [(part, True) for part in parts] + cohort.waiting
            self.reporter.progress.say(
                f"A worker died ({ended.death}). Its networks are trained "
                "again."
            )
        if cohort.waiting:
            self._start(crew, ended.slot)
            return
        del self._cohorts[ended.slot]
        # What did not fit once will not fit the next time.
        limits = (o.cohort_limit or self._size for o in cohort.outcomes)
        self._size = min([self._size, *limits])
        self.heartbeat.remove(cohort.trials)
        self.reporter.report(cohort.trials, cohort.outcomes)


def _killer(execution: Execution, death: str) -> Outcome:
    return Outcome(
        name=execution.name,
        status="failed",
        message=(
            "The worker died 2 times while it trained this network, the last "
            f"time alone: {death} It may need more memory than there is."
        ),
    )


@contextlib.contextmanager
def interruptible(
    oracle: keras_tuner.Oracle,
    folder: str | os.PathLike[str],
    *,
    is_worker: bool,
) -> Iterator[None]:
    """Lets go of the project folder at the end of a search, however it ends.

    After Ctrl-C the networks that are being trained are abandoned: they begin
    again when the search goes on. All that have ended are on the disk.
    """
    try:
        if is_worker or isinstance(oracle, EvoOracle):
            yield  # The folder is the oracle's.
        else:
            with _held(oracle, folder):
                yield
    except BaseException as error:
        if isinstance(oracle, EvoOracle):
            oracle.release_folder(reread=True)
        if isinstance(error, KeyboardInterrupt):
            print(
                f"\nInterrupted. {len(oracle.end_order)} trials are saved in "
                f"'{folder}'; those that were running begin again. "
                f"{how_to_resume(folder)}",
                flush=True,
            )
        raise
    if isinstance(oracle, EvoOracle):
        oracle.release_folder(reread=False)


@contextlib.contextmanager
def _held(
    oracle: keras_tuner.Oracle, folder: str | os.PathLike[str]
) -> Iterator[None]:
    """Does for an oracle of keras-tuner what `EvoOracle` does itself.

    No other process searches in its folder, which keeps why the search ended.
    """
    os.makedirs(folder, exist_ok=True)
    lock = FolderLock(folder)
    lock.take()
    try:
        yield
        begun = len(oracle.start_order)
        stopped.write(folder, "the oracle has no further trial", begun)
    finally:
        lock.release()
