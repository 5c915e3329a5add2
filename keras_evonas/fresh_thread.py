"""Work in a thread of its own, which an interrupt does not leave behind."""

import threading
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")
_TIME_TO_BEGIN = 5.0  # seconds


def in_fresh_thread(
    task: Callable[[], Result],
    name: str,
    on_interrupt: Callable[[], object] = lambda: None,
) -> Result:
    """Runs a task in a new thread, and waits for it.

    After Ctrl-C it waits on, for the task to end, and raises then; after a
    second Ctrl-C it raises at once. A thread that is left behind would change
    global state beside whatever comes next, and ends with the interpreter in
    the middle of TensorFlow: Python (3.11) forgets a thread when the wait for
    it is interrupted.

    Args:
        task: What to run.
        name: String, the name of the thread.
        on_interrupt: Called at the first Ctrl-C, to let the task end soon.

    Returns:
        What `task` returns. What it raises is raised here.
    """
    results: list[Result] = []
    errors: list[BaseException] = []
    began, ended = threading.Event(), threading.Event()

    def run() -> None:
        began.set()
        try:
            results.append(task())
        except BaseException as error:  # Raised again in the caller's thread.
            errors.append(error)
        finally:
            ended.set()

    thread = threading.Thread(target=run, name=name)
    interrupt: KeyboardInterrupt | None = None
    try:
        thread.start()
    except KeyboardInterrupt as error:
        if not began.wait(_TIME_TO_BEGIN):
            raise  # It came before there was a thread.
        interrupt = error
        on_interrupt()
    while not ended.is_set():
        try:
            ended.wait()
        except KeyboardInterrupt as error:
            if interrupt is not None:
                raise
            interrupt = error
            on_interrupt()
    thread.join()
    if interrupt is not None:
        raise interrupt
    if errors:
        raise errors[0]
    return results[0]
