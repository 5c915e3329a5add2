"""Searches on a cluster of several nodes, one of which is lost."""

import os
import pathlib
import threading
import time
from collections.abc import Iterator
from typing import Any

import keras
import pytest

from keras_evonas.execution import Ray
from tests.execution.networks import record_of
from tests.execution.networks import search

pytestmark = [pytest.mark.keras, pytest.mark.slow]
ray = pytest.importorskip("ray", reason="needs ray: the extra [ray]")
cluster_utils = pytest.importorskip("ray.cluster_utils")
_ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture
def cluster() -> Iterator[Any]:
    """A head, to which this process is connected, with one processor."""
    cluster = cluster_utils.Cluster(
        initialize_head=True,
        head_node_args={"num_cpus": 1, "include_dashboard": False},
    )
    path = os.pathsep.join([str(_ROOT), os.environ.get("PYTHONPATH", "")])
    ray.init(
        address=cluster.address,
        log_to_driver=False,
        runtime_env={"env_vars": {"PYTHONPATH": path}},
    )
    yield cluster
    ray.shutdown()
    cluster.shutdown()


class Endless(keras.callbacks.Callback):
    """Lets no training on a node go beyond its first epoch.

    Args:
        node: String, the id of the node.
        mark: Path of a file that is made when a training has come so far.
    """

    def __init__(self, node: str, mark: pathlib.Path) -> None:
        super().__init__()
        self.node = node
        self.mark = mark

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if ray.get_runtime_context().get_node_id() == self.node:
            self.mark.touch()
            time.sleep(600)  # The node is lost before.


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("spare", [False, True])
def test_a_node_that_is_lost_in_a_cohort(
    cluster: Any, tmp_path: pathlib.Path, spare: bool
) -> None:
    doomed = cluster.add_node(num_cpus=1)
    mark = tmp_path / "mark"

    def lose() -> None:
        while not mark.exists():
            time.sleep(0.05)
        cluster.remove_node(doomed, allow_graceful=False)
        if spare:
            cluster.add_node(num_cpus=1)

    thread = threading.Thread(target=lose, daemon=True)
    thread.start()
    search(
        tmp_path / "p",
        executor=Ray(),
        fit={"callbacks": [Endless(doomed.node_id, mark)]},
    )
    thread.join()
    ends = [event for event in record_of(tmp_path / "p") if len(event) == 5]
    assert [end[1] for end in ends] == ["COMPLETED"] * 6
