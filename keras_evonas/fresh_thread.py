"""Tasks in a thread of their own, which an interrupt does not leave behind."""

import threading
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")
_TIME_TO_BEGIN = 5.0  # seconds


def with_fresh_keras(
    task: Callable[[], Result],
    on_interrupt: Callable[[], object] = lambda: None,
) -> Result:
    """Runs a task in a new thread, under the caller's settings of Keras.

    Keras keeps the names of layers and the generator of its seeds by thread:
    both begin anew in there, as in a fresh process, and the caller's stay as
    they are.

    Args:
        task: Function to run.
        on_interrupt: Called at the first Ctrl-C, to let the task end soon.

    Returns:
        What `task` returns. An error that it raises is raised here.
    """
    # Keras is slow to import, and not needed by `in_fresh_thread`.
    from keras_evonas.keras_settings import KerasSettings

    settings = KerasSettings.now()

    def run() -> Result:
        settings.apply()
        return task()

    return in_fresh_thread(run, on_interrupt)


def in_fresh_thread(
    task: Callable[[], Result],
    on_interrupt: Callable[[], object] = lambda: None,
) -> Result:
    """Runs a task in a new thread, and waits for it; see `with_fresh_keras`.

    After Ctrl-C the task is waited for before `KeyboardInterrupt` is raised;
    a second Ctrl-C raises it at once. A thread that is left behind would go
    on to change global state, and would end with the interpreter in the middle
    of a call of TensorFlow: Python (3.11) does not join a thread at exit if
    the wait for it was interrupted.
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

    thread = threading.Thread(target=run, name="fresh")
    interrupt: KeyboardInterrupt | None = None
    try:
        thread.start()
    except KeyboardInterrupt as error:
        if not began.wait(_TIME_TO_BEGIN):
            raise  # The interrupt came before the thread began.
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
