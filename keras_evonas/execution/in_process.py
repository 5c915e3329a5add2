"""Training in this process."""

import dataclasses

from keras_evonas.execution.crew import Crew
from keras_evonas.execution.crew import Ended
from keras_evonas.execution.crew import Executor
from keras_evonas.execution.crew import JobT
from keras_evonas.execution.crew import ResultT
from keras_evonas.execution.crew import Worker


@dataclasses.dataclass(frozen=True)
class InProcess(Executor):
    """Trains in this process, one cohort after another."""

    is_elsewhere = False

    def crew(self, worker: Worker[JobT, ResultT]) -> Crew[JobT, ResultT]:
        """Makes the crew of a search; see `Executor`."""
        worker.begin()
        return _InProcessCrew(worker)


class _InProcessCrew(Crew[JobT, ResultT]):
    slots = 1

    def __init__(self, worker: Worker[JobT, ResultT]) -> None:
        self._worker = worker
        self._jobs: list[JobT] = []

    def start(self, slot: int, job: JobT) -> None:
        del slot
        self._jobs.append(job)

    def wait(self) -> Ended[ResultT]:
        return Ended(slot=0, result=self._worker.run(self._jobs.pop()))

    def close(self) -> None:
        self._jobs.clear()
