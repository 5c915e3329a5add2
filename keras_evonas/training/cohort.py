"""Several networks trained on data in memory, each exactly as if alone.

Members share the data and the processor, nothing else. Each is traced once,
into functions of its own, so the others do not notice when it stops or fails.
An epoch of a member is one call; calls of several members run side by side,
also while the next member is being built and traced.
"""

import concurrent.futures
import functools
from collections.abc import Callable
from typing import Any

from keras_evonas.training.eligibility import NotInCohortError
from keras_evonas.training.member import Member
from keras_evonas.training.shared_programs import Program
from keras_evonas.training.structure import settings_key
from keras_evonas.training.threads import worker_pool


class ArrayCohort:
    """Trains members that come one after another.

    Callbacks are called in the thread that calls `add`, `advance` and
    `finish`, and `on_end` when a member has ended or failed. Use it in a `with`
    statement.
    """

    def __init__(self, on_end: Callable[[Member], Any]) -> None:
        self._on_end = on_end
        self._running: dict[
            concurrent.futures.Future[Any], tuple[Member, Program]
        ] = {}
        self._is_interrupted = False
        self._pool = worker_pool()

    def __enter__(self) -> "ArrayCohort":
        return self

    def __exit__(self, *_: object) -> None:
        # After an interrupt, members stop at the end of their epoch.
        self._is_interrupted = True
        self._pool.shutdown(cancel_futures=True)

    def add(self, member: Member, program: Program) -> None:
        """Begins to train a member, and returns at once.

        Its program is traced, which `fit` does after the first hooks: what
        these change of the network would be ignored.
        """

        def begin() -> None:
            before = settings_key(member.model) if member.network.own else None
            member.begin(program.steps)
            _begin_epoch(member)
            if before is not None and settings_key(member.model) != before:
                raise NotInCohortError(
                    "a callback changes a setting of the network before its "
                    "first batch"
                )

        _attempt(member, begin)
        self._go_on(member, program)

    def advance(self) -> None:
        """Calls the callbacks of all members that have ended an epoch."""
        for future in [future for future in self._running if future.done()]:
            self._take(future)

    def finish(self) -> None:
        """Trains all members to their end."""
        while self._running:
            done, _ = concurrent.futures.wait(
                self._running, return_when=concurrent.futures.FIRST_COMPLETED
            )
            for future in done:
                self._take(future)

    def _go_on(self, member: Member, program: Program) -> None:
        """Runs a member's next epoch, or ends its training."""

        def run_all() -> None:
            while not member.is_done and not self._is_interrupted:
                member.begin_epoch()
                member.end_epoch(*program.run(member.epoch))

        if member.is_done:
            if member.error is None:
                _attempt(member, member.end)
            self._on_end(member)
            return
        task: Callable[[], Any] = run_all  # No callback needs this thread.
        if member.network.own:
            task = functools.partial(program.run, member.epoch)
        self._running[self._pool.submit(task)] = member, program

    def _take(self, future: concurrent.futures.Future[Any]) -> None:
        member, program = self._running.pop(future)

        def end_epoch() -> None:
            logs = future.result()
            if logs is not None:
                member.end_epoch(*logs)
                _begin_epoch(member)

        _attempt(member, end_epoch)
        self._go_on(member, program)


def _begin_epoch(member: Member) -> None:
    """Begins an epoch here, if callbacks are to be called in this thread."""
    if member.network.own and not member.is_done:
        member.begin_epoch()


def _attempt(member: Member, action: Callable[[], Any]) -> None:
    """Runs a member's action; an error ends this member alone."""
    try:
        with member.as_if_alone():
            action()
    except Exception as error:
        member.error = error
