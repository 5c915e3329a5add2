"""Two searches in one folder, and what a dead process leaves."""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys

import pytest

from keras_evonas.project import lock as project_lock
from keras_evonas.project.lock import FolderLock

_ROOT = pathlib.Path(__file__).parents[1]
_HOLD = """
import os, sys
from keras_evonas.project.lock import FolderLock
lock = FolderLock(sys.argv[1])
lock.take()
child = os.fork() if sys.argv[2:] else 1
if child:
    print(child, flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def _no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(project_lock, "_PAUSE", 0.0)


def _holder(*arguments: str) -> tuple[subprocess.Popen, int]:
    process = subprocess.Popen(
        [sys.executable, "-c", _HOLD, *arguments],
        cwd=_ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    return process, int(process.stdout.readline())


def test_a_second_process_is_refused_until_the_first_is_dead(
    tmp_path: pathlib.Path,
) -> None:
    process, _ = _holder(str(tmp_path))
    lock = FolderLock(tmp_path)
    with pytest.raises(RuntimeError, match=f"while process {process.pid}"):
        lock.take()
    with pytest.raises(RuntimeError, match="`project_name`"):
        project_lock.check_free(tmp_path)
    holder = project_lock.holder_of(tmp_path)
    assert holder.is_running
    assert holder.pid == process.pid
    assert holder.command[-1] == str(tmp_path)
    process.kill()
    process.communicate()
    assert not project_lock.holder_of(tmp_path).is_running
    project_lock.check_free(tmp_path)
    assert lock.take()
    assert not lock.take()
    assert project_lock.holder_of(tmp_path).pid == os.getpid()
    lock.release()
    assert not project_lock.holder_of(tmp_path).is_running


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_a_forked_child_does_not_hold_on(tmp_path: pathlib.Path) -> None:
    process, child = _holder(str(tmp_path), "fork")
    process.kill()
    process.wait()
    try:
        assert FolderLock(tmp_path).take()
    finally:
        os.kill(child, signal.SIGKILL)
        process.communicate()


def test_within_a_process_the_last_one_searches(tmp_path: pathlib.Path) -> None:
    first, second = FolderLock(tmp_path), FolderLock(tmp_path)
    assert first.take()
    assert second.take()
    with pytest.raises(RuntimeError, match="a second tuner of this process"):
        first.take()
    assert not second.take()
    second.release()
    assert first.take()


def test_a_lock_that_nobody_needs_is_released(tmp_path: pathlib.Path) -> None:
    lock = FolderLock(tmp_path)
    lock.take()
    del lock
    assert not project_lock.holder_of(tmp_path).is_running


def test_a_folder_that_was_replaced_is_noticed(tmp_path: pathlib.Path) -> None:
    folder = tmp_path / "p"
    folder.mkdir()
    lock = FolderLock(folder)
    lock.take()
    shutil.rmtree(folder)
    folder.mkdir()
    with pytest.raises(RuntimeError, match="removed or replaced"):
        lock.take()
    assert FolderLock(folder).take()


@pytest.mark.parametrize(
    "content", ["", "{", "[" * 5000, "[1]", '{"pid": "x", "command": [1, "a"]}']
)
def test_whatever_the_file_says_is_text(
    content: str, tmp_path: pathlib.Path
) -> None:
    (tmp_path / project_lock.LOCK_NAME).write_text(content)
    holder = project_lock.holder_of(tmp_path)
    assert (holder.is_running, holder.pid) == (False, None)
    assert set(holder.command) <= {"a"}
    assert FolderLock(tmp_path).take()
    said = json.loads((tmp_path / project_lock.LOCK_NAME).read_text())
    assert said["pid"] == os.getpid()


def test_nobody_has_searched_in_an_empty_folder(tmp_path: pathlib.Path) -> None:
    assert project_lock.holder_of(tmp_path) is None
    project_lock.check_free(tmp_path)
    assert list(tmp_path.iterdir()) == []
