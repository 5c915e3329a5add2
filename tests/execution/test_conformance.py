"""Every executor goes through the conformance suite."""

import os
import pathlib
import re
import subprocess
import sys

import pytest

from keras_evonas import execution
from keras_evonas.execution import Executor
from keras_evonas.execution import InProcess
from keras_evonas.execution import Processes
from keras_evonas.execution import Ray
from keras_evonas.testing import ExecutorConformance

_ROOT = pathlib.Path(__file__).parents[2]


class TestInProcess(ExecutorConformance):
    @pytest.fixture
    def executor(self) -> Executor:
        return InProcess()


class TestProcesses(ExecutorConformance):
    @pytest.fixture
    def executor(self) -> Executor:
        pytest.importorskip("loky", reason="needs loky: the extra [processes]")
        return Processes(workers=2)


@pytest.mark.filterwarnings("ignore")
class TestRay(ExecutorConformance):
    @pytest.fixture
    def executor(self, ray_session: None) -> Executor:
        return Ray()


def test_every_executor_is_enrolled() -> None:
    public = {
        value
        for name in execution.__all__
        if isinstance(value := getattr(execution, name), type)
        and issubclass(value, Executor)
        and value is not Executor
    }
    enrolled = {
        name.removeprefix("Test")
        for name, value in globals().items()
        if name.startswith("Test") and issubclass(value, ExecutorConformance)
    }
    assert {one.__name__ for one in public} == enrolled


@pytest.mark.slow
def test_the_example_keeps_the_laws(tmp_path: pathlib.Path) -> None:
    # In a process of its own: the example defines flags.
    text = (_ROOT / "examples" / "own_executor.py").read_text(encoding="utf-8")
    suite = re.search(r"^```python\n(.*?)^```", text, re.M | re.S)[1]
    imports = "import keras_evonas.testing, pytest\nfrom own_executor import *"
    (tmp_path / "test_own.py").write_text(f"{imports}\n\n{suite}")
    path = os.pathsep.join([str(_ROOT), str(_ROOT / "examples")])
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "test_own.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"\d\d passed", done.stdout)
