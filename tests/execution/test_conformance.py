"""Every executor goes through the conformance suite."""

import os
import pathlib
from collections.abc import Iterator

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
    @pytest.fixture(scope="class")
    def session(self) -> Iterator[None]:
        ray = pytest.importorskip("ray", reason="needs ray: the extra [ray]")
        path = os.pathsep.join([str(_ROOT), os.environ.get("PYTHONPATH", "")])
        ray.init(
            address="local",
            num_cpus=2,
            include_dashboard=False,
            log_to_driver=False,
            runtime_env={"env_vars": {"PYTHONPATH": path}},
        )
        yield
        ray.shutdown()

    @pytest.fixture
    def executor(self, session: None) -> Executor:
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
