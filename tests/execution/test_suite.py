"""The conformance suite notices executors that break laws."""

import dataclasses
import json

import pytest

from keras_evonas.execution import Crew
from keras_evonas.execution import Ended
from keras_evonas.execution import Executor
from keras_evonas.testing import ExecutorConformance
from keras_evonas.testing.executors import CallingWorker

pytestmark = pytest.mark.pure


class _Crew(Crew):
    """Keeps all laws, in this process."""

    slots = 2

    def __init__(self, worker):
        self.worker = worker
        self.jobs = {}

    def start(self, slot, job):
        self.jobs[slot] = job

    def wait(self):
        slot = next(iter(self.jobs))
        return Ended(slot=slot, result=self.run(self.jobs.pop(slot)))

    def run(self, job):
        return self.worker.run(job)

    def close(self):
        self.jobs.clear()


class _RunsTwice(_Crew):
    def run(self, job):
        self.worker.run(job)
        return self.worker.run(job)


class _TriesAgain(_Crew):
    def run(self, job):
        try:
            return self.worker.run(job)
        except LookupError:
            return self.worker.run(job)


class _Remembers(_Crew):
    known = None

    def run(self, job):
        if self.known is None or self.known[0] != job:
            self.known = job, self.worker.run(job)
        return self.known[1]


class _SendsJson(_Crew):
    def run(self, job):
        answer = self.worker.run(job)
        value = json.loads(json.dumps(answer.value))
        return dataclasses.replace(answer, value=value)


class _DoesTheRestAtTheEnd(_Crew):
    def close(self):
        while self.jobs:
            self.wait()


class _HidesErrors(_Crew):
    def __exit__(self, kind, *error):
        self.close()
        return kind is not None and issubclass(kind, Exception)


@dataclasses.dataclass(frozen=True)
class _Here(Executor):
    kind: type[Crew]
    is_elsewhere = False

    def crew(self, worker):
        worker.begin()
        return self.kind(worker)


_SUITE = ExecutorConformance()
_NESTED = {1: (True,)}
_LAWS = {
    _RunsTwice: lambda _, crew: _SUITE.test_a_job_is_done_once(crew),
    _Remembers: lambda _, crew: _SUITE.test_a_job_is_done_once(crew),
    _TriesAgain: lambda _, crew: _SUITE.test_errors_of_a_job_come_out_of_wait(
        crew
    ),
    _SendsJson: lambda _, crew: _SUITE.test_results_arrive_as_they_are(
        crew, _NESTED
    ),
    _DoesTheRestAtTheEnd: lambda executor, _: (
        _SUITE.test_close_leaves_out_jobs_that_wait(executor)
    ),
    _HidesErrors: lambda executor, _: (
        _SUITE.test_a_crew_is_closed_whatever_happens(executor, LookupError)
    ),
}


@pytest.mark.parametrize("kind", _LAWS)
def test_a_broken_law_is_noticed(kind):
    def check(one):
        executor = _Here(one)
        with executor.crew(CallingWorker()) as crew:
            _LAWS[kind](executor, crew)

    check(_Crew)
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        check(kind)
