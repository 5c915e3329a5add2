"""Searches on Ray: the same search, and nodes and workers that are lost."""

import pathlib
import socket

import pytest
import tensorflow as tf

from keras_evonas.evolution import genetic_algorithm
from keras_evonas.evolution import successive_halving
from keras_evonas.execution import InProcess
from keras_evonas.execution import Ray
from tests.execution import networks
from tests.execution.networks import record_of
from tests.execution.networks import search

pytestmark = pytest.mark.keras
pytest.importorskip("ray", reason="needs ray: the extra [ray]")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_one_worker_makes_the_same_search(
    tmp_path: pathlib.Path, ray_session: None
) -> None:
    # Its trials go on from weights, which travel there and back.
    options = {
        "oracle": {
            "strategy": successive_halving(
                genetic_algorithm(population_size=4), max_epochs=3
            )
        }
    }
    here = search(tmp_path / "here", executor=InProcess(), **options)
    there = search(tmp_path / "there", executor=Ray(workers=1), **options)
    assert record_of(tmp_path / "here") == record_of(tmp_path / "there")
    best, same = here.get_best_models()[0], there.get_best_models()[0]
    for weight, other in zip(best.weights, same.weights, strict=True):
        assert (weight.numpy() == other.numpy()).all()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_two_workers_and_a_kill(
    tmp_path: pathlib.Path, ray_session: None
) -> None:
    killer = networks.Killer(tmp_path / "mark")
    search(tmp_path / "p", killer, executor=Ray())
    assert (tmp_path / "mark").exists()
    ends = [event for event in record_of(tmp_path / "p") if len(event) == 5]
    assert [end[1] for end in ends] == ["COMPLETED"] * 6


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_more_than_the_cluster_has(
    tmp_path: pathlib.Path, ray_session: None
) -> None:
    with pytest.raises(ValueError, match="`num_gpus` must not exceed"):
        search(tmp_path / "p", executor=Ray(num_gpus=1))
    data = tf.data.Dataset.from_tensors(([[1.0]], [[1.0]]))
    with pytest.raises(TypeError, match="`x` must be such that"):
        search(tmp_path / "q", data=(data,), executor=Ray())


def test_an_address_that_does_not_answer(tmp_path: pathlib.Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # And nobody listens.
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        executor = Ray(address=address, timeout=1)
        with pytest.raises(ConnectionError, match="`ray start --head`") as got:
            search(tmp_path / "p", executor=executor)
    assert address in str(got.value)
    assert "timeout=1" in str(got.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"workers": 0}, "`workers` must be an integer of at least 1"),
        ({"num_cpus": -1}, "`num_cpus` must be a number of at least 0"),
        ({"num_cpus": 0}, "must not both be zero"),
        ({"timeout": "1"}, "`timeout` must be a number"),
    ],
)
def test_bad_arguments(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Ray(**arguments)
