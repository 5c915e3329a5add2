"""Folders from anybody: opening one neither hangs nor runs anything."""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import sys
from collections.abc import Iterator
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st

from tests.faults.damage import TRIALS
from tests.faults.damage import open_and_ask
from tests.searches import Search

pytestmark = pytest.mark.keras

_SECONDS = 30  # No folder takes a hundredth of it.
_RUNS = (
    "ctypes.dlopen",
    "exec",
    "import",
    "marshal.loads",
    "os.exec",
    "os.fork",
    "os.posix_spawn",
    "os.system",
    "pickle.find_class",
    "subprocess.Popen",
)
_FILES = (
    "oracle.json",
    "evolution.jsonl",
    "tuner0.json",
    "search.lock",
    "trial_0/trial.json",
    "trial_5/trial.json",
)
_SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["builtins", "eval", "Lambda", "__class__", "os.system"])
)
_JSON = st.recursive(
    _SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["class_name", "config", "module", "x"])
            | st.text(),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


class _Watch:
    """Notes what is run while it watches; a hook cannot be taken out."""

    def __init__(self) -> None:
        self.is_watching = False
        self.seen: list[Any] = []
        sys.addaudithook(self._hook)

    def _hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.is_watching and event in _RUNS:
            self.seen.append((event, str(arguments)[:200]))


@pytest.fixture(scope="module")
def watch() -> _Watch:
    return _Watch()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    folder = tmp_path_factory.mktemp("fuzz") / "good"
    search = Search(folder, max_trials=TRIALS, growing=True)
    for _ in range(6):
        search.step()
    search.oracle.release_folder()
    (folder / "tuner0.json").write_text("{}")
    assert open_and_ask(shutil.copytree(folder, folder.parent / "x")) is None
    return folder


@contextlib.contextmanager
def _no_longer_than(seconds: int) -> Iterator[None]:
    def stop(*arguments: object) -> None:
        raise TimeoutError(f"it took longer than {seconds} seconds")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def _leaves(content: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    if isinstance(content, dict):
        items: Any = content.items()
    elif isinstance(content, list):
        items = enumerate(content)
    else:
        return [path]
    return [path, *(p for key, x in items for p in _leaves(x, (*path, key)))]


def _replaced(content: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    content[path[0]] = _replaced(content[path[0]], path[1:], value)
    return content


def _changed_json(text: bytes, data: Any) -> bytes:
    content = json.loads(text)
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from(_leaves(content)))
        content = _replaced(content, path, data.draw(_JSON))
    return json.dumps(content).encode()


def _changed(name: str, content: bytes, data: Any) -> bytes:
    how = data.draw(st.sampled_from(["value", "value", "bytes", "anything"]))
    if how == "anything":
        return json.dumps(data.draw(_JSON)).encode() + b"\n"
    if how == "bytes":
        at = data.draw(st.integers(0, len(content)))
        gone = data.draw(st.integers(0, 40))
        new = data.draw(st.binary(max_size=20))
        return content[:at] + new + content[at + gone :]
    if name != "evolution.jsonl":
        return _changed_json(content, data)
    lines = content.splitlines()
    at = data.draw(st.integers(0, len(lines) - 1))
    lines[at] = _changed_json(lines[at], data)
    return b"\n".join(lines) + b"\n"


def _fuzz(folder: pathlib.Path, watch: _Watch, data: Any) -> None:
    one = folder.parent / "fuzzed"
    shutil.rmtree(one, ignore_errors=True)
    shutil.copytree(folder, one)
    for name in data.draw(
        st.lists(st.sampled_from(_FILES), min_size=1, max_size=2, unique=True)
    ):
        content = (one / name).read_bytes()
        (one / name).write_bytes(_changed(name, content, data))
    watch.seen.clear()
    watch.is_watching = True
    try:
        with _no_longer_than(_SECONDS):
            open_and_ask(one)
    finally:
        watch.is_watching = False
    assert watch.seen == []


@pytest.mark.skipif(not hasattr(signal, "SIGALRM"), reason="needs SIGALRM")
@pytest.mark.parametrize(
    ("examples", "seed"),
    [
        (75, 0),
        *(pytest.param(1000, n, marks=pytest.mark.slow) for n in range(1, 11)),
    ],
)
def test_fuzzed_folders(
    examples: int,
    seed: int,
    folder: pathlib.Path,
    watch: _Watch,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=examples,
        deadline=None,
        database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(st.data())
    def run(data: Any) -> None:
        _fuzz(folder, watch, data)

    run()
