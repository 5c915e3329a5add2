"""Whole searches under fire: nothing lost, nothing repeated."""

import os
import pathlib
import subprocess
import sys

import pytest

pytestmark = [
    pytest.mark.keras,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork"),
]
_ROOT = pathlib.Path(__file__).parents[2]


def _under_fire(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.under_fire", *arguments],
        cwd=_ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.splitlines()[-1]


@pytest.mark.parametrize(
    "kills", [8, pytest.param(200, marks=pytest.mark.slow)]
)
def test_killed_at_random_moments(kills: int, tmp_path: pathlib.Path) -> None:
    said = _under_fire("kills", str(tmp_path), str(kills))
    assert int(said.split()[1].rstrip(",")) >= kills


@pytest.mark.slow
def test_a_write_that_fails_at_every_call(tmp_path: pathlib.Path) -> None:
    said = _under_fire("writes", str(tmp_path))
    assert int(said.split()[2]) > 100
