"""Several networks trained on data in memory, each exactly as if alone.

Members share the data and the processor, nothing else. Each is traced once,
into functions of its own, so a member that stops, fails or turns NaN is simply
not called again: nothing is traced anew, and the others do not notice. An
epoch of a member is one call; calls of several members run side by side, also
while the next member is being built and traced.
"""

import concurrent.futures
import dataclasses
import types
from collections.abc import Callable
from typing import Any

from keras_evonas.training.member import Member
from keras_evonas.training.programs import Program
from keras_evonas.training.threads import num_workers


class ArrayCohort:
    """Trains members that come one after another.

    Callbacks are called in the thread that calls `add`, `advance` and
    `finish`. Use it in a `with` statement.

    Args:
        on_end: Called with each member when it has ended or failed.

    Example:

    ```python
    with ArrayCohort() as cohort:
        for model in models:
            program = Program(model, training, None, orders, arguments)
            cohort.add(Member(model, epochs=arguments.epochs), program)
            cohort.advance()
        cohort.finish()
    ```
    """

    def __init__(
        self, on_end: Callable[[Member], Any] = lambda _: None
    ) -> None:
        self._on_end = on_end
        self._running: dict[concurrent.futures.Future[Any], _Course] = {}
        self._is_interrupted = False
        self._pool = concurrent.futures.ThreadPoolExecutor(
            num_workers(), thread_name_prefix="cohort"
        )

    def __enter__(self) -> "ArrayCohort":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: types.TracebackType | None,
    ) -> None:
        # After an interrupt, members stop at the end of their epoch.
        self._is_interrupted = True
        self._pool.shutdown(cancel_futures=True)

    def add(self, member: Member, program: Program) -> None:
        """Begins to train a member, and returns at once."""
        course = _Course(member, program)
        self._attempt(course, lambda: member.begin(program.steps))
        self._go_on(course)

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

    def _go_on(self, course: "_Course") -> None:
        """Begins a member's next epoch, or ends its training."""
        member = course.member
        if not member.is_done and member.has_callbacks:
            self._attempt(course, member.begin_epoch)
        if member.is_done:
            if member.error is None:
                self._attempt(course, member.end)
            self._on_end(member)
        elif member.has_callbacks:
            self._submit(course, lambda: course.program.run(member.epoch))
        else:
            # No callback is to be called in this thread between the epochs.
            self._submit(course, lambda: self._run_all(course))

    def _submit(self, course: "_Course", task: Callable[[], Any]) -> None:
        self._running[self._pool.submit(task)] = course

    def _take(self, future: concurrent.futures.Future[Any]) -> None:
        course = self._running.pop(future)

        def end_epoch() -> None:
            logs = future.result()
            if logs is not None:
                course.member.end_epoch(*logs)

        self._attempt(course, end_epoch)
        self._go_on(course)

    def _attempt(self, course: "_Course", action: Callable[[], Any]) -> None:
        """Runs a member's action; an error ends this member alone."""
        try:
            action()
        except Exception as error:
            course.member.fail(error)

    def _run_all(self, course: "_Course") -> None:
        member = course.member
        while not member.is_done and not self._is_interrupted:
            member.begin_epoch()
            member.end_epoch(*course.program.run(member.epoch))


@dataclasses.dataclass(frozen=True, eq=False)
class _Course:
    """A member on its way."""

    member: Member
    program: Program
