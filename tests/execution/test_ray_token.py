"""A cluster of Ray with a token, as all have from Ray 2.61 on."""

import os
import pathlib
import socket
import subprocess
import sys
import time

import pytest

pytestmark = [pytest.mark.keras, pytest.mark.slow]
pytest.importorskip("ray", reason="needs ray: the extra [ray]")
ROOT = pathlib.Path(__file__).parents[2]
# What the program says is the error, or how many trials there are.
PROGRAM = """
import pathlib, sys
from keras_evonas.execution import Ray
from tests.execution.networks import search
executor = Ray(address=sys.argv[1], workers=1)
try:
    tuner = search(
        pathlib.Path("p"), executor=executor, oracle={"max_trials": 2}
    )
    print(len(tuner.oracle.end_order))
except ConnectionError as error:
    print(error)
"""


def test_a_token_is_needed_and_taken(tmp_path: pathlib.Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    unset = ("RAY_ADDRESS", "RAY_AUTH_MODE", "RAY_AUTH_TOKEN")
    plain = {n: v for n, v in os.environ.items() if n not in unset}
    plain |= {"HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    known = {**plain, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "a" * 32}
    ray = pathlib.Path(sys.executable).with_name("ray")
    head = subprocess.Popen(
        [
            *(sys.executable, str(ray), "start", "--head", "--block"),
            *("--node-ip-address=127.0.0.1", f"--port={address[10:]}"),
            *("--num-cpus=1", "--include-dashboard=false"),
        ],
        env=known,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.STDOUT,
    )

    def said(environment: dict[str, str]) -> str:
        return subprocess.run(
            [sys.executable, "-c", PROGRAM, address],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
            timeout=300,
        ).stdout.strip()

    try:
        _await(address)
        for environment in (plain, {**known, "RAY_AUTH_TOKEN": "b" * 32}):
            message = said(environment)
            assert address in message
            assert "set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN" in message
        assert said(known) == "2"
    finally:
        head.terminate()
        head.wait(timeout=60)


def _await(address: str) -> None:
    host, port = address.split(":")
    for _ in range(600):
        try:
            socket.create_connection((host, int(port)), timeout=1).close()
            return
        except OSError:
            time.sleep(0.1)
    raise TimeoutError(f"{address} does not answer.")
