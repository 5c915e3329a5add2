"""Training in this process."""

import dataclasses
from typing import Any

from keras_evonas.execution.crew import Crew
from keras_evonas.execution.crew import Ended
from keras_evonas.execution.crew import Executor
from keras_evonas.execution.crew import Worker


@dataclasses.dataclass(frozen=True)
class InProcess(Executor):
    """Trains in this process, one cohort after another."""

    is_elsewhere = False

    def crew(self, worker: Worker) -> Crew:
        """Begins to work; see `Executor`."""
        worker.begin()
        return _InProcessCrew(worker)


class _InProcessCrew(Crew):
    slots = 1

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._job: Any = None

    def start(self, slot: int, job: Any) -> None:
        del slot
        self._job = job

    def wait(self) -> Ended:
        job, self._job = self._job, None
        return Ended(slot=0, result=self._worker.run(job))

    def close(self) -> None:
        self._job = None
