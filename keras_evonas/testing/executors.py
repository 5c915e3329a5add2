"""The conformance suite of executors, whose workers call the test back.

The jobs of these tests need no Keras. A job that has to wait, or to end its
process, connects to a port of the test and takes its order from there, so that
no test depends on how fast a machine is.
"""

import collections
import contextlib
import dataclasses
import os
import signal
import socket
import threading
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any
from typing import Literal
from typing import TypeAlias

import pytest

from keras_evonas.execution import Crew
from keras_evonas.execution import Ended
from keras_evonas.execution import Executor

_PATIENCE = 120.0  # Seconds until a test fails that waits for a worker.
_Crew: TypeAlias = Crew["Job", "Answer"]
_KILL = getattr(signal, "SIGKILL", signal.SIGTERM)  # Windows has but one.


@dataclasses.dataclass(frozen=True, kw_only=True)
class Job:
    """A job of these tests.

    An `"answer"` returns `value`, `"fail"` raises a `LookupError` with it, and
    `"call"` calls a port of this machine and returns the byte that the test
    sends, or ends the process if that is `b"!"`.
    """

    kind: Literal["answer", "fail", "call"] = "answer"
    value: Any = None
    port: int = 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Answer:
    """A result of these tests."""

    value: Any  # Of the job.
    process: int  # The id of the process that did it.
    begun: int  # How often `begin` was called there.
    jobs: int  # How many jobs were done there, this one included.


class CallingWorker:
    """A worker that does a `Job`, or whose `begin` raises a `LookupError`."""

    def __init__(
        self,
        parts: Mapping[str, object] | None = None,
        beginning: str | None = None,
    ) -> None:
        self.begun = self.jobs = 0
        self._parts = parts or {}
        self._beginning = beginning

    def parts(self) -> Mapping[str, object]:
        """Returns the parts; see `Worker`."""
        return self._parts

    def begin(self) -> None:
        """Counts the calls; see `Worker`."""
        if self._beginning is not None:
            raise LookupError(self._beginning)
        self.begun += 1

    def run(self, job: Job) -> Answer:
        """Does a job; see `Worker`."""
        self.jobs += 1
        value = job.value
        if job.kind == "fail":
            raise LookupError(value)
        if job.kind == "call":
            address = ("127.0.0.1", job.port)
            with socket.create_connection(address, _PATIENCE) as line:
                line.sendall(os.getpid().to_bytes(8, "big"))
                value = line.recv(1)
            if value == b"!":
                os.kill(os.getpid(), _KILL)
        return Answer(
            value=value,
            process=os.getpid(),
            begun=self.begun,
            jobs=self.jobs,
        )


def _port(server: socket.socket) -> int:
    return int(server.getsockname()[1])


def _taken(server: socket.socket) -> tuple[socket.socket, int]:
    """Returns the line of the next job that calls, and its process."""
    line, _ = server.accept()
    line.settimeout(_PATIENCE)
    return line, int.from_bytes(line.recv(8, socket.MSG_WAITALL), "big")


def _done(crew: _Crew, slot: int, job: Job) -> Answer:
    """Returns the answer of a job for which the crew does not only wait."""
    crew.start(slot, job)
    return _answer(crew.wait(), slot)


def _run_one(executor: Executor, worker: CallingWorker) -> Answer:
    with executor.crew(worker) as crew:
        return _done(crew, 0, Job(value=1))


def _answer(ended: Ended[Answer], slot: int) -> Answer:
    assert ended.slot == slot
    assert ended.death is None
    assert isinstance(ended.result, Answer)
    return ended.result


def _need(executor: Executor, *, elsewhere: bool) -> None:
    if executor.is_elsewhere != elsewhere:
        where = "another process" if elsewhere else "this process"
        pytest.skip(f"this law is one of workers in {where}")


