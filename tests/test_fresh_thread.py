"""Tasks in threads of their own, ended, failed and interrupted."""

import os
import signal
import threading

import pytest

from keras_evonas.fresh_thread import in_fresh_thread

SECONDS = 0.3


@pytest.fixture(autouse=True)
def _ctrl_c_is_heard():
    # A shell lets its background processes ignore it.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def interrupt():
    os.kill(os.getpid(), signal.SIGINT)


def test_what_a_task_returns_or_raises_comes_back():
    def fail():
        raise OSError("broken")

    assert in_fresh_thread(threading.get_ident) != threading.get_ident()
    with pytest.raises(OSError, match="broken"):
        in_fresh_thread(fail)


def test_an_interrupt_waits_for_the_end_of_the_task():
    ended = []

    def task():
        interrupt()
        threading.Event().wait(SECONDS)
        ended.append(threading.current_thread())

    with pytest.raises(KeyboardInterrupt):
        in_fresh_thread(task)
    assert len(ended) == 1
    assert not ended[0].is_alive()


def test_a_second_interrupt_does_not_wait():
    again, ended = threading.Event(), threading.Event()

    def task():
        interrupt()
        threading.Event().wait(SECONDS)
        interrupt()
        again.wait(60)
        ended.set()

    with pytest.raises(KeyboardInterrupt):
        in_fresh_thread(task)
    assert not ended.is_set()
    again.set()
    assert ended.wait(60)
