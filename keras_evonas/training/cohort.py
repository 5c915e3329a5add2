"""Several networks trained on data in memory, each exactly as if alone.

Members share the data and the processor, nothing else. Each is traced once,
into functions of its own, so a member that stops, fails or turns NaN is simply
not called again: nothing is traced anew, and the others do not notice. An
epoch of a member is one call; calls of several members run side by side, also
while the next member is being built and traced.
"""

import concurrent.futures
import types
from typing import Any

from keras_evonas.training.arguments import FitArguments
from keras_evonas.training.arrays import Orders
from keras_evonas.training.member import Logs
from keras_evonas.training.member import Member
from keras_evonas.training.programs import Program
from keras_evonas.training.threads import num_workers


class ArrayCohort:
    """Trains members that come one after another.

    Callbacks are called in the thread that calls `add`, `advance` and
    `finish`. Use it in a `with` statement.

    Args:
        arguments: The arguments of `fit` that all members share.
        steps: Integer, number of batches in an epoch.
        orders: Dictionary from a seed to the orders drawn from it.

    Example:

    ```python
    with ArrayCohort(arguments, steps, orders) as cohort:
        for model in models:
            program = Program.of(model, training, held_out)
            cohort.add(Member(model, epochs=10), program)
            cohort.advance()
        cohort.finish()
    ```
    """

    def __init__(
        self, arguments: FitArguments, steps: int, orders: dict[int, Orders]
    ) -> None:
        self._arguments = arguments
        self._steps = steps
        self._orders = orders
        self._running: dict[concurrent.futures.Future[Any], _Course] = {}
        self._interrupted = False
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
        self._interrupted = True
        self._pool.shutdown(cancel_futures=True)

    def add(self, member: Member, program: Program) -> None:
        """Begins to train a member, and returns at once."""
        course = _Course(member, program, member.epoch)
        if self._attempt(course, lambda: member.begin(self._steps)):
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
        """Ends a member's training or begins its next epoch."""
        member = course.member
        if member.is_done:
            self._attempt(course, member.end)
            return
        if not member.has_callbacks:
            self._submit(self._all_epochs, course)
        elif self._attempt(course, member.begin_epoch):
            self._submit(self._epoch, course)

    def _submit(self, task: Any, course: "_Course") -> None:
        self._running[self._pool.submit(task, course)] = course

    def _take(self, future: concurrent.futures.Future[Any]) -> None:
        course = self._running.pop(future)

        def end_epoch() -> None:
            logs = future.result()
            if logs is not None:
                course.member.end_epoch(*logs)

        if self._attempt(course, end_epoch):
            self._go_on(course)

    def _attempt(self, course: "_Course", action: Any) -> bool:
        """Runs a member's action; an error ends this member alone."""
        try:
            action()
        except Exception as error:
            course.member.fail(error)
        return course.member.error is None

    def _epoch(self, course: "_Course") -> tuple[Logs, Logs | None]:
        member, program = course.member, course.program
        orders = self._orders[member.seed]
        logs = program.train(orders.of_epoch(member.epoch - course.began_at))
        if program.validate is None or not self._arguments.validates_after(
            member.epoch
        ):
            return logs, None
        return logs, program.validate()

    def _all_epochs(self, course: "_Course") -> None:
        # Without callbacks of the user no other thread need be asked.
        member = course.member
        while not member.is_done and not self._interrupted:
            member.begin_epoch()
            member.end_epoch(*self._epoch(course))


class _Course:
    """A member on its way."""

    def __init__(self, member: Member, program: Program, began_at: int) -> None:
        self.member = member
        self.program = program
        self.began_at = began_at