class ExecutorConformance:
    """Laws of an executor and of its crews.

    A crew that has other processes is tested on this machine: the workers
    call a port of it.
    """

    @pytest.fixture
    def executor(self) -> Executor:
        """The executor to test. Override it, with two workers if it can."""
        raise NotImplementedError(
            "Override the fixture `executor` with one that returns yours."
        )

    @pytest.fixture
    def crew(self, executor: Executor) -> Iterator[_Crew]:
        with executor.crew(CallingWorker()) as crew:
            yield crew

    @pytest.fixture
    def server(self) -> Iterator[socket.socket]:
        """A port of this machine that jobs can call."""
        with socket.create_server(("127.0.0.1", 0)) as server:
            server.settimeout(_PATIENCE)
            yield server

    def test_slots_do_one_job_after_another(self, crew: _Crew) -> None:
        assert isinstance(crew.slots, int)
        assert crew.slots >= 1
        for number in range(max(20, 2 * crew.slots)):
            slot = number % crew.slots
            answer = _done(crew, slot, Job(value=number))
            assert answer.value == number
            assert answer.begun == 1

    def test_a_job_is_done_once(self, crew: _Crew) -> None:
        # An equal job is another one.
        answers = [_done(crew, 0, Job()) for _ in range(3)]
        counts = collections.Counter(one.process for one in answers)
        for process, count in counts.items():
            done = [one.jobs for one in answers if one.process == process]
            assert done == [*range(1, count + 1)]

    def test_all_slots_end_once(self, crew: _Crew) -> None:
        for slot in range(crew.slots):
            crew.start(slot, Job(value=slot))
        ends = [crew.wait() for _ in range(crew.slots)]
        assert sorted(end.slot for end in ends) == [*range(crew.slots)]
        for end in ends:
            assert _answer(end, end.slot).value == end.slot

    @pytest.mark.parametrize(
        "value",
        [bytes(range(256)) * 4096, {1: (True, None), "a": [0.1 / 3]}],
        ids=["large", "nested"],
    )
    def test_results_arrive_as_they_are(
        self, crew: _Crew, value: object
    ) -> None:
        answer = _done(crew, 0, Job(value=value))
        assert repr(answer.value) == repr(value)

    def test_workers_begin_where_they_work(self, executor: Executor) -> None:
        worker = CallingWorker()
        with executor.crew(worker) as crew:
            answer = _done(crew, 0, Job())
            is_here = answer.process == os.getpid()
        assert is_here != executor.is_elsewhere
        assert worker.begun == (0 if executor.is_elsewhere else 1)

    def test_start_does_not_wait_for_the_job(
        self, server: socket.socket, crew: _Crew
    ) -> None:
        # A job that is not answered would keep `start` from returning.
        crew.start(0, Job(kind="call", port=_port(server)))
        reply = threading.Thread(target=_reply, args=(server, b"."))
        reply.start()
        assert _answer(crew.wait(), 0).value == b"."
        reply.join()

    def test_the_job_that_ends_first_is_reported_first(
        self, executor: Executor, server: socket.socket, crew: _Crew
    ) -> None:
        _need(executor, elsewhere=True)
        if crew.slots < 2:
            pytest.skip("this law is one of two slots")
        crew.start(0, Job(kind="call", port=_port(server)))
        first, _ = _taken(server)
        with first:
            # The job of slot 0 is at work while that of slot 1 is done.
            crew.start(1, Job(kind="call", port=_port(server)))
            second, _ = _taken(server)
            with second:
                second.sendall(b"2")
                assert _answer(crew.wait(), 1).value == b"2"
            first.sendall(b"1")
            assert _answer(crew.wait(), 0).value == b"1"

    def test_errors_of_a_job_come_out_of_wait(self, crew: _Crew) -> None:
        crew.start(0, Job(kind="fail", value="no such job"))
        with pytest.raises(LookupError, match="no such job"):
            crew.wait()
        # The worker has not died of it, and has not tried again.
        answer = _done(crew, 0, Job(value=1))
        assert answer.begun == 1
        assert answer.jobs <= 2

    def test_an_error_of_one_job_leaves_the_others(self, crew: _Crew) -> None:
        if crew.slots < 2:
            pytest.skip("this law is one of two slots")
        crew.start(0, Job(kind="fail", value="no such job"))
        crew.start(1, Job(value=1))
        answers = []
        for _ in range(2):  # In whatever order they end.
            try:
                answers.append(_answer(crew.wait(), 1).value)
            except LookupError:
                answers.append("failed")
        assert sorted(map(str, answers)) == ["1", "failed"]

    def test_errors_of_begin_are_raised(self, executor: Executor) -> None:
        with pytest.raises(LookupError, match="cannot begin"):
            _run_one(executor, CallingWorker(beginning="cannot begin"))

    @pytest.mark.parametrize("error", [KeyboardInterrupt, LookupError])
    def test_a_crew_is_closed_whatever_happens(
        self, executor: Executor, error: type[BaseException]
    ) -> None:
        with pytest.raises(error), executor.crew(CallingWorker()):
            raise error
        # And the executor makes another one.
        assert _run_one(executor, CallingWorker()).value == 1

    def test_a_worker_that_dies_is_replaced(
        self, executor: Executor, server: socket.socket, crew: _Crew
    ) -> None:
        _need(executor, elsewhere=True)
        _done(crew, 0, Job())
        crew.start(0, Job(kind="call", port=_port(server)))
        line, dead = _taken(server)
        with line:
            line.sendall(b"!")
            ended = crew.wait()
        assert ended.slot == 0
        assert ended.result is None
        assert ended.death
        after = _done(crew, 0, Job())
        assert after.process != dead
        assert after.begun == 1

    def test_a_worker_that_dies_without_a_job_is_replaced(
        self, executor: Executor, crew: _Crew
    ) -> None:
        _need(executor, elsewhere=True)
        before = _done(crew, 0, Job()).process
        os.kill(before, _KILL)
        crew.start(0, Job())
        ended = crew.wait()
        if ended.death is not None:  # It had the job when it was missed.
            crew.start(0, Job())
            ended = crew.wait()
        assert _answer(ended, 0).process != before

    def test_close_ends_workers_at_work(
        self, executor: Executor, server: socket.socket
    ) -> None:
        _need(executor, elsewhere=True)
        crew = executor.crew(CallingWorker())
        try:
            for slot in range(crew.slots):
                crew.start(slot, Job(kind="call", port=_port(server)))
            lines = [_taken(server)[0] for _ in range(crew.slots)]
        finally:
            crew.close()
        for line in lines:
            with line, contextlib.suppress(ConnectionResetError):
                assert line.recv(1) == b""  # The process is gone.

    def test_close_leaves_out_jobs_that_wait(self, executor: Executor) -> None:
        _need(executor, elsewhere=False)
        worker = CallingWorker()
        crew = executor.crew(worker)
        for slot in range(crew.slots):
            crew.start(slot, Job())
        crew.close()
        assert worker.jobs == 0

    def test_parts_that_cannot_be_sent_are_named(
        self, executor: Executor
    ) -> None:
        _need(executor, elsewhere=True)
        worker = CallingWorker({"gadget": threading.Lock()})
        with pytest.raises(TypeError, match="`gadget`"):
            executor.crew(worker)

    def test_parts_of_this_process_are_not_sent(
        self, executor: Executor
    ) -> None:
        _need(executor, elsewhere=False)
        worker = CallingWorker({"gadget": threading.Lock()})
        assert _run_one(executor, worker).value == 1


def _reply(server: socket.socket, order: bytes) -> None:
    line, _ = _taken(server)
    with line:
        line.sendall(order)
